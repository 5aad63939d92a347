/**
 * The delay that a `retry` Schedule gives for a failed run: the Schedule is stepped as `Effect.retry` steps it, without sleeping.
 *
 * The server counts how often a job has failed, but keeps no state of a Schedule, and any worker may get the job next. A worker
 * therefore remembers where the Schedules of its jobs are. The steps of failures that were decided elsewhere it takes itself,
 * with what it knows of them: how many there were, and roughly when.
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as Decision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"
import type { JobId } from "../../Job.ts"
import { nextMacrotask } from "../base/macrotask.ts"
import { RecentMap } from "../base/recentMap.ts"

/** A run that failed. Times are in milliseconds. */
export interface FailedRun<out E> {
  readonly id: JobId
  /** The process of the server that gave the id. Another process gives the same ids to other jobs. */
  readonly server: string
  /** The number of the run, counted from 1. */
  readonly attempt: number
  readonly failure: E
  /** How old the job was when the run began. */
  readonly age: number
  readonly duration: number
  /** The delay with which the job was released before the run. */
  readonly delayedBy: number
}

/** How long to wait before the next run; none when the Schedule is done. */
export type RetryDelay<in E, out R> = (
  run: FailedRun<E>
) => Effect.Effect<Option.Option<Duration.Duration>, never, R>

/** Where the Schedule of a job is before the step for the failure of this run. */
interface Position {
  readonly attempt: number
  readonly state: unknown
  /** When that run fails, as far as is known at the step before. */
  readonly at: number
  /** The delay that the step before gave. */
  readonly delay: number
}

/** For the default Schedule a job takes 0.7 kB. */
const rememberedJobs = 10_000

/** A step of the default Schedule takes some 15 µs: after a millisecond it is the turn of other jobs, and of their touches. */
const stepsInATurn = 64

export const make = <E, R>(schedule: Schedule.Schedule<unknown, E, R>): RetryDelay<E, R> => {
  const start: Position = { attempt: 1, state: schedule.initial, at: Number.NEGATIVE_INFINITY, delay: 0 }
  const remembered = new RecentMap<string, ReadonlyArray<Position>>(rememberedJobs)
  return (run) =>
    Effect.suspend(() => {
      const job = `${run.server} ${run.id}`
      const isReached = ({ attempt }: Position) => attempt <= run.attempt
      const from = Option.getOrElse(Arr.findLast(remembered.get(job) ?? [], isReached), () => start)
      return Effect.match(steps(schedule, run, from), {
        onFailure: (last) => {
          remembered.set(job, [last])
          return Option.none()
        },
        // The position before the step is kept for a failure with the same number: of a job that was kicked after it was buried,
        // or whose release the server did not carry out.
        onSuccess: ([last, next]) => {
          remembered.set(job, [last, next])
          return Option.some(Duration.millis(next.delay))
        }
      })
    })
}

/** The positions before and after the last step. Fails with the position at which the Schedule is done. */
const steps = <E, R>(
  schedule: Schedule.Schedule<unknown, E, R>,
  run: FailedRun<E>,
  from: Position
): Effect.Effect<readonly [last: Position, next: Position], Position, R> =>
  Effect.gen(function*() {
    const reached = yield* earlierSteps(schedule, run, from)
    const last = { ...reached, at: yield* Clock.currentTimeMillis }
    // The jitter of a delay is the same whichever worker computes it.
    const next = yield* Effect.withRandom(step(schedule, run, last), Random.make(`${run.id} ${run.attempt}`))
    return [last, next] as const
  })

/** Takes the steps for the failures before this one that the worker has not taken yet. */
const earlierSteps = <E, R>(
  schedule: Schedule.Schedule<unknown, E, R>,
  run: FailedRun<E>,
  from: Position
): Effect.Effect<Position, Position, R> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    // The age is negative after the server's clock was set back, and a kick ends a delay early.
    const age = Math.max(0, run.age)
    const previousAt = now - run.duration - Math.min(run.delayedBy, age)
    // As if the first run had begun when the job was put, and all runs had taken as long as this one.
    const firstAt = now - age
    const timeOf = ({ at, attempt }: Position) =>
      attempt === run.attempt - 1 ? previousAt : Math.min(Math.max(at, firstAt), previousAt)
    return Effect.iterate(from, {
      while: ({ attempt }) => attempt < run.attempt,
      body: (position) => {
        const next = step(schedule, run, { ...position, at: timeOf(position) })
        return position.attempt % stepsInATurn === 0 ? Effect.zipRight(nextMacrotask, next) : next
      }
    })
  }).pipe(Effect.withRandom(Random.make(run.id)))

/** The position after a step. Fails with the one before it if the Schedule is done. */
const step = <E, R>(
  schedule: Schedule.Schedule<unknown, E, R>,
  { duration, failure }: FailedRun<E>,
  position: Position
): Effect.Effect<Position, Position, R> =>
  Effect.flatMap(schedule.step(position.at, failure, position.state), ([state, , decision]) => {
    if (Decision.isDone(decision)) return Effect.fail(position)
    const delay = Math.max(0, Intervals.start(decision.intervals) - position.at)
    return Effect.succeed({ attempt: position.attempt + 1, state, at: position.at + delay + duration, delay })
  })
