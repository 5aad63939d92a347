/** What the log is told of jobs: what somebody may have to look into, and at Debug what will mend itself. */
import * as Effect from "effect/Effect"
import { safeLog } from "../base/safeLog.ts"
import type { Event } from "./events.ts"

/** Nothing of what went well: that is most of it. */
export const said = (event: Event): Effect.Effect<void> | undefined => {
  const line = sentence(event)
  return line === undefined ? undefined : safeLog(line)
}

const sentence = (event: Event): Effect.Effect<void> | undefined => {
  if (event._tag === "Completed") return undefined
  if (event._tag === "ShutdownReport") {
    const { disowned, drained, interrupted, tube } = event
    const end = `The worker of tube ${tube} is closed: ${drained} jobs ended, ${interrupted.length} were given back`
    return disowned.length === 0
      ? Effect.logDebug(`${end}.`)
      : Effect.logWarning(`${end}, and ${disowned.length} whose handlers did not end: ${disowned.join(", ")}.`)
  }
  const job = `Job ${event.id} of tube ${event.tube}`
  switch (event._tag) {
    case "Retried":
      return Effect.logDebug(`${job} failed in run ${event.attempt} and comes back in ${event.delay}.`, event.cause)
    case "Discarded":
      return Effect.logInfo(`${job} failed in run ${event.attempt} and is deleted.`, event.cause)
    case "Buried":
      return Effect.logWarning(
        `${job} failed in run ${event.attempt} and is buried. Mend it, and kick it.`,
        event.cause
      )
    case "Interrupted":
      return Effect.logDebug(`${job} was interrupted by the shutdown and given back.`)
    case "LeaseLost":
      return Effect.logWarning(event.error.message)
    case "Undecodable":
      return Effect.logWarning(
        `${event.error.message} It has ${event.size} bytes. What is done with it: ${event.action}.`
      )
    case "CrashLoop":
      return Effect.logWarning(`${job} has lost its worker ${event.disconnects} times and is buried, unrun.`)
    case "CompletionUnknown":
      return Effect.logWarning(`${job} is done, but may be run again: ${event.reason}.`)
  }
}
