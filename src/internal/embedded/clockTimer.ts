/** A timer by Effect's Clock, for code that is not an Effect. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"

export interface ClockTimer {
  /** In milliseconds since 1970, with the fractions that the Clock has. */
  readonly now: () => number
  /** Sets the timer, unless it is set to an earlier time. It fires once; early if the time is more than 24 days away. */
  readonly set: (at: number) => void
}

/** The longest time that JavaScript's own timers can be set to, in milliseconds. */
const longestSleep = 2 ** 31 - 1

/** A timer that does not fire after the end of its scope, even if it is set then. */
export const make = (onFire: () => void): Effect.Effect<ClockTimer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const run = yield* FiberHandle.makeRuntime<never>()
    let firesAt = Number.POSITIVE_INFINITY

    // The nanoseconds of a Clock do not follow the wall clock when that is set. Only their difference fits into a number.
    const start = clock.unsafeCurrentTimeMillis()
    const startNanos = clock.unsafeCurrentTimeNanos()
    const now = () => start + Number(clock.unsafeCurrentTimeNanos() - startNanos) / 1e6

    const fire = Effect.sync(() => {
      firesAt = Number.POSITIVE_INFINITY
      onFire()
    })

    const set = (at: number) => {
      if (at >= firesAt) return
      firesAt = at
      const left = Math.min(Math.max(Math.ceil(at - now()), 0), longestSleep)
      run(Effect.andThen(clock.sleep(Duration.millis(left)), fire))
    }

    return { now, set }
  })
