import { assert, describe, it } from "@effect/vitest"
import { Job } from "effect-beanstalk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { nextMacrotask } from "../../src/internal/base/macrotask.ts"
import { type FailedRun, make, type RetryDelay } from "../../src/internal/worker/retryDelay.ts"

const jobId = Schema.decodeSync(Job.JobId)

const firstRun: FailedRun<string> = {
  id: jobId("1"),
  server: "server",
  attempt: 1,
  failure: "refused",
  age: 0,
  duration: 0,
  delayedBy: 0
}

/** The delay in seconds after a failed run. */
const after = <R>(delayAfter: RetryDelay<string, R>, run: Partial<FailedRun<string>> = {}) =>
  Effect.map(
    delayAfter({ ...firstRun, ...run }),
    Option.match({ onNone: () => "done" as const, onSome: Duration.toSeconds })
  )

const upToRun = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

/** The delays after the first runs, for a worker that has not seen the failures before. */
const unseen = <R>(schedule: Schedule.Schedule<unknown, string, R>, runs: number, run?: Partial<FailedRun<string>>) =>
  Effect.forEach(upToRun(runs), (attempt) => after(make(schedule), { ...run, attempt }))

/** The delays after the first runs, for a worker that has seen them all. */
const seen = <R>(schedule: Schedule.Schedule<unknown, string, R>, runs: number, run?: Partial<FailedRun<string>>) => {
  const delayAfter = make(schedule)
  return Effect.forEach(upToRun(runs), (attempt) => after(delayAfter, { ...run, attempt }))
}

/** A Schedule that notes the failures for which it takes a step. */
const noting = () => {
  const noted: Array<string> = []
  const schedule = Schedule.tapInput(
    Schedule.linear("1 second"),
    (failure: string) => Effect.sync(() => noted.push(failure))
  )
  return { noted, schedule }
}

describe("the delays of a retry Schedule", () => {
  it.effect.each([["seen", seen], ["not seen", unseen]] as const)(
    "are those of the Schedule, and end with it, if the failures before are %s",
    ([, delays]) =>
      Effect.gen(function*() {
        const schedule = Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(4)))
        assert.deepStrictEqual(yield* delays(schedule, 6), [1, 2, 4, 8, "done", "done"])
      })
  )

  it.effect("are jittered by the id of the job and the number of the run, and the same in every process", () =>
    Effect.gen(function*() {
      const schedule = Schedule.jittered(Schedule.spaced("1 second"))
      const delays = yield* seen(schedule, 5)
      assert.deepStrictEqual(yield* unseen(schedule, 5), delays)
      assert.strictEqual(new Set(delays).size, 5)
      assert.notDeepEqual(yield* seen(schedule, 5, { id: jobId("2") }), delays)
    }))

  it.effect("depend on the latest failure", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("1 second").pipe(
        Schedule.whileInput((failure: string) => failure !== "fatal")
      )
      assert.deepStrictEqual(yield* unseen(schedule, 2), [1, 2])
      assert.deepStrictEqual(yield* unseen(schedule, 2, { failure: "fatal" }), ["done", "done"])
    }))

  it.effect.each([["seen", seen], ["not seen", unseen]] as const)(
    "depend on the present time, whichever run it was, if the failures before are %s",
    ([, delays]) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.UTC(2026, 0, 1, 7, 45))
        assert.deepStrictEqual(yield* delays(Schedule.minuteOfHour(0), 3), [900, 900, 900])
        assert.deepStrictEqual(yield* delays(Schedule.cron("50 7 * * *", "UTC"), 3), [300, 300, 300])
      })
  )

  it.effect("depend on the real time between failures, if all were seen", () =>
    Effect.gen(function*() {
      const delayAfter = make(Schedule.upTo(Schedule.spaced("10 minutes"), "35 minutes"))
      assert.strictEqual(yield* after(delayAfter), 600)
      yield* TestClock.adjust("34 minutes")
      assert.strictEqual(yield* after(delayAfter, { attempt: 2 }), 600)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* after(delayAfter, { attempt: 3 }), "done")
    }))

  it.effect("depend on the age of the job, if earlier failures were not seen", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const schedule = Schedule.upTo(Schedule.spaced("1 minute"), "35 minutes")
      const lastRun = { attempt: 4, duration: 120_000, delayedBy: 60_000 }
      assert.strictEqual(yield* after(make(schedule), { ...lastRun, age: 34 * 60_000 }), 60)
      assert.strictEqual(yield* after(make(schedule), { ...lastRun, age: 35 * 60_000 }), "done")
      // Of the second run the delay before it tells when the first one failed, however long the job waited for that.
      assert.strictEqual(yield* after(make(schedule), { ...lastRun, attempt: 2, age: 35 * 60_000 }), 60)
    }))

  it.effect("depend on no time before the job was put, if a kick ended its delay", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const schedule = Schedule.upTo(Schedule.spaced("1 minute"), "35 minutes")
      assert.strictEqual(yield* after(make(schedule), { attempt: 2, age: 60_000, delayedBy: 3_600_000 }), 60)
    }))

  it.effect("do not depend on an age that the server's clock made negative", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const delayAfter = make(Schedule.fixed("50 minutes"))
      assert.strictEqual(yield* after(delayAfter, { attempt: 2, age: -3600_000, delayedBy: 60_000 }), 50 * 60)
    }))

  it.effect("are computed by one step for a failure, if those before were seen", () =>
    Effect.gen(function*() {
      const { noted, schedule } = noting()
      const delayAfter = make(schedule)
      for (const attempt of [1, 2, 3]) assert.strictEqual(yield* after(delayAfter, { attempt }), attempt)
      assert.strictEqual(noted.length, 3)
      // The failures between were seen by another worker.
      assert.strictEqual(yield* after(delayAfter, { attempt: 7 }), 7)
      assert.strictEqual(noted.length, 7)
    }))

  it.effect("are computed by the same step again if the server did not carry out the release", () =>
    Effect.gen(function*() {
      const { noted, schedule } = noting()
      const delayAfter = make(schedule)
      for (const attempt of [1, 2, 2]) assert.strictEqual(yield* after(delayAfter, { attempt }), attempt)
      assert.strictEqual(noted.length, 3)
    }))

  it.effect("are computed by the same step again if the job was buried, and is kicked", () =>
    Effect.gen(function*() {
      const { noted, schedule } = noting()
      const delayAfter = make(Schedule.whileInput(schedule, (failure) => failure !== "fatal"))
      assert.strictEqual(yield* after(delayAfter, { attempt: 2 }), 2)
      assert.strictEqual(yield* after(delayAfter, { attempt: 3, failure: "fatal" }), "done")
      assert.strictEqual(yield* after(delayAfter, { attempt: 3 }), 3)
      assert.deepStrictEqual(noted, ["refused", "refused", "fatal", "refused"])
      const limited = noting()
      const limitedDelay = make(Schedule.zipLeft(limited.schedule, Schedule.recurs(2)))
      for (const _ of [1, 2]) assert.strictEqual(yield* after(limitedDelay, { attempt: 3 }), "done")
      assert.strictEqual(limited.noted.length, 4)
    }))

  it.effect("are those of a new job, if another server process gives the same id to it", () =>
    Effect.gen(function*() {
      const { noted, schedule } = noting()
      const delayAfter = make(schedule)
      for (const attempt of [1, 2, 3]) yield* after(delayAfter, { attempt })
      assert.strictEqual(yield* after(delayAfter, { attempt: 4, server: "another" }), 4)
      assert.strictEqual(noted.length, 7)
      assert.strictEqual(yield* after(delayAfter, { id: jobId("2") }), 1)
    }))

  it.effect("leave other fibers their turn while they are computed for a job that failed very often", () =>
    Effect.gen(function*() {
      const { schedule } = noting()
      let turns = 0
      const other = yield* Effect.fork(Effect.forever(Effect.zipRight(nextMacrotask, Effect.sync(() => turns += 1))))
      const delay = yield* after(make(schedule), { attempt: 100_000 })
      yield* Fiber.interrupt(other)
      assert.strictEqual(delay, 100_000)
      assert.isAtLeast(turns, 1000)
    }))

  it.effect("are not computed further than to the end of the Schedule", () =>
    Effect.gen(function*() {
      const { noted, schedule } = noting()
      assert.strictEqual(yield* after(make(Schedule.zipLeft(schedule, Schedule.recurs(3))), { attempt: 1e9 }), "done")
      assert.strictEqual(noted.length, 4)
    }))
})
