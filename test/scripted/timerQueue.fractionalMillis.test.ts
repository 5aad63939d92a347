/** Deadlines at fractions of milliseconds, which are rounded as numbers: no timer is missed. */
import { assert, describe, it } from "@effect/vitest"
import { VirtualClock } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TimerQueue } from "../../src/internal/base/timerQueue.ts"
import { failsWith } from "../support/connections.ts"
import { amount } from "../support/edition.ts"
import { Random } from "../support/random.ts"
import * as Scripted from "../support/scripted.ts"

describe.each([0, 1_700_000_000_000])(
  "a deadline between two milliseconds, with a clock that begins at %d",
  (startsAt) => {
    const onClock = <A, E>(self: Effect.Effect<A, E>) => Effect.provide(self, VirtualClock.layer({ startsAt }))

    it.live("fires the timers of a timer queue", () =>
      Effect.gen(function*() {
        const random = new Random(1)
        const clock = yield* Effect.clock
        const timers = new TimerQueue(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
        yield* Effect.fork(timers.run)
        for (let i = 0; i < amount(200, 1000); i += 1) {
          const at = timers.now() + 1000 * random.next()
          const firedAt = yield* Effect.async<number>((resume) => {
            timers.set({ deadline: 0, position: -1, fire: (now) => resume(Effect.succeed(now)) }, at)
          })
          assert.isTrue(at <= firedAt && firedAt <= at + 2, `${firedAt} instead of ${at}`)
        }
      }).pipe(onClock))

    it.live("ends the reply timeout of a connection", () =>
      Effect.gen(function*() {
        const random = new Random(2)
        for (let i = 0; i < amount(30, 100); i += 1) {
          yield* Clock.sleep(random.next())
          const replyTimeout = 1000 * random.next()
          yield* Effect.scoped(Effect.flatMap(
            Scripted.open({ replyTimeout }),
            ([connection]) => failsWith(connection.touch("1"), "ConnectionLost")
          ))
        }
      }).pipe(onClock))
  }
)
