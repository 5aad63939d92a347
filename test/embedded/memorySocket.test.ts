/** Sockets to an embedded server in the same process. */
import { assert, describe, it } from "@effect/vitest"
import { EmbeddedServer } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { defaultScheduler, type Scheduler } from "effect/Scheduler"

/** Interrupts the first fiber that has taken this many steps. */
const interruptingAfter = (steps: number): Scheduler => {
  let isDone = false
  return {
    shouldYield: (fiber) => {
      if (isDone || fiber.currentOpCount < steps) return defaultScheduler.shouldYield(fiber)
      isDone = true
      fiber.unsafeInterruptAsFork(FiberId.none)
      return 0
    },
    scheduleTask: (task, priority, fiber) => defaultScheduler.scheduleTask(task, priority, fiber)
  }
}

describe("memorySocket", () => {
  it.scoped("leaves no connection when it is interrupted after any number of steps", () =>
    Effect.gen(function*() {
      const { connector, server } = yield* EmbeddedServer.make()
      for (let steps = 1; steps < 200; steps++) {
        const socket = yield* connector.socket
        const running = yield* Effect.fork(Effect.withScheduler(socket.run(() => {}), interruptingAfter(steps)))
        yield* Effect.repeatN(Effect.yieldNow(), 20)
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(yield* server.connections, [], `after ${steps} steps`)
      }
    }))
})
