/** How a worker begins, how many connections it has, and what it does when they are lost. */
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Scripted from "../support/scripted.ts"
import { historyOf, inVirtualTime, start, takes } from "../support/workers.ts"

const { Fault } = EmbeddedServer

const tube = Tube.text("work", { ttr: "1 minute" })

/** A handler for jobs that are done when the test says so. */
const handlerOf = Effect.gen(function*() {
  const done = yield* Effect.makeLatch(false)
  let running = 0
  let most = 0
  const handler = () =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        running += 1
        most = Math.max(most, running)
      }),
      () => done.await,
      () => Effect.sync(() => running -= 1)
    )
  return { handler, finish: done.open, most: Effect.sync(() => most) }
})

/** Puts so many jobs. */
const fill = (jobs: number) => Stream.runDrain(tube.putAll(Stream.take(Stream.repeatValue("a"), jobs)))

/** The connections that watch the tube, as the server sees them. */
const lanes = Effect.flatMap(
  EmbeddedServer.EmbeddedServer,
  ({ connections }) =>
    Effect.map(connections, (all) => all.filter(({ watches }) => watches.length === 1 && watches[0] === tube.name))
)

const waitingLanes = Effect.map(lanes, (lanes) => lanes.filter(({ isWaiting }) => isWaiting).length)

describe("rule 4: a worker", () => {
  const refused: ReadonlyArray<readonly [what: string, ttr: string, options: Worker.Options<string, never>]> = [
    ["concurrency", "60", { concurrency: 0 }],
    ["concurrency", "60", { concurrency: -1 }],
    ["concurrency", "60", { concurrency: 1.5 }],
    ["concurrency", "60", { concurrency: Number.NaN }],
    ["the tube's ttr", "2", {}],
    ["the tube's ttr", "1", { heartbeat: false }],
    ["timeout", "10", { heartbeat: false, timeout: "10 seconds" }],
    ["timeout", "60", { timeout: 0 }],
    ["maxDisconnects", "60", { maxDisconnects: 0 }],
    ["reserveSlice", "60", { reserveSlice: 0 }],
    ["reserveSlice", "60", { reserveSlice: "100000 days" }],
    ["reserveSlice", "60", { reserveSlice: Duration.infinity }],
    ["idleLaneTimeout", "60", { idleLaneTimeout: -1 }],
    ["shutdownTimeout", "60", { shutdownTimeout: Number.NaN }]
  ]

  it.live.each(refused)(
    "rule 4: does not start with such a %s: ttr %s, %j",
    ([subject, ttr, options]) =>
      inVirtualTime(Effect.gen(function*() {
        const of = Tube.text("work", { ttr: Duration.seconds(Number(ttr)) })
        const made = yield* Effect.flip(Worker.make(of, () => Effect.void, options))
        assert.strictEqual(made._tag, "WorkerStartError")
        assert.strictEqual(made.subject, subject)
        const run = yield* Effect.flip(Worker.run(of, () => Effect.void, options))
        assert.strictEqual(run.message, made.message)
      }))
  )

  it.live.each(
    [["3", {}], ["2", { heartbeat: false }], ["10", { heartbeat: false, timeout: "9 seconds" }], ["60", {
      shutdownTimeout: 0
    }]] as const
  )("rule 4: starts with ttr %s, %j", ([ttr, options]) =>
    inVirtualTime(Effect.gen(function*() {
      yield* start(Tube.text("work", { ttr: Duration.seconds(Number(ttr)) }), () => Effect.void, options)
    })))

  it.live("rule 4: has a fresh scope for each job, that is closed before the job is deleted", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const seen: Array<readonly [job: string, deleted: boolean]> = []
      const { event } = yield* start(
        tube,
        (_, job) =>
          Effect.addFinalizer(() =>
            Effect.map(
              server.journal,
              (entries) => seen.push([job.id, entries.some(({ event, id }) => event === "deleted" && id === job.id)])
            )
          )
      )
      const first = yield* tube.put("a")
      yield* event("Completed")
      assert.deepStrictEqual(seen, [[first, false]])
      const second = yield* tube.put("b")
      yield* event("Completed", 2)
      assert.deepStrictEqual(seen, [[first, false], [second, false]])
    })))

  it.live("rule 4: ends with its scope, and run never succeeds", () =>
    inVirtualTime(Effect.gen(function*() {
      const running = yield* Effect.fork(Worker.run(tube, () => Effect.void))
      yield* takes("1 hour")
      assert.strictEqual((yield* lanes).length, 1)
      assert.isTrue((yield* Fiber.poll(running))._tag === "None")
      yield* Fiber.interrupt(running)
      yield* takes("1 second")
      assert.deepStrictEqual(yield* lanes, [])
    })))
})

describe("rule 6: without a server at the start", () => {
  it.live("rule 6: a worker tries again until there is one", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const id = yield* tube.put("a")
      yield* server.inject(Fault.Refuse())
      const { event } = yield* start(tube, () => Effect.void)
      yield* takes("1 minute")
      yield* server.heal
      assert.strictEqual((yield* event("Completed")).id, id)
    })))

  it.live("rule 6: a worker goes on though the reconnect Schedule ends", () =>
    inVirtualTime(
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const id = yield* tube.put("a")
        yield* server.inject(Fault.Refuse())
        const { event } = yield* start(tube, () => Effect.void)
        yield* takes("1 minute")
        yield* server.heal
        assert.strictEqual((yield* event("Completed")).id, id)
      }),
      { reconnect: Schedule.recurs(3) }
    ))

  it.live("rule 6: a worker that is told to fails at once, and is gone", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const id = yield* tube.put("a")
      yield* server.inject(Fault.Refuse())
      const error = yield* Effect.flip(Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" }))
      assert.strictEqual(error.subject, "its server")
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      yield* server.heal
      yield* takes("1 hour")
      assert.deepStrictEqual(yield* historyOf(id), ["put"])
    })))

  it.live("rule 6: a worker whose client is closed is closed too", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const worker = yield* Effect.provide(Worker.make(tube, () => Effect.void), BeanstalkClient.layer())
      yield* tube.put("a")
      yield* takes("1 second")
      // It works on with the connection that it has, and can have no other.
      assert.strictEqual((yield* worker.stats).outcomes.Completed, 1)
      yield* server.inject(Fault.Cut())
      yield* worker.await
    })))

  it.live("rule 6: a worker that is told to is there when its server is", () =>
    inVirtualTime(Effect.gen(function*() {
      yield* Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" })
      assert.strictEqual((yield* lanes).length, 1)
    })))
})

describe("rule 8: the lanes of a worker", () => {
  it.live("rule 8: are one while there is nothing to do", () =>
    inVirtualTime(Effect.gen(function*() {
      const { worker } = yield* start(tube, () => Effect.void, { concurrency: 16 })
      yield* takes("1 hour")
      assert.strictEqual((yield* lanes).length, 1)
      assert.deepInclude(yield* worker.stats, { lanes: 1, waiting: 1, running: 0 })
    })))

  it.live("rule 8: open one more than hold jobs, and never more than may run", () =>
    inVirtualTime(Effect.gen(function*() {
      const { finish, handler, most } = yield* handlerOf
      const { event, worker } = yield* start(tube, handler, { concurrency: 4 })
      const expected = [[2, 1, 1], [3, 1, 2], [4, 1, 3], [4, 0, 4], [4, 0, 4], [4, 0, 4]] as const
      for (const [lanes, waiting, running] of expected) {
        yield* tube.put("a")
        yield* takes("1 second")
        assert.deepInclude(yield* worker.stats, { lanes, waiting, running })
        assert.strictEqual(yield* waitingLanes, waiting)
      }
      yield* finish
      yield* event("Completed", expected.length)
      assert.strictEqual(yield* most, 4)
    })))

  it.live.each([["30 seconds", "30 seconds"], ["5 seconds", "30 seconds"], ["1 hour", "30 seconds"]] as const)(
    "rule 8: close when they have waited besides another: reserves of %s, lanes of %s",
    ([reserveSlice, idleLaneTimeout]) =>
      inVirtualTime(Effect.gen(function*() {
        const { finish, handler } = yield* handlerOf
        const { event } = yield* start(tube, handler, { concurrency: 8, reserveSlice, idleLaneTimeout })
        yield* Effect.replicateEffect(tube.put("a"), 8)
        yield* takes("10 seconds")
        yield* finish
        yield* event("Completed", 8)
        yield* takes("20 seconds")
        assert.strictEqual((yield* lanes).length, 8)
        yield* takes("1 minute")
        const left = (yield* lanes).length
        assert.isAtLeast(left, 1)
        assert.isAtMost(left, reserveSlice === "1 hour" ? 2 : 1)
      }))
  )

  it.live("rule 8: are all there for many jobs on a slow line, though each is done at once", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* fill(8000)
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const began = yield* Clock.currentTimeMillis
      const { event, worker } = yield* start(tube, () => Effect.void, { concurrency: 8 })
      yield* event("Completed", 8000)
      assert.strictEqual((yield* worker.stats).lanes, 8)
      // Each of eight a thousand times, and some for the beginning.
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 1020 * 10)
    })))

  it.live("rule 8: are no more than two for one job at a time on a slow line", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const { worker } = yield* start(tube, () => Effect.void, { concurrency: 8 })
      yield* Effect.repeat(Effect.zipRight(tube.put("a"), takes("50 millis")), Schedule.recurs(100))
      const { lanes, outcomes } = yield* worker.stats
      assert.strictEqual(outcomes.Completed, 101)
      assert.strictEqual(lanes, 2)
    })))

  it.live("rule 8: are not tried for again and again where there can be no other", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const { address, socket } = yield* Connector.Connector
      const refused = new Socket.SocketGenericError({ reason: "Open", cause: new Error("there are too many") })
      let tried = 0
      const oneOnly = Effect.suspend(() => (tried += 1) === 1 ? socket : Effect.delay(refused, "10 millis"))
      yield* fill(1000)
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, {
        address,
        socket: oneOnly
      })
      const { event } = yield* Effect.provideService(
        start(tube, () => Effect.void, { concurrency: 8 }),
        BeanstalkClient.BeanstalkClient,
        client
      )
      yield* event("Completed", 1000)
      // In the ten seconds that it takes one lane.
      assert.isAtLeast(tried, 3)
      assert.isAtMost(tried, 30)
    })))

  it.live("rule 8: are as many again when all have been lost", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const { finish, handler, most } = yield* handlerOf
      const { event, worker } = yield* start(tube, handler, { concurrency: 4 })
      yield* Effect.replicateEffect(tube.put("a"), 4)
      yield* takes("10 seconds")
      yield* server.inject(Fault.Cut())
      yield* event("LeaseLost", 4)
      yield* takes("10 seconds")
      assert.deepInclude(yield* worker.stats, { running: 4, waiting: 0, lanes: 4 })
      yield* finish
      yield* event("Completed", 4)
      assert.strictEqual(yield* most, 4)
    })))
})

describe("rule 11: a gate", () => {
  it.live("rule 11: is passed before each reserve, and never while a job is held", () =>
    inVirtualTime(Effect.gen(function*() {
      const told: Array<string> = []
      const say = (word: string) => Effect.sync(() => told.push(word))
      const { event } = yield* start(
        tube,
        () => Effect.zipRight(say("begins"), Effect.delay(say("ends"), "10 seconds")),
        { gate: say("gate") }
      )
      yield* Effect.replicateEffect(tube.put("a"), 2)
      yield* event("Completed", 2)
      assert.deepStrictEqual(told.slice(0, 6), ["gate", "begins", "ends", "gate", "begins", "ends"])
    })))

  it.live("rule 11: that is closed leaves jobs to others", () =>
    inVirtualTime(Effect.gen(function*() {
      const gate = yield* Effect.makeLatch(false)
      const { event } = yield* start(tube, () => Effect.void, { gate: gate.await })
      const id = yield* tube.put("a")
      yield* takes("1 hour")
      assert.deepStrictEqual(yield* historyOf(id), ["put"])
      assert.strictEqual(yield* waitingLanes, 0)
      yield* gate.open
      yield* event("Completed")
    })))

  it.live("rule 11: that dies is tried again", () =>
    inVirtualTime(Effect.gen(function*() {
      let passes = 0
      const { event } = yield* start(tube, () => Effect.void, {
        gate: Effect.suspend(() => (passes += 1) < 4 ? Effect.die("a bug") : Effect.void)
      })
      yield* tube.put("a")
      yield* event("Completed")
      assert.isAtLeast(passes, 4)
    })))

  it.live("rule 11: quiet takes no more jobs, and resume takes them again", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event, worker } = yield* start(tube, () => Effect.void)
      yield* tube.put("a")
      yield* event("Completed")
      yield* worker.quiet
      yield* takes("1 second")
      const id = yield* tube.put("b")
      yield* takes("1 hour")
      assert.deepStrictEqual(yield* historyOf(id), ["put"])
      assert.deepStrictEqual(yield* lanes, [])
      yield* worker.resume
      yield* event("Completed", 2)
    })))
})

describe("rule 22: of each reservation", () => {
  it.live("rule 22: exactly one event is told to everybody who listens", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event, events, worker } = yield* start(tube, (payload) =>
        payload === "fails" ? new Worker.Bury() : Effect.void)
      const other = yield* Effect.fork(Stream.runCollect(Stream.take(worker.events, 3)))
      yield* Scripted.turn
      const ids = yield* Effect.forEach(["a", "fails", "b"], (payload) =>
        tube.put(payload))
      yield* event("Completed", 2)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "ShutdownReport" ? event._tag : [event._tag, event.id]),
        [["Completed", ids[0]], ["Buried", ids[1]], ["Completed", ids[2]]]
      )
      assert.deepStrictEqual(Array.from(yield* other), events)
      assert.deepInclude((yield* worker.stats).outcomes, { Completed: 2, Buried: 1, LeaseLost: 0 })
    })))

  it.live("rule 22: the stream of events ends with the worker", () =>
    inVirtualTime(Effect.gen(function*() {
      const worker = yield* Worker.make(tube, () => Effect.void)
      const all = yield* Effect.fork(Stream.runCollect(worker.events))
      yield* Scripted.turn
      yield* worker.shutdown
      assert.deepStrictEqual(Array.from(yield* all, ({ _tag }) => _tag), ["ShutdownReport"])
      assert.deepStrictEqual(Array.from(yield* Stream.runCollect(worker.events)), [])
    })))
})

describe("rule 23: a connection that is lost", () => {
  it.live("rule 23: loses the job it held, interrupts its handler, and is made again", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const interrupted = yield* Deferred.make<void>()
      let runs = 0
      const { event, tags } = yield* start(tube, () =>
        Effect.suspend(() =>
          (runs += 1) === 1
            ? Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
            : Effect.void
        ))
      const id = yield* tube.put("a")
      yield* takes("1 second")
      yield* server.inject(Fault.Cut())
      yield* Deferred.await(interrupted)
      assert.strictEqual((yield* event("LeaseLost")).id, id)
      yield* event("Completed")
      assert.deepStrictEqual(yield* tags, ["LeaseLost", "Completed"])
    })))

  it.live("rule 23: is no failure of the worker, nor of the job, however often", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const attempts: Array<number> = []
      const { event } = yield* start(tube, (_, job) =>
        Effect.flatMap(job.stats, ({ attempt }) => {
          attempts.push(attempt)
          return attempts.length > 20 ? Effect.void : Effect.zipRight(server.inject(Fault.Cut()), Effect.never)
        }))
      yield* tube.put("a")
      yield* event("Completed")
      assert.deepStrictEqual(new Set(attempts), new Set([1]))
    })))

  it.live("rule 23: is one of many, and one alone has another behind it, which tells what none of them could", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* fill(800)
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const { atLeast, event, worker } = yield* start(tube, () => Effect.void, { concurrency: 8 })
      yield* event("Completed", 400)
      assert.strictEqual((yield* worker.stats).lanes, 8)
      yield* server.inject(Fault.Refuse())
      yield* server.inject(Fault.Cut())
      yield* takes("1 minute")
      assert.strictEqual((yield* worker.stats).lanes, 1)
      yield* worker.quiet
      yield* takes("1 minute")
      // It is not known yet what has become of the jobs that were done.
      assert.strictEqual((yield* worker.stats).lanes, 1)
      yield* server.heal
      yield* takes("1 minute")
      assert.strictEqual((yield* worker.stats).lanes, 0)
      yield* worker.resume
      yield* atLeast(800)
      const { Completed, CompletionUnknown } = (yield* worker.stats).outcomes
      assert.strictEqual(Completed + CompletionUnknown, 800)
      assert.isAbove(CompletionUnknown, 1)
    })))

  it.live("rule 23: has another behind it though the server was away for hours, on a fresh run of the Schedule", () =>
    inVirtualTime(
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const { event } = yield* start(tube, () => Effect.void)
        for (let outage = 1; outage <= 3; outage += 1) {
          yield* tube.put("a", { delay: "100 minutes" })
          yield* server.inject(Fault.Refuse())
          yield* server.inject(Fault.Cut())
          yield* takes("90 minutes")
          yield* server.heal
          yield* event("Completed", outage)
          yield* takes("1 minute")
          yield* server.inject(Fault.Cut())
          const cutAt = yield* Clock.currentTimeMillis
          yield* Effect.repeat(takes("100 millis"), { until: () => Effect.map(waitingLanes, (lanes) => lanes === 1) })
          assert.isAtMost((yield* Clock.currentTimeMillis) - cutAt, 2000)
        }
      }),
      { reconnect: Schedule.exponential("1 second") }
    ))
})
