/** Lets time pass on a `TestClock`, which nobody else does: from sleeper to sleeper, whenever all is quiet. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TestClock } from "effect/TestClock"
import { nextMacrotask } from "../base/macrotask.ts"

/** Any other clock goes by itself. */
export const advance: Effect.Effect<void> = Effect.clockWith((clock) =>
  isTestClock(clock) ? Effect.forever(toNextSleeper(clock)) : Effect.void
)

const isTestClock = (clock: Clock.Clock): clock is TestClock => "setTime" in clock && "sleeps" in clock

const toNextSleeper = (clock: TestClock): Effect.Effect<void> =>
  Effect.gen(function*() {
    // What was written to a server in memory is answered some turns later, and `TestClock` sees nothing of it.
    yield* Effect.repeatN(nextMacrotask, 10)
    const next = Math.min(...yield* clock.sleeps)
    if (Number.isFinite(next)) yield* clock.setTime(next)
  })
