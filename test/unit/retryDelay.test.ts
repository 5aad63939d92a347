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

/** The delays in milliseconds after each of the first runs, each asked for as by a process that knows nothing but the number. */
const plan = <E>(schedule: Schedule.Schedule<unknown, E>, { failure, id = "1", runs }: {
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

describe("a retry plan", () => {
  it.effect("grows as the Schedule does, and ends with it", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(4)))
      assert.deepStrictEqual(yield* plan(schedule, { failure: "no", runs: 6 }), [
        1000,
        2000,
        4000,
        8000,
        "done",
        "done"
      ])
    }))

  it.effect("has a job's own luck, the same in every process", () =>
    Effect.gen(function*() {
      const schedule = Schedule.jittered(Schedule.exponential("1 second"))
      const one = yield* plan(schedule, { failure: "no", id: "1", runs: 5 })
      assert.deepStrictEqual(yield* plan(schedule, { failure: "no", id: "1", runs: 5 }), one)
      assert.notDeepEqual(yield* plan(schedule, { failure: "no", id: "2", runs: 5 }), one)
    }))

  it.effect("sees the failure at hand", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("1 second").pipe(
        Schedule.whileInput((failure: string) => failure !== "fatal")
      )
      assert.deepStrictEqual(yield* plan(schedule, { failure: "transient", runs: 2 }), [1000, 2000])
      assert.deepStrictEqual(yield* plan(schedule, { failure: "fatal", runs: 2 }), ["done", "done"])
    }))

  it.effect("has been going on for as long as the delays before it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const schedule = Schedule.spaced("10 minutes").pipe(Schedule.upTo("35 minutes"))
      assert.deepStrictEqual(yield* plan(schedule, { failure: "no", runs: 5 }), [
        600_000,
        600_000,
        600_000,
        600_000,
        "done"
      ])
    }))

  it.effect("ends on the calendar of today", () =>
    Effect.gen(function*() {
      // A quarter to eight: the next full hour is in fifteen minutes, whichever run it was.
      yield* TestClock.setTime(Date.UTC(2026, 0, 1, 7, 45))
      const schedule = Schedule.minuteOfHour(0)
      const [first] = yield* plan(schedule, { failure: "no", runs: 1 })
      assert.strictEqual(first, 15 * 60_000)
    }))
})
