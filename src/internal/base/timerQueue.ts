/** Many timers on one fiber, which sleeps until the earliest deadline. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as AtOnce from "./atOnce.ts"
import { Heap, type Positioned } from "./heap.ts"
import { monotonicMillis } from "./monotonicClock.ts"

export interface Timer extends Positioned {
  /** When it fires, in milliseconds on the queue's clock. Only the queue writes it. */
  deadline: number
  /** Called once, when the deadline has passed. It must not throw, and may set the timer again. */
  fire(now: number): void
}

/** `setTimeout` takes at most 2^31 - 1 milliseconds, some 24 days, and fires at once for more. */
const longestSleep = 24 * 60 * 60 * 1000

/**
 * How long, in milliseconds, the fiber sleeps at most after a timer was set. Then it reads the queue again. A timer that is due
 * later than that need not wake the fiber when it is set, and costs no wake-up if it is cancelled meanwhile, as most are.
 */
const coalesceWindow = 250

const never = Number.POSITIVE_INFINITY

export class TimerQueue {
  /** The time in milliseconds, on a clock that is never set back. */
  readonly now: () => number
  private readonly timers = new Heap<Timer>((a, b) => a.deadline <= b.deadline)
  private readonly earlier = Effect.unsafeMakeLatch()
  private sleepsUntil = never
  /** Whether a timer was set since the fiber last read the queue, other than one that is only moved to a later deadline. */
  private dirty = false

  constructor(now: () => number) {
    this.now = now
  }

  /** Sets a timer, in place of its earlier deadline if it has one. A deadline of `Infinity` only cancels. */
  set(timer: Timer, deadline: number): void {
    const isMovedBack = timer.position >= 0 && timer.deadline <= deadline
    this.cancel(timer)
    timer.deadline = deadline
    if (deadline === never) return
    this.timers.insert(timer)
    if (!isMovedBack) this.dirty = true
    if (deadline < this.sleepsUntil) this.earlier.unsafeOpen()
  }

  cancel(timer: Timer): void {
    if (timer.position >= 0) this.timers.remove(timer)
  }

  /** Fires the timers at their deadlines, until it is interrupted. */
  readonly run: Effect.Effect<never> = Effect.forever(Effect.suspend(() => {
    this.earlier.unsafeClose()
    const now = this.now()
    const next = this.timers.head?.deadline ?? never
    this.sleepsUntil = this.dirty ? Math.min(next, now + coalesceWindow) : next
    this.dirty = false
    if (this.sleepsUntil === never) return this.earlier.await
    const left = this.sleepsUntil - now
    // Whole milliseconds, rounded up: a virtual clock may round a tiny fraction away, and this loop would then never end.
    if (left > 0) return AtOnce.raceFirst(Effect.sleep(Math.min(Math.ceil(left), longestSleep)), this.earlier.await)
    return Effect.sync(() => this.fireDue())
  }))

  /** Whether there is a timer whose deadline has passed. */
  get isDue(): boolean {
    const { head } = this.timers
    return head !== undefined && head.deadline <= this.now()
  }

  /** Fires the timers whose deadlines have passed. After the event loop was blocked, other fibers may resume before the queue's. */
  fireDue(): void {
    const now = this.now()
    for (let { head } = this.timers; head !== undefined && head.deadline <= now; { head } = this.timers) {
      this.timers.remove(head)
      head.fire(now)
    }
  }
}

/** A timer queue that runs until its scope ends. */
export const make: Effect.Effect<TimerQueue, never, Scope.Scope> = Effect.gen(function*() {
  const timers = new TimerQueue(yield* monotonicMillis)
  yield* Effect.forkScoped(Effect.interruptible(timers.run))
  return timers
})
