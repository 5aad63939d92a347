/** The spans in which jobs are run. */
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

/** With a server in memory, a time that passes by itself, and the spans that are made. */
const recorded = <A, E, R>(test: (spans: Spans) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(recorder, ({ layer, spans }) =>
    test(spans).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer()),
      Effect.provide(EmbeddedServer.layer()),
      Effect.provide(layer),
      Effect.provide(VirtualClock.layer())
    ))

/** Has a worker deal with so many jobs, and shuts it down. */
const dealWith = (count: number) => <E, R>(worker: Effect.Effect<Worker.Worker, E, R>) =>
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
  it.effect("says what is processed, and what has become of it", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const id = yield* tube.put("héllo")
        yield* dealWith(1)(Worker.make(tube, () => Effect.succeed("result"), { spans: true }))
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

  it.effect("belongs to no other, not even to that in which the worker was started", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* tube.put("job")
        const worker = Worker.make(tube, () => Effect.void, { spans: true })
        yield* Effect.withSpan(dealWith(1)(worker), "main")
        assert.deepStrictEqual([parentOf(run(spans)), linksOf(run(spans))], [undefined, []])
      })
    ))

  it.effect("is the root of its trace for a Tracer that would look around for a parent", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const roots: Array<boolean | undefined> = []
        const tracer = yield* Effect.tracer
        const curious = Tracer.make({
          context: tracer.context,
          span: (...all) => {
            const [name, , , , , , options] = all
            if (name.startsWith("process ")) roots.push(options?.root)
            return tracer.span(...all)
          }
        })
        yield* tube.put("job")
        yield* Effect.withTracer(dealWith(1)(Worker.make(tube, () => Effect.void, { spans: true })), curious)
        assert.strictEqual(parentOf(run(spans)), undefined)
        assert.deepStrictEqual(roots, [true])
      })
    ))

  it.effect("is around what the handler does", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* tube.put("job")
        yield* dealWith(1)(Worker.make(
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
    it.effect(`has the span that its job was put from as a ${relation}, if told ${traceParent}`, () =>
      recorded((spans) =>
        Effect.gen(function*() {
          yield* traced.put("job")
          yield* dealWith(1)(Worker.make(traced, () => Effect.void, { spans: true, traceParent }))
          const sender = spans.find(({ kind }) => kind === "producer")
          assert(sender !== undefined)
          const related = { link: [undefined, [idOf(sender)]], parent: [idOf(sender), []] }
          assert.deepStrictEqual([parentOf(run(spans)), linksOf(run(spans))], related[relation])
        })
      ))
  }

  it.effect("has no parent where nobody says who sent the job", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put(traced.name, JSON.stringify("job"))
        yield* dealWith(1)(Worker.make(traced, () => Effect.void, { spans: true, traceParent: "parent" }))
        assert.deepStrictEqual([parentOf(run(spans)), linksOf(run(spans))], [undefined, []])
      })
    ))

  const failures: ReadonlyArray<
    readonly [what: string, run: Effect.Effect<void, unknown>, error: string, outcome: string]
  > = [
    ["a failure with a tag", new Boom(), "Boom", "Retried"],
    ["a failure without a tag", Effect.fail("text"), "_OTHER", "Retried"],
    ["an order", new Worker.Bury({}), "Bury", "Buried"],
    ["a defect", Effect.dieMessage("defect"), "defect", "Buried"],
    ["a handler that takes too long", Effect.never, "interrupt", "Retried"]
  ]

  for (const [what, handler, error, outcome] of failures) {
    it.effect(`tells of ${what}`, () =>
      recorded((spans) =>
        Effect.gen(function*() {
          yield* tube.put("job")
          yield* dealWith(1)(Worker.make(tube, () => handler, { spans: true, timeout: "5 seconds" }))
          assert.deepStrictEqual([errorOf(run(spans)), outcomeOf(run(spans))], [error, outcome])
        })
      ))
  }

  it.effect("tells of a body that is not what the tube holds", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put(traced.name, "{")
        yield* dealWith(1)(Worker.make(traced, () => Effect.void, { spans: true }))
        assert.deepStrictEqual([errorOf(run(spans)), outcomeOf(run(spans))], ["PayloadError", "Undecodable"])
        const { status } = run(spans)
        assert(status._tag === "Ended" && Exit.isFailure(status.exit))
        assert(Cause.squash(status.exit.cause) instanceof BeanstalkError.PayloadError)
      })
    ))

  it.effect("ends when the handler does, however long it takes to tell the server", () =>
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

  it.effect("goes on with a handler that goes on when its job is lost", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        yield* tube.put("job")
        const handle = () =>
          server.inject(EmbeddedServer.Fault.Cut()).pipe(
            Effect.delay("2 seconds"),
            Effect.zipRight(Effect.delay(Effect.void, "5 seconds"))
          )
        yield* dealWith(1)(Worker.make(tube, handle, { spans: true, onLeaseLost: "continue" }))
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

  it.effect("is not there while no job is", () =>
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

  it.effect("is made only if it is asked for", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        yield* traced.put("job")
        const seen = new Array<Option.Option<Tracer.Span>>()
        const worker = Worker.make(
          traced,
          () => Effect.map(Effect.option(Effect.currentSpan), (span) => seen.push(span))
        )
        yield* Effect.withSpan(dealWith(1)(worker), "main")
        assert.deepStrictEqual(runs(spans), [])
        assert.deepStrictEqual(seen.map(Option.isNone), [true])
      })
    ))

  it.effect("tells nothing of the body", () =>
    recorded((spans) =>
      Effect.gen(function*() {
        const secret = "hunter2"
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* traced.put(secret)
        yield* client.put(traced.name, `{"${secret}":"${secret}"}`)
        yield* client.put(traced.name, `{"traceparent":"${secret}","payload":{"${secret}":1}}`)
        yield* dealWith(3)(Worker.make(traced, Effect.succeed, { spans: true }))
        const told = inspect(runs(spans), { depth: Number.POSITIVE_INFINITY, showHidden: true })
        assert.strictEqual(runs(spans).length, 3)
        assert.notInclude(told, secret)
      })
    ))
})
