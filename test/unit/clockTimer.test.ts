/** The timer of the embedded server, by Effect's Clock. */
import { assert, describe, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as ClockTimer from "../../src/internal/embedded/clockTimer.ts"

describe("ClockTimer", () => {
  it.scoped("fires every 2^31-1 ms until a later time: JavaScript has no longer timers", () =>
    Effect.gen(function*() {
      const sleeps: Array<number> = []
      const clock = yield* Effect.clock
      const spy: Clock.Clock = {
        ...clock,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        sleep: (duration) => {
          sleeps.push(Number(duration.value._tag === "Millis" ? duration.value.millis : Number.NaN))
          return clock.sleep(duration)
        }
      }
      const longest = 2 ** 31 - 1
      let fired = 0
      const timer: ClockTimer.ClockTimer = yield* Effect.withClock(
        ClockTimer.make(() => {
          fired += 1
          if (timer.now() < 2 ** 32 - 1) timer.set(2 ** 32 - 1)
        }),
        spy
      )
      timer.set(2 ** 32 - 1)
      yield* TestClock.adjust(longest)
      assert.strictEqual(fired, 1)
      yield* TestClock.adjust(longest)
      yield* TestClock.adjust(1)
      assert.strictEqual(fired, 3)
      assert.deepStrictEqual(sleeps, [longest, longest, 1])
    }))

  it.scoped("fires once, at the earliest of the times that were set", () =>
    Effect.gen(function*() {
      const fired: Array<number> = []
      const timer: ClockTimer.ClockTimer = yield* ClockTimer.make(() => fired.push(timer.now()))
      timer.set(3000)
      timer.set(5000)
      timer.set(2000)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(fired, [2000])
      timer.set(9000)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(fired, [2000, 10_000])
    }))

  it.effect("does not fire after the end of its scope", () =>
    Effect.gen(function*() {
      let fired = 0
      const timer = yield* Effect.scoped(Effect.tap(ClockTimer.make(() => fired += 1), (timer) => timer.set(1000)))
      timer.set(500)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(fired, 0)
    }))
})
