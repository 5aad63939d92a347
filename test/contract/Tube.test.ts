/** Typed tubes: payloads are put, reserved and peeked unchanged. */
import * as MsgPack from "@effect/platform/MsgPack"
import { assert, layer } from "@effect/vitest"
import { BeanstalkClient, BeanstalkError, Tube } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { clientTo } from "../support/clients.ts"
import { failsWith, newTube, open } from "../support/connections.ts"
import { turn } from "../support/scripted.ts"
import { Beanstalkd, type Kind } from "../support/server.ts"
import { describeClients } from "../support/servers.ts"

/** The shared server, and a client of it. */
const withClient = (kind: Kind) => {
  const client = Layer.scoped(
    BeanstalkClient.BeanstalkClient,
    Effect.flatMap(Beanstalkd, (server) => clientTo(server))
  )
  return Layer.orDie(Layer.provideMerge(client, Beanstalkd.layer(kind)))
}

const leaseOf = (tube: { readonly name: string }) => open({ watch: [tube.name] })

/** The payloads of the jobs, reserved on a connection of their own. */
const reserved = <A, R>(tube: Tube.Tube<A, R>) =>
  Effect.gen(function*() {
    const lease = yield* leaseOf(tube)
    const job = yield* lease.reserveWithTimeout(0)
    return { body: Buffer.from(job.body), id: job.id, payload: yield* tube.decode(job) }
  }).pipe(Effect.scoped)

class Person extends Schema.Class<Person>("Person")({ name: Schema.NonEmptyString }) {
  get greeting() {
    return `Hello, ${this.name}`
  }
}

interface Tree {
  readonly value: number
  readonly branches: ReadonlyArray<Tree>
}

const Tree = Schema.Struct({
  value: Schema.Number,
  branches: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
})

/** A service that a Schema needs: names by number. */
class Names extends Context.Tag("test/Names")<Names, ReadonlyMap<number, string>>() {
  static readonly live = Layer.succeed(this, new Map([[1, "one"], [2, "two"]]))
}

const Name = Schema.transformOrFail(Schema.Number, Schema.String, {
  decode: (number, _, ast) =>
    Effect.flatMap(Names, (names) =>
      Effect.mapError(
        Effect.fromNullable(names.get(number)),
        () => new ParseResult.Type(ast, number)
      )),
  encode: (name, _, ast) =>
    Effect.flatMap(Names, (names) => {
      const found = [...names].find(([, known]) => known === name)
      return found === undefined ? Effect.fail(new ParseResult.Type(ast, name)) : Effect.succeed(found[0])
    })
}).annotations({ title: "a known name" })

const Later = Schema.transformOrFail(Schema.Number, Schema.Number, {
  decode: (number) => Effect.as(Effect.promise(() => Promise.resolve()), number),
  encode: (number) => Effect.as(Effect.promise(() => Promise.resolve()), number)
})

const dates = { at: new Date(0), note: Option.some("x"), either: 1 }

describeClients("a typed tube", (kind) => {
  layer(withClient(kind), { excludeTestServices: true })("its payloads", (it) => {
    const roundTrip = <A, R>(made: (name: string) => Tube.Tube<A, R>, payload: A, body?: string | Uint8Array) =>
      Effect.gen(function*() {
        const tube = made(yield* newTube)
        const id = yield* tube.put(payload)
        const peeked = yield* tube.peekReady
        assert.deepStrictEqual(Option.getOrUndefined(peeked), { id, payload })
        const found = yield* reserved(tube)
        assert.deepStrictEqual([found.id, found.payload], [id, payload])
        if (body !== undefined) assert.deepStrictEqual(found.body, Buffer.from(body))
        return found.payload
      })

    it.effect("are decoded as they were encoded: JSON", () =>
      Effect.gen(function*() {
        const json = <A, I>(payload: Schema.Schema<A, I>) => (name: string) => Tube.make(name, { payload })
        const when = Schema.Struct({
          at: Schema.Date,
          note: Schema.Option(Schema.String),
          either: Schema.Union(Schema.Number, Schema.String)
        })
        yield* roundTrip(
          json(when),
          dates,
          `{"at":"1970-01-01T00:00:00.000Z","note":{"_tag":"Some","value":"x"},"either":1}`
        )
        yield* roundTrip(json(Schema.String), "\ud800 \u0000 \u2028 \u{1f331}\r\n")
        yield* roundTrip(json(Schema.String), "", `""`)
        yield* roundTrip(json(Schema.Null), null, "null")
        yield* roundTrip(json(Tree), { value: 1, branches: [{ value: 2, branches: [] }] })
        yield* roundTrip(json(Later), 5, "5")
        const person = yield* roundTrip(json(Person), new Person({ name: "Ada" }), `{"name":"Ada"}`)
        assert.strictEqual(person.greeting, "Hello, Ada")
      }))

    it.effect("are decoded as they were encoded: text", () =>
      Effect.gen(function*() {
        for (const text of ["", "plain", "\ufeffwith a mark", "\u0000\r\n", "Grüße, 世界 \u{1f331}"]) {
          yield* roundTrip((name) => Tube.text(name), text, text)
        }
        yield* roundTrip((name) => Tube.text(name, { payload: Schema.NumberFromString }), 42, "42")
      }))

    it.effect("are decoded as they were encoded: bytes", () =>
      Effect.gen(function*() {
        const tube = Tube.bytes(yield* newTube)
        const payload = Uint8Array.from({ length: 256 }, (_, i) => i)
        yield* tube.put(payload)
        assert.deepStrictEqual([...(yield* reserved(tube)).payload], [...payload])
        const packed = MsgPack.schema(Schema.Struct({ at: Schema.DateFromNumber, tags: Schema.Array(Schema.String) }))
        yield* roundTrip((name) => Tube.bytes(name, { payload: packed }), { at: new Date(5), tags: ["a", "é"] })
      }))

    it.effect("may need services, wherever they are encoded or decoded", () =>
      Effect.gen(function*() {
        const tube = Tube.make(yield* newTube, { payload: Name })
        const id = yield* tube.put("two")
        assert.deepStrictEqual(Option.getOrUndefined(yield* tube.peekReady), { id, payload: "two" })
        assert.strictEqual((yield* reserved(tube)).body.toString(), "2")
        assert.strictEqual(yield* Stream.runCount(tube.putAll(Stream.make("one", "two"))), 2)
        assert.strictEqual(yield* Stream.run(Stream.make("one"), tube.sink()), 1)
        const error = yield* failsWith(tube.put("three"), "PayloadError")
        assert.deepStrictEqual(error.issues, [{ path: "", expected: "a known name" }])
      }).pipe(Effect.provide(Names.live)))

    it.effect("may be as large as the server accepts, once encoded", () =>
      Effect.gen(function*() {
        const tube = Tube.text(yield* newTube)
        const client = yield* BeanstalkClient.BeanstalkClient
        const { maxJobSize } = yield* client.ready
        const largest = "é".repeat(Math.floor(maxJobSize / 2)) + "x"
        yield* tube.put(largest)
        assert.strictEqual((yield* reserved(tube)).payload, largest)
        const json = Tube.make(tube.name, { payload: Schema.String })
        const error = yield* failsWith(json.put(largest), "JobTooBig")
        assert.strictEqual(error.limit, maxJobSize)
      }))

    it.effect("are not put when they cannot be encoded", () =>
      Effect.gen(function*() {
        const name = yield* newTube
        const json = Tube.make(name, { payload: Schema.Unknown })
        const circular: Record<string, unknown> = {}
        circular["itself"] = circular
        const refused = {
          surrogate: Tube.text(name).put("\ud800"),
          "half a pair": Tube.text(name).put("x\udc00"),
          "undefined": json.put(undefined),
          "a function": json.put(() => 1),
          bigint: json.put(1n),
          circular: json.put(circular),
          NaN: Tube.make(name, { payload: Schema.Struct({ n: Schema.Number }) }).put({ n: Number.NaN }),
          "a Date": json.put([new Date(0)]),
          empty: Tube.make(name, { payload: Person.fields.name }).put("")
        }
        for (const attempt of Object.values(refused)) {
          const { direction, id, tube } = yield* failsWith(attempt, "PayloadError")
          assert.deepStrictEqual({ direction, id, tube: String(tube) }, {
            direction: "encode",
            id: undefined,
            tube: name
          })
        }
        yield* failsWith(json.stats, "TubeNotFound")
      }))

    it.effect("are read from JSON with a byte order mark, as .NET writes it", () =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const tube = Tube.make(yield* newTube, { payload: Schema.Struct({ url: Schema.String }) })
        yield* client.put(tube.name, `\ufeff{"url":"http://example.org"}`)
        assert.deepStrictEqual((yield* reserved(tube)).payload, { url: "http://example.org" })
      }))

    it.effect("that do not match the Schema fail with an error that names the job, and the job stays", () =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const tube = Tube.make(yield* newTube, { payload: Schema.Struct({ url: Schema.String }) })
        const ready = yield* client.put(tube.name, new Uint8Array([0xff, 0xfe]))
        const delayed = yield* client.put(tube.name, `{"url":1}`, { delay: "1 hour" })
        const inReady = yield* failsWith(tube.peekReady, "PayloadError")
        const inDelayed = yield* failsWith(tube.peekDelayed, "PayloadError")
        assert.deepStrictEqual([inReady.id, inReady.direction, inDelayed.id], [ready, "decode", delayed])
        assert.deepStrictEqual(inReady.issues, [{ path: "", expected: "text that UTF-8 can express" }])
        assert.deepStrictEqual(inDelayed.issues, [{ path: ".url", expected: "string" }])
        assert.strictEqual((yield* tube.stats).currentJobsReady, 1)
      }))
  })

  layer(withClient(kind), { excludeTestServices: true })("its jobs", (it) => {
    it.effect("are put with the defaults of the tube, and the options of the put", () =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const defaults = { priority: 7, delay: "1 hour", ttr: "2 minutes" } as const
        const tube = Tube.make(yield* newTube, { payload: Schema.Number, ...defaults })
        assert.deepStrictEqual(tube.defaults, defaults)
        const seen = (id: string) => Effect.map(client.statsJob(id), ({ delay, pri, ttr }) => [pri, delay, ttr])
        assert.deepStrictEqual(yield* seen(yield* tube.put(1)), [7, 3600, 120])
        assert.deepStrictEqual(yield* seen(yield* tube.put(1, { priority: 0 })), [0, 3600, 120])
        assert.deepStrictEqual(yield* seen(yield* tube.put(1, { delay: 0, ttr: "5 millis" })), [7, 0, 1])
        const [one] = yield* Stream.runCollect(tube.putAll(Stream.make(1)))
        assert.deepStrictEqual(yield* seen(one ?? "0"), [7, 3600, 120])
        const [other] = yield* Stream.runCollect(tube.putAll(Stream.make(1), { priority: 0, window: 1 }))
        assert.deepStrictEqual(yield* seen(other ?? "0"), [0, 3600, 120])
        yield* tube.purge()
        assert.strictEqual(yield* Stream.run(Stream.make(1, 2), tube.sink({ ttr: "3 seconds" })), 2)
        const { id } = Option.getOrThrow(yield* tube.peekDelayed)
        assert.deepStrictEqual(yield* seen(id), [7, 3600, 3])
      }))

    it.effect("are peeked, kicked, paused and purged", () =>
      Effect.gen(function*() {
        const tube = Tube.make(yield* newTube, { payload: Schema.Number })
        yield* failsWith(tube.stats, "TubeNotFound")
        yield* failsWith(tube.pause("1 second"), "TubeNotFound")
        assert.deepStrictEqual(
          yield* Effect.all([tube.peekReady, tube.peekDelayed, tube.peekBuried]),
          [Option.none(), Option.none(), Option.none()]
        )
        const buried = yield* tube.put(1)
        yield* Effect.scoped(
          Effect.flatMap(leaseOf(tube), (lease) => Effect.flatMap(lease.reserve, (job) => lease.bury(job.id, 1)))
        )
        const delayed = yield* tube.put(2, { delay: "1 hour" })
        const ready = yield* tube.put(3)
        assert.deepStrictEqual(yield* Effect.all([tube.peekReady, tube.peekDelayed, tube.peekBuried]), [
          Option.some({ id: ready, payload: 3 }),
          Option.some({ id: delayed, payload: 2 }),
          Option.some({ id: buried, payload: 1 })
        ])
        assert.strictEqual(yield* tube.kick(10), 1)
        yield* tube.pause("1 hour")
        const { currentJobsDelayed, currentJobsReady, pause } = yield* tube.stats
        assert.deepStrictEqual([currentJobsReady, currentJobsDelayed, pause], [2, 1, 3600])
        yield* tube.pause(0)
        assert.deepStrictEqual(yield* tube.purge({ states: ["ready"], bound: 1 }), { ready: 1, delayed: 0, buried: 0 })
        const other = Tube.make(yield* newTube, { payload: Schema.Number })
        yield* other.put(1)
        const elsewhere = { tube: other.name, bound: 10 }
        assert.deepStrictEqual(yield* tube.purge(elsewhere), { ready: 1, delayed: 1, buried: 0 })
        assert.strictEqual((yield* other.stats).currentJobsReady, 1)
        const refused = yield* failsWith(tube.kick(-1), "InvalidArgument")
        assert.strictEqual(refused.argument, "bound")
      }))
  })

  layer(withClient(kind), { excludeTestServices: true })("a sink", (it) => {
    const numbers = Effect.map(newTube, (name) => Tube.make(name, { payload: Schema.Positive }))
    const seen = (tube: Tube.Tube<number>) => Effect.map(tube.stats, ({ totalJobs }) => totalJobs)

    it.effect("puts every payload, and counts the jobs", () =>
      Effect.gen(function*() {
        for (const count of [0, 1, 5_000]) {
          const tube = yield* numbers
          assert.strictEqual(yield* Stream.run(Stream.range(1, count), tube.sink({ window: 64 })), count)
          if (count > 0) assert.strictEqual(yield* seen(tube), count)
        }
      }))

    it.effect("stops at a payload that cannot be encoded, like putAll", () =>
      Effect.gen(function*() {
        const payloads = Stream.concat(Stream.range(1, 200), Stream.concat(Stream.make(-1), Stream.range(1, 2_000)))
        const putAll = (tube: Tube.Tube<number>) => Stream.runDrain(tube.putAll(payloads))
        const sink = (tube: Tube.Tube<number>) => Stream.run(payloads, tube.sink())
        for (const run of [putAll, sink]) {
          const tube = yield* numbers
          const { acknowledged, failures, sent } = yield* failsWith(run(tube), "PutAllStopped")
          assert.deepStrictEqual([acknowledged, sent], [200, 201])
          assert.deepStrictEqual(failures.map(({ error, index }) => [index, error.message]), [[
            200,
            `The payload does not match the Schema of tube ${tube.name}: expected Positive.`
          ]])
          assert.strictEqual(yield* seen(tube), 200)
        }
      }))

    it.effect("fails with the error of the server, although the source never ends", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const tube = yield* numbers
        yield* server.drain
        const client = Layer.scoped(BeanstalkClient.BeanstalkClient, clientTo(server))
        const sources = {
          "goes on": Stream.repeatEffect(Effect.as(turn, 1)),
          "is silent": Stream.concat(Stream.range(1, 2_000), Stream.never)
        }
        for (const source of Object.values(sources)) {
          const { failures } = yield* failsWith(
            Effect.provide(Stream.run(source, tube.sink()), client),
            "PutAllStopped"
          )
          assert.strictEqual(failures[0].error._tag, "Draining")
        }
      }).pipe(Effect.scoped))

    it.effect("fails with the error of its source, and with InvalidArgument for an invalid option", () =>
      Effect.gen(function*() {
        const tube = yield* numbers
        const broken = Stream.concat(Stream.range(1, 10), Stream.fail("broken"))
        assert.strictEqual(yield* Effect.flip(Stream.run(broken, tube.sink())), "broken")
        yield* failsWith(Stream.run(Stream.make(1), tube.sink({ window: 0 })), "InvalidArgument")
        const ids = yield* Stream.runCollect(tube.putAll(broken).pipe(Stream.catchAll(() => Stream.empty)))
        assert.strictEqual(Chunk.size(ids), 10)
      }))
  })

  layer(withClient(kind), { excludeTestServices: true })("what cannot be a tube", (it) => {
    it("throws where it is made", () => {
      const payload = Schema.String
      const impossible: Record<string, () => unknown> = {
        name: () => Tube.make("no name", { payload }),
        priority: () => Tube.make("name", { payload, priority: -1 }),
        delay: () => Tube.text("name", { delay: Number.NaN }),
        ttr: () => Tube.bytes("name", { ttr: "5000 days" as const, priority: 2 ** 32 }),
        minute: () => Tube.make("name", { payload, ttr: 60 }),
        traced: () => Tube.make("no name", { payload, trace: true }),
        text: () => Tube.text("no name", { payload: Schema.String }),
        bytes: () => Tube.bytes("name", { payload: Schema.Uint8ArrayFromSelf, delay: 60n })
      }
      const thrown = Object.entries(impossible).map(([argument, make]) => {
        try {
          return [argument, make()]
        } catch (error) {
          return [argument, error]
        }
      })
      assert.deepStrictEqual(
        thrown.map(([, error]) =>
          error instanceof BeanstalkError.InvalidArgument ? [error.command, error.argument] : error
        ),
        [
          ["Tube.make", "name"],
          ["Tube.make", "priority"],
          ["Tube.text", "delay"],
          ["Tube.bytes", "priority"],
          ["Tube.make", "ttr"],
          ["Tube.make", "name"],
          ["Tube.text", "name"],
          ["Tube.bytes", "delay"]
        ]
      )
    })
  })
})
