/** Many timers on one fiber. */
import { assert, describe, it } from "@effect/vitest"
import { VirtualClock } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TimerQueue } from "../../src/internal/base/timerQueue.ts"
import * as Scripted from "../support/scripted.ts"

describe("a timer queue", () => {
  it.live("fires at deadlines between two nanoseconds, and less than a millisecond late", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const timers = new TimerQueue(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
      yield* Effect.fork(timers.run)
      for (const fraction of [0, 1 / 3, 2 / 3, Math.PI, 0.836677]) {
        yield* Clock.sleep(fraction)
        const at = timers.now() + 300 + fraction / 7
        yield* Effect.async<void>((resume) => {
          timers.set({ deadline: 0, position: -1, fire: () => resume(Effect.void) }, at)
        })
        assert.isAtLeast(timers.now(), at)
        assert.isBelow(timers.now(), at + 1)
      }
    }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer())))

  it.effect("is not woken by timers that are set and cancelled at once", () =>
    Effect.gen(function*() {
      let reads = 0
      const timers = new TimerQueue(() => {
        reads += 1
        return 0
      })
      const timer = () => ({ deadline: 0, position: -1, fire: () => {} })
      yield* Effect.fork(timers.run)
      timers.set(timer(), 10_000)
      yield* Scripted.turn
      const before = reads
      for (let job = 0; job < 100; job++) {
        const done = timer()
        timers.set(done, 300)
        timers.cancel(done)
        yield* Scripted.turn
      }
      assert.isAtLeast(before, 1)
      assert.strictEqual(reads, before)
    }).pipe(Effect.scoped))

  it.live("is woken once for each deadline that a timer had, while it is moved to a later one", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      let reads = 0
      const timers = new TimerQueue(() => {
        reads += 1
        return Number(clock.unsafeCurrentTimeNanos()) / 1e6
      })
      yield* Effect.fork(timers.run)
      const timer = { deadline: 0, position: -1, fire: () => {} }
      timers.set(timer, 31_000)
      yield* Clock.sleep("1 second")
      const before = reads
      // As the reply deadline of a worker that waits: a reply each 30 s moves it on by 30 s.
      for (let reply = 1; reply <= 100; reply++) {
        yield* Clock.sleep("29 seconds")
        timers.set(timer, 31_000 + reply * 30_000)
        yield* Clock.sleep("1 second")
      }
      assert.isAtMost(reads - before, 101)
    }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer())))
})
