import * as Exit from "effect/Exit"
import { type CommandError, type ConnectionLost, ProtocolViolation } from "../../BeanstalkError.ts"
import type { Linked } from "../base/linkedList.ts"
import type { Command, Decoded } from "../protocol/command.ts"
import type { Reply } from "../protocol/reply.ts"
import type { RecentExchanges } from "./recentExchanges.ts"

/**
 * A command between its submission and its result. It has no type parameters, so that commands of all types fit into one queue.
 */
export interface PendingCommand extends Linked<PendingCommand> {
  readonly command: Command<unknown, unknown>
  /** `Abandoned`: in flight, but its caller no longer wants the result. `SettledWithJob`: it has reserved a job. */
  state: "Queued" | "InFlight" | "Abandoned" | "Settled" | "SettledWithJob"
  /** Settles it with the reply of the server. A protocol violation is reported with the exchanges before it. */
  answer(reply: Reply, address: string, before: RecentExchanges): Decoded<unknown, unknown>
  /** Settles it without a reply. */
  fail(error: ConnectionLost): void
  die(defect: Error): void
}

/** `settle` is called once with the result, unless the command is abandoned by then. */
export const makePending = <A, E>(
  command: Command<A, E>,
  settle: (exit: Exit.Exit<A, E | CommandError>) => void
): PendingCommand => new Pending(command, settle)

class Pending<A, E> implements PendingCommand {
  readonly command: Command<A, E>
  private readonly settle: (exit: Exit.Exit<A, E | CommandError>) => void
  state: PendingCommand["state"] = "Queued"
  previous: PendingCommand | undefined = undefined
  next: PendingCommand | undefined = undefined

  constructor(command: Command<A, E>, settle: (exit: Exit.Exit<A, E | CommandError>) => void) {
    this.command = command
    this.settle = settle
  }

  answer(reply: Reply, address: string, before: RecentExchanges) {
    const decoded = withExchanges(this.command.decode(reply, address), before)
    if (decoded._tag === "Success") this.finish(Exit.succeed(decoded.value), this.command.reserves)
    else this.finish(Exit.fail(decoded.error))
    return decoded
  }

  fail(error: ConnectionLost): void {
    this.finish(Exit.fail(error))
  }

  die(defect: Error): void {
    this.finish(Exit.die(defect))
  }

  private finish(exit: Exit.Exit<A, E | CommandError>, withJob = false): void {
    const isWanted = this.state !== "Abandoned"
    this.state = withJob ? "SettledWithJob" : "Settled"
    if (isWanted) this.settle(exit)
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
