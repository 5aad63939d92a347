/** How a worker starts, how many lanes it has, and what it does when their connections are lost. */
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
import { amount } from "../support/edition.ts"
import * as Scripted from "../support/scripted.ts"
import { inVirtualTime, jobEvents, start } from "../support/workers.ts"

const { Fault } = EmbeddedServer

const tube = Tube.text("work", { ttr: "1 minute" })

/** A handler that runs until the test calls `finish`, and the greatest number of runs at a time. */
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

/** Puts this many jobs. */
const fill = (jobs: number) => Stream.runDrain(tube.putAll(Stream.take(Stream.repeatValue("a"), jobs)))

/** The server's connections that watch only the tube. */
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
    ["reserveSlice", "60", { reserveSlice: 30 }],
    ["reserveSlice", "60", { reserveSlice: "100000 days" }],
    ["reserveSlice", "60", { reserveSlice: Duration.infinity }],
    ["idleLaneTimeout", "60", { idleLaneTimeout: -1 }],
    ["shutdownTimeout", "60", { shutdownTimeout: Number.NaN }]
  ]

  it.live.each(refused)(
    "rule 4: does not start with an invalid %s: ttr %s, %j",
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

  it.live("rule 4: gives each run a Scope of its own, which is closed before the job is deleted", () =>
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

  it.live("rule 4: of Worker.run runs until it is interrupted", () =>
    inVirtualTime(Effect.gen(function*() {
      const running = yield* Effect.fork(Worker.run(tube, () => Effect.void))
      yield* Effect.sleep("1 hour")
      assert.strictEqual((yield* lanes).length, 1)
      assert.isTrue((yield* Fiber.poll(running))._tag === "None")
      yield* Fiber.interrupt(running)
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(yield* lanes, [])
    })))
})

describe("rule 4: a copy of a client with another method", () => {
  /** A copy whose put goes to another server, as an untyped program may make it. */
  const copied = Effect.gen(function*() {
    const client = yield* BeanstalkClient.BeanstalkClient
    const { connector } = yield* EmbeddedServer.make()
    const { put } = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, connector)
    return { client, copy: { ...client, put } }
  })

  it.live("starts no worker and no Stream of jobs, until it says whose server workers serve", () =>
    Effect.gen(function*() {
      const { client, copy } = yield* copied
      const untypedCopy: BeanstalkClient.Client = Object.assign(Object.create(null), copy)
      const using = <A, E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.provideService(self, BeanstalkClient.BeanstalkClient, untypedCopy)
      const errors = [
        yield* Effect.flip(using(Worker.make(tube, () => Effect.void))),
        yield* Effect.flip(using(Stream.runDrain(Worker.jobs(tube))))
      ]
      for (const error of errors) {
        assert.strictEqual(error._tag, "WorkerStartError")
        assert.include(error.message, "its client is a copy that does not say whose server workers serve")
      }
      Object.assign(untypedCopy, { dedicated: client.dedicated })
      yield* using(Worker.make(tube, () => Effect.void))
    }).pipe(inVirtualTime))
})

describe("rule 6: a server that cannot be reached at the start", () => {
  it.live("rule 6: a worker connects once the server can be reached", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const id = yield* tube.put("a")
      yield* server.inject(Fault.Refuse())
      const { event } = yield* start(tube, () => Effect.void)
      yield* Effect.sleep("1 minute")
      yield* server.heal
      assert.strictEqual((yield* event("Completed")).id, id)
    })))

  it.live("rule 6: a worker tries again although the reconnect Schedule is done", () =>
    inVirtualTime(
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const id = yield* tube.put("a")
        yield* server.inject(Fault.Refuse())
        const { event } = yield* start(tube, () => Effect.void)
        yield* Effect.sleep("1 minute")
        yield* server.heal
        assert.strictEqual((yield* event("Completed")).id, id)
      }),
      { reconnect: Schedule.recurs(3) }
    ))

  it.live("rule 6: with onFirstConnect: fail, a worker fails at once, and opens no connection later", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const id = yield* tube.put("a")
      yield* server.inject(Fault.Refuse())
      const error = yield* Effect.flip(Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" }))
      assert.strictEqual(error.subject, "its server")
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      yield* server.heal
      yield* Effect.sleep("1 hour")
      assert.deepStrictEqual(yield* jobEvents(id), ["put"])
    })))

  it.live("rule 6: with onFirstConnect: fail, a worker starts when the server can be reached", () =>
    inVirtualTime(Effect.gen(function*() {
      yield* Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" })
      assert.strictEqual((yield* lanes).length, 1)
    })))
})

describe("rule 8: the lanes of a worker", () => {
  it.live("rule 8: are one while there is no job", () =>
    inVirtualTime(Effect.gen(function*() {
      const { worker } = yield* start(tube, () => Effect.void, { concurrency: 16 })
      yield* Effect.sleep("1 hour")
      assert.strictEqual((yield* lanes).length, 1)
      assert.deepInclude(yield* worker.stats, { lanes: 1, waiting: 1, running: 0 })
    })))

  it.live("rule 8: are one more than hold jobs, and at most concurrency", () =>
    inVirtualTime(Effect.gen(function*() {
      const { finish, handler, most } = yield* handlerOf
      const { event, worker } = yield* start(tube, handler, { concurrency: 4 })
      const expected = [[2, 1, 1], [3, 1, 2], [4, 1, 3], [4, 0, 4], [4, 0, 4], [4, 0, 4]] as const
      for (const [lanes, waiting, running] of expected) {
        yield* tube.put("a")
        yield* Effect.sleep("1 second")
        assert.deepInclude(yield* worker.stats, { lanes, waiting, running })
        assert.strictEqual(yield* waitingLanes, waiting)
      }
      yield* finish
      yield* event("Completed", expected.length)
      assert.strictEqual(yield* most, 4)
    })))

  it.live("rule 8: double while jobs wait in the server, so that 64 run within a second at a round trip of 50 ms", () =>
    inVirtualTime(Effect.gen(function*() {
      const { handler } = yield* handlerOf
      yield* fill(100)
      yield* Effect.flatMap(
        EmbeddedServer.EmbeddedServer,
        ({ inject }) => inject(Fault.Delay({ duration: "50 millis" }))
      )
      const { worker } = yield* start(tube, handler, { concurrency: 64, shutdownTimeout: 0 })
      const began = yield* Clock.currentTimeMillis
      yield* Effect.repeat(Effect.delay(worker.stats, "10 millis"), { until: ({ running }) => running === 64 })
      assert.isAtMost((yield* Clock.currentTimeMillis) - began, 1000)
      yield* Effect.sleep("1 second")
      assert.deepInclude(yield* worker.stats, { lanes: 64, waiting: 0, running: 64 })
    })))

  it.live.each([["30 seconds", "30 seconds"], ["5 seconds", "30 seconds"], ["1 hour", "30 seconds"]] as const)(
    "rule 8: close when they have waited besides another: reserveSlice %s, idleLaneTimeout %s",
    ([reserveSlice, idleLaneTimeout]) =>
      inVirtualTime(Effect.gen(function*() {
        const { finish, handler } = yield* handlerOf
        const { event } = yield* start(tube, handler, { concurrency: 8, reserveSlice, idleLaneTimeout })
        yield* Effect.replicateEffect(tube.put("a"), 8)
        yield* Effect.sleep("10 seconds")
        yield* finish
        yield* event("Completed", 8)
        yield* Effect.sleep("20 seconds")
        assert.strictEqual((yield* lanes).length, 8)
        yield* Effect.sleep("1 minute")
        const left = (yield* lanes).length
        assert.isAtLeast(left, 1)
        assert.isAtMost(left, reserveSlice === "1 hour" ? 2 : 1)
      }))
  )

  it.live("rule 8: are all open for many short jobs on a connection with latency", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const each = amount(200, 1000)
      yield* fill(8 * each)
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const began = yield* Clock.currentTimeMillis
      const { event, worker } = yield* start(tube, () => Effect.void, { concurrency: 8 })
      yield* event("Completed", 8 * each)
      assert.strictEqual((yield* worker.stats).lanes, 8)
      // Each of the eight lanes runs its jobs with one round trip a job, and some round trips to open.
      assert.isBelow((yield* Clock.currentTimeMillis) - began, (each + 20) * 10)
    })))

  it.live("rule 8: are at most two for one job at a time on a connection with latency", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const { worker } = yield* start(tube, () => Effect.void, { concurrency: 8 })
      yield* Effect.repeat(Effect.zipRight(tube.put("a"), Effect.sleep("50 millis")), Schedule.recurs(100))
      const { lanes, outcomes } = yield* worker.stats
      assert.strictEqual(outcomes.Completed, 101)
      assert.strictEqual(lanes, 2)
    })))

  it.live("rule 8: are opened with pauses while connections are refused", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const { address, socket } = yield* Connector.Connector
      const refused = new Socket.SocketGenericError({ reason: "Open", cause: new Error("too many connections") })
      let attempts = 0
      const oneOnly = Effect.suspend(() => (attempts += 1) === 1 ? socket : Effect.delay(refused, "10 millis"))
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
      // In the ten seconds in which one lane runs a thousand jobs.
      assert.isAtLeast(attempts, 3)
      assert.isAtMost(attempts, 30)
    })))

  it.live("rule 8: are opened again when all connections are lost", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const { finish, handler, most } = yield* handlerOf
      const { event, worker } = yield* start(tube, handler, { concurrency: 4 })
      yield* Effect.replicateEffect(tube.put("a"), 4)
      yield* Effect.sleep("10 seconds")
      yield* server.inject(Fault.Cut())
      yield* event("LeaseLost", 4)
      yield* Effect.sleep("10 seconds")
      assert.deepInclude(yield* worker.stats, { running: 4, waiting: 0, lanes: 4 })
      yield* finish
      yield* event("Completed", 4)
      assert.strictEqual(yield* most, 4)
    })))
})

describe("rule 11: a gate", () => {
  it.live("rule 11: runs before each reserve, and not while a job is held", () =>
    inVirtualTime(Effect.gen(function*() {
      const log: Array<string> = []
      const note = (line: string) => Effect.sync(() => log.push(line))
      const { event } = yield* start(
        tube,
        () => Effect.zipRight(note("begins"), Effect.delay(note("ends"), "10 seconds")),
        { gate: note("gate") }
      )
      yield* Effect.replicateEffect(tube.put("a"), 2)
      yield* event("Completed", 2)
      assert.deepStrictEqual(log.slice(0, 6), ["gate", "begins", "ends", "gate", "begins", "ends"])
    })))

  it.live("rule 11: that waits reserves no job", () =>
    inVirtualTime(Effect.gen(function*() {
      const gate = yield* Effect.makeLatch(false)
      const { event } = yield* start(tube, () => Effect.void, { gate: gate.await })
      const id = yield* tube.put("a")
      yield* Effect.sleep("1 hour")
      assert.deepStrictEqual(yield* jobEvents(id), ["put"])
      assert.strictEqual(yield* waitingLanes, 0)
      yield* gate.open
      yield* event("Completed")
    })))

  it.live("rule 11: that dies runs again", () =>
    inVirtualTime(Effect.gen(function*() {
      let passes = 0
      const { event } = yield* start(tube, () => Effect.void, {
        gate: Effect.suspend(() => (passes += 1) < 4 ? Effect.die("a bug") : Effect.void)
      })
      yield* tube.put("a")
      yield* event("Completed")
      assert.isAtLeast(passes, 4)
    })))

  it.live("rule 11: a worker that is quiet reserves no job until it is resumed", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event, worker } = yield* start(tube, () => Effect.void)
      yield* tube.put("a")
      yield* event("Completed")
      yield* worker.quiet
      yield* Effect.sleep("1 second")
      const id = yield* tube.put("b")
      yield* Effect.sleep("1 hour")
      assert.deepStrictEqual(yield* jobEvents(id), ["put"])
      assert.deepStrictEqual(yield* lanes, [])
      yield* worker.resume
      yield* event("Completed", 2)
    })))
})

describe("rule 22: the events of a worker", () => {
  it.live("rule 22: are one for each reservation, and emitted to every Stream", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event, events, worker } = yield* start(
        tube,
        (payload) => payload === "fails" ? new Worker.Bury() : Effect.void
      )
      const other = yield* Effect.fork(Stream.runCollect(Stream.take(worker.events, 3)))
      yield* Scripted.turn
      const ids = yield* Effect.forEach(["a", "fails", "b"], (payload) => tube.put(payload))
      yield* event("Completed", 2)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "ShutdownReport" ? event._tag : [event._tag, event.id]),
        [["Completed", ids[0]], ["Buried", ids[1]], ["Completed", ids[2]]]
      )
      assert.deepStrictEqual(Array.from(yield* other), events)
      assert.deepInclude((yield* worker.stats).outcomes, { Completed: 2, Buried: 1, LeaseLost: 0 })
    })))

  it.live("rule 22: end with the worker", () =>
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
  it.live("rule 23: loses its job, interrupts the handler, and is opened again", () =>
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
      yield* Effect.sleep("1 second")
      yield* server.inject(Fault.Cut())
      yield* Deferred.await(interrupted)
      assert.strictEqual((yield* event("LeaseLost")).id, id)
      yield* event("Completed")
      assert.deepStrictEqual(yield* tags, ["LeaseLost", "Completed"])
    })))

  it.live("rule 23: is a failure neither of the worker nor of the job, however often", () =>
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

  it.live("rule 23: leaves one lane of all, which repeats the unconfirmed deletes of all", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* fill(800)
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const { atLeast, event, worker } = yield* start(tube, () => Effect.void, { concurrency: 8 })
      yield* event("Completed", 400)
      assert.strictEqual((yield* worker.stats).lanes, 8)
      yield* server.inject(Fault.Refuse())
      yield* server.inject(Fault.Cut())
      yield* Effect.sleep("1 minute")
      assert.strictEqual((yield* worker.stats).lanes, 1)
      yield* worker.quiet
      yield* Effect.sleep("1 minute")
      // A lane stays, to repeat the deletes that were not confirmed.
      assert.strictEqual((yield* worker.stats).lanes, 1)
      yield* server.heal
      yield* Effect.sleep("1 minute")
      assert.strictEqual((yield* worker.stats).lanes, 0)
      yield* worker.resume
      yield* atLeast(800)
      const { Completed, CompletionUnknown } = (yield* worker.stats).outcomes
      assert.strictEqual(Completed + CompletionUnknown, 800)
      assert.isAbove(CompletionUnknown, 1)
    })))

  it.live("rule 23: is opened again after hours without a server, with a fresh run of the Schedule each time", () =>
    inVirtualTime(
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const { event } = yield* start(tube, () => Effect.void)
        for (let outage = 1; outage <= 3; outage += 1) {
          yield* tube.put("a", { delay: "100 minutes" })
          yield* server.inject(Fault.Refuse())
          yield* server.inject(Fault.Cut())
          yield* Effect.sleep("90 minutes")
          yield* server.heal
          yield* event("Completed", outage)
          yield* Effect.sleep("1 minute")
          yield* server.inject(Fault.Cut())
          const cutAt = yield* Clock.currentTimeMillis
          yield* Effect.repeat(Effect.sleep("100 millis"), {
            until: () => Effect.map(waitingLanes, (lanes) => lanes === 1)
          })
          assert.isAtMost((yield* Clock.currentTimeMillis) - cutAt, 2000)
        }
      }),
      { reconnect: Schedule.exponential("1 second") }
    ))
})
