import { describe, expectTypeOf, it } from "@effect/vitest"
import { type BeanstalkClient, type BeanstalkError, Tube, Worker, WorkerTest } from "effect-beanstalk"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

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

/** The input of the retry Schedule if the worker can add failures to those of the handler. */
type ScheduleInput<E> = E | Cause.TimeoutException | Cause.UnknownException

declare const scheduleOf: <In>() => Schedule.Schedule<number, In>

declare const limit: Duration.DurationInput | undefined

declare const onDefect: "bury" | "retry"

declare const heartbeat: boolean

describe("the types of a worker", () => {
  it("of a handler without requirements need a client and, for make, a Scope", () => {
    const made = make(tube, () => Effect.void)
    expectTypeOf(made).toEqualTypeOf<
      Effect.Effect<
        Worker.Worker<never>,
        BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | Scope.Scope
      >
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

  const fails = (): Effect.Effect<void, Refused | Moved | Worker.Bury | Worker.Discard | Worker.RetryAfter> =>
    new Moved()

  it("give the Schedule the errors of the handler, but not Bury, Discard or RetryAfter", () => {
    make(tube, fails, {
      retry: Schedule.recurWhile((failure) => {
        expectTypeOf(failure).toEqualTypeOf<Refused | Moved>()
        return failure._tag === "Moved"
      })
    })
    make(tube, fails, {
      retry: Schedule.spaced("1 second").pipe(
        Schedule.whileInput((failure: Refused | Moved) => failure._tag === "Moved")
      )
    })
    make(tube, fails, { onDefect: "bury", heartbeat: true, retry: scheduleOf<Refused | Moved>() })
    make(tube, fails, { retry: scheduleOf<ScheduleInput<Refused | Moved>>() })
    make(tube, fails, { retry: scheduleOf<unknown>() })
    make(tube, () => new Worker.Bury(), { retry: scheduleOf<never>() })
    Worker.run(tube, fails, { retry: scheduleOf<Refused | Moved>() })
    Worker.layer(tube, fails, { retry: scheduleOf<Refused | Moved>() })
  })

  it("give the Schedule timeouts and defects too, with timeout, heartbeat: false or onDefect: retry", () => {
    make(tube, fails, {
      timeout: "1 minute",
      retry: Schedule.recurWhile((failure) => {
        expectTypeOf(failure).toEqualTypeOf<ScheduleInput<Refused | Moved>>()
        return failure._tag === "Moved"
      })
    })
    make(tube, fails, { onDefect: "retry", retry: scheduleOf<ScheduleInput<Refused | Moved>>() })
    make(tube, fails, { heartbeat: false, retry: scheduleOf<ScheduleInput<Refused | Moved>>() })
    make(tube, fails, { timeout: limit, onDefect, heartbeat, retry: scheduleOf<ScheduleInput<Refused | Moved>>() })
    expectTypeOf<Worker.Failure<Refused>>().toEqualTypeOf<ScheduleInput<Refused>>()
  })

  it("reject a Schedule of the handler's errors alone where there may be a timeout or a defect", () => {
    // @ts-expect-error The input of the Schedule can be a timeout too.
    make(tube, refuses, { timeout: "1 minute", retry: scheduleOf<Refused>() })
    // @ts-expect-error The input of the Schedule can be a timeout too.
    make(tube, refuses, { timeout: limit, retry: scheduleOf<Refused>() })
    // @ts-expect-error The input of the Schedule can be a timeout too.
    make(tube, refuses, { heartbeat: false, retry: scheduleOf<Refused>() })
    // @ts-expect-error The input of the Schedule can be a defect too.
    make(tube, refuses, { onDefect: "retry", retry: scheduleOf<Refused>() })
  })

  it("take options that a function of the program has as its own", () => {
    const retried = <A, R, E>(
      tube: Tube.Tube<A, R>,
      run: () => Effect.Effect<void, E>,
      options: Worker.Options<A, E>
    ) => make(tube, run, { ...options, concurrency: 4 })
    expectTypeOf(retried(tube, refuses, { retry: scheduleOf<Refused>() })).toEqualTypeOf<
      Effect.Effect<
        Worker.Worker<Refused>,
        BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | Scope.Scope
      >
    >()
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

  it("have an Outcome for every event of a job", () => {
    expectTypeOf<Worker.Event["_tag"]>().toEqualTypeOf<Worker.Outcome | "Refused" | "ShutdownReport">()
    expectTypeOf<Worker.JobEvent["_tag"]>().toEqualTypeOf<Worker.Outcome>()
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

describe("the types that programs name", () => {
  it("are the handler of a worker, and the values of its options", () => {
    const handler: Worker.Handler<Payload, Refused, Database> = (payload, job) =>
      payload.name === job.tube ? Effect.void : Effect.zipRight(Database, new Worker.Bury({}))
    expectTypeOf(make(tube, handler)).toExtend<
      Effect.Effect<
        Worker.Worker,
        BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | Scope.Scope | Database
      >
    >()
    type Options = Worker.Options<Payload, Refused>
    expectTypeOf<Worker.UndecodableAction | undefined>().toEqualTypeOf<Options["onUndecodable"]>()
    expectTypeOf<Worker.TraceParent | undefined>().toEqualTypeOf<Options["traceParent"]>()
  })

  it("are the interfaces of the events", () => {
    expectTypeOf<Worker.Event<Refused>>().toEqualTypeOf<
      | Worker.CompletedEvent
      | Worker.RetriedEvent<Refused>
      | Worker.BuriedEvent<Refused>
      | Worker.DiscardedEvent<Refused>
      | Worker.InterruptedEvent
      | Worker.LeaseLostEvent
      | Worker.UndecodableEvent
      | Worker.CrashLoopEvent
      | Worker.CompletionUnknownEvent
      | Worker.RefusedEvent
      | Worker.ShutdownEvent
    >()
  })
})

describe("the types of events", () => {
  it("carry the error of the handler, what the worker adds to it, and what a handler decides with", () => {
    const made = make(tube, refuses, { timeout: "1 minute" })
    expectTypeOf<Effect.Effect.Success<typeof made>>().toEqualTypeOf<Worker.Worker<Refused>>()
    type Failed = Extract<Worker.Event<Refused>, { readonly _tag: "Retried" | "Buried" | "Discarded" }>
    expectTypeOf<Failed["cause"]>().toEqualTypeOf<Cause.Cause<Worker.Failure<Refused> | Worker.Order>>()
    Effect.flatMap(made, ({ events }) =>
      Stream.runForEach(events, (event) => {
        if (event._tag !== "Buried") return Effect.void
        expectTypeOf(event.cause).toEqualTypeOf<Cause.Cause<Worker.Failure<Refused> | Worker.Order>>()
        return Effect.void
      }))
  })

  it("of a worker whose handler is not named can be anything", () => {
    expectTypeOf<Worker.Worker<Refused>>().toExtend<Worker.Worker>()
    expectTypeOf<Worker.Event<Refused>>().toExtend<Worker.Event>()
  })
})

describe("a handler with a wrong payload", () => {
  const takesNumber = (payload: { readonly name: number }) => Effect.succeed(payload)

  it("is reported itself, not its tube", () => {
    Worker.make(
      tube,
      // @ts-expect-error The payload has the type of the tube.
      takesNumber
    )
    Worker.run(
      tube,
      // @ts-expect-error The payload has the type of the tube.
      takesNumber
    )
    Worker.layer(
      tube,
      // @ts-expect-error The payload has the type of the tube.
      takesNumber
    )
    WorkerTest.make(
      tube,
      // @ts-expect-error The payload has the type of the tube.
      takesNumber
    )
    WorkerTest.drain(
      tube,
      // @ts-expect-error The payload has the type of the tube.
      takesNumber
    )
  })

  it("is reported itself where onExhausted takes another payload", () => {
    make(tube, refuses, {
      // @ts-expect-error The payload has the type of the tube.
      onExhausted: ({ payload }: Worker.Exhausted<{ readonly name: number }, unknown>) => Effect.succeed(payload)
    })
  })
})

describe("options that stand apart", () => {
  it("keep their literals with satisfies, and name their errors or not", () => {
    const options = { concurrency: 2, onExhausted: "delete" } satisfies Worker.Options<Payload, unknown>
    make(tube, refuses, options)
    const retried = {
      retry: Schedule.recurWhile((failure: Refused) => failure.by === "load")
    } satisfies Worker.Options<Payload, Refused>
    make(tube, refuses, retried)
    // @ts-expect-error There is no such option.
    const misspelt = { concurency: 2 } satisfies Worker.Options<Payload, unknown>
    expectTypeOf(misspelt).toBeObject()
  })
})
