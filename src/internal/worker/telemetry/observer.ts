/** Who looks on while a worker works. */
import type * as Exit from "effect/Exit"
import { constUndefined, constVoid } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import type { Outcome } from "../events.ts"
import type { Lease } from "../lease.ts"

export interface Monitor {
  readonly onHold: (lease: Lease) => void
  /** A job is about to be read and run: in which span, if there is one. */
  readonly beginSpan: (lease: Lease) => Tracer.Span | undefined
  /** A run has ended, or, without an exit, was left behind. */
  readonly onRun: (lease: Lease, exit: Exit.Exit<unknown, unknown> | undefined) => void
  readonly onOutcome: (outcome: Outcome, lease: Lease) => void
  /** A job is touched, so many milliseconds late. */
  readonly onBeat: (late: number) => void
  readonly onLanes: (lanes: number) => void
}

/** Who looks on at one job. */
export interface Watcher {
  readonly onRun: (exit: Exit.Exit<unknown, unknown> | undefined) => void
  readonly onOutcome: (outcome: Outcome) => void
}

export const none: Monitor = {
  onHold: constVoid,
  beginSpan: constUndefined,
  onRun: constVoid,
  onOutcome: constVoid,
  onBeat: constVoid,
  onLanes: constVoid
}

export const both = (one: Monitor, other: Monitor): Monitor => {
  if (one === none) return other
  if (other === none) return one
  return {
    onHold: (lease) => {
      one.onHold(lease)
      other.onHold(lease)
    },
    beginSpan: (lease) => one.beginSpan(lease) ?? other.beginSpan(lease),
    onRun: (lease, exit) => {
      one.onRun(lease, exit)
      other.onRun(lease, exit)
    },
    onOutcome: (outcome, lease) => {
      one.onOutcome(outcome, lease)
      other.onOutcome(outcome, lease)
    },
    onBeat: (late) => {
      one.onBeat(late)
      other.onBeat(late)
    },
    onLanes: (lanes) => {
      one.onLanes(lanes)
      other.onLanes(lanes)
    }
  }
}

/** Whatever is thrown by whoever looks on, a Tracer say, keeps nobody from working. */
export const harmless = (monitor: Monitor): Monitor =>
  monitor === none ? none : {
    onHold: unthrowing(monitor.onHold),
    beginSpan: unthrowing(monitor.beginSpan),
    onRun: unthrowing(monitor.onRun),
    onOutcome: unthrowing(monitor.onOutcome),
    onBeat: unthrowing(monitor.onBeat),
    onLanes: unthrowing(monitor.onLanes)
  }

const unthrowing =
  <Seen extends ReadonlyArray<unknown>, A>(look: (...seen: Seen) => A) => (...seen: Seen): A | undefined => {
    try {
      return look(...seen)
    } catch {
      // There is nobody to tell: it may be the log itself.
      return undefined
    }
  }
