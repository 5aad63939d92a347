/** One connection after the other, as long as a worker wants it: what is worked on each is a shift. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Protocol from "../../BeanstalkProtocol.ts"
import { type Lost, State } from "../client/connectionState.ts"
import { asConnectFailed } from "../client/reconnect.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import { certain } from "../connection/pipelined.ts"
import { Guest } from "./handler.ts"
import type { Lease } from "./lease.ts"
import type { Crew } from "./pool.ts"
import { type Done, Shift, type Shifter } from "./shift.ts"

/** A connection that is over, and whether it was of use. */
interface Served {
  readonly lost: Lost
  readonly wasHealthy: boolean
}

/** What a server could not be told, and which process it was. */
export interface Untold extends Done {
  readonly instance: string
}

export class Lane<E, R> implements Shifter {
  /** Whether it has no connection, and is to have one. */
  isConnecting = true
  private readonly crew: Crew<E, R>
  private readonly guest: Guest<R>
  private session: ServerSession | undefined = undefined
  private shift: Shift<E, R> | undefined = undefined
  /** Whether it takes no more jobs, whatever the others do. */
  private isRetiring = false
  private isStopped = false

  constructor(crew: Crew<E, R>) {
    this.crew = crew
    this.guest = new Guest(crew.runtime)
    this.startWaiting()
  }

  /** The job it holds. */
  get held(): Lease | undefined {
    return this.shift?.lease
  }

  /**
   * Whether it waits because there is nothing to do, if it waits. On a slow line whoever works quickly waits most of the time,
   * though only for the next job to arrive.
   */
  isIdle(now: number): boolean {
    return this.shift?.hasJustAsked(now) !== true
  }

  startWaiting(): void {
    this.crew.waiting.add(this)
  }

  stopWaiting(): void {
    this.crew.waiting.delete(this)
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
        const { lost, wasHealthy } = yield* Effect.scopedWith((scope) => this.serve(scope, attempt))
        if (!this.isWanted) break
        if (wasHealthy) {
          attempt = 0
          tidings.outageEnded()
          yield* schedule.reset
        }
        yield* tidings.lost(lost)
        if (wasHealthy && this.crew.canSpare(this)) break
        this.startWaiting()
        this.isConnecting = true
        yield* this.pause(schedule, lost)
        // Not before: who comes in its place would try again at once.
        if (!wasHealthy && this.crew.canSpare(this)) break
      }
      this.stopWaiting()
      this.isConnecting = false
    })
  }

  private get isWanted(): boolean {
    return !this.isStopped && (this.hasToTell || (this.crew.isTaking && !this.isRetiring))
  }

  private get hasToTell(): boolean {
    return this.isConnecting && this.crew.untold.length > 0
  }

  /** Opens a connection, and works on it until it is over. */
  private serve(scope: Scope.Scope, attempt: number): Effect.Effect<Served> {
    const { heart, source, tidings, tube } = this.crew
    return Effect.gen(this, function*() {
      const began = heart.now()
      // It may be over as soon as it has begun.
      let isOver = false
      const onEnd = (ending: Ending) => {
        isOver = true
        this.shift?.onDisconnect(ending)
      }
      const exit = yield* this.guest.run(Scope.extend(source.open(tube, heart, onEnd), scope))
      const opened = heart.now()
      if (exit === undefined || Exit.isFailure(exit)) {
        const failure = asConnectFailed(exit?.cause ?? Cause.empty, source.address)
        this.crew.onConnectFailed(failure)
        return { lost: State.Lost({ reason: failure.message, cause: failure }), wasHealthy: false }
      }
      const session = exit.value
      this.session = session
      const handshakeReplies = session.replyCount()
      this.crew.onConnected()
      if (!isOver) yield* tidings.connected(session.server, attempt)
      if (!isOver && !this.isStopped) {
        yield* this.tellAll(session)
        yield* this.work(session, opened - began)
      }
      session.close()
      this.session = undefined
      const lost = State.Lost(yield* session.ended)
      return { lost, wasHealthy: session.replyCount() > handshakeReplies || heart.now() - opened >= 5000 }
    })
  }

  private work(session: ServerSession, roundTrip: number): Effect.Effect<void> {
    return Effect.async((resume) => {
      const shift = new Shift(this.crew, this, this.guest, { session, roundTrip })
      this.shift = shift
      shift.begin(() => {
        this.shift = undefined
        if (shift.untold !== undefined) {
          this.crew.untold.push({ ...shift.untold, instance: session.server.id })
          this.isConnecting = true
        }
        resume(Effect.void)
      })
    })
  }

  /** Before the next attempt. A Schedule that ends, or throws, begins anew: a worker goes on. */
  private pause(schedule: Schedule.ScheduleDriver<unknown, Lost>, lost: Lost): Effect.Effect<unknown> {
    return this.guest.run(Effect.catchAllCause(schedule.next(lost), (cause) =>
      Cause.isInterrupted(cause)
        ? Effect.failCause(cause)
        : Effect.zipRight(schedule.reset, Effect.sleep("5 seconds"))))
  }

  /** Tells the server what others could not either: they need no connections of their own for that. */
  private tellAll(session: ServerSession): Effect.Effect<void> {
    this.isConnecting = false
    return Effect.forEach(this.crew.untold.splice(0), (untold) => this.tellAgain(session, untold), {
      concurrency: "unbounded",
      discard: true
    })
  }

  /**
   * The connection was lost under a delete. It is sent once more, if it is the same process that answers now: with another,
   * the id may denote another job. That nobody finds it may mean that the first was carried out.
   */
  private tellAgain(session: ServerSession, { event, instance, lease }: Untold): Effect.Effect<void> {
    if (session.server.id !== instance) {
      return Effect.sync(() =>
        this.crew.doubt(lease, "another process answers there now, in which the id may denote another job")
      )
    }
    return Effect.match(session.send(certain(Protocol.deleteJob(lease.id))), {
      onSuccess: () => this.crew.tell(lease, event),
      onFailure: ({ message }) => this.crew.doubt(lease, message)
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its end
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes no more jobs. What it holds, and what it has to tell, comes first. */
  retire(): void {
    if (this.held !== undefined || this.hasToTell) return
    this.isRetiring = true
    this.stopWaiting()
    if (this.shift === undefined) this.guest.interrupt()
    else this.shift.retire()
  }

  /** Interrupts what it does, and gives back what it holds. */
  interrupt(): void {
    this.isStopped = true
    if (this.shift !== undefined) return this.shift.interrupt()
    this.guest.interrupt()
    this.session?.close()
  }

  /** Leaves behind what cannot be interrupted. */
  abandon(): void {
    if (this.shift === undefined) this.guest.disown()
    else this.shift.abandon()
  }
}
