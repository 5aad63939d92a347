/**
 * A clock for simulations: time stands still while anything can run, and then jumps to the next sleeper.
 *
 * A program that would take days runs in a moment, and takes no other course than it would: whoever sleeps wakes at the right
 * time, in the right order, and finds everything done that was to be done before. Nobody has to say when time should pass, as
 * with `TestClock`, whose `adjust` also takes some milliseconds for each sleeper.
 *
 * It is for programs that talk to nothing outside: with a server in memory, such as `EmbeddedServer`. What comes from a
 * real socket, a file, another process, a thread (as of `crypto.subtle`) or a timer of JavaScript takes real time, and by then
 * virtual hours may have passed. So does what `Effect.runPromise` and its like do: only fibers that were forked from the program
 * are seen to run.
 *
 * **Example** (a day in a moment)
 *
 * ```ts
 * const program = Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.make()
 *   yield* beanstalk.put("tomorrow", { delay: "1 day" })
 *   const job = yield* beanstalk.reserve
 * }).pipe(Effect.scoped, Effect.provide(EmbeddedServer.layer()))
 *
 * Effect.provide(program, VirtualClock.layer())
 * ```
 *
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
 * When virtual time begins.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The time at the beginning, in milliseconds since 1970. Default: 0, as with `TestClock`. */
  readonly startsAt?: number | undefined
}

/**
 * Replaces the Clock of a program, and watches when it has nothing more to do.
 *
 * Provide it to the whole program, outside all other layers: what is built outside of it lives in real time.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.suspend(() => {
    const activity = new Activity()
    return Layer.merge(Layer.setScheduler(activity), Layer.setClock(new VirtualClock(activity, options?.startsAt ?? 0)))
  })

/** A scheduler that knows whether fibers are running. */
class Activity implements Scheduler.Scheduler {
  /** Tasks that have not run yet. */
  pending = 0
  /** All tasks so far. */
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

interface Sleeper extends Positioned {
  readonly wakesAt: number
  readonly order: number
  readonly wake: () => void
}

const wakesSooner = (a: Sleeper, b: Sleeper): boolean =>
  a.wakesAt === b.wakesAt ? a.order < b.order : a.wakesAt < b.wakesAt

/**
 * For so many turns of the event loop nothing may have run. What was written to a server in memory is answered in the next;
 * that turn may begin before the answer comes, and the one behind it gives the fibers time to go on.
 */
const quietTurns = 3

class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())
  private readonly activity: Activity
  private readonly sleepers = new Heap<Sleeper>(wakesSooner)
  private now: number
  private sleeps = 0
  private isWatching = false

  constructor(activity: Activity, now: number) {
    this.activity = activity
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
      const sleeper = {
        wakesAt: this.now + Duration.toMillis(duration),
        order: this.sleeps += 1,
        wake: () => resume(Effect.void),
        position: -1
      }
      this.sleepers.insert(sleeper)
      this.watch()
      return Effect.sync(() => {
        if (sleeper.position >= 0) this.sleepers.remove(sleeper)
      })
    })
  }

  /** Waits until nothing runs any more, and then lets time pass. */
  private watch(): void {
    if (this.isWatching) return
    this.isWatching = true
    this.awaitQuiet(quietTurns)
  }

  private awaitQuiet(turns: number): void {
    const { total } = this.activity
    onNextMacrotask(() => {
      if (this.activity.total !== total || this.activity.pending > 0) return this.awaitQuiet(quietTurns)
      if (turns > 1) return this.awaitQuiet(turns - 1)
      this.isWatching = false
      this.jump()
    })
  }

  /** To the next time at which somebody wakes. A sleep without end is no such time. */
  private jump(): void {
    const next = this.sleepers.head?.wakesAt
    if (next === undefined || next === Number.POSITIVE_INFINITY) return
    this.now = next
    while (this.sleepers.head?.wakesAt === next) this.sleepers.shift()?.wake()
    this.watch()
  }
}
