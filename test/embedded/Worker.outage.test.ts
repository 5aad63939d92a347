/** What a worker does about connections that are lost, and cannot be had again, while it works on others or owes an answer. */
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, Tube } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { inVirtualTime, start, takes } from "../support/workers.ts"

const { Fault } = EmbeddedServer

const tube = Tube.text("work", { ttr: "1 minute" })

const failure = (reason: "Open" | "Read") => new Socket.SocketGenericError({ reason, cause: new Error(reason) })

/** What becomes of a connection: nothing, or it cannot be had, or it is lost once it has been greeted on a line of 10 ms. */
type Fate = "Open" | "Refused" | "Lost"

/** A client whose connections the test gives and takes. */
const clientWith = (fateOf: (nth: number) => Fate) =>
  Effect.gen(function*() {
    const { address, socket } = yield* Connector.Connector
    const ends: Array<Deferred.Deferred<void, Socket.SocketError>> = []
    const ending = Effect.gen(function*() {
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
      socket: ending
    })
    return {
      client,
      tried: Effect.sync(() => ends.length),
      cutFirst: Effect.suspend(() => Effect.forEach(ends.slice(0, 1), (end) => Deferred.fail(end, failure("Read")))),
      cut: Effect.suspend(() => Effect.forEach(ends, (end) => Deferred.fail(end, failure("Read"))))
    }
  })

/** A worker that has a delete on its way, which will not be answered before a second is over. */
const deleting = (client: BeanstalkClient.Client, concurrency: number) =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    const done = yield* Effect.makeLatch(false)
    const told = yield* Effect.provideService(
      start(tube, () => done.await, { concurrency }),
      BeanstalkClient.BeanstalkClient,
      client
    )
    yield* tube.put("a")
    yield* takes("1 second")
    yield* server.inject(Fault.Delay({ duration: "1 second" }))
    yield* done.open
    yield* takes("200 millis")
    return told
  })

/** One whose first connection has that delete, and that can have no other until `isUp`. */
const owing = (concurrency: number) =>
  Effect.gen(function*() {
    const outage = { isUp: true }
    const { client, cut, cutFirst } = yield* clientWith(() => outage.isUp ? "Open" : "Refused")
    const told = yield* deleting(client, concurrency)
    outage.isUp = false
    return { ...told, cut, cutFirst, outage }
  })

describe("an outage", () => {
  it.live("rule 8: leaves one lane that tries again, however often the worker is told to be quiet and to go on", () =>
    inVirtualTime(Effect.gen(function*() {
      const { cut, event, outage, worker } = yield* owing(8)
      yield* cut
      yield* takes("30 seconds")
      for (let i = 0; i < 10; i += 1) {
        yield* worker.quiet
        yield* worker.resume
        yield* takes("1 second")
        assert.strictEqual((yield* worker.stats).lanes, 1)
      }
      outage.isUp = true
      yield* event("CompletionUnknown")
      yield* tube.put("b")
      yield* event("Completed")
    })))

  it.live("rule 8: of new connections alone keeps nobody from working on one that is there", () =>
    inVirtualTime(Effect.gen(function*() {
      const { cutFirst, event, tags, worker } = yield* owing(2)
      yield* cutFirst
      yield* takes("10 seconds")
      assert.strictEqual((yield* worker.stats).lanes, 2)
      for (let i = 1; i <= 5; i += 1) {
        yield* takes("1 hour")
        yield* tube.put("b")
        yield* event("Completed", i)
      }
      assert.deepStrictEqual(new Set(yield* tags), new Set(["Completed"]))
    })))

  it.live("rule 8: of a server that welcomes and hangs up is met with pauses", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* Stream.runDrain(tube.putAll(Stream.take(Stream.repeatValue("a"), 500)))
      yield* server.inject(Fault.Delay({ duration: "10 millis" }))
      const { client, tried } = yield* clientWith((nth) => nth === 1 ? "Open" : "Lost")
      const { event } = yield* Effect.provideService(
        start(tube, () => Effect.void, { concurrency: 8 }),
        BeanstalkClient.BeanstalkClient,
        client
      )
      yield* event("Completed", 450)
      assert.isAtLeast(yield* tried, 3)
      assert.isAtMost(yield* tried, 30)
    })))

  it.live("is told of once, and not again by what closes on this side", () =>
    inVirtualTime(Effect.gen(function*() {
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) warnings.push(String(message))
      })
      yield* Effect.gen(function*() {
        const { cutFirst, outage, worker } = yield* owing(2)
        yield* cutFirst
        yield* takes("20 seconds")
        yield* worker.quiet
        yield* takes("20 seconds")
        assert.isFalse(outage.isUp)
        yield* worker.shutdown
      }).pipe(Effect.provide(Logger.add(logger)))
      const lost = warnings.filter((warning) => warning.includes("is lost"))
      assert.strictEqual(lost.length, 1)
      assert.notInclude(lost.join(""), "on this side")
    })))

  it.live("rule 24: of a client that is closed is waited for by nobody", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(BeanstalkClient.make(), scope)
      const { event, tags, worker } = yield* deleting(client, 1)
      yield* Scope.close(scope, Exit.void)
      yield* server.inject(Fault.Cut())
      const began = yield* Clock.currentTimeMillis
      yield* worker.await
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 1000)
      yield* event("ShutdownReport")
      assert.deepStrictEqual(yield* tags, ["CompletionUnknown", "ShutdownReport"])
    })))
})
