/** How a worker ends: in time, with nothing left behind, and without a run that counts as a failure. */
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
import { answer, employ, give, hire, now, statsOfJob, tube as played, virtually } from "../support/playedWorkers.ts"
import { Random } from "../support/random.ts"
import * as Scripted from "../support/scripted.ts"
import { happens, historyOf, inVirtualTime, start, takes } from "../support/workers.ts"

const tube = Tube.text("work", { ttr: "9 seconds" })

const simulated =
  <A, E>(test: Effect.Effect<A, E, BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Scope.Scope>) =>
  () => Effect.runPromise(inVirtualTime(Effect.timeout(test, "2 hours")))

/** How long something took, in milliseconds. */
const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(self), ([took, result]) => ({ took: Duration.toMillis(took), result }))

/** Asserts that there is no connection that works on the tube, and no job that is held, and that none will be. */
const leavesNothing = Effect.gen(function*() {
  const server = yield* EmbeddedServer.EmbeddedServer
  const late = yield* tube.put("too late")
  yield* takes("1 minute")
  const connections = yield* server.connections
  assert.deepStrictEqual(
    connections.filter(({ holds, watches }) => holds.length > 0 || watches.includes(tube.name)),
    []
  )
  assert.deepStrictEqual(yield* historyOf(late), ["put"])
  assert.strictEqual((yield* tube.stats).currentJobsReserved, 0)
  yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.delete(late))
})

/** A worker that has a job in hand, and what it has told when it is closed. */
const atWork = <E>(
  handler: Effect.Effect<unknown, E | Worker.Order, Scope.Scope>,
  options?: Worker.Options<string, E>
) =>
  Effect.gen(function*() {
    const { worker } = yield* start(tube, () => handler, options)
    const telling = yield* Effect.fork(Stream.runCollect(worker.events))
    const id = yield* tube.put("a job")
    yield* happens(id, "reserved")
    return { id, worker, told: Effect.map(Fiber.join(telling), Array.fromIterable) }
  })

/** In milliseconds. */
const shutdownTimeout = 25_000

const endings = [
  { name: "of 0.1 s", handler: takes(100), tells: "Completed", within: 100 },
  { name: "of 10 s", handler: takes("10 seconds"), tells: "Completed", within: 10_000 },
  { name: "that never ends", handler: Effect.never, tells: "Interrupted", within: shutdownTimeout },
  {
    name: "that cleans up for 2 s",
    handler: Effect.onInterrupt(Effect.never, () => takes("2 seconds")),
    tells: "Interrupted",
    within: shutdownTimeout + 2000
  },
  {
    name: "that fails when it is interrupted",
    handler: Effect.catchAllCause(Effect.never, () => Effect.fail("interrupted")),
    tells: "Interrupted",
    within: shutdownTimeout
  },
  {
    name: "that dies when it is interrupted",
    handler: Effect.onInterrupt(Effect.never, () => Effect.dieMessage("in its cleaning up")),
    tells: "Interrupted",
    within: shutdownTimeout
  },
  {
    name: "that cleans up for ever",
    handler: Effect.onInterrupt(Effect.never, () => Effect.never),
    tells: "Disowned",
    within: shutdownTimeout + 3000
  },
  {
    name: "that is uninterruptible",
    handler: Effect.uninterruptible(takes("1 hour")),
    tells: "Disowned",
    within: shutdownTimeout + 3000
  }
] as const

const waysToEnd = [
  ["by its shutdown", (worker: Worker.Worker) => worker.shutdown],
  [
    "by the end of its scope",
    (worker: Worker.Worker, scope: Scope.CloseableScope) => Effect.zipRight(Scope.close(scope, Exit.void), worker.await)
  ]
] as const

describe.each(waysToEnd)("R9 and rules 24, 25: a worker that is closed %s", (_, end) => {
  it.each(endings)(
    "is closed in time, and no attempt is spent: with a handler $name",
    ({ handler, tells, within }) =>
      simulated(Effect.gen(function*() {
        const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
        const { id, told, worker } = yield* Scope.extend(atWork(handler, { retry: Schedule.forever }), scope)
        const awaiting = yield* Effect.fork(worker.await)
        const { result: report, took } = yield* timed(end(worker, scope))
        assert.isAtMost(took, within + 5)
        assert.isAtLeast(took, within - 5)
        assert.deepStrictEqual(report, {
          tube: tube.name,
          drained: tells === "Completed" ? 1 : 0,
          interrupted: tells === "Interrupted" ? [id] : [],
          disowned: tells === "Disowned" ? [id] : [],
          duration: report.duration
        })
        assert.closeTo(Duration.toMillis(report.duration), took, 1)
        assert.deepStrictEqual(yield* Fiber.join(awaiting), report)
        const disowned = tells === "Disowned"
        assert.deepStrictEqual(
          (yield* told).map((event) => event._tag === "ShutdownReport" ? "the end" : event),
          [
            tells === "Completed"
              ? Worker.Event.Completed({ tube: tube.name, id })
              : Worker.Event.Interrupted({ tube: tube.name, id, disowned }),
            "the end"
          ]
        )
        if (tells !== "Completed") {
          const stats = yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.statsJob(id))
          assert.deepStrictEqual([stats.releases, stats.timeouts, stats.buries, stats.state], [0, 0, 0, "ready"])
        }
        yield* leavesNothing
      }))()
  )
})

describe("rule 24: a shutdown", () => {
  it(
    "is the same for all who ask, and told once",
    simulated(Effect.gen(function*() {
      const { told, worker } = yield* atWork(takes("5 seconds"))
      const [one, two] = yield* Effect.all([worker.shutdown, Effect.delay(worker.shutdown, 1000)], { concurrency: 2 })
      assert.strictEqual(one, two)
      assert.strictEqual(yield* worker.shutdown, one)
      assert.deepStrictEqual((yield* told).map(({ _tag }) => _tag), ["Completed", "ShutdownReport"])
    }))
  )

  it(
    "goes on if whoever waits for it is interrupted",
    simulated(Effect.gen(function*() {
      const { worker } = yield* atWork(takes("5 seconds"))
      const waiting = yield* Effect.fork(worker.shutdown)
      yield* takes(100)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* worker.await).drained, 1)
      yield* leavesNothing
    }))
  )

  it(
    "takes no more jobs, and cannot be taken back by resume",
    simulated(Effect.gen(function*() {
      const { worker } = yield* atWork(takes("5 seconds"))
      const next = yield* tube.put("the next")
      const waiting = yield* Effect.fork(worker.shutdown)
      yield* takes(100)
      yield* worker.resume
      assert.strictEqual((yield* Fiber.join(waiting)).drained, 1)
      yield* worker.resume
      yield* takes("1 minute")
      assert.deepStrictEqual(yield* historyOf(next), ["put"])
      assert.deepStrictEqual((yield* worker.stats).lanes, 0)
    }))
  )

  it(
    "lets what is done about a failure come to its end",
    simulated(Effect.gen(function*() {
      const { id, told, worker } = yield* atWork(Effect.fail("no"), {
        retry: Schedule.stop,
        onExhausted: () => takes("20 seconds")
      })
      assert.strictEqual((yield* worker.shutdown).drained, 1)
      assert.deepStrictEqual((yield* told).map(({ _tag }) => _tag), ["Discarded", "ShutdownReport"])
      // Held all the time.
      assert.deepStrictEqual(Array.dedupe(yield* historyOf(id)), ["put", "reserved", "touched", "deleted"])
    }))
  )

  it.each([
    { name: "never ends", last: Effect.never, disowned: false },
    { name: "cannot be interrupted", last: Effect.uninterruptible(takes("1 hour")), disowned: true }
  ])(
    "gives a job back if what is done about its failure $name",
    ({ disowned, last }) =>
      simulated(Effect.gen(function*() {
        const { id, told, worker } = yield* atWork(Effect.fail("no"), {
          retry: Schedule.stop,
          onExhausted: () => last
        })
        const report = yield* worker.shutdown
        assert.deepStrictEqual([report.interrupted, report.disowned], disowned ? [[], [id]] : [[id], []])
        assert.isAtMost(Duration.toMillis(report.duration), shutdownTimeout + 4000)
        assert.deepStrictEqual((yield* told).map(({ _tag }) => _tag), ["Interrupted", "ShutdownReport"])
        assert.deepStrictEqual(Array.dedupe(yield* historyOf(id)), ["put", "reserved", "touched", "given-back"])
        yield* leavesNothing
      }))()
  )

  it(
    "names the handlers that it leaves behind, whatever had become of their jobs before",
    simulated(Effect.gen(function*() {
      const { id, worker } = yield* atWork(Effect.uninterruptible(takes("1 hour")))
      yield* Effect.flatMap(EmbeddedServer.EmbeddedServer, ({ inject }) => inject(EmbeddedServer.Fault.Cut()))
      yield* takes("1 second")
      const report = yield* worker.shutdown
      assert.deepStrictEqual([report.drained, report.interrupted, report.disowned], [0, [], [id]])
    }))
  )

  it(
    "runs the finalizers of a handler before its job is deleted",
    simulated(Effect.gen(function*() {
      const finalized = yield* Deferred.make<number>()
      const finalizer = Effect.zipRight(
        takes("2 seconds"),
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
    "undoes nothing that was done when only finalizers still ran",
    simulated(Effect.gen(function*() {
      const { id, worker } = yield* atWork(Effect.addFinalizer(() => takes("26 seconds")))
      assert.strictEqual((yield* worker.shutdown).drained, 1)
      assert.strictEqual((yield* historyOf(id)).at(-1), "deleted")
    }))
  )

  it(
    "is over with Worker.run when that is interrupted",
    simulated(Effect.gen(function*() {
      const running = yield* Effect.fork(Worker.run(tube, () => takes("5 seconds")))
      const id = yield* tube.put("a job")
      yield* happens(id, "reserved")
      yield* Fiber.interrupt(running)
      assert.strictEqual((yield* historyOf(id)).at(-1), "deleted")
      yield* leavesNothing
    }))
  )
})

describe("rule 24: a shutdown at an awkward moment", () => {
  const promptly = (worker: Worker.Worker) =>
    Effect.map(timed(worker.shutdown), ({ took }) => assert.isAtMost(took, 10))

  it.each([
    { name: "while it connects", opening: Effect.never },
    { name: "while it waits before it connects again", opening: Effect.fail(Scripted.refused) }
  ])("is prompt: $name", ({ opening }) =>
    virtually(Effect.gen(function*() {
      const client = yield* clientTo(yield* Scripted.inMemory({ opening }), { reconnect: Schedule.spaced("1 hour") })
      const { worker } = yield* Effect.provideService(
        start(played, () => Effect.void),
        BeanstalkClient.BeanstalkClient,
        client
      )
      yield* takes("1 second")
      yield* promptly(worker)
    }))())

  it(
    "is prompt while the server is silent and no job is held",
    simulated(Effect.gen(function*() {
      const { inject } = yield* EmbeddedServer.EmbeddedServer
      const { worker } = yield* start(tube, () => Effect.void)
      yield* takes("1 second")
      yield* inject(EmbeddedServer.Fault.Silence())
      yield* promptly(worker)
    }))
  )

  it(
    "is prompt while a gate is closed",
    simulated(Effect.gen(function*() {
      const { worker } = yield* start(tube, () => Effect.void, { gate: Effect.never })
      const id = yield* tube.put("a job")
      yield* takes("1 second")
      yield* promptly(worker)
      assert.deepStrictEqual(yield* historyOf(id), ["put"])
      yield* leavesNothing
    }))
  )

  it(
    "is bounded while a gate is closed that cannot be interrupted",
    simulated(Effect.gen(function*() {
      const { worker } = yield* start(tube, () => Effect.void, { gate: Effect.uninterruptible(takes("1 hour")) })
      yield* takes("1 second")
      const { took } = yield* timed(worker.shutdown)
      assert.isAtMost(took, shutdownTimeout + 4000)
      yield* leavesNothing
    }))
  )

  it(
    "is bounded while the server is silent and a job is held",
    simulated(Effect.gen(function*() {
      const { told, worker } = yield* atWork(Effect.never)
      const { heal, inject } = yield* EmbeddedServer.EmbeddedServer
      yield* inject(EmbeddedServer.Fault.Silence())
      const { took } = yield* timed(worker.shutdown)
      assert.isAtMost(took, shutdownTimeout + 4000)
      assert.deepStrictEqual((yield* told).map(({ _tag }) => _tag), ["LeaseLost", "ShutdownReport"])
      yield* heal
      yield* leavesNothing
    }))
  )

  it(
    "waits for the answer to a delete",
    virtually(Effect.gen(function*() {
      const { event, peer, worker } = yield* employ(() => Effect.void)
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* takes("5 seconds")
      yield* peer.say("DELETED\r\n")
      assert.strictEqual((yield* Fiber.join(closing)).drained, 1)
      yield* event("Completed")
      yield* peer.closed
    }))
  )

  it(
    "tells what it could not find out, if the answer to a delete never comes",
    virtually(Effect.gen(function*() {
      const { event, peer, worker } = yield* employ(() => Effect.void, {}, { replyTimeout: "5 minutes" })
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      const { result, took } = yield* timed(worker.shutdown)
      assert.isAtMost(took, shutdownTimeout + 4000)
      assert.strictEqual(result.drained, 1)
      yield* event("CompletionUnknown")
    }))
  )

  it(
    "waits for a delete that is told again behind a lost connection",
    virtually(Effect.gen(function*() {
      const { event, peer, server, worker } = yield* employ(() => Effect.void)
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.reset
      const next = yield* hire(server)
      yield* next.expect("delete 1\r\n")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* takes("1 second")
      yield* next.say("DELETED\r\n")
      yield* event("Completed")
      assert.strictEqual((yield* Fiber.join(closing)).drained, 1)
    }))
  )

  it(
    "tells a delete again before it waits at a gate",
    virtually(Effect.gen(function*() {
      let open = true
      const gate = Effect.suspend(() => open ? Effect.void : Effect.never)
      const { event, peer, server } = yield* employ(() => Effect.sync(() => void (open = false)), { gate })
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.reset
      const next = yield* hire(server)
      yield* answer(next, "delete 1", "DELETED\r\n")
      yield* event("Completed")
    }))
  )

  it(
    "waits for what has become of a job that failed",
    virtually(Effect.gen(function*() {
      const { event, peer, worker } = yield* employ(() => Effect.fail(new Worker.Bury({})))
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1))
      yield* peer.expect("bury 1 7\r\n")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* takes("9 seconds")
      yield* peer.say("BURIED\r\n")
      yield* event("Buried")
      assert.strictEqual((yield* Fiber.join(closing)).drained, 1)
    }))
  )
})

describe("rule 24: a worker that is quiet", () => {
  it(
    "ends what it does, and closes its connections; it works again when it is resumed",
    simulated(Effect.gen(function*() {
      const { id, worker } = yield* atWork(takes("5 seconds"), { concurrency: 3 })
      yield* worker.quiet
      const next = yield* tube.put("the next")
      yield* happens(id, "deleted")
      yield* takes("1 minute")
      assert.deepStrictEqual(yield* historyOf(next), ["put"])
      assert.deepStrictEqual((yield* worker.stats).lanes, 0)
      yield* worker.resume
      yield* happens(next, "deleted")
    }))
  )

  it(
    "does what it was told last, whatever it was told before",
    simulated(Effect.gen(function*() {
      const random = new Random(24)
      const { worker } = yield* start(tube, () => takes(random.between(0, 20)), { concurrency: 2 })
      for (let round = 0; round < 50; round += 1) {
        for (let told = random.between(0, 6); told > 0; told -= 1) {
          yield* random.chance(0.5) ? worker.quiet : worker.resume
          if (random.chance(0.5)) yield* takes(random.between(0, 15))
          if (random.chance(0.3)) yield* tube.put("meanwhile")
        }
        yield* worker.quiet
        yield* takes(50)
        const id = yield* tube.put("a job")
        yield* takes(50)
        assert.deepStrictEqual(yield* historyOf(id), ["put"])
        yield* worker.resume
        yield* happens(id, "deleted")
      }
      yield* worker.shutdown
      yield* leavesNothing
    }))
  )
})
