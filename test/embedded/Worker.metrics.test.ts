/** The metrics of a worker. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import * as Stream from "effect/Stream"
import { newTube } from "../support/connections.ts"

class Boom extends Data.TaggedError("Boom")<{}> {}

const ownTube = Effect.map(newTube, (name) => Tube.text(`metrics-${name}`))

/** Provides an embedded server and a client of it, in virtual time. */
const inVirtualTime = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  test.pipe(
    Effect.scoped,
    Effect.provide(BeanstalkClient.layer()),
    Effect.provide(EmbeddedServer.layer()),
    Effect.provide(VirtualClock.layer())
  )

/** Waits for this many events. */
const events = (worker: Worker.Worker, count: number) => Stream.runDrain(Stream.take(worker.events, count))

/** Waits for this many events of a worker, and shuts it down. */
const shutDownAfter = (count: number) => <E, R>(worker: Effect.Effect<Worker.Worker, E, R>) =>
  Effect.flatMap(worker, (worker) => Effect.zipRight(events(worker, count), worker.shutdown))

const countOf = (counter: Metric.Metric.Counter<number>) => Effect.map(Metric.value(counter), ({ count }) => count)

const valueOf = (gauge: Metric.Metric.Gauge<number>) => Effect.map(Metric.value(gauge), ({ value }) => value)

/** The count and the sum of a histogram. */
const measured = (histogram: Metric.Metric.Histogram<number>) =>
  Effect.map(Metric.value(histogram), ({ count, sum }) => [count, sum])

/** A Clock on which sleeps end later than they should. */
const lateClock = (clock: Clock.Clock, late: Duration.DurationInput): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanos: clock.currentTimeNanos,
  unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
  unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
  sleep: (duration) => clock.sleep(Duration.sum(duration, late))
})

describe("the metrics of a worker", () => {
  it.effect("count its jobs by outcome", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      yield* Effect.forEach(["done", "done", "again", "bury", "discard"], (payload) => tube.put(payload))
      let failures = 0
      const handle = (payload: string): Effect.Effect<void, Boom | Worker.Order> => {
        switch (payload) {
          case "bury":
            return new Worker.Bury({})
          case "discard":
            return new Worker.Discard({})
          case "again":
            return (failures += 1) < 3 ? new Boom() : Effect.void
          default:
            return Effect.void
        }
      }
      yield* shutDownAfter(7)(Worker.make(tube, handle, { metrics: true }))
      const { jobs } = Worker.metrics(tube.name, "memory")
      const expected = { Completed: 3, Retried: 2, Buried: 1, Discarded: 1, LeaseLost: 0 }
      assert.deepStrictEqual(
        yield* Effect.all({
          Completed: countOf(jobs.Completed),
          Retried: countOf(jobs.Retried),
          Buried: countOf(jobs.Buried),
          Discarded: countOf(jobs.Discarded),
          LeaseLost: countOf(jobs.LeaseLost)
        }),
        expected
      )
    }).pipe(inVirtualTime))

  it.effect("are 0 for every outcome when the worker starts", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      yield* Worker.make(tube, () => Effect.void, { metrics: true })
      const started = (yield* Metric.snapshot).flatMap(({ metricKey, metricState }) =>
        metricKey.name === "beanstalk.worker.jobs" && metricKey.tags.some(({ value }) => value === tube.name)
          ? [metricState]
          : []
      )
      assert.deepStrictEqual(started, Array.from({ length: 9 }, () => MetricState.counter(0)))
    }).pipe(inVirtualTime))

  it.effect("have the tags that OpenTelemetry requires, of the server too", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      yield* tube.put("job")
      yield* shutDownAfter(1)(Worker.make(tube, () => Effect.void, { metrics: true }))
      const tagsOf = (name: string) =>
        Effect.map(Metric.snapshot, (pairs) =>
          pairs.filter(({ metricKey: { name: other, tags } }) =>
            other === name && tags.some(({ value }) =>
              value === tube.name
            )
          ).map(({ metricKey }) => Object.fromEntries(metricKey.tags.map(({ key, value }) => [key, value]))))
      const own = {
        "messaging.system": "beanstalkd",
        "messaging.destination.name": tube.name,
        "server.address": "queue.internal",
        "server.port": "11300"
      }
      assert.deepStrictEqual(yield* tagsOf("messaging.process.duration"), [
        { unit: "s", "messaging.operation.name": "process", ...own }
      ])
      assert.deepStrictEqual(yield* tagsOf("beanstalk.worker.lanes"), [{ unit: "{connection}", ...own }])
      assert.deepStrictEqual(yield* tagsOf("beanstalk.worker.active_jobs"), [{ unit: "{message}", ...own }])
    }).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer()),
      Effect.provide(Layer.scoped(
        Connector.Connector,
        Effect.map(EmbeddedServer.make(), ({ connector }) => ({ ...connector, address: "queue.internal:11300" }))
      )),
      Effect.provide(VirtualClock.layer())
    ))

  it.effect("count lost leases", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* tube.put("long")
      const worker = yield* Worker.make(
        tube,
        () => Effect.zipRight(server.inject(EmbeddedServer.Fault.Cut()), Effect.never),
        { metrics: true }
      )
      yield* events(worker, 1)
      assert.strictEqual(yield* countOf(Worker.metrics(tube.name, "memory").jobs.LeaseLost), 1)
    }).pipe(inVirtualTime))

  it.effect("measure the duration of handlers, by their error if they fail", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      yield* Effect.forEach(["2", "7", "fail", "die", "late"], (payload) => tube.put(payload))
      const handle = (payload: string) => {
        switch (payload) {
          case "fail":
            return Effect.delay(new Boom(), "3 seconds")
          case "die":
            return Effect.dieMessage("died")
          case "late":
            return Effect.never
          default:
            return Effect.delay(Effect.void, Number(payload) * 1000)
        }
      }
      const retry = Worker.make(tube, handle, { metrics: true, timeout: "11 seconds" })
      yield* shutDownAfter(5)(retry)
      const { duration, failedDuration } = Worker.metrics(tube.name, "memory")
      assert.deepStrictEqual(yield* measured(duration), [2, 9])
      assert.deepStrictEqual(yield* measured(failedDuration("Boom")), [1, 3])
      assert.deepStrictEqual(yield* measured(failedDuration("defect")), [1, 0])
      assert.deepStrictEqual(yield* measured(failedDuration("interrupt")), [1, 11])
    }).pipe(inVirtualTime))

  it.effect("measure how long a job was ready before its first run, but not before a later run", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      let runs = 0
      const handle = () => (runs += 1) === 1 ? new Worker.RetryAfter({ delay: "1 minute" }) : Effect.void
      yield* tube.put("delayed", { delay: "5 seconds" })
      yield* Effect.delay(shutDownAfter(2)(Worker.make(tube, handle, { metrics: true })), "12500 millis")
      assert.deepStrictEqual(yield* measured(Worker.metrics(tube.name, "memory").wait), [1, 7])
    }).pipe(inVirtualTime))

  it.effect("send stats-job for the waiting time of at most one job in 100 ms", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      for (const _ of Array.from({ length: 25 })) yield* tube.put("job")
      const worker = Worker.make(tube, () => Effect.delay(Effect.void, "10 millis"), { metrics: true })
      yield* shutDownAfter(25)(worker)
      assert.deepStrictEqual(yield* measured(Worker.metrics(tube.name, "memory").wait), [3, 0])
      const { cmdStatsJob } = yield* Effect.flatMap(
        BeanstalkClient.BeanstalkClient,
        (client) => client.stats
      )
      assert.strictEqual(cmdStatsJob, 3)
    }).pipe(inVirtualTime))

  it.effect("measure how late jobs are touched", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      const done = yield* Deferred.make<void>()
      yield* tube.put("long", { ttr: "60 seconds" })
      const worker = yield* Effect.withClock(
        Worker.make(tube, () => Deferred.await(done), { metrics: true }),
        lateClock(yield* Effect.clock, "3 seconds")
      )
      // A touch is due at 20 seconds.
      yield* Effect.delay(Deferred.succeed(done, undefined), "30 seconds")
      yield* worker.shutdown
      assert.deepStrictEqual(yield* measured(Worker.metrics(tube.name, "memory").lateness), [1, 3])
    }).pipe(inVirtualTime))

  it.effect("are the numbers of jobs and connections of all workers of the tube", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      const { held, lanes } = Worker.metrics(tube.name, "memory")
      const done = yield* Deferred.make<void>()
      const start = Worker.make(tube, () => Deferred.await(done), { metrics: true, concurrency: 2 })
      const one = yield* start
      const other = yield* start
      assert.deepStrictEqual([yield* valueOf(held), yield* valueOf(lanes)], [0, 2])
      for (const _ of Array.from({ length: 4 })) yield* tube.put("job")
      yield* Effect.delay(Effect.void, "1 second")
      assert.deepStrictEqual([yield* valueOf(held), yield* valueOf(lanes)], [4, 4])
      yield* Deferred.succeed(done, undefined)
      yield* one.shutdown
      assert.strictEqual(yield* valueOf(held), 0)
      assert.isAbove(yield* valueOf(lanes), 0)
      yield* other.shutdown
      assert.deepStrictEqual([yield* valueOf(held), yield* valueOf(lanes)], [0, 0])
    }).pipe(inVirtualTime))

  it.effect("count an abandoned handler as Interrupted, and neither hold its job nor measure its duration", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      const started = yield* Deferred.make<void>()
      yield* tube.put("for ever")
      const worker = yield* Worker.make(
        tube,
        () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.uninterruptible(Effect.never)),
        { metrics: true }
      )
      yield* Deferred.await(started)
      yield* worker.shutdown
      const { duration, failedDuration, held, jobs, lanes } = Worker.metrics(tube.name, "memory")
      assert.deepStrictEqual([yield* valueOf(held), yield* valueOf(lanes)], [0, 0])
      assert.strictEqual(yield* countOf(jobs.Interrupted), 1)
      assert.deepStrictEqual([...yield* measured(duration), ...yield* measured(failedDuration("interrupt"))], [
        0,
        0,
        0,
        0
      ])
    }).pipe(inVirtualTime))

  it.effect("have the tags that are set around the worker", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      yield* tube.put("job")
      yield* shutDownAfter(1)(
        Effect.tagMetrics(Worker.make(tube, () => Effect.void, { metrics: true }), "region", "north")
      )
      const { duration, jobs } = Worker.metrics(tube.name, "memory")
      assert.strictEqual(yield* countOf(jobs.Completed), 0)
      assert.strictEqual(yield* Effect.tagMetrics(countOf(jobs.Completed), "region", "north"), 1)
      assert.strictEqual(
        yield* Effect.tagMetrics(Effect.map(measured(duration), ([count]) => count), "region", "north"),
        1
      )
    }).pipe(inVirtualTime))

  it.effect("are not updated without the option", () =>
    Effect.gen(function*() {
      const tube = yield* ownTube
      yield* tube.put("job")
      yield* shutDownAfter(1)(Worker.make(tube, () => Effect.void))
      const { cmdStatsJob } = yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.stats)
      assert.strictEqual(cmdStatsJob, 0)
      const updated = (yield* Metric.snapshot).filter(({ metricKey }) =>
        metricKey.tags.some(({ value }) => value === tube.name)
      )
      assert.deepStrictEqual(updated, [])
    }).pipe(inVirtualTime))
})
