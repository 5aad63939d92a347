/** A worker that loses connections and cannot open others, while it runs jobs on other connections, or a delete is unconfirmed. */
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, Tube } from "effect-beanstalk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { amount } from "../support/edition.ts"
import { inVirtualTime, start } from "../support/workers.ts"

const { Fault } = EmbeddedServer

const tube = Tube.text("work", { ttr: "1 minute" })

const failure = (reason: "Open" | "Read") => new Socket.SocketGenericError({ reason, cause: new Error(reason) })

/** What happens to a connection: nothing, or it is refused, or it is lost after its handshake at a latency of 10 ms. */
type Fate = "Open" | "Refused" | "Lost"

/** A client whose connections the test opens, refuses and cuts. */
const clientWith = (fateOf: (nth: number) => Fate) =>
  Effect.gen(function*() {
    const { address, socket } = yield* Connector.Connector
    const ends: Array<Deferred.Deferred<void, Socket.SocketError>> = []
    const open = Effect.gen(function*() {
      const end = yield* Deferred.make<void, Socket.SocketError>()
      const fate = fateOf(ends.push(end))
      if (fate === "Refused") return yield* Effect.delay(failure("Open"), "1 millis")
      const own = yield* socket
      const lost = fate === "Lost" ? Effect.delay(failure("Read"), "12 millis") : Deferred.await(end)
      const run: typeof own.run = (handler, options) => Effect.raceFirst(own.run(handler, options), lost)
      return { ...own, run }
    })
    const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, {
      address,
      socket: open
    })
    return {
      client,
      attempts: Effect.sync(() => ends.length),
      cutFirst: Effect.suspend(() => Effect.forEach(ends.slice(0, 1), (end) => Deferred.fail(end, failure("Read")))),
      cut: Effect.suspend(() => Effect.forEach(ends, (end) => Deferred.fail(end, failure("Read"))))
    }
  })

/** A worker that has sent a delete, to which the server replies after a second. */
const deleting = (client: BeanstalkClient.Client, concurrency: number) =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    const done = yield* Effect.makeLatch(false)
    const started = yield* Effect.provideService(
      start(tube, () => done.await, { concurrency }),
      BeanstalkClient.BeanstalkClient,
      client
    )
    yield* tube.put("a")
    yield* Effect.sleep("1 second")
    yield* server.inject(Fault.Delay({ duration: "1 second" }))
    yield* done.open
    yield* Effect.sleep("200 millis")
    return started
  })

/** Such a worker, whose first connection has sent the delete, and which can open no other until `isUp`. */
const deletingInOutage = (concurrency: number) =>
  Effect.gen(function*() {
    const outage = { isUp: true }
    const { client, cut, cutFirst } = yield* clientWith(() => outage.isUp ? "Open" : "Refused")
    const started = yield* deleting(client, concurrency)
    outage.isUp = false
    return { ...started, cut, cutFirst, outage }
  })

describe("an outage", () => {
  it.live("rule 8: leaves one lane that tries to connect, however often the worker is made quiet and resumed", () =>
    inVirtualTime(Effect.gen(function*() {
      const { cut, event, outage, worker } = yield* deletingInOutage(8)
      yield* cut
      yield* Effect.sleep("30 seconds")
      for (let i = 0; i < 10; i += 1) {
        yield* worker.quiet
        yield* worker.resume
        yield* Effect.sleep("1 second")
        assert.strictEqual((yield* worker.stats).lanes, 1)
      }
      outage.isUp = true
      yield* event("CompletionUnknown")
      yield* tube.put("b")
      yield* event("Completed")
    })))

  it.live("rule 8: of new connections does not stop a lane whose connection is open", () =>
    inVirtualTime(Effect.gen(function*() {
      const { cutFirst, event, tags, worker } = yield* deletingInOutage(2)
      yield* cutFirst
      yield* Effect.sleep("10 seconds")
      assert.strictEqual((yield* worker.stats).lanes, 2)
      for (let i = 1; i <= amount(1, 5); i += 1) {
        yield* Effect.sleep("1 hour")
        yield* tube.put("b")
        yield* event("Completed", i)
      }
      assert.deepStrictEqual(new Set(yield* tags), new Set(["Completed"]))
    })))

  it.live("rule 8: that closes connections after their handshake is met by attempts with pauses", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* Stream.runDrain(tube.putAll(Stream.take(Stream.repeatValue("a"), 500)))
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const { attempts, client } = yield* clientWith((nth) => nth === 1 ? "Open" : "Lost")
      const { event } = yield* Effect.provideService(
        start(tube, () => Effect.void, { concurrency: 8 }),
        BeanstalkClient.BeanstalkClient,
        client
      )
      yield* event("Completed", 450)
      assert.isAtLeast(yield* attempts, 3)
      assert.isAtMost(yield* attempts, 30)
    })))

  it.live("is logged once, and not again when the worker closes connections", () =>
    inVirtualTime(Effect.gen(function*() {
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) warnings.push(String(message))
      })
      yield* Effect.gen(function*() {
        const { cutFirst, outage, worker } = yield* deletingInOutage(2)
        yield* cutFirst
        yield* Effect.sleep("20 seconds")
        yield* worker.quiet
        yield* Effect.sleep("20 seconds")
        assert.isFalse(outage.isUp)
        yield* worker.shutdown
      }).pipe(Effect.provide(Logger.add(logger)))
      const lost = warnings.filter((warning) => warning.includes("is lost"))
      assert.strictEqual(lost.length, 1)
      assert.notInclude(lost.join(""), "on this side")
    })))
})
