/**
 * The delay that a `retry` Schedule gives for a failed run, without sleeping.
 *
 * The server counts how often a job has failed. The worker that holds the job steps the Schedule that many times, from its
 * initial state: no worker keeps a state for a job, so that back-off survives restarts and is the same on every machine.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as Decision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"
import type { JobId } from "../../Job.ts"

export interface Attempt<out E> {
  readonly id: JobId
  /** The number of the run that failed, counted from 1. */
  readonly attempt: number
  readonly failure: E
}

/** How long to wait before the next run; none when the Schedule is done. */
export const delayAfter = <E, R>(
  schedule: Schedule.Schedule<unknown, E, R>,
  attempt: Attempt<E>
): Effect.Effect<Option.Option<Duration.Duration>, never, R> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    // A Schedule may depend on the time of its steps, as `Schedule.elapsed` does: the last step must see the present time, and
    // each earlier one a time in the past. How far in the past takes a first pass.
    const firstPass = yield* delays(schedule, attempt, now)
    const elapsed = firstPass.slice(0, -1).reduce((sum, delay) => sum + delay, 0)
    const secondPass = yield* delays(schedule, attempt, now - elapsed)
    return Option.map(Option.fromNullable(secondPass[attempt.attempt - 1]), Duration.millis)
  })

/** The delays, in milliseconds, after each run up to this one; fewer if the Schedule is done earlier. */
const delays = <E, R>(
  schedule: Schedule.Schedule<unknown, E, R>,
  { attempt, failure, id }: Attempt<E>,
  start: number
) =>
  Effect.gen(function*() {
    const delays: Array<number> = []
    let state = schedule.initial
    let now = start
    while (delays.length < attempt) {
      const [next, , decision] = yield* schedule.step(now, failure, state)
      if (Decision.isDone(decision)) break
      const delay = Math.max(0, Intervals.start(decision.intervals) - now)
      delays.push(delay)
      state = next
      now += delay
    }
    return delays
    // Jitter is the same whichever process computes it.
  }).pipe(Effect.withRandom(Random.make(id)))
