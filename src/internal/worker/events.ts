/** What becomes of jobs, as it is told to whoever listens. */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { LeaseLost, PayloadError } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"

interface OfJob {
  readonly tube: TubeName
  readonly id: JobId
}

interface OfFailure extends OfJob {
  /** Which run it was, counted from 1. Runs that were interrupted, or died with their worker, do not count. */
  readonly attempt: number
  /** What the handler failed with, died of, or was interrupted for. */
  readonly cause: Cause.Cause<unknown>
}

export type Event = Data.TaggedEnum<{
  Completed: OfJob
  Retried: OfFailure & { readonly delay: Duration.Duration }
  Buried: OfFailure
  Discarded: OfFailure
  Interrupted: OfJob & { readonly disowned: boolean }
  LeaseLost: OfJob & { readonly error: LeaseLost }
  Undecodable: OfJob & {
    /** How many bytes the body has. */
    readonly size: number
    readonly error: PayloadError
    /** What is done with it. */
    readonly action: UndecodableAction
  }
  CrashLoop: OfJob & {
    /** How often its worker was gone. */
    readonly disconnects: number
  }
  CompletionUnknown: OfJob & { readonly reason: string }
  ShutdownReport: ShutdownReport
}>

export type UndecodableAction = "bury" | "delete" | "release"

export interface ShutdownReport {
  readonly tube: TubeName
  /** How many jobs ended meanwhile in another way than to be given back. */
  readonly drained: number
  /** The jobs that were given back, their handlers interrupted. */
  readonly interrupted: ReadonlyArray<JobId>
  /** The jobs whose handlers did not end, and may still run. Those that were still ours were given back too. */
  readonly disowned: ReadonlyArray<JobId>
  /** How long it took. */
  readonly duration: Duration.Duration
}

export const Event = Data.taggedEnum<Event>()

/** What has become of a job. */
export type JobEvent = Exclude<Event, { readonly _tag: "ShutdownReport" }>

/** The ways in which a reservation can end. */
export type Outcome = JobEvent["_tag"]

/** How many events wait for somebody who is slow to hear them, before the oldest are forgotten. */
const patience = 16_384

interface Listener {
  readonly hear: (event: Event) => void
  readonly end: () => void
}

/** Who listens, and is told at once, in the fiber or callback in which it happens. */
export class Events {
  private readonly listeners = new Set<Listener>()
  private isOver = false

  tell(event: Event): void {
    for (const { hear } of this.listeners) hear(event)
  }

  listen(hear: Listener["hear"], end: Listener["end"] = () => {}): () => void {
    const listener = { hear, end }
    if (this.isOver) end()
    else this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  end(): void {
    this.isOver = true
    for (const { end } of this.listeners) end()
    this.listeners.clear()
  }

  /** What happens from the moment on in which it is run. */
  readonly stream: Stream.Stream<Event> = Stream.asyncPush<Event>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => this.listen((event) => void emit.single(event), () => emit.end())),
      (leave) => Effect.sync(leave)
    ), { bufferSize: patience, strategy: "sliding" })
}
