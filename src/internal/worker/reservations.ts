/**
 * The jobs of one connection, one after the other.
 *
 * No reserve is sent while a job is held: the server would answer a touch, release or bury of the job only after the reserve. The
 * delete of a completed job is not waited for: it leaves in the same write as the next reserve, so that a job takes one round trip.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import {
  type Buried,
  type CommandError,
  type DeadlineSoon,
  isServerError,
  type JobNotFound,
  type LeaseLost,
  type ServerError,
  type TimedOut
} from "../../BeanstalkError.ts"
import type { ReservedJob } from "../../Job.ts"
import { errorOf } from "../base/errorOf.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import * as Commands from "../protocol/commands.ts"
import { Decision, type Settlement } from "./decision.ts"
import { completed, Event, type Events, type JobEvent, type Refusal } from "./events.ts"
import { Lease, type LeaseConnection, type LeaseRules } from "./lease.ts"
import type { Reserve } from "./options.ts"
import type { Completed, UnconfirmedDeletes } from "./unconfirmedDeletes.ts"

/** What a worker, or a Stream of jobs, has once for all its connections. */
export interface ConsumerContext<in out E> {
  readonly rules: LeaseRules
  readonly events: Events<E>
  readonly unconfirmed: UnconfirmedDeletes<E>
}

/** What works on the jobs of a connection: a lane, or a Stream of jobs. */
export interface Consumer<in out E> {
  readonly context: ConsumerContext<E>
  /** Whether another job is to be reserved on this connection, after reserves that timed out for this many seconds. */
  isWanted(idleSeconds: number): boolean
  nextReserve(): Reserve
  /** The lease of the job that is held is lost. */
  onLost(lease: Lease): void
  /** The handler of a job has run for longer than it may. */
  onTimeout(lease: Lease): void
  /** The server has refused to reserve a job, or a command about this one. */
  onRefused(refusal: Refusal, lease?: Lease): void
}

/**
 * - `open`: jobs are reserved.
 * - `retired`: no more jobs are wanted on this connection, which closes once the job that is held is settled, and the delete that is on
 *   its way is answered.
 * - `lost`: the session has ended with something unsettled, or was closed for a failure.
 */
type Status = "open" | "retired" | "lost"

/** A server that loses a job within this many milliseconds may lose every job. */
const soon = 5000

export class Reservations<E> implements LeaseConnection {
  readonly session: ServerSession
  roundTrip: number
  /** The job that is reserved and not yet settled. */
  held: Lease | undefined = undefined
  /** Whether a reserve is sent and not yet answered. */
  isWaiting = false
  private readonly consumer: Consumer<E>
  private status: Status = "open"
  /** The delete that is sent and not yet answered. */
  private deleting: Completed<E> | undefined = undefined
  private onDeleteAnswered: ((answered: Effect.Effect<void>) => void) | undefined = undefined
  private reserveSentAt = Number.NEGATIVE_INFINITY
  private shortestWait: number | undefined = undefined
  private idleSeconds = 0
  /** Whether a reserve waited as long as it was to, or a job was settled. */
  private hasWorked = false

  /** Until the server has answered a command, the round trip, in milliseconds, is a guess. */
  constructor(consumer: Consumer<E>, session: ServerSession, roundTrip: number) {
    this.consumer = consumer
    this.session = session
    this.roundTrip = roundTrip
  }

  /** Sends one reserve. Calls back with the job, or with `undefined` if none was ready in time, or the reserve failed. */
  reserve(onAnswer: (lease: Lease | undefined) => void): void {
    const { consumer } = this
    const reserve = consumer.nextReserve()
    this.reserveSentAt = consumer.context.rules.timers.now()
    this.isWaiting = true
    this.session.submit(reserve, (exit) => {
      this.isWaiting = false
      if (Exit.isSuccess(exit)) return onAnswer(this.hold(exit.value))
      this.idleSeconds += reserve.blocksFor
      this.onNotReserved(reserve, errorOf(exit))
      onAnswer(undefined)
    })
  }

  private onNotReserved({ blocksFor }: Reserve, error: DeadlineSoon | TimedOut | CommandError | undefined): void {
    const waited = this.consumer.context.rules.timers.now() - this.reserveSentAt
    if (error?._tag === "TimedOut" && waited >= blocksFor * 500) {
      this.hasWorked = true
    } else if (error === undefined || error._tag === "ConnectionLost" || error._tag === "ProtocolViolation") {
      this.close()
    } else {
      this.consumer.onRefused(error)
      this.closeRefused(error)
    }
  }

  get isReserving(): boolean {
    return this.status === "open" && this.consumer.isWanted(this.idleSeconds)
  }

  private hold(job: ReservedJob): Lease {
    const lease = new Lease(job, this, this.consumer.context.rules)
    const waited = lease.reservedAt - this.reserveSentAt
    lease.wasReady = waited <= 2 * this.roundTrip
    this.held = lease
    // How long the first reserve waits says nothing of the server: the round trip of the handshake is taken instead.
    this.shortestWait = Math.min(this.shortestWait ?? this.roundTrip, waited)
    this.idleSeconds = 0
    return lease
  }

  /** Retires, and waits for the answer to the delete that is on its way. */
  readonly whenRetired: Effect.Effect<void> = Effect.async((resume) => {
    this.retire()
    if (this.deleting === undefined) resume(Effect.void)
    else this.onDeleteAnswered = resume
  })

  /** Whether the latest reserve was sent a shorter time ago than any reserve took: the server may have a job for it. */
  hasJustAsked(now: number): boolean {
    return this.shortestWait !== undefined && now - this.reserveSentAt < this.shortestWait
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the end of a job
  // -------------------------------------------------------------------------------------------------------------------

  /** Has a job deleted. The answer is not waited for. */
  complete(lease: Lease, event: Completed<E>["event"] = completed): void {
    const deleting = { lease, event }
    lease.settled()
    this.held = undefined
    this.deleting = deleting
    this.session.submit(Commands.deleteJob(lease.id), (exit) => this.onDeleted(deleting, exit))
  }

  private onDeleted(deleted: Completed<E>, exit: Exit.Exit<void, JobNotFound | CommandError>): void {
    const { event, lease } = deleted
    const { events, unconfirmed } = this.consumer.context
    this.deleting = undefined
    const error = errorOf(exit)
    if (Exit.isSuccess(exit)) {
      this.hasWorked = true
      events.record(lease, event)
    } else if (error?._tag === "JobNotFound") {
      const lost = lease.lossBecause(
        "the server answered delete with NOT_FOUND: the job was not reserved any more",
        error
      )
      this.recordLost(lease, lost)
      this.closeIfLostSoon(lease, lost)
    } else if (isServerError(error)) {
      // A reserve may wait on this connection, behind which no other command about the job would be answered.
      unconfirmed.add(deleted)
      this.consumer.onRefused(error, lease)
      this.closeRefused(error)
    } else if (error === undefined) {
      unconfirmed.recordUnknown(lease, Cause.pretty(exit.cause))
      this.close()
    } else {
      unconfirmed.add(deleted)
      this.status = "lost"
    }
    if (this.isReserving) return
    // The answer to a reserve that is on its way may follow, with a job that is not wanted any more.
    this.session.close()
    this.onDeleteAnswered?.(Effect.void)
  }

  /** Carries out what was decided, and waits until the server has. If the server refuses it, the job is held as before. */
  settle(lease: Lease, settlement: Settlement<E>): Effect.Effect<void, ServerError> {
    const { decision, event, priority } = settlement
    if (lease.lost !== undefined) return Effect.sync(() => this.giveBack(lease))
    if (decision._tag === "Delete") return Effect.sync(() => this.complete(lease, () => event(decision)))
    const command = decision._tag === "Bury"
      ? Commands.bury(lease.id, priority)
      : Commands.release(lease.id, priority, Duration.toSeconds(decision.delay))
    return Effect.async((resume) => {
      lease.settling()
      this.session.submit<void, JobNotFound | Buried>(command, (exit) => {
        resume(this.onSettled(lease, settlement, exit))
      })
    })
  }

  private onSettled(
    lease: Lease,
    { decision, event }: Settlement<E>,
    exit: Exit.Exit<void, JobNotFound | Buried | CommandError>
  ): Effect.Effect<void, ServerError> {
    if (Exit.isSuccess(exit)) return this.endAs(lease, event(decision))
    const error = errorOf(exit)
    // A server that is out of memory buries a job that was to be released.
    if (error?._tag === "Buried") return this.endAs(lease, event(Decision.Bury()))
    if (isServerError(error)) return this.refuse(lease, error)
    if (error?._tag === "JobNotFound") lease.loseNotFound(error)
    this.giveBack(
      lease,
      `the server did not carry out what was decided: ${error?.message ?? Cause.pretty(exit.cause)}`,
      error
    )
    return Effect.void
  }

  private refuse(lease: Lease, error: ServerError): Effect.Effect<void, ServerError> {
    lease.refused(error)
    this.consumer.onRefused(error, lease)
    return Effect.fail(error)
  }

  private endAs(lease: Lease, event: JobEvent<E>): Effect.Effect<void> {
    lease.settled()
    this.held = undefined
    this.hasWorked = true
    this.consumer.context.events.record(lease, () => event)
    if (this.isRetired) this.retire()
    return Effect.void
  }

  /** Ends the reservation without a command. Unless the lease is lost, closing the connection gives the job back as it was. */
  giveBack(lease: Lease, reason = "the job was given back", cause?: unknown): void {
    const { lost } = lease
    lease.lose(reason, cause)
    lease.settled()
    this.held = undefined
    if (lost === undefined) this.close()
    else this.closeIfLostSoon(lease, lost)
    if (this.isRetired) this.retire()
  }

  private recordLost(lease: Lease, error: LeaseLost): void {
    this.consumer.context.events.record(lease, ({ id, tube }) => Event.LeaseLost({ tube, id, error }))
  }

  onLost(lease: Lease, error: LeaseLost): void {
    this.recordLost(lease, error)
    if (this.held === lease) this.consumer.onLost(lease)
  }

  onRefused(refusal: ServerError, lease: Lease): void {
    this.consumer.onRefused(refusal, lease)
  }

  onTimeout(lease: Lease): void {
    this.consumer.onTimeout(lease)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the end of the connection
  // -------------------------------------------------------------------------------------------------------------------

  get isRetired(): boolean {
    return this.status === "retired"
  }

  /** Takes no more jobs, and closes the connection when the job that is held is settled, and the delete that is on its way is answered. */
  retire(): void {
    if (this.status === "open") this.status = "retired"
    if (this.held === undefined && this.deleting === undefined) this.session.close()
  }

  /** Closes the connection at once. */
  close(ending?: Ending): void {
    if (this.status === "open") this.status = "lost"
    this.session.close(ending)
  }

  private closeRefused(cause: Refusal | LeaseLost): void {
    this.close({ reason: `it was closed on this side: ${cause.message}`, cause, wasRefused: true })
  }

  /** Else a server that sends a job again and again, and then does not know it, would be asked for it without a pause. */
  private closeIfLostSoon({ reservedAt }: Lease, lost: LeaseLost): void {
    const heldFor = this.consumer.context.rules.timers.now() - reservedAt
    if (!this.hasWorked && heldFor < soon) this.closeRefused(lost)
  }

  /** Fails once the connection is lost. A reply is no sign of health: a server that sends jobs may refuse to settle any. */
  get whenEnded(): Effect.Effect<never, Ending> {
    return Effect.flatMap(this.session.ended, (ending) => Effect.fail({ ...ending, hasWorked: this.hasWorked }))
  }

  /** The session has ended, for whatever reason. */
  onSessionEnd({ cause, reason }: Ending): void {
    if (this.status === "open") this.status = "lost"
    this.held?.lose(`the connection that reserved it is lost: ${reason}`, cause)
  }
}
