import { assert, describe, it } from "@effect/vitest"
import { Job } from "effect-beanstalk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { delayAfter } from "../../src/internal/worker/retryDelay.ts"

const jobId = Schema.decodeSync(Job.JobId)

/** The delays in milliseconds after each of the first runs, each computed from the number of the run alone. */
const delaysOf = <E>(schedule: Schedule.Schedule<unknown, E>, { failure, id = "1", runs }: {
  readonly failure: E
  readonly id?: string
  readonly runs: number
}) =>
  Effect.forEach(
    Array.from({ length: runs }, (_, index) => index + 1),
    (attempt) =>
      Effect.map(
        delayAfter(schedule, { id: jobId(id), attempt, failure }),
        Option.match({ onNone: () => "done" as const, onSome: Duration.toMillis })
      )
  )

describe("the delays of a retry Schedule", () => {
  it.effect("are those of the Schedule, and end with it", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(4)))
      assert.deepStrictEqual(yield* delaysOf(schedule, { failure: "no", runs: 6 }), [
        1000,
        2000,
        4000,
        8000,
        "done",
        "done"
      ])
    }))

  it.effect("are jittered by the id of the job, and the same in every process", () =>
    Effect.gen(function*() {
      const schedule = Schedule.jittered(Schedule.exponential("1 second"))
      const one = yield* delaysOf(schedule, { failure: "no", id: "1", runs: 5 })
      assert.deepStrictEqual(yield* delaysOf(schedule, { failure: "no", id: "1", runs: 5 }), one)
      assert.notDeepEqual(yield* delaysOf(schedule, { failure: "no", id: "2", runs: 5 }), one)
    }))

  it.effect("depend on the latest failure", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("1 second").pipe(
        Schedule.whileInput((failure: string) => failure !== "fatal")
      )
      assert.deepStrictEqual(yield* delaysOf(schedule, { failure: "transient", runs: 2 }), [1000, 2000])
      assert.deepStrictEqual(yield* delaysOf(schedule, { failure: "fatal", runs: 2 }), ["done", "done"])
    }))

  it.effect("depend on the time since the first run, computed from the delays before", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const schedule = Schedule.spaced("10 minutes").pipe(Schedule.upTo("35 minutes"))
      assert.deepStrictEqual(yield* delaysOf(schedule, { failure: "no", runs: 5 }), [
        600_000,
        600_000,
        600_000,
        600_000,
        "done"
      ])
    }))

  it.effect("depend on the present time", () =>
    Effect.gen(function*() {
      // A quarter to eight: the next full hour is in fifteen minutes, whichever run it was.
      yield* TestClock.setTime(Date.UTC(2026, 0, 1, 7, 45))
      const schedule = Schedule.minuteOfHour(0)
      const [first] = yield* delaysOf(schedule, { failure: "no", runs: 1 })
      assert.strictEqual(first, 15 * 60_000)
    }))
})
