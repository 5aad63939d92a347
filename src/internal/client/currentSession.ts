/**
 * The session that commands are sent on now, and the commands that wait for the next one.
 *
 * It is plain state, which changes in the callback in which a session begins or ends, so that no command is submitted to a
 * session that has ended, and so that waiting commands are sent in the order in which they came, before all later ones.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { Trouble } from "../base/healthOf.ts"
import { type Linked, LinkedList } from "../base/linkedList.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import type { ServerSession } from "../connection/connect.ts"
import { type Ending, ReplyTimedOut } from "../connection/pipeline.ts"
import type { Command } from "../protocol/command.ts"
import type { ClientMetrics } from "./clientMetrics.ts"

export interface CurrentSessionOptions {
  readonly address: string
  /** How long a command waits for the next session, in milliseconds. */
  readonly offlineTimeout: number
  readonly timers: TimerQueue
  readonly metrics: ClientMetrics | undefined
}

type Next = Exit.Exit<ServerSession, ConnectFailed>

/** `Closed` is final. */
type Status = Data.TaggedEnum<{
  Disconnected: {}
  Connecting: {}
  Connected: { readonly session: ServerSession }
  Closed: {}
}>

const Status = Data.taggedEnum<Status>()

/** A command that waits for the next session, until its deadline. */
interface Waiter extends Timer, Linked<Waiter> {
  isWaiting: boolean
  /** The span that waits, if one does. */
  readonly span: Tracer.AnySpan | undefined
  readonly settle: (next: Next) => void
}

export class CurrentSession {
  /** Open while a session is wanted: opened by the first command that waits for one. */
  readonly wanted = Effect.unsafeMakeLatch()
  /** The instance id of the server of the current session, or else of the last one: the server that issued the ids of jobs. */
  instance: string | undefined = undefined
  private readonly options: CurrentSessionOptions
  private status: Status = Status.Disconnected()
  /** Why the latest attempt of this outage failed. */
  private failure: ConnectFailed | undefined = undefined
  /** Why the latest session has ended. */
  private ending: Ending = { reason: "it was closed" }
  private readonly waiters = new LinkedList<Waiter>()
  /** Since when a session is wanted and there is none. */
  private disconnectedSince: number | undefined = undefined

  constructor(options: CurrentSessionOptions) {
    this.options = options
  }

  get session(): ServerSession | undefined {
    return this.status._tag === "Connected" ? this.status.session : undefined
  }

  /** Fails once the client is closed. */
  get unlessClosed(): Effect.Effect<void, ConnectFailed> {
    return Effect.suspend(() => this.status._tag === "Closed" ? this.closed() : Effect.void)
  }

  /** The span of the command that waits for the longest time, of those that have one. */
  get waitingSpan(): Tracer.AnySpan | undefined {
    let waiter = this.waiters.head
    while (waiter !== undefined && waiter.span === undefined) waiter = waiter.next
    return waiter?.span
  }

  /** What keeps commands from being sent. */
  get trouble(): Trouble | undefined {
    if (this.status._tag === "Closed") return { _tag: "Closed", reason: "the client is closed" }
    if (this.disconnectedSince === undefined) return undefined
    const { address } = this.options
    return {
      _tag: "Disconnected",
      since: this.disconnectedSince,
      reason: this.failure?.message ?? `there is no connection to beanstalkd at ${address}`
    }
  }

  // what the reconnect loop does --------------------------------------------------------------------------------------

  startAttempt(): void {
    this.disconnectedSince ??= this.options.timers.now()
    if (this.status._tag === "Disconnected") this.status = Status.Connecting()
  }

  /** The attempt has opened a session. False if the session has ended already, or the client is closed. */
  begin(session: ServerSession): boolean {
    if (this.status._tag !== "Connecting") return false
    this.status = Status.Connected({ session })
    this.disconnectedSince = undefined
    this.instance = session.server.id
    this.failure = undefined
    this.settleWaiters(Exit.succeed(session))
    return true
  }

  /** The session that the attempt has opened, or was opening, has ended. */
  end(ending: Ending): void {
    if (this.status._tag === "Closed") return
    this.ending = ending
    this.status = Status.Disconnected()
    this.disconnectedSince ??= this.options.timers.now()
  }

  /** The attempt has failed. Commands go on waiting for the next one. */
  attemptFailed(failure: ConnectFailed): void {
    this.failure = failure
  }

  /** Fails the commands that wait. There is no further attempt until another command waits. */
  giveUp(): void {
    const failure = this.failure ?? this.gaveUp()
    this.failure = undefined
    this.disconnectedSince = undefined
    this.wanted.unsafeClose()
    this.settleWaiters(Exit.fail(failure))
  }

  close(): void {
    this.status = Status.Closed()
    this.settleWaiters(Exit.fail(this.closed()))
  }

  // what commands do --------------------------------------------------------------------------------------------------

  /** The time at which a wait that starts now times out. */
  deadline(): number {
    return this.options.timers.now() + this.options.offlineTimeout
  }

  /**
   * Calls `settle` with the next session, or with why there was none before the deadline. The returned function ends the
   * wait.
   */
  awaitNext(deadline: number, settle: Waiter["settle"], span?: Tracer.AnySpan): () => void {
    if (this.status._tag === "Closed") {
      settle(Exit.fail(this.closed()))
      return constVoid
    }
    const waiter: Waiter = {
      settle,
      span,
      isWaiting: true,
      deadline,
      position: -1,
      fire: () => this.settleWaiter(waiter, Exit.fail(this.failure ?? this.timedOut())),
      previous: undefined,
      next: undefined
    }
    this.waiters.push(waiter)
    this.options.timers.set(waiter, deadline)
    this.wanted.unsafeOpen()
    return () => this.remove(waiter)
  }

  /** There was no session for a command before its deadline. */
  onNotSent(command: Command<unknown, unknown>, deadline: number): void {
    const { metrics, offlineTimeout, timers } = this.options
    metrics?.onNotSent(command, "ConnectFailed", timers.now() - (deadline - offlineTimeout))
  }

  /** Why there is no session now. */
  get unavailable(): ConnectFailed {
    if (this.status._tag === "Closed") return this.closed()
    return this.failure ?? this.failed("Unreachable", "there is no connection at this moment")
  }

  private remove(waiter: Waiter): void {
    if (!waiter.isWaiting) return
    waiter.isWaiting = false
    this.waiters.remove(waiter)
    this.options.timers.cancel(waiter)
  }

  private settleWaiter(waiter: Waiter, next: Next): void {
    this.remove(waiter)
    waiter.settle(next)
  }

  /** If the session ends again meanwhile, commands that start to wait then are left to wait for the session after it. */
  private settleWaiters(next: Next): void {
    for (let left = this.waiters.length; left > 0; left -= 1) {
      const { head } = this.waiters
      if (head === undefined) return
      this.settleWaiter(head, next)
    }
  }

  // errors ------------------------------------------------------------------------------------------------------------

  private closed(): ConnectFailed {
    return this.failed("Closed", "the client is closed")
  }

  private gaveUp(): ConnectFailed {
    const { cause, reason } = this.ending
    return this.failed(
      cause instanceof ReplyTimedOut ? "TimedOut" : "Unreachable",
      `the connection was lost (${reason}), and the reconnect Schedule is done`
    )
  }

  private timedOut(): ConnectFailed {
    return this.failed("TimedOut", `no connection was open within ${this.options.offlineTimeout / 1000} seconds`)
  }

  private failed(reason: ConnectFailed["reason"], detail: string): ConnectFailed {
    return new ConnectFailed({ address: this.options.address, reason, detail })
  }
}
