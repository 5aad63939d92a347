/** The log lines of a worker: warnings for what a person has to see, Info or Debug for the rest. */
import type * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { JobId, TubeName } from "../../Job.ts"
import { annotateLogs, safeLog } from "../base/logging.ts"
import type { Event, Refusal } from "./events.ts"
import { mayHideJob, probeTube } from "./serverRoom.ts"

/** Annotates the log lines of a worker. */
export const annotated = annotateLogs("Worker")

/** A refusal is logged above Debug if there was none for this many milliseconds, and a job was settled in them. */
const refusalPause = 60_000

const settled: ReadonlySet<Event["_tag"]> = new Set(["Buried", "Completed", "Discarded", "Retried"])

/** Logs events with the Loggers and annotations of the runtime. `now` is the time in milliseconds. */
export const logTo = (runtime: Runtime.Runtime<never>, now: () => number): (event: Event) => void => {
  const runFork = Runtime.runFork(runtime)
  let refusedAt = Number.NEGATIVE_INFINITY
  let isRefusing = false

  const logRefusal = ({ error, id, tube }: Data.TaggedEnum.Value<Event, "Refused">): Effect.Effect<void> => {
    // The connection is closed after a refused reserve, and the log has a line about that.
    if (id === undefined) return Effect.logDebug(error.message)
    const isFirst = !isRefusing
    isRefusing = true
    refusedAt = now()
    return (isFirst ? Effect.logWarning : Effect.logDebug)(`${error.message} ${whatFollows(error, id, tube)}`)
  }

  return (event) => {
    if (isRefusing && settled.has(event._tag) && now() - refusedAt >= refusalPause) isRefusing = false
    const line = event._tag === "Refused" ? logRefusal(event) : logLine(event)
    if (line !== undefined) runFork(safeLog(line))
  }
}

const whatFollows = (error: Refusal, id: JobId, tube: TubeName): string => {
  const again = `The worker of tube ${tube} holds job ${id} and sends the command again.`
  return mayHideJob(error)
    ? `${again} It takes no other jobs until the server stores one that it puts into tube ${probeTube}.`
    : again
}

/** Logs nothing of a job that completed: that would be most of the log. */
const logLine = (event: Exclude<Event, { readonly _tag: "Refused" }>): Effect.Effect<void> | undefined => {
  if (event._tag === "Completed") return undefined
  if (event._tag === "ShutdownReport") {
    const { drained, interrupted, orphaned, tube } = event
    const report =
      `The worker of tube ${tube} is closed: ${drained} jobs ended, ${interrupted.length} were interrupted and given back`
    return orphaned.length === 0
      ? Effect.logDebug(`${report}.`)
      : Effect.logWarning(
        `${report}, and ${orphaned.length} were given back whose handlers did not end: ${orphaned.join(", ")}.`
      )
  }
  const job = `Job ${event.id} of tube ${event.tube}`
  switch (event._tag) {
    case "Retried":
      return Effect.logDebug(`${job} failed in run ${event.attempt} and is ready again in ${event.delay}.`, event.cause)
    case "Discarded":
      return Effect.logInfo(`${job} failed in run ${event.attempt} and is deleted.`, event.cause)
    case "Buried":
      return Effect.logWarning(
        `${job} failed in run ${event.attempt} and is buried. Fix the cause, then kick the job.`,
        event.cause
      )
    case "Interrupted":
      return Effect.logDebug(`${job} was interrupted by the shutdown and given back.`)
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
