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

/** A tube whose payload is decoded with a service. */
const stored = Tube.make("stored", {
  payload: Schema.transformOrFail(Schema.String, Schema.Number, {
    decode: (name) => Effect.as(Database, name.length),
    encode: (length) => Effect.succeed("x".repeat(length))
  })
})

const refuses = (): Effect.Effect<void, Refused> => new Refused({ by: "server" })

const make = Worker.make

/** The input of the retry Schedule. */
type ScheduleInput<E> = E | Cause.TimeoutException | Cause.UnknownException

declare const scheduleOf: <In>() => Schedule.Schedule<number, In>

describe("the types of a worker", () => {
  it("of a handler without requirements need a client and, for make, a Scope", () => {
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

  it("need what handler, payload, Schedule, gate and onExhausted need, without the Scope of the handler", () => {
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
    const withAll = Worker.run(tube, refuses, {
      gate: Database,
      onExhausted: () => Clerk,
      retry: Schedule.mapEffect(Schedule.recurs(3), () => Calendar)
    })
    expectTypeOf(withAll).toEqualTypeOf<
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

  it("give the Schedule the failures of the handler, a timeout and a defect, but not Bury, Discard or RetryAfter", () => {
    const fails = (): Effect.Effect<void, Refused | Moved | Worker.Bury | Worker.Discard | Worker.RetryAfter> =>
      new Moved()
    make(tube, fails, {
      retry: Schedule.recurWhile((failure) => {
        expectTypeOf(failure).toEqualTypeOf<ScheduleInput<Refused | Moved>>()
        return failure._tag === "Moved"
      })
    })
    make(tube, fails, { retry: scheduleOf<ScheduleInput<Refused | Moved>>() })
    make(tube, fails, { retry: scheduleOf<unknown>() })
    make(tube, () => new Worker.Bury(), { retry: scheduleOf<ScheduleInput<never>>() })
    expectTypeOf<Worker.Failure<Refused>>().toEqualTypeOf<ScheduleInput<Refused>>()
  })

  it("give onExhausted the payload and the cause", () => {
    make(tube, refuses, {
      onExhausted: (exhausted) => {
        expectTypeOf(exhausted.payload).toEqualTypeOf<Payload>()
        expectTypeOf(exhausted.cause).toEqualTypeOf<Cause.Cause<ScheduleInput<Refused> | Worker.Order>>()
        return Effect.void
      }
    })
  })

  it("reject Schedules, handlers and options of other types", () => {
    // @ts-expect-error The input of the Schedule can be a timeout too.
    make(tube, refuses, { retry: scheduleOf<Refused>() })
    // @ts-expect-error The input of the Schedule can be `Refused` too.
    make(tube, refuses, { retry: scheduleOf<ScheduleInput<Moved>>() })
    // @ts-expect-error The payload has the type of the tube.
    make(tube, (payload: { readonly name: number }) => Effect.succeed(payload))
    // @ts-expect-error A handler returns an Effect, not a promise.
    make(tube, async () => {})
    // @ts-expect-error A gate cannot fail.
    make(tube, refuses, { gate: Effect.fail("no") })
    // @ts-expect-error `onExhausted` is "bury", "delete", or a function.
    make(tube, refuses, { onExhausted: "release" })
  })

  it("make the reason of Bury, Discard and RetryAfter optional", () => {
    expectTypeOf(new Worker.Bury()).toEqualTypeOf<Worker.Bury>()
    expectTypeOf(new Worker.Discard()).toEqualTypeOf<Worker.Discard>()
    expectTypeOf(new Worker.RetryAfter({ delay: "1 minute" })).toEqualTypeOf<Worker.RetryAfter>()
  })

  it("have an Outcome for every event but ShutdownReport", () => {
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
