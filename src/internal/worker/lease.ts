/**
 * A job in the hands of a worker: until when it is ours, what the server must be told meanwhile, and what is known of it.
 *
 * A job that is done in no time costs nothing but its place among the appointments. The server is asked for its time to run
 * only when it takes longer, and touched from then on.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type CommandError, JobNotFound, LeaseLost, type ServerError } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { JobId, ReservedJob, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import type { ServerSession } from "../connection/connect.ts"
import { certain } from "../connection/pipelined.ts"
import type { Watcher } from "./telemetry/observer.ts"

/** The connection that holds a job. */
export interface Berth {
  readonly session: ServerSession
  /** How long, in milliseconds, the server took to answer lately: at most so long ago it has done what it answers. */
  roundTrip: number
}

/** How the jobs of a worker are held. */
export interface LeaseRules {
  readonly tube: TubeName
  readonly heart: TimerQueue
  /** Whether jobs are touched. Otherwise their handlers are interrupted a second before their time is up. */
  readonly heartbeat: boolean
  /** What the tube's jobs have for their time to run, in milliseconds. */
  readonly ttr: number
  /** How long a handler may take, in milliseconds. */
  readonly timeout: number
  /** A touch is so many milliseconds late. */
  readonly onBeat: (late: number) => void
}

/** Who is to be told. */
export interface Holder {
  onLeaseLost(lease: Lease, error: LeaseLost): void
  /** The handler has taken too long. */
  onTimeout(): void
}

/** What is asked of the server about a job. */
type Inquiry<A> = (answer: Effect.Effect<A, LeaseLost | ServerError>) => void

/** A job that takes longer, in milliseconds, is worth a question. No time to run is shorter than a second. */
const learnsAfter = 300

/** Behind an answer that was none, it is asked again so much later: twice, and the shortest lease is still held. */
const asksAgainAfter = 300

/** So late, in milliseconds, one may be woken on a clock that counts them: a lease ends so much earlier. */
const lateness = 2

/** Touches that are due within so many milliseconds go together. */
const slot = 100

const never = Number.POSITIVE_INFINITY

export class Lease implements Timer {
  deadline = never
  position = -1
  readonly job: ReservedJob
  readonly tube: TubeName
  readonly begunAt: number
  /** What the server has said of it. What counts in it does not change while it is held. */
  stats: JobStats | undefined = undefined
  /** Why it is not ours any more. */
  lost: LeaseLost | undefined = undefined
  /** Whether it has been told what became of it. */
  isTold = false
  /** Who looks on at this job alone. A map from jobs to them would be the dearest part of looking on. */
  watcher: Watcher | undefined = undefined
  /** Whether the last word on it is said, and perhaps not answered yet. */
  private isResting = false
  /** Whether it is dealt with, and cannot be lost any more. */
  private isOver = false
  private readonly rules: LeaseRules
  private readonly berth: Berth
  private readonly holder: Holder
  /** The server counts its time from here on, or later. */
  private since: number
  private learnsAt: number
  /** Whether its handler runs. */
  private isTimed = false
  private timesOutAt = never
  private touchesAt = never
  private endsAt = never
  private inquiries: Array<Inquiry<JobStats>> | undefined = undefined
  private mourners: Set<(lost: Effect.Effect<never, LeaseLost>) => void> | undefined = undefined

  constructor(job: ReservedJob, berth: Berth, rules: LeaseRules, holder: Holder) {
    const now = rules.heart.now()
    this.job = job
    this.tube = rules.tube
    this.rules = rules
    this.berth = berth
    this.holder = holder
    this.begunAt = now
    this.since = now - berth.roundTrip
    this.learnsAt = now + learnsAfter
  }

  get id(): JobId {
    return this.job.id
  }

  // what is asked of it -----------------------------------------------------------------------------------------------

  /** What the server says of it; it is asked once. */
  get asked(): Effect.Effect<JobStats, LeaseLost | ServerError> {
    return Effect.suspend(() =>
      this.stats === undefined
        ? this.unlessOver((inquiry: Inquiry<JobStats>) => this.learn(inquiry))
        : Effect.succeed(this.stats)
    )
  }

  get touched(): Effect.Effect<void, LeaseLost | ServerError> {
    return Effect.suspend(() => this.unlessOver((inquiry: Inquiry<void>) => this.touch(inquiry)))
  }

  get whenLost(): Effect.Effect<never, LeaseLost> {
    return Effect.async((resume) => {
      if (this.lost !== undefined || this.isOver) return resume(this.lost ?? this.dealtWith())
      const mourners = this.mourners ??= new Set()
      mourners.add(resume)
      return Effect.sync(() => mourners.delete(resume))
    })
  }

  /** Whatever comes late would wait behind the next reserve. */
  private unlessOver<A>(inquire: (inquiry: Inquiry<A>) => void): Effect.Effect<A, LeaseLost | ServerError> {
    if (this.lost !== undefined) return this.lost
    return this.isResting ? this.dealtWith() : Effect.async(inquire)
  }

  private dealtWith(): LeaseLost {
    return this.loss("it has been dealt with")
  }

  // its end -----------------------------------------------------------------------------------------------------------

  /** The handler begins. */
  startTiming(): void {
    const { heart, timeout } = this.rules
    this.isTimed = true
    if (timeout !== never) this.timesOutAt = heart.now() + timeout
    this.reckon()
    this.appoint()
  }

  /** The handler has ended, or is to be given no more time: only the lease goes on. */
  stopTiming(): void {
    this.isTimed = false
    this.timesOutAt = never
    if (!this.rules.heartbeat) this.touchesAt = never
    this.appoint()
  }

  /** The last word on it is about to be said: what would come behind it is in vain, and its answer means nothing. */
  rest(): void {
    this.isResting = true
    this.rules.heart.cancel(this)
  }

  /** It is dealt with. */
  over(): void {
    this.isOver = true
    this.rest()
    if (this.mourners !== undefined) this.mourn(this.lost ?? this.dealtWith())
  }

  lose(reason: string, cause?: unknown): void {
    if (this.isOver || this.lost !== undefined) return
    const lost = this.loss(reason, cause)
    this.lost = lost
    this.rest()
    this.mourn(lost)
    this.holder.onLeaseLost(this, lost)
  }

  private mourn(lost: LeaseLost): void {
    this.mourners?.forEach((mourn) => mourn(lost))
    this.mourners = undefined
  }

  /** The error that tells of it. */
  loss(reason: string, cause?: unknown): LeaseLost {
    const { id, tube } = this
    return new LeaseLost({ id, tube, address: this.berth.session.address, reason, cause })
  }

  // its time ----------------------------------------------------------------------------------------------------------

  fire(now: number): void {
    if (now >= this.endsAt) return this.runOut()
    if (now >= this.timesOutAt) this.timeOut()
    if (now >= this.learnsAt) this.learn()
    if (now >= this.touchesAt) {
      if (this.rules.heartbeat) {
        this.rules.onBeat(now - this.touchesAt)
        this.touch()
      } else {
        this.timeOut()
      }
    }
    this.appoint()
  }

  private appoint(): void {
    if (this.isResting || this.lost !== undefined) return
    this.rules.heart.set(this, Math.min(this.learnsAt, this.timesOutAt, this.touchesAt, this.endsAt))
  }

  private timeOut(): void {
    this.stopTiming()
    this.holder.onTimeout()
  }

  /** Whether or not the server knows: it may be somebody else's. Should it be ours, closing gives it back. */
  private runOut(): void {
    this.lose("its time to run was over before it could be touched")
    this.berth.session.close()
  }

  /** Its time begins anew, at the latest when the server was told. */
  private renew(since: number): void {
    this.since = Math.max(this.since, since)
    this.reckon()
  }

  /** When the lease ends, and when something must be done about it. */
  private reckon(): void {
    const { begunAt, since, stats } = this
    // As long as the server does not say, it has what the tube's jobs have, and the round trip is anybody's guess.
    const ttr = stats === undefined ? this.rules.ttr : stats.ttr * 1000
    const begun = stats === undefined ? Math.max(since, begunAt) : since
    this.endsAt = begun + ttr - lateness
    if (this.rules.heartbeat) {
      const due = begun + beat(ttr, this.berth.roundTrip)
      this.touchesAt = due - due % slot
    } else if (this.isTimed) {
      this.touchesAt = begun + Math.max(ttr - 1000, ttr / 2)
    }
  }

  // what the server is told -------------------------------------------------------------------------------------------

  private learn(inquiry?: Inquiry<JobStats>): void {
    this.learnsAt = never
    if (this.inquiries !== undefined) {
      if (inquiry !== undefined) this.inquiries.push(inquiry)
      return
    }
    const inquiries = inquiry === undefined ? [] : [inquiry]
    this.inquiries = inquiries
    this.ask(Protocol.statsJob(this.id), (exit, sentAt) => {
      this.inquiries = undefined
      if (Exit.isSuccess(exit)) this.learned(exit.value, sentAt)
      else this.learnsAt = this.rules.heart.now() + asksAgainAfter
      this.appoint()
      const answer = this.answer(exit)
      for (const inquiry of inquiries) inquiry(answer)
    })
  }

  private learned(stats: JobStats, sentAt: number): void {
    if (stats.state !== "reserved") return this.lose(`the server has it as ${stats.state}`)
    // The round trip was only a guess: it may have been another's, and the event loop may have been blocked.
    const spent = (stats.ttr - stats.timeLeft) * 1000
    const latest = this.rules.heart.now() + 1000 - spent
    this.since = Math.min(Math.max(this.since, sentAt - spent), latest)
    this.stats = stats
    this.reckon()
  }

  private touch(inquiry?: Inquiry<void>): void {
    this.touchesAt = never
    this.ask(Protocol.touch(this.id), (exit, sentAt) => {
      if (Exit.isSuccess(exit)) this.renew(sentAt)
      else this.touchesAt = this.rules.heart.now() + asksAgainAfter
      this.appoint()
      inquiry?.(this.answer(exit))
    })
  }

  /** Asks the server something about the job, to which it may say that there is none. */
  private ask<A>(
    command: Parameters<typeof certain<A, JobNotFound>>[0],
    settle: (exit: Exit.Exit<A, JobNotFound | CommandError>, sentAt: number) => void
  ): void {
    const { berth } = this
    const sentAt = this.rules.heart.now()
    berth.session.submit(certain(command), (exit) => {
      berth.roundTrip = this.rules.heart.now() - sentAt
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      if (error instanceof JobNotFound) this.lose(`the server answered ${error.command} with NOT_FOUND`, error)
      settle(exit, sentAt)
    })
  }

  /** An answer as whoever asked hears it: a connection that is lost is a lease that is lost. */
  private answer<A>(exit: Exit.Exit<A, JobNotFound | CommandError>): Effect.Effect<A, LeaseLost | ServerError> {
    if (this.lost !== undefined) return this.lost
    return Effect.mapError(exit, (error) => {
      switch (error._tag) {
        case "JobNotFound":
        case "ConnectionLost":
        case "ProtocolViolation":
          return this.loss(error.message, error)
        default:
          return error
      }
    })
  }
}

/** Of three touches two may be missed. Of a very short time to run there is no more than a half to lose. */
const beat = (ttr: number, roundTrip: number): number =>
  Math.max(ttr / 4, Math.min(ttr / 3, ttr - 1000 - 2 * roundTrip))
