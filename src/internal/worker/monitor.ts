/** Who looks on while a worker works. */
import type * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import type { Outcome } from "./events.ts"
import type { Lease } from "./lease.ts"

export interface Monitor {
  readonly onHold: (lease: Lease) => void
  /** A run has ended, or, without an exit, was left behind. */
  readonly onRun: (lease: Lease, exit: Exit.Exit<unknown, unknown> | undefined) => void
  readonly onOutcome: (outcome: Outcome, lease: Lease) => void
  /** A job is touched, so many milliseconds late. */
  readonly onBeat: (late: number) => void
  readonly onLanes: (lanes: number) => void
}

export const none: Monitor = {
  onHold: constVoid,
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
    onRun: unthrowing(monitor.onRun),
    onOutcome: unthrowing(monitor.onOutcome),
    onBeat: unthrowing(monitor.onBeat),
    onLanes: unthrowing(monitor.onLanes)
  }

const unthrowing = <Seen extends ReadonlyArray<unknown>>(look: (...seen: Seen) => void) => (...seen: Seen): void => {
  try {
    look(...seen)
  } catch {
    // There is nobody to tell: it may be the log itself.
  }
}
