/** The embedded server as its users see it: journal, jobs, connections, drain mode, end and time. */
import { assert, describe, it, vi } from "@effect/vitest"
import { BeanstalkConnection, Connector, EmbeddedServer, type Job, VirtualClock } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as SocketFastPath from "../../src/internal/connection/socketFastPath.ts"
import { failsWith } from "../support/connections.ts"
import { bytes } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

/** A connection that closes with the scope. */
const open = BeanstalkConnection.make({ replyTimeout: "1000 days" })

const server = EmbeddedServer.EmbeddedServer

const withServer = (options?: EmbeddedServer.Options) => Effect.provide(EmbeddedServer.layer(options))

const events = Effect.flatMap(
  server,
  ({ journal }) => Effect.map(journal, (entries) => entries.map(({ event }) => event))
)

describe("EmbeddedServer.layer", () => {
  it.scoped("provides a Connector, with an address", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      const stats = yield* beanstalk.stats
      assert.strictEqual(beanstalk.address, "memory")
      assert.deepStrictEqual(
        [stats.version, stats.maxJobSize, stats.hostname, stats.platform],
        ["1.13", 65_535, "localhost", "memory"]
      )
      assert.match(stats.id, /^[0-9a-f]{16}$/)
    }).pipe(withServer()))

  it.scoped("has the version and the maximum job size of its options", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      const stats = yield* beanstalk.stats
      assert.deepStrictEqual([stats.version, stats.maxJobSize], ["1.12", 10])
      yield* beanstalk.put("0123456789")
      yield* failsWith(beanstalk.put("0123456789a"), "JobTooBig")
    }).pipe(withServer({ version: "1.12", maxJobSize: 10 })))

  it.effect("takes its id from Effect's Random", () =>
    Effect.gen(function*() {
      const id = (seed: string) =>
        Effect.flatMap(open, ({ server }) => Effect.succeed(server.id)).pipe(
          Effect.scoped,
          withServer(),
          Effect.withRandom(Random.make(seed))
        )
      assert.strictEqual(yield* id("a"), yield* id("a"))
      assert.notStrictEqual(yield* id("a"), yield* id("b"))
    }))

  it.scoped("makes a server of its own each time it is built", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([EmbeddedServer.make(), EmbeddedServer.make()])
      const to = ({ connector }: typeof one) => Effect.provideService(open, Connector.Connector, connector)
      yield* Effect.flatMap(to(one), (beanstalk) => beanstalk.put("x"))
      assert.strictEqual((yield* Effect.flatMap(to(other), ({ stats }) => stats)).totalJobs, 0)
      assert.strictEqual((yield* one.server.journal).length, 1)
      assert.strictEqual((yield* other.server.journal).length, 0)
    }))
})

describe("journal and events", () => {
  it.scoped("contain the time, the event, the job, its tube and state, and the connection", () =>
    Effect.gen(function*() {
      const [producer, worker] = yield* Effect.all([open, open])
      yield* TestClock.adjust("1 second")
      const id = yield* producer.put("x", { tube: "a", delay: "1 second", ttr: "5 seconds" })
      yield* worker.watch("a")
      yield* TestClock.adjust("1 second")
      yield* worker.reserve
      yield* TestClock.adjust("5 seconds")
      yield* producer.delete(id)
      const entry = (at: number, event: string, state: string, connection: number | undefined) => ({
        at,
        event,
        id,
        tube: "a",
        state,
        connection
      })
      assert.deepStrictEqual<unknown>(yield* (yield* server).journal, [
        entry(1000, "put", "delayed", 1),
        entry(2000, "due", "ready", undefined),
        entry(2000, "reserved", "reserved", 2),
        entry(7000, "timed-out", "ready", 2),
        entry(7000, "deleted", "deleted", 1)
      ])
    }).pipe(withServer()))

  it.scoped.each([0, 1, 10])("journal keeps the last %i entries", (journalSize) =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      const ids: Array<string> = []
      for (let i = 0; i < 25; i++) {
        ids.push(yield* beanstalk.put("x"))
        const kept = (yield* (yield* server).journal).map(({ id }) => id)
        assert.deepStrictEqual(kept, journalSize === 0 ? [] : ids.slice(-journalSize))
      }
    }).pipe(withServer({ journalSize })))

  it.scoped("events begins with the journal, and unsubscribes when the Stream ends", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* beanstalk.put("x")
      const { events } = yield* server
      const listen = (count: number) => Effect.fork(Stream.runCollect(Stream.take(events, count)))
      const [four, one] = yield* Effect.all([listen(4), listen(1)])
      yield* Scripted.turn
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(one)).map(({ event }) => event), ["put"])
      yield* beanstalk.reserve
      yield* beanstalk.bury("1", 0)
      yield* beanstalk.kickJob("1")
      const received = Chunk.toReadonlyArray(yield* Fiber.join(four))
      assert.deepStrictEqual(received.map(({ event, state }) => [event, state]), [
        ["put", "ready"],
        ["reserved", "reserved"],
        ["buried", "buried"],
        ["kicked", "ready"]
      ])
    }).pipe(withServer()))
})

describe("jobs", () => {
  it.scoped("are returned in the order of their ids, under every fault", () =>
    Effect.gen(function*() {
      const [producer, worker] = yield* Effect.all([open, open])
      yield* producer.put("held", { tube: "a", priority: 1, ttr: "5 seconds" })
      yield* producer.put("later", { tube: "b", delay: "1 hour" })
      yield* producer.put("ready", { tube: "a" })
      yield* worker.watch("a")
      yield* worker.reserve
      const { inject, jobs } = yield* server
      yield* inject(EmbeddedServer.Fault.Silence())
      const told = yield* Effect.forEach(
        yield* jobs,
        ({ peeked, ...job }) => Effect.map(peeked.text(), (body) => ({ ...job, body }))
      )
      assert.deepStrictEqual<unknown>(told, [
        { id: "1", tube: "a", state: "reserved", priority: 1, delay: 0, ttr: 5, body: "held" },
        { id: "2", tube: "b", state: "delayed", priority: 1024, delay: 3600, ttr: 60, body: "later" },
        { id: "3", tube: "a", state: "ready", priority: 1024, delay: 0, ttr: 60, body: "ready" }
      ])
    }).pipe(withServer()))

  it.scoped("do not contain jobs that are still being uploaded, or deleted", () =>
    Effect.gen(function*() {
      const { jobs } = yield* server
      const socket = yield* Effect.flatMap(Connector.Connector, ({ socket }) => socket)
      const write = yield* socket.writer
      yield* Effect.fork(socket.run(() => {}))
      yield* write("put 0 0 60 5\r\nhel")
      assert.deepStrictEqual(yield* jobs, [])
      yield* write("lo\r\n")
      assert.deepStrictEqual((yield* jobs).map(({ state }) => state), ["ready"])
      yield* write("delete 1\r\n")
      assert.deepStrictEqual(yield* jobs, [])
    }).pipe(withServer()))
})

describe("connections", () => {
  it.scoped("are returned with the tubes they use and watch, whether they wait, and the jobs they hold", () =>
    Effect.gen(function*() {
      const [first, second] = yield* Effect.all([open, open])
      yield* first.use("a")
      yield* first.watch("b")
      const id = yield* second.put("x")
      yield* first.reserve
      const waiting = yield* Effect.fork(second.reserve)
      yield* Scripted.turn
      assert.deepStrictEqual<unknown>(yield* (yield* server).connections, [
        { number: 1, uses: "a", watches: ["default", "b"], isWaiting: false, holds: [id] },
        { number: 2, uses: "default", watches: ["default"], isWaiting: true, holds: [] }
      ])
      yield* Fiber.interrupt(waiting)
    }).pipe(withServer()))

  it.effect("end with their scopes, and their jobs are ready again", () =>
    Effect.gen(function*() {
      const other = yield* open
      const id = yield* other.put("x")
      yield* Effect.scoped(Effect.flatMap(open, ({ reserve }) => reserve))
      assert.strictEqual((yield* (yield* server).connections).length, 1)
      assert.deepStrictEqual((yield* other.statsJob(id)).state, "ready")
      assert.deepStrictEqual(yield* events, ["put", "reserved", "given-back"])
      assert.strictEqual((yield* other.stats).currentConnections, 1)
    }).pipe(Effect.scoped, withServer()))

  it.scoped("that quit are closed, although their last replies are still on their way", () =>
    Effect.gen(function*() {
      const [quitting, other] = yield* Effect.all([open, open])
      yield* (yield* server).inject(EmbeddedServer.Fault.Delay({ duration: "1 hour" }))
      const fiber = yield* Effect.fork(quitting.quit)
      const asking = yield* Effect.fork(other.stats)
      yield* Scripted.turn
      assert.deepStrictEqual((yield* (yield* server).connections).map(({ number }) => number), [2])
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* Fiber.join(asking)).currentConnections, 1)
    }).pipe(withServer()))
})

describe("drain", () => {
  it.scoped("is not a fault, and is not ended by heal", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* (yield* server).drain
      yield* (yield* server).heal
      yield* failsWith(beanstalk.put("x"), "Draining")
    }).pipe(withServer()))
})

/** A clock that counts the sleeps that have not ended. */
const countingClock = Effect.map(Effect.clock, (clock) => {
  const counting = {
    ...clock,
    sleeping: 0,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    sleep: (duration: Duration.Duration) =>
      Effect.acquireUseRelease(
        Effect.sync(() => counting.sleeping += 1),
        () => clock.sleep(duration),
        () => Effect.sync(() => counting.sleeping -= 1)
      )
  }
  return counting
})

type Service = Context.Tag.Service<typeof Connector.Connector>

const openTo = (connector: Service) => Effect.provideService(open, Connector.Connector, connector)

describe("the end of the server's scope", () => {
  it.live("loses all connections, and refuses new ones", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { connector } = yield* Scope.extend(EmbeddedServer.make(), scope)
      const beanstalk = yield* openTo(connector)
      const reserving = yield* Effect.fork(failsWith(beanstalk.reserve, "ConnectionLost"))
      yield* Scripted.turn
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(reserving)).outcome, "Unknown")
      assert.strictEqual((yield* failsWith(beanstalk.stats, "ConnectionLost")).outcome, "NotSent")
      assert.strictEqual((yield* failsWith(openTo(connector), "ConnectFailed")).reason, "Unreachable")
    }).pipe(Effect.scoped))

  it.live("leaves no timer, even if connections end after it", () =>
    Effect.gen(function*() {
      const clock = yield* countingClock
      const clients = yield* Scope.make()
      const scope = yield* Scope.make()
      const { connector, server } = yield* Scope.extend(Effect.withClock(EmbeddedServer.make(), clock), scope)
      const beanstalk = yield* Scope.extend(openTo(connector), clients)
      yield* beanstalk.put("x", { delay: "1 day" })
      yield* beanstalk.put("x", { ttr: "2 days" })
      yield* beanstalk.reserve
      assert.strictEqual(clock.sleeping, 1)
      yield* Effect.fork(Effect.ignore(beanstalk.stats))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      yield* Scripted.turn
      yield* Scope.close(clients, Exit.void)
      yield* server.inject(EmbeddedServer.Fault.Cut())
      yield* Effect.repeatN(Scripted.turn, 5)
      assert.strictEqual(clock.sleeping, 0)
    }))
})

describe("a reply", () => {
  it.scoped("arrives within two turns of the event loop", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      for (const command of [beanstalk.stats, beanstalk.put("x"), beanstalk.reserve]) {
        const fiber = yield* Effect.fork(Effect.asVoid<unknown, unknown, never>(command))
        yield* Effect.yieldNow()
        yield* Effect.zipRight(Scripted.turn, Scripted.turn)
        assert.isNotNull(fiber.unsafePoll())
      }
    }).pipe(withServer()))

  it.scoped.each([
    { clients: "a client that sends again on each reply", next: (from: number) => from },
    { clients: "two clients that send in turn on each reply", next: (from: number) => 1 - from }
  ])(
    "is never delivered within a write, and does not block the event loop: $clients",
    ({ next }) =>
      Effect.gen(function*() {
        const { socket } = yield* Connector.Connector
        const sockets = yield* Effect.all([socket, socket])
        const writers = yield* Effect.forEach(sockets, (socket) => SocketFastPath.makeWriter(socket, constVoid))
        let answers = 0
        let isWriting = false
        let turns = 0
        const ask = (whom: number) => {
          isWriting = true
          writers[whom]!.write(bytes("list-tube-used\r\n"))
          isWriting = false
        }
        yield* Effect.forkScoped(Effect.forever(Effect.tap(Scripted.turn, () => Effect.sync(() => turns += 1))))
        yield* Effect.forEach(sockets, (socket, from) =>
          Effect.forkScoped(socket.run(() => {
            assert.isFalse(isWriting)
            answers += 1
            if (answers < 200) ask(next(from))
          })))
        yield* Scripted.turn
        ask(0)
        yield* Effect.repeat(Scripted.turn, { until: () => answers === 200 })
        assert.isAtLeast(turns, 199)
      }).pipe(withServer())
  )
})

/** Puts jobs with random delays, and reserves them all. Returns the time of each reservation, and the delay of the job. */
const simulation = (jobs: number) =>
  Effect.gen(function*() {
    const beanstalk = yield* open
    const delays = new Map<Job.JobId, number>()
    for (let i = 0; i < jobs; i++) {
      const delay = yield* Random.nextIntBetween(0, 86_401)
      delays.set(yield* beanstalk.put("x", { delay: delay * 1000, priority: delay % 3, ttr: "30 days" }), delay)
    }
    assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    const reserved: Array<readonly [at: number, delay: number]> = []
    for (let i = 0; i < jobs; i++) {
      const { id } = yield* beanstalk.reserve
      reserved.push([yield* Clock.currentTimeMillis, delays.get(id)! * 1000])
      yield* beanstalk.delete(id)
    }
    return reserved
  }).pipe(Effect.scoped, withServer(), Effect.withRandom(Random.make("a day")))

/** Advances the time until a fiber has ended. */
const adjusting = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, step: Duration.DurationInput) =>
  Effect.repeat(Effect.zipRight(Scripted.turn, TestClock.adjust(step)), { until: () => fiber.unsafePoll() !== null })

describe("delays of up to a day", () => {
  it.effect("under TestClock: 100 delayed jobs are reserved in order", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(simulation(100))
      yield* Effect.repeatN(Scripted.turn, 500)
      yield* adjusting(fiber, "10 minutes")
      const reserved = yield* Fiber.join(fiber)
      const delays = reserved.map(([, delay]) => delay)
      assert.deepStrictEqual(delays, delays.toSorted((a, b) => a - b))
    }))

  it.live("under VirtualClock: 1,000 delayed jobs are reserved in order, each when it is due", () =>
    Effect.gen(function*() {
      const reserved = yield* Effect.provide(simulation(1000), VirtualClock.layer())
      assert.strictEqual(reserved.length, 1000)
      for (const [at, delay] of reserved) assert.strictEqual(at, delay)
    }))
})

describe("an embedded server under vi.useFakeTimers", () => {
  it.scopedLive("answers if only the date is faked", () =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.useFakeTimers({ toFake: ["Date"] })),
        () => Effect.sync(() => vi.useRealTimers())
      )
      const beanstalk = yield* BeanstalkConnection.make()
      const id = yield* beanstalk.put("hello", { delay: "1 second" })
      assert.strictEqual((yield* beanstalk.reserveWithTimeout("10 seconds")).id, id)
    }).pipe(withServer()))
})
