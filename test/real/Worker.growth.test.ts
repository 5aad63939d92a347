/**
 * The memory, the fibers, the timers and the handles of a worker do not grow with the number of jobs and of cut connections: they
 * are measured whenever all jobs are completed.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs for twenty minutes, or `EFFECT_BEANSTALK_MINUTES`, with a cut in each, and prints figures.
 */
import { assert, it } from "@effect/vitest"
import { BeanstalkClient, Tube, Worker } from "effect-beanstalk"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, newTube } from "../support/connections.ts"
import { stress } from "../support/edition.ts"
import * as Scripted from "../support/scripted.ts"
import { describeOnOne } from "../support/servers.ts"

const rounds = stress ? Number(process.env["EFFECT_BEANSTALK_MINUTES"] ?? 20) : 4

/** How many jobs are put at once. The next batch is put when all are completed. */
const batch = 500

/** How often batches are put in a round: at most 5,000 jobs in a second. */
const pace = stress ? Schedule.upTo(Schedule.fixed("100 millis"), "1 minute") : Schedule.recurs(4)

/** The number of rounds until all code is compiled, and everything that is allocated once is allocated. */
const warmUp = 2

const mebibyte = 2 ** 20

/** The most growth in bytes, which is the error of measurement. One lease kept for each job would be twice as much. */
const most = 2.5 * mebibyte

// what a worker holds ----------------------------------------------------------------------------------------------------------

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const bytesInUse = Effect.sync(() => {
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
})

/** Array buffers, and what finalizers hold, are freed some time after the garbage collection. */
const bytesHeld = Effect.map(
  Effect.replicateEffect(Effect.zipLeft(bytesInUse, Scripted.turn), 3),
  (readings) => Math.min(...readings)
)

/** Root fibers, timers, and other handles that keep a process alive, such as sockets. */
const resourcesHeld = Effect.map(Fiber.roots, (roots) => {
  const handles = process.getActiveResourcesInfo()
  const timers = handles.filter((handle) => handle === "Timeout").length
  return { fibers: roots.length, timers, others: handles.length - timers }
})

type Resources = Effect.Effect.Success<typeof resourcesHeld>

/** The number of timers varies. One for each connection, or for each job, would be more. */
const mostTimers = 10

const isNoMoreThan = (before: Resources) => ({ fibers, others, timers }: Resources) =>
  fibers <= before.fibers && others <= before.others && timers <= mostTimers

const mebibytes = (bytes: number) => (bytes / mebibyte).toFixed(2)

const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(0)

const sumOf = (numbers: ReadonlyArray<number>) => numbers.reduce((sum, number) => sum + number, 0)

/** The growth from one value to the next, by least squares. */
const slopeOf = (values: ReadonlyArray<number>) => {
  const middle = (values.length - 1) / 2
  const over = sumOf(values.map((value, i) => (i - middle) * value))
  return over / sumOf(values.map((_, i) => (i - middle) ** 2))
}

// what is done ----------------------------------------------------------------------------------------------------------

/** The jobs of a batch, and which of them have been run to their end. */
class Batch {
  readonly half = Deferred.unsafeMake<void>(FiberId.none)
  readonly all = Deferred.unsafeMake<void>(FiberId.none)
  readonly first: number
  private readonly isDone = new Uint8Array(batch)
  private count = 0

  constructor(first: number) {
    this.first = first
  }

  /** A job whose connection was cut runs again: one of the batch before may still run, and one of this batch twice. */
  done(job: number): void {
    const index = job - this.first
    if (index < 0 || this.isDone[index] === 1) return
    this.isDone[index] = 1
    this.count += 1
    if (this.count === batch / 2) Deferred.unsafeDone(this.half, Effect.void)
    if (this.count === batch) Deferred.unsafeDone(this.all, Effect.void)
  }
}

/** What handlers do. */
const kinds: ReadonlyArray<(job: Worker.Job) => Effect.Effect<unknown, unknown>> = [
  () => Effect.void,
  ({ stats }) => stats,
  ({ touch }) => touch,
  ({ leaseLost }) => Effect.race(leaseLost, Effect.yieldNow()),
  () => Effect.fail(new Worker.Discard({ reason: "not wanted" }))
]

describeOnOne("the memory and the resources of a worker", {}, (kind) => {
  it.scopedLive("do not grow with the number of jobs and of cut connections", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const proxy = yield* ChaosProxy.make(server)
      const tube = Tube.make(yield* newTube, { payload: Schema.Number })
      const producer = yield* clientTo(server)
      let current = new Batch(-batch)
      const handle = (number: number, job: Worker.Job) =>
        Effect.onExit(
          kinds[number % kinds.length]?.(job) ?? Effect.void,
          (exit) => Effect.sync(() => void (Exit.isInterrupted(exit) || current.done(number)))
        )
      const worker = yield* Worker.make(tube, handle, {
        concurrency: 16,
        idleLaneTimeout: "1 second",
        metrics: true,
        spans: true
      }).pipe(Effect.provideService(BeanstalkClient.BeanstalkClient, yield* clientTo(proxy)))
      let emitted = 0
      yield* Effect.forkScoped(Stream.runForEach(worker.events, () => Effect.sync(() => void (emitted += 1))))

      const nextBatch = (halfway: Effect.Effect<void>) =>
        Effect.suspend(() => {
          const { all, first, half } = current = new Batch(current.first + batch)
          const put = tube.putAll(Stream.range(first, first + batch - 1)).pipe(
            Stream.runDrain,
            Effect.provideService(BeanstalkClient.BeanstalkClient, producer)
          )
          return Effect.all([put, Effect.zipRight(Deferred.await(half), halfway), Deferred.await(all)], {
            concurrency: "unbounded",
            discard: true
          })
        })

      // The producer has a connection, and one lane.
      const idle = Effect.zipRight(
        eventually(worker.stats, ({ lanes, running, waiting }) => lanes === 1 && waiting === 1 && running === 0),
        eventually(producer.stats, ({ currentConnections }) => currentConnections === 2)
      )
      yield* idle
      const before = yield* resourcesHeld
      const bytes: Array<number> = []
      const startedAt = performance.now()
      for (let round = 1; round <= rounds; round += 1) {
        yield* Effect.repeat(nextBatch(Effect.void), pace)
        yield* nextBatch(proxy.cut(round % 2 === 0 ? "FIN" : "RST"))
        yield* idle
        const left = yield* producer.statsTube(tube.name)
        assert.strictEqual(left.currentJobsReady + left.currentJobsDelayed + left.currentJobsBuried, 0)
        const now = yield* eventually(resourcesHeld, isNoMoreThan(before))
        bytes.push(yield* bytesHeld)
        if (stress) {
          const held = `${mebibytes(bytes[round - 1] ?? 0)} MiB, ${JSON.stringify(now)}`
          yield* Console.log(`${seconds(startedAt)} s, ${left.totalJobs} jobs: ${held}`)
        }
      }

      const { totalJobs } = yield* producer.statsTube(tube.name)
      const { outcomes } = yield* worker.stats
      assert.strictEqual(totalJobs, current.first + batch)
      // The Stream delivers events a moment after they are counted.
      yield* eventually(Effect.sync(() => emitted), (emitted) => emitted === sumOf(Object.values(outcomes)))
      assert.isAbove(outcomes.LeaseLost + outcomes.CompletionUnknown, 0)
      assert.isAtLeast(outcomes.Completed + outcomes.Discarded + outcomes.CompletionUnknown, totalJobs)
      const measured = bytes.slice(warmUp - 1)
      const slope = slopeOf(measured)
      if (stress) {
        const rate = (totalJobs / (performance.now() - startedAt) * 1000).toFixed(0)
        yield* Console.log(
          `${rate} jobs/s, ${mebibytes(slope)} MiB more each minute, ${JSON.stringify({ ...before, ...outcomes })}`
        )
      }
      assert.isBelow(slope * (measured.length - 1), most)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None)), (rounds + 2) * 120_000)
})
