/** The log lines of a worker: warnings for what a person has to see, Info or Debug for the rest. */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { safeLog } from "../base/safeLog.ts"
import type { Event } from "./events.ts"

/** Annotates the log lines of a worker, so that they can be filtered. */
export const annotated = Effect.annotateLogs({ package: "effect-beanstalk", module: "Worker" })

/** Logs events with the Loggers and annotations of the runtime. */
export const logTo = (runtime: Runtime.Runtime<never>): (event: Event) => void => {
  const runFork = Runtime.runFork(runtime)
  return (event) => {
    const line = logLine(event)
    if (line !== undefined) runFork(safeLog(line))
  }
}

/** Logs nothing of a job that completed: that would be most of the log. */
const logLine = (event: Event): Effect.Effect<void> | undefined => {
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
