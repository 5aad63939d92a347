import * as Effect from "effect/Effect"

/** The time in milliseconds. Those of a Clock follow the wall clock, which may be set; its nanoseconds do not. */
export const time: Effect.Effect<() => number> = Effect.map(
  Effect.clock,
  (clock) => () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
)
