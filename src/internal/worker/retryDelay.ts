/**
 * What a retry Schedule says about the next attempt, without sleeping and without memory.
 *
 * The server counts how often a job has failed. From that number alone the Schedule is stepped again, by whoever has the
 * job now, so that back-off survives restarts and is shared by all machines.
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
  /** Which run it was that failed, counted from 1. */
  readonly attempt: number
  readonly failure: E
}

/** How long to wait before the next run; none when there is to be no other. */
export const delayAfter = <E, R>(
  schedule: Schedule.Schedule<unknown, E, R>,
  attempt: Attempt<E>
): Effect.Effect<Option.Option<Duration.Duration>, never, R> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    // A Schedule may ask how late it is: the step of today must see today, and the first one when it will have been.
    const rehearsal = yield* delays(schedule, attempt, now)
    const since = rehearsal.slice(0, -1).reduce((sum, delay) => sum + delay, 0)
    const played = yield* delays(schedule, attempt, now - since)
    return Option.map(Option.fromNullable(played[attempt.attempt - 1]), Duration.millis)
  })

/** The delays, in milliseconds, behind each run up to this one, as far as the Schedule goes on. */
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
    // The same job has the same luck in whatever process.
  }).pipe(Effect.withRandom(Random.make(id)))
