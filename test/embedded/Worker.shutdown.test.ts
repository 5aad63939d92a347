/** The shutdown of a worker: it ends in time, leaves no connection and no reserved job, and spends no attempt of a job. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { clientTo } from "../support/clients.ts"
import { Random } from "../support/random.ts"
import * as Scripted from "../support/scripted.ts"
import {
  acceptLane,
  expectAndReply,
  giveJob,
  now,
  startWorker,
  statsJobReply,
  tube as scriptedTube,
  virtualTest
} from "../support/scriptedWorkers.ts"
import { awaitJobEvent, inVirtualTime, jobEvents, start } from "../support/workers.ts"

const tube = Tube.text("work", { ttr: "9 seconds" })

const simulated =
  <A, E>(test: Effect.Effect<A, E, BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Scope.Scope>) =>
  () => Effect.runPromise(inVirtualTime(Effect.timeout(test, "2 hours")))

/** Adds how long an Effect took, in milliseconds. */
const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(self), ([took, result]) => ({ took: Duration.toMillis(took), result }))

/** Asserts that no connection watches the tube, no job is reserved, and a job that is put is not reserved. */
const leavesNothing = Effect.gen(function*() {
  const server = yield* EmbeddedServer.EmbeddedServer
  const late = yield* tube.put("late")
  yield* Effect.sleep("1 minute")
  const connections = yield* server.connections
  assert.deepStrictEqual(
    connections.filter(({ holds, watches }) => holds.length > 0 || watches.includes(tube.name)),
    []
  )
  assert.deepStrictEqual(yield* jobEvents(late), ["put"])
  assert.strictEqual((yield* tube.stats).currentJobsReserved, 0)
  yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.delete(late))
})

/** A worker that runs a job, and all its events, which are complete when it is closed. */
const atWork = <E>(
  handler: Effect.Effect<unknown, E | Worker.Order, Scope.Scope>,
  options?: Worker.Options<string, E>
) =>
  Effect.gen(function*() {
    const { worker } = yield* start(tube, () => handler, options)
    const collecting = yield* Effect.fork(Stream.runCollect(worker.events))
    const id = yield* tube.put("a job")
    yield* awaitJobEvent(id, "reserved")
    return { id, worker, allEvents: Effect.map(Fiber.join(collecting), Array.fromIterable) }
  })

/** In milliseconds. */
const shutdownTimeout = 25_000

const handlers = [
  { name: "of 0.1 s", handler: Effect.sleep(100), outcome: "Completed", within: 100 },
  { name: "of 10 s", handler: Effect.sleep("10 seconds"), outcome: "Completed", within: 10_000 },
  { name: "that never ends", handler: Effect.never, outcome: "Interrupted", within: shutdownTimeout },
  {
    name: "that cleans up for 2 s",
    handler: Effect.onInterrupt(Effect.never, () => Effect.sleep("2 seconds")),
    outcome: "Interrupted",
    within: shutdownTimeout + 2000
  },
  {
    name: "that fails when it is interrupted",
    handler: Effect.catchAllCause(Effect.never, () => Effect.fail("interrupted")),
    outcome: "Interrupted",
    within: shutdownTimeout
  },
  {
    name: "that dies when it is interrupted",
    handler: Effect.onInterrupt(Effect.never, () => Effect.dieMessage("in a finalizer")),
    outcome: "Interrupted",
    within: shutdownTimeout
  },
  {
    name: "that cleans up for ever",
    handler: Effect.onInterrupt(Effect.never, () => Effect.never),
    outcome: "Orphaned",
    within: shutdownTimeout + 3000
  },
  {
    name: "that is uninterruptible",
    handler: Effect.uninterruptible(Effect.sleep("1 hour")),
    outcome: "Orphaned",
    within: shutdownTimeout + 3000
  }
] as const

const waysToClose = [
  ["by its shutdown", (worker: Worker.Worker) => worker.shutdown],
  [
    "by the end of its scope",
    (worker: Worker.Worker, scope: Scope.CloseableScope) => Effect.zipRight(Scope.close(scope, Exit.void), worker.await)
  ]
] as const

describe.each(waysToClose)("R9 and rules 24, 25: a worker that is closed %s", (_, close) => {
  it.each(handlers)(
    "is closed in time, without spending an attempt of a job: with a handler $name",
    ({ handler, outcome, within }) =>
      simulated(Effect.gen(function*() {
        const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
        const { allEvents, id, worker } = yield* Scope.extend(atWork(handler, { retry: Schedule.forever }), scope)
        const awaiting = yield* Effect.fork(worker.await)
        const { result: report, took } = yield* timed(close(worker, scope))
        assert.isAtMost(took, within + 5)
        assert.isAtLeast(took, within - 5)
        assert.deepStrictEqual(report, {
          tube: tube.name,
          drained: outcome === "Completed" ? 1 : 0,
          interrupted: outcome === "Interrupted" ? [id] : [],
          orphaned: outcome === "Orphaned" ? [id] : [],
          duration: report.duration
        })
        assert.closeTo(Duration.toMillis(report.duration), took, 1)
        assert.deepStrictEqual(yield* Fiber.join(awaiting), report)
        const orphaned = outcome === "Orphaned"
        assert.deepStrictEqual(
          (yield* allEvents).map((event) => event._tag === "ShutdownReport" ? "report" : event),
          [
            outcome === "Completed"
              ? Worker.Event.Completed({ tube: tube.name, id })
              : Worker.Event.Interrupted({ tube: tube.name, id, orphaned }),
            "report"
          ]
        )
        if (outcome !== "Completed") {
          const stats = yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.statsJob(id))
          assert.deepStrictEqual([stats.releases, stats.timeouts, stats.buries, stats.state], [0, 0, 0, "ready"])
        }
        yield* leavesNothing
      }))()
  )
})

describe("rule 24: a shutdown", () => {
  it(
    "is one for all callers, with one event",
    simulated(Effect.gen(function*() {
      const { allEvents, worker } = yield* atWork(Effect.sleep("5 seconds"))
      const [one, two] = yield* Effect.all([worker.shutdown, Effect.delay(worker.shutdown, 1000)], { concurrency: 2 })
      assert.strictEqual(one, two)
      assert.strictEqual(yield* worker.shutdown, one)
      assert.deepStrictEqual((yield* allEvents).map(({ _tag }) => _tag), ["Completed", "ShutdownReport"])
    }))
  )

  it(
    "continues if the fiber that waits for it is interrupted",
    simulated(Effect.gen(function*() {
      const { worker } = yield* atWork(Effect.sleep("5 seconds"))
      const waiting = yield* Effect.fork(worker.shutdown)
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* worker.await).drained, 1)
      yield* leavesNothing
    }))
  )

  it(
    "takes no more jobs, and cannot be revoked by resume",
    simulated(Effect.gen(function*() {
      const { worker } = yield* atWork(Effect.sleep("5 seconds"))
      const next = yield* tube.put("next")
      const waiting = yield* Effect.fork(worker.shutdown)
      yield* Effect.sleep(100)
      yield* worker.resume
      assert.strictEqual((yield* Fiber.join(waiting)).drained, 1)
      yield* worker.resume
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(yield* jobEvents(next), ["put"])
      assert.deepStrictEqual((yield* worker.stats).lanes, 0)
    }))
  )

  it(
    "waits for the onExhausted Effect of a job",
    simulated(Effect.gen(function*() {
      const { allEvents, id, worker } = yield* atWork(Effect.fail("no"), {
        retry: Schedule.stop,
        onExhausted: () => Effect.sleep("20 seconds")
      })
      assert.strictEqual((yield* worker.shutdown).drained, 1)
      assert.deepStrictEqual((yield* allEvents).map(({ _tag }) => _tag), ["Discarded", "ShutdownReport"])
      // It was reserved without a break.
      assert.deepStrictEqual(Array.dedupe(yield* jobEvents(id)), ["put", "reserved", "touched", "deleted"])
    }))
  )

  it.each([
    { name: "never ends", last: Effect.never, orphaned: false },
    { name: "cannot be interrupted", last: Effect.uninterruptible(Effect.sleep("1 hour")), orphaned: true }
  ])(
    "gives a job back if its onExhausted Effect $name",
    ({ last, orphaned }) =>
      simulated(Effect.gen(function*() {
        const { allEvents, id, worker } = yield* atWork(Effect.fail("no"), {
          retry: Schedule.stop,
          onExhausted: () => last
        })
        const report = yield* worker.shutdown
        assert.deepStrictEqual([report.interrupted, report.orphaned], orphaned ? [[], [id]] : [[id], []])
        assert.isAtMost(Duration.toMillis(report.duration), shutdownTimeout + 4000)
        assert.deepStrictEqual((yield* allEvents).map(({ _tag }) => _tag), ["Interrupted", "ShutdownReport"])
        assert.deepStrictEqual(Array.dedupe(yield* jobEvents(id)), ["put", "reserved", "touched", "given-back"])
        yield* leavesNothing
      }))()
  )

  it(
    "reports the handlers that it abandons, even if their leases were lost before",
    simulated(Effect.gen(function*() {
      const { id, worker } = yield* atWork(Effect.uninterruptible(Effect.sleep("1 hour")))
      yield* Effect.flatMap(EmbeddedServer.EmbeddedServer, ({ inject }) => inject(EmbeddedServer.Fault.Cut()))
      yield* Effect.sleep("1 second")
      const report = yield* worker.shutdown
      assert.deepStrictEqual([report.drained, report.interrupted, report.orphaned], [0, [], [id]])
    }))
  )

  it(
    "runs the finalizers of a handler before its job is deleted",
    simulated(Effect.gen(function*() {
      const finalized = yield* Deferred.make<number>()
      const finalizer = Effect.zipRight(
        Effect.sleep("2 seconds"),
        Effect.flatMap(now, (at) => Deferred.succeed(finalized, at))
      )
      const { id, worker } = yield* atWork(Effect.addFinalizer(() => finalizer))
      yield* worker.shutdown
      const { journal } = yield* EmbeddedServer.EmbeddedServer
      const deleted = (yield* journal).find((entry) => entry.event === "deleted" && entry.id === id)
      assert.isAtLeast(deleted?.at ?? 0, yield* Deferred.await(finalized))
    }))
  )

  it(
    "does not give back the job of a handler that succeeded while its finalizers run",
    simulated(Effect.gen(function*() {
      const { id, worker } = yield* atWork(Effect.addFinalizer(() => Effect.sleep("26 seconds")))
      assert.strictEqual((yield* worker.shutdown).drained, 1)
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
    }))
  )

  it(
    "ends before Worker.run when that is interrupted",
    simulated(Effect.gen(function*() {
      const running = yield* Effect.fork(Worker.run(tube, () => Effect.sleep("5 seconds")))
      const id = yield* tube.put("a job")
      yield* awaitJobEvent(id, "reserved")
      yield* Fiber.interrupt(running)
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
      yield* leavesNothing
    }))
  )
})

describe("rule 24: a shutdown in other states of the worker", () => {
  const promptly = (worker: Worker.Worker) =>
    Effect.map(timed(worker.shutdown), ({ took }) => assert.isAtMost(took, 10))

  it.each([
    { name: "while it connects", opening: Effect.never },
    { name: "while it waits before it connects again", opening: Effect.fail(Scripted.refused) }
  ])("is prompt: $name", ({ opening }) =>
    virtualTest(Effect.gen(function*() {
      const client = yield* clientTo(yield* Scripted.inMemory({ opening }), { reconnect: Schedule.spaced("1 hour") })
      const { worker } = yield* Effect.provideService(
        start(scriptedTube, () => Effect.void),
        BeanstalkClient.BeanstalkClient,
        client
      )
      yield* Effect.sleep("1 second")
      yield* promptly(worker)
    }))())

  it(
    "is prompt while the server does not reply and no job is held",
    simulated(Effect.gen(function*() {
      const { inject } = yield* EmbeddedServer.EmbeddedServer
      const { worker } = yield* start(tube, () => Effect.void)
      yield* Effect.sleep("1 second")
      yield* inject(EmbeddedServer.Fault.Silence())
      yield* promptly(worker)
    }))
  )

  it(
    "is prompt while a gate waits",
    simulated(Effect.gen(function*() {
      const { worker } = yield* start(tube, () => Effect.void, { gate: Effect.never })
      const id = yield* tube.put("a job")
      yield* Effect.sleep("1 second")
      yield* promptly(worker)
      assert.deepStrictEqual(yield* jobEvents(id), ["put"])
      yield* leavesNothing
    }))
  )

  it(
    "is bounded while a gate waits that cannot be interrupted",
    simulated(Effect.gen(function*() {
      const { worker } = yield* start(tube, () => Effect.void, { gate: Effect.uninterruptible(Effect.sleep("1 hour")) })
      yield* Effect.sleep("1 second")
      const { took } = yield* timed(worker.shutdown)
      assert.isAtMost(took, shutdownTimeout + 4000)
      yield* leavesNothing
    }))
  )

  it(
    "is bounded while the server does not reply and a job is held",
    simulated(Effect.gen(function*() {
      const { allEvents, worker } = yield* atWork(Effect.never)
      const { heal, inject } = yield* EmbeddedServer.EmbeddedServer
      yield* inject(EmbeddedServer.Fault.Silence())
      const { took } = yield* timed(worker.shutdown)
      assert.isAtMost(took, shutdownTimeout + 4000)
      assert.deepStrictEqual((yield* allEvents).map(({ _tag }) => _tag), ["LeaseLost", "ShutdownReport"])
      yield* heal
      yield* leavesNothing
    }))
  )

  it(
    "waits for the reply to a delete",
    virtualTest(Effect.gen(function*() {
      const { event, peer, worker } = yield* startWorker(() => Effect.void)
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* Effect.sleep("5 seconds")
      yield* peer.say("DELETED\r\n")
      assert.strictEqual((yield* Fiber.join(closing)).drained, 1)
      yield* event("Completed")
      yield* peer.closed
    }))
  )

  it(
    "emits CompletionUnknown if the reply to a delete does not come",
    virtualTest(Effect.gen(function*() {
      const { event, peer, worker } = yield* startWorker(() => Effect.void, {}, { replyTimeout: "5 minutes" })
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      const { result, took } = yield* timed(worker.shutdown)
      assert.isAtMost(took, shutdownTimeout + 4000)
      assert.strictEqual(result.drained, 1)
      yield* event("CompletionUnknown")
    }))
  )

  it(
    "waits for a delete that is repeated after its connection was lost",
    virtualTest(Effect.gen(function*() {
      const { event, peer, server, worker } = yield* startWorker(() => Effect.void)
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.reset
      const next = yield* acceptLane(server)
      yield* next.expect("delete 1\r\n")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* Effect.sleep("1 second")
      yield* next.say("DELETED\r\n")
      yield* event("Completed")
      assert.strictEqual((yield* Fiber.join(closing)).drained, 1)
    }))
  )

  it(
    "comes after a delete is repeated, which does not wait for a gate",
    virtualTest(Effect.gen(function*() {
      let open = true
      const gate = Effect.suspend(() => open ? Effect.void : Effect.never)
      const { event, peer, server } = yield* startWorker(() => Effect.sync(() => void (open = false)), { gate })
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.reset
      const next = yield* acceptLane(server)
      yield* expectAndReply(next, "delete 1", "DELETED\r\n")
      yield* event("Completed")
    }))
  )

  it(
    "waits for the reply to the bury of a job",
    virtualTest(Effect.gen(function*() {
      const { event, peer, worker } = yield* startWorker(() => Effect.fail(new Worker.Bury({})))
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      yield* peer.expect("bury 1 7\r\n")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* Effect.sleep("9 seconds")
      yield* peer.say("BURIED\r\n")
      yield* event("Buried")
      assert.strictEqual((yield* Fiber.join(closing)).drained, 1)
    }))
  )
})

describe("rule 24: a worker that is quiet", () => {
  it(
    "runs its job to the end, and closes its connections; it takes jobs again when it is resumed",
    simulated(Effect.gen(function*() {
      const { id, worker } = yield* atWork(Effect.sleep("5 seconds"), { concurrency: 3 })
      yield* worker.quiet
      const next = yield* tube.put("next")
      yield* awaitJobEvent(id, "deleted")
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(yield* jobEvents(next), ["put"])
      assert.deepStrictEqual((yield* worker.stats).lanes, 0)
      yield* worker.resume
      yield* awaitJobEvent(next, "deleted")
    }))
  )

  it(
    "is in the state of the last call of quiet or resume",
    simulated(Effect.gen(function*() {
      const random = new Random(24)
      const { worker } = yield* start(tube, () => Effect.sleep(random.between(0, 20)), { concurrency: 2 })
      for (let round = 0; round < 50; round += 1) {
        for (let calls = random.between(0, 6); calls > 0; calls -= 1) {
          yield* random.chance(0.5) ? worker.quiet : worker.resume
          if (random.chance(0.5)) yield* Effect.sleep(random.between(0, 15))
          if (random.chance(0.3)) yield* tube.put("meanwhile")
        }
        yield* worker.quiet
        yield* Effect.sleep(50)
        const id = yield* tube.put("a job")
        yield* Effect.sleep(50)
        assert.deepStrictEqual(yield* jobEvents(id), ["put"])
        yield* worker.resume
        yield* awaitJobEvent(id, "deleted")
      }
      yield* worker.shutdown
      yield* leavesNothing
    }))
  )
})
