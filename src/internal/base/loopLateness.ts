/** For how long the event loop was blocked, measured by a timer that fires once a second, from the first question on. */
import type { Timer, TimerQueue } from "./timerQueue.ts"

/** In milliseconds. */
const interval = 1000

export class LoopLateness {
  private readonly timers: TimerQueue
  private readonly timer: Timer
  /** The longest time, and when it was noticed. It is forgotten after as long again. */
  private blocked = { at: Number.NEGATIVE_INFINITY, for: 0 }

  constructor(timers: TimerQueue) {
    this.timers = timers
    this.timer = {
      deadline: Number.POSITIVE_INFINITY,
      position: -1,
      fire: (now) => {
        this.note(now, now - this.timer.deadline)
        this.timers.set(this.timer, now + interval)
      }
    }
  }

  /** For how many milliseconds the event loop was blocked, if that is not as long ago. */
  get milliseconds(): number {
    const now = this.timers.now()
    if (this.timer.position < 0) this.timers.set(this.timer, now + interval)
    // The timer is not fired yet if the question is the first to run after the event loop was blocked.
    else if (now > this.timer.deadline) this.note(now, now - this.timer.deadline)
    return this.isForgotten(now) ? 0 : this.blocked.for
  }

  private note(now: number, late: number): void {
    if (late >= this.blocked.for || this.isForgotten(now)) this.blocked = { at: now, for: late }
  }

  private isForgotten(now: number): boolean {
    return now - this.blocked.at > this.blocked.for
  }
}
