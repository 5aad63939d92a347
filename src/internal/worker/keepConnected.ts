import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { TubeName } from "../../Job.ts"
import { safeLog } from "../base/logging.ts"
import type { Lost } from "../client/connectionState.ts"
import { type AttemptOptions, attempts, type Disconnected, perOutage } from "../client/reconnect.ts"

export interface KeepConnectedOptions extends AttemptOptions<void, never> {
  readonly tube: TubeName
  /** The reconnect Schedule of the client. */
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  readonly isNeeded: () => boolean
  /** Whether a connection that is lost, or could not be made, need not be replaced: another does its work. */
  readonly isSpare: () => boolean
}

/**
 * Opens a session and uses it, under the reconnect Schedule, for as long as a connection is needed. A worker does not give up:
 * when the user's Schedule is done, or throws, it starts again after 5 seconds.
 */
export const keepConnected = (
  { isNeeded, isSpare, reconnect, tube, ...options }: KeepConnectedOptions
): Effect.Effect<void> => {
  const attempt = attempts(options)
  // After a failed attempt the Schedule's pause comes before the lane may end: the pool opens a lane in its place, which
  // would try at once, again and again.
  let couldNotConnect = false

  const reconnectsAfter = ({ wasHealthy }: Disconnected) => {
    couldNotConnect = !wasHealthy
    return isNeeded() && !(wasHealthy && isSpare())
  }

  return Effect.suspend(() => isNeeded() && !(couldNotConnect && isSpare()) ? attempt : Effect.void).pipe(
    Effect.retry({ schedule: perOutage(reconnect), while: reconnectsAfter }),
    Effect.sandbox,
    Effect.retry({
      schedule: Schedule.spaced("5 seconds"),
      while: (cause) => isNeeded() && !isSpare() ? Effect.as(report(tube, cause), true) : Effect.succeed(false)
    }),
    Effect.ignore
  )
}

const report = (tube: TubeName, cause: Cause.Cause<Disconnected>): Effect.Effect<void> =>
  Cause.isDie(cause)
    ? safeLog(Effect.logError(`A lane of the worker of tube ${tube} died. It starts again in 5 seconds.`, cause))
    : Effect.void
