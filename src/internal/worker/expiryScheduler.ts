/**
 * The Scheduler of the fibers that run the user's Effects: whenever one of them resumes, leases that are over are lost first.
 *
 * After the event loop was blocked, a timer or a reply of a handler may resume it before the timers of the worker fire. Without this a
 * handler would go on although the server has given its job to another worker.
 */
import type * as Scheduler from "effect/Scheduler"
import type { TimerQueue } from "../base/timerQueue.ts"

export const make = (scheduler: Scheduler.Scheduler, timers: TimerQueue): Scheduler.Scheduler => {
  let expiries = 0

  /**
   * A task that was scheduled before an expiry runs after those that the expiry schedules: `leaseLost` fails before a `sleep` ends.
   */
  const scheduleTask = (task: Scheduler.Task, priority: number): void => {
    const scheduledAt = expiries
    scheduler.scheduleTask(() => {
      if (timers.isDue) {
        expiries += 1
        timers.fireDue()
      }
      if (expiries === scheduledAt) task()
      else scheduleTask(task, priority)
    }, priority)
  }

  return { shouldYield: (fiber) => scheduler.shouldYield(fiber), scheduleTask }
}
