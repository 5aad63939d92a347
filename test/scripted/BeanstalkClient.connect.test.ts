/**
 * Faults while a connection is opened, and a peer that disappears without closing it: every session begins with a complete
 * handshake, and no job is put into another tube.
 */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkClient, EmbeddedServer } from "effect-beanstalk"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import * as Net from "node:net"
import { Connector } from "../../src/Connector.ts"
import * as VirtualClock from "../../src/VirtualClock.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { acceptHandshake, clientTo } from "../support/clients.ts"
import { eventually, failsWith } from "../support/connections.ts"
import { amount, sample, spread, upTo } from "../support/edition.ts"
import * as Scripted from "../support/scripted.ts"
import { targetOf } from "../support/server.ts"

const { Fault } = EmbeddedServer

interface Opening {
  readonly name: string
  /** What the client sends in its first write, … */
  readonly greeting: string
  /** … and how a healthy server answers. */
  readonly answers: ReadonlyArray<string>
  /** Sends a command on the connection that this client opens. */
  readonly work: (client: BeanstalkClient.Client) => Effect.Effect<unknown, { readonly _tag: string }>
  readonly request: string
  readonly reply: string
}

const openings: ReadonlyArray<Opening> = [
  {
    name: "the shared connection",
    greeting: "stats\r\n",
    answers: [Scripted.stats],
    work: (client) => client.put("t", "x"),
    request: "use t\r\nput 1024 0 60 1\r\nx\r\n",
    reply: "USING t\r\nINSERTED 1\r\n"
  },
  {
    name: "a lease",
    greeting: "stats\r\nwatch u\r\nwatch v\r\nignore default\r\nuse t\r\n",
    answers: [Scripted.stats, "WATCHING 2\r\n", "WATCHING 3\r\n", "WATCHING 2\r\n", "USING t\r\n"],
    work: (client) =>
      Effect.scoped(
        Effect.flatMap(
          Effect.retry(client.leaseWith({ tube: "t", watch: ["u", "v"] }), Schedule.recurs(5)),
          (lease) => Effect.zip(lease.put("x"), lease.reserve)
        )
      ),
    request: "put 1024 0 60 1\r\nx\r\nreserve\r\n",
    reply: "INSERTED 1\r\nRESERVED 1 1\r\nx\r\n"
  }
]

type Fail = (peer: Scripted.Peer, answer: string) => Effect.Effect<void>

const half = (text: string) => text.slice(0, text.length / 2)

/** What can happen instead of a reply, or in the middle of it. */
const faults: Readonly<Record<string, Fail>> = {
  "is reset": (peer) => peer.reset,
  "is closed": (peer) => peer.hangUp,
  "is cut within": (peer, answer) => Effect.zipRight(peer.say(half(answer)), peer.reset),
  "is nonsense": (peer) => peer.say("NONSENSE\r\n"),
  "is that there is no memory": (peer) => peer.say("OUT_OF_MEMORY\r\n"),
  "is silence": () => TestClock.adjust("5 seconds"),
  "is silence within": (peer, answer) => Effect.zipRight(peer.say(half(answer)), TestClock.adjust("5 seconds"))
}

/** Each fault up to so many times in a row. */
const cases = openings.flatMap((opening) =>
  opening.answers.flatMap((_, at) =>
    Object.entries(faults).map(([how, fail], i) => {
      const rows = sample([1, 2, 3, 4, 5], 1, at + i)
      return { name: opening.name, opening, at, how, fail, rows }
    })
  )
)

describe("a fault while a connection is opened", () => {
  it.scoped.each(cases)("only delays the command that waits for it: $name, when answer $at $how", (
    { at, fail, opening: { answers, greeting, reply, request, work }, rows }
  ) =>
    Effect.gen(function*() {
      for (const times of rows) {
        const server = yield* Scripted.inMemory()
        const client = yield* clientTo(server, { reconnect: Schedule.forever, offlineTimeout: "1 hour" })
        const [working] = yield* Scripted.start([work(client)])
        for (let time = 0; time < times; time += 1) {
          const peer = yield* server.accept
          yield* peer.expect(greeting)
          yield* Effect.forEach(answers.slice(0, at), (answer) => peer.say(answer))
          yield* fail(peer, answers[at] ?? "")
          yield* peer.closed
          assert.strictEqual(peer.writes.join(""), greeting)
        }
        const peer = yield* server.accept
        yield* peer.expect(greeting)
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "", "something was said before the answers were there")
        yield* Effect.forEach(answers, (answer) => peer.say(answer))
        yield* peer.expect(half(request).split("\r\n")[0] ?? "")
        yield* Effect.forEach(reply.split(/(?<=USING t\r\n|INSERTED 1\r\n)/), (part) =>
          Effect.zipRight(Scripted.turn, peer.say(part)))
        assert.deepStrictEqual(yield* Scripted.endings([working]), ["Success"])
        assert.strictEqual(peer.writes.join(""), greeting + request)
      }
    }))

  it.live("at any byte, several times in a row, puts no job into another tube", () =>
    Effect.gen(function*() {
      for (const bytes of spread(upTo(Scripted.stats.length + 199), amount(6, 60, 1000))) {
        yield* Effect.gen(function*() {
          const { connector, server } = yield* EmbeddedServer.make()
          const client = yield* clientTo({ connector: Layer.succeed(Connector, connector) })
          yield* server.inject(Fault.CutAfterReply({ bytes }))
          const putting = yield* Effect.fork(Effect.all(
            ["a", "b", "c"].map((tube) => Effect.either(client.put(tube, tube))),
            { concurrency: "unbounded" }
          ))
          const leasing = yield* Effect.fork(
            Effect.retry(client.leaseWith({ tube: "d", watch: ["a", "b", "c"] }), Schedule.spaced("10 millis"))
          )
          // In virtual time: with each round more attempts have met the fault by then.
          yield* Effect.delay(server.heal, 1 + bytes % 5 * 100)
          yield* Fiber.join(putting)
          const lease = yield* Fiber.join(leasing)
          yield* client.put("e", "e")
          const id = yield* lease.put("d").pipe(Effect.retry({ times: 1 }))
          assert.strictEqual((yield* client.statsJob(id)).tube, "d")
          const all = (yield* server.journal).filter(({ event }) => event === "put")
          for (const { id, tube } of all) {
            const job = yield* client.peek(id)
            assert.strictEqual(yield* job.text(), tube)
          }
        }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer()))
      }
    }))
})

describe("a peer that disappears without closing the connection", () => {
  it.scoped("is detected within replyTimeout: a put in flight fails, and a read-only command is sent again on the next connection", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server, { reconnect: Schedule.forever, replyTimeout: "3 seconds" })
      yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      const [putting, looking] = yield* Scripted.start([client.put("t", "x"), client.listTubes])
      yield* Effect.zipRight(Scripted.turn, TestClock.adjust("2999 millis"))
      assert.isTrue(yield* Scripted.isPending(putting))
      yield* TestClock.adjust("1 millis")
      const next = yield* acceptHandshake(server)
      const error = yield* failsWith(Fiber.join(putting), "ConnectionLost")
      assert.strictEqual(error.outcome, "Unknown")
      assert.include(error.message, "has not answered use for 3 seconds")
      yield* next.expect("list-tubes\r\n")
      yield* next.say("OK 14\r\n---\n- default\n\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([looking]), ["Success"])
    }))

  it.scopedLive("is detected on a real socket, and the next put succeeds", () =>
    Effect.gen(function*() {
      const server = yield* NodeEmbeddedServer.listen()
      const target = targetOf(server.url)
      const proxy = yield* ChaosProxy.make({ connect: () => Net.connect(target) })
      const client = yield* clientTo(proxy, { replyTimeout: "300 millis" })
      const leased = yield* client.leaseWith({ watch: ["t"] })
      yield* client.ready
      yield* proxy.set({ silence: true })
      const [putting, reserving] = yield* Scripted.start([
        client.put("t", "lost"),
        leased.reserveWithTimeout(0)
      ])
      assert.strictEqual((yield* failsWith(Fiber.join(putting), "ConnectionLost")).outcome, "Unknown")
      yield* failsWith(Fiber.join(reserving), "ConnectionLost")
      yield* proxy.heal
      const id = yield* client.put("t", "found")
      const again = yield* client.leaseWith({ watch: ["t"] })
      assert.strictEqual((yield* again.reserve).id, id)
      const jobs = yield* eventually(server.journal, (journal) => journal.length >= 2)
      assert.deepStrictEqual(jobs.map(({ event }) => event), ["put", "reserved"])
    }))

  it.scoped("while a connection is opened is detected within connectTimeout", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server, { reconnect: Schedule.stop, connectTimeout: "2 seconds" })
      const [putting] = yield* Scripted.start([client.put("t", "x")])
      const peer = yield* server.accept
      yield* Effect.zipRight(Scripted.turn, TestClock.adjust("1999 millis"))
      assert.isFalse(peer.isClosed)
      yield* TestClock.adjust("1 millis")
      yield* peer.closed
      assert.strictEqual((yield* failsWith(Fiber.join(putting), "ConnectFailed")).reason, "TimedOut")
    }))
})
