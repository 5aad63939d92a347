/** The appointments of a worker. */
import { assert, describe, it } from "@effect/vitest"
import { VirtualClock } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Heart } from "../src/internal/base/timerQueue.ts"
import * as Scripted from "./support/scripted.ts"

describe("the heart of a worker", () => {
  it.live("keeps appointments between two nanoseconds, and not a millisecond late", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const heart = new Heart(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
      yield* Effect.fork(heart.beat)
      for (const fraction of [0, 1 / 3, 2 / 3, Math.PI, 0.836677]) {
        yield* Clock.sleep(fraction)
        const at = heart.now() + 300 + fraction / 7
        yield* Effect.async<void>((resume) => {
          heart.set({ at: 0, position: -1, keep: () => resume(Effect.void) }, at)
        })
        assert.isAtLeast(heart.now(), at)
        assert.isBelow(heart.now(), at + 1)
      }
    }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer())), { timeout: 3000 })

  it.effect("is not woken by what is done at once, whatever is appointed for later", () =>
    Effect.gen(function*() {
      let looks = 0
      const heart = new Heart(() => {
        looks += 1
        return 0
      })
      const appointment = () => ({ at: 0, position: -1, keep: () => {} })
      yield* Effect.fork(heart.beat)
      heart.set(appointment(), 10_000)
      yield* Scripted.turn
      const before = looks
      for (let job = 0; job < 100; job++) {
        const done = appointment()
        heart.set(done, 300)
        heart.cancel(done)
        yield* Scripted.turn
      }
      assert.isAtLeast(before, 1)
      assert.strictEqual(looks, before)
    }).pipe(Effect.scoped))
})
