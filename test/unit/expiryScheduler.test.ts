/** The Scheduler of the fibers that run the user's Effects: timers that are due fire before a task runs. */
import { assert, describe, it } from "@effect/vitest"
import { defaultScheduler } from "effect/Scheduler"
import { type Timer, TimerQueue } from "../../src/internal/base/timerQueue.ts"
import * as ExpiryScheduler from "../../src/internal/worker/expiryScheduler.ts"

describe("rule 15: a lease that is over", () => {
  it("is lost before a task that waited for the loss of another lease, and during whose wait the event loop was blocked", async () => {
    let now = 0
    const log: Array<string> = []
    const timers = new TimerQueue(() => now)
    const lease = (name: string): Timer => ({ deadline: 0, position: -1, fire: () => log.push(name) })
    timers.set(lease("first lease"), 10)
    timers.set(lease("second lease"), 20)
    const { scheduler } = ExpiryScheduler.make(defaultScheduler, timers)
    const ended = new Promise<void>((resolve) => {
      const tasks = [
        () => {
          log.push("task")
          resolve()
        },
        () => {
          log.push("blocking task")
          now = 25
        }
      ]
      for (const task of tasks) scheduler.scheduleTask(task, 0)
    })
    now = 15
    await ended
    assert.deepStrictEqual(log, ["first lease", "blocking task", "second lease", "task"])
  })
  it("is lost before a task that was to run when a reply told of it", async () => {
    const log: Array<string> = []
    const { expire, scheduler } = ExpiryScheduler.make(defaultScheduler, new TimerQueue(() => 0))
    const schedule = (name: string, run = () => {}) =>
      scheduler.scheduleTask(() => {
        log.push(name)
        run()
      }, 0)
    await new Promise<void>((resolve) => {
      schedule("task", resolve)
      expire(() => schedule("first lease", () => schedule("its handler")))
      expire(() => schedule("second lease"))
    })
    assert.deepStrictEqual(log, ["first lease", "second lease", "its handler", "task"])
  })
})
