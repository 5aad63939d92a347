/**
 * A worker can be interrupted, made quiet and shut down at any moment, also during its shutdown: no job stays reserved, and no
 * connection and no fiber is left.
 */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkClient, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Supervisor from "effect/Supervisor"
import { sample, stress, upTo } from "../support/edition.ts"
import { Stepping } from "../support/stepping.ts"
import { awaitJobEvent, inVirtualTime } from "../support/workers.ts"

/** The steps before which to interfere. */
const stepsOf = (nth: number) => sample(upTo(500), 10, nth)

type Services = BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer

const tube = Tube.text("work", { ttr: "9 seconds" })

/** Runs until it is interrupted. */
const busy = Effect.forever(Effect.yieldNow())

const options = { concurrency: 2, shutdownTimeout: "5 seconds" } as const

const simulated = <A, E>(test: Effect.Effect<A, E, Services>) =>
  inVirtualTime(Effect.timeout(test, "1 hour"), { reconnect: Schedule.spaced("20 minutes") })

/** What the handlers do while the test interferes. */
const handlers = {
  "that end at once": { handler: Effect.yieldNow(), at: "deleted" },
  "that do not end": { handler: Effect.never, at: "reserved" },
  "that fail": { handler: Effect.fail(new Worker.Bury({})), at: "buried" }
} as const

const cases = Object.entries(handlers).map(([name, { at, handler }], nth) => ({
  name,
  at,
  handler,
  steps: stepsOf(nth)
}))

/** Asserts that none of the fibers is alive, no connection watches the tube, and none of its jobs is reserved. */
const leavesNothing = (fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>, when: string) =>
  Effect.gen(function*() {
    const alive = fibers.filter((fiber) => fiber.unsafePoll() === null)
    assert.deepStrictEqual(alive.map((fiber) => fiber.id()), [], when)
    const connections = yield* Effect.flatMap(EmbeddedServer.EmbeddedServer, (server) => server.connections)
    assert.deepStrictEqual(connections.filter(({ watches }) => watches.includes(tube.name)), [], when)
    assert.strictEqual((yield* tube.stats).currentJobsReserved, 0, when)
  })

/** Forks an Effect that runs in small steps, and records it and every fiber that it forks. */
const inSteps = <A, E, R>(self: Effect.Effect<A, E, R>, at: number, interfere: () => void, length?: number) =>
  Effect.gen(function*() {
    const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    const supervisor = new FiberRecorder(fibers)
    const runFork = Runtime.runFork(yield* Effect.runtime<R>())
    const scheduler = new Stepping(at, interfere, length)
    const fiber = runFork(Effect.supervised(self, supervisor), { scheduler, immediate: false })
    return { fibers, fiber, scheduler }
  })

/** Records every fiber that starts. */
class FiberRecorder extends Supervisor.AbstractSupervisor<void> {
  private readonly fibers: Array<Fiber.RuntimeFiber<unknown, unknown>>

  constructor(fibers: Array<Fiber.RuntimeFiber<unknown, unknown>>) {
    super()
    this.fibers = fibers
  }

  override get value() {
    return Effect.void
  }

  override onStart(...[, , , fiber]: Parameters<Supervisor.Supervisor<void>["onStart"]>): void {
    this.fibers.push(fiber)
  }
}

describe("R5: a worker that is interrupted after any number of steps", () => {
  it.live.each(cases)(
    "leaves nothing behind: with handlers $name",
    ({ at, handler, steps }) =>
      Effect.forEach(steps, (k) =>
        simulated(Effect.gen(function*() {
          yield* tube.put("one")
          yield* tube.put("two")
          const last = yield* tube.put("three")
          const stepsBeyond = Effect.zipRight(at === "reserved" ? Effect.void : awaitJobEvent(last, at), busy)
          // A race that is interrupted while it begins may never end.
          const working = Effect.zipRight(Effect.fork(stepsBeyond), Worker.run(tube, () => handler, options))
          const { fiber, fibers } = yield* inSteps(working, k, () => fiber.unsafeInterruptAsFork(FiberId.none))
          assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
          yield* leavesNothing(fibers, `interrupted before step ${k}`)
        })))
  )
})

describe("R5: a worker that is made quiet and resumed while it connects, after any number of steps", () => {
  it.live("takes jobs on another connection", () =>
    Effect.forEach(Array.from({ length: 30 }, (_, index) => 60 + 2 * index), (k) =>
      simulated(Effect.gen(function*() {
        const job = yield* tube.put("one")
        const runFork = Runtime.runFork(yield* Effect.runtime())
        let worker: Worker.Worker | undefined
        const working = Effect.gen(function*() {
          worker = yield* Worker.make(tube, () => Effect.void, options)
          yield* Effect.never
        })
        const interfere = () => {
          if (worker !== undefined) runFork(Effect.zipRight(worker.quiet, worker.resume))
        }
        const { fiber } = yield* inSteps(Effect.scoped(working), k, interfere, 15)
        yield* awaitJobEvent(job, "deleted")
        yield* Fiber.interrupt(fiber)
      }))))
})

/** What the test does to a worker while it shuts down. */
const interferences = {
  "the fiber that waits for it is interrupted": (_: Worker.Worker, waiting: Fiber.RuntimeFiber<unknown>) =>
    Effect.sync(() => waiting.unsafeInterruptAsFork(FiberId.none)),
  "it is shut down a second time": (worker: Worker.Worker) => worker.shutdown,
  "it is resumed": (worker: Worker.Worker) => worker.resume,
  "it is made quiet, and resumed": (worker: Worker.Worker) => Effect.zipRight(worker.quiet, worker.resume)
} as const

const ends = Object.entries(interferences).flatMap(([when, interfere], nth) =>
  cases.flatMap((how, i) => stress || nth % cases.length === i ? [{ when, interfere, ...how }] : [])
)

describe("R5: a worker that is being shut down", () => {
  it.live.each(ends)("leaves nothing behind, when $when after any number of steps: with handlers $name", (
    { handler, interfere, steps }
  ) =>
    Effect.forEach(steps, (k) =>
      simulated(Effect.gen(function*() {
        yield* tube.put("one")
        const last = yield* tube.put("two")
        const scope = yield* Scope.make()
        const runFork = Runtime.runFork(yield* Effect.runtime())
        let interfering: Fiber.RuntimeFiber<unknown> | undefined
        const { fiber: starting, fibers, scheduler } = yield* inSteps(
          Scope.extend(Worker.make(tube, () => handler, options), scope),
          Number.POSITIVE_INFINITY,
          () => {
            interfering = runFork(interfere(worker, waiting))
          }
        )
        const worker = yield* Fiber.join(starting)
        yield* awaitJobEvent(last, "reserved")
        scheduler.at = scheduler.steps + k
        const waiting: Fiber.RuntimeFiber<unknown> = runFork(worker.shutdown)
        const report = yield* worker.await
        yield* Fiber.await(interfering ?? waiting)
        assert.isAtMost(Duration.toMillis(report.duration), 9000)
        yield* leavesNothing(fibers, `${k} steps into the shutdown`)
        yield* Scope.close(scope, Exit.void)
      }))))
})

/** Servers with and without faults. */
const faults: ReadonlyArray<readonly [string, ReadonlyArray<EmbeddedServer.Fault>]> = [
  ["without faults", []],
  ["that refuses connections", [EmbeddedServer.Fault.Refuse()]],
  ["that closes connections", [EmbeddedServer.Fault.CutAfterReply({ bytes: 1100 })]]
]

describe("rule 24: a worker that is made quiet after any number of steps", () => {
  it.live.each(faults.map(([name, injected], nth) => ({ name, injected, steps: stepsOf(nth) })))(
    "closes its connections within 100 ms: with a server $name",
    ({ injected, steps }) =>
      Effect.forEach(steps, (k) =>
        simulated(Effect.gen(function*() {
          yield* tube.put("one")
          yield* tube.put("two")
          const server = yield* EmbeddedServer.EmbeddedServer
          yield* Effect.forEach(injected, server.inject)
          const runFork = Runtime.runFork(yield* Effect.runtime())
          const scope = yield* Scope.make()
          let made: Worker.Worker | undefined
          const working = Effect.tap(Worker.make(tube, () => Effect.yieldNow(), options), (worker) => {
            made = worker
            return Clock.sleep("1 second")
          })
          const { fiber } = yield* inSteps(Scope.extend(working, scope), k, () => {
            if (made !== undefined) runFork(made.quiet)
          })
          const worker = yield* Fiber.join(fiber)
          yield* worker.quiet
          yield* Clock.sleep("100 millis")
          assert.strictEqual((yield* worker.stats).lanes, 0, `quiet before step ${k}`)
          yield* Scope.close(scope, Exit.void)
        })))
  )
})
