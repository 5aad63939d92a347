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

/** Called with the result of each command: the index is that in the batch, or the one that a single command was submitted with. */
export type Settle<A, E> = (exit: Exit.Exit<A, E | CommandError>, index: number) => void

/** `settle` is called once for each command, unless that is abandoned or withdrawn by then. */
export const makePending = <A, E>(
  commands: Command<A, E> | Batch<A, E>,
  settle: Settle<A, E>,
  index = 0
): PendingCommand => new Pending(commands, settle, index)

class Pending<A, E> implements PendingCommand {
  private readonly commands: Command<A, E> | Batch<A, E>
  private readonly settle: Settle<A, E>
  private readonly index: number
  /** {@link unanswered}, once it is made. */
  private made: Command<A, E> | undefined = undefined
  private length: number
  private writtenCount = 0
  private answeredCount = 0
  hasJob = false
  state: PendingCommand["state"] = "Queued"
  previous: PendingCommand | undefined = undefined
  next: PendingCommand | undefined = undefined

  constructor(commands: Command<A, E> | Batch<A, E>, settle: Settle<A, E>, index: number) {
    this.commands = commands
    this.settle = settle
    this.index = index
    this.length = commands._tag === "Command" ? 1 : commands.length
  }

  get unwritten(): Command<A, E> {
    return this.at(this.writtenCount)
  }

  get unanswered(): Command<A, E> {
    this.made ??= this.at(this.answeredCount)
    return this.made
  }

  get name(): string {
    return this.at(0).name
  }

  get isSettled(): boolean {
    return this.answeredCount === this.length
  }

  private at(index: number): Command<A, E> {
    return this.commands._tag === "Command" ? this.commands : this.commands.at(index)
  }

  get isWritten(): boolean {
    return this.writtenCount === this.length
  }

  onWritten(): void {
    this.writtenCount += 1
    this.state = "InFlight"
  }

  withdraw(): void {
    // A lost command is settled without being written.
    this.length = Math.max(this.writtenCount, this.answeredCount)
    this.endIfAnswered()
  }

  answer(reply: Reply, address: string, before: RecentExchanges) {
    const command = this.unanswered
    const decoded = withExchanges(command.decode(reply, address), before)
    if (decoded._tag === "Success") {
      this.hasJob ||= command.reserves
      this.finish(Exit.succeed(decoded.value))
    } else this.finish(Exit.fail(decoded.error))
    return decoded
  }

  fail(error: ConnectionLost): void {
    this.finish(Exit.fail(error))
  }

  die(defect: Error): void {
    const { length, writtenCount } = this
    this.withdraw()
    for (let index = writtenCount; index < length; index += 1) this.settle(Exit.die(defect), this.index + index)
  }

  private finish(exit: Exit.Exit<A, E | CommandError>): void {
    const isWanted = this.state !== "Abandoned"
    const index = this.index + this.answeredCount
    this.answeredCount += 1
    this.made = undefined
    this.endIfAnswered()
    if (isWanted) this.settle(exit, index)
  }

  private endIfAnswered(): void {
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
