/**
 * Commands whose connection is lost: those that were not written, and those that only read, are sent again on the next
 * connection. No other command is sent twice, and no command that names a job is sent to another instance of the server.
 */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkClient, type BeanstalkError, EmbeddedServer } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { Connector } from "../../src/Connector.ts"
import * as VirtualClock from "../../src/VirtualClock.ts"
import { acceptHandshake, clientTo, sameInstance } from "../support/clients.ts"
import { eventually, failsWith } from "../support/connections.ts"
import { sample, upTo } from "../support/edition.ts"
import * as Scripted from "../support/scripted.ts"

const { Fault } = EmbeddedServer

interface Use {
  readonly name: string
  readonly send: (client: BeanstalkClient.Client) => Effect.Effect<unknown, BeanstalkError.BeanstalkError>
  /** The tube that must be selected for it. */
  readonly tube?: string
  readonly request: string
  readonly reply: string
  readonly ends?: string
  /** Whether it names a job. */
  readonly job?: boolean
}

const acting: ReadonlyArray<Use> = [
  {
    name: "put",
    send: (client) => client.put("t", "hello", { priority: 0, delay: "2 seconds", ttr: "3 seconds" }),
    tube: "t",
    request: "put 0 2 3 5\r\nhello\r\n",
    reply: "INSERTED 7\r\n"
  },
  { name: "kick", send: (client) => client.kick("t", 5), tube: "t", request: "kick 5\r\n", reply: "KICKED 2\r\n" },
  { name: "delete", send: (client) => client.delete("7"), request: "delete 7\r\n", reply: "DELETED\r\n", job: true },
  { name: "kickJob", send: (client) => client.kickJob("7"), request: "kick-job 7\r\n", reply: "KICKED\r\n", job: true },
  {
    name: "pauseTube",
    send: (client) => client.pauseTube("t", "5 seconds"),
    request: "pause-tube t 5\r\n",
    reply: "PAUSED\r\n"
  }
]

const found = "FOUND 7 5\r\nhello\r\n"

const looking: ReadonlyArray<Use> = [
  { name: "peek", send: (client) => client.peek("7"), request: "peek 7\r\n", reply: found, job: true },
  { name: "peekReady", send: (client) => client.peekReady("t"), tube: "t", request: "peek-ready\r\n", reply: found },
  {
    name: "peekDelayed",
    send: (client) => client.peekDelayed("t"),
    tube: "t",
    request: "peek-delayed\r\n",
    reply: found
  },
  {
    name: "peekBuried",
    send: (client) => client.peekBuried("t"),
    tube: "t",
    request: "peek-buried\r\n",
    reply: "NOT_FOUND\r\n"
  },
  {
    name: "statsJob",
    send: (client) => client.statsJob("7"),
    request: "stats-job 7\r\n",
    reply: "NOT_FOUND\r\n",
    ends: "JobNotFound",
    job: true
  },
  {
    name: "statsTube",
    send: (client) => client.statsTube("t"),
    request: "stats-tube t\r\n",
    reply: "NOT_FOUND\r\n",
    ends: "TubeNotFound"
  },
  { name: "stats", send: (client) => client.stats, request: "stats\r\n", reply: Scripted.stats },
  {
    name: "listTubes",
    send: (client) => client.listTubes,
    request: "list-tubes\r\n",
    reply: "OK 14\r\n---\n- default\n\r\n"
  }
]

const uses = [...acting, ...looking]

const requestOf = ({ request, tube }: Use) => tube === undefined ? request : `use ${tube}\r\n${request}`

const replyOf = ({ reply, tube }: Use) => tube === undefined ? reply : `USING ${tube}\r\n${reply}`

/** A client that is connected, and reconnects at once. */
const connected = (options?: BeanstalkClient.Options) =>
  Effect.gen(function*() {
    const server = yield* Scripted.inMemory()
    const client = yield* clientTo(server, { reconnect: Schedule.forever, ...options })
    const [, peer] = yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
    return { server, client, peer }
  })

const isServed = (use: Use, peer: Scripted.Peer, fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.gen(function*() {
    yield* peer.expect(requestOf(use))
    yield* peer.say(replyOf(use))
    assert.deepStrictEqual(yield* Scripted.endings([fiber]), [use.ends ?? "Success"])
  })

/** Asserts that a client is connected, and sends nothing but the command that it is given now. */
const saysNothingElse = (client: BeanstalkClient.Client, peer: Scripted.Peer) =>
  Effect.gen(function*() {
    yield* Scripted.turn
    const [marking] = yield* Scripted.start([client.kickJob("4321")])
    yield* peer.expect("kick-job 4321\r\n")
    yield* peer.say("KICKED\r\n")
    yield* Fiber.join(marking)
    assert.strictEqual(yield* peer.rest, "")
  })

describe("a command that was not written", () => {
  /** Loses a connection on which this command was not written, because another one filled it. */
  const lostInTheQueue = (use: Use) =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected({ maxInFlight: 1 })
      const [first, fiber] = yield* Scripted.start([client.kickJob("1"), use.send(client)])
      yield* peer.expect("kick-job 1\r\n")
      yield* peer.reset
      assert.deepStrictEqual(yield* Scripted.endings([first]), ["ConnectionLost Unknown"])
      return { client, server, fiber }
    })

  it.scoped.each(uses)("is sent on the next connection: $name", (use) =>
    Effect.gen(function*() {
      const { client, fiber, server } = yield* lostInTheQueue(use)
      const peer = yield* acceptHandshake(server)
      yield* isServed(use, peer, fiber)
      yield* saysNothingElse(client, peer)
    }))

  it.scoped.each(uses.filter(({ job }) => job !== true))(
    "is sent to another instance if it names no job: $name",
    (use) =>
      Effect.gen(function*() {
        const { fiber, server } = yield* lostInTheQueue(use)
        yield* isServed(use, yield* acceptHandshake(server, "another instance"), fiber)
      })
  )

  it.scoped.each(acting.filter(({ job }) => job === true))(
    "is not sent to another instance if it names a job: $name",
    (use) =>
      Effect.gen(function*() {
        const { client, fiber, server } = yield* lostInTheQueue(use)
        const peer = yield* acceptHandshake(server, "another instance")
        assert.deepStrictEqual(yield* Scripted.endings([fiber]), ["ConnectionLost NotSent"])
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.include(error.message, "another instance of beanstalkd")
        yield* saysNothingElse(client, peer)
      })
  )

  it.scoped.each(acting.filter(({ job }) => job === true))(
    "is not sent to another instance either if it names a job and was given after one loss, or after several: $name",
    (use) =>
      Effect.gen(function*() {
        const { client, peer, server } = yield* connected({ reconnect: Schedule.spaced("1 second") })
        yield* peer.reset
        yield* Scripted.turn
        const [fiber] = yield* Scripted.start([use.send(client)])
        yield* Effect.zipRight(Scripted.turn, TestClock.adjust("1 second"))
        // This connection is lost before the handshake is answered.
        yield* Effect.flatMap(server.accept, (peer) => peer.hangUp)
        yield* Effect.zipRight(Scripted.turn, TestClock.adjust("1 second"))
        const next = yield* acceptHandshake(server, "another instance")
        assert.deepStrictEqual(yield* Scripted.endings([fiber]), ["ConnectionLost NotSent"])
        yield* saysNothingElse(client, next)
      })
  )

  it.scoped.each(acting.filter(({ job }) => job === true))(
    "is sent to the new instance if it was given while that one was connected: $name",
    (use) =>
      Effect.gen(function*() {
        const { client, peer, server } = yield* connected()
        yield* peer.reset
        const next = yield* acceptHandshake(server, "another instance")
        yield* client.ready
        const [fiber] = yield* Scripted.start([use.send(client)])
        yield* isServed(use, next, fiber)
      })
  )

  it.scoped("is sent in its turn, however many connections that takes", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected({ maxInFlight: 1 })
      const fibers = yield* Scripted.start([1, 2, 3, 4, 5].map((id) => client.delete(`${id}`)))
      yield* peer.expect("delete 1\r\n")
      yield* peer.reset
      const seen: Array<string> = []
      for (let i = 0; i < 4; i += 1) {
        const next = yield* acceptHandshake(server)
        seen.push(yield* next.line)
        yield* Scripted.turn
        assert.strictEqual(yield* next.rest, "")
        yield* next.reset
      }
      assert.deepStrictEqual([...new Set(yield* Scripted.endings(fibers))], ["ConnectionLost Unknown"])
      assert.deepStrictEqual(seen.toSorted(), ["delete 2\r\n", "delete 3\r\n", "delete 4\r\n", "delete 5\r\n"])
    }))
})

describe("a command that was written", () => {
  const endsOf: Readonly<Record<string, (peer: Scripted.Peer) => Effect.Effect<void>>> = {
    "is reset": (peer) => peer.reset,
    "is closed": (peer) => peer.hangUp,
    "says nonsense": (peer) => peer.say("NONSENSE\r\n"),
    "is cut within a reply": (peer) => Effect.zipRight(peer.say("INSER"), peer.reset)
  }

  const lost = (uses: ReadonlyArray<Use>) =>
    Object.entries(endsOf).flatMap(([how, end]) => uses.map((use) => ({ name: use.name, use, how, end })))

  it.scoped.each(lost(acting))(
    "and changes something, is not sent again: $name, when the connection $how",
    ({ end, how, use }) =>
      Effect.gen(function*() {
        const { client, peer, server } = yield* connected()
        const [first, behind] = yield* Scripted.start([use.send(client), use.send(client)])
        yield* peer.expect(use.tube === undefined ? use.request.repeat(2) : `use t\r\n${use.request.repeat(2)}`)
        yield* end(peer)
        const violation = how === "says nonsense" && use.tube === undefined
        assert.deepStrictEqual(yield* Scripted.endings([first, behind]), [
          violation ? "ProtocolViolation" : "ConnectionLost Unknown",
          "ConnectionLost Unknown"
        ])
        yield* saysNothingElse(client, yield* acceptHandshake(server))
      })
  )

  it.scoped.each(lost(looking).filter(({ how }) => how !== "says nonsense"))(
    "and only reads, is sent again: $name, when the connection $how",
    ({ end, use }) =>
      Effect.gen(function*() {
        const { client, peer, server } = yield* connected()
        const [fiber] = yield* Scripted.start([use.send(client)])
        let next = peer
        for (const instance of ["the second", "the third", "the fourth"]) {
          yield* next.expect(requestOf(use))
          yield* end(next)
          next = yield* acceptHandshake(server, instance)
        }
        yield* isServed(use, next, fiber)
        yield* saysNothingElse(client, next)
      })
  )

  it.scoped("and only reads, is sent again until offlineTimeout after the first loss", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected({ offlineTimeout: "3 seconds" })
      yield* TestClock.adjust("1 hour")
      const [fiber] = yield* Scripted.start([client.listTubes])
      for (let second = 0, next = peer; second <= 3; second += 1, next = yield* acceptHandshake(server)) {
        yield* next.expect("list-tubes\r\n")
        if (second > 0) yield* TestClock.adjust("1 second")
        yield* next.reset
        yield* Scripted.turn
      }
      assert.deepStrictEqual(yield* Scripted.endings([fiber]), ["ConnectionLost Unknown"])
    }))

  it.scoped("and was interrupted, is not sent again", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected({ maxInFlight: 2 })
      const fibers = yield* Scripted.start([client.listTubes, client.stats, client.put("t", "x")])
      yield* peer.expect("list-tubes\r\nstats\r\n")
      yield* Fiber.interruptAll(fibers)
      yield* peer.reset
      yield* saysNothingElse(client, yield* acceptHandshake(server))
    }))
})

describe("a put whose connection is cut", () => {
  const request = "use t\r\nput 1024 0 60 5\r\nhello\r\n"

  const { length } = "USING t\r\nINSERTED 1\r\n"

  const withServer = <A, E>(
    test: (server: EmbeddedServer.Server, client: BeanstalkClient.Client) => Effect.Effect<A, E>
  ) =>
    Effect.gen(function*() {
      const { connector, server } = yield* EmbeddedServer.make()
      const client = yield* clientTo({ connector: Layer.succeed(Connector, connector) })
      yield* client.ready
      return yield* test(server, client)
    }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer()))

  const puts = (server: EmbeddedServer.Server) =>
    Effect.map(server.journal, (journal) => journal.filter(({ event }) => event === "put").length)

  it.live("at any byte of its request stores one job or none, and the next put succeeds", () =>
    Effect.forEach(
      sample(Array.from({ length: request.length }, (_, i) => i + 1), 10),
      (bytes) =>
        withServer((server, client) =>
          Effect.gen(function*() {
            yield* server.inject(Fault.CutAfterRequest({ bytes }))
            const error = yield* failsWith(client.put("t", "hello"), "ConnectionLost")
            assert.strictEqual(error.outcome, "Unknown")
            yield* server.heal
            const there = bytes < request.length ? 0 : 1
            assert.strictEqual(yield* puts(server), there)
            yield* client.put("t", "again")
            yield* eventually(server.connections, (connections) => connections.length === 1)
            assert.strictEqual(yield* puts(server), there + 1)
          })
        )
    ))

  it.live("at any byte of its reply stores one job, and the next put succeeds", () =>
    Effect.forEach(
      sample(upTo(length - 1), 6),
      (bytes) =>
        withServer((server, client) =>
          Effect.gen(function*() {
            yield* server.inject(Fault.CutAfterReply({ bytes }))
            const error = yield* failsWith(client.put("t", "hello"), "ConnectionLost")
            assert.strictEqual(error.outcome, "Unknown")
            yield* server.heal
            yield* client.put("t", "again")
            assert.strictEqual(yield* puts(server), 2)
          })
        )
    ))
})

describe("the largest body", () => {
  it.scoped("is known before a body is sent, and is that of the server that is connected", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected()
      const large = new Uint8Array(65_536)
      const error = yield* failsWith(client.put("t", large), "JobTooBig")
      assert.strictEqual(error.limit, 65_535)
      yield* saysNothingElse(client, peer)
      yield* peer.reset
      const next = yield* server.accept
      yield* next.expect("stats\r\n")
      yield* next.say(Scripted.stats.replace("max-job-size: 65535", "max-job-size: 65536"))
      assert.strictEqual((yield* client.ready).maxJobSize, 65_536)
      const [putting] = yield* Scripted.start([client.put("t", large)])
      yield* next.expect("use t\r\nput 1024 0 60 65536\r\n")
      yield* Fiber.interrupt(putting)
    }))

  it.scoped("is known for a body that waited for the connection, too", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      const [putting] = yield* Scripted.start([client.put("t", new Uint8Array(65_536))])
      const peer = yield* acceptHandshake(server)
      assert.strictEqual((yield* failsWith(Fiber.join(putting), "JobTooBig")).limit, 65_535)
      yield* saysNothingElse(client, peer)
      assert.strictEqual((yield* client.ready).id, sameInstance)
    }))
})
