/** The spans of a worker. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, BeanstalkError, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import { recorder } from "../support/telemetry.ts"

class Boom extends Data.TaggedError("Boom")<{}> {}

const tube = Tube.text("work")

const traced = Tube.make("traced", { payload: Schema.String, trace: true })

type Spans = ReadonlyArray<Tracer.Span>

/** Provides an embedded server, a client of it, and a Tracer that records spans, in virtual time. */
const recorded = <A, E, R>(test: (spans: Spans) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(recorder, ({ layer, spans }) =>
    test(spans).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer()),
      Effect.provide(EmbeddedServer.layer()),
      Effect.provide(layer),
      Effect.provide(VirtualClock.layer())
    ))

/** Waits for this many events of a worker, and shuts it down. */
const shutDownAfter = (count: number) => <E, R>(worker: Effect.Effect<Worker.Worker, E, R>) =>
  Effect.flatMap(
    worker,
    (worker) => Effect.zipRight(Stream.runDrain(Stream.take(worker.events, count)), worker.shutdown)
  )

const runs = (spans: Spans) => spans.filter(({ name }) => name.startsWith("process "))

const run = (spans: Spans): Tracer.Span => {
  const [span, ...others] = runs(spans)
  assert.deepStrictEqual(others, [])
  assert(span !== undefined)
  return span
}

const attributes = ({ attributes }: Tracer.Span) => Object.fromEntries(attributes)

const idOf = ({ spanId, traceId }: Tracer.AnySpan) => `${traceId}/${spanId}`

const linksOf = ({ links }: Tracer.Span) => links.map(({ span }) => idOf(span))

const parentOf = ({ parent }: Tracer.Span) => Option.getOrUndefined(Option.map(parent, idOf))

const seconds = ({ status }: Tracer.Span) =>
  status._tag === "Ended" ? Number(status.endTime - status.startTime) / 1e9 : undefined

const outcomeOf = (span: Tracer.Span) => span.attributes.get("beanstalk.outcome")

const errorOf = (span: Tracer.Span) => span.attributes.get("error.type")

describe("the span of a job", () => {
  it.effect("has the attributes of the job and its outcome", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const id = yield* tube.put("héllo")
        yield* shutDownAfter(1)(Worker.make(tube, () => Effect.succeed("result"), { spans: true }))
        const span = run(spans)
        assert.strictEqual(span.name, "process work")
        assert.strictEqual(span.kind, "consumer")
        assert.deepStrictEqual(attributes(span), {
          "messaging.system": "beanstalkd",
          "messaging.operation.name": "process",
          "messaging.operation.type": "process",
          "messaging.destination.name": "work",
          "server.address": "memory",
          "messaging.message.id": id,
          "messaging.message.body.size": 6,
          "beanstalk.outcome": "Completed"
        })
        assert(span.status._tag === "Ended")
        assert.deepStrictEqual(span.status.exit, Exit.void)
      })
    ))

  it.effect("has no parent, not even the span in which the worker was started", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* tube.put("job")
        const worker = Worker.make(tube, () => Effect.void, { spans: true })
        yield* Effect.withSpan(shutDownAfter(1)(worker), "main")
        assert.deepStrictEqual([parentOf(run(spans)), linksOf(run(spans))], [undefined, []])
      })
    ))

  it.effect("is given to the Tracer as a root", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const roots: Array<boolean | undefined> = []
        const tracer = yield* Effect.tracer
        const tracing = Tracer.make({
          context: tracer.context,
          span: (...all) => {
            const [name, , , , , , options] = all
            if (name.startsWith("process ")) roots.push(options?.root)
            return tracer.span(...all)
          }
        })
        yield* tube.put("job")
        yield* Effect.withTracer(shutDownAfter(1)(Worker.make(tube, () => Effect.void, { spans: true })), tracing)
        assert.strictEqual(parentOf(run(spans)), undefined)
        assert.deepStrictEqual(roots, [true])
      })
    ))

  it.effect("is the parent of the spans of the handler", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* tube.put("job")
        yield* shutDownAfter(1)(Worker.make(
          tube,
          () => Effect.withSpan(Effect.delay(Effect.void, "3 seconds"), "inside"),
          { spans: true }
        ))
        const inside = spans.find(({ name }) => name === "inside")
        assert(inside !== undefined)
        assert.strictEqual(parentOf(inside), idOf(run(spans)))
        assert.strictEqual(seconds(run(spans)), 3)
      })
    ))

  const relations = [["link", undefined], ["link", "link"], ["parent", "parent"]] as const

  for (const [relation, traceParent] of relations) {
    it.effect(`has the span of the put as a ${relation}, with traceParent: ${traceParent}`, () =>
      recorded((spans) =>
        Effect.gen(function*() {
          yield* traced.put("job")
          yield* shutDownAfter(1)(Worker.make(traced, () => Effect.void, { spans: true, traceParent }))
          const sender = spans.find(({ kind }) => kind === "producer")
          assert(sender !== undefined)
          const related = { link: [undefined, [idOf(sender)]], parent: [idOf(sender), []] }
          assert.deepStrictEqual([parentOf(run(spans)), linksOf(run(spans))], related[relation])
        })
      ))
  }

  it.effect("has no parent if the body has no traceparent", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put(traced.name, JSON.stringify("job"))
        yield* shutDownAfter(1)(Worker.make(traced, () => Effect.void, { spans: true, traceParent: "parent" }))
        assert.deepStrictEqual([parentOf(run(spans)), linksOf(run(spans))], [undefined, []])
      })
    ))

  const failures: ReadonlyArray<
    readonly [failure: string, run: Effect.Effect<void, unknown>, error: string, outcome: string]
  > = [
    ["a failure with a tag", new Boom(), "Boom", "Retried"],
    ["a failure without a tag", Effect.fail("text"), "_OTHER", "Retried"],
    ["an order", new Worker.Bury({}), "Bury", "Buried"],
    ["a defect", Effect.dieMessage("defect"), "defect", "Buried"],
    ["a handler that takes too long", Effect.never, "interrupt", "Retried"]
  ]

  for (const [failure, handler, error, outcome] of failures) {
    it.effect(`has the error.type and the outcome of ${failure}`, () =>
      recorded((spans) =>
        Effect.gen(function*() {
          yield* tube.put("job")
          yield* shutDownAfter(1)(Worker.make(tube, () => handler, { spans: true, timeout: "5 seconds" }))
          assert.deepStrictEqual([errorOf(run(spans)), outcomeOf(run(spans))], [error, outcome])
        })
      ))
  }

  it.effect("has the PayloadError of a body that does not decode", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put(traced.name, "{")
        yield* shutDownAfter(1)(Worker.make(traced, () => Effect.void, { spans: true }))
        assert.deepStrictEqual([errorOf(run(spans)), outcomeOf(run(spans))], ["PayloadError", "Undecodable"])
        const { status } = run(spans)
        assert(status._tag === "Ended" && Exit.isFailure(status.exit))
        assert(Cause.squash(status.exit.cause) instanceof BeanstalkError.PayloadError)
      })
    ))

  it.effect("ends when the handler has ended, however late the reply to the delete is", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        yield* tube.put("job")
        const worker = yield* Worker.make(
          tube,
          () => Effect.delay(server.inject(EmbeddedServer.Fault.Delay({ duration: "2 seconds" })), "3 seconds"),
          { spans: true }
        )
        const completed = yield* Effect.fork(Stream.runDrain(Stream.take(worker.events, 1)))
        yield* Effect.delay(Effect.void, "4 seconds")
        assert.strictEqual(run(spans).status._tag, "Started")
        yield* completed
        assert.strictEqual(seconds(run(spans)), 3)
        yield* server.heal
      })
    ))

  it.effect("ends with the handler if that continues after its lease is lost", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        yield* tube.put("job")
        const handle = () =>
          server.inject(EmbeddedServer.Fault.Cut()).pipe(
            Effect.delay("2 seconds"),
            Effect.zipRight(Effect.delay(Effect.void, "5 seconds"))
          )
        yield* shutDownAfter(1)(Worker.make(tube, handle, { spans: true, onLeaseLost: "continue" }))
        const lost = run(spans)
        assert.deepStrictEqual([outcomeOf(lost), errorOf(lost), seconds(lost)], ["LeaseLost", undefined, 7])
      })
    ))

  it.effect("ends with the worker, even if its handler does not", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        yield* tube.put("job")
        const worker = yield* Worker.make(
          tube,
          () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.uninterruptible(Effect.never)),
          { spans: true, shutdownTimeout: "10 seconds" }
        )
        yield* Deferred.await(started)
        yield* worker.shutdown
        assert.deepStrictEqual([outcomeOf(run(spans)), errorOf(run(spans))], ["Interrupted", "interrupt"])
        assert.strictEqual(seconds(run(spans)), 13)
      })
    ))

  it.effect("does not exist while no job runs", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* Worker.make(tube, () => Effect.void, { spans: true, reserveSlice: "1 second" })
        yield* Effect.delay(Effect.void, "1 second")
        const before = spans.length
        yield* Effect.delay(Effect.void, "1 minute")
        assert.strictEqual(spans.length, before)
        assert.deepStrictEqual(runs(spans), [])
      })
    ))

  it.effect("does not exist without the option", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* traced.put("job")
        const seen = new Array<Option.Option<Tracer.Span>>()
        const worker = Worker.make(
          traced,
          () => Effect.map(Effect.option(Effect.currentSpan), (span) => seen.push(span))
        )
        yield* Effect.withSpan(shutDownAfter(1)(worker), "main")
        assert.deepStrictEqual(runs(spans), [])
        assert.deepStrictEqual(seen.map(Option.isNone), [true])
      })
    ))

  it.effect("has no part of the body", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const secret = "hunter2"
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* traced.put(secret)
        yield* client.put(traced.name, `{"${secret}":"${secret}"}`)
        yield* client.put(traced.name, `{"traceparent":"${secret}","payload":{"${secret}":1}}`)
        yield* shutDownAfter(3)(Worker.make(traced, Effect.succeed, { spans: true }))
        const text = inspect(runs(spans), { depth: Number.POSITIVE_INFINITY, showHidden: true })
        assert.strictEqual(runs(spans).length, 3)
        assert.notInclude(text, secret)
      })
    ))
})
