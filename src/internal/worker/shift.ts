/**
 * The work on one connection, one job at a time.
 *
 * A job is taken, handed to its handler, and when that is done the server is told so in one write with the question for the
 * next. While a job is held no reserve is waited in: whatever is to be said about it is heard at once. Nothing here waits in
 * a fiber but what the user wrote, and each thing that comes calls for the next.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import type { Buried, CommandError, DeadlineSoon, JobNotFound, LeaseLost, TimedOut } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { ReservedJob } from "../../Job.ts"
import type { Ending } from "../connection/pipeline.ts"
import { certain } from "../connection/pipelined.ts"
import { pastOf, Verdict } from "./decision.ts"
import { Event, type JobEvent } from "./events.ts"
import type { Guest } from "./handler.ts"
import { type Berth, type Holder, Lease } from "./lease.ts"
import type { Failed, Sentence } from "./plan.ts"
import type { Crew } from "./pool.ts"

/** A job that is done with, while the server may not know. */
export interface Done {
  readonly lease: Lease
  /** What has become of it once the server knows. */
  readonly event: () => JobEvent
}

/** Whose shift it is. */
export interface Shifter {
  startWaiting(): void
  stopWaiting(): void
  /** It is not needed any more. */
  retire(): void
}

export class Shift<E, R> implements Holder {
  readonly berth: Berth
  /** The job at hand. */
  lease: Lease | undefined = undefined
  /** What the server could not be told before the connection was lost. */
  untold: Done | undefined = undefined
  private readonly crew: Crew<E, R>
  private readonly guest: Guest<R>
  private readonly lane: Shifter
  private isConnected = true
  private isEnding = false
  /** Why the handler was interrupted, where it was not for the lease. */
  private interruption: "Timeout" | "Shutdown" | undefined = undefined
  /** What the server has been told, and has not answered yet. */
  private telling: Done | undefined = undefined
  /** Whether the user's gate has not said yet whether it is open. */
  private isAtGate = false
  /** When it asked for a job last. */
  private askedAt = Number.NEGATIVE_INFINITY
  /** How long, in milliseconds, it took at least to be given one. */
  private quickest: number | undefined = undefined
  /** For how many seconds it has asked in vain. */
  private idle = 0
  private onEnd: () => void = constVoid

  constructor(crew: Crew<E, R>, lane: Shifter, guest: Guest<R>, berth: Berth) {
    this.crew = crew
    this.lane = lane
    this.guest = guest
    this.berth = berth
  }

  /** Works until the connection is over, or no more jobs are to be taken, everything said is answered and the gate is left. */
  begin(onEnd: () => void): void {
    this.onEnd = onEnd
    this.next()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // a job
  // -------------------------------------------------------------------------------------------------------------------

  private get takes(): boolean {
    return this.isConnected && this.crew.isTaking && !this.isEnding
  }

  private next(): void {
    // Quiet as it is, it ends: should jobs be taken again before the last answer, it is by another.
    if (this.isConnected && !this.crew.isTaking) this.lane.retire()
    if (!this.takes) return this.endOnceAnswered()
    this.lane.startWaiting()
    const { gate } = this.crew.plan
    if (gate === undefined) this.reserve()
    else {
      this.isAtGate = true
      this.guest.host(gate, (exit) => this.pass(exit))
    }
  }

  /** The user's gate has opened, or was given up. */
  private pass(exit: Exit.Exit<unknown> | undefined): void {
    this.isAtGate = false
    if (!this.takes || exit === undefined) return this.next()
    if (Exit.isSuccess(exit)) return this.reserve()
    this.crew.complain("The gate of a worker died. It is tried again.", exit.cause)
    this.close()
    this.next()
  }

  /** Whether it has asked for a job, and could not have been given one yet, even if there are many. */
  hasJustAsked(now: number): boolean {
    return this.quickest !== undefined && now - this.askedAt < this.quickest
  }

  private reserve(): void {
    const reserve = this.crew.nextReserve()
    this.askedAt = this.crew.heart.now()
    this.berth.session.submit(reserve, (exit) => {
      if (Exit.isSuccess(exit)) return this.take(exit.value)
      this.idle += reserve.blocksFor
      this.lookAt(exit.cause)
      this.next()
    })
  }

  /** There was no job. That may be nothing, or worse. */
  private lookAt(cause: Cause.Cause<TimedOut | DeadlineSoon | CommandError>): void {
    if (!Cause.isFailType(cause) || cause.error._tag !== "TimedOut") this.close()
    else if (this.crew.isSpare(this.idle)) this.lane.retire()
  }

  private take(job: ReservedJob): void {
    const lease = new Lease(job, this.berth, this.crew.rules, this)
    this.lease = lease
    // The first may have been long in coming.
    this.quickest = Math.min(this.quickest ?? this.berth.roundTrip, lease.begunAt - this.askedAt)
    this.idle = 0
    this.interruption = undefined
    this.lane.stopWaiting()
    this.crew.onHold(lease)
    if (this.crew.plan.maxDisconnects === undefined) this.perform(lease)
    else this.inspect(lease, this.crew.plan.maxDisconnects)
  }

  /** Buries a job that has lost its worker too often. */
  private inspect(lease: Lease, maxDisconnects: number): void {
    this.guest.host(lease.asked, (asked) => {
      if (asked === undefined) return this.leaveBehind(lease)
      if (Exit.isFailure(asked)) return this.surrender(lease, Cause.pretty(asked.cause))
      const { disconnects } = pastOf(asked.value)
      if (disconnects < maxDisconnects) return this.perform(lease)
      this.execute(lease, {
        verdict: Verdict.Bury(),
        priority: asked.value.pri,
        event: () => Event.CrashLoop({ tube: lease.tube, id: lease.id, disconnects })
      })
    })
  }

  private perform(lease: Lease): void {
    if (this.isOutOfOurHands(lease)) return this.surrender(lease)
    lease.startTiming()
    const span = this.crew.beginSpan(lease)
    const onEnd = (exit: Exit.Exit<unknown, Failed<E>> | undefined) => {
      this.crew.onRun(lease, exit)
      if (exit === undefined) return this.leaveBehind(lease)
      if (Exit.isFailure(exit)) return this.judge(lease, exit.cause)
      this.finish(lease, () => Event.Completed({ tube: lease.tube, id: lease.id }))
    }
    this.guest.host(this.crew.plan.perform(lease), onEnd, span)
  }

  /** The handler did not succeed: finds out what is to become of the job. */
  private judge(lease: Lease, cause: Cause.Cause<Failed<E>>): void {
    lease.stopTiming()
    if (this.isOutOfOurHands(lease)) return this.surrender(lease)
    // What had failed by itself has only cleaned up for too long.
    const failure = this.interruption === "Timeout" && Cause.isInterrupted(cause) ? tookTooLong : cause
    this.interruption = undefined
    this.guest.host(this.crew.plan.judge(lease, failure), (judged) => {
      if (judged === undefined) return this.leaveBehind(lease)
      if (this.isOutOfOurHands(lease)) return this.surrender(lease)
      if (Exit.isSuccess(judged)) return this.execute(lease, judged.value)
      this.surrender(lease, `nothing could be learned about it: ${Cause.pretty(judged.cause)}`)
    })
  }

  private execute(lease: Lease, { event, priority, verdict }: Sentence): void {
    if (verdict._tag === "Delete") return this.finish(lease, () => event(verdict))
    lease.rest()
    const command = verdict._tag === "Bury"
      ? Protocol.bury(lease.id, priority)
      : Protocol.release(lease.id, { priority, delay: verdict.delay })
    this.berth.session.submit<void, JobNotFound | Buried>(certain(command), (exit) => {
      if (Exit.isSuccess(exit)) return this.settle(lease, () => event(verdict))
      if (!Cause.isFailType(exit.cause)) return this.surrender(lease, Cause.pretty(exit.cause))
      const { error } = exit.cause
      // For lack of memory a job may be buried that was released.
      if (error._tag === "Buried") return this.settle(lease, () => event(Verdict.Bury()))
      if (error._tag === "JobNotFound") lease.lose("it was somebody else's when it was to be dealt with", error)
      this.surrender(lease, `the server was told in vain what is to become of it: ${error.message}`, error)
    })
  }

  private isOutOfOurHands(lease: Lease): boolean {
    return lease.lost !== undefined || this.interruption === "Shutdown"
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the end of a job
  // -------------------------------------------------------------------------------------------------------------------

  /** Has a job deleted. Nobody waits for the answer: the next reserve leaves in the same write. */
  private finish(lease: Lease, event: () => JobEvent): void {
    const done = { lease, event }
    lease.over()
    this.lease = undefined
    this.telling = done
    this.berth.session.submit(certain(Protocol.deleteJob(lease.id)), (exit) => this.onAnswer(done, exit))
    this.next()
  }

  private onAnswer(done: Done, exit: Exit.Exit<void, JobNotFound | CommandError>): void {
    const { event, lease } = done
    this.telling = undefined
    if (Exit.isSuccess(exit)) this.crew.tell(lease, event)
    else if (!Cause.isFailType(exit.cause)) this.doubt(lease, Cause.pretty(exit.cause))
    else {
      const { error } = exit.cause
      switch (error._tag) {
        case "JobNotFound":
          this.onLeaseLost(lease, lease.loss("it was somebody else's when it was done", error))
          break
        case "ConnectionLost":
        case "ProtocolViolation":
          this.untold = done
          break
        default:
          this.doubt(lease, error.message)
      }
    }
    if (!this.takes) this.endOnceAnswered()
  }

  /** Whether it is deleted is not known. */
  private doubt(lease: Lease, reason: string): void {
    this.crew.doubt(lease, reason)
    this.close()
  }

  /** Something else has become of it than to be deleted. */
  private settle(lease: Lease, event: () => JobEvent): void {
    lease.over()
    this.crew.tell(lease, event)
    this.lease = undefined
    this.next()
  }

  /** It is not ours to deal with, or we cannot. If it may still be ours, it is given back as it was. */
  private surrender(lease: Lease, reason = "it was given back", cause?: unknown): void {
    const mayBeOurs = lease.lost === undefined
    if (this.interruption === "Shutdown") {
      this.crew.tell(lease, () => Event.Interrupted({ tube: lease.tube, id: lease.id, disowned: false }))
    }
    lease.lose(reason, cause)
    lease.over()
    this.lease = undefined
    if (mayBeOurs) this.close()
    this.next()
  }

  /** Its handler does not end, and nobody waits for it any more. */
  private leaveBehind(lease: Lease): void {
    this.crew.leaveBehind(lease)
    this.surrender(lease)
  }

  onLeaseLost(lease: Lease, error: LeaseLost): void {
    this.crew.tell(lease, () => Event.LeaseLost({ tube: lease.tube, id: lease.id, error }))
    if (this.lease === lease && this.crew.plan.interruptsLost) this.guest.interrupt()
  }

  onTimeout(): void {
    this.interruption ??= "Timeout"
    this.guest.interrupt()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the end of the shift
  // -------------------------------------------------------------------------------------------------------------------

  onDisconnect({ cause, reason }: Ending): void {
    this.isConnected = false
    if (this.lease === undefined) this.guest.interrupt()
    else this.lease.lose(`the connection that held it is gone: ${reason}`, cause)
  }

  /** Takes no more jobs. What it holds, and what it has said, comes first. */
  retire(): void {
    if (this.lease !== undefined) return
    this.isEnding = true
    this.guest.interrupt()
    if (this.telling === undefined) this.close()
  }

  /** Interrupts what it does, and gives back what it holds. */
  interrupt(): void {
    this.isEnding = true
    this.interruption = "Shutdown"
    this.guest.interrupt()
  }

  /** Ends it, whatever it does. */
  abandon(): void {
    this.guest.disown()
    this.close()
  }

  private close(): void {
    this.isConnected = false
    this.berth.session.close()
  }

  private endOnceAnswered(): void {
    if (this.telling !== undefined || this.isAtGate) return
    // A job may be behind the last answer: it must not come to somebody who has gone.
    this.close()
    const { onEnd } = this
    this.onEnd = constVoid
    onEnd()
  }
}

const tookTooLong = Cause.fail(new Cause.TimeoutException("The handler took too long"))
