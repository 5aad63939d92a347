/** Rare states of a worker, and gates, tracers, finalizers and servers that misbehave. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Tube, Worker } from "effect-beanstalk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { clientTo, statsOf } from "../support/clients.ts"
import * as Scripted from "../support/scripted.ts"
import {
  acceptLane,
  expectAndReply,
  giveJob,
  startWorker,
  statsJobReply,
  tube,
  virtualTest
} from "../support/scriptedWorkers.ts"
import { start } from "../support/workers.ts"

describe("rule 11: a worker that is resumed", () => {
  it(
    "takes jobs, although it was resumed before the reply to its last delete",
    virtualTest(Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { peer, server, worker } = yield* startWorker(() => Deferred.await(gate))
      yield* giveJob(peer, 1)
      yield* worker.quiet
      yield* Deferred.succeed(gate, undefined)
      yield* peer.expect("delete 1\r\n")
      yield* worker.resume
      yield* peer.say("DELETED\r\n")
      yield* giveJob(yield* acceptLane(server), 2)
    }))
  )
})

describe("a gate that cannot be interrupted", () => {
  it(
    "leaves later handlers interruptible, although the connection was lost while it ran",
    virtualTest(Effect.gen(function*() {
      const passes = [Effect.void, Effect.uninterruptible(Effect.sleep("10 seconds")), Effect.void]
      const ended: Array<string> = []
      const handler = (_: string, { id }: Worker.Job) =>
        id === "1" ? Effect.void : Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended.push(id)))
      const { peer, server, worker } = yield* startWorker(handler, {
        gate: Effect.suspend(() => passes.shift() ?? Effect.void),
        shutdownTimeout: "1 second"
      })
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.hangUp
      const next = yield* acceptLane(server)
      yield* expectAndReply(next, "delete 1", "DELETED\r\n")
      yield* giveJob(next, 2)
      yield* Effect.sleep("20 seconds")
      yield* worker.shutdown
      assert.deepStrictEqual(ended, ["2"])
    }))
  )
})

describe("a Tracer that throws", () => {
  const throwing = (): never => {
    throw new Error("the Tracer throws")
  }
  const layer = Layer.setTracer(Tracer.make({
    span: (name, parent, context, links, startTime, kind) => ({
      _tag: "Span",
      name,
      spanId: "1",
      traceId: "1",
      parent,
      context,
      status: { _tag: "Started", startTime },
      attributes: new Map(),
      links,
      sampled: true,
      kind,
      attribute: () => {},
      event: () => {},
      addLinks: () => {},
      end: name === "process t" ? throwing : () => {}
    }),
    context: (f) => f()
  }))

  it(
    "does not keep a job from being deleted, or its event from being emitted",
    virtualTest(Effect.provide(
      Effect.gen(function*() {
        const { event, peer, worker } = yield* startWorker(() => Effect.void, { spans: true })
        yield* giveJob(peer, 1)
        yield* peer.expect("delete 1\r\n")
        yield* worker.quiet
        yield* peer.say("DELETED\r\n")
        yield* event("Completed")
        yield* peer.closed
      }),
      layer
    ))
  )
})

describe("the Scope of a handler that has ended", () => {
  const acquired = (released: Array<string>, name: string) =>
    Effect.acquireRelease(Effect.void, () => Effect.sync(() => released.push(name)))

  it(
    "releases at once what a daemon acquires in it",
    virtualTest(Effect.gen(function*() {
      const released: Array<string> = []
      const later = yield* Deferred.make<void>()
      const daemons: Array<Fiber.RuntimeFiber<void>> = []
      const daemon = Effect.zipRight(Deferred.await(later), acquired(released, "late"))
      const { event, peer } = yield* startWorker(() =>
        Effect.map(Effect.forkDaemon(daemon), (fiber) => daemons.push(fiber))
      )
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.say("DELETED\r\n")
      yield* event("Completed")
      yield* Deferred.succeed(later, undefined)
      yield* Fiber.joinAll(daemons)
      assert.deepStrictEqual(released, ["late"])
    }))
  )

  it(
    "is closed although the handler was abandoned",
    virtualTest(Effect.gen(function*() {
      const released: Array<string> = []
      const end = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const { peer, worker } = yield* startWorker(() =>
        Effect.uninterruptible(Effect.zipRight(
          Effect.addFinalizer(() =>
            Effect.zipRight(Effect.sync(() => released.push("finalized")), Deferred.succeed(ended, undefined))
          ),
          Deferred.await(end)
        )), { shutdownTimeout: 0 })
      yield* giveJob(peer, 1)
      const { orphaned } = yield* worker.shutdown
      assert.strictEqual(orphaned.length, 1)
      yield* Deferred.succeed(end, undefined)
      yield* Deferred.await(ended)
      assert.deepStrictEqual(released, ["finalized"])
    }))
  )
})

describe("a handler that failed with Bury", () => {
  it(
    "has its job buried although its finalizers took longer than the timeout",
    virtualTest(Effect.gen(function*() {
      const { event, peer } = yield* startWorker(
        () => Effect.zipRight(Effect.addFinalizer(() => Effect.sleep("200 millis")), new Worker.Bury()),
        {
          timeout: "100 millis"
        }
      )
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      yield* expectAndReply(peer, "bury 1 7", "BURIED\r\n")
      yield* event("Buried")
    }))
  )
})

describe("a gate that makes its worker quiet", () => {
  it(
    "is interrupted, although it was running when quiet was called",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      const made: Array<Worker.Worker> = []
      const interrupted = yield* Deferred.make<void>()
      const quiets = Effect.suspend(() => made[0]?.quiet ?? Effect.void)
      const waits = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      const worker = yield* Effect.provideService(
        Worker.make(tube, () => Effect.void, { gate: Effect.zipRight(quiets, waits) }),
        BeanstalkClient.BeanstalkClient,
        client
      )
      made.push(worker)
      yield* acceptLane(server)
      yield* Deferred.await(interrupted)
    }))
  )
})

describe("Worker.jobs of a client that is closed", () => {
  it(
    "ends",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(clientTo(server), scope)
      const jobs = Stream.runDrain(Worker.jobs(tube))
      const ends = yield* Effect.fork(Effect.provideService(jobs, BeanstalkClient.BeanstalkClient, client))
      yield* acceptLane(server)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(ends)
    }))
  )
})

describe("rule 6: a server that closes each connection after the handshake", () => {
  it(
    "was reached, with onFirstConnect: fail",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      const handshakeAndError = Effect.flatMap(
        server.accept,
        (peer) =>
          Effect.zipRight(
            peer.expect(`stats\r\nwatch ${tube.name}\r\nignore default\r\n`),
            peer.say(`${statsOf("0123456789abcdef")}WATCHING 2\r\nWATCHING 1\r\nUNKNOWN_COMMAND\r\n`)
          )
      )
      yield* Effect.fork(Effect.forever(handshakeAndError))
      yield* Effect.provideService(
        Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" }),
        BeanstalkClient.BeanstalkClient,
        client
      )
    }))
  )
})

describe("rule 22: a worker that is shut down while it repeats a delete", () => {
  it(
    "emits CompletionUnknown",
    virtualTest(Effect.gen(function*() {
      const { event, peer, server, tags, worker } = yield* startWorker(() => Effect.void, {
        shutdownTimeout: "1 second"
      })
      yield* giveJob(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.hangUp
      const next = yield* acceptLane(server)
      yield* next.expect("delete 1\r\n")
      const { drained } = yield* worker.shutdown
      yield* event("ShutdownReport")
      assert.strictEqual(drained, 1)
      assert.deepStrictEqual(yield* tags, ["CompletionUnknown", "ShutdownReport"])
    }))
  )
})

describe("rule 11: a gate that interrupts itself", () => {
  it(
    "is not open: no job is reserved until it has succeeded",
    virtualTest(Effect.gen(function*() {
      const passes = [Effect.interrupt, Effect.void]
      const { peer, server } = yield* startWorker(() => Effect.void, {
        gate: Effect.suspend(() => passes.shift() ?? Effect.void)
      })
      yield* peer.closed
      assert.strictEqual(yield* peer.rest, "")
      const next = yield* acceptLane(server)
      yield* giveJob(next, 1)
      yield* next.expect("delete 1\r\n")
      assert.deepStrictEqual(passes, [])
    }))
  )
})

describe("rule 12: a job that cannot be decoded", () => {
  it(
    "is told to be buried if a server without memory buries it instead of releasing it",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      const { event } = yield* start(Tube.make("t", { payload: Schema.Number }), () => Effect.void, {
        onUndecodable: "release"
      }).pipe(Effect.provideService(BeanstalkClient.BeanstalkClient, client))
      const peer = yield* acceptLane(server)
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      yield* expectAndReply(peer, "release 1 7 600", "BURIED\r\n")
      assert.strictEqual((yield* event("Undecodable")).action, "bury")
    }))
  )
})
