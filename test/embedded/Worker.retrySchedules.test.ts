/** A `retry` Schedule beside `Effect.retry`: the times at which a job, or an Effect, that takes its time and fails is run again. */
import { assert, describe, it } from "@effect/vitest"
import { Tube, Worker, WorkerTest } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Decision from "effect/ScheduleDecision"
import * as Interval from "effect/ScheduleInterval"
import * as Intervals from "effect/ScheduleIntervals"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { unlogged } from "../support/workers.ts"

const tube = Tube.text("work", { ttr: "1 hour" })

/** A quarter to eight on a Thursday. */
const startsAt = Date.UTC(2026, 0, 1, 7, 45)

class Refused extends Data.TaggedError("Refused")<{ readonly run: number }> {}

class Days extends Context.Tag("test/Days")<Days, number>() {}

type Retry = Schedule.Schedule<unknown, Refused>

/** How long each run takes, in seconds: also longer than the delays. */
type Durations = (run: number) => number

const various: Durations = (run) => [40, 7, 785, 3, 3600, 61][(run - 1) % 6]!

const runs = 6

/** Fails until the last run. Notes when each run begins. */
const failing = (durations: Durations) => {
  const startedAt: Array<number> = []
  const attempt = Effect.gen(function*() {
    startedAt.push(yield* Clock.currentTimeMillis)
    const run = startedAt.length
    yield* Effect.sleep(Duration.seconds(durations(run)))
    if (run < runs) yield* new Refused({ run })
  })
  return { attempt, startedAt: Effect.sync(() => startedAt.map((at) => new Date(at).toISOString())) }
}

const inVirtualTime = <A, E>(test: Effect.Effect<A, E, Layer | Scope.Scope>) =>
  test.pipe(
    Effect.scoped,
    Effect.provide(WorkerTest.layerVirtual({ startsAt })),
    Effect.provide(unlogged),
    // The Clock of the Layer would stay set in the calling fiber: it is provided to a fiber of its own.
    Effect.fork,
    Effect.flatMap(Fiber.join)
  )

type Layer = Effect.Effect.Context<ReturnType<typeof WorkerTest.drain<unknown, never>>>

const retriedByEffect = (retry: Retry, durations: Durations) =>
  inVirtualTime(Effect.suspend(() => {
    const { attempt, startedAt } = failing(durations)
    return Effect.zipRight(Effect.ignore(Effect.retry(attempt, retry)), startedAt)
  }))

const retriedByWorker = (retry: Retry, durations: Durations) =>
  inVirtualTime(Effect.gen(function*() {
    const { attempt, startedAt } = failing(durations)
    yield* tube.put("")
    yield* WorkerTest.drain(tube, () => attempt, { retry, within: "10000 days" })
    return yield* startedAt
  }))

/** Each run is that of a worker that has not seen the job before. */
const retriedByWorkers = (retry: Retry, durations: Durations) =>
  inVirtualTime(Effect.gen(function*() {
    const { attempt, startedAt } = failing(durations)
    yield* tube.put("")
    const runOnce = Effect.scoped(Effect.gen(function*() {
      const worker = yield* WorkerTest.make(tube, () => attempt, { retry, reserveSlice: "1 day" })
      return yield* WorkerTest.awaitEvent(worker, (event) => event._tag !== "ShutdownReport")
    }))
    yield* Effect.repeat(runOnce, { while: (event) => event._tag === "Retried" })
    return yield* startedAt
  }))

const minute = Schedule.spaced("1 minute")

const isEarly = ({ run }: Refused) => run < 5

/** All delays are whole seconds, one at least. */
const schedules: Readonly<Record<string, Retry>> = {
  // constructors
  cron: Schedule.cron("0 3 * * *", "UTC"),
  "cron of every quarter of an hour": Schedule.cron("*/15 * * * *"),
  "cron of every ten seconds": Schedule.cron("*/10 * * * * *"),
  dayOfMonth: Schedule.dayOfMonth(31),
  dayOfWeek: Schedule.dayOfWeek(2),
  delayedSchedule: Schedule.delayedSchedule(Schedule.map(Schedule.count, (n) => Duration.minutes(n + 1))),
  duration: Schedule.duration("3 minutes"),
  exponential: Schedule.exponential("1 second"),
  "exponential with a factor": Schedule.exponential("1 second", 3),
  fibonacci: Schedule.fibonacci("2 seconds"),
  fixed: Schedule.fixed("2 hours"),
  fromDelay: Schedule.fromDelay("9 seconds"),
  fromDelays: Schedule.fromDelays("1 second", "1 hour", "2 seconds", "1 day"),
  hourOfDay: Schedule.hourOfDay(3),
  linear: Schedule.linear("7 seconds"),
  makeWithState: Schedule.makeWithState(3, (now, _, state) =>
    Effect.succeed(
      [
        state * 2,
        state,
        state > 20 ? Decision.done : Decision.continueWith(Interval.after(now + state * 1000))
      ] as const
    )),
  minuteOfHour: Schedule.minuteOfHour(0),
  secondOfMinute: Schedule.secondOfMinute(30),
  spaced: minute,
  stop: Schedule.stop,
  windowed: Schedule.windowed("15 minutes"),
  // combinators: their delays
  addDelay: Schedule.addDelay(Schedule.count, (n) => Duration.seconds(n + 2)),
  addDelayEffect: Schedule.addDelayEffect(Schedule.count, (n) => Effect.succeed(Duration.seconds(n + 2))),
  delayed: Schedule.delayed(minute, Duration.times(3)),
  delayedEffect: Schedule.delayedEffect(minute, (delay) => Effect.succeed(Duration.times(delay, 2))),
  delays: Schedule.delays(minute),
  modifyDelay: Schedule.modifyDelay(minute, (n, delay) => Duration.times(delay, n + 1)),
  modifyDelayEffect: Schedule.modifyDelayEffect(minute, (n) => Effect.succeed(Duration.seconds(n + 1))),
  // combinators: one after the other, and both together
  andThen: Schedule.andThen(Schedule.intersect(Schedule.fixed("2 hours"), Schedule.recurs(3)), minute),
  andThenEither: Schedule.andThenEither(Schedule.fromDelays("2 seconds", "4 seconds"), Schedule.windowed("1 hour")),
  bothInOut: Schedule.mapInput(
    Schedule.bothInOut(minute, Schedule.linear("45 seconds")),
    (failure: Refused) => [failure, failure] as const
  ),
  compose: Schedule.compose(Schedule.linear("20 seconds"), Schedule.windowed("1 minute")),
  either: Schedule.either(Schedule.exponential("1 second"), Schedule.spaced("10 seconds")),
  eitherWith: Schedule.eitherWith(minute, Schedule.fixed("7 minutes"), Intervals.max),
  intersect: Schedule.intersect(Schedule.fixed("2 hours"), Schedule.recurs(4)),
  "intersect of the calendar": Schedule.intersect(Schedule.hourOfDay(3), Schedule.minuteOfHour(20)),
  intersectWith: Schedule.intersectWith(minute, Schedule.fixed("7 minutes"), Intervals.max),
  union: Schedule.union(Schedule.fibonacci("1 minute"), Schedule.spaced("4 minutes")),
  unionWith: Schedule.unionWith(minute, Schedule.linear("25 seconds"), Intervals.max),
  zipLeft: Schedule.zipLeft(Schedule.linear("1 minute"), Schedule.recurs(3)),
  zipRight: Schedule.zipRight(minute, Schedule.recurs(3)),
  zipWith: Schedule.zipWith(minute, Schedule.recurs(4), (left, right) => left + right),
  // combinators: when it ends, or begins anew
  check: Schedule.check(minute, ({ run }: Refused, n) => run + n < 6),
  checkEffect: Schedule.checkEffect(minute, ({ run }: Refused, n) => Effect.succeed(run + n < 6)),
  recurs: Schedule.zipLeft(minute, Schedule.recurs(4)),
  recurUntil: Schedule.zipLeft(minute, Schedule.recurUntil(({ run }: Refused) => run === 3)),
  recurUntilEffect: Schedule.zipLeft(
    minute,
    Schedule.recurUntilEffect(({ run }: Refused) => Effect.succeed(run === 3))
  ),
  recurUntilOption: Schedule.zipLeft(
    minute,
    Schedule.recurUntilOption(Option.liftPredicate(({ run }: Refused) => run === 3))
  ),
  recurUpTo: Schedule.zipLeft(minute, Schedule.recurUpTo("17 minutes")),
  recurWhile: Schedule.zipLeft(minute, Schedule.recurWhile(isEarly)),
  recurWhileEffect: Schedule.zipLeft(
    minute,
    Schedule.recurWhileEffect((failure: Refused) => Effect.succeed(isEarly(failure)))
  ),
  resetAfter: Schedule.resetAfter(Schedule.exponential("1 second"), "15 minutes"),
  resetWhen: Schedule.resetWhen(Schedule.exponential("1 second"), (delay) => Duration.toSeconds(delay) > 4),
  untilInput: Schedule.untilInput(minute, ({ run }: Refused) => run > 4),
  untilInputEffect: Schedule.untilInputEffect(minute, ({ run }: Refused) => Effect.succeed(run > 4)),
  untilOutput: Schedule.untilOutput(minute, (n) => n > 2),
  untilOutputEffect: Schedule.untilOutputEffect(minute, (n) => Effect.succeed(n > 2)),
  upTo: Schedule.upTo(minute, "70 minutes"),
  whileInput: Schedule.whileInput(minute, isEarly),
  whileInputEffect: Schedule.whileInputEffect(minute, (failure: Refused) => Effect.succeed(isEarly(failure))),
  whileOutput: Schedule.whileOutput(minute, (n) => n < 4),
  whileOutputEffect: Schedule.whileOutputEffect(minute, (n) => Effect.succeed(n < 4)),
  // combinators: inputs and outputs, from which these take the delays
  as: Schedule.as(minute, "again"),
  asVoid: Schedule.asVoid(minute),
  collectAllOutputs: Schedule.addDelay(
    Schedule.collectAllOutputs(Schedule.passthrough(Schedule.recurWhile(isEarly))),
    (failures) => Duration.seconds(failures.length + 1)
  ),
  collectUntil: Schedule.addDelay(
    Schedule.collectUntil(({ run }: Refused) => run > 4),
    (failures) => Duration.seconds(failures.length + 1)
  ),
  collectUntilEffect: Schedule.addDelay(
    Schedule.collectUntilEffect(({ run }: Refused) => Effect.succeed(run > 4)),
    (failures) => Duration.seconds(failures.length + 1)
  ),
  collectWhile: Schedule.addDelay(Schedule.collectWhile(isEarly), (failures) => Duration.seconds(failures.length + 1)),
  collectWhileEffect: Schedule.addDelay(
    Schedule.collectWhileEffect((failure: Refused) => Effect.succeed(isEarly(failure))),
    (failures) => Duration.seconds(failures.length + 1)
  ),
  elapsed: Schedule.addDelay(Schedule.elapsed, Duration.sum("1 second")),
  ensuring: Schedule.ensuring(Schedule.fromDelays("1 second", "2 seconds"), Effect.void),
  fromFunction: Schedule.addDelay(
    Schedule.fromFunction(({ run }: Refused) => run * 10),
    Duration.seconds
  ),
  identity: Schedule.addDelay(Schedule.identity<Refused>(), ({ run }) => Duration.minutes(run)),
  map: Schedule.map(minute, String),
  mapBoth: Schedule.mapBoth(Schedule.recurWhile((run: number) => run < 4).pipe(Schedule.addDelay(Duration.seconds)), {
    onInput: ({ run }: Refused) => run,
    onOutput: String
  }),
  mapBothEffect: Schedule.mapBothEffect(
    Schedule.recurWhile((run: number) => run < 4).pipe(Schedule.addDelay(Duration.seconds)),
    { onInput: ({ run }: Refused) => Effect.succeed(run), onOutput: Effect.succeed }
  ),
  mapEffect: Schedule.addDelay(Schedule.mapEffect(Schedule.count, (n) => Effect.succeed(n * 3 + 1)), Duration.seconds),
  mapInput: Schedule.mapInput(
    Schedule.recurWhile((run: number) => run < 4).pipe(Schedule.addDelay(Duration.seconds)),
    ({ run }: Refused) => run
  ),
  mapInputContext: Schedule.mapInputContext(
    Schedule.addDelayEffect(Schedule.forever, () => Effect.map(Days, Duration.days)),
    () => Context.make(Days, 2)
  ),
  mapInputEffect: Schedule.mapInputEffect(
    Schedule.recurWhile((run: number) => run < 4).pipe(Schedule.addDelay(Duration.seconds)),
    ({ run }: Refused) => Effect.succeed(run)
  ),
  onDecision: Schedule.onDecision(minute, () => Effect.void),
  passthrough: Schedule.addDelay(
    Schedule.passthrough(Schedule.recurWhile(isEarly)),
    ({ run }) => Duration.seconds(run)
  ),
  provideContext: Schedule.provideContext(
    Schedule.addDelayEffect(Schedule.forever, () => Effect.map(Days, Duration.days)),
    Context.make(Days, 3)
  ),
  provideService: Schedule.provideService(
    Schedule.addDelayEffect(Schedule.forever, () => Effect.map(Days, Duration.days)),
    Days,
    4
  ),
  repetitions: Schedule.addDelay(Schedule.repetitions(minute), Duration.seconds),
  succeed: Schedule.addDelay(Schedule.succeed("1 minute" as const), (delay) => delay),
  sync: Schedule.addDelay(Schedule.sync(() => "2 minutes" as const), (delay) => delay),
  tapInput: Schedule.tapInput(minute, () => Effect.void),
  tapOutput: Schedule.tapOutput(minute, () => Effect.void),
  unfold: Schedule.addDelay(Schedule.unfold(1, (n) => n * 3), Duration.seconds)
}

/** They depend on all failures, of which a worker knows those that it has seen. */
const remembering: Readonly<Record<string, Retry>> = {
  andThen: Schedule.andThen(Schedule.whileInput(minute, ({ run }: Refused) => run !== 3), Schedule.spaced("1 hour")),
  collectAllInputs: Schedule.addDelay(
    Schedule.collectAllInputs<Refused>(),
    (failures) => Duration.seconds(Array.from(failures).reduce((sum, { run }) => sum + run, 1))
  ),
  reduce: Schedule.addDelay(
    Schedule.reduce(Schedule.identity<Refused>(), 1, (sum, { run }) => sum + run),
    Duration.seconds
  ),
  reduceEffect: Schedule.addDelay(
    Schedule.reduceEffect(Schedule.identity<Refused>(), 1, (sum, { run }) => Effect.succeed(sum + run)),
    Duration.seconds
  )
}

/** Some delays are below one second, or are no whole seconds. */
const fractional: Readonly<Record<string, Retry>> = {
  count: Schedule.count,
  elapsed: Schedule.elapsed,
  exponential: Schedule.exponential("100 millis"),
  "fixed while runs take longer": Schedule.fixed("1 minute"),
  forever: Schedule.forever,
  "hourOfDay within that hour": Schedule.intersect(Schedule.hourOfDay(new Date(startsAt).getHours()), minute),
  identity: Schedule.identity<Refused>(),
  once: Schedule.once,
  recurs: Schedule.recurs(3),
  recurUntil: Schedule.recurUntil(({ run }: Refused) => run === 3),
  recurUpTo: Schedule.recurUpTo("17 minutes"),
  recurWhile: Schedule.recurWhile(isEarly),
  repeatForever: Schedule.repeatForever,
  spaced: Schedule.spaced("1001 millis"),
  windowed: Schedule.windowed("1500 millis")
}

const wholeSeconds = (delay: Duration.Duration) => Duration.seconds(Math.max(1, Math.ceil(Duration.toSeconds(delay))))

describe("rule 18: a job is run at the times at which Effect.retry runs an Effect", () => {
  it.live.each(Object.entries({ ...schedules, ...remembering }))(
    "rule 18: with Schedule.%s",
    ([, retry]) =>
      Effect.gen(function*() {
        const expected = yield* retriedByEffect(retry, various)
        assert.deepStrictEqual(yield* retriedByWorker(retry, various), expected)
      })
  )

  it.live.each(Object.entries(fractional))(
    "rule 18: with delays rounded up to whole seconds: Schedule.%s",
    ([, retry]) =>
      Effect.gen(function*() {
        const expected = yield* retriedByEffect(Schedule.delayed(retry, wholeSeconds), various)
        assert.deepStrictEqual(yield* retriedByWorker(retry, various), expected)
      })
  )

  it.live.each(Object.entries(schedules))(
    "rule 18: by workers that have not seen its earlier failures, if runs take the same time: Schedule.%s",
    ([, retry]) =>
      Effect.gen(function*() {
        const expected = yield* retriedByEffect(retry, () => 40)
        assert.deepStrictEqual(yield* retriedByWorkers(retry, () => 40), expected)
      })
  )
})

describe("rule 18: what differs from Effect.retry", () => {
  it.live("rule 18: the jitter depends on the id of the job and the number of the run alone", () =>
    Effect.gen(function*() {
      const retry = Schedule.jittered(Schedule.spaced("1000 seconds"))
      const startedAt = yield* retriedByWorker(retry, () => 0)
      assert.deepStrictEqual(yield* retriedByWorkers(retry, () => 0), startedAt)
      const times = startedAt.map(Date.parse)
      const delays = times.slice(1).map((at, run) => (at - times[run]!) / 1000)
      assert.strictEqual(new Set(delays).size, runs - 1)
      for (const delay of delays) {
        assert.isAtLeast(delay, 800)
        assert.isAtMost(delay, 1200)
      }
    }))

  it.live.each(Object.entries(remembering))(
    "rule 18: a worker takes the latest failure for those that it has not seen: Schedule.%s",
    ([, retry]) =>
      Effect.gen(function*() {
        const expected = yield* retriedByEffect(retry, () => 40)
        const startedAt = yield* retriedByWorkers(retry, () => 40)
        assert.deepStrictEqual(startedAt.slice(0, 2), expected.slice(0, 2))
        assert.notDeepEqual(startedAt, expected)
      })
  )
})

describe("rule 18: the Effects in a Schedule", () => {
  /** Notes what each Effect in a Schedule is called with. */
  const observed = (calls: Array<string>) => {
    const note = (name: string) => (value: unknown) =>
      Effect.sync(() => {
        calls.push(`${name} ${value instanceof Refused ? value.run : String(value)}`)
      })
    return Schedule.recurs(runs - 2).pipe(
      Schedule.addDelayEffect((n) => Effect.as(note("addDelay")(n), "1 second")),
      Schedule.delayedEffect((delay) => Effect.as(note("delayed")(Duration.toMillis(delay)), delay)),
      Schedule.modifyDelayEffect((n, delay) => Effect.as(note("modifyDelay")(n), delay)),
      Schedule.checkEffect((failure: Refused) => Effect.as(note("check")(failure), true)),
      Schedule.reduceEffect(0, (sum, n) => Effect.as(note("reduce")(n), sum + n)),
      Schedule.mapEffect((n) => Effect.as(note("map")(n), n)),
      Schedule.mapInputEffect((failure: Refused) => Effect.as(note("mapInput")(failure), failure)),
      Schedule.tapInput((failure: Refused) => note("tapInput")(failure)),
      Schedule.tapOutput((n) => note("tapOutput")(n)),
      Schedule.onDecision((n, { _tag }) => note(_tag)(n)),
      Schedule.ensuring(Effect.suspend(() => note("ensuring")("")))
    )
  }

  it.live("rule 18: are run once for each failure, as Effect.retry runs them", () =>
    Effect.gen(function*() {
      const expected: Array<string> = []
      yield* retriedByEffect(observed(expected), various)
      const calls: Array<string> = []
      yield* retriedByWorker(observed(calls), various)
      assert.deepStrictEqual(calls, expected)
      assert.strictEqual(calls.filter((call) => call.startsWith("tapInput")).length, runs - 1)
    }))

  it.live("rule 18: are run for earlier failures too by a worker that has not seen these, with the latest one", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const retry = Schedule.tapInput(minute, ({ run }: Refused) => Effect.sync(() => seen.push(run)))
      yield* retriedByWorkers(retry, various)
      assert.deepStrictEqual(seen.slice(0, 10), [1, 2, 2, 3, 3, 3, 4, 4, 4, 4])
    }))

  it.live("rule 18: are run once for a failure with RetryAfter, when the job has failed again", () =>
    Effect.gen(function*() {
      let seen = 0
      const retry = Schedule.tapInput(minute, () => Effect.sync(() => seen += 1))
      const seenBefore: Array<number> = []
      yield* inVirtualTime(Effect.gen(function*() {
        yield* tube.put("")
        yield* WorkerTest.drain(tube, () =>
          Effect.gen(function*() {
            const run = seenBefore.push(seen)
            if (run === runs) return
            return yield* run % 2 === 0 ? new Worker.RetryAfter({ delay: "1 second" }) : new Refused({ run })
          }), { retry })
      }))
      assert.deepStrictEqual(seenBefore, [0, 1, 1, 3, 3, 5])
    }))

  it.live("rule 18: are run once for each failure of a job that is buried, and kicked", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const retry = Schedule.recurs(1).pipe(Schedule.tapInput(({ run }: Refused) => Effect.sync(() => seen.push(run))))
      yield* inVirtualTime(Effect.gen(function*() {
        const { attempt } = failing(() => 1)
        yield* tube.put("")
        const worker = yield* WorkerTest.make(tube, () => attempt, { retry })
        yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Buried"))
        yield* tube.kick(1)
        yield* Stream.runDrain(Stream.take(Stream.filter(worker.events, Worker.Event.$is("Buried")), 2))
      }))
      assert.deepStrictEqual(seen, [1, 2, 3])
    }))
})
