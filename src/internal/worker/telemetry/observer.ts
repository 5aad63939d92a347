/** What a worker reports to metrics and spans. An observer sees jobs and never acts on them. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { constUndefined, constVoid } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import type { JobId, ReservedJob, TubeName } from "../../../Job.ts"
import type { JobStats } from "../../../Stats.ts"

/** The ways in which a reservation can end, each counted from zero. */
export const zeroOutcomes = {
  Completed: 0,
  Retried: 0,
  Buried: 0,
  Discarded: 0,
  Interrupted: 0,
  LeaseLost: 0,
  Undecodable: 0,
  CrashLoop: 0,
  CompletionUnknown: 0
}

export type Outcome = keyof typeof zeroOutcomes

/** A job that a worker holds, as observers see it. */
export interface HeldJob {
  readonly id: JobId
  readonly tube: TubeName
  /** That of the server that has it. */
  readonly address: string
  readonly job: ReservedJob
  /** When the reply to the reserve was read, in milliseconds of the worker's monotonic clock. */
  readonly reservedAt: number
  /** Asks the server once, however many observers do. */
  readonly stats: Effect.Effect<JobStats, unknown>
  /** What {@link Observer.startRun} returned for this job. A map from jobs to spans would cost more than the spans. */
  readonly span: RunSpan | undefined
}

/** The span of one run, which ends when both the run and the outcome of the job are known. */
export interface RunSpan {
  readonly span: Tracer.Span
  readonly onRunEnd: (exit: Exit.Exit<unknown, unknown> | undefined) => void
  readonly onOutcome: (outcome: Outcome) => void
}

export interface Observer {
  readonly onReserved: (job: HeldJob) => void
  /** Called before a job is decoded and its handler run. */
  readonly startRun: (job: HeldJob) => RunSpan | undefined
  /** Called without an Exit when the worker abandons a handler that does not end. */
  readonly onRunEnd: (job: HeldJob, exit: Exit.Exit<unknown, unknown> | undefined) => void
  readonly onOutcome: (job: HeldJob, outcome: Outcome) => void
  /** Called with how many milliseconds too late a job is touched. */
  readonly onTouch: (lateness: number) => void
  readonly onLanes: (lanes: number) => void
}

export const none: Observer = {
  onReserved: constVoid,
  startRun: constUndefined,
  onRunEnd: constVoid,
  onOutcome: constVoid,
  onTouch: constVoid,
  onLanes: constVoid
}

/** Calls both observers, of which at most one makes spans. */
export const both = (one: Observer, other: Observer): Observer => {
  if (one === none) return other
  if (other === none) return one
  return {
    onReserved: inTurn(one.onReserved, other.onReserved),
    startRun: (job) => one.startRun(job) ?? other.startRun(job),
    onRunEnd: inTurn(one.onRunEnd, other.onRunEnd),
    onOutcome: inTurn(one.onOutcome, other.onOutcome),
    onTouch: inTurn(one.onTouch, other.onTouch),
    onLanes: inTurn(one.onLanes, other.onLanes)
  }
}

const inTurn =
  <Args extends ReadonlyArray<unknown>>(one: (...args: Args) => void, other: (...args: Args) => void) =>
  (...args: Args): void => {
    one(...args)
    other(...args)
  }

/** A user's Tracer or metric that throws must not stop the worker. */
export const guarded = (observer: Observer): Observer =>
  observer === none ? none : {
    onReserved: guard(observer.onReserved),
    startRun: guard(observer.startRun),
    onRunEnd: guard(observer.onRunEnd),
    onOutcome: guard(observer.onOutcome),
    onTouch: guard(observer.onTouch),
    onLanes: guard(observer.onLanes)
  }

const guard = <Args extends ReadonlyArray<unknown>, A>(f: (...args: Args) => A) => (...args: Args): A | undefined => {
  try {
    return f(...args)
  } catch {
    // Not logged: it may be the logger that throws.
    return undefined
  }
}
