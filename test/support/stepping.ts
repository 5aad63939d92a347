/** Runs a fiber, and what it forks, in the smallest steps in which they still get on, and does something in front of one. */
import type * as Scheduler from "effect/Scheduler"

export class Stepping implements Scheduler.Scheduler {
  steps = 0
  /** In front of which step. */
  at: number
  private readonly interfere: () => void

  constructor(at: number, interfere: () => void) {
    this.at = at
    this.interfere = interfere
  }

  /** Coming back from a yield takes nine operations of its own. */
  shouldYield(fiber: { readonly currentOpCount?: number }): number | false {
    return (fiber.currentOpCount ?? 0) > 10 ? 0 : false
  }

  scheduleTask(task: () => void): void {
    queueMicrotask(() => {
      if (this.steps === this.at) this.interfere()
      this.steps += 1
      task()
    })
  }
}
