/**
 * For the tests of those who have workers: a server in memory, a handler that is run once, a tube that is worked off to its
 * end, and what is in it then.
 *
 * Nothing is installed and nobody waits. With {@link layerVirtual} hours of back-off pass in a moment; with {@link layer} the
 * program keeps its own Clock, be it `TestClock` or the real one.
 *
 * **Example** (a mail that cannot be sent is tried three times, and buried)
 *
 * ```ts
 * it.effect("gives up in the end", () =>
 *   Effect.gen(function*() {
 *     yield* Mails.put({ to: "nobody@example.org" })
 *     const events = yield* WorkerTest.drain(Mails, () => Effect.fail("refused"), {
 *       retry: Schedule.intersect(Schedule.spaced("1 hour"), Schedule.recurs(2))
 *     })
 *     assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Retried", "Retried", "Buried"])
 *     const [job] = yield* WorkerTest.jobsIn(Mails)
 *     assert.strictEqual(job?.state, "buried")
 *   }).pipe(Effect.provide(WorkerTest.layerVirtual())))
 * ```
 *
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
import * as Advancing from "./internal/testing/advancing.ts"
import * as Rehearsal from "./internal/testing/stubJob.ts"
import type * as Events from "./internal/worker/events.ts"
import type { JobId, TubeName } from "./Job.ts"
import type { Tube } from "./Tube.ts"
import * as VirtualClock from "./VirtualClock.ts"
import * as Worker from "./Worker.ts"

// ---------------------------------------------------------------------------------------------------------------------
// a server and a client
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An embedded server, a client of it, and the `Connector` to it, on the Clock of the program.
 *
 * **Example**
 *
 * ```ts
 * it.effect("puts a mail for each address", () =>
 *   Effect.gen(function*() {
 *     yield* signUp("somebody@example.org")
 *     assert.deepStrictEqual(
 *       (yield* WorkerTest.jobsIn(Mails)).map(({ payload }) => payload),
 *       [{ to: "somebody@example.org" }]
 *     )
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
 * The same in virtual time, which jumps to the next sleeper when nothing can run: see `VirtualClock`, also for what does not
 * go with it. Provide it outside all other layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerVirtual = (
  options?: EmbeddedServer.Options & VirtualClock.Options
): Layer.Layer<BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Connector> =>
  Layer.provideMerge(layer(options), VirtualClock.layer(options))

// ---------------------------------------------------------------------------------------------------------------------
// a handler, once
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The circumstances under which a handler is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions<in out A, out RT = never> extends Rehearsal.Circumstances {
  /**
   * The tube of the job. The payload is encoded and decoded as it would be on its way, so that the handler gets what comes
   * out there. Default: none, and the handler gets the payload itself.
   */
  readonly tube?: Tube<A, RT> | undefined
}

/**
 * Runs a handler on a payload, once, without a server and without a worker, and ends as the handler does.
 *
 * The `job` says of itself what the options say. It can be touched, until the handler has ended. If it is lost (`lostWhen`),
 * the handler is interrupted, and the run fails with `LeaseLost`. The handler's `Scope` is closed when it ends. What it fails
 * with (`Worker.RetryAfter`, say) is not carried out: nobody is there to retry anything. A payload that does not come through the
 * tube is a `PayloadError`; an option that cannot be is a defect.
 *
 * **Example**
 *
 * ```ts
 * it.effect("is rude at the third attempt", () =>
 *   Effect.gen(function*() {
 *     const subject = yield* WorkerTest.runOnce(remind, { to: "somebody@example.org" }, { tube: Mails, attempt: 3 })
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
    const job = new Rehearsal.RehearsedJob(tube?.name, options, tube?.defaults)
    const received = tube === undefined ? Effect.succeed(payload) : Rehearsal.throughTube(tube, payload)
    return Effect.flatMap(received, (payload) => Effect.scoped(job.hold(handler(payload, job))))
  })

// ---------------------------------------------------------------------------------------------------------------------
// a worker
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Starts a worker that forgets nothing: its `events` begin with the first, whenever they are run. Apart from that it is
 * `Worker.make`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: A, job: Worker.Job) => Effect.Effect<unknown, E | Worker.Order, R | Scope.Scope>,
  options?: Worker.Options<A, E, RRetry, RExhausted, RGate>
): Effect.Effect<
  Worker.Worker,
  WorkerStartError,
  BeanstalkClient.BeanstalkClient | Scope.Scope | RT | R | RRetry | RExhausted | RGate
> =>
  Effect.gen(function*() {
    const runtime = yield* Effect.interruptible(Effect.runtime())
    const told = yield* PubSub.unbounded<Take.Take<Worker.Event>>({ replay: Number.POSITIVE_INFINITY })
    const worker = yield* Worker.make(tube, handler, options)
    // A fiber that is run like that listens before anything else happens. It ends with the worker.
    Runtime.runFork(runtime)(Stream.runIntoPubSub(worker.events, told))
    return { ...worker, events: Stream.flattenTake(Stream.fromPubSub(told)) }
  })

/**
 * A worker was closed without having told what was waited for.
 *
 * @category errors
 * @since 0.1.0
 */
export class NeverTold extends Data.TaggedError("NeverTold")<{
  readonly tube: TubeName
  /** What it told instead. */
  readonly told: ReadonlyArray<Worker.Event>
}> {
  override get message() {
    const told = this.told.map((event) => "id" in event ? `${event._tag} of job ${event.id}` : event._tag)
    return `The worker of tube ${this.tube} was closed without such an event. What it told: ${listed(told)}.`
  }
}

/**
 * Waits until a worker tells an event that is wanted, and succeeds with it.
 *
 * Of a worker of {@link make} it may also have been told before: nothing is missed, however late one asks, and asking twice for
 * the same gives the same event. Of a worker of `Worker.make` only what is told from now on is heard, so fork this before the
 * job is put.
 *
 * **Example**
 *
 * ```ts
 * const worker = yield* WorkerTest.make(Mails, sendMail)
 * yield* Mails.put({ to: "somebody@example.org" })
 * yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Completed"))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const awaitEvent: {
  <B extends Worker.Event>(
    worker: Worker.Worker,
    predicate: Predicate.Refinement<Worker.Event, B>
  ): Effect.Effect<B, NeverTold>
  (worker: Worker.Worker, predicate: Predicate.Predicate<Worker.Event>): Effect.Effect<Worker.Event, NeverTold>
} = (worker: Worker.Worker, predicate: Predicate.Predicate<Worker.Event>) =>
  Effect.suspend(() => {
    const told: Array<Worker.Event> = []
    return worker.events.pipe(
      Stream.tap((event) => Effect.sync(() => told.push(event))),
      Stream.filter(predicate),
      Stream.runHead,
      Effect.flatMap((found: Option.Option<Worker.Event>) =>
        Effect.catchTag(found, "NoSuchElementException", () => new NeverTold({ tube: worker.tube, told }))
      )
    )
  })

// ---------------------------------------------------------------------------------------------------------------------
// a tube, to its end
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What has become of a job: every event of a worker but its last, the `ShutdownReport`.
 *
 * @category models
 * @since 0.1.0
 */
export type JobEvent = Events.JobEvent

/**
 * What {@link drain} may be told: what a worker may, and how long it may take. By default `reserveSlice` is a day and
 * `shutdownTimeout` none: nothing is to happen but what the jobs call for.
 *
 * @category models
 * @since 0.1.0
 */
export interface DrainOptions<in out A, in out E, out RRetry = never, out RExhausted = never, out RGate = never>
  extends Worker.Options<A, E, RRetry, RExhausted, RGate>
{
  /** How long, on the Clock of the program, it may take. Default: one day, which is long on a real clock. */
  readonly within?: Duration.DurationInput | undefined
}

/**
 * A tube was not worked off in the time there was.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotDrained extends Data.TaggedError("NotDrained")<{
  readonly tube: TubeName
  readonly within: Duration.Duration
  /** What is still there, buried jobs left out. */
  readonly jobs: ReadonlyArray<Pick<EmbeddedServer.StoredJob, "id" | "state">>
  /** What the worker has told so far. */
  readonly events: ReadonlyArray<JobEvent>
}> {
  override get message() {
    const retries = (id: JobId) => this.events.filter((event) => event._tag === "Retried" && event.id === id).length
    const jobs = this.jobs.map(({ id, state }) => `job ${id} is ${state}, after ${retries(id)} retries`)
    return `Tube ${this.tube} was not worked off within ${Duration.format(this.within)}: ${listed(jobs)}.`
  }
}

/** The first few of many. */
const listed = (parts: ReadonlyArray<string>): string =>
  parts.length === 0
    ? "nothing"
    : [...parts.slice(0, 10), ...(parts.length > 10 ? [`and ${parts.length - 10} more`] : [])].join(", ")

/**
 * Runs a worker until no job of its tube is ready, reserved or delayed, shuts it down, and succeeds with what has become of
 * the jobs, in the order of the events. Buried jobs stay, and so does what handlers put into other tubes.
 *
 * On `VirtualClock` ({@link layerVirtual}) and on `TestClock` whatever is delayed comes due by itself, and all time that a handler
 * or the worker waits passes in a moment: nobody has to adjust anything. `VirtualClock` is much the faster.
 *
 * Fails with `NotDrained` if that does not come to an end: a handler that waits for what does not happen, a `retry` without
 * end, a tube that is paused. Fails with `WorkerStartError` as `Worker.make` does.
 *
 * **Example**
 *
 * ```ts
 * yield* Mails.put({ to: "somebody@example.org" }, { delay: "8 hours" })
 * const events = yield* WorkerTest.drain(Mails, sendMail)
 * assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Completed"])
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const drain = <A, RT, R = never, E = never, RRetry = never, RExhausted = never, RGate = never>(
  tube: Tube<A, RT>,
  handler: (payload: A, job: Worker.Job) => Effect.Effect<unknown, E | Worker.Order, R | Scope.Scope>,
  { within = "1 day", ...options }: DrainOptions<A, E, RRetry, RExhausted, RGate> = {}
): Effect.Effect<
  ReadonlyArray<JobEvent>,
  NotDrained | WorkerStartError,
  BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | RT | R | RRetry | RExhausted | RGate
> =>
  Effect.scopedWith((scope) =>
    Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const worker = yield* Scope.extend(make(tube, handler, { ...quietly, ...options }), scope)
      yield* Effect.forkIn(Advancing.advance, scope)
      const isEmpty = yield* Effect.timeoutTo(untilEmpty(server, tube.name), {
        duration: within,
        onSuccess: () => true,
        onTimeout: () => false
      })
      const jobs = yield* pendingIn(server, tube.name)
      yield* worker.shutdown
      const told = Chunk.toReadonlyArray(yield* Stream.runCollect(worker.events))
      const events = told.filter((event) => event._tag !== "ShutdownReport")
      return isEmpty
        ? events
        : yield* new NotDrained({ tube: tube.name, within: Duration.decode(within), jobs, events })
    })
  )

/** Nobody waits for a job that may come later, nor, in the end, for a handler that has had its time. */
const quietly: Pick<Worker.Options<never, never>, "reserveSlice" | "shutdownTimeout"> = {
  reserveSlice: "1 day",
  shutdownTimeout: 0
}

const isPending = ({ state }: { readonly state: EmbeddedServer.JournalEntry["state"] }): boolean =>
  state === "ready" || state === "reserved" || state === "delayed"

/** What a worker of a tube has still to do. */
const pendingIn = (server: EmbeddedServer.Server, tube: TubeName) =>
  Effect.map(server.jobs, (jobs) => jobs.filter((job) => job.tube === tube && isPending(job)))

const untilEmpty = (server: EmbeddedServer.Server, tube: TubeName) =>
  Effect.gen(function*() {
    const pending = pendingIn(server, tube)
    const ids = new Set(Arr.map(yield* pending, ({ id }) => id))
    if (ids.size === 0) return
    // Its entries begin with those of long ago: what looks like an end need not be the last one.
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
// what is in a tube
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A job as it is in a tube.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobIn<out A> {
  readonly id: JobId
  readonly payload: A
  readonly state: "ready" | "reserved" | "delayed" | "buried"
  readonly priority: number
  /** The delay it was put, or last released, with, in seconds. */
  readonly delay: number
  /** Its time to run, in seconds. */
  readonly ttr: number
}

/**
 * Every job that is in a tube, in the order in which they were put. The embedded server itself tells: no connection is needed,
 * and nothing is changed by it.
 *
 * Fails with `PayloadError` if a body does not decode. `jobsIn(Tube.text(tube.name))` shows them as they are.
 *
 * **Example**
 *
 * ```ts
 * yield* signUp("somebody@example.org")
 * assert.deepStrictEqual(yield* WorkerTest.jobsIn(Mails), [
 *   { id: "1", payload: { to: "somebody@example.org" }, state: "delayed", priority: 100, delay: 3600, ttr: 60 }
 * ])
 * ```
 *
 * @category looking
 * @since 0.1.0
 */
export const jobsIn = <A, RT>(
  tube: Tube<A, RT>
): Effect.Effect<ReadonlyArray<JobIn<A>>, PayloadError, EmbeddedServer.EmbeddedServer | RT> =>
  Effect.gen(function*() {
    const { jobs } = yield* EmbeddedServer.EmbeddedServer
    const here = (yield* jobs).filter((job) => job.tube === tube.name)
    return yield* Effect.forEach(here, ({ delay, id, peeked, priority, state, ttr }) =>
      Effect.map(tube.decode(peeked), (payload): JobIn<A> => ({ id, payload, state, priority, delay, ttr })))
  })
