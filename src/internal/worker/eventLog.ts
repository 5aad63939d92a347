/**
 * The log lines of a worker: Warning for what a person has to see, Info for what tells a healthy worker from one that does nothing,
 * Debug for the rest. Nothing is logged of a job that completed: that would be most of the log.
 */
import * as Cause from "effect/Cause"
import type * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type { JobId, TubeName } from "../../Job.ts"
import { annotateLogs, safeLog } from "../base/logging.ts"
import { printable } from "../values/printable.ts"
import type { Event, Refusal, ShutdownReport } from "./events.ts"
import { Bury, Discard, type Order, RetryAfter } from "./failure.ts"
import { mayHideJob, probeTube } from "./serverRoom.ts"

/** Annotates the log lines of a worker. Its tube annotates those of the user's handlers too. */
export const annotated = annotateLogs("Worker")

/** A refusal is logged above Debug if there was none for this many milliseconds, and a job was settled in them. */
const refusalPause = 60_000

const settled: ReadonlySet<Event["_tag"]> = new Set(["Buried", "Completed", "Discarded", "Retried"])

export interface LogOptions {
  readonly tube: TubeName
  readonly concurrency: number
  /** How many runs a job has, if that is known: a Schedule of the user does not tell. */
  readonly runs: number | undefined
  /** The time in milliseconds. */
  readonly now: () => number
}

/** What a worker logs, besides what becomes of its connections. */
export interface EventLog {
  /** An event about which the program is told by other means has no line. */
  readonly onEvent: (event: Event, isTold?: boolean) => void
  /** The worker is connected for the first time. */
  readonly onStart: (address: string) => void
  /** The shutdown begins. Handlers have this many milliseconds to end. */
  readonly onShutdown: (running: number, timeout: number) => void
  /** Logs what the shutdown did. An Effect, so that no fiber of the worker is left when the shutdown has ended. */
  readonly report: (report: ShutdownReport) => Effect.Effect<void>
  readonly onDecisionTimeout: (id: JobId) => void
}

/** Logs with the Loggers and annotations of the runtime. */
export const make = (runtime: Runtime.Runtime<never>, options: LogOptions): EventLog => {
  const { concurrency, now, tube } = options
  const runFork = Runtime.runFork(runtime)
  const worker = `The worker of tube ${tube}`
  let refusedAt = Number.NEGATIVE_INFINITY
  let isRefusing = false

  const log = (line: Effect.Effect<void>): void => void runFork(safeLog(line))

  const refusalLine = ({ error, id }: Data.TaggedEnum.Value<Event, "Refused">): Effect.Effect<void> => {
    // The connection is closed after a refused reserve, and the log has a line about that.
    if (id === undefined) return Effect.logDebug(error.message)
    const isFirst = !isRefusing
    isRefusing = true
    refusedAt = now()
    return (isFirst ? Effect.logWarning : Effect.logDebug)(`${error.message} ${whatFollows(error, id, tube)}`)
  }

  const lineOf = (event: Event): Effect.Effect<void> | undefined => {
    switch (event._tag) {
      case "Completed":
      case "ShutdownReport":
        return undefined
      case "Refused":
        return refusalLine(event)
      default:
        return jobLine(event, options)
    }
  }

  return {
    onEvent: (event, isTold = false) => {
      if (isRefusing && settled.has(event._tag) && now() - refusedAt >= refusalPause) isRefusing = false
      const line = isTold ? undefined : lineOf(event)
      if (line !== undefined) log(Effect.annotateLogs(line, annotationsOf(event)))
    },
    onStart: (address) =>
      log(Effect.logInfo(`${worker} takes jobs from beanstalkd at ${address}, up to ${concurrency} at a time.`)),
    onShutdown: (running, timeout) =>
      log(Effect.logInfo(
        running === 0
          ? `${worker} is shut down. No handler runs.`
          : `${worker} is shut down. It waits for ${counted(running, "handler")}, at most ${
            formatted(Math.ceil(timeout / 100) * 100)
          }.`
      )),
    report: (report) => safeLog(Effect.provide(reportLine(worker, report), runtime)),
    onDecisionTimeout: (job) =>
      log(Effect.annotateLogs(
        Effect.logError(
          `\`retry\` or \`onExhausted\` takes too long to decide about job ${job} of tube ${tube}. It is interrupted, and the ` +
            `job is buried.`
        ),
        { job }
      ))
  }
}

const annotationsOf = (event: Event): Record<string, unknown> => ({
  ..."id" in event && event.id !== undefined && { job: event.id },
  ..."attempt" in event && { attempt: event.attempt }
})

const whatFollows = (error: Refusal, id: JobId, tube: TubeName): string => {
  const again = `The worker of tube ${tube} holds job ${id} and sends the command again.`
  return mayHideJob(error)
    ? `${again} It takes no other jobs until the server stores one that it puts into tube ${probeTube}.`
    : again
}

const reportLine = (
  worker: string,
  { drained, duration, interrupted, orphaned }: ShutdownReport
): Effect.Effect<void> => {
  const closed = `${worker} is closed after ${formatted(duration)}`
  if (drained + interrupted.length + orphaned.length === 0) return Effect.logInfo(`${closed}.`)
  const report = `${closed}: ${counted(drained, "job")} ended, ` +
    `${counted(interrupted.length, "job")} interrupted and given back`
  return orphaned.length === 0
    ? Effect.logInfo(`${report}.`)
    : Effect.logWarning(
      `${report}, and ${orphaned.length} given back whose handlers did not end: ${orphaned.join(", ")}.`
    )
}

const jobLine = (
  event: Exclude<Event, { readonly _tag: "Completed" | "Refused" | "ShutdownReport" }>,
  { runs }: LogOptions
): Effect.Effect<void> => {
  const job = `Job ${event.id} of tube ${event.tube}`
  switch (event._tag) {
    case "Retried": {
      const order = orderOf(event.cause)
      if (order !== undefined) {
        return Effect.logInfo(`${job} is run again in ${formatted(event.delay)}, ${asAsked(event.attempt, order)}`)
      }
      // The first failure is a person's chance to see a bug before the job is buried, hours later.
      const log = event.attempt === 1 ? Effect.logWarning : Effect.logInfo
      return log(
        `${job} ${failed(event, runs)} and is run again in ${formatted(event.delay)}.`,
        event.cause
      )
    }
    case "Discarded": {
      const order = orderOf(event.cause)
      if (order !== undefined) return Effect.logInfo(`${job} is deleted, ${asAsked(event.attempt, order)}`)
      return event.handedOver
        ? Effect.logInfo(`${job} ${failed(event, runs)}, was handed to onExhausted, and is deleted.`, event.cause)
        : Effect.logInfo(`${job} ${failed(event, runs)} and is deleted, since onExhausted is "delete".`, event.cause)
    }
    case "Buried": {
      const order = orderOf(event.cause)
      return order !== undefined
        ? Effect.logWarning(`${job} is buried, ${asAsked(event.attempt, order)} ${thenKick}`)
        : Effect.logWarning(`${job} ${failed(event, runs)} and is buried. ${thenKick}`, event.cause)
    }
    case "Interrupted":
      return Effect.logInfo(
        event.orphaned
          ? `${job} is given back by the shutdown, and its handler has not ended.`
          : `${job} is interrupted by the shutdown and given back.`
      )
    case "LeaseLost":
      return Effect.logWarning(event.error.message)
    case "Undecodable":
      return Effect.logWarning(`${event.error.message} Its body has ${event.size} bytes. Action: ${event.action}.`)
    case "CrashLoop":
      return Effect.logWarning(
        `${job} is buried without being run: its worker's connection was lost ${event.disconnects} times while it was reserved.`
      )
    case "CompletionUnknown":
      return Effect.logWarning(`${job} was to be deleted, but may be run again: ${event.reason}.`)
  }
}

const thenKick = "Fix the cause, then kick the job."

/** A job that is kicked has a run more than its Schedule gave it. */
const failed = (
  { attempt, cause }: { readonly attempt: number; readonly cause: Cause.Cause<unknown> },
  runs: number | undefined
): string =>
  `${Cause.isDie(cause) ? "died" : "failed"} in attempt ${attempt}${
    runs === undefined || attempt > runs ? "" : ` of ${runs}`
  }`

const asAsked = (attempt: number, { reason }: Order): string =>
  printable(`as its handler asked in attempt ${attempt}${reason === undefined ? "" : `: ${reason}`}.`)

const orderOf = (cause: Cause.Cause<unknown>): Order | undefined =>
  Option.getOrUndefined(Option.filter(Cause.failureOption(cause), isOrder))

const isOrder = (failure: unknown): failure is Order =>
  failure instanceof Bury || failure instanceof Discard || failure instanceof RetryAfter

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

const formatted = (duration: Duration.DurationInput): string => {
  const milliseconds = Math.round(Duration.toMillis(duration))
  return milliseconds > 0 ? Duration.format(Duration.millis(milliseconds)) : "0ms"
}
