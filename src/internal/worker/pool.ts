/** The lanes of a worker: as many as there is work for, and an end that leaves nothing behind. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { constVoid } from "effect/Function"
import * as Runtime from "effect/Runtime"
import type * as Tracer from "effect/Tracer"
import type { ConnectFailed, DeadlineSoon, TimedOut } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { JobId, ReservedJob, TubeName } from "../../Job.ts"
import { safeLog } from "../base/safeLog.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import * as ConnectionLog from "../client/connectionLog.ts"
import type { Dedicated } from "../client/dedicated.ts"
import { Event, type Events, type JobEvent, type Outcome, type ShutdownReport } from "./events.ts"
import { Lane, type Untold } from "./lane.ts"
import type { Lease, LeaseRules } from "./lease.ts"
import type { Plan } from "./plan.ts"
import type { Monitor } from "./telemetry/observer.ts"

export interface CrewOptions<E, R> {
  readonly tube: TubeName
  readonly source: Dedicated
  readonly plan: Plan<E, R>
  readonly rules: Omit<LeaseRules, "tube" | "heart" | "onBeat">
  readonly concurrency: number
  /** The reserves to wait with, one after the other, … */
  readonly slices: ReadonlyArray<Protocol.Command<ReservedJob, DeadlineSoon | TimedOut>>
  /** … and those of a lane that waits besides others. */
  readonly spareSlices: ReadonlyArray<Protocol.Command<ReservedJob, DeadlineSoon | TimedOut>>
  /** In milliseconds. */
  readonly idleLaneTimeout: number
  readonly shutdownTimeout: number
  readonly runtime: Runtime.Runtime<R>
  readonly heart: TimerQueue
  readonly events: Events
  readonly monitor: Monitor
}

/** How long, in milliseconds, an interrupted handler has to end, and a connection to close. */
const grace = 3000
const closingTime = 900

export class Crew<E, R> {
  readonly tube: TubeName
  readonly source: Dedicated
  readonly plan: Plan<E, R>
  readonly rules: LeaseRules
  readonly heart: TimerQueue
  readonly runtime: Runtime.Runtime<R>
  readonly tidings: ConnectionLog.ConnectionLog
  /** How many jobs ended in each way. */
  readonly tally: Record<Outcome, number> = {
    Completed: 0,
    Retried: 0,
    Buried: 0,
    Discarded: 0,
    Interrupted: 0,
    LeaseLost: 0,
    Undecodable: 0,
    CrashLoop: 0,
    CompletionUnknown: 0
  }
  /** Whether jobs are taken. */
  isTaking = true
  /** The lanes that wait for a job, or for a connection to wait on. */
  readonly waiting = new Set<Lane<E, R>>()
  /** What the server could not be told: the next that connects does. */
  readonly untold: Array<Untold> = []
  private readonly attempted: Deferred.Deferred<void, ConnectFailed>
  private readonly options: CrewOptions<E, R>
  private readonly lanes = new Set<Lane<E, R>>()
  private readonly closed: Deferred.Deferred<ShutdownReport>
  private readonly interrupted: Array<JobId> = []
  private readonly disowned: Array<JobId> = []
  private beating: Fiber.RuntimeFiber<never> | undefined = undefined
  private isClosing = false
  private reserves = 0
  private whenEmpty: () => void = constVoid

  constructor(options: CrewOptions<E, R>) {
    const { heart, monitor, plan, rules, runtime, source, tube } = options
    this.options = options
    this.tube = tube
    this.source = source
    this.plan = plan
    this.heart = heart
    this.runtime = runtime
    this.rules = { ...rules, tube, heart, onBeat: monitor.onBeat }
    this.tidings = ConnectionLog.make(source.address)
    this.attempted = Deferred.unsafeMake(FiberId.none)
    this.closed = Deferred.unsafeMake(FiberId.none)
  }

  /** How the first attempt to connect ends. */
  get firstAttempt(): Effect.Effect<void, ConnectFailed> {
    return Deferred.await(this.attempted)
  }

  get size(): number {
    return this.lanes.size
  }

  get running(): number {
    return Array.from(this.lanes).filter(({ held }) => held !== undefined).length
  }

  // lanes -------------------------------------------------------------------------------------------------------------

  /** Workers that start together begin with different slices. */
  start(slice: number): void {
    this.reserves = slice
    this.beating = this.fork(this.heart.run)
    this.grow()
  }

  /** Sees to it that one lane is idle, as long as another job may run. */
  private grow(now?: number): void {
    if (!this.isTaking || this.lanes.size >= this.options.concurrency || this.hasIdle(undefined, now)) return
    const lane = new Lane(this)
    this.lanes.add(lane)
    this.options.monitor.onLanes(this.lanes.size)
    this.fork(Effect.zipRight(Effect.catchAllCause(lane.life, broken), Effect.sync(() => this.leave(lane))))
  }

  private leave(lane: Lane<E, R>): void {
    lane.stopWaiting()
    this.lanes.delete(lane)
    this.options.monitor.onLanes(this.lanes.size)
    this.grow()
    if (this.lanes.size === 0) this.whenEmpty()
  }

  private fork<A>(effect: Effect.Effect<A, never, R>): Fiber.RuntimeFiber<A> {
    return Runtime.runFork(this.runtime, effect)
  }

  // what lanes ask ----------------------------------------------------------------------------------------------------

  /**
   * Whether a lane that has lost its connection is not needed: one that is idle opens others when there is something to do. But
   * what could not be told does not wait for that.
   */
  canSpare(lane: Lane<E, R>): boolean {
    return this.untold.length === 0
      ? this.hasIdle(lane)
      : Array.from(this.lanes).some((other) => other !== lane && other.isConnecting)
  }

  private hasIdle(besides: Lane<E, R> | undefined, now = this.heart.now()): boolean {
    for (const lane of this.waiting) if (lane !== besides && lane.isIdle(now)) return true
    return false
  }

  /** Whether one of those that have waited for so many seconds may go: another must be there that can take a job. */
  isSpare(idle: number): boolean {
    const connected = Array.from(this.waiting).filter(({ isConnecting }) => !isConnecting)
    return connected.length > 1 && idle * 1000 >= this.options.idleLaneTimeout * 0.9
  }

  nextReserve(): Protocol.Command<ReservedJob, DeadlineSoon | TimedOut> {
    const slices = this.waiting.size > 1 ? this.options.spareSlices : this.options.slices
    this.reserves += 1
    return slices[this.reserves % slices.length] ?? Protocol.reserve
  }

  // what lanes tell ---------------------------------------------------------------------------------------------------

  onConnected(): void {
    Deferred.unsafeDone(this.attempted, Effect.void)
  }

  onConnectFailed(error: ConnectFailed): void {
    Deferred.unsafeDone(this.attempted, error)
    if (error.reason !== "Closed") return
    this.doubtUntold()
    if (this.isClosing) return
    this.complain("The client of a worker is closed, and so is the worker.", Cause.fail(error))
    this.fork(this.shutdown)
  }

  onHold(lease: Lease): void {
    this.grow(lease.begunAt)
    this.options.monitor.onHold(lease)
  }

  beginSpan(lease: Lease): Tracer.Span | undefined {
    return this.options.monitor.beginSpan(lease)
  }

  onRun(lease: Lease, exit: Exit.Exit<unknown, unknown> | undefined): void {
    this.options.monitor.onRun(lease, exit)
  }

  /** Something went wrong that somebody should know of, and is no reason to stop. */
  complain(message: string, cause: Cause.Cause<unknown>): void {
    this.fork(safeLog(Effect.logError(`${message} Its tube is ${this.tube}.`, cause)))
  }

  /** What has become of a job. Only the first word on it counts. */
  tell(lease: Lease, describe: () => JobEvent): void {
    if (lease.isTold) return
    lease.isTold = true
    const event = describe()
    this.tally[event._tag] += 1
    if (event._tag === "Interrupted" && !event.disowned) this.interrupted.push(event.id)
    this.options.monitor.onOutcome(event._tag, lease)
    this.options.events.tell(event)
  }

  /** It was to be deleted, and nobody knows whether it is. */
  doubt(lease: Lease, reason: string): void {
    const { id, tube } = lease
    this.tell(lease, () => Event.CompletionUnknown({ tube, id, reason }))
  }

  private doubtUntold(): void {
    for (const { lease } of this.untold.splice(0)) this.doubt(lease, "it was not found out before the end")
  }

  /** The handler does not end, and nobody waits for it any more, whatever has become of the job. */
  leaveBehind(lease: Lease): void {
    const { id, tube } = lease
    this.disowned.push(id)
    this.tell(lease, () => Event.Interrupted({ tube, id, disowned: true }))
  }

  // the end -----------------------------------------------------------------------------------------------------------

  quiet(): void {
    this.isTaking = false
    for (const lane of this.lanes) lane.retire()
  }

  resume(): void {
    this.isTaking = !this.isClosing
    this.grow()
  }

  /** Whoever asks first begins it. It ends, whatever becomes of them. */
  readonly shutdown: Effect.Effect<ShutdownReport> = Effect.suspend(() => {
    if (!this.isClosing) {
      this.isClosing = true
      this.fork(this.close)
    }
    return this.whenClosed
  })

  get whenClosed(): Effect.Effect<ShutdownReport> {
    return Deferred.await(this.closed)
  }

  private readonly close = Effect.gen(this, function*() {
    const { events, shutdownTimeout } = this.options
    const began = this.heart.now()
    const before = this.ended
    this.quiet()
    yield* this.emptyWithin(shutdownTimeout)
    for (const lane of this.lanes) lane.interrupt()
    yield* this.emptyWithin(grace)
    for (const lane of this.lanes) lane.abandon()
    yield* this.emptyWithin(closingTime)
    this.doubtUntold()
    if (this.beating !== undefined) yield* Fiber.interrupt(this.beating)
    const report: ShutdownReport = {
      tube: this.tube,
      drained: this.ended - before - this.tally.Interrupted,
      interrupted: this.interrupted,
      disowned: this.disowned,
      duration: Duration.millis(this.heart.now() - began)
    }
    events.tell(Event.ShutdownReport(report))
    events.end()
    yield* Deferred.succeed(this.closed, report)
  })

  private get ended(): number {
    return Object.values(this.tally).reduce((sum, count) => sum + count, 0)
  }

  /** Waits until the last lane is gone, or so many milliseconds have passed. */
  private emptyWithin(milliseconds: number): Effect.Effect<void> {
    return Effect.async((resume) => {
      const goOn = () => {
        this.whenEmpty = constVoid
        this.heart.cancel(alarm)
        resume(Effect.void)
      }
      const alarm: Timer = { deadline: 0, position: -1, fire: goOn }
      if (this.lanes.size === 0) return goOn()
      this.whenEmpty = goOn
      this.heart.set(alarm, this.heart.now() + milliseconds)
    })
  }
}

/** No lane should end like that. If one does, another goes on in its place, a little later. */
const broken = (cause: Cause.Cause<never>) =>
  Effect.zipRight(
    safeLog(Effect.logError("A lane of a worker broke. Please report this.", cause)),
    Effect.sleep("1 second")
  )
