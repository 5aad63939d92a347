/** When a connection is lost because the server does not reply, to the millisecond. */
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Scripted from "../support/scripted.ts"

/** Lets time pass, and the fibers run that wait for it. */
const pass = (duration: Duration.DurationInput) =>
  TestClock.adjust(duration).pipe(Effect.zipRight(TestClock.adjust(0)), Effect.zipRight(Scripted.turn))

/** Asserts that a command is still waiting one millisecond before this duration has passed, and has lost its connection after it. */
const isLostAfter = (millis: number, peer: Scripted.Peer, fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.gen(function*() {
    yield* pass(millis - 1)
    assert.isFalse(peer.isClosed, `the connection was closed before ${millis} ms were over`)
    assert.isTrue(yield* Scripted.isPending(fiber))
    yield* pass(1)
    yield* peer.closed
    assert.deepStrictEqual(yield* Scripted.endings([fiber]), ["ConnectionLost Unknown"])
  })

describe("a server that does not reply", () => {
  it.scoped("loses the connection at replyTimeout, and not before", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [touching] = yield* Scripted.start([connection.touch("1")])
      yield* peer.expect("touch 1\r\n")
      yield* isLostAfter(10_000, peer, touching)
      const error = yield* Effect.flip(Fiber.join(touching))
      assert.include(error.message, "the server has not answered touch for 10 seconds")
    }))

  it.scoped("loses the connection at the replyTimeout of the options", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ replyTimeout: "1234 millis" })
      yield* pass("1 hour")
      const [touching] = yield* Scripted.start([connection.touch("1")])
      yield* peer.expect("touch 1\r\n")
      yield* isLostAfter(1234, peer, touching)
    }))

  it.scoped("fails every command after the unanswered one", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 2 })
      const fibers = yield* Scripted.start([connection.touch("1"), connection.touch("2"), connection.touch("3")])
      yield* peer.expect("touch 1\r\ntouch 2\r\n")
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* Scripted.endings(fibers), [
        "ConnectionLost Unknown",
        "ConnectionLost Unknown",
        "ConnectionLost NotSent"
      ])
    }))

  it.scoped("keeps the connection while no command is in flight", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      yield* pass("30 days")
      const [touching] = yield* Scripted.start([connection.touch("1")])
      yield* peer.expect("touch 1\r\n")
      yield* peer.say("TOUCHED\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([touching]), ["Success"])
      yield* pass("30 days")
      assert.isFalse(peer.isClosed)
    }))

  it.scoped("loses the connection although later commands are written", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [first] = yield* Scripted.start([connection.touch("0")])
      for (let i = 1; i < 10; i += 1) {
        yield* pass("1 second")
        yield* Scripted.start([connection.touch(`${i}`)])
      }
      yield* peer.expect(Array.from({ length: 10 }, (_, i) => `touch ${i}\r\n`).join(""))
      yield* isLostAfter(1000, peer, first)
    }))

  it.scoped("has the whole replyTimeout for each reply", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      for (let i = 0; i < 5; i += 1) {
        const [touching] = yield* Scripted.start([connection.touch("1")])
        yield* peer.expect("touch 1\r\n")
        yield* pass(9999)
        yield* peer.say("TOUCHED\r\n")
        assert.deepStrictEqual(yield* Scripted.endings([touching]), ["Success"])
      }
    }))

  it.scoped("loses the connection although the caller was interrupted", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [first, second] = yield* Scripted.start([connection.touch("1"), connection.touch("2")])
      yield* peer.expect("touch 1\r\ntouch 2\r\n")
      yield* Fiber.interrupt(first)
      yield* isLostAfter(10_000, peer, second)
    }))
})

describe("a server that sends a byte now and then", () => {
  it.scoped.each([
    { part: "a line", bytes: 4, left: 6000 },
    { part: "a body, from its first byte on", bytes: 9, left: 2000 }
  ])("does not keep a command alive for ever: $part", ({ bytes, left }) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [listing] = yield* Scripted.start([connection.stats])
      yield* peer.expect("stats\r\n")
      for (const byte of Scripted.stats.slice(0, bytes)) {
        yield* pass("1 second")
        yield* peer.say(byte)
      }
      yield* isLostAfter(left, peer, listing)
    }))

  it.scoped("loses the connection, but not one that sends a large body slowly", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [reserving, touching] = yield* Scripted.start([
        connection.reserveWithTimeout("1 second"),
        connection.touch("2")
      ])
      yield* peer.expect("reserve-with-timeout 1\r\ntouch 2\r\n")
      yield* peer.say(`RESERVED 1 ${5 * 65_536}\r\n`)
      for (let piece = 0; piece < 5; piece++) {
        yield* pass("9 seconds")
        yield* peer.say("z".repeat(65_536))
      }
      yield* peer.say("\r\n")
      assert.strictEqual((yield* Fiber.join(reserving)).body.length, 5 * 65_536)
      yield* isLostAfter(10_000, peer, touching)
    }))
})

describe("a wall clock that is set back", () => {
  it.scoped("postpones no deadline", () =>
    Effect.gen(function*() {
      let isSetBack = false
      const testClock = yield* Effect.clock
      const wallClock = {
        ...testClock,
        unsafeCurrentTimeMillis: () => testClock.unsafeCurrentTimeMillis() - (isSetBack ? 3_600_000 : 0),
        unsafeCurrentTimeNanos: () => testClock.unsafeCurrentTimeNanos(),
        sleep: (duration: Duration.Duration) => testClock.sleep(duration)
      }
      const [connection, peer] = yield* Effect.withClock(Scripted.open(), wallClock)
      const [touching] = yield* Scripted.start([connection.touch("1")])
      yield* peer.expect("touch 1\r\n")
      yield* pass(4000)
      isSetBack = true
      yield* isLostAfter(6000, peer, touching)
    }))
})

describe("a command that becomes the oldest", () => {
  it.scoped("has the whole replyTimeout from then on", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [first, second] = yield* Scripted.start([connection.touch("1"), connection.touch("2")])
      yield* peer.expect("touch 1\r\ntouch 2\r\n")
      yield* pass(9000)
      yield* peer.say("TOUCHED\r\n")
      yield* Fiber.join(first)
      yield* isLostAfter(10_000, peer, second)
    }))

  it.scoped("after a reserve has the whole replyTimeout from the reply to that", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [reserving, touching] = yield* Scripted.start([connection.reserve, connection.touch("2")])
      yield* peer.expect("reserve\r\ntouch 2\r\n")
      yield* pass("1 day")
      yield* peer.say("RESERVED 1 0\r\n\r\n")
      yield* Fiber.join(reserving)
      yield* isLostAfter(10_000, peer, touching)
    }))

  it.scoped("has its deadline kept, although that is earlier than the one before", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [reserving, touching] = yield* Scripted.start([
        connection.reserveWithTimeout("1 hour"),
        connection.touch("2")
      ])
      yield* peer.expect("reserve-with-timeout 3600\r\ntouch 2\r\n")
      yield* pass("1 minute")
      yield* peer.say("RESERVED 1 0\r\n\r\n")
      yield* Fiber.join(reserving)
      yield* isLostAfter(10_000, peer, touching)
    }))

  it.scoped("when it is written long after it was submitted has its time from the write", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 1 })
      const [first, second] = yield* Scripted.start([connection.touch("1"), connection.touch("2")])
      yield* peer.expect("touch 1\r\n")
      yield* pass(9999)
      yield* peer.say("TOUCHED\r\n")
      yield* Fiber.join(first)
      yield* peer.expect("touch 2\r\n")
      yield* isLostAfter(10_000, peer, second)
    }))
})

describe("a reserve", () => {
  it.scoped("without a timeout may block for ever", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [reserving] = yield* Scripted.start([connection.reserve])
      yield* peer.expect("reserve\r\n")
      yield* pass("365 days")
      assert.isTrue(yield* Scripted.isPending(reserving))
      yield* peer.say("RESERVED 1 0\r\n\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([reserving]), ["Success"])
    }))

  it.scoped.each([1, 15, 3600, 1_000_000])(
    "with a timeout of %i s has one second more than that",
    (seconds) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const [reserving] = yield* Scripted.start([connection.reserveWithTimeout(seconds * 1000)])
        yield* peer.expect(`reserve-with-timeout ${seconds}\r\n`)
        yield* isLostAfter((seconds + 1) * 1000, peer, reserving)
      })
  )

  it.scoped.each(
    [
      ["reserve-with-timeout 0", "reserveWithTimeout", 0],
      ["reserve-job 7", "reserveJob", "7"]
    ] as const
  )("that does not wait has replyTimeout: %s", ([request, method, argument]) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [reserving] = yield* Scripted.start([
        method === "reserveJob" ? connection.reserveJob(argument) : connection.reserveWithTimeout(argument)
      ])
      yield* peer.expect(`${request}\r\n`)
      yield* isLostAfter(10_000, peer, reserving)
    }))

  it.scoped("that is answered in the last second keeps the connection", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [reserving] = yield* Scripted.start([connection.reserveWithTimeout("5 seconds")])
      yield* peer.expect("reserve-with-timeout 5\r\n")
      yield* pass(5999)
      yield* peer.say("TIMED_OUT\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([reserving]), ["TimedOut"])
      yield* pass("1 hour")
      assert.isFalse(peer.isClosed)
    }))
})
