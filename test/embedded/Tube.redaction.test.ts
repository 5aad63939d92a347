/** No error, log or span contains anything of a payload or a body, whatever the messages of its Schema contain. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, BeanstalkError, Connector, EmbeddedServer, Job, Tube } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as fc from "fast-check"
import { inspect } from "node:util"
import { amount } from "../support/edition.ts"
import { bodies, type Loose, payloads, schemas, secretsIn } from "../support/secrets.ts"

const runs = amount(60, 250, 25_000)

const id = Schema.decodeSync(Job.JobId)("7")

const jobOf = (body: string): Job.ReservedJob => new Job.ReservedJob(id, Buffer.from(body))

const inspected = (value: unknown) => inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true })

/** An error in every form of text. */
const renderings = (error: BeanstalkError.PayloadError): ReadonlyArray<string> => {
  const cause = Cause.fail(error)
  const stopped = new BeanstalkError.PutAllStopped({
    address: "memory",
    tube: error.tube,
    acknowledged: 0,
    sent: 1,
    failures: [{ index: 0, error }],
    behind: []
  })
  return [
    error.message,
    String(error),
    inspected(error),
    JSON.stringify(error),
    error.stack ?? "",
    inspected(error.cause),
    Cause.pretty(cause, { renderErrorCause: true }),
    inspected(cause),
    String(cause),
    inspected(stopped),
    String(stopped),
    JSON.stringify(stopped)
  ]
}

/** Runs an Effect, and asserts that its error contains nothing secret. Counts the errors. */
const tellsNothing = (run: Effect.Effect<unknown, BeanstalkError.PayloadError>) =>
  Effect.map(Effect.exit(run), (exit) => {
    if (Exit.isSuccess(exit)) return false
    const error = Option.getOrThrow(Cause.failureOption(exit.cause))
    assert.strictEqual(error._tag, "PayloadError", Cause.pretty(exit.cause))
    assert.isAtMost(error.issues.length, 10)
    for (const text of renderings(error)) assert.deepStrictEqual(secretsIn(text), [], text)
    return true
  })

/** Most of the generated values must have failed, so that the test has checked errors at all. */
const property = <T>(
  values: fc.Arbitrary<T>,
  run: (payload: Loose, value: T) => Effect.Effect<unknown, BeanstalkError.PayloadError>
) =>
  Effect.promise(async () => {
    let failed = 0
    await fc.assert(
      fc.asyncProperty(schemas, values, async (schema, value) => {
        if (await Effect.runPromise(tellsNothing(run(schema, value)))) failed += 1
      }),
      { numRuns: runs }
    )
    assert.isAbove(failed, runs / 2)
  })

describe("a PayloadError", () => {
  it.effect("contains nothing of a body that cannot be decoded", () =>
    property(bodies, (payload, body) => Tube.make("secrets", { payload }).decode(jobOf(body))))

  it.effect("contains nothing of an envelope that cannot be decoded", () =>
    property(bodies, (payload, body) =>
      Tube.make("secrets", { payload, trace: true }).decode(
        jobOf(`{"traceparent":${body},"payload":${body}}`)
      )))

  it.effect("contains nothing of a text that cannot be decoded", () =>
    property(bodies, (payload, body) => {
      const schema = Schema.compose(Schema.String, payload, { strict: false })
      return Tube.text("secrets", { payload: schema }).decode(jobOf(body))
    }))

  it.effect("contains nothing of a payload that cannot be encoded", () =>
    property(payloads, (payload, value) => Tube.make("secrets", { payload }).encode(value)))

  it.effect("contains nothing of a payload that cannot be encoded into an envelope", () =>
    property(payloads, (payload, value) => Tube.make("secrets", { payload, trace: true }).encode(value)))

  it.effect("contains nothing of a payload that cannot be encoded to bytes", () =>
    property(payloads, (payload, value) => {
      const schema = Schema.compose(Schema.Uint8ArrayFromSelf, payload, { strict: false })
      return Tube.bytes("secrets", { payload: schema }).encode(value)
    }))
})

/** Records every log entry, and every span with its attributes and events. */
const observed = () => {
  const logs: Array<unknown> = []
  const spans: Array<unknown> = []
  const logger = Logger.make(({ annotations, cause, message, spans }) => {
    logs.push(message, inspected(cause), Cause.pretty(cause, { renderErrorCause: true }), [...annotations], [...spans])
  })
  const tracer = Tracer.make({
    context: (run) => run(),
    span: (name, parent, _, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const events: Array<unknown> = []
      const span: Tracer.Span = {
        _tag: "Span",
        spanId: `${spans.length}`,
        traceId: "trace",
        sampled: true,
        name,
        parent,
        context: Context.empty(),
        links,
        kind,
        attributes,
        status: { _tag: "Started", startTime },
        attribute: (key, value) => void attributes.set(key, value),
        event: (...event) => void events.push(event),
        addLinks: () => undefined,
        end: (_, exit) => {
          // A success contains its payload.
          const failure = Exit.isFailure(exit) ? exit.cause : Cause.empty
          const told = Cause.pretty(failure, { renderErrorCause: true })
          spans.push({ name, attributes, events, links, failure, told })
        }
      }
      return span
    }
  })
  const layer = Layer.mergeAll(
    Logger.replace(Logger.defaultLogger, logger),
    Logger.minimumLogLevel(LogLevel.Trace),
    Layer.setTracer(tracer)
  )
  return { logs, spans, layer }
}

describe("logs and spans", () => {
  it.scoped("contain nothing of a payload that cannot be put, or of a body that cannot be decoded", () =>
    Effect.gen(function*() {
      const { connector: connected } = yield* EmbeddedServer.make()
      const failing = (payload: Loose, value: unknown, body: string) =>
        Effect.gen(function*() {
          const tube = Tube.make("secrets", { payload })
          const traced = Tube.make("secrets", { payload, trace: true })
          const attempts: ReadonlyArray<
            Effect.Effect<unknown, BeanstalkError.BeanstalkError, BeanstalkClient.BeanstalkClient | Scope.Scope>
          > = [tube, traced].flatMap((tube) => [
            tube.put(value),
            Stream.runDrain(tube.putAll(Stream.make(value))),
            Stream.run(Stream.make(value), tube.sink()),
            Effect.forkScoped(tube.put(value)),
            tube.peekReady,
            tube.peekDelayed,
            tube.peekBuried
          ])
          const client = yield* BeanstalkClient.BeanstalkClient
          yield* client.put("secrets", body)
          yield* client.put("secrets", `{"traceparent":${body},"payload":${body}}`, { delay: "1 hour" })
          for (const attempt of attempts) {
            yield* attempt.pipe(
              Effect.tapErrorCause((cause) => Effect.logError("It failed", cause)),
              Effect.withSpan("attempt"),
              Effect.exit
            )
          }
          yield* client.purge("secrets")
        }).pipe(Effect.scoped)
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(schemas, payloads, bodies, async (payload, value, body) => {
            const { layer, logs, spans } = observed()
            await failing(payload, value, body).pipe(
              Effect.provide(BeanstalkClient.layer()),
              Effect.provideService(Connector.Connector, connected),
              Effect.provide(layer),
              Effect.runPromise
            )
            assert.isAbove(logs.length, 10)
            assert.isAbove(spans.length, 15)
            for (const text of [inspected(logs), inspected(spans)]) assert.deepStrictEqual(secretsIn(text), [], text)
          }),
          { numRuns: runs / 10 }
        )
      )
    }))
})
