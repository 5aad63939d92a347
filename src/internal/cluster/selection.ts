/** Selects a server for something other than a put, and waits for one if need be. */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import { fromCallback } from "../base/fromCallback.ts"
import type { ClusterMember } from "./member.ts"
import type { Members, Seeker } from "./members.ts"

/** A server that takes jobs, or else one that is connected. */
export const select = (members: Members): Effect.Effect<ClusterMember, ConnectFailed> =>
  fromCallback((settle) => {
    const selection = new Selection(members, settle)
    selection.seek()
    return () => selection.cancel()
  })

class Selection implements Seeker {
  deadline = Number.POSITIVE_INFINITY
  position = -1
  previous: Seeker | undefined = undefined
  next: Seeker | undefined = undefined
  private readonly members: Members
  private readonly settle: (exit: Exit.Exit<ClusterMember, ConnectFailed>) => void
  private readonly givesUpAt: number
  private isWaiting = false

  constructor(members: Members, settle: (exit: Exit.Exit<ClusterMember, ConnectFailed>) => void) {
    this.members = members
    this.settle = settle
    this.givesUpAt = members.deadline()
  }

  seek(): void {
    const member = this.members.choose(0)
    this.isWaiting = member === undefined
    if (member === undefined) this.members.wait(this, this.givesUpAt)
    else this.settle(Exit.succeed(member))
  }

  fire(): void {
    this.cancel()
    this.settle(Exit.fail(this.members.nobody()))
  }

  onClosed(error: ConnectFailed): void {
    this.isWaiting = false
    this.settle(Exit.fail(error))
  }

  cancel(): void {
    if (this.isWaiting) this.members.stopWaiting(this)
    this.isWaiting = false
  }
}
