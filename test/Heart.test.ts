/** The appointments of a worker. */
import { assert, describe, it } from "@effect/vitest"
import { VirtualClock } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Heart } from "../src/internal/heart.ts"

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
})
