/** Time comes in fractions of milliseconds, and numbers round them: whoever waits for a moment is woken all the same. */
import { assert, describe, it } from "@effect/vitest"
import { VirtualClock } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TimerQueue } from "../../src/internal/base/timerQueue.ts"
import { failsWith } from "../support/connections.ts"
import { amount } from "../support/edition.ts"
import { Random } from "../support/random.ts"
import * as Scripted from "../support/scripted.ts"

describe.each([0, 1_700_000_000_000])("a moment between two milliseconds, in a time that begins at %d", (startsAt) => {
  const inTime = <A, E>(self: Effect.Effect<A, E>) => Effect.provide(self, VirtualClock.layer({ startsAt }))

  it.live("comes for all appointments of a worker", () =>
    Effect.gen(function*() {
      const random = new Random(1)
      const clock = yield* Effect.clock
      const timers = new TimerQueue(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
      yield* Effect.fork(timers.run)
      for (let i = 0; i < amount(200, 1000); i += 1) {
        const at = timers.now() + 1000 * random.next()
        const keptAt = yield* Effect.async<number>((resume) => {
          timers.set({ deadline: 0, position: -1, fire: (now) => resume(Effect.succeed(now)) }, at)
        })
        assert.isTrue(at <= keptAt && keptAt <= at + 2, `${keptAt} instead of ${at}`)
      }
    }).pipe(inTime))

  it.live("comes for a server that is silent for too long", () =>
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
    }).pipe(inTime))
})
