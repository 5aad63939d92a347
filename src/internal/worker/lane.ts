/**
 * One connection that works on one job at a time.
 *
 * It takes a job, has it run, and says in one write that it is done and that the next may come. While it holds a job it waits
 * in no reserve: whatever is to be said about the job is heard at once.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { Buried, DeadlineSoon, JobNotFound, LeaseLost, TimedOut } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { ReservedJob } from "../../Job.ts"
import { certain } from "../batch.ts"
import { isOfUse, type Lost, State, toConnectFailed } from "../healing.ts"
import type { Opened } from "../opening.ts"
import type { Ending, Outcome } from "../pipeline.ts"
import { tell } from "../tidings.ts"
import type { Crew } from "./crew.ts"
import { Event, type JobEvent } from "./events.ts"
import { Guest } from "./guest.ts"
import { type Berth, type Holder, Lease } from "./lease.ts"
import type { Failed, Sentence } from "./plan.ts"
import { pastOf, Verdict } from "./verdict.ts"

/** A job that is done with, while the server may not know. */
interface Done {
  readonly lease: Lease
  /** What has become of it once the server knows. */
  readonly event: () => JobEvent
}

interface Untold extends Done {
  /** The process that could not be told. */
  readonly instance: string
}

/** A connection that is over, and whether it was of use. */
interface Served {
  readonly lost: Lost
  readonly wasOfUse: boolean
}

export class Lane<E, R> implements Holder {
  private readonly crew: Crew<E, R>
  private readonly guest: Guest<R>
  private berth: Berth | undefined = undefined
  private isConnected = false
  /** Whether it takes no more jobs, whatever the others do. */
  private isRetiring = false
  private isStopped = false
  /** Whether it waits for a job, or for a connection to wait on. */
  isWaiting = true
  private idleSince: number
  private lease: Lease | undefined = undefined
  /** Why the handler was interrupted, where it was not for the lease. */
  private interruption: "Timeout" | "Shutdown" | undefined = undefined
  /** What the server has been told, and has not answered yet. */
  private telling: Done | undefined = undefined
  private whenAnswered: () => void = constVoid
  /** What it could not be told before the connection was lost. */
  private untold: Untold | undefined = undefined

  constructor(crew: Crew<E, R>) {
    this.crew = crew
    this.guest = new Guest(crew.runtime)
    this.idleSince = crew.heart.now()
  }

  get held(): Lease | undefined {
    return this.lease
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its connections
  // -------------------------------------------------------------------------------------------------------------------

  /** Works, on one connection after the other, until it is not wanted any more. */
  get life(): Effect.Effect<void> {
    const { source, tidings } = this.crew
    return Effect.gen(this, function*() {
      const schedule = yield* Schedule.driver(source.reconnect)
      for (let attempt = 1; this.isWanted; attempt += 1) {
        const { lost, wasOfUse } = yield* this.serve(attempt)
        if (!this.isWanted) break
        if (wasOfUse) {
          attempt = 0
          tidings.outageOver()
          yield* schedule.reset
        }
        yield* tidings.lost(lost)
        // Whoever waits opens others when there is something to do.
        if (this.untold === undefined && this.crew.hasWaiting(this)) break
        yield* this.pause(schedule, lost)
      }
      const { untold } = this
      if (untold === undefined) return
      this.crew.tell(untold.lease, () => unknownCompletion(untold.lease, "it was not found out before the end"))
    })
  }

  private get isWanted(): boolean {
    return !this.isStopped && (this.untold !== undefined || (this.crew.isTaking && !this.isRetiring))
  }

  private serve(attempt: number): Effect.Effect<Served> {
    return Effect.acquireUseRelease(
      Scope.make(),
      (scope) => this.connected(scope, attempt),
      (scope) => Scope.close(scope, Exit.void)
    )
  }

  /** Opens a connection, and works on it until it is over. */
  private connected(scope: Scope.Scope, attempt: number): Effect.Effect<Served> {
    const { heart, source, tidings, tube } = this.crew
    return Effect.gen(this, function*() {
      const began = heart.now()
      this.isConnected = true
      const exit = yield* this.guest.run(
        Scope.extend(source.open(tube, (ending) => this.onDisconnect(ending)), scope)
      )
      const opened = heart.now()
      if (exit === undefined || Exit.isFailure(exit)) {
        const failure = toConnectFailed(exit === undefined ? Cause.empty : exit.cause, source.address)
        this.crew.onConnectFailed(failure)
        return { lost: State.Lost({ reason: failure.message, cause: failure }), wasOfUse: false }
      }
      const session = exit.value
      this.berth = { session, roundTrip: opened - began }
      const greeted = session.answered()
      if (this.isConnected) {
        this.crew.onConnected()
        yield* tidings.connected(session.server, attempt)
      }
      if (this.untold !== undefined) yield* this.tellAgain(session, this.untold)
      yield* this.work
      yield* this.answered
      session.close()
      const lost = State.Lost(yield* session.ended)
      return { lost, wasOfUse: isOfUse(session.answered() - greeted, heart.now() - opened) }
    })
  }

  /** Before the next attempt. A Schedule that ends, or throws, begins anew: a worker goes on. */
  private pause(schedule: Schedule.ScheduleDriver<unknown, Lost>, lost: Lost): Effect.Effect<unknown> {
    return this.guest.run(Effect.catchAllCause(schedule.next(lost), (cause) =>
      Cause.isInterrupted(cause)
        ? Effect.failCause(cause)
        : Effect.zipRight(schedule.reset, Effect.sleep("5 seconds"))))
  }

  /** Waits until the server has answered what it was told. */
  private readonly answered: Effect.Effect<void> = Effect.async((resume) => {
    if (this.telling === undefined) return resume(Effect.void)
    this.whenAnswered = () => resume(Effect.void)
  })

  private onDisconnect({ cause, reason }: Ending): void {
    this.isConnected = false
    this.lease?.lose(`the connection that held it is gone: ${reason}`, cause)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its jobs
  // -------------------------------------------------------------------------------------------------------------------

  private readonly work: Effect.Effect<void> = Effect.whileLoop({
    while: () => this.takes,
    body: () => this.turn(),
    step: constVoid
  })

  private get takes(): boolean {
    return this.isConnected && this.crew.isTaking && !this.isRetiring
  }

  private turn(): Effect.Effect<void> {
    const { gate } = this.crew.plan
    if (!this.isWaiting) {
      this.isWaiting = true
      this.crew.waiting += 1
    }
    this.idleSince = this.crew.heart.now()
    return gate === undefined
      ? this.take
      : Effect.flatMap(this.passing(gate), (passes) => passes && this.takes ? this.take : Effect.void)
  }

  /** Whether the user's gate has opened. */
  private passing(gate: Effect.Effect<unknown, never, R>): Effect.Effect<boolean> {
    return Effect.flatMap(this.guest.run(gate), (exit) => {
      if (exit !== undefined && Exit.isSuccess(exit)) return Effect.succeed(true)
      if (!this.takes || exit === undefined) return Effect.succeed(false)
      this.berth?.session.close()
      return Effect.as(
        tell(Effect.logError(`The gate of the worker of tube ${this.crew.tube} died. It is tried again.`, exit.cause)),
        false
      )
    })
  }

  private readonly reserved: Effect.Effect<Lease | undefined> = Effect.async((resume) => {
    const { berth } = this
    if (berth === undefined) return resume(nothing)
    berth.session.submit(this.crew.nextReserve(), (outcome) => {
      if (outcome._tag === "Success") resume(Effect.succeed(this.hold(outcome.value, berth)))
      else {
        this.onNoJob(outcome, berth)
        resume(nothing)
      }
    })
  })

  private readonly take: Effect.Effect<void> = Effect.flatMap(
    this.reserved,
    (lease) => lease === undefined ? Effect.void : this.begin(lease)
  )

  private hold(job: ReservedJob, berth: Berth): Lease {
    const lease = new Lease(job, berth, this.crew.rules, this)
    this.lease = lease
    this.interruption = undefined
    this.stopWaiting()
    this.crew.onHold(lease)
    return lease
  }

  private onNoJob(
    outcome: Exclude<Outcome<ReservedJob, TimedOut | DeadlineSoon>, { _tag: "Success" }>,
    berth: Berth
  ): void {
    if (outcome._tag !== "Failure" || outcome.error._tag !== "TimedOut") return berth.session.close()
    if (this.crew.isSpare(this.idleSince)) this.retire()
  }

  private begin(lease: Lease): Effect.Effect<void> {
    const { maxDisconnects } = this.crew.plan
    return maxDisconnects === undefined
      ? this.perform(lease)
      : Effect.flatMap(Effect.either(lease.asked), (asked) => {
        if (Either.isLeft(asked)) return this.surrender(lease, asked.left.message)
        const { disconnects } = pastOf(asked.right)
        return disconnects < maxDisconnects ? this.perform(lease) : this.execute(lease, {
          verdict: Verdict.Bury(),
          priority: asked.right.pri,
          event: () => Event.CrashLoop({ tube: lease.tube, id: lease.id, disconnects })
        })
      })
  }

  private perform(lease: Lease): Effect.Effect<void> {
    if (this.isOutOfOurHands(lease)) return this.surrender(lease)
    return Effect.flatMap(this.guest.run(this.crew.plan.perform(lease)), (exit) => {
      if (exit === undefined) return this.leaveBehind(lease)
      if (Exit.isFailure(exit)) return this.conclude(lease, exit.cause)
      this.finish(lease)
      return Effect.void
    })
  }

  /** The handler did not succeed: finds out what is to become of the job, and sees to it. */
  private conclude(lease: Lease, cause: Cause.Cause<Failed<E>>): Effect.Effect<void> {
    lease.stopTiming()
    if (this.isOutOfOurHands(lease)) return this.surrender(lease)
    const failure = this.interruption === "Timeout" ? tookTooLong : cause
    this.interruption = undefined
    return Effect.flatMap(this.guest.run(this.crew.plan.judge(lease, failure)), (judged) => {
      if (judged === undefined) return this.leaveBehind(lease)
      if (this.isOutOfOurHands(lease)) return this.surrender(lease)
      return Exit.isSuccess(judged)
        ? this.execute(lease, judged.value)
        : this.surrender(lease, `nothing could be learned about it: ${Cause.pretty(judged.cause)}`)
    })
  }

  private execute(lease: Lease, { event, priority, verdict }: Sentence): Effect.Effect<void> {
    const session = this.berth?.session
    if (verdict._tag === "Delete" || session === undefined) {
      return Effect.sync(() => this.finish(lease, () => event(verdict)))
    }
    lease.rest()
    const command = verdict._tag === "Bury"
      ? certain(Protocol.bury(lease.id, priority))
      : certain(Protocol.release(lease.id, { priority, delay: verdict.delay }))
    return Effect.flatMap(Effect.either(session.send<void, JobNotFound | Buried>(command)), (answer) => {
      if (Either.isLeft(answer) && answer.left._tag !== "Buried") {
        return this.surrender(
          lease,
          `the server was told in vain what is to become of it: ${answer.left.message}`,
          answer.left
        )
      }
      // For lack of memory a job may be buried that was released.
      const became = Either.isRight(answer) ? verdict : Verdict.Bury()
      return Effect.sync(() => this.settle(lease, () => event(became)))
    })
  }

  private isOutOfOurHands(lease: Lease): boolean {
    return lease.lost !== undefined || this.interruption === "Shutdown"
  }

  /** It is not ours to deal with, or we cannot. If it may still be ours, it is given back as it was. */
  private surrender(lease: Lease, reason = "it was given back", cause?: unknown): Effect.Effect<void> {
    return Effect.sync(() => {
      const mayBeOurs = lease.lost === undefined
      if (this.interruption === "Shutdown") this.settle(lease, () => interrupted(lease, false))
      lease.lose(reason, cause)
      this.settle(lease)
      if (mayBeOurs) this.berth?.session.close()
    })
  }

  /** The handler does not end, and nobody waits for it any more. */
  private leaveBehind(lease: Lease): Effect.Effect<void> {
    return Effect.sync(() => {
      this.crew.tell(lease, () => interrupted(lease, true))
      // Whoever goes on all the same is to know that somebody else may be given the job.
      lease.lose("the worker was shut down, and its handler did not end")
      this.settle(lease)
      this.berth?.session.close()
    })
  }

  private settle(lease: Lease, event?: () => JobEvent): void {
    lease.over()
    if (event !== undefined) this.crew.tell(lease, event)
    if (this.lease === lease) this.lease = undefined
  }

  onLeaseLost(lease: Lease, error: LeaseLost): void {
    this.crew.tell(lease, () => Event.LeaseLost({ tube: lease.tube, id: lease.id, error }))
    if (this.crew.plan.interruptsLost) this.guest.interrupt()
  }

  onTimeout(): void {
    this.interruption ??= "Timeout"
    this.guest.interrupt()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what is done with
  // -------------------------------------------------------------------------------------------------------------------

  /** Has a job deleted. Whoever waits for the answer has something better to do: the next reserve leaves in the same write. */
  private finish(
    lease: Lease,
    event: () => JobEvent = () => Event.Completed({ tube: lease.tube, id: lease.id })
  ): void {
    const { berth } = this
    lease.over()
    this.lease = undefined
    if (berth === undefined) return
    const done = { lease, event }
    this.telling = done
    berth.session.submit(certain(Protocol.deleteJob(lease.id)), (outcome) => this.onAnswer(done, outcome, berth))
  }

  private onAnswer(done: Done, outcome: Outcome<void, JobNotFound>, { session }: Berth): void {
    this.telling = undefined
    const { lease } = done
    if (outcome._tag === "Success") this.crew.tell(lease, done.event)
    else if (outcome._tag === "Failure") {
      const { error } = outcome
      switch (error._tag) {
        case "JobNotFound": {
          const lost = lease.loss("it was somebody else's when it was done", error)
          this.crew.tell(lease, () => Event.LeaseLost({ tube: lease.tube, id: lease.id, error: lost }))
          break
        }
        case "ConnectionLost":
        case "ProtocolViolation":
          this.untold = { ...done, instance: session.server.id }
          break
        default:
          this.crew.tell(lease, () => unknownCompletion(lease, error.message))
          session.close()
      }
    }
    this.whenAnswered()
    if (this.isRetiring) session.close()
  }

  /**
   * The connection was lost under a delete. It is sent once more, if it is the same process that answers now: with another,
   * the id may denote another job. That nobody finds it may mean that the first was carried out.
   */
  private tellAgain(session: Opened, { event, instance, lease }: Untold): Effect.Effect<void> {
    this.untold = undefined
    const unknown = (reason: string) => this.crew.tell(lease, () => unknownCompletion(lease, reason))
    if (session.server.id !== instance) {
      return Effect.sync(() => unknown("another process answers there now, in which the id may denote another job"))
    }
    return Effect.match(session.send(certain(Protocol.deleteJob(lease.id))), {
      onSuccess: () => this.crew.tell(lease, event),
      onFailure: ({ message }) => unknown(message)
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its end
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes no more jobs. What it holds, and what it has to tell, comes first. */
  retire(): void {
    if (this.lease !== undefined) return
    this.isRetiring = true
    this.stopWaiting()
    this.guest.interrupt()
    if (this.telling === undefined && this.untold === undefined) this.berth?.session.close()
  }

  /** Interrupts what it does, and gives back what it holds. */
  interrupt(): void {
    this.isStopped = true
    this.interruption = "Shutdown"
    this.guest.interrupt()
  }

  /** Leaves behind what cannot be interrupted. */
  abandon(): void {
    // Whoever is left behind is told of before its connection is closed: then its job would only be lost.
    if (!this.guest.disown()) this.berth?.session.close()
  }

  /** It waits for a job no longer: it has one, or is gone. */
  stopWaiting(): void {
    if (!this.isWaiting) return
    this.isWaiting = false
    this.crew.waiting -= 1
  }
}

const nothing = Effect.succeed(undefined)

const tookTooLong = Cause.fail(new Cause.TimeoutException("The handler took too long"))

const interrupted = ({ id, tube }: Lease, disowned: boolean) => Event.Interrupted({ tube, id, disowned })

const unknownCompletion = ({ id, tube }: Lease, reason: string) => Event.CompletionUnknown({ tube, id, reason })
