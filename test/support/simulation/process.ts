/**
 * The event loop of a simulated process.
 *
 * While it is blocked, its fibers do not resume, and it reads and writes nothing, but time goes on for the server and the other
 * processes. Afterwards what was due and what has arrived meanwhile happens at once.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import type * as Scheduler from "effect/Scheduler"
import { onNextMacrotask } from "../../../src/internal/base/macrotask.ts"
import type { Random } from "../random.ts"

export interface ProcessOptions {
  readonly random: Random
  readonly now: () => number
  readonly scheduler: Scheduler.Scheduler
  readonly fork: (effect: Effect.Effect<void>) => unknown
}

type ScheduledTask = Parameters<Scheduler.Scheduler["scheduleTask"]>

export class Process implements Scheduler.Scheduler {
  private readonly options: ProcessOptions
  private blockedSince: number | undefined = undefined
  /** For how long it has been blocked so far, without the time since `blockedSince`. */
  private blockedTime = 0
  /** The tasks of fibers that were to run when it was blocked. */
  private pending: Array<ScheduledTask> = []
  /** Those of fibers whose sleeps have ended since. */
  private due: Array<ScheduledTask> = []
  /** What was to be read and written. */
  private readonly transfers: Array<() => void> = []

  constructor(options: ProcessOptions) {
    this.options = options
  }

  /** The time, in milliseconds, without that in which it was blocked. */
  get runningTime(): number {
    const now = this.options.now()
    return now - this.blockedTime - (now - (this.blockedSince ?? now))
  }

  /** Blocks it for some milliseconds, unless it is blocked already. */
  block(milliseconds: number): void {
    if (this.blockedSince !== undefined) return
    this.blockedSince = this.options.now()
    this.options.fork(Effect.zipRight(Clock.sleep(Duration.millis(milliseconds)), Effect.sync(() => this.unblock())))
  }

  private unblock(): void {
    const { now, random, scheduler } = this.options
    this.blockedTime += now() - (this.blockedSince ?? now())
    this.blockedSince = undefined
    const tasks = [...this.pending, ...(random.chance(0.5) ? this.due : shuffled(this.due, random))]
    this.pending = []
    this.due = []
    const readsFirst = random.chance(0.5)
    if (readsFirst) this.transfer()
    for (const [task, priority, fiber] of tasks) {
      scheduler.scheduleTask(this.unlessBlocked(task, priority, fiber), priority, fiber)
    }
    // Before what the tasks do in the next turn: an event loop reads between the timers and the callbacks of `setImmediate`.
    if (!readsFirst) onNextMacrotask(() => this.transfer())
  }

  // the fibers --------------------------------------------------------------------------------------------------------

  shouldYield(...args: Parameters<Scheduler.Scheduler["shouldYield"]>): number | false {
    return this.options.scheduler.shouldYield(...args)
  }

  scheduleTask(...[task, priority, fiber]: ScheduledTask): void {
    this.options.scheduler.scheduleTask(this.unlessBlocked(task, priority, fiber), priority, fiber)
  }

  private unlessBlocked(...[task, priority, fiber]: ScheduledTask): Scheduler.Task {
    return () => {
      if (this.blockedSince === undefined) return task()
      const waiting = this.options.now() > this.blockedSince ? this.due : this.pending
      waiting.push([task, priority, fiber])
    }
  }

  // its connections ---------------------------------------------------------------------------------------------------

  /** Reads or writes something: at once, or after what waits because the process was blocked. */
  whenUnblocked(transfer: () => void): void {
    if (this.blockedSince === undefined && this.transfers.length === 0) return transfer()
    this.transfers.push(transfer)
  }

  private transfer(): void {
    while (this.blockedSince === undefined && this.transfers.length > 0) {
      this.transfers.shift()!()
    }
  }
}

const shuffled = <A>(items: ReadonlyArray<A>, random: Random): ReadonlyArray<A> =>
  items.map((item) => [random.next(), item] as const).toSorted(([a], [b]) => a - b).map(([, item]) => item)

/** A process that runs on the Clock and the Scheduler of the calling fiber. */
export const make = (random: Random): Effect.Effect<Process> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    return new Process({
      random,
      now: () => clock.unsafeCurrentTimeMillis(),
      scheduler: yield* FiberRef.get(FiberRef.currentScheduler),
      fork: Runtime.runFork(yield* Effect.runtime<never>())
    })
  })
