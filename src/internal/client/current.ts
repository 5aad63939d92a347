/**
 * Which session of many, one after the other, is open; whoever needs one while there is none waits here for the next.
 *
 * It is plain state, changed in the very moment in which a session ends, so that nobody is ever sent to a dead one. A fiber
 * waits `within` its time. Commands that no fiber waits for go on in the order in which they came, before all that comes
 * later.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { constVoid } from "effect/Function"
import { ConnectFailed } from "../../BeanstalkError.ts"
import { type Linked, LinkedList } from "../base/linkedList.ts"
import type { ServerSession } from "../connection/connect.ts"

export interface CurrentOptions {
  readonly address: string
  /** How long anybody waits for the next session, in milliseconds. */
  readonly offlineTimeout: number
  /** The time in milliseconds, on a clock that nobody sets. */
  readonly now: () => number
  /** Runs what keeps the time of those who have no fiber. */
  readonly runFork: (effect: Effect.Effect<void>) => void
}

type Next = Exit.Exit<ServerSession, ConnectFailed>

/** A command that waits without a fiber. */
interface Waiting extends Linked<Waiting> {
  readonly deadline: number
  readonly goOn: (next: Next) => void
  isOver: boolean
}

export class Current {
  /** The session that is open. */
  session: ServerSession | undefined = undefined
  /** The process behind the session, or behind the last: who knows a job by its id knows it from there. */
  instance: string | undefined = undefined
  /** Open once somebody waits. */
  readonly wanted = Effect.unsafeMakeLatch()
  private readonly options: CurrentOptions
  private next = promise()
  private readonly waiting = new LinkedList<Waiting>()
  private isKeepingTime = false
  /** Why the latest attempt of this outage failed. */
  private failure: ConnectFailed | undefined = undefined
  private isClosed = false
  /** Whether the session of the latest attempt has ended. */
  private isOver = false

  constructor(options: CurrentOptions) {
    this.options = options
  }

  startAttempt(): void {
    this.isOver = false
  }

  /** The session of the attempt is open. Succeeds unless it has ended already. */
  begin(opened: ServerSession): boolean {
    if (this.isOver) return false
    this.session = opened
    this.instance = opened.server.id
    this.failure = undefined
    this.tell(Exit.succeed(opened))
    return true
  }

  /** The session of the attempt has ended. */
  end(): void {
    this.isOver = true
    if (this.session === undefined) return
    this.session = undefined
    this.next = promise()
  }

  /** An attempt failed. Whoever waits goes on waiting, and is told why if it is in vain. */
  fail(failure: ConnectFailed): void {
    this.failure = failure
  }

  /** There are no more attempts until one is wanted again. Nobody is kept waiting for that. */
  rest(): void {
    this.wanted.unsafeClose()
    this.tell(Exit.fail(this.failure ?? gaveUp(this.options)))
    this.next = promise()
    this.failure = undefined
  }

  /** For good. */
  close(): void {
    this.isClosed = true
    this.tell(Exit.fail(closed(this.options)))
  }

  get unlessClosed(): Effect.Effect<void, ConnectFailed> {
    return Effect.suspend(() => this.isClosed ? Effect.fail(closed(this.options)) : Effect.void)
  }

  /** The session that is open, or the next, if it comes within so many milliseconds. */
  within(milliseconds: number): Effect.Effect<ServerSession, ConnectFailed> {
    return Effect.suspend(() => {
      if (this.session !== undefined) return Effect.succeed(this.session)
      if (this.isClosed) return Effect.fail(closed(this.options))
      this.wanted.unsafeOpen()
      // Its time is up in a finalizer, too.
      return Effect.timeoutFail(Effect.interruptible(Deferred.await(this.next)), {
        duration: milliseconds,
        onTimeout: () => this.failure ?? offlineForTooLong(this.options)
      })
    })
  }

  /**
   * While there is no session: calls back with the next, or with why there was none before the deadline. What comes back ends
   * the wait.
   */
  wait(deadline: number, goOn: Waiting["goOn"]): () => void {
    const waiting: Waiting = { deadline, goOn, isOver: false, previous: undefined, next: undefined }
    if (this.isClosed) {
      goOn(Exit.fail(closed(this.options)))
      return constVoid
    }
    this.waiting.push(waiting)
    if (!this.isKeepingTime) this.options.runFork(this.keepTime)
    return () => {
      if (!waiting.isOver) this.leave(waiting)
    }
  }

  private leave(waiting: Waiting): void {
    waiting.isOver = true
    this.waiting.remove(waiting)
  }

  /** The time of the first is up first. */
  private readonly keepTime = Effect.whileLoop({
    while: () => this.isKeepingTime = this.waiting.length > 0,
    body: () => Effect.exit(this.within((this.waiting.head?.deadline ?? 0) - this.options.now())),
    step: (next) => this.tellWaiting(next, this.options.now())
  })

  private tell(next: Next): void {
    Deferred.unsafeDone(this.next, next)
    this.tellWaiting(next, Number.POSITIVE_INFINITY)
  }

  /** Those whose time is up by then. Who begins to wait meanwhile has to wait. */
  private tellWaiting(next: Next, until: number): void {
    for (let left = this.waiting.length; left > 0; left -= 1) {
      const { head } = this.waiting
      if (head === undefined || head.deadline > until) return
      this.leave(head)
      head.goOn(next)
    }
  }
}

const promise = () => Deferred.unsafeMake<ServerSession, ConnectFailed>(FiberId.none)

const closed = ({ address }: CurrentOptions) =>
  new ConnectFailed({ address, reason: "Closed", detail: "the client is closed" })

const gaveUp = ({ address }: CurrentOptions) =>
  new ConnectFailed({ address, reason: "Unreachable", detail: "the connection was lost, and is not to be made again" })

const offlineForTooLong = ({ address, offlineTimeout }: CurrentOptions) =>
  new ConnectFailed({
    address,
    reason: "TimedOut",
    detail: `no connection came about within ${offlineTimeout / 1000} seconds`
  })
