import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { TubeName } from "../../Job.ts"
import { safeLog } from "../base/safeLog.ts"
import type { Lost } from "../client/connectionState.ts"
import { type Disconnected, perOutage } from "../client/reconnect.ts"

export interface KeepConnectedOptions {
  readonly tube: TubeName
  /** The reconnect Schedule of the client. */
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  readonly isNeeded: () => boolean
  /** Whether a connection that is lost, or could not be made, need not be replaced: another does its work. */
  readonly isSpare: () => boolean
}

/**
 * Runs attempts under the reconnect Schedule, anew for each outage, for as long as a connection is needed. A worker does not
 * give up: when the user's Schedule is done, or throws, it starts again after 5 seconds.
 */
export const keepConnected = (
  attempt: Effect.Effect<void, Disconnected>,
  { isNeeded, isSpare, reconnect, tube }: KeepConnectedOptions
): Effect.Effect<void> => {
  // A connection that could not be made is given up only after the pause. Another lane is opened in place of its lane, and
  // would try at once, again and again.
  let couldNotConnect = false

  const reconnectsAfter = ({ wasHealthy }: Disconnected) => {
    couldNotConnect = !wasHealthy
    return isNeeded() && !(wasHealthy && isSpare())
  }

  return Effect.suspend(() => isNeeded() && !(couldNotConnect && isSpare()) ? attempt : Effect.void).pipe(
    Effect.retry({ schedule: perOutage(reconnect), while: reconnectsAfter }),
    Effect.matchCauseEffect({
      onSuccess: () => Effect.succeed(false),
      onFailure: (cause) =>
        isNeeded() && !isSpare()
          ? Effect.as(Effect.zipRight(report(tube, cause), Effect.sleep("5 seconds")), true)
          : Effect.succeed(false)
    }),
    Effect.repeat({ while: (startsAgain) => startsAgain }),
    Effect.asVoid
  )
}

const report = (tube: TubeName, cause: Cause.Cause<Disconnected>): Effect.Effect<void> =>
  Cause.isDie(cause)
    ? safeLog(Effect.logError(`A lane of the worker of tube ${tube} died. It starts again in 5 seconds.`, cause))
    : Effect.void
