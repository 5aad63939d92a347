/**
 * The jobs of a tube as a Stream, for programs with a loop of their own: a Stream of `next`, on a connection that one fiber
 * keeps open.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constFalse, constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BeanstalkClient } from "../../BeanstalkClient.ts"
import { Buried, type ConnectFailed, type LeaseLost, type WorkerStartError } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { Tube } from "../../Tube.ts"
import { type AnyFiber, isInterrupted } from "../base/fiberState.ts"
import * as TimerQueue from "../base/timerQueue.ts"
import * as ConnectionLog from "../client/connectionLog.ts"
import type { Dedicated } from "../client/dedicated.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import { crashLoop, decide, historyOf, type Settlement } from "./decision.ts"
import { oneServerOfClient } from "./dedicatedOfClient.ts"
import * as EventLog from "./eventLog.ts"
import { Event, Events, isJobEvent, type JobEvent, type Refusal } from "./events.ts"
import { Bury, RetryAfter, type RunFailure, TookTooLong, Undecodable } from "./failure.ts"
import { keepConnected } from "./keepConnected.ts"
import type { Lease } from "./lease.ts"
import { checkOptions, type Options, type Reserve, type Settings } from "./options.ts"
import { untilAccepted } from "./refusals.ts"
import { type Consumer, type ConsumerContext, Reservations } from "./reservations.ts"
import { mayHideJob, ServerRoom } from "./serverRoom.ts"
import { Reservation, type Settler } from "./streamReservation.ts"
import { UnconfirmedDeletes } from "./unconfirmedDeletes.ts"

/** See `Worker.JobsOptions`. */
export interface JobsOptions
  extends Pick<Options<never, never>, "heartbeat" | "maxDisconnects" | "onUndecodable" | "reserveSlice">
{}

export const jobs = <A, R>(
  tube: Tube<A, R>,
  options: JobsOptions = {}
): Stream.Stream<Reservation<A>, WorkerStartError, BeanstalkClient | R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const settings = yield* checkOptions<A, R, never>(tube, options)
    const dedicated = yield* oneServerOfClient(tube.name)
    const annotated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.annotateLogs(EventLog.annotated(effect), { tube: tube.name })
    const source = new JobSource<A, R>({
      tube: tube.name,
      settings,
      dedicated,
      timers: yield* TimerQueue.make,
      runtime: yield* annotated(Effect.interruptible(Effect.runtime<R>())),
      connected: yield* Effect.makeLatch(),
      scope: yield* Effect.scope
    })
    yield* Effect.forkScoped(annotated(Effect.interruptible(source.keepConnected)))
    yield* Effect.forkScoped(Effect.interruptible(Effect.zipRight(dedicated.workers.whenClosing, source.end)))
    yield* Effect.addFinalizer(() => source.close)
    return Stream.repeatEffectOption(source.next)
  }))

interface SourceOptions<A, R> {
  readonly tube: TubeName
  readonly settings: Settings<A, never, R>
  readonly dedicated: Dedicated
  readonly timers: TimerQueue.TimerQueue
  readonly runtime: Runtime.Runtime<R>
  /** Open while there is a connection. */
  readonly connected: Effect.Latch
  /** The fibers of the Stream's own end with it. */
  readonly scope: Scope.Scope
}

class JobSource<A, R> implements Consumer<never>, Settler {
  readonly context: ConsumerContext<never>
  readonly gate = undefined
  readonly onWaiting = constVoid
  private readonly options: SourceOptions<A, R>
  private readonly room: ServerRoom
  /** The jobs of the connection, or `undefined` while there is none. */
  private reservations: Reservations<never> | undefined = undefined
  /** The client is closed. No more jobs are reserved, and no more connections opened. */
  private hasEnded = false
  /** The callers of `delete`, `bury` and `release`, by the job for whose event they wait. */
  private readonly waiting = new Map<JobId, (event: JobEvent<never>) => void>()
  private reserveIndex = 0
  /** The fiber that pulled last. */
  private puller: AnyFiber | undefined = undefined
  /** Whether it waits for a job, or for its body to be decoded. */
  private isPulling = false

  constructor(options: SourceOptions<A, R>) {
    const { dedicated, runtime, settings, timers, tube } = options
    const events = new Events<never>()
    this.options = options
    this.room = new ServerRoom(dedicated, tube)
    this.context = {
      rules: { ...settings.lease, tube, timers, expire: (lose) => lose(), onTouch: constVoid },
      events,
      unconfirmed: new UnconfirmedDeletes(events)
    }
    const log = EventLog.make(runtime, { tube, concurrency: 1, runs: undefined, now: timers.now })
    events.listen((event) => log.onEvent(event, isJobEvent(event) && this.answer(event)))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its connection
  // -------------------------------------------------------------------------------------------------------------------

  /** Keeps one connection open. */
  get keepConnected(): Effect.Effect<void> {
    const { connected, dedicated, tube } = this.options
    return keepConnected({
      log: ConnectionLog.make(dedicated.address),
      metrics: dedicated.metrics,
      tube,
      reconnect: dedicated.reconnect,
      open: () => this.connect,
      use: (session) => this.serve(session),
      isNeeded: () => !this.hasEnded,
      isSpare: constFalse
    }).pipe(Effect.zipRight(connected.open))
  }

  private get connect(): Effect.Effect<ServerSession, ConnectFailed, Scope.Scope> {
    const { dedicated, timers, tube } = this.options
    return dedicated.open(tube, timers, (ending) => this.onSessionEnd(ending)).pipe(
      Effect.tapError(({ reason }) =>
        Effect.sync(() => {
          this.hasEnded ||= reason === "Closed"
        })
      )
    )
  }

  private serve(session: ServerSession): Effect.Effect<never, Ending> {
    return Effect.gen(this, function*() {
      yield* this.context.unconfirmed.confirm(session)
      const reservations = new Reservations(this, session, 0)
      this.reservations = reservations
      yield* this.options.connected.open
      return yield* reservations.whenEnded
      // The session may have ended before there were reservations on it, while deletes were confirmed.
    }).pipe(Effect.ensuring(Effect.sync(() => this.disconnect())))
  }

  private onSessionEnd(ending: Ending): void {
    const { reservations } = this
    this.disconnect()
    reservations?.onSessionEnd(ending)
  }

  private disconnect(): void {
    this.options.connected.unsafeClose()
    this.reservations = undefined
  }

  isWanted(): boolean {
    return !this.hasEnded
  }

  nextReserve(): Reserve {
    const { reserves } = this.options.settings
    this.reserveIndex = (this.reserveIndex + 1) % reserves.length
    return reserves[this.reserveIndex]!
  }

  /** Else the next pull would wait for what has already happened, again and again. */
  onLost(): void {
    const { reservations } = this
    if (reservations?.held !== undefined) reservations.giveBack(reservations.held)
  }

  onTimeout(lease: Lease): void {
    this.fork(this.settleFailure(lease, timedOut))
  }

  onRefused(error: Refusal, lease?: Lease): void {
    this.context.events.emit(Event.Refused({ tube: this.options.tube, id: lease?.id, error }))
    if (mayHideJob(error) && !this.room.isFull && !this.hasEnded) this.fork(this.room.probe)
  }

  private fork(effect: Effect.Effect<void, never, R>): void {
    const { runtime, scope } = this.options
    Runtime.runFork(runtime)(effect, { scope })
  }

  /** Ends the Stream. A job that is held may still be settled. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.hasEnded = true
    if (this.reservations?.held === undefined) this.reservations?.retire()
    return Effect.zipRight(this.room.giveUp, this.options.connected.open)
  })

  /** Gives back the job that is held. The delete of a completed job is waited for. */
  readonly close: Effect.Effect<void> = Effect.gen(this, function*() {
    const { reservations } = this
    this.observe(undefined)
    if (reservations !== undefined) {
      this.giveBackHeld(reservations)
      yield* reservations.whenRetired
    }
    this.context.unconfirmed.giveUp()
  })

  private giveBackHeld(reservations: Reservations<never>): void {
    const { held } = reservations
    if (held === undefined) return
    this.context.events.record(held, ({ id, tube }) => Event.Interrupted({ tube, id, orphaned: false }))
    reservations.giveBack(held)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its jobs
  // -------------------------------------------------------------------------------------------------------------------

  /** The next job, once the one before is settled. */
  readonly next: Effect.Effect<Reservation<A>, Option.Option<never>, R> = Effect.withFiberRuntime((fiber) => {
    const { reservations } = this
    if (reservations === undefined) {
      return this.hasEnded ? Effect.fail(Option.none()) : Effect.zipRight(this.options.connected.await, this.next)
    }
    const { held } = reservations
    if (held !== undefined) return Effect.zipRight(Effect.ignore(held.whenLost), this.next)
    if (this.room.isFull) return Effect.zipRight(this.room.whenAvailable, this.next)
    this.observe(fiber)
    this.isPulling = true
    return Effect.matchEffect(Effect.flatMap(reservations.next, this.deliver), this.onPulled)
  })

  private readonly onPulled = {
    onFailure: () => {
      this.isPulling = false
      return this.next
    },
    onSuccess: (reservation: Reservation<A>) => {
      this.isPulling = false
      return Effect.succeed(reservation)
    }
  }

  /** Observes the fiber that pulls. `Effect.onInterrupt` around each pull takes 10 µs for each job more, of some 45. */
  private observe(fiber: AnyFiber | undefined): void {
    if (fiber === this.puller) return
    this.puller?.removeObserver(this.onPullerEnd)
    fiber?.addObserver(this.onPullerEnd)
    this.puller = fiber
  }

  /**
   * The Stream may be pulled again after a pull that was interrupted, for which nothing stays reserved. The interruption may
   * have come after the job: its fiber was interrupted before it could do anything with it, or while it did.
   */
  private readonly onPullerEnd = (): void => {
    const { isPulling, puller, reservations } = this
    this.isPulling = false
    if (puller === undefined || reservations === undefined || !isInterrupted(puller)) return
    this.giveBackHeld(reservations)
    if (isPulling) reservations.retire()
  }

  /** Fails with `None` if the job does not appear in the Stream. */
  private readonly deliver = (lease: Lease): Effect.Effect<Reservation<A>, Option.Option<never>, R> => {
    const { maxDisconnects } = this.options.settings
    if (maxDisconnects === undefined) return this.decode(lease)
    return Effect.matchEffect(this.statsOf(lease), {
      onFailure: ({ message }) => Effect.zipRight(this.giveBack(lease, message), noJob),
      onSuccess: (stats) =>
        historyOf(stats).disconnects < maxDisconnects
          ? this.decode(lease)
          : Effect.zipRight(this.settle(lease, crashLoop(lease, stats)), noJob)
    })
  }

  /** A Schema may take its time, in which the job is touched, or may be lost. */
  private decode(lease: Lease): Effect.Effect<Reservation<A>, Option.Option<never>, R> {
    lease.startRun()
    return Effect.matchCauseEffect(this.options.settings.policy.decode(lease.job), {
      onSuccess: (payload) => isOver(lease) ? noJob : Effect.succeed(new Reservation(payload, lease, this)),
      onFailure: (cause) =>
        isOver(lease)
          ? noJob
          : Effect.zipRight(this.settleFailure(lease, Cause.map(cause, (error) => new Undecodable(error))), noJob)
    })
  }

  private settleFailure(lease: Lease, cause: Cause.Cause<RunFailure<never>>): Effect.Effect<void, never, R> {
    return Effect.suspend(() => {
      // If the time to run were over before it is decided what becomes of the job, it would be settled twice.
      lease.endRun()
      return Effect.matchEffect(this.statsOf(lease), {
        onFailure: ({ message }) => this.giveBack(lease, message),
        onSuccess: (stats) =>
          Effect.flatMap(
            decide(this.options.settings.policy, lease, stats, cause),
            (settlement) => this.settle(lease, settlement)
          )
      })
    })
  }

  /** The statistics of the job. The server may refuse them for a while. */
  private statsOf(lease: Lease): Effect.Effect<JobStats, LeaseLost> {
    return untilAccepted(lease.stats, this.options.dedicated.reconnect)
  }

  private settle(lease: Lease, settlement: Settlement<never>): Effect.Effect<void> {
    const settling = Effect.suspend(() => this.holderOf(lease)?.settle(lease, settlement) ?? Effect.void)
    return untilAccepted(Effect.zipRight(this.room.whenAvailable, settling), this.options.dedicated.reconnect)
  }

  private giveBack(lease: Lease, reason: string): Effect.Effect<void> {
    return Effect.sync(() => this.holderOf(lease)?.giveBack(lease, reason))
  }

  private holderOf(lease: Lease): Reservations<never> | undefined {
    return this.reservations?.held === lease ? this.reservations : undefined
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what the program decides
  // -------------------------------------------------------------------------------------------------------------------

  complete(lease: Lease): Effect.Effect<void, LeaseLost> {
    return this.whileHeld(lease, (reservations) => Effect.sync(() => reservations.complete(lease)))
  }

  delete(lease: Lease): Effect.Effect<void, LeaseLost> {
    return Effect.asVoid(this.untilEnded(lease, (reservations) => reservations.complete(lease)))
  }

  bury(lease: Lease): Effect.Effect<void, LeaseLost> {
    return Effect.asVoid(this.settleAs(lease, new Bury()))
  }

  release(lease: Lease, delay: Duration.Duration): Effect.Effect<void, LeaseLost | Buried> {
    return Effect.flatMap(
      this.settleAs(lease, new RetryAfter({ delay })),
      ({ _tag }) =>
        _tag === "Buried"
          ? new Buried({ command: "release", address: lease.connection.session.address, id: lease.id })
          : Effect.void
    )
  }

  /** Does what a worker does when a handler fails with this. */
  private settleAs(lease: Lease, order: Bury | RetryAfter): Effect.Effect<JobEvent<never>, LeaseLost> {
    return this.untilEnded(lease, () => {
      this.fork(this.settleFailure(lease, Cause.fail(order)))
    })
  }

  /** Tells the caller of `delete`, `bury` or `release` how its job ended, if there is a caller. */
  private answer(event: JobEvent<never>): boolean {
    const onEvent = this.waiting.get(event.id)
    this.waiting.delete(event.id)
    onEvent?.(event)
    return onEvent !== undefined
  }

  /** Begins to end a reservation, and waits for its event. */
  private untilEnded(
    lease: Lease,
    settle: (reservations: Reservations<never>) => void
  ): Effect.Effect<JobEvent<never>, LeaseLost> {
    return this.whileHeld(lease, (reservations) =>
      Effect.async((resume) => {
        this.waiting.set(lease.id, (event) => resume(answerOf(lease, event)))
        settle(reservations)
      }))
  }

  private whileHeld<A>(
    lease: Lease,
    settle: (reservations: Reservations<never>) => Effect.Effect<A, LeaseLost>
  ): Effect.Effect<A, LeaseLost> {
    return Effect.suspend(() => {
      if (lease.lost !== undefined) return lease.lost
      if (lease.hasTimedOut) return lease.lossBecause("its time to run was over, and the job was released")
      const reservations = this.holderOf(lease)
      return reservations === undefined || this.waiting.has(lease.id)
        ? lease.alreadySettled()
        : settle(reservations)
    })
  }
}

/** How a reservation ended, for the caller of the method that was to end it. */
const answerOf = (lease: Lease, event: JobEvent<never>): Effect.Effect<JobEvent<never>, LeaseLost> => {
  switch (event._tag) {
    case "LeaseLost":
      return event.error
    case "Interrupted":
      return lease.lossBecause("the Stream has ended")
    case "CompletionUnknown":
      return lease.lossBecause(event.reason)
    default:
      return Effect.succeed(event)
  }
}

const noJob = Effect.fail(Option.none())

/** Whether the lease is lost, or the job is being released because its time to run was over. */
const isOver = (lease: Lease): boolean => lease.lost !== undefined || lease.hasTimedOut

const timedOut = Cause.fail(new TookTooLong("The job was not settled within its time to run"))
