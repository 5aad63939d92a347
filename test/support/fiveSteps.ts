/** A jittered retry Schedule of five steps. */
import * as Schedule from "effect/Schedule"

export const fiveSteps = Schedule.exponential("100 seconds").pipe(
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(5))
)
