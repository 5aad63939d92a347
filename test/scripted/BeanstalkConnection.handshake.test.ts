/** The first round trip: what is sent, and what happens when the server does not answer like beanstalkd. No socket stays open. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection, type BeanstalkError, Connector } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { ok } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

const failure = (fiber: Fiber.Fiber<unknown, BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument>) =>
  Effect.flatMap(
    Effect.flip(Fiber.join(fiber)),
    (error) => error._tag === "ConnectFailed" ? Effect.succeed(error) : Effect.die(error)
  )

/** Opens a connection in the scope of the test: a failed attempt must close its socket before that scope ends. */
const opening = (server: Pick<Scripted.Server, "connector">, options?: BeanstalkConnection.Options) =>
  Effect.fork(Effect.provide(BeanstalkConnection.make(options), server.connector))

/** Opens a connection, and waits until it has sent its first write. */
const begin = (options?: BeanstalkConnection.Options, sent = "stats\r\n") =>
  Effect.gen(function*() {
    const server = yield* Scripted.inMemory()
    const making = yield* opening(server, options)
    const peer = yield* server.accept
    yield* peer.expect(sent)
    return { making, peer }
  })

/** Lets all but one millisecond of a duration pass, and then that millisecond. */
const runsOut = (fiber: Fiber.RuntimeFiber<unknown, unknown>, millis: number) =>
  Effect.gen(function*() {
    yield* TestClock.adjust(millis - 1)
    assert.isTrue(yield* Scripted.isPending(fiber), `it ended before its ${millis} ms were over`)
    yield* TestClock.adjust(1)
  })

const greeting = "stats\r\nwatch a\r\nignore default\r\nuse t\r\n"
const greeted = { tube: "t", watch: ["a"] }
const replies = [Scripted.stats, "WATCHING 2\r\n", "WATCHING 1\r\n", "USING t\r\n"]

describe("the first round trip", () => {
  it.scoped.each(Scripted.waysToWrite)(
    "writes stats, watch, ignore and use in one write: $writing",
    (writing) =>
      Effect.gen(function*() {
        const server = yield* Scripted.inMemory(writing)
        const making = yield* opening(server, { tube: "t", watch: ["a", "b"] })
        const peer = yield* server.accept
        yield* peer.expect("stats\r\nwatch a\r\nwatch b\r\nignore default\r\nuse t\r\n")
        assert.lengthOf(peer.writes, 1)
        yield* peer.say(`${Scripted.stats}WATCHING 2\r\nWATCHING 3\r\nWATCHING 2\r\nUSING t\r\n`)
        yield* Fiber.join(making)
        assert.strictEqual(yield* peer.rest, "")
      })
  )

  it.scoped("neither ignores nor watches the default tube if it is one of the tubes to watch", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin({ watch: ["a", "default"] }, "stats\r\nwatch a\r\n")
      yield* peer.say(`${Scripted.stats}WATCHING 2\r\n`)
      yield* Fiber.join(making)
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scoped("succeeds with the last reply, and not before", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin(greeted, greeting)
      for (const reply of replies) {
        assert.isTrue(yield* Scripted.isPending(making))
        yield* peer.say(reply, 1)
      }
      const connection = yield* Fiber.join(making)
      assert.include(Scripted.document, `\nversion: "${connection.server.version}"\n`)
      assert.include(Scripted.document, `\nid: ${connection.server.id}\n`)
      assert.strictEqual(connection.server.maxJobSize, 65535)
      assert.strictEqual(connection.address, "memory:11300")
    }))

  it.scoped("fails with InvalidArgument for an invalid option, before a socket is opened", () =>
    Effect.gen(function*() {
      const connector = Layer.succeed(Connector.Connector, {
        address: "nowhere",
        socket: Effect.dieMessage("a socket was opened")
      })
      const impossible: ReadonlyArray<BeanstalkConnection.Options> = [
        { watch: [] },
        { watch: ["a\r\nquit"] },
        { tube: "two words" },
        { maxInFlight: 0 },
        { maxQueuedBytes: 1.5 },
        { maxBodySize: Number.NaN },
        { connectTimeout: 0 },
        { replyTimeout: -1 }
      ]
      for (const options of impossible) {
        const error = yield* Effect.flip(Effect.provide(BeanstalkConnection.make(options), connector))
        assert.strictEqual(error._tag, "InvalidArgument", JSON.stringify(options))
      }
    }))
})

describe("a server that cannot be reached", () => {
  it.scopedLive("fails as Unreachable if nothing listens on the port", () =>
    Effect.gen(function*() {
      const port = yield* Effect.scoped(Effect.map(Scripted.onLoopback, (server) => server.port))
      const error = yield* failure(yield* opening({ connector: NodeConnector.layer({ host: "127.0.0.1", port }) }))
      assert.strictEqual(error.reason, "Unreachable")
      assert.strictEqual(error.address, `127.0.0.1:${port}`)
      assert.include(error.detail, "ECONNREFUSED")
    }))

  it.scoped("fails as Unreachable if the connector fails", () =>
    Effect.gen(function*() {
      const connector = Layer.succeed(Connector.Connector, { address: "nowhere", socket: Scripted.refused })
      const error = yield* failure(yield* opening({ connector }))
      assert.strictEqual(error.reason, "Unreachable")
      assert.strictEqual(error.detail, "connect ECONNREFUSED")
      assert.strictEqual(error.address, "nowhere")
    }))

  it.scoped("fails as TimedOut after connectTimeout if the connection is never accepted", () =>
    Effect.gen(function*() {
      const making = yield* opening(yield* Scripted.inMemory({ opening: Effect.never }))
      yield* runsOut(making, 5000)
      const error = yield* failure(making)
      assert.strictEqual(error.reason, "TimedOut")
      assert.include(error.detail, "no connection was established within 5 seconds")
    }))

  it.scoped("fails as TimedOut if the connection is never accepted, however short replyTimeout is", () =>
    Effect.gen(function*() {
      const making = yield* opening(yield* Scripted.inMemory({ opening: Effect.never }), { replyTimeout: "1 second" })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* failure(making)).reason, "TimedOut")
    }))

  it.scoped("fails as TimedOut after connectTimeout if the connector never provides a socket", () =>
    Effect.gen(function*() {
      const connector = Layer.succeed(Connector.Connector, { address: "nowhere", socket: Effect.never })
      const making = yield* opening({ connector }, { connectTimeout: "2 seconds" })
      yield* runsOut(making, 2000)
      assert.isFalse(yield* Scripted.isPending(making), "it waits although its time is over")
      assert.strictEqual((yield* failure(making)).reason, "TimedOut")
    }))
})

/** Servers that answer the handshake unlike beanstalkd. They have read it before they answer. */
const answers: ReadonlyArray<{
  readonly what: string
  readonly answer: (peer: Scripted.Peer) => Effect.Effect<void>
  readonly reason: BeanstalkError.ConnectFailed["reason"]
  readonly detail: string
}> = [
  {
    what: "a server that says nothing",
    answer: () => Effect.void,
    reason: "TimedOut",
    detail: "did not complete the handshake"
  },
  {
    what: "statistics that stop midway",
    answer: (peer) => peer.say(Scripted.stats.slice(0, 500)),
    reason: "TimedOut",
    detail: "accepted the connection"
  },
  {
    what: "a reply too few",
    answer: (peer) => peer.say(replies.slice(0, 3).join("")),
    reason: "TimedOut",
    detail: "accepted the connection"
  },
  {
    what: "a server that hangs up",
    answer: (peer) => peer.hangUp,
    reason: "Handshake",
    detail: "the server closed it"
  },
  { what: "a server that resets", answer: (peer) => peer.reset, reason: "Handshake", detail: "ECONNRESET" },
  {
    what: "a web server",
    answer: (peer) => peer.say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    reason: "Handshake",
    detail: "HTTP/1.1 400 Bad Request"
  },
  {
    what: "a Redis",
    answer: (peer) => peer.say("-ERR unknown command 'stats'\r\n"),
    reason: "Handshake",
    detail: "-ERR unknown command 'stats'"
  },
  {
    what: "a mail server",
    answer: (peer) => peer.say("220 mx ESMTP\r\n"),
    reason: "Handshake",
    detail: "220 mx ESMTP"
  },
  { what: "an ssh server", answer: (peer) => peer.say("SSH-2.0-x\r\n"), reason: "Handshake", detail: "SSH-2.0-x" },
  {
    what: "a TLS server",
    answer: (peer) => peer.say(`\x15\x03\x01\x00\x02\x02\x0a${"\x00".repeat(300)}`),
    reason: "Handshake",
    detail: "does not end with CRLF"
  },
  {
    what: "a line without end",
    answer: (peer) => peer.say("x".repeat(257)),
    reason: "Handshake",
    detail: "more than 256 bytes"
  },
  {
    what: "a memcached",
    answer: (peer) => peer.say("ERROR\r\nERROR\r\nERROR\r\nERROR\r\n"),
    reason: "Handshake",
    detail: "ERROR"
  },
  {
    what: "a server out of memory for a tube",
    answer: (peer) => peer.say(`${Scripted.stats}OUT_OF_MEMORY\r\nWATCHING 1\r\nUSING t\r\n`),
    reason: "Handshake",
    detail: "watch with OutOfMemory"
  },
  {
    what: "a server that keeps the default tube",
    answer: (peer) => peer.say(`${Scripted.stats}WATCHING 2\r\nNOT_IGNORED\r\nUSING t\r\n`),
    reason: "Handshake",
    detail: "ignore with NotIgnored"
  },
  {
    what: "a server that uses another tube than it was told",
    answer: (peer) => peer.say(`${Scripted.stats}WATCHING 2\r\nWATCHING 1\r\nUSING default\r\n`),
    reason: "Handshake",
    detail: "USING default"
  },
  {
    what: "a server that does not know stats",
    answer: (peer) => peer.say("UNKNOWN_COMMAND\r\nWATCHING 2\r\nWATCHING 1\r\nUSING t\r\n"),
    reason: "Handshake",
    detail: "stats with UnknownCommand"
  },
  {
    what: "statistics without a line that is needed",
    answer: (peer) => peer.say(ok(Scripted.document.replace(/max-job-size: .*\n/, ""))),
    reason: "Handshake",
    detail: "max-job-size: (missing)"
  },
  {
    what: "a limit below nothing",
    answer: (peer) => peer.say(ok(Scripted.document.replace(/max-job-size: .*\n/, "max-job-size: -5\n"))),
    reason: "Handshake",
    detail: "max-job-size: -5"
  },
  {
    what: "statistics that are something else",
    answer: (peer) => peer.say(ok("---\n- default\n")),
    reason: "Handshake",
    detail: "- default"
  },
  {
    what: "a reply too many",
    answer: (peer) => peer.say(`${replies.join("")}WATCHING 1\r\n`),
    reason: "Handshake",
    detail: "without being asked"
  }
]

describe("a server other than beanstalkd", () => {
  it.scoped("is accepted if its statistics have a version, an id and a job size limit", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin()
      yield* peer.say(ok("---\nid: 1\nversion: other\nmax-job-size: 10\nrusage-utime: 3\n"))
      const { server: { id, maxJobSize, version } } = yield* Fiber.join(making)
      assert.deepStrictEqual({ id, maxJobSize, version }, { id: "1", maxJobSize: 10, version: "other" })
    }))
})

const connectTimeout: Duration.DurationInput = "3 seconds"

describe("an invalid handshake", () => {
  const [surplus, ...failing] = answers.toReversed()

  it.scoped.each(failing)("fails within connectTimeout, and leaves no socket: $what", (
    { answer, detail, reason }
  ) =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin({ ...greeted, connectTimeout }, greeting)
      yield* answer(peer)
      if (reason === "TimedOut") yield* runsOut(making, 3000)
      const error = yield* failure(making)
      assert.strictEqual(error.reason, reason)
      assert.include(error.detail, detail)
      assert.include(error.message, "memory:11300")
      yield* peer.closed
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scoped("one reply too many ends the connection after the handshake", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin(greeted, greeting)
      yield* surplus!.answer(peer)
      yield* peer.closed
      const connection = yield* Fiber.join(making)
      assert.strictEqual(Scripted.ending(yield* Effect.exit(connection.listTubes)), "ConnectionLost NotSent")
    }))

  it.scoped("fails if the server sends a banner before the first command", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const making = yield* opening(server)
      const peer = yield* server.accept
      yield* peer.say("SSH-2.0-OpenSSH_9.6\r\n")
      assert.strictEqual((yield* failure(making)).reason, "Handshake")
      yield* peer.closed
    }))

  it.scoped("fails as TimedOut if the server sends one byte a second", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin()
      for (const byte of Scripted.stats.slice(0, 4)) {
        yield* peer.say(byte)
        yield* TestClock.adjust("1 second")
      }
      assert.isTrue(yield* Scripted.isPending(making))
      yield* peer.say(Scripted.stats.slice(4, 5))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* failure(making)).reason, "TimedOut")
      yield* peer.closed
    }))

  it.scoped("fails as TimedOut if the server sends nothing and replyTimeout is shorter than connectTimeout", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin({ replyTimeout: "2 seconds" })
      yield* runsOut(making, 2000)
      assert.strictEqual((yield* failure(making)).reason, "TimedOut")
      yield* peer.closed
    }))

  it.scopedLive("fails, without an uncaught error, if the server resets the accepted connection", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const making = yield* opening(server)
      const peer = yield* server.accept
      yield* peer.expect("stats\r\n")
      yield* peer.reset
      assert.strictEqual((yield* failure(making)).reason, "Handshake")
    }))

  it.scopedLive("fails if the server closes the accepted connection", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const making = yield* opening(server)
      const peer = yield* server.accept
      yield* peer.hangUp
      assert.strictEqual((yield* failure(making)).reason, "Handshake")
      yield* peer.closed
    }))
})

describe("after a failure", () => {
  it.scoped.each([1, 2, 3, 4, 5])(
    "sends the whole handshake again after %i failures, at any of its replies",
    (failures) =>
      Effect.gen(function*() {
        const server = yield* Scripted.inMemory()
        for (let at = 0; at < replies.length; at += 1) {
          for (let i = 0; i < failures; i += 1) {
            const making = yield* opening(server, greeted)
            const peer = yield* server.accept
            yield* peer.expect(greeting)
            yield* peer.say(replies.slice(0, at).join(""))
            yield* i % 2 === 0 ? peer.say("GARBAGE\r\n") : peer.hangUp
            assert.strictEqual((yield* failure(making)).reason, "Handshake")
            yield* peer.closed
          }
          const making = yield* opening(server, greeted)
          const peer = yield* server.accept
          yield* peer.expect(greeting)
          yield* peer.say(replies.join(""))
          const connection = yield* Fiber.join(making)
          const [putting] = yield* Scripted.start([connection.put("x")])
          yield* peer.expect("put 1024 0 60 1\r\nx\r\n")
          yield* peer.say("INSERTED 1\r\n")
          assert.strictEqual(yield* Fiber.join(putting!), "1")
        }
      })
  )
})

describe("interruption of make", () => {
  it.scoped("during the first round trip closes the socket", () =>
    Effect.gen(function*() {
      const { making, peer } = yield* begin()
      yield* peer.say(Scripted.stats.slice(0, 100))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(making)))
      assert.isTrue(peer.isClosed)
    }))

  it.scoped("while the socket is being opened abandons it", () =>
    Effect.gen(function*() {
      let givenUp = 0
      const never = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (givenUp += 1)))
      const making = yield* opening(yield* Scripted.inMemory({ opening: never }))
      assert.isTrue(yield* Scripted.isPending(making))
      yield* Fiber.interrupt(making)
      assert.strictEqual(givenUp, 1)
    }))

  it.scoped("an uninterruptible make ends with connectTimeout, and closes the socket", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const making = yield* Effect.fork(
        Effect.uninterruptible(Effect.provide(BeanstalkConnection.make(), server.connector))
      )
      const peer = yield* server.accept
      yield* peer.expect("stats\r\n")
      yield* runsOut(making, 5000)
      assert.strictEqual((yield* failure(making)).reason, "TimedOut")
      yield* peer.closed
    }))

  it.scoped("an uninterruptible make, interrupted, does not wait for the server, and closes the socket", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const making = yield* Effect.fork(
        Effect.uninterruptible(Effect.provide(BeanstalkConnection.make(), server.connector))
      )
      const peer = yield* server.accept
      yield* peer.expect("stats\r\n")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(making)))
      assert.isTrue(peer.isClosed)
    }))
})
