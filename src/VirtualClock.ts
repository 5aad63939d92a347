/**
 * A clock for simulations: while a fiber can run, time stands still; then it jumps to the end of the next sleep.
 *
 * A program that would run for days ends in a moment, with the same result. Sleeps end at the right time and in the right order,
 * after everything that was to be done before. With `TestClock` a test has to call `adjust` whenever time should pass, and
 * that takes some milliseconds for each sleep.
 *
 * Use it for programs without outside communication: with a server in memory, such as `EmbeddedServer`. Whatever waits for a
 * real socket, a file, another process, a thread (`crypto.subtle` uses one) or a timer of JavaScript takes real time, in which
 * hours of virtual time may pass. The same holds for what is run by `Effect.runPromise` and the like: only fibers that were
 * forked by the program itself are known to the clock.
 *
 * **Example** (a job delayed by a day)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkConnection, EmbeddedServer, VirtualClock } from "effect-beanstalk"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.make()
 *   yield* beanstalk.put("tomorrow", { delay: "1 day" })
 *   return yield* beanstalk.reserve
 * }).pipe(Effect.scoped, Effect.provide(EmbeddedServer.layer()))
 *
 * const simulation = Effect.provide(program, VirtualClock.layer())
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scheduler from "effect/Scheduler"
import { defaultScheduler } from "effect/Scheduler"
import { Heap, type Positioned } from "./internal/base/heap.ts"
import { onNextMacrotask } from "./internal/base/macrotask.ts"

/**
 * Options of a virtual clock.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The time at which the clock starts, in milliseconds since 1970. Default: 0, as with `TestClock`. */
  readonly startsAt?: number | undefined
}

/**
 * Replaces the Clock and the Scheduler of a program.
 *
 * Provide it to the whole program, as the outermost layer: layers that are built outside of it use real time.
 *
 * **Example** (a day that begins at midnight)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { VirtualClock } from "effect-beanstalk"
 *
 * const day = Effect.sleep("1 day").pipe(
 *   Effect.provide(VirtualClock.layer({ startsAt: Date.UTC(2026, 0, 1) }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.suspend(() => {
    const tasks = new TaskCounter()
    return Layer.merge(Layer.setScheduler(tasks), Layer.setClock(new VirtualClock(tasks, options?.startsAt ?? 0)))
  })

/** A scheduler that counts the tasks of fibers. */
class TaskCounter implements Scheduler.Scheduler {
  /** How many tasks have been scheduled, and have not run yet. */
  pending = 0
  /** How many tasks have been scheduled so far. */
  total = 0

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): number | false {
    return defaultScheduler.shouldYield(fiber)
  }

  scheduleTask(...[task, priority, fiber]: Parameters<Scheduler.Scheduler["scheduleTask"]>): void {
    this.pending += 1
    this.total += 1
    const run = () => {
      this.pending -= 1
      task()
    }
    defaultScheduler.scheduleTask(run, priority, fiber)
  }
}

interface Sleep extends Positioned {
  readonly endsAt: number
  readonly order: number
  readonly end: () => void
}

const endsEarlier = (a: Sleep, b: Sleep): boolean => a.endsAt === b.endsAt ? a.order < b.order : a.endsAt < b.endsAt

/**
 * The clock jumps after this many turns of the event loop in which no task was scheduled. A server in memory replies in the
 * next turn, which is the second if the first has already begun; in the third, the fibers run that the reply resumes.
 */
const idleTurns = 3

class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())
  private readonly tasks: TaskCounter
  private readonly sleeps = new Heap<Sleep>(endsEarlier)
  private now: number
  private lastOrder = 0
  private isAwaitingIdle = false

  constructor(tasks: TaskCounter, now: number) {
    this.tasks = tasks
    this.now = now
  }

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now * 1_000_000))
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async((resume) => {
      const sleep = {
        endsAt: this.now + Duration.toMillis(duration),
        order: this.lastOrder += 1,
        end: () => resume(Effect.void),
        position: -1
      }
      this.sleeps.insert(sleep)
      this.jumpWhenIdle()
      return Effect.sync(() => {
        if (sleep.position >= 0) this.sleeps.remove(sleep)
      })
    })
  }

  private jumpWhenIdle(): void {
    if (this.isAwaitingIdle) return
    this.isAwaitingIdle = true
    this.awaitIdle(idleTurns)
  }

  private awaitIdle(turns: number): void {
    const { total } = this.tasks
    onNextMacrotask(() => {
      if (this.tasks.total !== total || this.tasks.pending > 0) return this.awaitIdle(idleTurns)
      if (turns > 1) return this.awaitIdle(turns - 1)
      this.isAwaitingIdle = false
      this.jump()
    })
  }

  /** Jumps to the end of the next sleep, unless all sleeps are endless. */
  private jump(): void {
    const next = this.sleeps.head?.endsAt
    if (next === undefined || next === Number.POSITIVE_INFINITY) return
    this.now = next
    while (this.sleeps.head?.endsAt === next) this.sleeps.shift()?.end()
    this.jumpWhenIdle()
  }
}
