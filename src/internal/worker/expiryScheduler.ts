/**
 * The Scheduler of the fibers that run the user's Effects: whenever one of them resumes, leases that are over are lost first, and what
 * the loss of a lease resumes runs before what was to run already.
 *
 * After the event loop was blocked, a timer or a reply of a handler may resume it before the timers of the worker fire, and a reply of the
 * server may tell that a lease is over. Without this a handler would go on although the server has given its job to another worker.
 */
import type * as Scheduler from "effect/Scheduler"
import { onNextMacrotask } from "../base/macrotask.ts"
import type { TimerQueue } from "../base/timerQueue.ts"

/** Losses of leases at the same time, by a number; 0 is none. */
type Expiry = number

export interface ExpiryScheduler {
  readonly scheduler: Scheduler.Scheduler
  /** Runs what loses a lease: the tasks that it causes run before those of other fibers. */
  readonly expire: (lose: () => void) => void
}

export const make = (scheduler: Scheduler.Scheduler, timers: TimerQueue): ExpiryScheduler => {
  let latest: Expiry = 0
  /** What has caused the task that runs: the expiry itself has scheduled it, or another task that it has caused. */
  let cause: Expiry = 0
  /** How many losses there are that may have caused a task that has not run yet. */
  let expiring = 0
  /** The tasks that were to run meanwhile. */
  const waiting: Array<() => void> = []

  const causedBy = (expiry: Expiry, run: () => void): void => {
    const outer = cause
    cause = expiry
    try {
      run()
    } finally {
      cause = outer
    }
  }

  const expire = (lose: () => void): void => {
    if (expiring === 0) latest += 1
    expiring += 1
    onNextMacrotask(() => {
      expiring -= 1
      if (expiring === 0) runLastWaiting()
    })
    causedBy(latest, lose)
  }

  /** One in each macrotask, the last first: a Scope interrupts its fibers in this order, and waits for the end of each. */
  const runLastWaiting = (): void => {
    const run = waiting.pop()
    if (run === undefined) return
    run()
    onNextMacrotask(runLastWaiting)
  }

  /**
   * A task that an expiry has not caused may resume a child of a fiber that the expiry interrupts. The interruption takes a task for
   * each fiber in between, and `leaseLost` is to fail before a `sleep` ends: the tasks that the expiry has caused run first.
   */
  const scheduleTask: Scheduler.Scheduler["scheduleTask"] = (task, priority, fiber) => {
    const taskCause = cause
    const attempt = (): void => {
      // Also after it has waited: another task may have blocked the event loop meanwhile.
      if (timers.isDue) expire(() => timers.fireDue())
      if (expiring === 0 || taskCause === latest) causedBy(taskCause, task)
      else waiting.push(() => scheduler.scheduleTask(attempt, priority, fiber))
    }
    scheduler.scheduleTask(attempt, priority, fiber)
  }

  return { scheduler: { shouldYield: (fiber) => scheduler.shouldYield(fiber), scheduleTask }, expire }
}
