/** A retry Schedule of five steps, with a chance in each of them. */
import * as Schedule from "effect/Schedule"

export const fiveSteps = Schedule.exponential("100 seconds").pipe(
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(5))
)
