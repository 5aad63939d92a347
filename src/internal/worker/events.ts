/** The events of a worker, and who listens to them. */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { DeadlineSoon, LeaseLost, PayloadError, ServerError, TimedOut } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { Failure, Order } from "./failure.ts"
import { type HeldJob, type Outcome, zeroOutcomes } from "./telemetry/observer.ts"

interface OfJob {
  readonly tube: TubeName
  readonly id: JobId
}

interface OfFailure<out E> extends OfJob {
  /** The number of the run, counted from 1. Runs that were interrupted, or whose worker died, do not count. */
  readonly attempt: number
  /** What the handler failed with, died of, or was interrupted for. */
  readonly cause: Cause.Cause<Failure<E> | Order>
}

/**
 * The handler of a job succeeded, and the job is deleted.
 *
 * @category events
 * @since 0.1.0
 */
export interface CompletedEvent extends OfJob {
  readonly _tag: "Completed"
}

/**
 * The handler of a job failed, and the job is released with a delay.
 *
 * @category events
 * @since 0.1.0
 */
export interface RetriedEvent<out E> extends OfFailure<E> {
  readonly _tag: "Retried"
  /** The delay with which the job was released. */
  readonly delay: Duration.Duration
}

/**
 * The handler of a job failed, and the job is buried.
 *
 * @category events
 * @since 0.1.0
 */
export interface BuriedEvent<out E> extends OfFailure<E> {
  readonly _tag: "Buried"
}

/**
 * The handler of a job failed, and the job is deleted.
 *
 * @category events
 * @since 0.1.0
 */
export interface DiscardedEvent<out E> extends OfFailure<E> {
  readonly _tag: "Discarded"
  /** Whether the job was handed to the Effect of `onExhausted`, which has succeeded. */
  readonly handedOver: boolean
}

/**
 * The worker was shut down, and a job was given back as it was.
 *
 * @category events
 * @since 0.1.0
 */
export interface InterruptedEvent extends OfJob {
  readonly _tag: "Interrupted"
  /** Whether the handler did not end, and may still run. */
  readonly orphaned: boolean
}

/**
 * The reservation of a job was lost while its handler ran, or before the server had carried out what becomes of the job.
 *
 * @category events
 * @since 0.1.0
 */
export interface LeaseLostEvent extends OfJob {
  readonly _tag: "LeaseLost"
  readonly error: LeaseLost
}

/**
 * The body of a job did not decode. The handler did not run.
 *
 * @category events
 * @since 0.1.0
 */
export interface UndecodableEvent extends OfJob {
  readonly _tag: "Undecodable"
  /** The size of the body in bytes. */
  readonly size: number
  readonly error: PayloadError
  /** What the worker did with the job. */
  readonly action: UndecodableAction
}

/**
 * The connection of a job's worker was lost too often. The job is buried; the handler did not run.
 *
 * @category events
 * @since 0.1.0
 */
export interface CrashLoopEvent extends OfJob {
  readonly _tag: "CrashLoop"
  /** How often the connection of its worker was lost while the job was reserved. */
  readonly disconnects: number
}

/**
 * A job was to be deleted, but the connection was lost before the server confirmed it. The job may be run again.
 *
 * @category events
 * @since 0.1.0
 */
export interface CompletionUnknownEvent extends OfJob {
  readonly _tag: "CompletionUnknown"
  /** Why it is unknown, as text. */
  readonly reason: string
}

/**
 * The server answered a reserve, or a command about a job, with an error.
 *
 * @category events
 * @since 0.1.0
 */
export interface RefusedEvent {
  readonly _tag: "Refused"
  readonly tube: TubeName
  /** The job that the refused command names; none if it is a reserve. */
  readonly id: JobId | undefined
  readonly error: Refusal
}

/**
 * The worker is shut down: its last event.
 *
 * @category events
 * @since 0.1.0
 */
export interface ShutdownEvent extends ShutdownReport {
  readonly _tag: "ShutdownReport"
}

/** The event that ends a reservation. */
export type JobEvent<E = unknown> =
  | CompletedEvent
  | RetriedEvent<E>
  | BuriedEvent<E>
  | DiscardedEvent<E>
  | InterruptedEvent
  | LeaseLostEvent
  | UndecodableEvent
  | CrashLoopEvent
  | CompletionUnknownEvent

export type Event<E = unknown> = JobEvent<E> | RefusedEvent | ShutdownEvent

/** An answer by which the server does not do what it was asked. `TIMED_OUT` is one if it came much too early. */
export type Refusal = ServerError | DeadlineSoon | TimedOut

export type UndecodableAction = "bury" | "delete" | "release"

export interface ShutdownReport {
  readonly tube: TubeName
  /** How many jobs ended during the shutdown other than by being given back. */
  readonly drained: number
  /** The jobs whose handlers were interrupted and which were given back. */
  readonly interrupted: ReadonlyArray<JobId>
  /** The jobs whose handlers did not end and may still run. Those whose lease was not lost were given back too. */
  readonly orphaned: ReadonlyArray<JobId>
  /** How long the shutdown took. */
  readonly duration: Duration.Duration
}

type Fields<A> = Omit<A, "_tag">

interface Definition extends Data.TaggedEnum.WithGenerics<1> {
  readonly taggedEnum: Event<this["A"]>
}

/** Constructors and matchers of events. */
export interface Constructors {
  readonly Completed: (fields: Fields<CompletedEvent>) => CompletedEvent
  readonly Retried: <E>(fields: Fields<RetriedEvent<E>>) => RetriedEvent<E>
  readonly Buried: <E>(fields: Fields<BuriedEvent<E>>) => BuriedEvent<E>
  readonly Discarded: <E>(fields: Fields<DiscardedEvent<E>>) => DiscardedEvent<E>
  readonly Interrupted: (fields: Fields<InterruptedEvent>) => InterruptedEvent
  readonly LeaseLost: (fields: Fields<LeaseLostEvent>) => LeaseLostEvent
  readonly Undecodable: (fields: Fields<UndecodableEvent>) => UndecodableEvent
  readonly CrashLoop: (fields: Fields<CrashLoopEvent>) => CrashLoopEvent
  readonly CompletionUnknown: (fields: Fields<CompletionUnknownEvent>) => CompletionUnknownEvent
  readonly Refused: (fields: Fields<RefusedEvent>) => RefusedEvent
  readonly ShutdownReport: (fields: Fields<ShutdownEvent>) => ShutdownEvent
  /** Whether an event has this tag. */
  readonly $is: <Tag extends Event["_tag"]>(
    tag: Tag
  ) => <A>(event: A) => event is Extract<A, { readonly _tag: Tag }>
  /** Handles each event by its tag. */
  readonly $match: Data.TaggedEnum.GenericMatchers<Definition>["$match"]
}

export const Event: Constructors = {
  Completed: (fields) => Data.struct({ ...fields, _tag: "Completed" }),
  Retried: (fields) => Data.struct({ ...fields, _tag: "Retried" }),
  Buried: (fields) => Data.struct({ ...fields, _tag: "Buried" }),
  Discarded: (fields) => Data.struct({ ...fields, _tag: "Discarded" }),
  Interrupted: (fields) => Data.struct({ ...fields, _tag: "Interrupted" }),
  LeaseLost: (fields) => Data.struct({ ...fields, _tag: "LeaseLost" }),
  Undecodable: (fields) => Data.struct({ ...fields, _tag: "Undecodable" }),
  CrashLoop: (fields) => Data.struct({ ...fields, _tag: "CrashLoop" }),
  CompletionUnknown: (fields) => Data.struct({ ...fields, _tag: "CompletionUnknown" }),
  Refused: (fields) => Data.struct({ ...fields, _tag: "Refused" }),
  ShutdownReport: (fields) => Data.struct({ ...fields, _tag: "ShutdownReport" }),
  $is: (tag) => (event): event is Extract<typeof event, { readonly _tag: typeof tag }> =>
    Predicate.isTagged(event, tag),
  $match: Data.taggedEnum<Definition>().$match
}

export const isJobEvent = <E>(event: Event<E>): event is JobEvent<E> =>
  event._tag !== "Refused" && event._tag !== "ShutdownReport"

export const completed = ({ id, tube }: OfJob): CompletedEvent => Event.Completed({ tube, id })

/** How many events a slow listener of the Stream may be behind before it loses the oldest. */
const bufferSize = 16_384

interface Listener<in E> {
  readonly onEvent: (event: Event<E>) => void
  readonly onEnd: () => void
}

/** A job whose one event may have been emitted. */
interface Reserved extends HeldJob {
  outcome: Outcome | undefined
}

/** What became of the jobs of a worker, and who listens to it. Listeners are called at once. */
export class Events<in out E> {
  /** How many jobs ended in each way. */
  readonly tally: Record<Outcome, number> = { ...zeroOutcomes }
  private readonly onOutcome: (job: HeldJob, outcome: Outcome) => void
  private readonly listeners = new Set<Listener<E>>()
  private status: "open" | "ended" = "open"

  constructor(onOutcome: (job: HeldJob, outcome: Outcome) => void = constVoid) {
    this.onOutcome = onOutcome
  }

  /** Emits the event that ends a reservation. Only the first for a job counts. */
  record<A extends Reserved>(job: A, describe: (job: A) => JobEvent<E>): void {
    if (job.outcome !== undefined) return
    const event = describe(job)
    job.outcome = event._tag
    this.tally[event._tag] += 1
    this.onOutcome(job, event._tag)
    this.emit(event)
  }

  emit(event: Event<E>): void {
    for (const { onEvent } of this.listeners) onEvent(event)
  }

  /** Returns what removes the listener again. */
  listen(onEvent: Listener<E>["onEvent"], onEnd: Listener<E>["onEnd"] = constVoid): () => void {
    const listener = { onEvent, onEnd }
    if (this.status === "ended") onEnd()
    else this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  end(): void {
    this.status = "ended"
    for (const { onEnd } of this.listeners) onEnd()
    this.listeners.clear()
  }

  /** The events from the moment it is run. */
  readonly stream: Stream.Stream<Event<E>> = Stream.asyncPush<Event<E>>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => this.listen((event) => void emit.single(event), () => emit.end())),
      (stop) => Effect.sync(stop)
    ), { bufferSize, strategy: "sliding" })
}
