/** The lanes of a worker: how many there are, and how they are shut down. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { Health, Limits } from "../../Health.ts"
import type { JobId, TubeName } from "../../Job.ts"
import { healthOf, type Trouble } from "../base/healthOf.ts"
import { LoopLateness } from "../base/loopLateness.ts"
import type { TimerQueue } from "../base/timerQueue.ts"
import * as ConnectionLog from "../client/connectionLog.ts"
import type { Dedicated } from "../client/dedicated.ts"
import type { ClientWorker } from "../client/workers.ts"
import { annotated, type EventLog } from "./eventLog.ts"
import { Event, Events, type Refusal, type ShutdownReport } from "./events.ts"
import { type Handler, Lane, type LaneContext, type LanePool } from "./lane.ts"
import type { Lease, LeaseRules } from "./lease.ts"
import type { Reserve, Settings } from "./options.ts"
import { mayHideJob, ServerRoom } from "./serverRoom.ts"
import { type Beginning, leastGrace, ShutdownTime } from "./shutdownTime.ts"
import type { Observer } from "./telemetry/observer.ts"
import { UnconfirmedDeletes } from "./unconfirmedDeletes.ts"

export interface PoolOptions<A, E, R> {
  readonly tube: TubeName
  readonly settings: Settings<A, E, R>
  readonly handler: Handler<A, E, R>
  readonly runtime: Runtime.Runtime<R>
  readonly dedicated: Dedicated
  readonly timers: TimerQueue
  readonly expire: LeaseRules["expire"]
  readonly observer: Observer
  readonly eventLog: EventLog
}

/** Starts a pool with one lane. It runs, apart from the calling fiber, until it is shut down. */
export const make = <A, E, R>(options: PoolOptions<A, E, R>): Effect.Effect<Pool<A, E, R>, never, R> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const fibers = yield* Scope.extend(FiberSet.make<void, never>(), scope)
    const pool = new Pool(options, {
      scope,
      fibers,
      runLane: yield* annotated(FiberSet.runtime(fibers)<R>()),
      firstConnect: yield* Deferred.make<void, ConnectFailed>(),
      closed: yield* Deferred.make<ShutdownReport>(),
      // Workers that start together begin with different timeouts.
      reserveIndex: yield* Random.nextIntBetween(0, options.settings.reserves.length)
    })
    yield* Effect.forkIn(options.timers.run, scope)
    pool.openLanesIfNeeded()
    return pool
  })

interface Resources {
  /** The fibers of the pool end with it. */
  readonly scope: Scope.CloseableScope
  readonly fibers: FiberSet.FiberSet<void, never>
  readonly runLane: (run: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  readonly firstConnect: Deferred.Deferred<void, ConnectFailed>
  readonly closed: Deferred.Deferred<ShutdownReport>
  readonly reserveIndex: number
}

/**
 * - `taking`: jobs are reserved, unless the worker is paused.
 * - `quiet`: no more jobs are reserved, until `resume`.
 * - `closing`: the worker is being shut down.
 */
type Status = "taking" | "quiet" | "closing"

export class Pool<A, E, R> implements LanePool<A, E, R>, ClientWorker {
  readonly tube: TubeName
  readonly events: Events<E>
  private readonly options: PoolOptions<A, E, R>
  private readonly resources: Resources
  private readonly unconfirmed: UnconfirmedDeletes<E>
  private readonly room: ServerRoom
  private readonly context: LaneContext<A, E, R>
  private readonly lanes = new Map<Lane<A, E, R>, Fiber.RuntimeFiber<void>>()
  /** The lanes that wait for a job or a connection. */
  private readonly waiting = new Set<Lane<A, E, R>>()
  private readonly interrupted: Array<JobId> = []
  private readonly orphaned: Array<JobId> = []
  private status: Status = "taking"
  /** How many reasons there are to reserve no jobs for a while. */
  private pauseCount = 0
  /** The shutdowns of other workers that this one is expected to follow, each with the time that it has from then on. */
  private readonly expected = new Set<Beginning>()
  private refusals = 0
  private wasConnected = false
  /** How many of its lanes are connected. */
  private connections = 0
  /** When the last connection was lost, or else when the worker started. */
  private disconnectedSince: number
  private closingSince: number | undefined = undefined
  private isClosed = false
  private reserveIndex: number

  constructor(options: PoolOptions<A, E, R>, resources: Resources) {
    const { dedicated, expire, observer, settings, timers, tube } = options
    const events = new Events<E>(observer.onOutcome)
    const unconfirmed = new UnconfirmedDeletes(events)
    this.tube = tube
    this.events = events
    this.options = options
    this.resources = resources
    this.unconfirmed = unconfirmed
    this.room = new ServerRoom(dedicated, tube)
    this.reserveIndex = resources.reserveIndex
    this.disconnectedSince = timers.now()
    this.context = {
      ...options,
      log: ConnectionLog.make(dedicated.address),
      rules: { ...settings.lease, tube, timers, expire, onTouch: observer.onTouch },
      events,
      unconfirmed,
      whenAvailable: this.room.whenAvailable
    }
    this.health = healthOf({ now: timers.now, lateness: new LoopLateness(timers), trouble: () => this.trouble })
    events.listen((event) => options.eventLog.onEvent(event))
    events.listen((event) => {
      if (event._tag === "Interrupted" && !event.orphaned) this.interrupted.push(event.id)
    })
  }

  /** Runs an Effect of the pool's own. */
  private fork<Result>(effect: Effect.Effect<Result>, options?: Runtime.RunForkOptions): Fiber.RuntimeFiber<Result> {
    return Runtime.runFork(this.options.runtime)(annotated(effect), options)
  }

  get isTaking(): boolean {
    return this.status === "taking" && this.pauseCount === 0
  }

  get isClosing(): boolean {
    return this.status === "closing"
  }

  get shutdownTimeout(): number {
    return this.options.settings.shutdownTimeout
  }

  /** How the first attempt to connect ends. */
  get firstConnect(): Effect.Effect<void, ConnectFailed> {
    return Deferred.await(this.resources.firstConnect)
  }

  /** What the worker does at this moment. See `Worker.Stats`. */
  get stats() {
    return Effect.sync(() => ({
      lanes: this.lanes.size,
      waiting: this.waiting.size,
      running: this.running,
      outcomes: { ...this.events.tally },
      refusals: this.refusals,
      isPaused: this.room.isFull
    }))
  }

  /** How the worker does. */
  readonly health: (limits?: Limits) => Effect.Effect<Health>

  private get trouble(): Trouble | undefined {
    const worker = `the worker of tube ${this.tube}`
    const { closingSince: since, disconnectedSince, options: { dedicated } } = this
    if (this.isClosed) return { _tag: "Closed", reason: `${worker} is closed` }
    if (since !== undefined) return { _tag: "Stopped", since, reason: `${worker} is being shut down` }
    // A worker that takes no jobs, because it is told so, has no lanes.
    if (this.connections > 0 || this.lanes.size === 0) return undefined
    return {
      _tag: this.wasConnected ? "Disconnected" : "Stopped",
      since: disconnectedSince,
      reason: `${worker} has no connection to beanstalkd at ${dedicated.address}`
    }
  }

  /** The number of jobs that it holds. */
  private get running(): number {
    return Array.from(this.lanes.keys()).filter(({ isHolding }) => isHolding).length
  }

  // -------------------------------------------------------------------------------------------------------------------
  // how many lanes
  // -------------------------------------------------------------------------------------------------------------------

  /** Opens lanes, unless one is idle or there are as many as jobs may run. */
  openLanesIfNeeded(count = 1, now = this.options.timers.now()): void {
    if (!this.isTaking || this.hasIdle(now)) return
    const room = this.options.settings.concurrency - this.lanes.size
    for (let opened = 0; opened < Math.min(count, room); opened += 1) this.openLane()
  }

  private openLane(): void {
    const lane = new Lane(this, this.context)
    const fiber = this.resources.runLane(lane.run)
    this.waiting.add(lane)
    this.lanes.set(lane, fiber)
    this.options.observer.onLanes(this.lanes.size)
    fiber.addObserver(() => this.onLaneEnd(lane))
  }

  private onLaneEnd(lane: Lane<A, E, R>): void {
    this.waiting.delete(lane)
    this.lanes.delete(lane)
    this.options.observer.onLanes(this.lanes.size)
    this.openLanesIfNeeded()
  }

  private hasIdle(now: number, besides?: Lane<A, E, R>): boolean {
    for (const lane of this.waiting) if (lane !== besides && lane.isIdle(now)) return true
    return false
  }

  /**
   * Whether a lane that lost its connection may end: an idle one opens others when they are needed. For deletes that are not
   * confirmed one lane must connect at once.
   */
  isSpare(lane: Lane<A, E, R>): boolean {
    return this.unconfirmed.isEmpty
      ? this.hasIdle(this.options.timers.now(), lane)
      : Array.from(this.lanes.keys()).some((other) => other !== lane && other.isConnecting)
  }

  /** A lane that waited for this many seconds closes, if another is connected and waiting. */
  isWanted(idleSeconds: number): boolean {
    if (!this.isTaking) return false
    // A reserve times out up to a tenth early.
    if (idleSeconds * 1000 < this.options.settings.idleLaneTimeout * 0.9) return true
    return Array.from(this.waiting).filter(({ isConnecting }) => !isConnecting).length < 2
  }

  nextReserve(): Reserve {
    const { reserves, spareReserves } = this.options.settings
    const choice = this.waiting.size > 1 ? spareReserves : reserves
    this.reserveIndex = (this.reserveIndex + 1) % choice.length
    return choice[this.reserveIndex]!
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what lanes report
  // -------------------------------------------------------------------------------------------------------------------

  get onConnected(): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      if (!this.wasConnected) this.options.eventLog.onStart()
      this.wasConnected = true
      return Deferred.succeed(this.resources.firstConnect, undefined)
    })
  }

  whileConnected<Result, Failure>(use: Effect.Effect<Result, Failure>): Effect.Effect<Result, Failure> {
    return Effect.suspend(() => {
      this.connections += 1
      return Effect.ensuring(
        use,
        Effect.sync(() => {
          this.connections -= 1
          this.disconnectedSince = this.options.timers.now()
        })
      )
    })
  }

  onWaiting(lane: Lane<A, E, R>): void {
    this.waiting.add(lane)
  }

  /** While jobs wait in the server, the lanes double: one after the other, 64 would take 64 times as long as it takes to connect. */
  onReserved(lane: Lane<A, E, R>, lease: Lease): void {
    this.waiting.delete(lane)
    this.openLanesIfNeeded(lease.wasReady ? this.lanes.size - this.waiting.size : 1, lease.reservedAt)
    this.options.observer.onReserved(lease)
  }

  onAbandoned(lease: Lease): void {
    this.orphaned.push(lease.id)
    this.events.record(lease, ({ id, tube }) => Event.Interrupted({ tube, id, orphaned: true }))
  }

  onRefused(error: Refusal, lease: Lease | undefined): void {
    this.refusals += 1
    this.events.emit(Event.Refused({ tube: this.tube, id: lease?.id, error }))
    // Until the server has room, no job that fails could be released or buried.
    if (mayHideJob(error) && !this.room.isFull) this.pauseUntil(this.room.probe)
  }

  onDecisionTimeout({ id }: Lease): void {
    this.options.eventLog.onDecisionTimeout(id)
  }

  onConnectFailed(error: ConnectFailed): Effect.Effect<unknown> {
    return Deferred.fail(this.resources.firstConnect, error)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // when no jobs are taken
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes no more jobs. Lanes without a job end. */
  readonly quiet = Effect.sync(() => {
    if (this.status === "taking") this.status = "quiet"
    this.endLanes((lane) => lane.retire())
  })

  readonly resume = Effect.sync(() => {
    if (this.status === "quiet") this.status = "taking"
    this.openLanesIfNeeded()
  })

  pause(until: Effect.Effect<void>, shutdownTimeout: number): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.isClosing) return
      const { timeout, ...beginning } = this.beginning
      const expected = { ...beginning, timeout: Math.max(timeout, shutdownTimeout) }
      this.expected.add(expected)
      this.pauseUntil(Effect.zipRight(until, Effect.sync(() => this.expected.delete(expected))))
    })
  }

  /** Takes no jobs until an Effect, which runs as long as the worker at most, has succeeded. Lanes without a job end. */
  private pauseUntil(until: Effect.Effect<unknown>): void {
    this.pauseCount += 1
    this.endLanes((lane) => lane.retire())
    const resume = Effect.sync(() => {
      this.pauseCount -= 1
      this.openLanesIfNeeded()
    })
    this.fork(Effect.zipRight(until, resume), { scope: this.resources.scope })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the shutdown
  // -------------------------------------------------------------------------------------------------------------------

  /** Shuts the worker down, once, and waits until it is closed. It goes on if the caller is interrupted. */
  readonly shutdown: Effect.Effect<ShutdownReport> = Effect.suspend(() =>
    Effect.zipRight(this.requestShutdown, this.whenClosed)
  )

  get whenClosed(): Effect.Effect<ShutdownReport> {
    return Deferred.await(this.resources.closed)
  }

  readonly requestShutdown = Effect.sync(() => {
    if (this.isClosing) return
    this.status = "closing"
    this.closingSince = this.options.timers.now()
    // Callers that wait for the shutdown resume only when this fiber too has ended.
    this.fork(this.close(this.beginning)).addObserver((exit) => Deferred.unsafeDone(this.resources.closed, exit))
  })

  private close(beginning: Beginning): Effect.Effect<ShutdownReport> {
    return Effect.gen(this, function*() {
      const { dedicated: { address }, eventLog, timers } = this.options
      const time = new ShutdownTime(beginning, timers.now)
      eventLog.onShutdown(this.running, time.toDrain(this.shutdownTimeout))
      this.endLanes((lane) => lane.retire())
      yield* this.onConnectFailed(new ConnectFailed({ address, reason: "Closed", detail: "the worker is shut down" }))
      yield* this.emptyWithin(time.toDrain(this.shutdownTimeout))
      this.endLanes((lane) => lane.stop())
      yield* this.emptyWithin(time.toInterrupt)
      for (const lane of this.lanes.keys()) lane.abandon()
      yield* this.emptyWithin(time.toClose)
      this.unconfirmed.giveUp()
      yield* this.closeScope
      const report: ShutdownReport = {
        tube: this.tube,
        drained: this.endedJobs - beginning.endedJobs - this.events.tally.Interrupted,
        interrupted: this.interrupted,
        orphaned: this.orphaned,
        duration: Duration.millis(time.elapsed)
      }
      this.isClosed = true
      yield* eventLog.report(report)
      this.events.emit(Event.ShutdownReport(report))
      this.events.end()
      return report
    })
  }

  /** A shutdown that was expected counts from then on. */
  private get beginning(): Beginning {
    return Array.from(this.expected).at(-1) ??
      { at: this.options.timers.now(), endedJobs: this.endedJobs, timeout: this.shutdownTimeout }
  }

  private get endedJobs(): number {
    return Object.values(this.events.tally).reduce((sum, count) => sum + count, 0)
  }

  /** Retires or stops all lanes. One that is not needed any more may be waiting for a connection, which is interrupted. */
  private endLanes(end: (lane: Lane<A, E, R>) => void): void {
    for (const [lane, fiber] of this.lanes) {
      end(lane)
      if (lane.isConnecting && !lane.isNeeded) Effect.runFork(fiber.interruptAsFork(FiberId.none))
    }
  }

  private emptyWithin(duration: Duration.DurationInput): Effect.Effect<unknown> {
    return Effect.timeoutOption(FiberSet.awaitEmpty(this.resources.fibers), duration)
  }

  /** A lane, or a probe, that does not end now is blocked in the user's Connector, and is not waited for. */
  private readonly closeScope = Effect.suspend(() =>
    Effect.flatMap(
      Effect.forkDaemon(Scope.close(this.resources.scope, Exit.void)),
      (closing) => Effect.timeoutOption(Fiber.await(closing), leastGrace)
    )
  )
}
