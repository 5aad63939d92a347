/** A worker: its lanes at all of its servers, how many jobs run at a time, and how it is shut down. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import { constVoid } from "effect/Function"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { Health, Limits } from "../../Health.ts"
import type { JobId, TubeName } from "../../Job.ts"
import { healthOf, type Trouble } from "../base/healthOf.ts"
import { LoopLateness } from "../base/loopLateness.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import type { Dedicated } from "../client/dedicated.ts"
import type { ClientWorker } from "../client/workers.ts"
import { annotated, type EventLog } from "./eventLog.ts"
import { Event, Events, type Refusal, type ShutdownReport } from "./events.ts"
import type { Handler, Lane } from "./lane.ts"
import type { Lease, LeaseRules } from "./lease.ts"
import type { Settings } from "./options.ts"
import { ServerLanes, type SharedContext, type Workforce } from "./serverLanes.ts"
import { type Beginning, leastGrace, ShutdownTime } from "./shutdownTime.ts"
import type { Observer } from "./telemetry/observer.ts"

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
    pool.followServers()
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

/**
 * How many milliseconds it takes until a lane moves to a server that needs one, and then another. A move costs 2.4 ms of processor time:
 * where lanes moved as soon as they waited, a worker took three times as long for jobs on four servers as for all of them on one.
 */
const movePause = 100

export class Pool<A, E, R> implements Workforce<A, E, R>, ClientWorker {
  readonly tube: TubeName
  readonly events: Events<E>
  private readonly options: PoolOptions<A, E, R>
  private readonly resources: Resources
  private readonly context: SharedContext<A, E, R>
  /** Its lanes, by the server, or by the one server of the client. */
  private readonly servers = new Map<Dedicated, ServerLanes<A, E, R>>()
  /** Those of servers that the worker has no more, until the jobs that are held there have ended. */
  private readonly left = new Set<ServerLanes<A, E, R>>()
  /** The lanes whose jobs do not run yet, since as many run as may. */
  private readonly queue = new Map<Lane<A, E, R>, () => void>()
  /** The move of a lane from one server to another. */
  private readonly move: Timer = { deadline: 0, position: -1, fire: (now) => this.moveLane(now) }
  /** Ends when the worker is closed. */
  private stopFollowing = constVoid
  private readonly interrupted: Array<JobId> = []
  private readonly orphaned: Array<JobId> = []
  private status: Status = "taking"
  /** How many reasons there are to reserve no jobs for a while. */
  private pauseCount = 0
  /** The shutdowns of other workers that this one is expected to follow, each with the time that it has from then on. */
  private readonly expected = new Set<Beginning>()
  private refusals = 0
  /** How many of its lanes are connected. */
  private connections = 0
  /** When the last connection was lost, or else when the worker started. */
  private disconnectedSince: number
  private closingSince: number | undefined = undefined
  private isClosed = false

  constructor(options: PoolOptions<A, E, R>, resources: Resources) {
    const { expire, observer, settings, timers, tube } = options
    this.tube = tube
    this.events = new Events<E>(observer.onOutcome)
    this.options = options
    this.resources = resources
    this.disconnectedSince = timers.now()
    this.context = {
      ...options,
      rules: { ...settings.lease, tube, timers, expire, onTouch: observer.onTouch },
      events: this.events
    }
    this.health = healthOf({ now: timers.now, lateness: new LoopLateness(timers), trouble: () => this.trouble })
    this.events.listen((event) => options.eventLog.onEvent(event))
    this.events.listen((event) => {
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
      lanes: this.laneCount,
      waiting: this.all.reduce((sum, { waiting }) => sum + waiting.size, 0),
      running: this.held,
      outcomes: { ...this.events.tally },
      refusals: this.refusals,
      isPaused: this.all.length > 0 && this.all.every(({ room }) => room.isFull)
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
    if (this.connections > 0 || this.laneCount === 0) return undefined
    return {
      _tag: this.all.some(({ wasConnected }) => wasConnected) ? "Disconnected" : "Stopped",
      since: disconnectedSince,
      reason: `${worker} has no connection to beanstalkd at ${dedicated.address}`
    }
  }

  private get all(): ReadonlyArray<ServerLanes<A, E, R>> {
    return [...this.servers.values(), ...this.left]
  }

  private get laneCount(): number {
    return this.all.reduce((sum, { lanes }) => sum + lanes.size, 0)
  }

  /** The number of jobs that it holds. */
  private get held(): number {
    return this.all.reduce((sum, { held }) => sum + held, 0)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its servers
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes jobs from the servers of the client, as they come and go. */
  followServers(): void {
    this.stopFollowing = this.options.dedicated.servers((servers) => this.onServers(servers))
  }

  private onServers(servers: ReadonlyArray<Dedicated>): void {
    for (const [dedicated, lanes] of this.servers) {
      if (servers.includes(dedicated)) continue
      this.servers.delete(dedicated)
      this.left.add(lanes)
      lanes.leave()
      this.endLanes(lanes, (lane) => lane.retire())
    }
    for (const dedicated of servers) {
      if (this.servers.has(dedicated)) continue
      this.servers.set(dedicated, new ServerLanes(this, dedicated, this.context, this.resources.reserveIndex))
    }
    this.openIfNeeded()
  }

  openIfNeeded(): void {
    for (const lanes of this.servers.values()) lanes.openIfNeeded()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // how many lanes, and how many jobs run
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * At each server one lane may wait for a job. If jobs come to all of them, while as many run as may, those of all servers but one are
   * held until others have ended.
   */
  roomFor(lanes: ServerLanes<A, E, R>): number {
    if (lanes.lanes.size === 0) return 1
    const { room } = this
    if (room <= 0) this.planMove()
    return Math.min(this.options.settings.concurrency - lanes.lanes.size, room)
  }

  private get room(): number {
    return this.options.settings.concurrency + this.servers.size - 1 - this.laneCount
  }

  private planMove(): void {
    const { timers } = this.options
    if (this.servers.size > 1 && this.move.position < 0) timers.set(this.move, timers.now() + movePause)
  }

  /** If a server needs a lane, closes one without a job at another. When it has closed, one is opened where it is needed. */
  private moveLane(now: number): void {
    const servers = Array.from(this.servers.values())
    if (this.room > 0 || !servers.some((lanes) => lanes.needsLanes(now))) return
    for (const lanes of servers) if (lanes.giveUpSpare(now)) break
    if (servers.some(({ waiting }) => waiting.size > 1)) this.planMove()
  }

  onLanes(): void {
    this.options.observer.onLanes(this.laneCount)
    for (const lanes of this.left) if (lanes.lanes.size === 0) this.left.delete(lanes)
  }

  onFree(): void {
    if (this.queue.size > 0) this.admitNext()
    this.planMove()
  }

  private get mayRunAnother(): boolean {
    return this.held - this.queue.size < this.options.settings.concurrency
  }

  /** There are as many lanes as jobs may run, unless there are several servers. */
  admit(lane: Lane<A, E, R>): Effect.Effect<void> | undefined {
    if (this.servers.size + this.left.size < 2 || this.held - 1 - this.queue.size < this.options.settings.concurrency) {
      return undefined
    }
    return Effect.async((resume) => {
      this.queue.set(lane, () => resume(Effect.void))
      this.admitNext()
      return Effect.sync(() => this.queue.delete(lane))
    })
  }

  /** Runs the jobs that are held, in the order in which they came. */
  private admitNext(): void {
    for (const [lane, run] of this.queue) {
      if (!this.mayRunAnother) return
      this.queue.delete(lane)
      run()
    }
  }

  runLane(lane: Lane<A, E, R>): Fiber.RuntimeFiber<void> {
    return this.resources.runLane(lane.run)
  }

  forkScoped(effect: Effect.Effect<unknown>, onEnd: () => void): void {
    this.fork(Effect.zipRight(effect, Effect.sync(onEnd)), { scope: this.resources.scope })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what lanes report
  // -------------------------------------------------------------------------------------------------------------------

  onConnected(lanes: ServerLanes<A, E, R>): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      if (!lanes.wasConnected) this.options.eventLog.onStart(lanes.dedicated.address)
      lanes.wasConnected = true
      return Deferred.succeed(this.resources.firstConnect, undefined)
    })
  }

  /** The first attempt fails if that of each server does. */
  onConnectFailed(lanes: ServerLanes<A, E, R>, error: ConnectFailed): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      lanes.hasFailedToConnect = true
      const noneConnects = Array.from(this.servers.values()).every(({ hasFailedToConnect }) => hasFailedToConnect)
      return noneConnects ? this.failFirstConnect(error) : Effect.void
    })
  }

  private failFirstConnect(error: ConnectFailed): Effect.Effect<unknown> {
    return Deferred.fail(this.resources.firstConnect, error)
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

  onReserved(lease: Lease): void {
    this.options.observer.onReserved(lease)
  }

  onAbandoned(lease: Lease): void {
    this.orphaned.push(lease.id)
    this.events.record(lease, ({ id, tube }) => Event.Interrupted({ tube, id, orphaned: true }))
  }

  onRefused(error: Refusal, lease: Lease | undefined): void {
    this.refusals += 1
    this.events.emit(Event.Refused({ tube: this.tube, id: lease?.id, error }))
  }

  onDecisionTimeout({ id }: Lease): void {
    this.options.eventLog.onDecisionTimeout(id)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // when no jobs are taken
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes no more jobs. Lanes without a job end. */
  readonly quiet = Effect.sync(() => {
    if (this.status === "taking") this.status = "quiet"
    this.endAll((lane) => lane.retire())
  })

  readonly resume = Effect.sync(() => {
    if (this.status === "quiet") this.status = "taking"
    this.openIfNeeded()
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
    this.endAll((lane) => lane.retire())
    this.forkScoped(until, () => {
      this.pauseCount -= 1
      this.openIfNeeded()
    })
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
      eventLog.onShutdown(this.held, time.toDrain(this.shutdownTimeout))
      this.stopFollowing()
      this.endAll((lane) => lane.retire())
      yield* this.failFirstConnect(new ConnectFailed({ address, reason: "Closed", detail: "the worker is shut down" }))
      yield* this.emptyWithin(time.toDrain(this.shutdownTimeout))
      this.endAll((lane) => lane.stop())
      yield* this.emptyWithin(time.toInterrupt)
      this.endAll((lane) => lane.abandon())
      yield* this.emptyWithin(time.toClose)
      for (const { unconfirmed } of this.all) unconfirmed.giveUp()
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
  private endLanes({ lanes }: ServerLanes<A, E, R>, end: (lane: Lane<A, E, R>) => void): void {
    for (const [lane, fiber] of lanes) {
      end(lane)
      if (lane.isConnecting && !lane.isNeeded) Effect.runFork(fiber.interruptAsFork(FiberId.none))
    }
  }

  private endAll(end: (lane: Lane<A, E, R>) => void): void {
    for (const lanes of this.all) this.endLanes(lanes, end)
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
