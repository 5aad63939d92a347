/**
 * When `putAll` emits ids, what it logs, and how many bodies it holds.
 *
 * `EFFECT_BEANSTALK_STRESS=1` puts many more bodies.
 */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, type Job, Tube } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { acceptHandshake, clientTo } from "../support/clients.ts"
import { eventually, failsWith } from "../support/connections.ts"
import { amount } from "../support/edition.ts"
import { assertAccountsFor, counting, stops } from "../support/putAll.ts"
import * as Scripted from "../support/scripted.ts"

const many = amount(30_000, 100_000, 1_000_000)

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const embedded = Effect.gen(function*() {
  const { connector, server } = yield* EmbeddedServer.make({ journalSize: 1_000 })
  const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, connector)
  return { client, server }
})

const bytes = (numbers: Stream.Stream<number>) => Stream.map(numbers, (number) => Buffer.from(String(number)))

describe("putAll", () => {
  it.scoped("emits each id when its job is acknowledged, however slowly the bodies come", () =>
    Effect.gen(function*() {
      const { client } = yield* embedded
      const slowly = Stream.schedule(Stream.range(1, 100), Schedule.spaced("1 second"))
      const numbers = Tube.make("typed", { payload: Schema.Number })
      const given: Record<string, Array<Job.JobId>> = { plain: [], typed: [] }
      const keep = (name: string) => (id: Job.JobId) => Effect.sync(() => given[name]?.push(id))
      yield* Effect.fork(Stream.runForEach(client.putAll("plain", bytes(slowly)), keep("plain")))
      yield* numbers.putAll(slowly).pipe(
        Stream.runForEach(keep("typed")),
        Effect.provideService(BeanstalkClient.BeanstalkClient, client),
        Effect.fork
      )
      for (let second = 1; second <= 5; second += 1) {
        yield* TestClock.adjust("1 second")
        yield* Scripted.turn
        assert.deepStrictEqual([given["plain"]?.length, given["typed"]?.length], [second, second])
      }
    }))

  it.scoped("emits the ids of acknowledged jobs while later ones are not", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      yield* Effect.fork(client.ready)
      const peer = yield* server.accept
      yield* peer.expect("stats\r\n")
      yield* peer.say(Scripted.stats)
      yield* client.ready
      const given: Array<string> = []
      const { bodies } = counting()
      const putting = yield* Effect.fork(
        Stream.runForEach(client.putAll("tube", bodies, { window: 4 }), (id) => Effect.sync(() => given.push(id)))
      )
      const put = (body: number) => `put 1024 0 60 1\r\n${body}\r\n`
      yield* peer.expect(`use tube\r\n${put(0)}${put(1)}${put(2)}${put(3)}`)
      yield* peer.say("USING tube\r\nINSERTED 10\r\nINSERTED 11\r\n")
      yield* peer.expect(put(4) + put(5))
      assert.deepStrictEqual(given, ["10", "11"])
      yield* peer.say("INSERTED 12\r\nDRAINING\r\nINSERTED 14\r\n")
      yield* Scripted.turn
      assert.deepStrictEqual(given, ["10", "11", "12"], "none that could be taken for that of the body that failed")
      assert.isTrue(yield* Scripted.isPending(putting))
      // The bodies that were sent before the failure was known are awaited.
      yield* peer.say("OUT_OF_MEMORY\r\n")
      const stopped = yield* failsWith(Fiber.join(putting), "PutAllStopped")
      assert.deepStrictEqual(stopped.behind.map(({ id, index }) => [index, String(id)]), [[4, "14"]])
      assert.strictEqual(
        stopped.message,
        "putAll: body 3 for tube tube of beanstalkd at memory:11300 failed: put: beanstalkd at memory:11300 is in drain mode " +
          "and accepts no new jobs. Put the job on another server, or retry after a restart of this one. " +
          "Of the bodies sent after it, 1 failed too. 4 bodies were acknowledged; none from index 6 on was sent."
      )
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scoped("R24: writes no body any more behind one that has failed", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server, { maxInFlight: 3 })
      yield* Effect.fork(client.ready)
      const peer = yield* acceptHandshake(server)
      yield* client.ready
      const putting = yield* Effect.fork(Stream.runDrain(client.putAll("tube", counting().bodies)))
      const put = (body: number) => `put 1024 0 60 1\r\n${body}\r\n`
      yield* peer.expect(`use tube\r\n${put(0)}${put(1)}`)
      yield* peer.say("USING tube\r\nOUT_OF_MEMORY\r\nINSERTED 1\r\n")
      const stopped = yield* Effect.flip(Fiber.join(putting))
      assert.deepInclude(stopped, { _tag: "PutAllStopped", acknowledged: 1, sent: 2 })
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scopedLive.each(["cut", "reset by a request"])(
    "R24: sends no body on the next connection behind one that has failed: %s",
    (how) =>
      Effect.gen(function*() {
        const { connector, server } = yield* EmbeddedServer.make()
        const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, connector)
        const large = (index: number) => `${index}`.padEnd(60_000)
        if (how === "reset by a request") {
          yield* server.inject(EmbeddedServer.Fault.CutAfterRequest({ bytes: 3_000_000 }))
        }
        const isStored = Stream.drop(Stream.filter(server.events, ({ event }) => event === "put"), 100)
        if (how === "cut") {
          yield* Effect.fork(Effect.zipRight(Stream.runHead(isStored), server.inject(EmbeddedServer.Fault.Cut())))
        }
        const bodies = Stream.map(Stream.range(0, 2_000), large)
        const { given, stopped } = yield* stops(client.putAll("tube", bodies))
        assert.strictEqual(stopped.failures[0]?.error._tag, "ConnectionLost")
        yield* server.heal
        // Longer than the client takes to connect again.
        yield* Effect.repeatN(client.stats, 10)
        const found = (yield* server.jobs).map(({ id, peeked }) =>
          [new TextDecoder().decode(peeked.body).trimEnd(), id] as const
        )
        assertAccountsFor(stopped, { given, found })
        const puts = (yield* server.journal).filter(({ event }) => event === "put")
        assert.strictEqual(new Set(puts.map(({ connection }) => connection)).size, 1)
      })
  )

  it.scoped("sends the bodies that waited for a connection before those that come when it opens", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* clientTo(server)
      const isThere = Stream.filter(client.changes, BeanstalkClient.State.$is("Connected"))
      const bodies = Stream.make("0", "1", "2").pipe(Stream.concat(Stream.as(Stream.take(isThere, 1), "3")))
      const putting = yield* Effect.fork(Stream.runCollect(client.putAll("tube", bodies)))
      const peer = yield* acceptHandshake(server)
      yield* peer.expect(`use tube\r\n${["0", "1", "2", "3"].map((body) => `put 1024 0 60 1\r\n${body}\r\n`).join("")}`)
      yield* peer.say("USING tube\r\nINSERTED 10\r\nINSERTED 11\r\nINSERTED 12\r\nINSERTED 13\r\n")
      assert.deepStrictEqual<ReadonlyArray<string>>([...yield* Fiber.join(putting)], ["10", "11", "12", "13"])
    }))

  it.scoped("ends at a body that fails, in an uninterruptible region, too", () =>
    Effect.gen(function*() {
      const { client, server } = yield* embedded
      yield* server.inject(EmbeddedServer.Fault.NoMemory())
      const numbers = Tube.make("typed", { payload: Schema.Number })
      const endings = yield* Scripted.start([
        Stream.runDrain(client.putAll("plain", counting().bodies)),
        Stream.run(Stream.iterate(0, (number) => number + 1), numbers.sink()).pipe(
          Effect.provideService(BeanstalkClient.BeanstalkClient, client)
        )
      ].map(Effect.uninterruptible))
      assert.deepStrictEqual(yield* Scripted.endings(endings), ["PutAllStopped", "PutAllStopped"])
    }))

  it.scopedLive("logs how many bodies were acknowledged when it is interrupted", () =>
    Effect.gen(function*() {
      const logs: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logs.push(message))
      const { client, server } = yield* embedded
      const { bodies, source } = counting()
      const silencing = Stream.tap(
        bodies,
        (body) => body === "40" ? server.inject(EmbeddedServer.Fault.Silence()) : Effect.void
      )
      const ids = { given: 0 }
      const putting = yield* client.putAll("tube", silencing, { window: 10 }).pipe(
        Stream.runForEach(() => Effect.sync(() => void (ids.given += 1))),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Effect.fork
      )
      yield* eventually(Effect.map(Scripted.turn, () => source.read), (read) => read > 40 && read === ids.given + 10)
      yield* Fiber.interrupt(putting)
      assert.isTrue(source.isFinalized)
      assert.deepStrictEqual(logs, [[
        `putAll for tube tube of beanstalkd at memory was interrupted: ` +
        `${ids.given} bodies were acknowledged, and at most ${source.read} sent`
      ]])
    }))

  it.scopedLive("sends no body that waits for a connection once it is interrupted", () =>
    Effect.gen(function*() {
      const { client, server } = yield* embedded
      const becomes = (state: BeanstalkClient.State["_tag"]) =>
        Stream.runHead(Stream.filter(client.changes, ({ _tag }) => _tag === state))
      yield* client.put("before", "")
      yield* server.inject(EmbeddedServer.Fault.Refuse())
      yield* server.inject(EmbeddedServer.Fault.Cut())
      yield* becomes("Lost")
      const { bodies, source } = counting()
      const waiting = yield* Effect.fork(Stream.runDrain(client.putAll("waiting", bodies, { window: 10 })))
      yield* eventually(Effect.map(Scripted.turn, () => source.read), (read) => read >= 10)
      yield* Fiber.interrupt(waiting)
      yield* server.heal
      yield* client.put("after", "")
      assert.deepStrictEqual((yield* client.listTubes).map(String), ["default", "before", "after"])
    }))

  it.scopedLive("holds no more bodies than the window", () =>
    Effect.gen(function*() {
      const { client, server } = yield* embedded
      const alive = new Set<WeakRef<Uint8Array>>()
      const living = Effect.sync(() => {
        collectGarbage()
        for (const body of alive) if (body.deref() === undefined) alive.delete(body)
        return alive.size
      })
      const bodies = bytes(Stream.range(1, many)).pipe(
        Stream.tap((body) => Effect.sync(() => alive.add(new WeakRef(body)))),
        Stream.rechunk(100),
        Stream.chunks,
        Stream.zipWithIndex,
        // Now and then the source waits until no more bodies are held than the window allows.
        Stream.mapEffect(([chunk, index]) =>
          Effect.as(
            index % 250 === 249 ? eventually(living, (living) => living < 2 * 1024 + 200) : Effect.void,
            chunk
          )
        ),
        Stream.flattenChunks
      )
      const ids = yield* Stream.runCount(client.putAll("tube", bodies))
      assert.strictEqual(ids, many)
      assert.strictEqual((yield* server.journal).length, 1_000)
      yield* eventually(living, (living) => living < 200)
    }))
})
