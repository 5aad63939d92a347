/** Who looks on while a worker works. */
import { constVoid } from "effect/Function"
import type { Outcome } from "./events.ts"
import type { Lease } from "./lease.ts"

export interface Monitor {
  readonly onHold: (lease: Lease) => void
  readonly onOutcome: (outcome: Outcome, lease: Lease) => void
  /** A job is touched, so many milliseconds late. */
  readonly onBeat: (late: number) => void
  readonly onLanes: (lanes: number) => void
}

export const none: Monitor = { onHold: constVoid, onOutcome: constVoid, onBeat: constVoid, onLanes: constVoid }
