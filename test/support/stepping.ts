/** A Scheduler that runs a fiber and its children in the smallest steps in which they progress, and calls a function before one step. */
import type * as Scheduler from "effect/Scheduler"

export class Stepping implements Scheduler.Scheduler {
  steps = 0
  /** The step before which the function is called. */
  at: number
  private readonly interfere: () => void
  /** How many operations a step has at most. */
  private readonly length: number

  constructor(at: number, interfere: () => void, length = 10) {
    this.at = at
    this.interfere = interfere
    this.length = length
  }

  /** A fiber that resumes after a yield needs nine operations before it progresses. */
  shouldYield(fiber: { readonly currentOpCount?: number }): number | false {
    return (fiber.currentOpCount ?? 0) > this.length ? 0 : false
  }

  scheduleTask(task: () => void): void {
    queueMicrotask(() => {
      if (this.steps === this.at) this.interfere()
      this.steps += 1
      task()
    })
  }
}
