/**
 * Works off the jobs of a tube: runs a handler on each, and tells the server what has become of it.
 *
 * A job is deleted when its handler has succeeded. If it fails, the job comes back later, when the `retry` Schedule says, to
 * whichever worker is free then; and it is buried when the Schedule is done. How often it has failed is counted by the
 * server, so a worker that is replaced goes on where it was. While a handler runs, its job is touched, and should it be lost
 * all the same, the handler is interrupted. A shutdown lets handlers end, and gives back what does not.
 *
 * Every job is run at least once. A worker that dies gives back its job at once, and then it is run twice.
 *
 * **Example** (sixteen at a time, each tried six times)
 *
 * ```ts
 * const FetchUrl = Tube.make("URLs-to-fetch", { payload: Schema.Struct({ url: Schema.String }), ttr: "3 minutes" })
 *
 * const worker = Worker.run(FetchUrl, ({ url }) => fetchUrl(url), {
 *   concurrency: 16,
 *   retry: Schedule.exponential("1 second").pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(5)))
 * })
 *
 * NodeRuntime.runMain(Effect.provide(worker, NodeBeanstalk.layerClientEnv))
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { BeanstalkClient } from "./BeanstalkClient.ts"
import type { LeaseLost, ServerError, WorkerStartError } from "./BeanstalkError.ts"
import * as Verdict from "./internal/worker/decision.ts"
import * as Events from "./internal/worker/events.ts"
import * as Jobs from "./internal/worker/jobsStream.ts"
import { start, type Started } from "./internal/worker/make.ts"
import type * as Settings from "./internal/worker/options.ts"
import * as Measured from "./internal/worker/telemetry/metrics.ts"
import type { JobId, TubeName } from "./Job.ts"
import type { JobStats } from "./Stats.ts"
import type { Tube } from "./Tube.ts"

/**
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-beanstalk/Worker"

/**
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = "~effect-beanstalk/Worker"

// ---------------------------------------------------------------------------------------------------------------------
// the handler's view
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a job has been through, counted by the server.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunStats {
  /** Which run this is, counted from 1. Runs that were interrupted by a shutdown, or died with their worker, do not count. */
  readonly attempt: number
  /** How often it has failed: been released, or run out of its time. */
  readonly failures: number
  /** How often its worker was gone, be it by a crash or a shutdown. */
  readonly disconnects: number
  /** Seconds since it was put. */
  readonly age: number
  readonly priority: number
  /** Its time to run, in seconds. */
  readonly ttr: number
  /** Everything the server says. */
  readonly job: JobStats
}

/**
 * The job that a handler works on. It is there while the handler runs; later, whatever would ask the server fails with
 * `LeaseLost`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Job extends Inspectable.Inspectable {
  readonly id: JobId
  readonly tube: TubeName
  /** What it has been through. The server is asked once. */
  readonly stats: Effect.Effect<RunStats, LeaseLost | ServerError>
  /**
   * Starts its time to run anew. With `heartbeat`, which is the default, nobody needs it; it tells whether the job is still
   * ours.
   */
  readonly touch: Effect.Effect<void, LeaseLost | ServerError>
  /**
   * Fails when the job is not ours any more: somebody else may be running it. The handler is interrupted then anyway. Race
   * against it what must not be done twice, or what is uninterruptible.
   */
  readonly leaseLost: Effect.Effect<never, LeaseLost>
}

/**
 * What a handler fails with to have its job buried, whatever `retry` says. A `reason` is its message.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const Bury = Verdict.Bury

/**
 * @category verdicts
 * @since 0.1.0
 */
export type Bury = Verdict.Bury

/**
 * What a handler fails with to have its job deleted: there is no sense in doing it. A `reason` is its message.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const Discard = Verdict.Discard

/**
 * @category verdicts
 * @since 0.1.0
 */
export type Discard = Verdict.Discard

/**
 * What a handler fails with to have its job run again after this delay, whatever `retry` says. Whole seconds, rounded up, one
 * at least. The server counts it as a failure, so it spends an attempt of `retry`. A `reason` is its message.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const RetryAfter = Verdict.RetryAfter

/**
 * @category verdicts
 * @since 0.1.0
 */
export type RetryAfter = Verdict.RetryAfter

/**
 * Any of the three.
 *
 * @category verdicts
 * @since 0.1.0
 */
export type Order = Verdict.Order

/**
 * What a `retry` Schedule is told of: what the handler failed with, a `TimeoutException` if it was interrupted for taking
 * too long, and an `UnknownException` with what was thrown, if `onDefect` is `"retry"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure<E> = Verdict.Failure<E>

/**
 * A job whose `retry` is done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exhausted<out A, out E> extends Settings.Exhausted<A, E> {}

// ---------------------------------------------------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a worker may be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in out A, in out E, out RRetry = never, out RExhausted = never, out RGate = never>
  extends Settings.Options<A, E, RRetry, RExhausted, RGate>
{}

// ---------------------------------------------------------------------------------------------------------------------
// events
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What has become of jobs: exactly one event for each that was reserved, and a last one when the worker is closed.
 *
 * - `Completed`: the handler succeeded, and the job is deleted.
 * - `Retried`: the handler failed, and the job comes back after the delay.
 * - `Buried`, `Discarded`: the handler failed, and the job is buried, or deleted.
 * - `Interrupted`: the worker was shut down, and the job given back as it was. If it was `disowned`, its handler did not end,
 *   and may still run.
 * - `LeaseLost`: the job was not ours any more while its handler ran, or when it was to be dealt with.
 * - `Undecodable`: the body was not what the tube holds. The handler did not run.
 * - `CrashLoop`: the worker of the job was gone too often. It is buried; the handler did not run.
 * - `CompletionUnknown`: the job was to be deleted, as a rule because its handler succeeded, but the connection was lost before
 *   it surely was. It may be run again.
 * - `ShutdownReport`: what the shutdown did; the last event.
 *
 * @category events
 * @since 0.1.0
 */
export type Event = Events.Event

/**
 * Constructors and matchers of {@link Event}.
 *
 * @category events
 * @since 0.1.0
 */
export const Event = Events.Event

/**
 * How a reservation can end: the tags of all events but `ShutdownReport`.
 *
 * @category events
 * @since 0.1.0
 */
export type Outcome = Events.Outcome

/**
 * What a shutdown did.
 *
 * @category events
 * @since 0.1.0
 */
export interface ShutdownReport extends Events.ShutdownReport {}

// ---------------------------------------------------------------------------------------------------------------------
// metrics
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the workers of a tube that have `metrics` count and measure, all together.
 *
 * Each metric is tagged with the tube as `messaging.destination.name`, and with `messaging.system`.
 *
 * @category metrics
 * @since 0.1.0
 */
export interface Metrics extends Measured.Metrics {}

/**
 * The metrics of a tube.
 *
 * **Example** (what has failed for good so far)
 *
 * ```ts
 * const buried = Metric.value(Worker.metrics("URLs-to-fetch").jobs.Buried)
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const metrics = (tube: string): Metrics => Measured.metrics(tube)

// ---------------------------------------------------------------------------------------------------------------------
// the worker
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a worker does now, and what has become of its jobs so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Its lanes, which are its connections, those that are being opened included. */
  readonly lanes: number
  /** Its connections that wait for a job, or are being opened. */
  readonly waiting: number
  /** The jobs it holds. */
  readonly running: number
  /** How many jobs ended in each way. */
  readonly outcomes: Readonly<Record<Outcome, number>>
}

/**
 * A worker that is running.
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  readonly tube: TubeName
  /**
   * What becomes of jobs, from the moment on in which the Stream is run until the worker is closed. Of somebody who is slow
   * to hear, the oldest of more than 16,384 events are forgotten.
   */
  readonly events: Stream.Stream<Event>
  /** What it does at this moment. Nobody is asked for it. */
  readonly stats: Effect.Effect<Stats>
  /** Takes no more jobs, and does not wait for handlers, which go on. Connections without a job close. */
  readonly quiet: Effect.Effect<void>
  /** Takes jobs again, unless it is shut down. */
  readonly resume: Effect.Effect<void>
  /** Ends it, as the end of its scope does, and tells how it went. It goes on if whoever waits for it is interrupted. */
  readonly shutdown: Effect.Effect<ShutdownReport>
  /** Waits until it is closed, by whoever, and tells how that went. */
  readonly await: Effect.Effect<ShutdownReport>
}

/**
 * Starts a worker, which is shut down with the Scope.
 *
 * The handler's own `Scope` is closed when it ends, before its job is deleted.
 *
 * Fails with `WorkerStartError` for options that cannot be, for a tube whose `ttr` is less than 3 seconds (2 without
 * heartbeat), and, with `onFirstConnect: "fail"`, if there is no server. Without heartbeat, a `timeout` that is longer than
 * the tube's `ttr` less one second cannot be either. Once it is started a worker does not fail; when its client is closed, it is
 * shut down.
 *
 * A job has the tube's `ttr`, as far as the worker knows, until the server has said how much it has: it is asked when the
 * handler has run for 0.3 seconds. Of a job that was put with less, the worker may know too late that it is somebody else's, by
 * as much as it has less.
 *
 * The client must be one of `BeanstalkClient.make` or a layer of it, and not one of your own: a worker opens connections of its
 * own through it, and dies at the start if it cannot.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: A, job: Job) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options: Options<A, E, RRetry, RExhausted, RGate> = {}
): Effect.Effect<Worker, WorkerStartError, BeanstalkClient | Scope.Scope | RT | R | RRetry | RExhausted | RGate> =>
  Effect.map(start<A, RT, R, E, RRetry | RExhausted | RGate>(tube, handler, options), workerOf)

const workerOf = <E, R>({ crew, events }: Started<E, R>): Worker => ({
  ...Inspectable.BaseProto,
  [TypeId]: TypeId,
  toJSON: () => ({ _id: "effect-beanstalk/Worker", tube: crew.tube }),
  tube: crew.tube,
  events: events.stream,
  stats: Effect.sync(() => ({
    lanes: crew.size,
    waiting: crew.waiting.size,
    running: crew.running,
    outcomes: { ...crew.tally }
  })),
  quiet: Effect.sync(() => crew.quiet()),
  resume: Effect.sync(() => crew.resume()),
  shutdown: crew.shutdown,
  await: crew.whenClosed
})

/**
 * Runs a worker until it is interrupted, and shuts it down then. See {@link make}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: A, job: Job) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options?: Options<A, E, RRetry, RExhausted, RGate>
): Effect.Effect<never, WorkerStartError, BeanstalkClient | RT | R | RRetry | RExhausted | RGate> =>
  Effect.scopedWith((scope) => Effect.zipRight(Scope.extend(make(tube, handler, options), scope), Effect.never))

/**
 * A worker as a Layer, for `Layer.launch`, or beside others. See {@link make}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: A, job: Job) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options?: Options<A, E, RRetry, RExhausted, RGate>
): Layer.Layer<never, WorkerStartError, Exclude<BeanstalkClient | RT | R | RRetry | RExhausted | RGate, Scope.Scope>> =>
  Layer.scopedDiscard(make(tube, handler, options))

// ---------------------------------------------------------------------------------------------------------------------
// a loop of one's own
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What {@link jobs} may be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobsOptions extends Jobs.JobsOptions {}

/**
 * A job that was reserved by {@link jobs}. It is ours until it is deleted, released or buried: the methods end when the server
 * has done it, and fail with `LeaseLost` when it was not ours any more, or has been dealt with before.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reservation<out A> extends Job {
  readonly payload: A
  /** It is done. */
  readonly delete: Effect.Effect<void, LeaseLost>
  /** Puts it aside, with the priority it has, until it is kicked. */
  readonly bury: Effect.Effect<void, LeaseLost>
  /** Gives it back, with the priority it has, after a delay: whole seconds, rounded up, one at least. */
  readonly release: (
    options?: { readonly delay?: Duration.DurationInput | undefined }
  ) => Effect.Effect<void, LeaseLost>
}

/**
 * The jobs of a tube, one at a time, for those who write their own loop.
 *
 * A job is reserved when the Stream is asked for one, on a connection of its own, which heals. It is touched until it is
 * deleted, released or buried; before that no other is reserved. If the Stream ends first, it is given back as it was.
 * Bodies that are not what the tube holds are dealt with as a worker does, and it fails as {@link make} does.
 *
 * **Example** (until a job says stop)
 *
 * ```ts
 * Worker.jobs(Commands).pipe(
 *   Stream.tap((job) => execute(job.payload).pipe(Effect.zipRight(job.delete))),
 *   Stream.takeUntil((job) => job.payload.name === "stop"),
 *   Stream.runDrain
 * )
 * ```
 *
 * **Gotchas**
 *
 * A Stream that runs several elements at a time, as `Stream.mapEffect({ concurrency: n })` does, or keeps them, as
 * `Stream.buffer`, gets the second job only when the first has been dealt with. To run n jobs at a time, run n such streams
 * (`Effect.replicateEffect(n, { concurrency: "unbounded" })`), or use {@link run} with `concurrency`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const jobs: <A, R>(
  tube: Tube<A, R>,
  options?: JobsOptions
) => Stream.Stream<Reservation<A>, WorkerStartError, BeanstalkClient | R> = Jobs.jobs
