/**
 * A lane is one of the up to `concurrency` loops of a worker, each with a connection of its own: it reserves a job, runs the
 * handler, and has the server settle the job.
 *
 * Its life is a Stream of turns on each connection, retried under the reconnect Schedule. A turn is the next job, its handler,
 * and what becomes of the job.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import type { JobStats } from "../../Stats.ts"
import { safeLog } from "../base/logging.ts"
import type { ConnectionLog } from "../client/connectionLog.ts"
import type { Dedicated } from "../client/dedicated.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import { crashLoop, decide, historyOf, type Settlement, undecided } from "./decision.ts"
import { Event, type Refusal } from "./events.ts"
import { type Order, type RunFailure, TookTooLong, Undecodable } from "./failure.ts"
import { JobHandle } from "./jobHandle.ts"
import { keepConnected } from "./keepConnected.ts"
import type { Lease } from "./lease.ts"
import type { Reserve, Settings } from "./options.ts"
import { sendAgain, untilAccepted } from "./refusals.ts"
import { type Consumer, type ConsumerContext, Reservations } from "./reservations.ts"
import type { Observer } from "./telemetry/observer.ts"
import { UserFiber } from "./userFiber.ts"

/** The user's handler. */
export type Handler<A, E, R> = (
  payload: A,
  job: JobHandle
) => Effect.Effect<unknown, E | Order, R | Scope.Scope>

/** What a lane shares with the other lanes of its worker. */
export interface LaneContext<A, E, R> extends ConsumerContext<E> {
  readonly settings: Settings<A, E, R>
  readonly handler: Handler<A, E, R>
  readonly runtime: Runtime.Runtime<R>
  readonly dedicated: Dedicated
  readonly log: ConnectionLog
  readonly observer: Observer
  /** Succeeds once the server is taken to have room for the jobs that are released and buried. */
  readonly whenAvailable: Effect.Effect<void>
}

/** The pool, as its lanes see it. */
export interface LanePool<A, E, R> {
  /** Whether the worker takes jobs. */
  readonly isTaking: boolean
  /** Whether a lane that lost its connection may end: another is there that opens lanes when they are needed. */
  isSpare(lane: Lane<A, E, R>): boolean
  /** Whether a lane is to reserve another job, after reserves that timed out for this many seconds. */
  isWanted(idleSeconds: number): boolean
  nextReserve(): Reserve
  readonly onConnected: Effect.Effect<unknown>
  onConnectFailed(error: ConnectFailed): Effect.Effect<unknown>
  /** Uses a connection. */
  whileConnected<Result, Failure>(use: Effect.Effect<Result, Failure>): Effect.Effect<Result, Failure>
  /** Waits until another job may run, with a lane that holds one. `undefined` if it may run at once. */
  admit(lane: Lane<A, E, R>): Effect.Effect<void> | undefined
  /** The lane waits for a connection or a job. */
  onWaiting(lane: Lane<A, E, R>): void
  /** The lane has a job. */
  onReserved(lane: Lane<A, E, R>, lease: Lease): void
  /** The handler of a job does not end, and the lane has stopped waiting for it. */
  onAbandoned(lease: Lease): void
  /** The server has refused to reserve a job, or a command about this one. */
  onRefused(refusal: Refusal, lease: Lease | undefined): void
  /** `retry` or `onExhausted` takes too long to decide about a job, and is interrupted. */
  onDecisionTimeout(lease: Lease): void
}

/** In Effect 3 each chunk that passes through a Stream takes about 5 µs, as long as all else in a turn but its handler. */
const turnsInAChunk = 64

type NextJob = Effect.Effect<Lease, Option.Option<never>>

export class Lane<A, E, R> implements Consumer<E> {
  readonly context: LaneContext<A, E, R>
  /** Runs before each reserve. */
  private readonly gate: Effect.Effect<void> | undefined
  private readonly pool: LanePool<A, E, R>
  private readonly fiber: UserFiber<R>
  /** The jobs of the connection, or `undefined` while there is none. */
  private reservations: Reservations<E> | undefined = undefined
  /** How long, in milliseconds, it took to connect. */
  private connectTime = 0
  /**
   * - `wanted`: takes jobs as long as the worker does.
   * - `retired`: takes no more jobs.
   * - `stopped`: the handler is interrupted and its job given back.
   */
  private status: "wanted" | "retired" | "stopped" = "wanted"
  /**
   * What it does with its job.
   *
   * - `queued`: as many jobs run as may, and this one does not yet.
   * - `running`: the handler runs.
   * - `deciding`: the user's Schedule or Effect decides what becomes of a job that failed.
   * - `settling`: the server has refused to settle the job, and is asked again.
   */
  private phase: "queued" | "running" | "deciding" | "settling" = "running"

  constructor(pool: LanePool<A, E, R>, context: LaneContext<A, E, R>) {
    const { gate } = context.settings
    this.pool = pool
    this.context = context
    this.fiber = new UserFiber(context.runtime)
    this.gate = gate && this.pass(gate)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its life
  // -------------------------------------------------------------------------------------------------------------------

  /** Works on one connection after the other, until the lane is not needed any more. */
  get run(): Effect.Effect<void> {
    const { dedicated, log, rules } = this.context
    return keepConnected({
      log,
      metrics: dedicated.metrics,
      tube: rules.tube,
      reconnect: dedicated.reconnect,
      open: () => this.connect,
      use: (session) => this.pool.whileConnected(this.serve(session)),
      isNeeded: () => this.isNeeded,
      isSpare: () => this.pool.isSpare(this)
    })
  }

  /** Opens a connection. */
  private get connect(): Effect.Effect<ServerSession, ConnectFailed, Scope.Scope> {
    const { dedicated, rules } = this.context
    return Effect.suspend(() => {
      const startedAt = rules.timers.now()
      return dedicated.open(rules.tube, rules.timers, (ending) => this.onSessionEnd(ending)).pipe(
        Effect.tapBoth({
          onSuccess: () => {
            this.connectTime = rules.timers.now() - startedAt
            return this.pool.onConnected
          },
          onFailure: (error) => this.pool.onConnectFailed(error)
        })
      )
    })
  }

  /** Works until no more jobs are wanted on the connection, or it is lost. */
  private serve(session: ServerSession): Effect.Effect<void, Ending> {
    return Effect.gen(this, function*() {
      yield* this.context.unconfirmed.confirm(session)
      const reservations = new Reservations(this, session, this.connectTime)
      this.reservations = reservations
      yield* Effect.ensuring(Stream.runDrain(this.turns(reservations)), Effect.sync(() => this.leave(reservations)))
      if (!reservations.isRetired && this.isNeeded) yield* reservations.whenEnded
    })
  }

  /** The Stream ends with the reservations. It has no elements: a turn is run for what it does. */
  private turns(reservations: Reservations<E>): Stream.Stream<never> {
    const turn = Effect.flatMap(this.nextOf(reservations), (lease) => this.take(reservations, lease))
    return Stream.repeatEffectChunkOption(
      Effect.as(Effect.replicateEffect(turn, turnsInAChunk, { discard: true }), Chunk.empty())
    )
  }

  private leave({ isRetired }: Reservations<E>): void {
    this.reservations = undefined
    if (!isRetired && this.isNeeded) this.pool.onWaiting(this)
  }

  get isNeeded(): boolean {
    if (this.status === "stopped") return false
    return this.mustConfirm || (this.status === "wanted" && this.pool.isTaking)
  }

  /** A lane that connects sends the unconfirmed deletes again: while there are some, a lane without a connection is needed. */
  private get mustConfirm(): boolean {
    return this.isConnecting && !this.context.unconfirmed.isEmpty
  }

  // -------------------------------------------------------------------------------------------------------------------
  // a turn
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * Reserves a job, for as long as it takes. Fails with `None` once no more jobs are reserved on the connection and the last delete is
   * answered.
   */
  private nextOf(reservations: Reservations<E>): NextJob {
    const noMoreJobs: NextJob = Effect.zipRight(reservations.whenRetired, Effect.fail(Option.none()))
    const reserve: NextJob = Effect.async((resume) => {
      // The gate may have taken its time.
      if (!reservations.isReserving) return resume(noMoreJobs)
      reservations.reserve((lease) => resume(lease === undefined ? next : Effect.succeed(lease)))
    })
    const passThenReserve = this.gate === undefined ? reserve : Effect.zipRight(this.gate, reserve)
    const next: NextJob = Effect.suspend(() => {
      if (!reservations.isReserving) return noMoreJobs
      this.pool.onWaiting(this)
      return passThenReserve
    })
    return next
  }

  /** Runs the user's gate. If it dies, or interrupts itself, it runs again on another connection. */
  private pass(gate: Effect.Effect<unknown, never, R>): Effect.Effect<void> {
    return Effect.flatMap(Effect.suspend(() => this.fiber.run(gate)), (exit) => {
      const { reservations } = this
      // The lane interrupts its gate only when no more jobs are reserved on the connection.
      if (exit === undefined || Exit.isSuccess(exit) || reservations?.isReserving !== true) return Effect.void
      reservations.close()
      const { tube } = this.context.rules
      return safeLog(Effect.logError(`The gate of the worker of tube ${tube} died. It runs again.`, exit.cause))
    })
  }

  private take(reservations: Reservations<E>, lease: Lease): Effect.Effect<void> {
    this.pool.onReserved(this, lease)
    const admission = this.pool.admit(this)
    return admission === undefined ? this.begin(reservations, lease) : this.beginAfter(admission, reservations, lease)
  }

  /** Holds the job, with heartbeats, until it may run. */
  private beginAfter(
    admission: Effect.Effect<void>,
    reservations: Reservations<E>,
    lease: Lease
  ): Effect.Effect<void> {
    this.phase = "queued"
    lease.startWait()
    return Effect.flatMap(this.fiber.run(admission), (exit) => {
      const mayRun = exit !== undefined && Exit.isSuccess(exit) && this.status === "wanted" && lease.lost === undefined
      return mayRun ? this.begin(reservations, lease) : this.giveBack(reservations, lease)
    })
  }

  private begin(reservations: Reservations<E>, lease: Lease): Effect.Effect<void> {
    const { maxDisconnects } = this.context.settings
    return maxDisconnects === undefined
      ? this.perform(reservations, lease)
      : this.performUnlessCrashing(reservations, lease, maxDisconnects)
  }

  private performUnlessCrashing(
    reservations: Reservations<E>,
    lease: Lease,
    maxDisconnects: number
  ): Effect.Effect<void> {
    return this.withStats(reservations, lease, (stats) => {
      const { attempt, disconnects } = historyOf(stats)
      return disconnects < maxDisconnects
        ? this.perform(reservations, lease, attempt)
        : this.settle(reservations, lease, crashLoop(lease, stats))
    })
  }

  /** Runs the handler. The number of the run is known only if the server was asked for it. */
  private perform(reservations: Reservations<E>, lease: Lease, attempt?: number): Effect.Effect<void> {
    const { handler, observer, settings } = this.context
    if (this.mustGiveBack(lease)) return this.giveBack(reservations, lease)
    this.phase = "running"
    lease.startRun()
    lease.span = observer.startRun(lease)
    const run = Effect.matchEffect(settings.policy.decode(lease.job), {
      onFailure: (error) => Effect.fail(new Undecodable(error)),
      onSuccess: (payload) => handler(payload, new JobHandle(lease))
    })
    const { id, span } = lease
    return Effect.flatMap(this.fiber.run(run, { id, attempt, span }), (exit) => this.finish(reservations, lease, exit))
  }

  private finish(
    reservations: Reservations<E>,
    lease: Lease,
    exit: Exit.Exit<unknown, RunFailure<E>> | undefined
  ): Effect.Effect<void> {
    this.context.observer.onRunEnd(lease, exit === undefined ? undefined : Exit.mapError(exit, observedError))
    if (exit === undefined) return this.giveBack(reservations, lease)
    if (Exit.isFailure(exit)) return this.fail(reservations, lease, exit.cause)
    reservations.complete(lease)
    return Effect.void
  }

  /** Decides what becomes of a job whose run failed, and has the server do it. */
  private fail(
    reservations: Reservations<E>,
    lease: Lease,
    cause: Cause.Cause<RunFailure<E>>
  ): Effect.Effect<void> {
    lease.endRun()
    if (this.mustGiveBack(lease)) return this.giveBack(reservations, lease)
    // A handler that failed with an error of its own timed out in its finalizers: the error counts.
    const failure = lease.hasTimedOut && Cause.isInterrupted(cause) ? tookTooLong : cause
    return this.withStats(reservations, lease, (stats) => this.decide(reservations, lease, stats, failure))
  }

  private decide(
    reservations: Reservations<E>,
    lease: Lease,
    stats: JobStats,
    cause: Cause.Cause<RunFailure<E>>
  ): Effect.Effect<void> {
    this.phase = "deciding"
    lease.startDecision()
    const decision = decide(this.context.settings.policy, lease, stats, cause)
    const { id } = lease
    const { attempt } = historyOf(stats)
    return Effect.flatMap(this.fiber.run(decision, { id, attempt }), (exit) => {
      lease.endRun()
      if (exit === undefined || this.mustGiveBack(lease)) return this.giveBack(reservations, lease)
      if (Exit.isSuccess(exit)) return this.settle(reservations, lease, exit.value)
      return lease.hasTimedOut
        ? this.settle(reservations, lease, undecided(lease, stats, cause))
        : this.giveBack(reservations, lease, `nothing could be decided about it: ${Cause.pretty(exit.cause)}`)
    })
  }

  /** Has the server settle the job. While the server refuses that, the job is held, and the decision is kept. */
  private settle(reservations: Reservations<E>, lease: Lease, settlement: Settlement<E>): Effect.Effect<void> {
    const { dedicated, whenAvailable } = this.context
    const settling = reservations.settle(lease, settlement)
    return Effect.catchAll(settling, (refusal) => {
      if (this.mustGiveBack(lease)) return this.giveBack(reservations, lease, refusal.message)
      this.phase = "settling"
      const again = sendAgain(Effect.zipRight(whenAvailable, settling), refusal, dedicated.reconnect)
      return Effect.flatMap(
        this.fiber.run(again),
        () => reservations.held === lease ? this.giveBack(reservations, lease, refusal.message) : Effect.void
      )
    })
  }

  /** Goes on with the statistics of the job. Without them, it is given back. The server may refuse them for a while. */
  private withStats(
    reservations: Reservations<E>,
    lease: Lease,
    use: (stats: JobStats) => Effect.Effect<void>
  ): Effect.Effect<void> {
    const stats = untilAccepted(lease.stats, this.context.dedicated.reconnect)
    return Effect.flatMap(this.fiber.run(stats), (exit) => {
      if (exit === undefined || this.mustGiveBack(lease)) return this.giveBack(reservations, lease)
      return Exit.isSuccess(exit) ? use(exit.value) : this.giveBack(reservations, lease, Cause.pretty(exit.cause))
    })
  }

  private mustGiveBack(lease: Lease): boolean {
    return lease.lost !== undefined || this.status === "stopped"
  }

  private giveBack(reservations: Reservations<E>, lease: Lease, reason?: string): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.status !== "wanted") {
        this.context.events.record(lease, ({ id, tube }) => Event.Interrupted({ tube, id, orphaned: false }))
      }
      reservations.giveBack(lease, reason)
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what happens to it
  // -------------------------------------------------------------------------------------------------------------------

  private onSessionEnd(ending: Ending): void {
    const { reservations } = this
    if (reservations === undefined) return
    reservations.onSessionEnd(ending)
    if (reservations.held === undefined) this.fiber.interrupt()
  }

  onLost(): void {
    const isRunning = this.phase === "running" || this.phase === "deciding"
    if (this.context.settings.interruptsLost || !isRunning) this.fiber.interrupt()
  }

  onTimeout(lease: Lease): void {
    if (this.phase === "deciding") this.pool.onDecisionTimeout(lease)
    this.fiber.interrupt()
  }

  onRefused(refusal: Refusal, lease?: Lease): void {
    this.pool.onRefused(refusal, lease)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what its connection asks
  // -------------------------------------------------------------------------------------------------------------------

  isWanted(idleSeconds: number): boolean {
    return this.pool.isWanted(idleSeconds)
  }

  nextReserve(): Reserve {
    return this.pool.nextReserve()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what the pool asks and does
  // -------------------------------------------------------------------------------------------------------------------

  get isConnecting(): boolean {
    return this.reservations === undefined
  }

  get isHolding(): boolean {
    return this.reservations?.held !== undefined
  }

  /** Whether it waits because there are no jobs, and not only for the answer to the reserve that it has just sent. */
  isIdle(now: number): boolean {
    return !this.isHolding && this.reservations?.hasJustAsked(now) !== true
  }

  /**
   * Takes no more jobs. A lane that runs one, or must confirm a delete, ends by itself when that is done. A job that does not run yet is
   * given back.
   */
  retire(): void {
    if ((this.isHolding && this.phase !== "queued") || this.mustConfirm) return
    this.status = "retired"
    this.fiber.interrupt()
    if (!this.isHolding) this.reservations?.retire()
  }

  /** Interrupts the handler and gives back its job. */
  stop(): void {
    this.status = "stopped"
    this.fiber.interrupt()
  }

  /** Stops waiting for the handler, and closes the connection whatever the server has still to answer. */
  abandon(): void {
    const { fiber, reservations } = this
    const held = reservations?.held
    // Before the connection is closed, by which the lease is lost.
    if (fiber.isRunning && held !== undefined) this.pool.onAbandoned(held)
    fiber.abandon()
    reservations?.close()
  }
}

const tookTooLong = Cause.fail(new TookTooLong("The handler ran for longer than its timeout"))

/** Observers see the error of a body that does not decode as it is. */
const observedError = (failure: unknown): unknown => failure instanceof Undecodable ? failure.error : failure
