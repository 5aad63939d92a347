/** What the healths of clients and workers have in common. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Health from "../../Health.ts"
import type { LoopLateness } from "./loopLateness.ts"

/** What is wrong, other than with the event loop. Times are in milliseconds of the monotonic clock. */
export type Trouble =
  | { readonly _tag: "Closed"; readonly reason: string }
  /** It does not work, whatever the grace. */
  | { readonly _tag: "Stopped"; readonly since: number; readonly reason: string }
  | { readonly _tag: "Disconnected"; readonly since: number; readonly reason: string }

export interface Subject {
  readonly now: () => number
  readonly lateness: LoopLateness
  readonly trouble: () => Trouble | undefined
}

/** The health of a client or a worker. */
export const healthOf =
  ({ lateness, now, trouble }: Subject) =>
  ({ grace = "30 seconds", lateness: limit = "30 seconds" }: Health.Limits = {}): Effect.Effect<Health.Health> =>
    Effect.map(DateTime.now, (time) => {
      const found = trouble()
      if (found?._tag === "Closed") return Health.Failed({ reason: found.reason })
      const blockedFor = lateness.milliseconds
      if (blockedFor > Duration.toMillis(limit)) {
        return Health.Failed({ reason: `the event loop was blocked for ${Math.round(blockedFor / 1000)} seconds` })
      }
      if (found === undefined) return Health.Healthy()
      const lastsFor = now() - found.since
      if (found._tag === "Disconnected" && lastsFor <= Duration.toMillis(grace)) return Health.Healthy()
      return Health.Degraded({
        since: DateTime.subtract(time, { millis: Math.round(lastsFor) }),
        reason: found.reason
      })
    })
