/** What a Stream of jobs has at one server: a connection that is kept open, and the job that is reserved on it. */
import * as Effect from "effect/Effect"
import { constFalse, constVoid } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { TimerQueue } from "../base/timerQueue.ts"
import * as ConnectionLog from "../client/connectionLog.ts"
import type { Dedicated } from "../client/dedicated.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import type { EventLog } from "./eventLog.ts"
import { Event, Events, isJobEvent, type Refusal } from "./events.ts"
import { keepConnected } from "./keepConnected.ts"
import type { Lease } from "./lease.ts"
import type { Reserve, Settings } from "./options.ts"
import { type Consumer, type ConsumerContext, Reservations } from "./reservations.ts"
import { mayHideJob, ServerRoom } from "./serverRoom.ts"
import { StreamSettler } from "./streamSettler.ts"
import { UnconfirmedDeletes } from "./unconfirmedDeletes.ts"

/** What the Stream has once for all its servers. */
export interface StreamContext<A, R> {
  readonly tube: TubeName
  readonly settings: Settings<A, never, R>
  readonly timers: TimerQueue
  readonly log: EventLog
  /** Runs an Effect that ends with the Stream. */
  readonly fork: (effect: Effect.Effect<void, never, R>) => void
}

/** The Stream, as the part of it at one server sees it. */
export interface Puller<A, R> {
  /** Whether a pull waits for a job. */
  readonly isPulling: boolean
  onReserved(server: ServerJobs<A, R>, lease: Lease): void
  onLost(lease: Lease): void
}

export class ServerJobs<A, R> implements Consumer<never> {
  readonly context: ConsumerContext<never>
  readonly settler: StreamSettler<A, R>
  private readonly puller: Puller<A, R>
  private readonly dedicated: Dedicated
  private readonly options: StreamContext<A, R>
  private readonly room: ServerRoom
  /** The jobs of the connection, or `undefined` while there is none. */
  private reservations: Reservations<never> | undefined = undefined
  /** No more jobs are reserved, and no more connections opened. */
  private hasEnded = false
  private reserveIndex = 0

  constructor(puller: Puller<A, R>, dedicated: Dedicated, options: StreamContext<A, R>) {
    const { fork, log, settings, timers, tube } = options
    const events = new Events<never>()
    this.puller = puller
    this.dedicated = dedicated
    this.options = options
    this.room = new ServerRoom(dedicated, tube)
    this.context = {
      rules: { ...settings.lease, tube, timers, expire: (lose) => lose(), onTouch: constVoid },
      events,
      unconfirmed: new UnconfirmedDeletes(events)
    }
    this.settler = new StreamSettler({
      policy: settings.policy,
      reconnect: dedicated.reconnect,
      whenAvailable: this.room.whenAvailable,
      holderOf: (lease) => this.held === lease ? this.reservations : undefined,
      fork
    })
    events.listen((event) => log.onEvent(event, isJobEvent(event) && this.settler.answer(event)))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its connection
  // -------------------------------------------------------------------------------------------------------------------

  /** Keeps a connection open, for as long as jobs are reserved. */
  get run(): Effect.Effect<void> {
    const { dedicated, options: { tube } } = this
    return keepConnected({
      log: ConnectionLog.make(dedicated.address),
      metrics: dedicated.metrics,
      tube,
      reconnect: dedicated.reconnect,
      open: () => this.connect,
      use: (session) => this.serve(session),
      isNeeded: () => !this.hasEnded,
      isSpare: constFalse
      // No connection follows on which a delete could be confirmed.
    }).pipe(Effect.ensuring(Effect.sync(() => this.context.unconfirmed.giveUp())))
  }

  private get connect(): Effect.Effect<ServerSession, ConnectFailed, Scope.Scope> {
    const { timers, tube } = this.options
    return this.dedicated.open(tube, timers, (ending) => this.onSessionEnd(ending)).pipe(
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
      if (this.hasEnded) reservations.retire()
      this.reserveIfPulled()
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
    this.reservations = undefined
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its job
  // -------------------------------------------------------------------------------------------------------------------

  /** The job that is reserved and not yet settled. */
  get held(): Lease | undefined {
    return this.reservations?.held
  }

  /** Reserves a job, unless one is held, or waited for. */
  reserve(): void {
    const { reservations } = this
    if (reservations === undefined || reservations.held !== undefined || reservations.isWaiting) return
    if (this.room.isFull || !reservations.isReserving) return
    reservations.reserve((lease) => {
      if (lease === undefined) this.reserveIfPulled()
      else this.puller.onReserved(this, lease)
    })
  }

  private reserveIfPulled(): void {
    if (this.puller.isPulling) this.reserve()
  }

  /** Gives back the job that is held, and the one that the server may be about to send. */
  giveBack(): void {
    const { held, reservations } = this
    if (held !== undefined) {
      this.context.events.record(held, ({ id, tube }) => Event.Interrupted({ tube, id, orphaned: false }))
      reservations?.giveBack(held)
    }
    if (reservations?.isWaiting === true) reservations.retire()
  }

  /** Reserves no more jobs. One that is held may still be settled. */
  end(): void {
    this.hasEnded = true
    this.reservations?.retire()
    this.room.giveUp()
  }

  /** Gives back the job that is held. The delete of a completed job is waited for. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.giveBack()
    this.end()
    return this.reservations?.whenRetired ?? Effect.void
  })

  // -------------------------------------------------------------------------------------------------------------------
  // what its connection asks and reports
  // -------------------------------------------------------------------------------------------------------------------

  isWanted(): boolean {
    return !this.hasEnded
  }

  nextReserve(): Reserve {
    const { reserves } = this.options.settings
    this.reserveIndex = (this.reserveIndex + 1) % reserves.length
    return reserves[this.reserveIndex]!
  }

  /** Else the next pull would wait for what has already happened, again and again. */
  onLost(lease: Lease): void {
    if (this.held === lease) this.reservations?.giveBack(lease)
    this.puller.onLost(lease)
  }

  onTimeout(lease: Lease): void {
    this.settler.onTimeout(lease)
  }

  onRefused(error: Refusal, lease?: Lease): void {
    this.context.events.emit(Event.Refused({ tube: this.options.tube, id: lease?.id, error }))
    if (!mayHideJob(error) || this.room.isFull || this.hasEnded) return
    this.options.fork(Effect.zipRight(this.room.probe, Effect.sync(() => this.reserveIfPulled())))
  }
}
