/**
 * Which session of many, one after the other, is open; whoever needs one while there is none waits here for the next.
 *
 * It is plain state, changed in the very moment in which a session ends, so that nobody is ever sent to a dead one.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { ConnectFailed } from "../BeanstalkError.ts"
import type { Opened } from "./opening.ts"

export interface CurrentOptions {
  readonly address: string
  /** How long anybody waits for the next session, in milliseconds. */
  readonly offlineTimeout: number
}

export class Current {
  /** The session that is open. */
  session: Opened | undefined = undefined
  /** The process behind the session, or behind the last: who knows a job by its id knows it from there. */
  instance: string | undefined = undefined
  /** Open once somebody waits. */
  readonly wanted = Effect.unsafeMakeLatch()
  private readonly options: CurrentOptions
  private next = promise()
  /** Why the latest attempt of this outage failed. */
  private failure: ConnectFailed | undefined = undefined
  private isClosed = false

  constructor(options: CurrentOptions) {
    this.options = options
  }

  begin(opened: Opened): void {
    this.session = opened
    this.instance = opened.server.id
    this.failure = undefined
    Deferred.unsafeDone(this.next, Exit.succeed(opened))
  }

  end(): void {
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
    Deferred.unsafeDone(this.next, Exit.fail(this.failure ?? gaveUp(this.options)))
    this.next = promise()
    this.failure = undefined
  }

  /** For good. */
  close(): void {
    this.isClosed = true
    Deferred.unsafeDone(this.next, Exit.fail(closed(this.options)))
  }

  get unlessClosed(): Effect.Effect<void, ConnectFailed> {
    return Effect.suspend(() => this.isClosed ? Effect.fail(closed(this.options)) : Effect.void)
  }

  /** The session that is open, or the next, if it comes within so many milliseconds. */
  within(milliseconds: number): Effect.Effect<Opened, ConnectFailed> {
    return Effect.suspend(() => {
      if (this.session !== undefined) return Effect.succeed(this.session)
      if (this.isClosed) return Effect.fail(closed(this.options))
      this.wanted.unsafeOpen()
      return Effect.timeoutFail(Deferred.await(this.next), {
        duration: milliseconds,
        onTimeout: () => this.failure ?? offlineForTooLong(this.options)
      })
    })
  }
}

const promise = () => Deferred.unsafeMake<Opened, ConnectFailed>(FiberId.none)

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
