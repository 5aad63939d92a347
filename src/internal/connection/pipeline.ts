/**
 * Matches replies to commands on one connection. It has no socket and runs no Effect.
 *
 * A command waits in `queued` until there is room, leaves with others as one piece of bytes, and stays in `inFlight` until its
 * reply arrives: the server replies in order. A batch is one entry of `queued`, and stands in `inFlight` once for each of its
 * commands. Anything that breaks this order ends the pipeline. Every command then fails, once, and no later byte is interpreted.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { ConnectionLost } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import { Fifo } from "../base/fifo.ts"
import { LinkedList } from "../base/linkedList.ts"
import { type Batch, type Command, isIntact } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import { describe, type Reply } from "../protocol/reply.ts"
import { ReplyDecoder } from "../protocol/replyDecoder.ts"
import { describeRequest, encode, type Request } from "../protocol/requestEncoder.ts"
import type { PipelineObserver } from "./observer.ts"
import { pendingBatch, type PendingCommand, pendingOne, type Settle, type Submitted } from "./pendingCommand.ts"
import { RecentExchanges } from "./recentExchanges.ts"
import { ReplyDeadline } from "./replyDeadline.ts"
import { ServerIds } from "./serverIds.ts"
import { TubeSelection } from "./tubeSelection.ts"

export interface PipelineOptions {
  readonly address: string
  /** The number of the server in a cluster, by which the ids of its jobs are qualified. */
  readonly server?: number | undefined
  /** How long, in milliseconds, the server may take to answer the oldest command in flight, unless that one blocks. */
  readonly replyTimeout: number
  /** How many commands may be in flight: written, and not answered. */
  readonly maxInFlight: number
  /** How many bytes they may have together. A single command may have more, and is then in flight alone. */
  readonly maxQueuedBytes: number
  readonly maxBodySize: number
  /** The time in milliseconds, on a clock that is never set back. */
  readonly now: () => number
  /** Called when `takeBatch` may have something to write. */
  readonly onWritable: () => void
  /** Called when `deadline` may have become earlier. */
  readonly onDeadline: () => void
  /** Called when the pipeline ends, before any command fails because of it. */
  readonly onEnd: (ending: Ending) => void
  /** Called with every request and reply, bodies as sizes. */
  readonly trace: ((line: string) => void) | undefined
  /** Counts what is written and answered. */
  readonly observer?: PipelineObserver | undefined
}

/** Why a pipeline has ended: in words, and the error that caused it, if one did. */
export interface Ending {
  readonly reason: string
  readonly cause?: unknown
  /** Whether it was ended since the server refused a command. */
  readonly wasRefused?: boolean
  /** Whether the server has done what the connection was opened for. If that is not known, a reply is taken for it. */
  readonly hasWorked?: boolean
}

/** The cause of an {@link Ending}: the server did not reply in time. */
export class ReplyTimedOut extends Error {}

export type Cancel = Submitted["cancel"]

type Status =
  | { readonly _tag: "Open" }
  /** A `quit` was written. Nothing is written after it. */
  | { readonly _tag: "Quitting" }
  | { readonly _tag: "Ended"; readonly ending: Ending }

const listsTubes = (command: Command<unknown, unknown> | undefined): boolean =>
  command === Commands.listTubes || command === Commands.listTubesWatched

export class Pipeline {
  private readonly options: PipelineOptions
  private readonly ids: ServerIds | undefined
  private readonly decoder: ReplyDecoder
  private readonly replyDeadline: ReplyDeadline
  private readonly tubeSelection = new TubeSelection()
  private readonly exchanges = new RecentExchanges()
  private readonly queued = new LinkedList<PendingCommand>()
  private readonly inFlight = new Fifo<PendingCommand>()
  private bytesInFlight = 0
  private status: Status = { _tag: "Open" }
  /** How many replies have arrived. */
  replyCount = 0
  /** The server's limit, once it is known. A command with a larger body is not sent, and fails with `JobTooBig`. */
  maxJobSize = Number.POSITIVE_INFINITY

  constructor(options: PipelineOptions) {
    this.options = options
    this.ids = options.server === undefined ? undefined : new ServerIds(options.server)
    this.decoder = new ReplyDecoder(options.maxBodySize, () => listsTubes(this.inFlight.head?.unanswered))
    this.replyDeadline = new ReplyDeadline(options.replyTimeout)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // commands in
  // -------------------------------------------------------------------------------------------------------------------

  /** Queues a command. `settle` is called once with its result and `which`, or never if it is cancelled before. */
  submit<A, E, Which>(command: Command<A, E>, settle: Settle<A, E, Which>, which: Which): PendingCommand & Submitted {
    const entry = pendingOne(command, settle, which, this)
    const { maxJobSize, options } = this
    if (command.body !== undefined && command.body.length > maxJobSize) {
      entry.answer({ _tag: "JobTooBig", limit: maxJobSize }, options.address, this.exchanges)
    } else if (this.ids?.isForeign(command) === true) {
      entry.answer({ _tag: "NotFound" }, options.address, this.exchanges)
    } else {
      this.enqueue(entry)
    }
    return entry
  }

  /** Queues the commands of a batch, each of which is settled as by {@link submit}. */
  submitAll<A, E>(batch: Batch<A, E>, settle: Settle<A, E, number>): ReadonlyArray<PendingCommand> {
    if (batch.length === 0) return []
    // Each of these is checked before it is queued.
    if (this.ids !== undefined || batch.at(0).body !== undefined) {
      return Array.from({ length: batch.length }, (_, index) => this.submit(batch.at(index), settle, index))
    }
    const entry = pendingBatch(batch, settle)
    this.enqueue(entry)
    return [entry]
  }

  private enqueue(entry: PendingCommand): void {
    if (this.status._tag === "Ended") return this.loseUnwritten(entry, this.status.ending)
    this.queued.push(entry)
    this.options.onWritable()
  }

  /**
   * The caller no longer wants the result.
   *
   * A command that is not written is dropped. The reply to one that is written is read and dropped. A reserve is different: to
   * close the connection is the only way to cancel one that blocks, and the only way to give an unwanted job back unchanged.
   */
  cancel(entry: PendingCommand, unless?: "unless-written"): boolean {
    if (entry.state === "Queued") {
      this.withdraw(entry)
      return true
    }
    if (unless === undefined) this.abandon(entry)
    return false
  }

  /** Drops the commands that are not written. */
  private withdraw(entry: PendingCommand): void {
    this.queued.remove(entry)
    entry.withdraw()
  }

  private abandon(entry: PendingCommand): void {
    switch (entry.state) {
      case "InFlight":
        if (!entry.isWritten) this.withdraw(entry)
        this.abandonWritten(entry)
        break
      case "SettledWithJob":
        this.giveBack(entry)
        break
      case "Abandoned":
      case "Queued":
      case "Settled":
        break
    }
  }

  private abandonWritten(entry: PendingCommand): void {
    if (entry.state === "InFlight") {
      const { blocksFor, name } = entry.unanswered
      entry.state = "Abandoned"
      if (blocksFor > 0) this.end({ reason: `a ${name} was interrupted while it was waiting for a job` })
    }
    if (entry.hasJob) this.giveBack(entry)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // bytes out
  // -------------------------------------------------------------------------------------------------------------------

  /** Everything that may be written now, in one piece; `undefined` if there is nothing. */
  takeBatch(): Uint8Array | undefined {
    const batch: Array<Request> = []
    const wasIdle = this.inFlight.length === 0
    let next = this.queued.head
    while (next !== undefined) {
      const command = next.unwritten
      if (!this.hasRoom(command)) break
      if (isIntact(command)) {
        const tube = this.tubeSelection.beforeWrite(command)
        if (tube !== undefined) {
          const selection = this.selectionOf(tube)
          this.write(selection, selection.unwritten, batch)
        }
        this.write(next, command, batch)
        if (next.isWritten) this.queued.remove(next)
      } else {
        this.queued.remove(next)
        next.die(new Error(`${command.name}: the body changed its length before it was written`))
      }
      next = this.queued.head
    }
    if (batch.length === 0) return undefined
    if (wasIdle) this.replyDeadline.start(this.options.now())
    this.options.onDeadline()
    const bytes = encode(batch)
    this.options.observer?.onWrite(batch.length, bytes.length)
    return bytes
  }

  private hasRoom(command: Command<unknown, unknown>): boolean {
    const { maxInFlight, maxQueuedBytes } = this.options
    if (this.status._tag !== "Open") return false
    return this.inFlight.length === 0 ||
      (this.inFlight.length < maxInFlight && this.bytesInFlight + command.size <= maxQueuedBytes)
  }

  private write(entry: PendingCommand, command: Command<unknown, unknown>, batch: Array<Request>): void {
    const request = this.ids?.toRequest(command) ?? command
    entry.onWritten()
    this.inFlight.push(entry)
    this.bytesInFlight += command.size
    batch.push(request)
    if (command === Commands.quit) this.status = { _tag: "Quitting" }
    this.options.trace?.(`> ${describeRequest(request)}`)
  }

  /**
   * The `use` in front of a command. Both leave in one piece, so no other command comes between. If the server refuses it, the
   * command acts on the wrong tube: the pipeline ends, and the command fails with the outcome `Unknown`.
   */
  private selectionOf(tube: TubeName): PendingCommand {
    return pendingOne(Commands.select(tube), this.onSelected, tube, this)
  }

  private readonly onSelected = (exit: Exit.Exit<unknown, unknown>, tube: TubeName): void => {
    if (Exit.isFailure(exit)) {
      this.end({ reason: `the server did not accept the use of tube ${tube}`, cause: Cause.squash(exit.cause) })
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // bytes in
  // -------------------------------------------------------------------------------------------------------------------

  /** Reads the next bytes from the server. The chunk is not kept. */
  receive(chunk: Uint8Array): void {
    if (this.status._tag === "Ended") return
    const { decoder, inFlight, options, replyDeadline } = this
    const before = inFlight.length
    options.observer?.onBytes(chunk.length)
    decoder.push(chunk, this.onReply)
    if (inFlight.length > 0) {
      const answered = inFlight.length < before
      if (replyDeadline.onBytes(chunk.length, answered, decoder.midway, options.now)) options.onDeadline()
    } else if (decoder.midway) {
      this.endUnrequested()
    } else {
      replyDeadline.stop()
    }
    if (this.queued.length > 0) options.onWritable()
  }

  /** The server has closed the connection, which is its answer to `quit`. */
  closed(): void {
    if (this.inFlight.head?.unanswered === Commands.quit) this.onReply({ _tag: "Closed" })
    this.end({ reason: "the server closed it" })
  }

  private readonly onReply = (received: Reply): void => {
    this.options.trace?.(`< ${describe(received)}`)
    const reply = this.ids?.ofReply(received) ?? received
    const entry = this.inFlight.shift()
    if (entry === undefined) return this.endUnrequested()
    const command = entry.unanswered
    this.bytesInFlight -= command.size
    this.replyCount += 1
    const wasAbandoned = entry.state === "Abandoned"
    const decoded = entry.answer(reply, this.options.address, this.exchanges)
    this.exchanges.add(command.line, reply)
    this.options.observer?.onReply(command, decoded)
    if (decoded._tag === "Failure" && decoded.fatal) {
      this.end({
        reason: `replies cannot be matched to commands after the reply to ${command.name}`,
        cause: decoded.error
      })
    } else if (wasAbandoned && entry.hasJob) {
      this.giveBack(entry)
    } else {
      this.tubeSelection.onReply(command, decoded._tag === "Success")
    }
  }

  private endUnrequested(): void {
    this.end({ reason: "the server sent a reply that no command is waiting for" })
  }

  /**
   * The server has reserved a job that its caller no longer wants. It makes the job ready again, unchanged, when the connection
   * closes.
   */
  private giveBack({ name }: PendingCommand): void {
    this.end({ reason: `a ${name} that was interrupted has reserved a job` })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the end
  // -------------------------------------------------------------------------------------------------------------------

  /** When, on the clock of `now`, the server must have replied; `Infinity` while it need not. */
  deadline(): number {
    const oldest = this.inFlight.head
    return oldest === undefined
      ? Number.POSITIVE_INFINITY
      : this.replyDeadline.of(oldest.unanswered, this.decoder.insideBody)
  }

  /** Whether it is open, and nothing is in flight but reserves that wait. */
  get isIdle(): boolean {
    return this.status._tag !== "Ended" && this.queued.length === 0 &&
      this.inFlight.every(({ unanswered }) => unanswered.blocksFor > 0)
  }

  /** Ends the pipeline if the deadline has passed. */
  expire(): void {
    const oldest = this.inFlight.head
    const now = this.options.now()
    if (oldest === undefined || now < this.deadline()) return
    const seconds = (now - this.replyDeadline.oldestSince) / 1000
    const reason = `the server has not answered ${oldest.unanswered.name} for ${seconds} seconds`
    this.end({ reason, cause: new ReplyTimedOut(reason) })
  }

  /** Fails every command that is queued or in flight, and every later one. Only the first call has an effect. */
  end(ending: Ending): void {
    if (this.status._tag === "Ended") return
    this.status = { _tag: "Ended", ending }
    this.decoder.end()
    this.options.onEnd(ending)
    for (let entry = this.inFlight.shift(); entry !== undefined; entry = this.inFlight.shift()) {
      this.options.observer?.onLost(entry.unanswered)
      this.lose(entry, "Unknown", ending)
    }
    for (let entry = this.queued.head; entry !== undefined; entry = this.queued.head) {
      this.loseUnwritten(entry, ending)
      // Unless it was cancelled meanwhile.
      if (entry === this.queued.head) this.queued.remove(entry)
    }
  }

  private loseUnwritten(entry: PendingCommand, ending: Ending): void {
    while (!entry.isSettled) this.lose(entry, "NotSent", ending)
  }

  private lose(entry: PendingCommand, outcome: ConnectionLost["outcome"], ending: Ending): void {
    const { address } = this.options
    entry.fail(new ConnectionLost({ command: entry.unanswered.name, address, outcome, ...ending }))
  }
}
