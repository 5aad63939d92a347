/** Advances a `TestClock`, which only moves when it is adjusted, to the end of the next sleep, whenever no fiber can run. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TestClock } from "effect/TestClock"
import { nextMacrotask } from "../base/macrotask.ts"

/** Never ends on a `TestClock`. Does nothing on any other Clock, which moves by itself. */
export const advanceTestClock: Effect.Effect<void> = Effect.clockWith((clock) =>
  isTestClock(clock) ? Effect.forever(toNextSleep(clock)) : Effect.void
)

const isTestClock = (clock: Clock.Clock): clock is TestClock => "setTime" in clock && "sleeps" in clock

const toNextSleep = (clock: TestClock): Effect.Effect<void> =>
  Effect.gen(function*() {
    // The embedded server answers some macrotasks later, without a sleep that `clock.sleeps` would list: time that moved
    // before that would overtake the reply.
    yield* Effect.repeatN(nextMacrotask, 10)
    const next = Math.min(...yield* clock.sleeps)
    if (Number.isFinite(next)) yield* clock.setTime(next)
  })
