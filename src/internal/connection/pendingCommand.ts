import * as Exit from "effect/Exit"
import { type CommandError, type ConnectionLost, ProtocolViolation } from "../../BeanstalkError.ts"
import type { Linked } from "../base/linkedList.ts"
import type { Batch, Command, Decoded } from "../protocol/command.ts"
import type { Reply } from "../protocol/reply.ts"
import type { RecentExchanges } from "./recentExchanges.ts"

/**
 * A command, or a batch, between its submission and its last result. It has no type parameters, so that commands of all types fit
 * into one queue. The commands of a batch are written and answered in order.
 */
export interface PendingCommand extends Linked<PendingCommand> {
  /**
   * `Queued`: nothing of it is written. `InFlight`: some of it is written, and not all is answered. `Abandoned`: in flight, but its
   * caller no longer wants the results. `SettledWithJob`: it has reserved a job.
   */
  state: "Queued" | "InFlight" | "Abandoned" | "Settled" | "SettledWithJob"
  /** That of its first command. */
  readonly name: string
  readonly isSettled: boolean
  /** The command that is written next. */
  readonly unwritten: Command<unknown, unknown>
  /** The command that is answered next. */
  readonly unanswered: Command<unknown, unknown>
  readonly isWritten: boolean
  /** Whether a command was answered with a job. */
  readonly hasJob: boolean
  /** Notes that {@link unwritten} is written. */
  onWritten(): void
  /** Leaves out the commands that are not written. */
  withdraw(): void
  /** Settles {@link unanswered} with the reply of the server. A protocol violation is reported with the exchanges before it. */
  answer(reply: Reply, address: string, before: RecentExchanges): Decoded<unknown, unknown>
  /** Settles {@link unanswered} without a reply. */
  fail(error: ConnectionLost): void
  /** Settles the commands that are not written. */
  die(defect: Error): void
}

/**
 * Called with the result of each command, and with what says which one it is: what a command was submitted with, or the index in the
 * batch. So one function can serve many commands, where a closure for each would be most of what is kept of a command in flight.
 */
export type Settle<A, E, Which> = (exit: Exit.Exit<A, E | CommandError>, which: Which) => void

/** The pipeline in which a command is. */
interface Owner {
  readonly cancel: (entry: PendingCommand, unless?: "unless-written") => boolean
}

/** A command that was submitted. */
export interface Submitted {
  /**
   * It is not written if it is not yet, and its result is dropped. With `"unless-written"` nothing happens to one that is written.
   * Returns whether it is not and will not be written.
   */
  cancel(unless?: "unless-written"): boolean
}

/** `settle` is called once with the result, unless the command is abandoned or withdrawn by then. */
export const pendingOne = <A, E, Which>(
  command: Command<A, E>,
  settle: Settle<A, E, Which>,
  which: Which,
  owner: Owner
): PendingCommand & Submitted => new PendingOne(command, settle, which, owner)

/** `settle` is called once with each result, in order, unless the batch is abandoned or withdrawn by then. */
export const pendingBatch = <A, E>(batch: Batch<A, E>, settle: Settle<A, E, number>): PendingCommand =>
  new PendingBatch(batch, settle)

abstract class Pending<A, E> {
  state: PendingCommand["state"] = "Queued"
  previous: PendingCommand | undefined = undefined
  next: PendingCommand | undefined = undefined

  abstract get unanswered(): Command<A, E>

  abstract finish(exit: Exit.Exit<A, E | CommandError>, withJob?: boolean): void

  answer(reply: Reply, address: string, before: RecentExchanges) {
    const command = this.unanswered
    const decoded = withExchanges(command.decode(reply, address), before)
    if (decoded._tag === "Success") this.finish(Exit.succeed(decoded.value), command.reserves)
    else this.finish(Exit.fail(decoded.error))
    return decoded
  }

  fail(error: ConnectionLost): void {
    this.finish(Exit.fail(error))
  }
}

class PendingOne<A, E, Which> extends Pending<A, E> implements PendingCommand {
  readonly unanswered: Command<A, E>
  private readonly settle: Settle<A, E, Which>
  private readonly which: Which
  private readonly owner: Owner

  constructor(command: Command<A, E>, settle: Settle<A, E, Which>, which: Which, owner: Owner) {
    super()
    this.owner = owner
    this.unanswered = command
    this.settle = settle
    this.which = which
  }

  cancel(unless?: "unless-written"): boolean {
    return this.owner.cancel(this, unless)
  }

  get unwritten(): Command<A, E> {
    return this.unanswered
  }

  get name(): string {
    return this.unanswered.name
  }

  get isWritten(): boolean {
    return this.state !== "Queued"
  }

  get isSettled(): boolean {
    return this.state === "Settled" || this.hasJob
  }

  get hasJob(): boolean {
    return this.state === "SettledWithJob"
  }

  onWritten(): void {
    this.state = "InFlight"
  }

  withdraw(): void {
    this.state = "Settled"
  }

  die(defect: Error): void {
    this.finish(Exit.die(defect))
  }

  finish(exit: Exit.Exit<A, E | CommandError>, withJob = false): void {
    const isWanted = this.state !== "Abandoned"
    this.state = withJob ? "SettledWithJob" : "Settled"
    if (isWanted) this.settle(exit, this.which)
  }
}

class PendingBatch<A, E> extends Pending<A, E> implements PendingCommand {
  private readonly batch: Batch<A, E>
  private readonly settle: Settle<A, E, number>
  private length: number
  private writtenCount = 0
  private answeredCount = 0
  /** {@link unanswered}, once it is made. */
  private made: Command<A, E> | undefined = undefined
  hasJob = false

  constructor(batch: Batch<A, E>, settle: Settle<A, E, number>) {
    super()
    this.batch = batch
    this.settle = settle
    this.length = batch.length
  }

  get unwritten(): Command<A, E> {
    return this.batch.at(this.writtenCount)
  }

  get unanswered(): Command<A, E> {
    this.made ??= this.batch.at(this.answeredCount)
    return this.made
  }

  get name(): string {
    return this.batch.at(0).name
  }

  get isWritten(): boolean {
    return this.writtenCount >= this.length
  }

  get isSettled(): boolean {
    return this.answeredCount === this.length
  }

  onWritten(): void {
    this.writtenCount += 1
    this.state = "InFlight"
  }

  withdraw(): void {
    // A lost command is settled without being written.
    this.length = Math.max(this.writtenCount, this.answeredCount)
    this.endIfSettled()
  }

  die(defect: Error): void {
    const { length, writtenCount } = this
    this.withdraw()
    for (let index = writtenCount; index < length; index += 1) this.settle(Exit.die(defect), index)
  }

  finish(exit: Exit.Exit<A, E | CommandError>, withJob = false): void {
    const isWanted = this.state !== "Abandoned"
    const index = this.answeredCount
    this.answeredCount += 1
    this.made = undefined
    this.hasJob ||= withJob
    this.endIfSettled()
    if (isWanted) this.settle(exit, index)
  }

  private endIfSettled(): void {
    if (this.isSettled) this.state = this.hasJob ? "SettledWithJob" : "Settled"
  }
}

const withExchanges = <A, E>(
  decoded: Decoded<A, E | ProtocolViolation>,
  before: RecentExchanges
): Decoded<A, E | ProtocolViolation> => {
  if (decoded._tag === "Success" || !(decoded.error instanceof ProtocolViolation)) return decoded
  const { address, command, reply } = decoded.error
  return { ...decoded, error: new ProtocolViolation({ address, command, reply, exchanges: before.toStrings() }) }
}
