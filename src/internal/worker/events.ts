/** The events of a worker, and who listens to them. */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Stream from "effect/Stream"
import type { DeadlineSoon, LeaseLost, PayloadError, ServerError, TimedOut } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import { type HeldJob, type Outcome, zeroOutcomes } from "./telemetry/observer.ts"

interface OfJob {
  readonly tube: TubeName
  readonly id: JobId
}

interface OfFailure extends OfJob {
  /** The number of the run, counted from 1. Runs that were interrupted, or whose worker died, do not count. */
  readonly attempt: number
  /** What the handler failed with, died of, or was interrupted for. */
  readonly cause: Cause.Cause<unknown>
}

export type Event = Data.TaggedEnum<{
  Completed: OfJob
  Retried: OfFailure & { readonly delay: Duration.Duration }
  Buried: OfFailure
  Discarded: OfFailure
  Interrupted: OfJob & { readonly orphaned: boolean }
  LeaseLost: OfJob & { readonly error: LeaseLost }
  Undecodable: OfJob & {
    /** The size of the body in bytes. */
    readonly size: number
    readonly error: PayloadError
    /** What the worker did with the job. */
    readonly action: UndecodableAction
  }
  CrashLoop: OfJob & {
    /** How often the connection of its worker was lost while the job was reserved. */
    readonly disconnects: number
  }
  CompletionUnknown: OfJob & { readonly reason: string }
  Refused: {
    readonly tube: TubeName
    /** The job that the refused command names; none if it is a reserve. */
    readonly id: JobId | undefined
    readonly error: Refusal
  }
  ShutdownReport: ShutdownReport
}>

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

export const Event = Data.taggedEnum<Event>()

/** The event that ends a reservation. */
export type JobEvent = Exclude<Event, { readonly _tag: "Refused" | "ShutdownReport" }>

export const isJobEvent = (event: Event): event is JobEvent =>
  event._tag !== "Refused" && event._tag !== "ShutdownReport"

export const completed = ({ id, tube }: OfJob): JobEvent => Event.Completed({ tube, id })

/** How many events a slow listener of the Stream may be behind before it loses the oldest. */
const bufferSize = 16_384

interface Listener {
  readonly onEvent: (event: Event) => void
  readonly onEnd: () => void
}

/** A job whose one event may have been emitted. */
interface Reserved extends HeldJob {
  outcome: Outcome | undefined
}

/** What became of the jobs of a worker, and who listens to it. Listeners are called at once. */
export class Events {
  /** How many jobs ended in each way. */
  readonly tally: Record<Outcome, number> = { ...zeroOutcomes }
  private readonly onOutcome: (job: HeldJob, outcome: Outcome) => void
  private readonly listeners = new Set<Listener>()
  private status: "open" | "ended" = "open"

  constructor(onOutcome: (job: HeldJob, outcome: Outcome) => void = constVoid) {
    this.onOutcome = onOutcome
  }

  /** Emits the event that ends a reservation. Only the first for a job counts. */
  record<A extends Reserved>(job: A, describe: (job: A) => JobEvent): void {
    if (job.outcome !== undefined) return
    const event = describe(job)
    job.outcome = event._tag
    this.tally[event._tag] += 1
    this.onOutcome(job, event._tag)
    this.emit(event)
  }

  emit(event: Event): void {
    for (const { onEvent } of this.listeners) onEvent(event)
  }

  /** Returns what removes the listener again. */
  listen(onEvent: Listener["onEvent"], onEnd: Listener["onEnd"] = constVoid): () => void {
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
  readonly stream: Stream.Stream<Event> = Stream.asyncPush<Event>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => this.listen((event) => void emit.single(event), () => emit.end())),
      (stop) => Effect.sync(stop)
    ), { bufferSize, strategy: "sliding" })
}
