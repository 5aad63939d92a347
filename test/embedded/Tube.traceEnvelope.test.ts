/** A job carries the span that it was put from, and its payload is decoded unchanged. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, Job, Tube } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as fc from "fast-check"
import { failsWith } from "../support/connections.ts"

const id = Schema.decodeSync(Job.JobId)("7")

const jobOf = (body: string | Uint8Array) => new Job.ReservedJob(id, Buffer.from(body))

const Email = Tube.make("emails", { payload: Schema.Struct({ to: Schema.String }), trace: true })

const Plain = Tube.make("emails", { payload: Schema.Struct({ to: Schema.String }) })

const Anything = Tube.make("anything", { payload: Schema.Unknown, trace: true })

const ada = { to: "ada" }

const traceId = "0af7651916cd43dd8448eb211c80319c"

const spanId = "b7ad6b7169203331"

const elsewhere = (sampled: boolean) => Tracer.externalSpan({ traceId, spanId, sampled })

/** Records the spans. */
const recorded = <A, E, R>(self: (spans: ReadonlyArray<Tracer.Span>) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.tracer, (tracer) => {
    const spans: Array<Tracer.Span> = []
    const recording = Tracer.make({
      context: tracer.context,
      span: (...all) => {
        const span = tracer.span(...all)
        spans.push(span)
        return span
      }
    })
    return Effect.withTracer(self(spans), recording)
  })

/** What a tube decodes from a job, the sender as text: `deepStrictEqual` takes any two Options for equal. */
const received = <A>(tube: Tube.Tube<A>, job: Job.ReservedJob | Job.PeekedJob) =>
  Effect.map(tube.decode(job), (payload) => ({
    payload,
    sender: Option.match(tube.senderOf(job), {
      onNone: () => "none",
      onSome: ({ sampled, spanId, traceId }) => `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
    })
  }))

const senderIn = (job: Job.ReservedJob | Job.PeekedJob) => Effect.map(received(Anything, job), ({ sender }) => sender)

const traceparentOf = ({ spanId, traceId }: Tracer.AnySpan) => `00-${traceId}-${spanId}-01`

describe("the body of a job", () => {
  const inEnvelope = (traceparent: string | null) => JSON.stringify({ traceparent, payload: ada })

  it.effect("names the span in which it is encoded", () =>
    Effect.gen(function*() {
      const span = yield* Effect.currentSpan
      assert.strictEqual(yield* Email.encode(ada), inEnvelope(traceparentOf(span)))
    }).pipe(Effect.withSpan("producer")))

  it.effect("names no span where there is none", () =>
    Effect.map(Email.encode(ada), (body) => assert.strictEqual(body, inEnvelope(null))))

  it.effect("names the span of another process that is continued, with its sampled flag", () =>
    Effect.forEach([[true, "01"], [false, "00"]] as const, ([sampled, flags]) =>
      Effect.map(
        Effect.withParentSpan(Email.encode(ada), elsewhere(sampled)),
        (body) => assert.strictEqual(body, inEnvelope(`00-${traceId}-${spanId}-${flags}`))
      )))

  it.effect("names the outer span where the Tracer is disabled", () =>
    Email.encode(ada).pipe(
      Effect.withSpan("not made"),
      Effect.withTracerEnabled(false),
      Effect.withParentSpan(elsewhere(true)),
      Effect.map((body) => assert.strictEqual(body, inEnvelope(`00-${traceId}-${spanId}-01`)))
    ))

  it.effect("names no span whose ids are not those of Trace Context", () =>
    Effect.forEach(
      [{ traceId: "noop", spanId: "noop" }, { traceId, spanId: "0000000000000000" }, {
        traceId: `${traceId}"`,
        spanId
      }],
      (odd) =>
        Effect.map(
          Effect.withParentSpan(Email.encode(ada), Tracer.externalSpan(odd)),
          (body) => assert.strictEqual(body, inEnvelope(null))
        )
    ))

  it.effect("has no envelope in a tube that does not trace", () =>
    Plain.encode(ada).pipe(
      Effect.withSpan("producer"),
      Effect.map((body) => assert.strictEqual(body, `{"to":"ada"}`))
    ))
})

describe("decode and senderOf", () => {
  const traceparent = `00-${traceId}-${spanId}-01`

  it.effect("return the payload and the sender", () =>
    Effect.gen(function*() {
      const job = jobOf(` { "payload" : {"to":"ada"}, "traceparent" : "${traceparent}" }\r\n`)
      assert.deepStrictEqual(yield* Email.decode(job), ada)
      assert.deepStrictEqual(yield* received(Email, job), { payload: ada, sender: traceparent })
      assert.deepStrictEqual(yield* received(Plain, jobOf(`{"to":"ada"}`)), { payload: ada, sender: "none" })
    }))

  it.effect("skip a byte order mark", () =>
    Effect.gen(function*() {
      const job = jobOf(`\ufeff{"traceparent":"${traceparent}","payload":{"to":"ada"}}`)
      assert.deepStrictEqual(yield* received(Email, job), { payload: ada, sender: traceparent })
      assert.deepStrictEqual(yield* received(Email, jobOf(`\ufeff{"to":"ada"}`)), { payload: ada, sender: "none" })
    }))

  const read: ReadonlyArray<readonly [written: string, sender: string]> = [
    [`00-${traceId}-${spanId}-00`, `00-${traceId}-${spanId}-00`],
    [`00-${traceId}-${spanId}-02`, `00-${traceId}-${spanId}-00`],
    [`00-${traceId}-${spanId}-ff`, traceparent],
    [`01-${traceId}-${spanId}-01`, traceparent],
    [`01-${traceId}-${spanId}-01-later`, traceparent]
  ]

  for (const [written, sender] of read) {
    it.effect(`return the sender that ${written} names`, () =>
      Effect.map(
        senderIn(jobOf(JSON.stringify({ traceparent: written, payload: 1 }))),
        (found) => assert.strictEqual(found, sender)
      ))
  }

  const senseless: ReadonlyArray<unknown> = [
    null,
    1,
    [traceparent],
    { traceparent },
    "",
    "ada@example.org",
    ` ${traceparent}`,
    `${traceparent} `,
    `${traceparent}\n`,
    `${traceparent}-more`,
    `${traceparent}1`,
    `ff-${traceId}-${spanId}-01`,
    `0-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId}-${spanId}-zz`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}0-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    traceparent.replaceAll("-", "_")
  ]

  for (const traceparent of senseless) {
    it.effect(`return the payload, and no sender, for the traceparent ${JSON.stringify(traceparent)}`, () =>
      Effect.map(
        received(Email, jobOf(JSON.stringify({ traceparent, payload: ada }))),
        (received) => assert.deepStrictEqual(received, { payload: ada, sender: "none" })
      ))
  }

  it.effect("ignore tracestate and baggage", () =>
    Effect.map(
      received(
        Email,
        jobOf(JSON.stringify({ traceparent, tracestate: "congo=t61rcWkgMzE", baggage: "a=1", payload: ada }))
      ),
      (received) => assert.deepStrictEqual(received, { payload: ada, sender: traceparent })
    ))
})

describe("a payload", () => {
  /** Some of them look like an envelope, or almost. */
  const json = fc.letrec<{ value: fc.JsonValue }>((tie) => {
    const keys = fc.constantFrom("traceparent", "payload", "tracestate", "baggage", "__proto__", "toString", "other")
    return {
      value: fc.oneof(
        { maxDepth: 3 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.dictionary(keys, tie("value"), { maxKeys: 4, noNullPrototype: true })
      )
    }
  }).value

  const allowed = new Set(["traceparent", "tracestate", "baggage", "payload"])

  const looksLikeEnvelope = (value: unknown) => {
    if (typeof value !== "object" || value === null) return false
    const keys = Object.keys(value)
    return keys.includes("traceparent") && keys.includes("payload") && keys.every((key) => allowed.has(key))
  }

  it.effect("is decoded from its envelope unchanged, whatever it looks like", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(json, async (value) => {
          const body = await Effect.runPromise(Anything.encode(value))
          const payload = await Effect.runPromise(Anything.decode(jobOf(body)))
          assert.deepStrictEqual(payload, JSON.parse(JSON.stringify(value)))
        }),
        { numRuns: 500 }
      )
    ))

  it.effect("that was put without an envelope is decoded, unless it looks like an envelope", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(json.filter((value) => !looksLikeEnvelope(value)), async (value) => {
          const body = JSON.stringify(value)
          const { payload, sender } = await Effect.runPromise(received(Anything, jobOf(body)))
          assert.deepStrictEqual({ payload, sender }, { payload: JSON.parse(body), sender: "none" })
        }),
        { numRuns: 500 }
      )
    ))

  it.effect("that does not match the Schema fails as without an envelope", () =>
    Effect.gen(function*() {
      const bodies = [`{"to":1}`, `{"traceparent":null,"payload":{"to":1}}`, `{"payload":{"to":"ada"}}`, "{", "null"]
      const told = yield* Effect.forEach(bodies, (body) => Effect.flip(Email.decode(jobOf(body))))
      const expected = ["string at .to", "string at .to", "string (missing) at .to", "JSON", "{ readonly to: string }"]
      assert.deepStrictEqual(
        told.map(({ message }) => message),
        expected.map((expected) => `The body of job 7 does not match the Schema of tube emails: expected ${expected}.`)
      )
      const { direction, issues } = yield* Effect.flip(Anything.encode(() => 1))
      assert.deepStrictEqual([direction, issues], ["encode", [{ path: "", expected: "JSON" }]])
    }))
})

describe("put", () => {
  /** A client of an embedded server, with a given address. */
  const clientAt = (address: string) =>
    Layer.unwrapScoped(
      Effect.map(EmbeddedServer.make({ maxJobSize: 500 }), ({ connector }) =>
        Layer.provide(BeanstalkClient.layer(), Layer.succeed(Connector.Connector, { ...connector, address })))
    )

  const withClient = Effect.provide(clientAt("queue.internal:11300"))

  const nextJob = (tube: { readonly name: string }) =>
    Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => Effect.flatten(client.peekReady(tube.name)))

  const called = (spans: ReadonlyArray<Tracer.Span>, name: string) => {
    const found = spans.filter((span) => span.name === name)
    assert.strictEqual(found.length, 1)
    return Option.getOrThrow(Option.fromNullable(found[0]))
  }

  it.effect("makes a span of the producer, which the job names", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const jobId = yield* Effect.withSpan(Email.put({ to: "Ægir" }), "request")
        const job = yield* nextJob(Email)
        const sent = called(spans, "put emails")
        assert.strictEqual(sent.kind, "producer")
        assert.strictEqual(sent.status._tag, "Ended")
        assert.strictEqual(Option.getOrUndefined(sent.parent), called(spans, "request"))
        assert.deepStrictEqual(Object.fromEntries(sent.attributes), {
          "messaging.system": "beanstalkd",
          "messaging.operation.name": "put",
          "messaging.operation.type": "send",
          "messaging.destination.name": "emails",
          "messaging.message.id": jobId,
          "messaging.message.body.size": job.body.length,
          "server.address": "queue.internal",
          "server.port": 11300
        })
        assert.strictEqual(yield* senderIn(job), traceparentOf(sent))
        assert.deepStrictEqual(Option.getOrUndefined(yield* Email.peekReady), { id: jobId, payload: { to: "Ægir" } })
      }).pipe(withClient)
    ))

  it.effect("uses the options of the put and the defaults of the tube", () =>
    Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      const tube = Tube.make("emails", { payload: Schema.Unknown, trace: true, ttr: "3 minutes" })
      const { delay, pri, ttr } = yield* client.statsJob(yield* tube.put(1, { priority: 7, delay: "1 hour" }))
      assert.deepStrictEqual({ delay, pri, ttr }, { delay: 3600, pri: 7, ttr: 180 })
    }).pipe(withClient))

  const addresses: ReadonlyArray<readonly [address: string, attributes: Record<string, unknown>]> = [
    ["memory", { "server.address": "memory" }],
    ["[::1]:11301", { "server.address": "::1", "server.port": 11301 }],
    ["unix:/run/beanstalkd.sock", { "server.address": "/run/beanstalkd.sock" }]
  ]

  for (const [address, attributes] of addresses) {
    it.effect(`has the address ${address} in its span`, () =>
      recorded((spans) =>
        Effect.gen(function*() {
          yield* Email.put(ada)
          const found = [...called(spans, "put emails").attributes].filter(([name]) => name.startsWith("server."))
          assert.deepStrictEqual(Object.fromEntries(found), attributes)
        }).pipe(Effect.provide(clientAt(address)))
      ))
  }

  it.effect("has its error in its span", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* failsWith(Email.put({ to: "x".repeat(500) }), "JobTooBig")
        yield* failsWith(Anything.put(1n), "PayloadError")
        const [tooBig, wrong] = [called(spans, "put emails"), called(spans, "put anything")].map((span) => [
          span.attributes.get("error.type"),
          span.attributes.get("messaging.message.body.size"),
          span.attributes.get("messaging.message.id"),
          span.status._tag === "Ended" && span.status.exit._tag
        ])
        assert.deepStrictEqual(tooBig, ["JobTooBig", 593, undefined, "Failure"])
        assert.deepStrictEqual(wrong, ["PayloadError", undefined, undefined, "Failure"])
      }).pipe(withClient)
    ))

  it.effect("makes one span of the producer for a putAll or sink, which all its jobs name", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const payloads = Stream.make(ada, ada)
        const ids = [...yield* Stream.runCollect(Email.putAll(payloads))]
        assert.strictEqual(yield* Stream.run(payloads, Email.sink()), 2)
        const jobs = yield* Effect.forEach([...ids, "3", "4"], client.peek)
        const [all, sink, ...others] = spans.filter(({ name }) => name === "put emails")
        assert(all !== undefined && sink !== undefined)
        assert.deepStrictEqual(others, [])
        assert.deepStrictEqual([all.kind, sink.kind], ["producer", "producer"])
        assert.deepStrictEqual(
          yield* Effect.forEach(jobs, senderIn),
          [all, all, sink, sink].map(traceparentOf)
        )
      }).pipe(withClient)
    ))

  it.effect("makes no span in a tube that does not trace, without the option of the client", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* Plain.put(ada)
        assert.deepStrictEqual(spans.map(({ name }) => name).filter((name) => name.startsWith("put")), [])
        assert.strictEqual(Buffer.from((yield* nextJob(Plain)).body).toString(), `{"to":"ada"}`)
      }).pipe(withClient)
    ))
})
