/**
 * Tests of handlers and workers, without a beanstalkd: run a handler once, run a worker until its tube is empty, wait for an
 * event of a worker, and read the jobs in a tube.
 *
 * With {@link layerVirtual}, hours of back-off take milliseconds of real time. With {@link layer}, time is that of the program's
 * Clock: `TestClock`, or the real one.
 *
 * **Example** (a mail that cannot be sent is tried three times, then buried)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Schedule, Schema } from "effect"
 * import { Tube, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * it.effect("buries a mail that was refused three times", () =>
 *   Effect.gen(function*() {
 *     yield* Mails.put({ to: "kim@example.org" })
 *     const events = yield* WorkerTest.drain(Mails, () => Effect.fail("refused"), {
 *       retry: Schedule.intersect(Schedule.spaced("1 hour"), Schedule.recurs(2))
 *     })
 *     assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Retried", "Retried", "Buried"])
 *     const [job] = yield* WorkerTest.jobsIn(Mails)
 *     assert.strictEqual(job?.state, "buried")
 *   }).pipe(Effect.provide(WorkerTest.layerVirtual())))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Take from "effect/Take"
import * as BeanstalkClient from "./BeanstalkClient.ts"
import type { LeaseLost, PayloadError, WorkerStartError } from "./BeanstalkError.ts"
import type { Connector } from "./Connector.ts"
import * as EmbeddedServer from "./EmbeddedServer.ts"
import { advanceTestClock } from "./internal/testing/advanceTestClock.ts"
import { StubJob, type StubJobOptions, throughTube } from "./internal/testing/stubJob.ts"
import { errorMessage } from "./internal/values/errorMessage.ts"
import type * as Events from "./internal/worker/events.ts"
import type { JobId, TubeName } from "./Job.ts"
import type { Tube } from "./Tube.ts"
import * as VirtualClock from "./VirtualClock.ts"
import * as Worker from "./Worker.ts"

// ---------------------------------------------------------------------------------------------------------------------
// the embedded server and a client
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An embedded server, a client of it, and the `Connector` to it. They use the Clock of the program.
 *
 * **Example** (what a producer puts)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Schema } from "effect"
 * import { Tube, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * const signUp = (to: string) => Mails.put({ to })
 *
 * it.effect("puts a mail for each address", () =>
 *   Effect.gen(function*() {
 *     yield* signUp("kim@example.org")
 *     const jobs = yield* WorkerTest.jobsIn(Mails)
 *     assert.deepStrictEqual(jobs.map(({ payload }) => payload), [{ to: "kim@example.org" }])
 *   }).pipe(Effect.provide(WorkerTest.layer())))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: EmbeddedServer.Options
): Layer.Layer<BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Connector> =>
  Layer.provideMerge(Layer.orDie(BeanstalkClient.layer()), EmbeddedServer.layer(options))

/**
 * Like {@link layer}, with a `VirtualClock`: when no fiber can run, time jumps to the end of the next sleep. See `VirtualClock`
 * for the programs that it does not suit. Provide it outside all other layers.
 *
 * **Example** (a handler that sleeps for an hour)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Schema } from "effect"
 * import { Tube, WorkerTest } from "effect-beanstalk"
 *
 * const Videos = Tube.make("videos", { payload: Schema.Struct({ title: Schema.String }) })
 *
 * it.effect("keeps its lease for an hour", () =>
 *   Effect.gen(function*() {
 *     yield* Videos.put({ title: "Metropolis" })
 *     const events = yield* WorkerTest.drain(Videos, () => Effect.sleep("1 hour"))
 *     assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Completed"])
 *   }).pipe(Effect.provide(WorkerTest.layerVirtual())))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerVirtual = (
  options?: EmbeddedServer.Options & VirtualClock.Options
): Layer.Layer<BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Connector> =>
  Layer.provideMerge(layer(options), VirtualClock.layer(options))

// ---------------------------------------------------------------------------------------------------------------------
// one run of a handler
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The options of {@link runOnce}: the tube of the job, what its `stats` say, and whether its lease is lost.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions<in out A, out RT = never> extends StubJobOptions {
  /**
   * The tube of the job. The payload is encoded and decoded with its Schema, and the handler gets the result, as it does from a
   * worker. Default: none; the handler gets the payload itself, and the job's tube is `default`.
   */
  readonly tube?: Tube<A, RT> | undefined
}

/**
 * Runs a handler on a payload, once, without a server and without a worker. Succeeds or fails as the handler does.
 *
 * The `stats` of the `job` are made from the options. `touch` succeeds until the handler has ended or the lease is lost. When the
 * lease is lost (`lostWhen`), the handler is interrupted and the run fails with `LeaseLost`, unless `onLeaseLost` is
 * `"continue"`. The handler's `Scope` is closed when the handler has ended, and its log lines are annotated with `tube` and `job`, as
 * they are in a worker. Nothing follows from a failure: `Worker.RetryAfter`,
 * for example, does not run the handler again.
 *
 * Fails with `PayloadError` if the payload cannot be encoded or decoded. Dies with `InvalidArgument` if an option is invalid.
 *
 * **Example** (the third attempt of a handler)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Schema } from "effect"
 * import { Tube, type Worker, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * const remind = (_: { readonly to: string }, job: Worker.Job) =>
 *   Effect.map(job.stats, ({ attempt }) => attempt < 3 ? "Reminder" : "Last warning")
 *
 * it.effect("sends a last warning at the third attempt", () =>
 *   Effect.gen(function*() {
 *     const subject = yield* WorkerTest.runOnce(remind, { to: "kim@example.org" }, { tube: Mails, attempt: 3 })
 *     assert.strictEqual(subject, "Last warning")
 *   }))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const runOnce = <A, B, E, R, RT = never>(
  handler: (payload: A, job: Worker.Job) => Effect.Effect<B, E, R>,
  payload: A,
  options: RunOptions<A, RT> = {}
): Effect.Effect<B, E | LeaseLost | PayloadError, Exclude<R, Scope.Scope> | RT> =>
  Effect.suspend(() => {
    const { tube } = options
    const job = new StubJob(tube?.name, options, tube?.defaults)
    const received = tube === undefined ? Effect.succeed(payload) : throughTube(tube, payload)
    return Effect.flatMap(received, (payload) => Effect.scoped(job.run(handler(payload, job))))
  })

// ---------------------------------------------------------------------------------------------------------------------
// a worker and its events
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Starts a worker like `Worker.make`, except that its `events` are replayed: the Stream begins with the first event of the
 * worker, whenever it is run. All events are kept in memory.
 *
 * **Example** (events from before the Stream was run)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Option, Schema, Stream } from "effect"
 * import { Tube, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * it.scoped("completes a mail", () =>
 *   Effect.gen(function*() {
 *     const worker = yield* WorkerTest.make(Mails, () => Effect.void)
 *     yield* Mails.put({ to: "kim@example.org" })
 *     yield* Effect.sleep("1 minute")
 *     const first = yield* Stream.runHead(worker.events)
 *     assert.strictEqual(Option.getOrThrow(first)._tag, "Completed")
 *   }).pipe(Effect.provide(WorkerTest.layerVirtual())))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: NoInfer<A>, job: Worker.Job) => Effect.Effect<unknown, E | Worker.Order, R | Scope.Scope>,
  options?: Worker.Options<NoInfer<A>, E, RRetry, RExhausted, RGate>
): Effect.Effect<
  Worker.Worker<E>,
  WorkerStartError,
  BeanstalkClient.BeanstalkClient | Scope.Scope | RT | R | RRetry | RExhausted | RGate
> =>
  Effect.gen(function*() {
    const runtime = yield* Effect.interruptible(Effect.runtime())
    const replayed = yield* PubSub.unbounded<Take.Take<Worker.Event<E>>>({ replay: Number.POSITIVE_INFINITY })
    const worker = yield* Worker.make(tube, handler, options)
    // `runFork` runs the fiber at once until it first waits, so that it listens before the worker emits an event. It ends with
    // the worker.
    Runtime.runFork(runtime)(Stream.runIntoPubSub(worker.events, replayed))
    return { ...worker, events: Stream.flattenTake(Stream.fromPubSub(replayed)) }
  })

/**
 * A worker was closed before it emitted the event that {@link awaitEvent} waited for.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventNotEmitted extends Data.TaggedError("EventNotEmitted")<{
  readonly tube: TubeName
  /** The events that the worker emitted. */
  readonly events: ReadonlyArray<Worker.Event>
}> {
  override get message() {
    return errorMessage(() => {
      const events = this.events.map((event) => "id" in event ? `${event._tag} of job ${event.id}` : event._tag)
      return `The worker of tube ${this.tube} was closed without emitting the event. It emitted: ${listed(events)}.`
    })
  }
}

/**
 * Waits until a worker emits an event that matches, and succeeds with it. Fails with `EventNotEmitted` if the worker is closed
 * before.
 *
 * For a worker of {@link make}, events that it emitted earlier match too: it succeeds with the first event of the worker's life
 * that matches, whenever it is called. For a worker of `Worker.make` only events from now on match: fork it before the job is put.
 *
 * **Example** (wait until a job is completed)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import { Effect, Schema } from "effect"
 * import { Tube, Worker, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * it.scoped("completes a mail", () =>
 *   Effect.gen(function*() {
 *     const worker = yield* WorkerTest.make(Mails, () => Effect.void)
 *     yield* Mails.put({ to: "kim@example.org" })
 *     yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Completed"))
 *   }).pipe(Effect.provide(WorkerTest.layerVirtual())))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const awaitEvent: {
  <E, B extends Worker.Event<E>>(
    worker: Worker.Worker<E>,
    predicate: Predicate.Refinement<Worker.Event<E>, B>
  ): Effect.Effect<B, EventNotEmitted>
  <E>(
    worker: Worker.Worker<E>,
    predicate: Predicate.Predicate<Worker.Event<E>>
  ): Effect.Effect<Worker.Event<E>, EventNotEmitted>
} = <E>(worker: Worker.Worker<E>, predicate: Predicate.Predicate<Worker.Event<E>>) =>
  Effect.suspend(() => {
    const events: Array<Worker.Event<E>> = []
    return worker.events.pipe(
      Stream.tap((event) => Effect.sync(() => events.push(event))),
      Stream.filter(predicate),
      Stream.runHead,
      Effect.flatMap((found: Option.Option<Worker.Event<E>>) =>
        Effect.catchTag(found, "NoSuchElementException", () => new EventNotEmitted({ tube: worker.tube, events }))
      )
    )
  })

// ---------------------------------------------------------------------------------------------------------------------
// a worker that runs until its tube is empty
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What became of a job: every event of a worker but its last, the `ShutdownReport`.
 *
 * @category models
 * @since 0.1.0
 */
export type JobEvent<E = unknown> = Events.JobEvent<E>

/**
 * The options of {@link drain}: those of a worker, and a limit of time. By default, `reserveSlice` is one day, so that no
 * reserve times out, and `shutdownTimeout` is zero, so that handlers that still run at the end are interrupted at once.
 *
 * @category models
 * @since 0.1.0
 */
export type DrainOptions<A, E, RRetry = never, RExhausted = never, RGate = never> =
  & Worker.Options<A, E, RRetry, RExhausted, RGate>
  & {
    /** How long it may take, on the Clock of the program. Default: one day; set it on a real Clock. */
    readonly within?: Duration.DurationInput | undefined
  }

/**
 * A tube still had jobs when the time of {@link drain} was over.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotDrained extends Data.TaggedError("NotDrained")<{
  readonly tube: TubeName
  readonly within: Duration.Duration
  /** The jobs that are still in the tube, without those that are buried. */
  readonly jobs: ReadonlyArray<Pick<EmbeddedServer.StoredJob, "id" | "state">>
  /** The events that the worker emitted. */
  readonly events: ReadonlyArray<JobEvent>
}> {
  override get message() {
    return errorMessage(() => {
      const retries = (id: JobId) => this.events.filter((event) => event._tag === "Retried" && event.id === id).length
      const jobs = this.jobs.map(({ id, state }) => `job ${id} is ${state}, after ${retries(id)} retries`)
      return `Tube ${this.tube} was not empty after ${Duration.format(this.within)}: ${listed(jobs)}.`
    })
  }
}

/** A message is to stay readable: no more than ten parts are listed. */
const listed = (parts: ReadonlyArray<string>): string =>
  parts.length === 0
    ? "nothing"
    : [...parts.slice(0, 10), ...(parts.length > 10 ? [`and ${parts.length - 10} more`] : [])].join(", ")

/**
 * Runs a worker until no job of its tube is ready, reserved or delayed, shuts the worker down, and succeeds with its events of
 * jobs, in order. Buried jobs stay in the tube; jobs that handlers put into other tubes are not run.
 *
 * On `VirtualClock` ({@link layerVirtual}) and on `TestClock` time moves by itself: delayed jobs become ready, and sleeps of the
 * handler and of the worker end, without `TestClock.adjust`. `VirtualClock` is much faster than `TestClock`.
 *
 * Fails with `NotDrained` if the tube is not empty after `within`: a handler does not end, `retry` has no end, or the tube is
 * paused. Fails with `WorkerStartError` as `Worker.make` does.
 *
 * **Example** (a job that is delayed by eight hours)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Schema } from "effect"
 * import { Tube, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * it.effect("sends the mail of the morning", () =>
 *   Effect.gen(function*() {
 *     yield* Mails.put({ to: "kim@example.org" }, { delay: "8 hours" })
 *     const events = yield* WorkerTest.drain(Mails, ({ to }) => Effect.log(to))
 *     assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Completed"])
 *   }).pipe(Effect.provide(WorkerTest.layerVirtual())))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const drain = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: NoInfer<A>, job: Worker.Job) => Effect.Effect<unknown, E | Worker.Order, R | Scope.Scope>,
  { within = "1 day", ...options }: DrainOptions<NoInfer<A>, E, RRetry, RExhausted, RGate> = {}
): Effect.Effect<
  ReadonlyArray<JobEvent<E>>,
  NotDrained | WorkerStartError,
  BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | RT | R | RRetry | RExhausted | RGate
> =>
  Effect.scopedWith((scope) =>
    Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const worker = yield* Scope.extend(make(tube, handler, { ...drainDefaults, ...options }), scope)
      yield* Effect.forkIn(advanceTestClock, scope)
      const isEmpty = yield* Effect.timeoutTo(untilEmpty(server, tube.name), {
        duration: within,
        onSuccess: () => true,
        onTimeout: () => false
      })
      const jobs = yield* pendingIn(server, tube.name)
      yield* worker.shutdown
      const emitted = Chunk.toReadonlyArray(yield* Stream.runCollect(worker.events))
      const events = emitted.filter(Worker.isJobEvent)
      return isEmpty
        ? events
        : yield* new NotDrained({ tube: tube.name, within: Duration.decode(within), jobs, events })
    })
  )

const drainDefaults: Pick<Worker.Options<never, never>, "reserveSlice" | "shutdownTimeout"> = {
  reserveSlice: "1 day",
  shutdownTimeout: 0
}

const isPending = ({ state }: { readonly state: EmbeddedServer.JournalEntry["state"] }): boolean =>
  state === "ready" || state === "reserved" || state === "delayed"

/** The jobs of a tube that its worker has not yet deleted or buried. */
const pendingIn = (server: EmbeddedServer.Server, tube: TubeName) =>
  Effect.map(server.jobs, (jobs) => jobs.filter((job) => job.tube === tube && isPending(job)))

const untilEmpty = (server: EmbeddedServer.Server, tube: TubeName) =>
  Effect.gen(function*() {
    const pending = pendingIn(server, tube)
    const ids = new Set(Arr.map(yield* pending, ({ id }) => id))
    if (ids.size === 0) return
    // The Stream begins with the oldest entry of the journal, so that `ids` may become empty at an entry after which jobs were
    // put: only the server knows whether the tube is empty now.
    yield* server.events.pipe(
      Stream.filter((entry) => entry.tube === tube),
      Stream.filter((entry) => {
        if (isPending(entry)) ids.add(entry.id)
        else ids.delete(entry.id)
        return ids.size === 0
      }),
      Stream.filterEffect(() => Effect.map(pending, Arr.isEmptyReadonlyArray)),
      Stream.runHead
    )
  })

// ---------------------------------------------------------------------------------------------------------------------
// the jobs in a tube
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A job in a tube, its payload decoded.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobIn<out A> {
  readonly id: JobId
  readonly payload: A
  readonly state: "ready" | "reserved" | "delayed" | "buried"
  readonly priority: number
  /** The delay, in seconds, with which it was put, or last released. */
  readonly delay: number
  /** The time to run, in seconds. */
  readonly ttr: number
}

/**
 * The jobs in a tube, in the order in which they were put. It reads the state of the embedded server, without a connection and
 * without changing anything.
 *
 * Fails with `PayloadError` if a body does not decode. `jobsIn(Tube.text(tube.name))` returns the bodies as text.
 *
 * **Example** (what was put, and how)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Schema } from "effect"
 * import { Tube, WorkerTest } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }), priority: 100 })
 *
 * it.effect("a mail is put with a delay of an hour", () =>
 *   Effect.gen(function*() {
 *     const id = yield* Mails.put({ to: "kim@example.org" }, { delay: "1 hour" })
 *     assert.deepStrictEqual(yield* WorkerTest.jobsIn(Mails), [
 *       { id, payload: { to: "kim@example.org" }, state: "delayed", priority: 100, delay: 3600, ttr: 60 }
 *     ])
 *   }).pipe(Effect.provide(WorkerTest.layer())))
 * ```
 *
 * @category inspecting
 * @since 0.1.0
 */
export const jobsIn = <A, RT>(
  tube: Tube<A, RT>
): Effect.Effect<ReadonlyArray<JobIn<A>>, PayloadError, EmbeddedServer.EmbeddedServer | RT> =>
  Effect.gen(function*() {
    const { jobs } = yield* EmbeddedServer.EmbeddedServer
    const stored = (yield* jobs).filter((job) => job.tube === tube.name)
    return yield* Effect.forEach(stored, ({ delay, id, peeked, priority, state, ttr }) =>
      Effect.map(tube.decode(peeked), (payload): JobIn<A> => ({ id, payload, state, priority, delay, ttr })))
  })
