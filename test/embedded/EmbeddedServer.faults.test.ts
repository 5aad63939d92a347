/** The faults of an embedded server, and the typed errors by which clients fail. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection, Connector, EmbeddedServer } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { failsWith } from "../support/connections.ts"
import { bytes, chars } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

const { Fault } = EmbeddedServer

const open = BeanstalkConnection.make()

const server = EmbeddedServer.EmbeddedServer

const withServer = Effect.provide(EmbeddedServer.layer())

const inject = (fault: EmbeddedServer.Fault) => Effect.flatMap(server, (server) => server.inject(fault))

const heal = Effect.flatMap(server, ({ heal }) => heal)

const events = Effect.flatMap(
  server,
  ({ journal }) => Effect.map(journal, (entries) => entries.map(({ event }) => event))
)

const numbers = Effect.flatMap(
  server,
  ({ connections }) => Effect.map(connections, (open) => open.map(({ number }) => number))
)

/** Runs until nothing happens without time passing. */
const started = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.zipLeft(Effect.fork(effect), turns)

const turns = Effect.repeatN(Scripted.turn, 3)

describe("Cut", () => {
  it.scoped("resets the open connections, once; their jobs are ready again", () =>
    Effect.gen(function*() {
      const [holder, waiting] = yield* Effect.all([open, open])
      yield* holder.put("x")
      yield* holder.reserve
      const fiber = yield* started(failsWith(waiting.reserve, "ConnectionLost"))
      yield* inject(Fault.Cut())
      // The other connection, which waits, is reset after this one: it is given the job, and gives it back.
      assert.deepStrictEqual(yield* events, ["put", "reserved", "given-back", "reserved", "given-back"])
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.outcome, "Unknown")
      assert.include(error.message, "ECONNRESET")
      assert.strictEqual((yield* failsWith(holder.stats, "ConnectionLost")).outcome, "NotSent")
      assert.deepStrictEqual(yield* numbers, [])
      const later = yield* open
      assert.strictEqual((yield* later.reserveWithTimeout(0)).id, "1")
      assert.deepStrictEqual((yield* events).slice(0, 3), ["put", "reserved", "given-back"])
      assert.deepStrictEqual((yield* later.stats).currentConnections, 1)
    }).pipe(withServer))
})

describe("CutAfterRequest", () => {
  const request = "put 0 0 60 1\r\nx\r\n"

  it.scoped.each(Array.from({ length: request.length + 1 }, (_, cutAt) => ({ cutAt })))(
    "after $cutAt bytes of a put: there is a job or not, and the outcome is unknown",
    ({ cutAt }) =>
      Effect.gen(function*() {
        const beanstalk = yield* open
        yield* inject(Fault.CutAfterRequest({ bytes: cutAt }))
        const error = yield* failsWith(beanstalk.put("x", { priority: 0, ttr: "60 seconds" }), "ConnectionLost")
        assert.strictEqual(error.outcome, "Unknown")
        assert.strictEqual((yield* events).length, cutAt >= request.length ? 1 : 0)
        yield* heal
        const later = yield* open
        assert.strictEqual((yield* later.stats).totalJobs, cutAt >= request.length ? 1 : 0)
      }).pipe(withServer)
  )

  it.scoped("resets each new connection, too, until heal", () =>
    Effect.gen(function*() {
      yield* inject(Fault.CutAfterRequest({ bytes: 3 }))
      for (let i = 0; i < 3; i++) yield* failsWith(open, "ConnectFailed")
      yield* heal
      yield* open
    }).pipe(withServer))

  it.scoped("counts the bytes of several writes, from the injection", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.CutAfterRequest({ bytes: 2 * "touch 1\r\n".length + 1 }))
      yield* failsWith(beanstalk.touch("1"), "JobNotFound")
      yield* failsWith(beanstalk.touch("1"), "JobNotFound")
      yield* failsWith(beanstalk.touch("1"), "ConnectionLost")
    }).pipe(withServer))
})

describe("CutAfterReply", () => {
  const reply = "RESERVED 1 1\r\nx\r\n"

  it.scoped.each(Array.from({ length: reply.length + 1 }, (_, cutAt) => ({ cutAt })))(
    "after $cutAt bytes of the reply to a reserve: the job is given back",
    ({ cutAt }) =>
      Effect.gen(function*() {
        const beanstalk = yield* open
        yield* beanstalk.put("x")
        yield* inject(Fault.CutAfterReply({ bytes: cutAt }))
        if (cutAt < reply.length) yield* failsWith(beanstalk.reserve, "ConnectionLost")
        else assert.strictEqual(chars((yield* beanstalk.reserve).body), "x")
        yield* turns
        assert.deepStrictEqual(yield* events, ["put", "reserved", "given-back"])
      }).pipe(withServer)
  )

  it.scoped("resets the connection between two chunks", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Chunks({ bytes: 4 }))
      yield* inject(Fault.CutAfterReply({ bytes: 10 }))
      const error = yield* failsWith(beanstalk.listTubeUsed, "ConnectionLost")
      assert.strictEqual(error.outcome, "Unknown")
    }).pipe(withServer))
})

describe("Silence", () => {
  it.scoped("delivers nothing in either direction: the connection is lost after the client's reply timeout", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Silence())
      const fiber = yield* started(failsWith(beanstalk.put("x"), "ConnectionLost"))
      yield* TestClock.adjust("9999 millis")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.include(error.message, "has not answered")
      assert.deepStrictEqual(yield* events, [])
      // Not even the close is delivered.
      yield* turns
      assert.deepStrictEqual(yield* numbers, [1])
      yield* heal
      assert.deepStrictEqual(yield* numbers, [])
      assert.deepStrictEqual(yield* events, ["put"])
    }).pipe(withServer))

  it.scoped("delivers everything on heal, in order", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* beanstalk.put("before")
      const reserving = yield* started(Effect.zip(beanstalk.reserve, beanstalk.reserve))
      const fibers = yield* Effect.gen(function*() {
        yield* inject(Fault.Silence())
        return yield* started(
          Effect.forEach(["a", "b", "c"], (body) => beanstalk.put(body), { concurrency: "unbounded" })
        )
      })
      yield* TestClock.adjust("5 seconds")
      assert.isNull(fibers.unsafePoll())
      yield* heal
      const other = yield* open
      yield* other.put("for the second reserve")
      const [first, second] = yield* Fiber.join(reserving)
      assert.deepStrictEqual([chars(first.body), chars(second.body)], ["before", "for the second reserve"])
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* Fiber.join(fibers), ["3", "4", "5"])
    }).pipe(withServer))

  it.scoped("holds back replies that the passing of time causes", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      const fiber = yield* started(Effect.exit(beanstalk.reserveWithTimeout("2 seconds")))
      yield* inject(Fault.Silence())
      yield* TestClock.adjust("2500 millis")
      yield* turns
      assert.isNull(fiber.unsafePoll())
      yield* heal
      assert.strictEqual(Scripted.ending(yield* Fiber.join(fiber)), "TimedOut")
    }).pipe(withServer))

  it.scoped("applies to connections that are opened while it lasts", () =>
    Effect.gen(function*() {
      yield* inject(Fault.Silence())
      const fiber = yield* started(failsWith(open, "ConnectFailed"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason, "TimedOut")
    }).pipe(withServer))

  it.scoped("does not keep Cut from resetting connections", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Silence())
      const fiber = yield* started(failsWith(beanstalk.put("x"), "ConnectionLost"))
      yield* inject(Fault.Cut())
      yield* Fiber.join(fiber)
      yield* heal
      assert.deepStrictEqual(yield* events, [])
    }).pipe(withServer))
})

describe("Delay", () => {
  it.scoped("delivers replies so much later, by the Clock", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Delay({ duration: "3 seconds" }))
      const fiber = yield* started(beanstalk.put("x"))
      assert.deepStrictEqual(yield* events, ["put"])
      yield* TestClock.adjust("2999 millis")
      yield* turns
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "1")
    }).pipe(withServer))

  it.scoped("delays each reply by itself", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Delay({ duration: "3 seconds" }))
      const first = yield* started(beanstalk.put("x"))
      yield* TestClock.adjust("1 second")
      const second = yield* started(beanstalk.put("x"))
      yield* TestClock.adjust("2 seconds")
      yield* turns
      assert.isNotNull(first.unsafePoll())
      assert.isNull(second.unsafePoll())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(second)
    }).pipe(withServer))

  it.scoped("that is longer than the client's reply timeout loses the connection", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Delay({ duration: "11 seconds" }))
      const fiber = yield* started(failsWith(beanstalk.put("x"), "ConnectionLost"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).outcome, "Unknown")
    }).pipe(withServer))

  it.scoped("ends on heal, also for replies that are on their way", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Delay({ duration: "9 seconds" }))
      const fiber = yield* started(beanstalk.put("x"))
      yield* heal
      assert.strictEqual(yield* Fiber.join(fiber), "1")
      assert.strictEqual(yield* beanstalk.put("x"), "2")
    }).pipe(withServer))
})

describe("Chunks", () => {
  /** The chunks in which a socket receives the reply to a line. */
  const chunks = (line: string, length: number) =>
    Effect.gen(function*() {
      const socket = yield* Effect.flatMap(Connector.Connector, ({ socket }) => socket)
      const write = yield* socket.writer
      const received: Array<string> = []
      yield* Effect.raceFirst(
        socket.run((chunk) => void received.push(chars(chunk))),
        Effect.zipRight(write(line), Effect.repeat(Scripted.turn, { until: () => received.join("").length === length }))
      )
      return received
    }).pipe(Effect.scoped)

  it.scoped.each([
    { size: 1, expected: [..."USING default\r\n"] },
    { size: 4, expected: ["USIN", "G de", "faul", "t\r\n"] },
    { size: 0, expected: [..."USING default\r\n"] },
    { size: 100, expected: ["USING default\r\n"] }
  ])("of $size bytes are delivered one by one", ({ expected, size }) =>
    Effect.gen(function*() {
      yield* inject(Fault.Chunks({ bytes: size }))
      assert.deepStrictEqual(yield* chunks("list-tube-used\r\n", 15), expected)
      yield* heal
      assert.deepStrictEqual(yield* chunks("list-tube-used\r\n", 15), ["USING default\r\n"])
    }).pipe(withServer))

  it.scoped("do not change what a client reads", () =>
    Effect.gen(function*() {
      yield* inject(Fault.Chunks({ bytes: 1 }))
      const beanstalk = yield* open
      yield* beanstalk.put("x\r\ny")
      assert.strictEqual(chars((yield* beanstalk.reserve).body), "x\r\ny")
    }).pipe(withServer))
})

describe("Answer", () => {
  it.scoped("is sent once instead of a reply, and the server does not receive the command", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Answer({ bytes: bytes("OUT_OF_MEMORY\r\n") }))
      yield* inject(Fault.Answer({ bytes: bytes("INTERNAL_ERROR\r\n") }))
      yield* failsWith(beanstalk.put("x"), "OutOfMemory")
      yield* failsWith(beanstalk.put("x"), "InternalError")
      assert.deepStrictEqual(yield* events, [])
      assert.strictEqual(yield* beanstalk.put("x"), "1")
    }).pipe(withServer))

  it.scoped("that is no reply to the command is a ProtocolViolation", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Answer({ bytes: bytes("HELLO\r\n") }))
      yield* failsWith(beanstalk.put("x"), "ProtocolViolation")
    }).pipe(withServer))

  it.scoped("is discarded on heal", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Answer({ bytes: bytes("OUT_OF_MEMORY\r\n") }))
      yield* heal
      assert.strictEqual(yield* beanstalk.put("x"), "1")
    }).pipe(withServer))
})

describe("Refuse", () => {
  it.scoped("refuses new connections until heal; open connections stay open", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* inject(Fault.Refuse())
      const error = yield* failsWith(open, "ConnectFailed")
      assert.strictEqual(error.reason, "Unreachable")
      assert.include(error.message, "ECONNREFUSED")
      assert.strictEqual((yield* beanstalk.stats).currentConnections, 1)
      yield* heal
      yield* open
    }).pipe(withServer))
})

describe("NoMemoryForQueues", () => {
  it.scoped("fails put and release with Buried, and the job exists", () =>
    Effect.gen(function*() {
      const beanstalk = yield* open
      yield* beanstalk.put("x")
      yield* beanstalk.reserve
      yield* inject(Fault.NoMemoryForQueues())
      assert.strictEqual((yield* failsWith(beanstalk.put("y"), "Buried")).id, "2")
      assert.strictEqual((yield* failsWith(beanstalk.release("1", { priority: 0 }), "Buried")).id, "1")
      yield* heal
      assert.strictEqual(yield* beanstalk.kick(10), 2)
      assert.deepStrictEqual(yield* events, ["put", "reserved", "buried", "buried", "kicked", "kicked"])
    }).pipe(withServer))
})
