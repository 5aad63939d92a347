/**
 * Runs a handler on each job of a tube.
 *
 * A job is deleted when its handler has succeeded. When the handler fails, the job is released with the delay that the
 * `retry` Schedule gives, and whichever worker is free then runs it again; when the Schedule is done, the job is buried. The
 * server counts the failures, so that a worker that is restarted continues where the one before it was. While a handler
 * runs, its job is touched; if its lease is lost all the same, the handler is interrupted. A shutdown lets handlers end, and
 * gives back the jobs of those that do not.
 *
 * **Log**
 *
 * A worker logs at Info that it takes jobs, that it is shut down and that it is closed; at Warning the first failure of a job, with
 * its cause and when the job runs again, and each job that is buried; at Info the later failures; nothing of a job that succeeds. Its
 * lines are annotated with `package`, `module`, `tube`, and where there is one with `job` and `attempt`. The lines of a handler are
 * annotated with `tube` and `job`; with `attempt` only if `maxDisconnects` is set, since the number is asked of the server, which a job
 * that succeeds at once does without. A handler that wants it in its lines asks:
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Mails = Tube.text("mails")
 *
 * const worker = Worker.run(Mails, (mail, job) =>
 *   Effect.flatMap(job.stats, ({ attempt }) => Effect.annotateLogs(Effect.log(mail), { attempt })))
 * ```
 *
 * **At least once**
 *
 * Every job is run at least once. If a worker dies, the server gives its job to another at once, and the job is run twice:
 * make handlers idempotent.
 *
 * **Example** (sixteen at a time, each tried six times)
 *
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
 * import { Effect, Schedule, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const FetchUrl = Tube.make("URLs-to-fetch", { payload: Schema.Struct({ url: Schema.String }), ttr: "3 minutes" })
 *
 * const worker = Worker.run(FetchUrl, ({ url }) => HttpClient.get(url), {
 *   concurrency: 16,
 *   retry: Schedule.exponential("1 second").pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(5)))
 * })
 *
 * NodeRuntime.runMain(Effect.provide(worker, [NodeBeanstalk.layerClientEnv, NodeHttpClient.layer]))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { BeanstalkClient } from "./BeanstalkClient.ts"
import type { Buried, InvalidArgument, LeaseLost, ServerError, WorkerStartError } from "./BeanstalkError.ts"
import type { Health, Limits } from "./Health.ts"
import type * as Decision from "./internal/worker/decision.ts"
import * as Events from "./internal/worker/events.ts"
import * as Failures from "./internal/worker/failure.ts"
import * as JobsStream from "./internal/worker/jobsStream.ts"
import { make as makePool } from "./internal/worker/make.ts"
import type * as Settings from "./internal/worker/options.ts"
import type { Pool } from "./internal/worker/pool.ts"
import * as WorkerMetrics from "./internal/worker/telemetry/metrics.ts"
import type * as Observer from "./internal/worker/telemetry/observer.ts"
import type * as Spans from "./internal/worker/telemetry/spans.ts"
import type { JobId, TubeName } from "./Job.ts"
import type { JobStats } from "./Stats.ts"
import type { Tube } from "./Tube.ts"

export type {
  BuriedEvent,
  CompletedEvent,
  CompletionUnknownEvent,
  CrashLoopEvent,
  DiscardedEvent,
  InterruptedEvent,
  LeaseLostEvent,
  RefusedEvent,
  RetriedEvent,
  ShutdownEvent,
  UndecodableEvent
} from "./internal/worker/events.ts"

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
// what a handler gets, and fails with
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a job has been through, from the counters of the server.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunStats {
  /** The number of this run, counted from 1. Runs that a shutdown interrupted, or whose worker died, do not count. */
  readonly attempt: number
  /** How often the job was released, or its time to run was over. */
  readonly failures: number
  /** How often the connection of its worker was lost while the job was reserved, by a crash or a shutdown. */
  readonly disconnects: number
  /** Seconds since the job was put. */
  readonly age: number
  readonly priority: number
  /** The time to run, in seconds. */
  readonly ttr: number
  /** The whole answer to `stats-job`. */
  readonly job: JobStats
}

/**
 * The job that a handler works on. Once the handler has ended, `stats`, `touch` and `leaseLost` fail with `LeaseLost`.
 *
 * **Example** (do something else in the last attempt)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import type { Worker } from "effect-beanstalk"
 *
 * const remind = (payload: { readonly to: string }, job: Worker.Job) =>
 *   Effect.gen(function*() {
 *     const { attempt } = yield* job.stats
 *     yield* Console.log(attempt < 3 ? `reminds ${payload.to}` : `warns ${payload.to}`)
 *   })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Job extends Inspectable.Inspectable {
  readonly id: JobId
  readonly tube: TubeName
  /**
   * What the job has been through. The server is asked once. Fails with `LeaseLost` if the job is not reserved by this worker
   * any more.
   */
  readonly stats: Effect.Effect<RunStats, LeaseLost | ServerError>
  /**
   * Starts the time to run anew. A worker does this itself, unless `heartbeat` is false. Fails with `LeaseLost` if the job is
   * not reserved by this worker any more.
   */
  readonly touch: Effect.Effect<void, LeaseLost | ServerError>
  /**
   * Fails when the lease is lost: another worker may be running the job. The handler is interrupted then, unless `onLeaseLost` is
   * `"continue"`. Race side
   * effects against it that must not happen twice, or that are uninterruptible.
   */
  readonly leaseLost: Effect.Effect<never, LeaseLost>
}

/**
 * What a worker runs on each job: its payload in, an Effect out, whose success deletes the job. `E` are the errors on which the job
 * is retried, `R` the services that the handler needs besides its Scope.
 *
 * **Example** (a handler that stands apart from its worker)
 *
 * ```ts
 * import { Context, Effect, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * class Mailer extends Context.Tag("Mailer")<Mailer, {
 *   readonly send: (to: string, messageId: string) => Effect.Effect<void, "Refused">
 * }>() {}
 *
 * const sendMail: Worker.Handler<Tube.Payload<typeof Mails>, "Refused", Mailer> = ({ to }, job) =>
 *   Effect.flatMap(Mailer, (mailer) => mailer.send(to, job.id))
 *
 * const worker = Worker.run(Mails, sendMail)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<A, E = never, R = never> = (
  payload: A,
  job: Job
) => Effect.Effect<unknown, E | Order, R | Scope.Scope>

/**
 * A handler that fails with it has its job buried, whatever `retry` says. The `reason` becomes the message.
 *
 * **Example** (a job that a person has to look at)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Worker } from "effect-beanstalk"
 *
 * const pay = ({ amount }: { readonly amount: number }) =>
 *   amount > 10_000 ? new Worker.Bury({ reason: "to be approved" }) : Effect.log(`pays ${amount}`)
 * ```
 *
 * @category failures
 * @since 0.1.0
 */
export const Bury = Failures.Bury

/**
 * @category failures
 * @since 0.1.0
 */
export type Bury = Failures.Bury

/**
 * A handler that fails with it has its job deleted, whatever `retry` says. The `reason` becomes the message.
 *
 * **Example** (a job that is of no use any more)
 *
 * ```ts
 * import { Clock, Effect } from "effect"
 * import { Worker } from "effect-beanstalk"
 *
 * const notify = ({ until }: { readonly until: number }) =>
 *   Effect.flatMap(Clock.currentTimeMillis, (now) =>
 *     now > until ? new Worker.Discard({ reason: "too late" }) : Effect.log("notifies"))
 * ```
 *
 * @category failures
 * @since 0.1.0
 */
export const Discard = Failures.Discard

/**
 * @category failures
 * @since 0.1.0
 */
export type Discard = Failures.Discard

/**
 * A handler that fails with it has its job run again after this delay, whatever `retry` says. The delay is rounded up to whole
 * seconds, and is at least one. The server counts it as a failure, so that it spends an attempt of `retry`. The `reason` becomes
 * the message. Throws `InvalidArgument` for a bare number below 1000, as `Tube.make` does: `60` would be milliseconds.
 *
 * **Gotchas**
 *
 * A handler that polls, and runs again because something is not ready yet, has not failed: let it put its payload anew with a
 * delay, and succeed. The new job has all its attempts. It is put before the old one is deleted, so that it may be there twice.
 *
 * **Example** (as the other side asks for)
 *
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Worker } from "effect-beanstalk"
 *
 * const fetchPage = ({ url }: { readonly url: string }) =>
 *   Effect.gen(function*() {
 *     const { headers, status } = yield* HttpClient.get(url)
 *     if (status !== 429) return
 *     yield* new Worker.RetryAfter({ delay: `${Number(headers["retry-after"] ?? 60)} seconds`, reason: "too many requests" })
 *   })
 * ```
 *
 * @category failures
 * @since 0.1.0
 */
export const RetryAfter = Failures.RetryAfter

/**
 * @category failures
 * @since 0.1.0
 */
export type RetryAfter = Failures.RetryAfter

/**
 * The failures by which a handler decides itself what becomes of its job.
 *
 * @category failures
 * @since 0.1.0
 */
export type Order = Failures.Order

/**
 * The input of a `retry` Schedule if one of the options `timeout`, `heartbeat: false` and `onDefect: "retry"` is set: the error of
 * the handler, a `TimeoutException` if it ran for too long, or an `UnknownException` with the defect if it died and `onDefect` is
 * `"retry"`. Without these options the input is the error of the handler.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure<E> = Failures.Failure<E>

/**
 * A job that failed for good: its `retry` is done. The input of `onExhausted`.
 *
 * **Example** (put what has failed for good into another tube)
 *
 * ```ts
 * import { Cause, Effect, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Mail = Schema.Struct({ to: Schema.String })
 * const Mails = Tube.make("mails", { payload: Mail })
 * const DeadLetters = Tube.make("dead-letters", { payload: Schema.Struct({ mail: Mail, failure: Schema.String }) })
 *
 * const putDeadLetter = ({ cause, payload }: Worker.Exhausted<typeof Mail.Type, unknown>) =>
 *   DeadLetters.put({ mail: payload, failure: Cause.pretty(cause) })
 *
 * const worker = Worker.run(Mails, ({ to }) => Effect.log(`mail to ${to}`), { onExhausted: putDeadLetter })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Exhausted<out A, out E> extends Decision.Exhausted<A, E> {}

// ---------------------------------------------------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The options of a worker.
 *
 * **Example** (options that stand apart)
 *
 * A constant of options is to be checked with `satisfies`: without it, `"delete"` would be a `string`, which is no `onExhausted`, and
 * a misspelt option would go unnoticed. `E` may be `unknown` unless an option looks at the error of the handler.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Mails = Tube.text("mails")
 *
 * const options = {
 *   concurrency: 16,
 *   onExhausted: "delete"
 * } satisfies Worker.Options<string, unknown>
 *
 * const worker = Worker.run(Mails, (mail) => Effect.log(mail), options)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Options<A, E, RRetry = never, RExhausted = never, RGate = never> = Settings.Options<
  A,
  E,
  RRetry,
  RExhausted,
  RGate
>

/**
 * What becomes of a job whose body does not decode: the option `onUndecodable`, and the `action` of an `Undecodable` event.
 *
 * @category models
 * @since 0.1.0
 */
export type UndecodableAction = Events.UndecodableAction

/**
 * How the span of a run refers to the span from which its job was put: the option `traceParent`.
 *
 * @category models
 * @since 0.1.0
 */
export type TraceParent = Spans.TraceParent

// ---------------------------------------------------------------------------------------------------------------------
// events
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What became of a job, exactly one event for each reservation; what the server refused; and the end of the worker.
 *
 * - `Completed`: the handler succeeded, and the job is deleted.
 * - `Retried`: the handler failed, and the job is released with this delay.
 * - `Buried`, `Discarded`: the handler failed, and the job is buried, or deleted. `handedOver` says whether an Effect of `onExhausted`
 *   has been run with a job that is deleted.
 * - `Interrupted`: the worker was shut down, and the job was given back as it was. If it is `orphaned`, its handler did not end
 *   and may still run.
 * - `LeaseLost`: the reservation was lost while the handler ran, or before the server had carried out what becomes of the job.
 * - `Undecodable`: the body did not decode. The handler did not run.
 * - `CrashLoop`: the connection of the job's worker was lost too often. The job is buried; the handler did not run.
 * - `CompletionUnknown`: the job was to be deleted, usually after its handler succeeded, but the connection was lost before
 *   the server confirmed it. The job may be run again.
 * - `Refused`: the server answered a reserve, or a command about a job, with an error. The worker pauses under the `reconnect`
 *   Schedule of its client. It keeps a job that was to be released or buried, and sends the command again.
 * - `ShutdownReport`: what the shutdown did; the last event.
 *
 * `E` is the error of the handler. The `cause` of a failure is a `Cause` of it, of {@link Failure} and of {@link Order}.
 *
 * @category events
 * @since 0.1.0
 */
export type Event<E = unknown> = Events.Event<E>

/**
 * The events that end a reservation: all but `Refused` and `ShutdownReport`.
 *
 * @category events
 * @since 0.1.0
 */
export type JobEvent<E = unknown> = Events.JobEvent<E>

/**
 * Whether an event ends a reservation.
 *
 * **Example** (the jobs of the events, without the refusals)
 *
 * ```ts
 * import { Stream } from "effect"
 * import { Worker } from "effect-beanstalk"
 *
 * const ended = (worker: Worker.Worker) => Stream.filter(worker.events, Worker.isJobEvent)
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const isJobEvent: <E>(event: Event<E>) => event is JobEvent<E> = Events.isJobEvent

/**
 * Constructors and matchers of {@link Event}.
 *
 * **Example** (tell an operator of each job that is buried)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Worker } from "effect-beanstalk"
 *
 * const watch = (worker: Worker.Worker) =>
 *   worker.events.pipe(
 *     Stream.filter(Worker.Event.$is("Buried")),
 *     Stream.runForEach(({ attempt, id }) => Effect.logError(`job ${id} is buried after ${attempt} attempts`))
 *   )
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const Event: Events.Constructors = Events.Event

/**
 * The ways in which a reservation can end: the tags of {@link JobEvent}.
 *
 * @category events
 * @since 0.1.0
 */
export type Outcome = Observer.Outcome

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
 * The metrics that all workers of a tube with the option `metrics` update.
 *
 * Each is tagged with the tube as `messaging.destination.name`, with `messaging.system`, and with its server as `server.address` and
 * `server.port`.
 *
 * @category metrics
 * @since 0.1.0
 */
export interface Metrics extends WorkerMetrics.Metrics {}

/**
 * The metrics of a tube of the server at this address, which is that of the client.
 *
 * **Example** (the number of jobs that failed for good)
 *
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { BeanstalkClient, Worker } from "effect-beanstalk"
 *
 * const buried = Effect.flatMap(BeanstalkClient.BeanstalkClient, ({ address }) =>
 *   Metric.value(Worker.metrics("URLs-to-fetch", address).jobs.Buried))
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const metrics = (tube: string, address: string): Metrics => WorkerMetrics.metrics(tube, address)

// ---------------------------------------------------------------------------------------------------------------------
// the worker
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a worker does at this moment, and what became of its jobs so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** The number of its lanes: its connections, those that are being opened included. */
  readonly lanes: number
  /** The number of its lanes that wait for a job or a connection. */
  readonly waiting: number
  /** The number of jobs that it holds. */
  readonly running: number
  /** How many jobs ended in each way. */
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** How many commands the server has refused. */
  readonly refusals: number
  /**
   * Whether no jobs are reserved since the server has refused to release or bury one: a beanstalkd without room for its binlog
   * keeps such a job where no command finds it until it is restarted. Jobs are reserved again once the server stores a job that
   * the worker puts into the tube `effect-beanstalk.probe`, and deletes; or, if the server is in drain mode, after a pause.
   */
  readonly isPaused: boolean
}

/**
 * A worker that is running. `E` is the error of its handler, which its events carry.
 *
 * **Example** (take no jobs for an hour)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { Worker } from "effect-beanstalk"
 *
 * const pauseForAnHour = (worker: Worker.Worker) =>
 *   worker.quiet.pipe(Effect.zipRight(Effect.sleep("1 hour")), Effect.zipRight(worker.resume))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker<out E = unknown> extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  readonly tube: TubeName
  /**
   * The events from the moment the Stream is run until the worker is closed. A consumer that is more than 16,384 events behind
   * loses the oldest.
   */
  readonly events: Stream.Stream<Event<E>>
  /** What the worker does at this moment. The server is not asked. */
  readonly stats: Effect.Effect<Stats>
  /**
   * How the worker does, without asking the server. `Degraded` if it is being shut down, if it has not been connected yet, or if none of
   * its connections has been open for longer than `grace`. `Failed` if it is closed, or the event loop was blocked for longer than
   * `lateness`. A worker that takes no jobs because of `quiet` is healthy.
   */
  readonly health: (limits?: Limits) => Effect.Effect<Health>
  /** Takes no more jobs. Handlers go on, and are not waited for. Connections without a job close. */
  readonly quiet: Effect.Effect<void>
  /** Takes jobs again, unless the worker is shut down. */
  readonly resume: Effect.Effect<void>
  /** Shuts the worker down, as closing its Scope does, and succeeds when it is closed. It goes on if the caller is interrupted. */
  readonly shutdown: Effect.Effect<ShutdownReport>
  /** Succeeds when the worker is closed, whatever shut it down. */
  readonly await: Effect.Effect<ShutdownReport>
}

/**
 * Starts a worker, which is shut down when the Scope closes.
 *
 * The handler has a Scope of its own, which is closed when the handler has ended, before the job is deleted.
 *
 * Fails with `WorkerStartError` for invalid options, for a tube whose `ttr` is less than 3 seconds (2 without heartbeat), and,
 * with `onFirstConnect: "fail"`, if the server cannot be reached. Without heartbeat, a `timeout` that is longer than the tube's
 * `ttr` less one second is invalid too. It fails as well if its client is closed. A worker that is started does not fail.
 *
 * The workers of one client shut down together. When the Scope of one closes, those that end with the same program take no more
 * jobs, and all of them are closed within one `shutdownTimeout` and 4 seconds.
 *
 * A client must live at least as long as its workers: provide its Layer to the whole program, not to `Worker.make` alone. When the
 * client is closed, it shuts down the workers that still run, and logs an Error. If that happens as soon as `Worker.make` has
 * succeeded, the program dies with the Error.
 *
 * **Gotchas**
 *
 * Until the server has answered how long the time to run of a job is, the worker takes it for the tube's `ttr`. It asks when the
 * handler has run for 0.3 seconds. If a job was put with a shorter `ttr`, the worker may notice the loss of its lease too late,
 * by at most the tube's `ttr` less the job's.
 *
 * **Example** (a worker that ends with its Scope)
 *
 * ```ts
 * import { Console, Effect, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * const program = Effect.gen(function*() {
 *   const worker = yield* Worker.make(Mails, ({ to }) => Console.log(`mail to ${to}`), { concurrency: 4 })
 *   yield* Effect.sleep("1 hour")
 *   const { outcomes } = yield* worker.stats
 *   yield* Console.log(`${outcomes.Completed} mails were sent`)
 * }).pipe(Effect.scoped, Effect.provide(NodeBeanstalk.layerClientEnv))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: NoInfer<A>, job: Job) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options: Options<NoInfer<A>, E, RRetry, RExhausted, RGate> = {}
): Effect.Effect<Worker<E>, WorkerStartError, BeanstalkClient | Scope.Scope | RT | R | RRetry | RExhausted | RGate> =>
  Effect.flatMap(
    Effect.scope,
    (scope) => Effect.map(makePool<A, RT, R, E, RRetry | RExhausted | RGate>(tube, handler, options, scope), fromPool)
  )

const fromPool = <A, E, R>(pool: Pool<A, E, R>): Worker<E> => ({
  ...Inspectable.BaseProto,
  [TypeId]: TypeId,
  toJSON: () => ({ _id: "effect-beanstalk/Worker", tube: pool.tube }),
  tube: pool.tube,
  events: pool.events.stream,
  stats: pool.stats,
  health: pool.health,
  quiet: pool.quiet,
  resume: pool.resume,
  shutdown: pool.shutdown,
  await: pool.whenClosed
})

/**
 * Runs a worker until it is interrupted, and then shuts it down. See {@link make}.
 *
 * **Example** (a whole program)
 *
 * ```ts
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Effect, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * Worker.run(Mails, ({ to }) => Console.log(`mail to ${to}`)).pipe(
 *   Effect.provide(NodeBeanstalk.layerClientEnv),
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: NoInfer<A>, job: Job) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options: Options<NoInfer<A>, E, RRetry, RExhausted, RGate> = {}
): Effect.Effect<never, WorkerStartError, BeanstalkClient | RT | R | RRetry | RExhausted | RGate> =>
  Effect.scopedWith((scope) =>
    Effect.zipRight(
      makePool<A, RT, R, E, RRetry | RExhausted | RGate>(tube, handler, options, scope),
      Effect.never
    )
  )

/**
 * A worker as a Layer, for `Layer.launch` or to be merged with others. See {@link make}.
 *
 * **Example** (several workers in one program)
 *
 * ```ts
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Layer, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 * const Audit = Tube.text("audit")
 *
 * const mails = Worker.layer(Mails, ({ to }) => Console.log(`mail to ${to}`), { concurrency: 16 })
 * const audit = Worker.layer(Audit, (line) => Console.log(line))
 *
 * Layer.mergeAll(mails, audit).pipe(
 *   Layer.provide(NodeBeanstalk.layerClientEnv),
 *   Layer.launch,
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: NoInfer<A>, job: Job) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options?: Options<NoInfer<A>, E, RRetry, RExhausted, RGate>
): Layer.Layer<never, WorkerStartError, Exclude<BeanstalkClient | RT | R | RRetry | RExhausted | RGate, Scope.Scope>> =>
  Layer.scopedDiscard(make(tube, handler, options))

// ---------------------------------------------------------------------------------------------------------------------
// a Stream of jobs
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The options of {@link jobs}.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobsOptions extends JobsStream.JobsOptions {}

/**
 * A job that was reserved by {@link jobs}. It is reserved until it is completed, deleted, released or buried, once. Each of
 * these fails with `LeaseLost` if the reservation was lost before, or ended already.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reservation<out A> extends Job {
  readonly payload: A
  /**
   * Deletes the job without waiting for the server: the delete leaves in the same write as the next reserve of the Stream, so
   * that a job takes one round trip. If the reservation was lost by then, which only the server knows, that is logged.
   */
  readonly complete: Effect.Effect<void, LeaseLost>
  /** Deletes the job, and succeeds when the server has done it. */
  readonly delete: Effect.Effect<void, LeaseLost>
  /** Buries the job with the priority that it has, and succeeds when the server has done it. */
  readonly bury: Effect.Effect<void, LeaseLost>
  /**
   * Releases the job with the priority that it has, and succeeds when the server has done it. The delay is rounded up to whole
   * seconds, and is at least one, which is the default.
   *
   * Fails with `InvalidArgument` for a delay that `put` does not accept either (the job stays reserved), and with `Buried` if
   * the server is out of memory, and has buried the job instead.
   */
  readonly release: (
    options?: { readonly delay?: Duration.DurationInput | undefined }
  ) => Effect.Effect<void, LeaseLost | InvalidArgument | Buried>
}

/**
 * The jobs of a tube as a Stream, one at a time, for programs with a loop of their own.
 *
 * A job is reserved when the Stream is pulled, on a connection of its own that is opened again when it is lost. The job is
 * touched until it is settled, and the next one is reserved only then. If the Stream ends first, or the fiber that pulled is
 * interrupted (by `Effect.timeoutOption` around a pull, for example), the job is given back as it was. A body that does not
 * decode is buried, or what `onUndecodable` says, and does not appear in the Stream. The log lines of the Stream are annotated as
 * those of a worker are; those of the loop belong to the program, and `Effect.annotateLogs({ tube: job.tube, job: job.id })`
 * annotates them alike.
 *
 * On a cluster the Stream has a connection to each server, and reserves at all of them. A job that comes from another server while the
 * program has one is held and touched until the Stream is pulled again: one from each server at most.
 *
 * A command that the server refuses is sent again under the reconnect Schedule, and the first refusal is logged as a warning. If
 * that is a `release` or `bury` for which the server may have no room, the Stream reserves no more jobs until the server has.
 *
 * Fails with `WorkerStartError` for invalid options and for a tube whose `ttr` is less than 3 seconds (2 without heartbeat).
 * When its client is closed, the Stream reserves no more jobs and ends. A job that is reserved can still be settled.
 *
 * **Gotchas**
 *
 * A Stream that runs several elements at a time, as `Stream.mapEffect({ concurrency: n })` does, or keeps them, as
 * `Stream.buffer` does, gets the second job only when the first is settled. To run n jobs at a time, run n such Streams
 * (`Effect.replicateEffect(n, { concurrency: "unbounded" })`), or use {@link run} with `concurrency`.
 *
 * **Example** (until a job says stop)
 *
 * ```ts
 * import { Console, Effect, Schema, Stream } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Commands = Tube.make("commands", { payload: Schema.Struct({ name: Schema.String }) })
 *
 * const program = Worker.jobs(Commands).pipe(
 *   Stream.tap((job) => Effect.zipRight(Console.log(job.payload.name), job.complete)),
 *   Stream.takeUntil((job) => job.payload.name === "stop"),
 *   Stream.runDrain
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const jobs: <A, R>(
  tube: Tube<A, R>,
  options?: JobsOptions
) => Stream.Stream<Reservation<A>, WorkerStartError, BeanstalkClient | R> = JobsStream.jobs
