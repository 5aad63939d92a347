/**
 * `putAll`: the ids that it emits, how far it runs ahead, and the errors with which it stops.
 */
import { assert, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, failsWith, newTube } from "../support/connections.ts"
import { amount, sample } from "../support/edition.ts"
import { assertAccountsFor, counting, ranOut, readyIn, stops } from "../support/putAll.ts"
import { Beanstalkd, ListeningBeanstalkd } from "../support/server.ts"
import { describeClients, describeListening, ofOneServer } from "../support/servers.ts"

/** A client that is connected to the shared server. */
const connected = Effect.tap(Effect.flatMap(Beanstalkd, (server) => clientTo(server)), (client) => client.ready)

const withClient = Effect.all({ client: connected, tube: newTube })

const atOnce = { reconnect: Schedule.spaced("5 millis") }

describeClients("putAll", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a source that ends", (it) => {
    const sizes = { "no body": 0, "one body": 1, "many bodies": amount(80, 300) }
    const chunkings: Record<string, (bodies: Stream.Stream<string>) => Stream.Stream<string>> = {
      "one by one": Stream.rechunk(1),
      "in odd chunks": Stream.rechunk(37),
      "in one large chunk": Stream.rechunk(4096),
      "in chunks between empty ones": (bodies) =>
        Stream.chunks(Stream.rechunk(bodies, 5)).pipe(
          Stream.flatMap((chunk) => Stream.make(Chunk.empty<string>(), chunk, Chunk.empty<string>())),
          Stream.flattenChunks
        )
    }
    for (const [size, count] of Object.entries(sizes)) {
      for (const [chunking, chunked] of Object.entries(chunkings)) {
        it.scoped(`emits the id of each body in order: ${size} ${chunking}`, () =>
          Effect.gen(function*() {
            const { client, tube } = yield* withClient
            for (const window of [undefined, 3]) {
              const bodies = chunked(Stream.map(Stream.range(1, count), String))
              const ids = Chunk.toReadonlyArray(yield* Stream.runCollect(client.putAll(tube, bodies, { window })))
              const found = yield* readyIn(client, tube)
              assert.deepStrictEqual(found, ids.map((id, index) => [String(index + 1), id]))
              assert.strictEqual(ids.length, count)
              yield* client.purge(tube)
            }
          }))
      }
    }

    it.scoped("puts into the named tube, with the options", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const options = { priority: 7, delay: "1 hour", ttr: "2 minutes", window: 2 } as const
        const ids = yield* Stream.runCollect(client.putAll(tube, Stream.make("one", "two", "three"), options))
        for (const id of ids) {
          const { delay, pri, state, tube: where, ttr } = yield* client.statsJob(id)
          assert.deepStrictEqual([where, state, pri, delay, ttr], [tube, "delayed", 7, 3600, 120])
        }
        const [plain] = yield* Stream.runCollect(client.putAll(tube, Stream.make(new Uint8Array([1, 2, 3]))))
        const { body } = yield* client.peek(plain ?? "0")
        assert.deepStrictEqual([...body], [1, 2, 3])
        const { delay, pri, ttr } = yield* client.statsJob(plain ?? "0")
        assert.deepStrictEqual([pri, delay, ttr], [1024, 0, 60])
      }))

    it.scoped("ignores a tube among the options", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const options = { tube: `${tube}-other`, window: 5 }
        const [id] = yield* Stream.runCollect(client.putAll(tube, Stream.make("job"), options))
        assert.strictEqual((yield* client.statsJob(id ?? "0")).tube, tube)
      }))

    it.scoped("puts each body with its own options, or else with those of all, whatever the one before had", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const other = `${tube}-other`
        const bodies = [
          { body: "", priority: 1 },
          { body: "", priority: 1 },
          { body: "", priority: 2 },
          { body: "" },
          { body: "", priority: undefined, ttr: "5 minutes" },
          { body: "", delay: "1 hour" },
          { body: "", delay: "1 hour", tube: other },
          { body: "", tube: other }
        ] as const
        const ids = yield* Stream.runCollect(
          client.putAll(tube, Stream.fromIterable(bodies), { priority: 7, ttr: "2 minutes" })
        )
        const put = yield* Effect.forEach(ids, (id) => client.statsJob(id))
        assert.deepStrictEqual(put.map(({ delay, pri, tube, ttr }) => [tube, pri, delay, ttr]), [
          [tube, 1, 0, 120],
          [tube, 1, 0, 120],
          [tube, 2, 0, 120],
          [tube, 7, 0, 120],
          [tube, 7, 0, 300],
          [tube, 7, 3600, 120],
          [other, 7, 3600, 120],
          [other, 7, 0, 120]
        ])
      }))

    it.scoped("ends as the source ends, after the ids of all bodies before", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const some = Stream.rechunk(Stream.map(Stream.range(0, 99), String), 10)
        const endsWith = (end: Effect.Effect<never, "broken">) =>
          Effect.map(
            ranOut(client.putAll(tube, Stream.concat(some, Stream.fromEffect(end)), { window: 7 })),
            ({ exit, given }) => {
              assert.strictEqual(given.length, 100)
              return Exit.match(exit, { onSuccess: () => Cause.empty, onFailure: (cause) => cause })
            }
          )
        assert.deepStrictEqual(yield* endsWith(Effect.fail("broken")), Cause.fail("broken"))
        assert.deepStrictEqual([...Cause.defects(yield* endsWith(Effect.die("broken")))], ["broken"])
        assert.isTrue(Cause.isInterruptedOnly(yield* endsWith(Effect.interrupt)))
      }))

    it.scoped("fails with InvalidArgument before it runs the source", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const { bodies, source } = counting()
        const refused = {
          tube: client.putAll("no tube", bodies),
          priority: client.putAll(tube, bodies, { priority: -1 }),
          delay: client.putAll(tube, bodies, { delay: Number.NaN }),
          ttr: client.putAll(tube, bodies, { ttr: "137 years" as "1 second" }),
          window: client.putAll(tube, bodies, { window: 0 })
        }
        for (const [argument, ids] of Object.entries(refused)) {
          const error = yield* failsWith(Stream.runDrain(ids), "InvalidArgument")
          assert.deepStrictEqual([error.command, error.argument], ["putAll", argument])
        }
        for (const window of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
          yield* failsWith(Stream.runDrain(client.putAll(tube, bodies, { window })), "InvalidArgument")
        }
        assert.deepStrictEqual(source, { read: 0, isFinalized: false })
      }))

    ofOneServer(kind, "each", () => {
      it.scoped("emits as many ids as are taken, and interrupts the source then", () =>
        Effect.gen(function*() {
          const { client, tube } = yield* withClient
          const { bodies, source } = counting()
          const ids = yield* Stream.runCollect(Stream.take(client.putAll(tube, bodies, { window: 10 }), 25))
          assert.strictEqual(ids.length, 25)
          assert.isTrue(source.isFinalized)
          assert.isAtMost(source.read, 25 + 2 * 10)
          const read = source.read
          yield* client.put(tube, "the connection is as it was")
          assert.strictEqual(source.read, read)
        }))
    })
  })

  ofOneServer(kind, "each", () => {
    layer(Beanstalkd.layer(kind), { excludeTestServices: true })("the window", (it) => {
      it.scoped("is how far the source is read ahead of the ids that are taken", () =>
        Effect.gen(function*() {
          const { client, tube } = yield* withClient
          const { bodies, source } = counting()
          const pull = yield* Stream.toPull(client.putAll(tube, bodies, { window: 10 }))
          let taken = 0
          for (let i = 0; i < 20; i += 1) {
            taken += (yield* pull).length
            yield* eventually(Effect.sync(() => source.read), (read) => read === taken + 10)
            yield* Effect.replicateEffect(client.stats, 5)
            assert.strictEqual(source.read, taken + 10)
            assert.strictEqual((yield* client.statsTube(tube)).totalJobs, taken + 10)
          }
        }))
    })
  })

  ofOneServer(kind, "each", () => {
    layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a server that does not answer", (it) => {
      const frozen = Effect.gen(function*() {
        const server = yield* kind.start()
        const client = yield* clientTo(server, { replyTimeout: "1 hour" })
        yield* client.ready
        const scope = yield* Scope.make()
        yield* Scope.extend(server.freeze, scope)
        return { client, tube: yield* newTube, thaw: Scope.close(scope, Exit.void) }
      })

      it.scoped("holds back the source", () =>
        Effect.gen(function*() {
          const { client, thaw, tube } = yield* frozen
          const { bodies, source } = counting()
          const ids = yield* Effect.fork(
            Stream.runCollect(Stream.take(client.putAll(tube, bodies, { window: 50 }), 500))
          )
          yield* eventually(Effect.sync(() => source.read), (read) => read === 50)
          yield* Effect.replicateEffect(Effect.yieldNow(), 100)
          assert.strictEqual(source.read, 50)
          yield* thaw
          assert.strictEqual((yield* Fiber.join(ids)).length, 500)
        }))

      it.scoped("does not hold up an interruption", () =>
        Effect.gen(function*() {
          const { client, thaw, tube } = yield* frozen
          const { bodies, source } = counting()
          const putting = yield* Effect.fork(Stream.runDrain(client.putAll(tube, bodies, { window: 50 })))
          yield* eventually(Effect.sync(() => source.read), (read) => read === 50)
          yield* Fiber.interrupt(putting)
          assert.isTrue(source.isFinalized)
          yield* thaw
          yield* client.put(tube, "the connection is as it was")
          assert.isAtMost((yield* client.statsTube(tube)).totalJobs, 51)
          assert.strictEqual(source.read, 50)
        }))
    })
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a body that fails", (it) => {
    ofOneServer(kind, "waits", () => {
      it.scoped("is followed by no further one, and every body that was sent is accounted for: the server drains", () =>
        Effect.gen(function*() {
          const server = yield* kind.start()
          const client = yield* clientTo(server)
          const tube = yield* newTube
          const { bodies, source } = counting()
          const draining = Stream.tap(bodies, (body) => body === "300" ? server.drain : Effect.void)
          const { given, stopped } = yield* stops(client.putAll(tube, draining, { window: 100 }))
          assertAccountsFor(stopped, { given, found: yield* readyIn(client, tube) })
          assert.isAtLeast(stopped.acknowledged, 200)
          assert.deepStrictEqual([...new Set(stopped.failures.map(({ error }) => error._tag))], ["Draining"])
          assert.deepStrictEqual([stopped.tube, stopped.address], [tube, client.address])
          assert.isTrue(source.isFinalized)
          // One body had been read when the last one was sent.
          assert.isAtMost(source.read, stopped.sent + 1)
        }))
    })

    const large = (bodies: Stream.Stream<string>, which: string) =>
      Stream.map(bodies, (body) => body === which ? "x".repeat(65_536) : body)

    it.scoped("is not sent when it is known to be too big, nor is a later one", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const { bodies, source } = counting()
        const { given, stopped } = yield* stops(client.putAll(tube, large(bodies, "25"), { window: 10 }))
        assertAccountsFor(stopped, { given, found: yield* readyIn(client, tube) })
        assert.deepStrictEqual([stopped.acknowledged, stopped.sent, source.read], [25, 26, 26])
        assert.deepStrictEqual(stopped.failures.map(({ error, index }) => [index, error._tag]), [[25, "JobTooBig"]])
      }))

    it.scoped("does not fail the bodies before it that waited with it for the first connection; those behind it are not sent", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const client = yield* Effect.flatMap(Beanstalkd, (server) => clientTo(server))
        const bodies = Stream.map(Stream.range(0, 19), String)
        const { given, stopped } = yield* stops(client.putAll(tube, large(bodies, "5"), { window: 20 }))
        assertAccountsFor(stopped, { given, found: yield* readyIn(client, tube) })
        assert.deepStrictEqual([stopped.acknowledged, stopped.sent], [5, 6])
        assert.strictEqual(
          stopped.message,
          `putAll: body 5 for tube ${tube} of beanstalkd at ${client.address} failed: ` +
            `${stopped.failures[0].error.message} ` +
            `5 bodies were acknowledged; none from index 6 on was sent.`
        )
      }))

    it.scoped("may be an invalid argument", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* withClient
        const number: string = JSON.parse("5")
        const { given, stopped } = yield* stops(client.putAll(tube, Stream.make("0", "1", number, "3")))
        assertAccountsFor(stopped, { given, found: yield* readyIn(client, tube) })
        assert.deepStrictEqual([stopped.acknowledged, stopped.sent], [2, 3])
        assert.deepStrictEqual(stopped.failures.map(({ error, index }) => [index, error._tag]), [[
          2,
          "InvalidArgument"
        ]])
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a client that closes", (it) => {
    it.scoped("stops it, and its error accounts for every body", () =>
      Effect.gen(function*() {
        const { client: other, tube } = yield* withClient
        const scope = yield* Scope.make()
        const client = yield* Scope.extend(connected, scope)
        const { bodies, source } = counting()
        const closing = Stream.tap(bodies, (body) => body === "300" ? Scope.close(scope, Exit.void) : Effect.void)
        const { given, stopped } = yield* stops(client.putAll(tube, closing, { window: 100 }))
        assertAccountsFor(stopped, { given, found: yield* readyIn(other, tube) })
        assert.isAtLeast(stopped.acknowledged, 200)
        assert.isTrue(source.isFinalized)
      }))
  })
})

describeListening("putAll through a bad network", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("a connection that is cut", (it) => {
    const cuts = Array.from({ length: 6 }, (_, i) => 1_000 + i * 1_213)
    for (const way of ["toServer", "toClient"] as const) {
      it.scoped(`stops it, and its error accounts for every body, wherever it is cut on the way ${way}`, () =>
        Effect.forEach(sample(cuts, 2), (bytes) =>
          Effect.gen(function*() {
            const proxy = yield* ChaosProxy.make(yield* ListeningBeanstalkd)
            const { client: other, tube } = yield* withClient
            const client = yield* clientTo(proxy, atOnce)
            yield* client.ready
            yield* proxy.set({ cutAfter: { bytes: 4_000 + bytes, ending: "RST" } }, way)
            const { bodies } = counting()
            const { given, stopped } = yield* stops(client.putAll(tube, bodies, { window: 200 }))
            assertAccountsFor(stopped, { given, found: yield* readyIn(other, tube) })
            assert.isTrue(stopped.failures.every(({ error }) => error._tag === "ConnectionLost"))
          }).pipe(Effect.scoped)))
    }

    it.scoped("fails the bodies that were written; the others are not sent on the next connection", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const proxy = yield* ChaosProxy.make(server)
        const { client: other, tube } = yield* withClient
        const client = yield* clientTo(proxy, { ...atOnce, maxInFlight: 1, replyTimeout: "1 hour" })
        yield* client.ready
        yield* proxy.set({ silence: true }, "toClient")
        const { bodies, source } = counting()
        const putting = yield* Effect.fork(stops(client.putAll(tube, bodies, { window: 50 })))
        yield* eventually(Effect.sync(() => source.read), (read) => read === 50)
        yield* proxy.heal
        yield* proxy.cut("RST")
        const { given, stopped } = yield* Fiber.join(putting)
        assertAccountsFor(stopped, { given, found: yield* readyIn(other, tube) })
        assert.deepStrictEqual(stopped.failures.map(({ index }) => index), [0])
        assert.deepStrictEqual([stopped.acknowledged, stopped.sent], [0, 1])
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("an outage", (it) => {
    it.scoped("only delays the bodies, and none is put twice", () =>
      Effect.gen(function*() {
        const proxy = yield* ChaosProxy.make(yield* ListeningBeanstalkd)
        const client = yield* clientTo(proxy, atOnce)
        const tube = yield* newTube
        yield* proxy.refuse("RST")
        const bodies = Stream.map(Stream.range(0, 199), String)
        const putting = yield* Effect.fork(Stream.runCollect(client.putAll(tube, bodies, { window: 64 })))
        yield* eventually(proxy.connections, (made) => made.length > 3)
        yield* proxy.reopen
        const ids = Chunk.toReadonlyArray(yield* Fiber.join(putting))
        const found = new Map(yield* readyIn(client, tube))
        assert.strictEqual(found.size, 200)
        assert.deepStrictEqual(Array.from({ length: 200 }, (_, index) => found.get(String(index))), [...ids])
        assert.strictEqual((yield* client.statsTube(tube)).totalJobs, 200)
      }))

    it.scoped("that is too long stops it", () =>
      Effect.gen(function*() {
        const proxy = yield* ChaosProxy.make(yield* ListeningBeanstalkd)
        const client = yield* clientTo(proxy, { ...atOnce, offlineTimeout: "50 millis" })
        yield* proxy.refuse("RST")
        const { bodies, source } = counting()
        const { given, stopped } = yield* stops(client.putAll(yield* newTube, bodies, { window: 20 }))
        assertAccountsFor(stopped, { given, found: [] })
        assert.deepStrictEqual([stopped.acknowledged, stopped.sent], [0, 1])
        assert.isTrue(stopped.failures.every(({ error }) => error._tag === "ConnectFailed"))
        assert.strictEqual(source.read, 20)
      }))

    it.scoped("in which the client is closed stops it", () =>
      Effect.gen(function*() {
        const proxy = yield* ChaosProxy.make(yield* ListeningBeanstalkd)
        const scope = yield* Scope.make()
        const client = yield* Scope.extend(clientTo(proxy, { ...atOnce, offlineTimeout: "1 hour" }), scope)
        yield* proxy.refuse("RST")
        const { bodies, source } = counting()
        const putting = yield* Effect.fork(stops(client.putAll(yield* newTube, bodies, { window: 20 })))
        yield* eventually(Effect.sync(() => source.read), (read) => read === 20)
        yield* Scope.close(scope, Exit.void)
        const { given, stopped } = yield* Fiber.join(putting)
        assertAccountsFor(stopped, { given, found: [] })
        assert.deepStrictEqual([stopped.acknowledged, stopped.sent], [0, 1])
        assert.isTrue(
          stopped.failures.every(({ error }) => error._tag === "ConnectFailed" && error.reason === "Closed")
        )
      }))
  })
})
