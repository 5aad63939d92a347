/** The spans of a client: of its attempts to connect, and of what tubes put with it. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { failsWith } from "../support/connections.ts"
import { recorder } from "../support/telemetry.ts"

const mails = Tube.text("mails")

type Spans = ReadonlyArray<Tracer.Span>

/** An embedded server, for which its clients have an address with a port. */
const server = Layer.scopedContext(
  Effect.map(
    EmbeddedServer.make({ maxJobSize: 100 }),
    ({ connector, server }) =>
      Context.make(EmbeddedServer.EmbeddedServer, server).pipe(
        Context.add(Connector.Connector, { ...connector, address: "queue.internal:11300" })
      )
  )
)

/** Provides an embedded server, a client of it that is built in a span, and a Tracer that records spans, in virtual time. */
const recorded = <A, E, R>(options: BeanstalkClient.Options, test: (spans: Spans) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(recorder, ({ layer, spans }) =>
    test(spans).pipe(
      Effect.scoped,
      Effect.provide(Layer.withSpan(BeanstalkClient.layer(options), "start")),
      Effect.provide(server),
      Effect.provide(layer),
      Effect.provide(VirtualClock.layer())
    ))

const called = (spans: Spans, name: string) => spans.filter((span) => span.name === name)

const parentOf = ({ parent }: Tracer.Span) => Option.getOrUndefined(parent)

const only = (spans: Spans, name: string): Tracer.Span => {
  const [span, ...others] = called(spans, name)
  assert.deepStrictEqual(others, [])
  assert(span !== undefined)
  return span
}

const serverAttributes = {
  "messaging.system": "beanstalkd",
  "server.address": "queue.internal",
  "server.port": 11300
}

/** Waits until the shared connection is lost, or could not be opened. */
const lost = Effect.flatMap(
  BeanstalkClient.BeanstalkClient,
  ({ changes }) => Stream.runDrain(Stream.takeUntil(changes, BeanstalkClient.State.$is("Lost")))
)

describe("an attempt to connect", () => {
  it.effect("has no span without the option", () =>
    recorded({}, (spans) =>
      Effect.gen(function*() {
        yield* Effect.withSpan(mails.put("hello"), "request")
        assert.deepStrictEqual(called(spans, "beanstalkd.connect"), [])
      })))

  it.effect("has a span below that of who waits for it", () =>
    recorded({ name: "billing", spans: true }, (spans) =>
      Effect.gen(function*() {
        yield* Effect.withSpan(Effect.flatMap(BeanstalkClient.BeanstalkClient, ({ listTubes }) => listTubes), "request")
        const attempt = only(spans, "beanstalkd.connect")
        assert.strictEqual(parentOf(attempt), only(spans, "request"))
        assert.strictEqual(attempt.kind, "client")
        assert.strictEqual(attempt.status._tag, "Ended")
        assert.deepStrictEqual(Object.fromEntries(attempt.attributes), {
          ...serverAttributes,
          "beanstalk.connection.name": "billing"
        })
      })))

  it.effect("has a span below that of who leases the connection, or waits until the client is ready", () =>
    recorded({ spans: true }, (spans) =>
      Effect.gen(function*() {
        const { lease, ready } = yield* BeanstalkClient.BeanstalkClient
        yield* Effect.withSpan(lease, "leases")
        yield* Effect.withSpan(ready, "waits")
        assert.deepStrictEqual(
          called(spans, "beanstalkd.connect").map(parentOf),
          [only(spans, "leases"), only(spans, "waits")]
        )
      })))

  it.effect("has no span if nobody waits in one, for a worker or after a loss", () =>
    recorded({ spans: true }, (spans) =>
      Effect.gen(function*() {
        const { ready } = yield* BeanstalkClient.BeanstalkClient
        const embedded = yield* EmbeddedServer.EmbeddedServer
        yield* Effect.withSpan(Worker.make(mails, () => Effect.void), "starts a worker")
        yield* ready
        yield* embedded.inject(EmbeddedServer.Fault.Cut())
        yield* lost
        yield* ready
        assert.deepStrictEqual(called(spans, "beanstalkd.connect"), [])
      })))

  it.effect("has its error in its span", () =>
    recorded({ spans: true }, (spans) =>
      Effect.gen(function*() {
        const embedded = yield* EmbeddedServer.EmbeddedServer
        yield* embedded.inject(EmbeddedServer.Fault.Refuse())
        const putting = yield* Effect.fork(Effect.withSpan(mails.put("hello"), "request"))
        yield* lost
        yield* Fiber.interrupt(putting)
        const [attempt] = called(spans, "beanstalkd.connect")
        assert.strictEqual(attempt?.attributes.get("error.type"), "ConnectFailed")
      })))
})

describe("with spans, a tube without an envelope", () => {
  const attributes = {
    ...serverAttributes,
    "messaging.operation.name": "put",
    "messaging.operation.type": "send",
    "messaging.destination.name": "mails"
  }

  it.effect("has a span of the client for a put", () =>
    recorded({ spans: true }, (spans) =>
      Effect.gen(function*() {
        const id = yield* mails.put("hello")
        const sent = only(spans, "put mails")
        assert.strictEqual(sent.kind, "client")
        assert.deepStrictEqual(Object.fromEntries(sent.attributes), {
          ...attributes,
          "messaging.message.id": id,
          "messaging.message.body.size": 5
        })
        const { peek } = yield* BeanstalkClient.BeanstalkClient
        assert.strictEqual(yield* Effect.flatMap(peek(id), (job) => job.text()), "hello")
      })))

  it.effect("has one span for a putAll, and one for a sink, with the number of jobs", () =>
    recorded({ spans: true }, (spans) =>
      Effect.gen(function*() {
        yield* Stream.runDrain(mails.putAll(Stream.make("a", "b", "c")))
        yield* Stream.run(Stream.make("a", "b"), mails.sink())
        assert.deepStrictEqual(
          called(spans, "put mails").map(({ attributes, kind, status }) => [
            kind,
            status._tag,
            Object.fromEntries(attributes)
          ]),
          [
            ["client", "Ended", { ...attributes, "messaging.batch.message_count": 3 }],
            ["client", "Ended", { ...attributes, "messaging.batch.message_count": 2 }]
          ]
        )
      })))

  it.effect("has the error of a putAll in its span, and the number of jobs that were put before it", () =>
    recorded({ spans: true }, (spans) =>
      Effect.gen(function*() {
        yield* failsWith(Stream.runDrain(mails.putAll(Stream.make("a", "x".repeat(200)))), "PutAllStopped")
        const { attributes } = only(spans, "put mails")
        assert.strictEqual(attributes.get("error.type"), "PutAllStopped")
        assert.strictEqual(attributes.get("messaging.batch.message_count"), 1)
      })))
})
