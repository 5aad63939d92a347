/** Puts a job on one server of a cluster, and on another one if the first has certainly not stored it. */
import * as Exit from "effect/Exit"
import { constFalse } from "effect/Function"
import type { ConnectFailed, PutError } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import { errorOf } from "../base/errorOf.ts"
import type { PutCommand, SubmitPut } from "../client/submit.ts"
import type { Cancel } from "../connection/pipeline.ts"
import type { ClusterMember } from "./member.ts"
import type { Members, Refusal, Refusals, Seeker } from "./members.ts"

/**
 * When a job is put on another server: `"unlessStored"`, whenever it is certain that the first did not store it; `"unlessRefused"`, only
 * if it was not sent, or the first is drained.
 */
export type Moves = "unlessStored" | "unlessRefused"

export const makeSubmit = (members: Members, moves: Moves): SubmitPut => (command, settle) => {
  const placement = new Placement(command, settle, members, moves)
  placement.seek()
  return placement.cancel
}

type PutExit = Exit.Exit<JobId, PutError | ConnectFailed>

/** A class for the reason that `Submission` is one. */
class Placement implements Seeker {
  deadline = Number.POSITIVE_INFINITY
  position = -1
  previous: Seeker | undefined = undefined
  next: Seeker | undefined = undefined
  private readonly command: PutCommand
  private readonly settle: (exit: PutExit) => void
  private readonly members: Members
  private readonly moves: Moves
  private status: "seeking" | "sent" | "waiting" | "ended" = "seeking"
  /** The server that it was sent to last. */
  private member: ClusterMember | undefined = undefined
  private attemptCount = 0
  private cancelSent: Cancel = constFalse
  private refusals: Map<ClusterMember, Refusal> | undefined = undefined
  /** Why the latest attempt failed. */
  private failure: PutExit | undefined = undefined
  /** When it fails, since it could not be sent, or was refused. */
  private givesUpAt: number | undefined = undefined

  constructor(command: PutCommand, settle: (exit: PutExit) => void, members: Members, moves: Moves) {
    this.command = command
    this.settle = settle
    this.members = members
    this.moves = moves
  }

  seek(): void {
    const { failure, refusals } = this
    const member = this.members.choose(this.size, refusals)
    if (member !== undefined) return this.send(member)
    if (failure !== undefined && refusals !== undefined && !this.members.hasOther(this.size, refusals)) {
      return this.end(failure)
    }
    this.status = "waiting"
    this.members.wait(this, this.untilWhen)
  }

  private get size(): number {
    return this.command.body?.length ?? 0
  }

  private get untilWhen(): number {
    this.givesUpAt ??= this.members.deadline()
    return this.givesUpAt
  }

  private send(member: ClusterMember): void {
    this.member = member
    this.status = "sent"
    this.attemptCount += 1
    const attempt = this.attemptCount
    member.onSent()
    const cancel = member.shared.submitNow(this.command, this.onExit)
    // It may have failed at once, and been sent to another server by now.
    if (this.attemptCount === attempt) this.cancelSent = cancel
  }

  private readonly onExit = (exit: PutExit): void => {
    const { member } = this
    member?.onAnswer(exit)
    if (this.status === "ended") return
    if (Exit.isSuccess(exit) || member === undefined || !this.mayMove(member, errorOf(exit))) return this.end(exit)
    this.failure = exit
    if (this.members.isPast(this.untilWhen)) this.end(exit)
    else this.seek()
  }

  /** Whether it may be put on another server after this error. */
  private mayMove(member: ClusterMember, error: PutError | ConnectFailed | undefined): boolean {
    switch (error?._tag) {
      case "ConnectFailed":
        return true
      case "ConnectionLost":
        return error.outcome === "NotSent"
      case "Draining":
        member.onDraining()
        this.refusedBy(member, error._tag)
        return true
      case "OutOfMemory":
        member.onFull()
        this.refusedBy(member, error._tag)
        return this.moves === "unlessStored"
      case "JobTooBig":
        member.onTooBig(error.limit)
        return this.moves === "unlessStored" && this.members.hasOther(this.size, this.refusedBy(member, error._tag))
      default:
        return false
    }
  }

  private refusedBy(member: ClusterMember, refusal: Refusal): Refusals {
    this.refusals ??= new Map()
    return this.refusals.set(member, refusal)
  }

  private end(exit: PutExit): void {
    this.status = "ended"
    this.settle(exit)
  }

  /** The end of its wait. */
  fire(): void {
    this.members.stopWaiting(this)
    this.end(this.failure ?? Exit.fail(this.members.nobody()))
  }

  onClosed(error: ConnectFailed): void {
    this.end(Exit.fail(error))
  }

  /** If it is written, its answer is still awaited: until then the server owes it. */
  readonly cancel: Cancel = (unless) => {
    const { status } = this
    if (status === "waiting") this.members.stopWaiting(this)
    const isWritten = status === "ended" || (status === "sent" && !this.cancelSent("unless-written"))
    if (status === "sent" && !isWritten) this.member?.onWithdrawn()
    if (!isWritten || unless === undefined) this.status = "ended"
    return !isWritten
  }
}
