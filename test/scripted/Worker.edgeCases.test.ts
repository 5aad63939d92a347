/** What happens at the worst of moments, and what those do whom a worker cannot choose. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Worker } from "effect-beanstalk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { clientTo, statsOf } from "../support/clients.ts"
import { answer, employ, give, hire, statsOfJob, tube, virtually } from "../support/playedWorkers.ts"
import * as Scripted from "../support/scripted.ts"
import { takes } from "../support/workers.ts"

describe("rule 11: a worker that is told to go on", () => {
  it(
    "does so though it is told before the server has answered the last delete",
    virtually(Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { peer, server, worker } = yield* employ(() => Deferred.await(gate))
      yield* give(peer, 1)
      yield* worker.quiet
      yield* Deferred.succeed(gate, undefined)
      yield* peer.expect("delete 1\r\n")
      yield* worker.resume
      yield* peer.say("DELETED\r\n")
      yield* give(yield* hire(server), 2)
    }))
  )
})

describe("a gate that takes its time", () => {
  it(
    "keeps no handler behind it from being interrupted, though its connection was lost meanwhile",
    virtually(Effect.gen(function*() {
      const passes = [Effect.void, Effect.uninterruptible(takes("10 seconds")), Effect.void]
      const ended: Array<string> = []
      const handler = (_: string, { id }: Worker.Job) =>
        id === "1" ? Effect.void : Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended.push(id)))
      const { peer, server, worker } = yield* employ(handler, {
        gate: Effect.suspend(() => passes.shift() ?? Effect.void),
        shutdownTimeout: "1 second"
      })
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.hangUp
      const next = yield* hire(server)
      yield* answer(next, "delete 1", "DELETED\r\n")
      yield* give(next, 2)
      yield* takes("20 seconds")
      yield* worker.shutdown
      assert.deepStrictEqual(ended, ["2"])
    }))
  )
})

describe("a Tracer that throws", () => {
  const unwilling = (): never => {
    throw new Error("no spans today")
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
      end: name === "process t" ? unwilling : () => {}
    }),
    context: (f) => f()
  }))

  it(
    "keeps no job from being dealt with, and told of",
    virtually(Effect.provide(
      Effect.gen(function*() {
        const { event, peer, worker } = yield* employ(() => Effect.void, { spans: true })
        yield* give(peer, 1)
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

describe("the scope of a handler that has ended", () => {
  const acquired = (released: Array<string>, name: string) =>
    Effect.acquireRelease(Effect.void, () => Effect.sync(() => released.push(name)))

  it(
    "is closed for what a daemon still acquires in it",
    virtually(Effect.gen(function*() {
      const released: Array<string> = []
      const later = yield* Deferred.make<void>()
      const daemons: Array<Fiber.RuntimeFiber<void>> = []
      const daemon = Effect.zipRight(Deferred.await(later), acquired(released, "late"))
      const { event, peer } = yield* employ(() => Effect.map(Effect.forkDaemon(daemon), (fiber) => daemons.push(fiber)))
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.say("DELETED\r\n")
      yield* event("Completed")
      yield* Deferred.succeed(later, undefined)
      yield* Fiber.joinAll(daemons)
      assert.deepStrictEqual(released, ["late"])
    }))
  )

  it(
    "is closed though the handler was left behind",
    virtually(Effect.gen(function*() {
      const released: Array<string> = []
      const end = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const { peer, worker } = yield* employ(() =>
        Effect.uninterruptible(Effect.zipRight(
          Effect.addFinalizer(() =>
            Effect.zipRight(Effect.sync(() => released.push("kept")), Deferred.succeed(ended, undefined))
          ),
          Deferred.await(end)
        )), { shutdownTimeout: 0 })
      yield* give(peer, 1)
      const { disowned } = yield* worker.shutdown
      assert.strictEqual(disowned.length, 1)
      yield* Deferred.succeed(end, undefined)
      yield* Deferred.await(ended)
      assert.deepStrictEqual(released, ["kept"])
    }))
  )
})

describe("an order that a handler has given", () => {
  it(
    "is carried out though its finalizers took too long",
    virtually(Effect.gen(function*() {
      const { event, peer } = yield* employ(
        () => Effect.zipRight(Effect.addFinalizer(() => takes("200 millis")), new Worker.Bury()),
        {
          timeout: "100 millis"
        }
      )
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1))
      yield* answer(peer, "bury 1 7", "BURIED\r\n")
      yield* event("Buried")
    }))
  )
})

describe("a gate that has the worker be quiet", () => {
  it(
    "is interrupted by that, though it has not waited before",
    virtually(Effect.gen(function*() {
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
      yield* hire(server)
      yield* Deferred.await(interrupted)
    }))
  )
})

describe("the jobs of a client that is closed", () => {
  it(
    "end",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(clientTo(server), scope)
      const jobs = Stream.runDrain(Worker.jobs(tube))
      const ends = yield* Effect.fork(Effect.provideService(jobs, BeanstalkClient.BeanstalkClient, client))
      yield* hire(server)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(ends)
    }))
  )
})

describe("rule 6: a server that hangs up behind its first words", () => {
  it(
    "was there",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      const hangsUp = Effect.flatMap(
        server.accept,
        (peer) =>
          Effect.zipRight(
            peer.expect(`stats\r\nwatch ${tube.name}\r\nignore default\r\n`),
            peer.say(`${statsOf("0123456789abcdef")}WATCHING 2\r\nWATCHING 1\r\nUNKNOWN_COMMAND\r\n`)
          )
      )
      yield* Effect.fork(Effect.forever(hangsUp))
      yield* Effect.provideService(
        Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" }),
        BeanstalkClient.BeanstalkClient,
        client
      )
    }))
  )
})

describe("rule 22: a worker that is shut down while a delete is being confirmed", () => {
  it(
    "records that nothing is known about the job",
    virtually(Effect.gen(function*() {
      const { event, peer, server, tags, worker } = yield* employ(() => Effect.void, { shutdownTimeout: "1 second" })
      yield* give(peer, 1)
      yield* peer.expect("delete 1\r\n")
      yield* peer.hangUp
      const next = yield* hire(server)
      yield* next.expect("delete 1\r\n")
      const { drained } = yield* worker.shutdown
      yield* event("ShutdownReport")
      assert.strictEqual(drained, 1)
      assert.deepStrictEqual(yield* tags, ["CompletionUnknown", "ShutdownReport"])
    }))
  )
})
