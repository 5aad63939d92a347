import * as Effect from "effect/Effect"

/**
 * A function that returns the monotonic time in milliseconds. `currentTimeMillis` of a Clock follows the wall clock, which
 * can be set back; its nanoseconds do not.
 */
export const monotonicMillis: Effect.Effect<() => number> = Effect.map(
  Effect.clock,
  (clock) => () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
)
