import { describe, expectTypeOf, it } from "@effect/vitest"
import { type BeanstalkClient, type BeanstalkError, Tube, Worker } from "effect-beanstalk"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

class Database extends Context.Tag("test/Database")<Database, { readonly save: Effect.Effect<void> }>() {}

class Clerk extends Context.Tag("test/Clerk")<Clerk, string>() {}

class Calendar extends Context.Tag("test/Calendar")<Calendar, string>() {}

class Refused extends Data.TaggedError("Refused")<{ readonly by: string }> {}

class Moved extends Data.TaggedError("Moved") {}

const tube = Tube.make("work", { payload: Schema.Struct({ name: Schema.String }) })

type Payload = { readonly name: string }

/** A payload that cannot be read without a database. */
const stored = Tube.make("stored", {
  payload: Schema.transformOrFail(Schema.String, Schema.Number, {
    decode: (name) => Effect.as(Database, name.length),
    encode: (length) => Effect.succeed("x".repeat(length))
  })
})

const refuses = (): Effect.Effect<void, Refused> => new Refused({ by: "them" })

const make = Worker.make

/** What a worker's failures are to its Schedule. */
type Told<E> = E | Cause.TimeoutException | Cause.UnknownException

declare const scheduleOf: <In>() => Schedule.Schedule<number, In>

describe("the types of a worker", () => {
  it("say what it needs and how it can fail: of a handler that needs nothing, a client and a scope", () => {
    const made = make(tube, () => Effect.void)
    expectTypeOf(made).toEqualTypeOf<
      Effect.Effect<Worker.Worker, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient | Scope.Scope>
    >()
    expectTypeOf(Worker.run(tube, () => Effect.void)).toEqualTypeOf<
      Effect.Effect<never, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient>
    >()
    expectTypeOf(Worker.layer(tube, () => Effect.void)).toEqualTypeOf<
      Layer.Layer<never, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient>
    >()
  })

  it("give the handler the payload and the job", () => {
    make(tube, (payload, job) => {
      expectTypeOf(payload).toEqualTypeOf<Payload>()
      expectTypeOf(job).toEqualTypeOf<Worker.Job>()
      expectTypeOf(job.leaseLost).toEqualTypeOf<Effect.Effect<never, BeanstalkError.LeaseLost>>()
      expectTypeOf(job.touch).toEqualTypeOf<
        Effect.Effect<void, BeanstalkError.LeaseLost | BeanstalkError.ServerError>
      >()
      return Effect.void
    })
  })

  it("ask for what handler, payload, Schedule, gate and onExhausted need, but for no Scope of a handler", () => {
    const scoped = () => Effect.zipRight(Database, Effect.addFinalizer(() => Effect.void))
    expectTypeOf<Effect.Effect.Context<ReturnType<typeof scoped>>>().toEqualTypeOf<Database | Scope.Scope>()
    expectTypeOf(Worker.run(tube, scoped)).toEqualTypeOf<
      Effect.Effect<never, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient | Database>
    >()
    expectTypeOf(Worker.run(stored, () => Effect.void)).toEqualTypeOf<
      Effect.Effect<never, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient | Database>
    >()
    const gated = Worker.run(tube, refuses, {
      gate: Database,
      onExhausted: () => Database
    })
    expectTypeOf(gated).toEqualTypeOf<
      Effect.Effect<never, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient | Database>
    >()
    const manifold = Worker.run(tube, refuses, {
      gate: Database,
      onExhausted: () => Clerk,
      retry: Schedule.mapEffect(Schedule.recurs(3), () => Calendar)
    })
    expectTypeOf(manifold).toEqualTypeOf<
      Effect.Effect<
        never,
        BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | Database | Clerk | Calendar
      >
    >()
    const layer = Worker.layer(tube, scoped)
    expectTypeOf(layer).toEqualTypeOf<
      Layer.Layer<never, BeanstalkError.WorkerStartError, BeanstalkClient.BeanstalkClient | Database>
    >()
  })

  it("tell the Schedule of the handler's failures, of a timeout and of what was thrown, but of no order", () => {
    const fails = (): Effect.Effect<void, Refused | Moved | Worker.Bury | Worker.Discard | Worker.RetryAfter> =>
      new Moved()
    make(tube, fails, {
      retry: Schedule.recurWhile((failure) => {
        expectTypeOf(failure).toEqualTypeOf<Told<Refused | Moved>>()
        return failure._tag === "Moved"
      })
    })
    make(tube, fails, { retry: scheduleOf<Told<Refused | Moved>>() })
    make(tube, fails, { retry: scheduleOf<unknown>() })
    make(tube, () => new Worker.Bury(), { retry: scheduleOf<Told<never>>() })
    expectTypeOf<Worker.Failure<Refused>>().toEqualTypeOf<Told<Refused>>()
  })

  it("give onExhausted the payload, and why", () => {
    make(tube, refuses, {
      onExhausted: (exhausted) => {
        expectTypeOf(exhausted.payload).toEqualTypeOf<Payload>()
        expectTypeOf(exhausted.cause).toEqualTypeOf<Cause.Cause<Told<Refused> | Worker.Order>>()
        return Effect.void
      }
    })
  })

  it("do not compile what would be told of less than can happen", () => {
    // @ts-expect-error A Schedule that knows of refusals only would be told of timeouts.
    make(tube, refuses, { retry: scheduleOf<Refused>() })
    // @ts-expect-error Nor is it enough to know of them without the refusals.
    make(tube, refuses, { retry: scheduleOf<Told<Moved>>() })
    // @ts-expect-error A payload is what the tube says it is.
    make(tube, (payload: { readonly name: number }) => Effect.succeed(payload))
    // @ts-expect-error A handler is an Effect, and no promise.
    make(tube, async () => {})
    // @ts-expect-error A gate does not fail.
    make(tube, refuses, { gate: Effect.fail("no") })
    // @ts-expect-error It is done what one of these words says, or an Effect.
    make(tube, refuses, { onExhausted: "release" })
  })

  it("let its orders be given without a reason", () => {
    expectTypeOf(new Worker.Bury()).toEqualTypeOf<Worker.Bury>()
    expectTypeOf(new Worker.Discard()).toEqualTypeOf<Worker.Discard>()
    expectTypeOf(new Worker.RetryAfter({ delay: "1 minute" })).toEqualTypeOf<Worker.RetryAfter>()
  })

  it("never let it be forgotten which events there are", () => {
    expectTypeOf<Worker.Event["_tag"]>().toEqualTypeOf<Worker.Outcome | "ShutdownReport">()
    expectTypeOf<Worker.Outcome>().toEqualTypeOf<
      | "Completed"
      | "Retried"
      | "Buried"
      | "Discarded"
      | "Interrupted"
      | "LeaseLost"
      | "Undecodable"
      | "CrashLoop"
      | "CompletionUnknown"
    >()
  })
})
