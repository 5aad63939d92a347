/**
 * A job that a worker holds: until when, what the server is asked about it meanwhile, and whether the lease is lost.
 *
 * For a job that ends within 300 ms nothing is sent. The server is asked for the job's time to run only when the job
 * takes longer, and the job is touched from then on.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type CommandError, isServerError, JobNotFound, LeaseLost, type ServerError } from "../../BeanstalkError.ts"
import type { JobId, ReservedJob, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import { errorOf } from "../base/errorOf.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import type { HeldJob, Outcome, RunSpan } from "./telemetry/observer.ts"

/** The connection that reserved the job. */
export interface LeaseConnection {
  readonly session: ServerSession
  /** How long, in milliseconds, the server took for its latest answer: what it answers happened at most that long ago. */
  roundTrip: number
  onLost(lease: Lease, error: LeaseLost): void
  /** The server has refused a command about the job, which goes on. */
  onRefused(refusal: ServerError, lease: Lease): void
  /** The handler has run for longer than it may. */
  onTimeout(lease: Lease): void
}

/** How the leases of a worker are kept. Times are in milliseconds. */
export interface LeaseRules {
  readonly tube: TubeName
  readonly timers: TimerQueue
  /** Runs what loses a lease, so that what it resumes runs before what was to run already. */
  readonly expire: (lose: () => void) => void
  /** Whether jobs are touched. If not, their handlers are interrupted a second before their time to run is over. */
  readonly heartbeat: boolean
  /** The time to run of a job until the server has answered how much it has. */
  readonly ttr: number
  /** How long a handler may run. */
  readonly timeout: number
  /** How long the user's Schedule and Effects may take to decide what becomes of a job that failed. */
  readonly decisionTimeout: number
  /** Called with how many milliseconds too late a job is touched. */
  readonly onTouch: (lateness: number) => void
}

/**
 * - `held`: the job is reserved by this connection, as far as is known.
 * - `settling`: the command that ends the reservation is sent. No other command about the job is sent: the next reserve may be
 *   in front of it, and delay its answer.
 * - `settled`: the reservation has ended as it was to end, and cannot be lost any more.
 * - a `LeaseLost`: the job is not reserved by this connection any more, for this reason.
 */
type Status = "held" | "settling" | "settled" | LeaseLost

type Callback<A> = (answer: Effect.Effect<A, LeaseLost | ServerError>) => void

/** How long, in milliseconds, a job is held before the server is asked about it. A time to run is at least a second. */
const asksAfter = 300

/** The delay in milliseconds before a `stats-job` or touch that failed is repeated. It doubles each time. */
const asksAgainAfter = 300
const longestAskPause = 10_000

/** How late, in milliseconds, a timer of a Clock that counts whole milliseconds can be. A lease is taken to end that much earlier. */
const clockLateness = 2

/** Touches that are due within the same interval, in milliseconds, leave together. */
const touchInterval = 100

const never = Number.POSITIVE_INFINITY

export class Lease implements Timer, HeldJob {
  deadline = never
  position = -1
  readonly job: ReservedJob
  readonly tube: TubeName
  readonly reservedAt: number
  readonly connection: LeaseConnection
  /** Whether the server had the job when it was asked: there may be more. */
  wasReady = false
  /** The event that was emitted for the job: one for each reservation. */
  outcome: Outcome | undefined = undefined
  span: RunSpan | undefined = undefined
  /** Whether its handler, or what decides about it, ran for too long, and is interrupted for that. */
  hasTimedOut = false
  /** The latest answer by which the server refused to end the reservation. */
  refusal: ServerError | undefined = undefined
  private status: Status = "held"
  private readonly rules: LeaseRules
  /** The statistics once the server has answered. The counters in it do not change while the job is held. */
  private known: JobStats | undefined = undefined
  /** The server counts the time to run from then on, or later. */
  private countedFrom: number
  /** The server counts it from then on, or earlier: its answer to the reserve, or to the latest touch, arrived then. */
  private countedBy: number
  private asksAt: number
  private askPause = asksAgainAfter
  private touchPause = asksAgainAfter
  /** Whether the handler is to begin once others have ended. */
  private isWaiting = false
  /** When the handler began, while it runs. */
  private runsSince: number | undefined = undefined
  /** When the handler is interrupted: after its timeout, or, without heartbeat, shortly before the time to run is over. */
  private timesOutAt = never
  private touchesAt = never
  private endsAt = never
  private asking: Array<Callback<JobStats>> | undefined = undefined
  private lostListeners: Set<(lost: Effect.Effect<never, LeaseLost>) => void> | undefined = undefined

  constructor(job: ReservedJob, connection: LeaseConnection, rules: LeaseRules) {
    const now = rules.timers.now()
    this.job = job
    this.tube = rules.tube
    this.rules = rules
    this.connection = connection
    this.reservedAt = now
    this.countedFrom = now - connection.roundTrip
    this.countedBy = now
    this.asksAt = now + asksAfter
    this.updateTimes()
  }

  get id(): JobId {
    return this.job.id
  }

  get address(): string {
    return this.connection.session.address
  }

  /** Why the job is not reserved by this connection any more. Its time may be over before the timer has fired. */
  get lost(): LeaseLost | undefined {
    if (this.status === "held" && this.rules.timers.now() >= this.endsAt) this.runOut()
    return typeof this.status === "string" ? undefined : this.status
  }

  // what handlers and observers ask -----------------------------------------------------------------------------------

  /** The statistics of the job. The server is asked once. */
  get stats(): Effect.Effect<JobStats, LeaseLost | ServerError> {
    return Effect.suspend(() =>
      this.lost ?? (this.known === undefined
        ? this.whileHeld<JobStats>((callback) => this.ask(callback))
        : Effect.succeed(this.known))
    )
  }

  get touch(): Effect.Effect<void, LeaseLost | ServerError> {
    return Effect.suspend(() => this.whileHeld<void>((callback) => this.sendTouch(callback)))
  }

  /** Fails once the lease is lost, or the job is settled. */
  get whenLost(): Effect.Effect<never, LeaseLost> {
    return Effect.async((resume) => {
      const { lost } = this
      if (lost !== undefined) return resume(lost)
      if (this.status === "settled") return resume(this.alreadySettled())
      const listeners = this.lostListeners ??= new Set()
      listeners.add(resume)
      return Effect.sync(() => listeners.delete(resume))
    })
  }

  private whileHeld<A>(send: (callback: Callback<A>) => void): Effect.Effect<A, LeaseLost | ServerError> {
    if (this.lost !== undefined) return this.lost
    return this.status === "held" ? Effect.async(send) : this.alreadySettled()
  }

  alreadySettled(): LeaseLost {
    return this.lossBecause("the job is settled already")
  }

  // its end -----------------------------------------------------------------------------------------------------------

  /** The handler does not begin yet. Until then the job is touched in any case. */
  startWait(): void {
    this.isWaiting = true
    this.updateTimes()
    this.setTimer()
  }

  /** The handler begins. */
  startRun(): void {
    const { heartbeat, timeout, timers } = this.rules
    const hasWaited = this.isWaiting
    this.isWaiting = false
    this.runsSince = timers.now()
    this.timesOutAt = this.runsSince + timeout
    if (!heartbeat) {
      this.touchesAt = never
      this.updateTimes()
    }
    this.setTimer()
    // The handler has the whole time to run.
    if (hasWaited && !heartbeat) this.sendTouch()
  }

  /** It begins to be decided what becomes of the job. */
  startDecision(): void {
    const { decisionTimeout, timers } = this.rules
    this.hasTimedOut = false
    this.timesOutAt = timers.now() + decisionTimeout
    this.setTimer()
  }

  /** What ran has ended, or is being interrupted: there is no timeout any more, and touches go on until the job is settled. */
  endRun(): void {
    this.runsSince = undefined
    this.timesOutAt = never
    this.setTimer()
  }

  /** The command that ends the reservation is about to be sent. */
  settling(): void {
    if (this.status === "held") this.status = "settling"
    this.rules.timers.cancel(this)
  }

  /** The server has refused that command, and the job is held as before. */
  refused(refusal: ServerError): void {
    this.refusal = refusal
    if (this.status !== "settling") return
    this.status = "held"
    this.setTimer()
  }

  settled(): void {
    this.settling()
    if (this.status === "settling") this.status = "settled"
    if (this.lostListeners !== undefined) this.notifyLost(this.lost ?? this.alreadySettled())
  }

  lose(reason: string, cause?: unknown): void {
    if (this.status !== "held" && this.status !== "settling") return
    const lost = this.lossBecause(reason, cause)
    this.status = lost
    this.rules.timers.cancel(this)
    this.rules.expire(() => {
      this.notifyLost(lost)
      this.connection.onLost(this, lost)
    })
  }

  loseNotFound(error: JobNotFound): void {
    const { refusal } = this
    const before = refusal === undefined
      ? ""
      : `, after it had refused ${refusal.command} (${refusal._tag}): it may keep the job where no command finds it until it is ` +
        `restarted`
    this.lose(`the server answered ${error.command} with NOT_FOUND${before}`, error)
  }

  private notifyLost(lost: LeaseLost): void {
    this.lostListeners?.forEach((resume) => resume(lost))
    this.lostListeners = undefined
  }

  lossBecause(reason: string, cause?: unknown): LeaseLost {
    const { id, tube } = this
    return new LeaseLost({ id, tube, address: this.address, reason, cause })
  }

  // its time ----------------------------------------------------------------------------------------------------------

  fire(now: number): void {
    if (now >= this.endsAt) return this.runOut()
    if (now >= this.timesOutAt) this.timeOut()
    if (now >= this.asksAt) this.ask()
    if (now >= this.touchesAt) {
      this.rules.onTouch(now - this.touchesAt)
      this.sendTouch()
    }
    this.setTimer()
  }

  private setTimer(): void {
    if (this.status !== "held") return
    this.rules.timers.set(this, Math.min(this.asksAt, this.timesOutAt, this.touchesAt, this.endsAt))
  }

  private timeOut(): void {
    this.endRun()
    this.hasTimedOut = true
    this.connection.onTimeout(this)
  }

  /** The server may have given the job to another worker. If it has not, closing the connection gives the job back. */
  private runOut(): void {
    this.lose("its time to run was over before it could be touched")
    this.connection.session.close()
  }

  /** The time to run begins anew, at the latest when the touch was sent. */
  private renew(sentAt: number): void {
    this.countedFrom = Math.max(this.countedFrom, sentAt)
    this.countedBy = this.rules.timers.now()
    this.touchPause = asksAgainAfter
    this.updateTimes()
  }

  private updateTimes(): void {
    const { countedFrom, known, reservedAt } = this
    // Until the server has answered, the job is taken to have its tube's time to run, and the round trip is a guess.
    const ttr = known === undefined ? this.rules.ttr : known.ttr * 1000
    const begun = known === undefined ? Math.max(countedFrom, reservedAt) : countedFrom
    this.endsAt = begun + ttr - clockLateness
    if (this.rules.heartbeat || this.isWaiting) {
      const due = begun + touchAfter(ttr, this.connection.roundTrip)
      this.touchesAt = due - due % touchInterval
    } else if (this.runsSince !== undefined) {
      this.timesOutAt = Math.min(this.runsSince + this.rules.timeout, begun + Math.max(ttr - 1000, ttr / 2))
    }
  }

  // what the server is asked ------------------------------------------------------------------------------------------

  private ask(callback?: Callback<JobStats>): void {
    this.asksAt = never
    if (this.asking !== undefined) {
      if (callback !== undefined) this.asking.push(callback)
      return
    }
    const callbacks = callback === undefined ? [] : [callback]
    this.asking = callbacks
    this.send(Commands.statsJob(this.id), (exit, sentAt) => {
      this.asking = undefined
      if (Exit.isSuccess(exit)) this.learn(exit.value, sentAt)
      else this.askLater()
      this.setTimer()
      const answer = this.answerOf(exit)
      for (const callback of callbacks) callback(answer)
    })
  }

  private askLater(): void {
    this.asksAt = this.rules.timers.now() + this.askPause
    this.askPause = Math.min(2 * this.askPause, longestAskPause)
  }

  private learn(stats: JobStats, sentAt: number): void {
    if (stats.state !== "reserved") return this.lose(`the server has it as ${stats.state}`)
    // More exact than the round trip, which may be another command's, or include the time of a blocked event loop.
    const spent = (stats.ttr - stats.timeLeft) * 1000
    const latest = this.rules.timers.now() + 1000 - spent
    // If the time to run was over, and another connection has reserved the job since, the server tells about that reservation.
    this.countedFrom = Math.min(Math.max(this.countedFrom, sentAt - spent), latest, this.countedBy)
    this.known = stats
    this.updateTimes()
  }

  private sendTouch(callback?: Callback<void>): void {
    this.touchesAt = never
    this.send(Commands.touch(this.id), (exit, sentAt) => {
      if (Exit.isSuccess(exit)) this.renew(sentAt)
      else if (this.rules.heartbeat || this.isWaiting) this.touchLater()
      this.setTimer()
      callback?.(this.answerOf(exit))
    })
  }

  /** Also a few times in what is left of a short lease. */
  private touchLater(): void {
    const now = this.rules.timers.now()
    this.touchesAt = now + Math.min(this.touchPause, Math.max((this.endsAt - now) / 4, asksAgainAfter))
    this.touchPause = Math.min(2 * this.touchPause, longestAskPause)
  }

  /** Sends a command about the job. If the server answers NOT_FOUND, the lease is lost. */
  private send<A>(
    command: Command<A, JobNotFound>,
    onAnswer: (exit: Exit.Exit<A, JobNotFound | CommandError>, sentAt: number) => void
  ): void {
    const { connection } = this
    const sentAt = this.rules.timers.now()
    connection.session.submit(command, (exit) => {
      connection.roundTrip = this.rules.timers.now() - sentAt
      const error = errorOf(exit)
      if (error instanceof JobNotFound) this.loseNotFound(error)
      if (isServerError(error)) connection.onRefused(error, this)
      onAnswer(exit, sentAt)
    })
  }

  /** With its connection the lease is lost too. */
  private answerOf<A>(exit: Exit.Exit<A, JobNotFound | CommandError>): Effect.Effect<A, LeaseLost | ServerError> {
    return this.lost ?? Effect.mapError(exit, (error) => {
      switch (error._tag) {
        case "JobNotFound":
        case "ConnectionLost":
        case "ProtocolViolation":
          return this.lossBecause(error.message, error)
        default:
          return error
      }
    })
  }
}

/** After a third of the ttr, so that two of three touches may fail; earlier, but not before a quarter, if the ttr is short. */
const touchAfter = (ttr: number, roundTrip: number): number =>
  Math.max(ttr / 4, Math.min(ttr / 3, ttr - 1000 - 2 * roundTrip))
