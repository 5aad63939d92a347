/**
 * The matching of replies to commands on one connection, without a socket and without effects.
 *
 * Commands wait in `queued` until there is room, leave as one batch of bytes, and stand in `inFlight` until their replies
 * come back in the same order. Whatever disturbs that order ends the pipeline: everything that waits is settled, once,
 * and nothing is guessed afterwards.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { type CommandError, ConnectionLost } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import { defaultTube, type TubeName } from "../../Job.ts"
import { LinkedList } from "../base/linkedList.ts"

export interface PipelineOptions {
  readonly address: string
  /** How long, in milliseconds, the server may leave the oldest command unanswered that does not block. */
  readonly replyTimeout: number
  /** How many commands may be written and not yet answered, … */
  readonly maxInFlight: number
  /** … and how many bytes they may have together. A single larger one goes alone. */
  readonly maxQueuedBytes: number
  readonly maxBodySize: number
  /** The time in milliseconds, on a clock that nobody sets. */
  readonly now: () => number
  /** There may be something to write: `takeBatch` is worth a call. */
  readonly onWritable: () => void
  /** `deadline` may have come closer. */
  readonly onDeadline: () => void
  /** Nothing more is taken or written, and what still waits is lost: called before anybody hears of it. */
  readonly onEnd: (ending: Ending) => void
  /** Sees every command and reply, bodies as sizes. */
  readonly trace: ((line: string) => void) | undefined
}

/** Why a pipeline is over: in words, and what caused it. */
export interface Ending {
  readonly reason: string
  readonly cause?: unknown
}

/** The cause of an ending for want of an answer. */
export class ReplyTimedOut extends Error {}

/** How many bytes of a body show that the server is not silent: single bytes, dripping for ever, do not. */
const progress = 64 * 1024

/** How much longer than its timeout a blocking reserve may take, in milliseconds. */
const reserveGrace = 1000

/** A command on its way, whatever it succeeds or fails with. */
export interface Entry {
  readonly command: Protocol.Command<unknown, unknown>
  state: "Queued" | "InFlight" | "Settled"
  /** Whether whoever sent it is gone: its reply is consumed, and dropped. */
  abandoned: boolean
  /** Whether its answer was a job. */
  gotJob: boolean
  previous: Entry | undefined
  next: Entry | undefined
  answer(reply: Protocol.Reply, address: string): Protocol.Decoded<unknown, unknown>
  lose(error: ConnectionLost): void
  refuse(defect: Error): void
}

class Pending<A, E> implements Entry {
  readonly command: Protocol.Command<A, E>
  private readonly settle: (exit: Exit.Exit<A, E | CommandError>) => void
  state: Entry["state"] = "Queued"
  abandoned = false
  gotJob = false
  previous: Entry | undefined = undefined
  next: Entry | undefined = undefined

  constructor(command: Protocol.Command<A, E>, settle: (exit: Exit.Exit<A, E | CommandError>) => void) {
    this.command = command
    this.settle = settle
  }

  answer(reply: Protocol.Reply, address: string) {
    const decoded = this.command.decode(reply, address)
    this.gotJob = this.command.reserves && decoded._tag === "Success"
    this.finish(decoded._tag === "Success" ? Exit.succeed(decoded.value) : Exit.fail(decoded.error))
    return decoded
  }

  lose(error: ConnectionLost): void {
    this.finish(Exit.fail(error))
  }

  refuse(defect: Error): void {
    this.finish(Exit.die(defect))
  }

  private finish(exit: Exit.Exit<A, E | CommandError>): void {
    this.state = "Settled"
    if (!this.abandoned) this.settle(exit)
  }
}

export class Pipeline {
  private readonly options: PipelineOptions
  private readonly decoder: Protocol.ReplyDecoder
  private readonly queued = new LinkedList<Entry>()
  private readonly inFlight = new LinkedList<Entry>()
  private bytesInFlight = 0
  /** Since when the oldest command in flight has been the oldest. */
  private headSince = 0
  /** Since when a part of its reply is there, or the last part that counts; `undefined` while none is. */
  private replySince: number | undefined = undefined
  /** How much has arrived of it since then. */
  private arrived = 0
  /** The tube that commands without one of their own act on, as whoever uses the connection sees it. */
  private tubeInUse: TubeName = defaultTube
  /** The tube the server certainly acts on behind everything written so far; `undefined` while that is uncertain. */
  private tubeSelected: TubeName | undefined = defaultTube
  /** The last `use` that was asked for, while it is not answered, … */
  private selecting: Entry | undefined = undefined
  /** … and the tube of the last one that was accepted. */
  private tubeAccepted: TubeName = defaultTube
  /** Nothing is written behind a `quit`. */
  private leaving = false
  private ending: Ending | undefined = undefined
  /** How many replies there were. */
  replyCount = 0
  /** Larger bodies fail with `JobTooBig`, and are not sent: the limit of the server, once it is known. */
  maxJobSize = Number.POSITIVE_INFINITY

  constructor(options: PipelineOptions) {
    this.options = options
    this.decoder = new Protocol.ReplyDecoder(options.maxBodySize)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // commands in
  // -------------------------------------------------------------------------------------------------------------------

  /** Queues a command. `settle` hears of its outcome exactly once, unless it is cancelled before. */
  submit<A, E>(command: Protocol.Command<A, E>, settle: (exit: Exit.Exit<A, E | CommandError>) => void): Entry {
    const entry = new Pending(command, settle)
    if (command.body !== undefined && command.body.length > this.maxJobSize) {
      entry.answer({ _tag: "JobTooBig", limit: this.maxJobSize }, this.options.address)
    } else if (this.ending !== undefined) {
      this.lose(entry, "NotSent", this.ending)
    } else {
      this.queued.push(entry)
      this.options.onWritable()
    }
    return entry
  }

  /**
   * Whoever sent the command does not want its outcome any more.
   *
   * What is not written is forgotten, what is written runs its course unheard. Only a reserve cannot: a waiting one can be
   * taken back in no other way than by closing the connection, and a job that nobody hears of must go back too.
   */
  cancel(entry: Entry): void {
    switch (entry.state) {
      case "Queued":
        entry.state = "Settled"
        this.queued.remove(entry)
        break
      case "InFlight":
        entry.abandoned = true
        if (entry.command.blocksFor > 0) this.end({ reason: `a waiting ${entry.command.name} on it was interrupted` })
        break
      case "Settled":
        if (entry.gotJob) this.giveBack(entry)
        break
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // bytes out
  // -------------------------------------------------------------------------------------------------------------------

  /** Everything that may be written now, as one piece; `undefined` when there is nothing. */
  takeBatch(): Uint8Array | undefined {
    const batch: Array<Protocol.Command<unknown, unknown>> = []
    const idle = this.inFlight.length === 0
    let next = this.queued.head
    while (next !== undefined && this.hasRoom(next)) {
      this.queued.remove(next)
      if (Protocol.isIntact(next.command)) {
        this.selectTubeFor(next, batch)
        this.write(next, batch)
      } else {
        next.refuse(new Error(`${next.command.name}: the body changed its length before it was written`))
      }
      next = this.queued.head
    }
    if (batch.length === 0) return undefined
    if (idle) this.headSince = this.options.now()
    this.options.onDeadline()
    return Protocol.encode(batch)
  }

  private hasRoom(entry: Entry): boolean {
    if (this.leaving || this.ending !== undefined) return false
    return this.inFlight.length === 0 ||
      (this.inFlight.length < this.options.maxInFlight &&
        this.bytesInFlight + entry.command.size <= this.options.maxQueuedBytes)
  }

  private write(entry: Entry, batch: Array<Protocol.Command<unknown, unknown>>): void {
    entry.state = "InFlight"
    this.inFlight.push(entry)
    this.bytesInFlight += entry.command.size
    batch.push(entry.command)
    this.leaving = entry.command === Protocol.quit
    this.options.trace?.(`> ${Protocol.describeRequest(entry.command)}`)
  }

  /**
   * Puts a `use` in front of a command that acts on another tube than the server has selected. Both leave in one piece, so
   * nobody's command can come in between. A refusal ends the pipeline: nothing more is sent, and what has left behind it is
   * told as `Unknown`.
   */
  private selectTubeFor(entry: Entry, batch: Array<Protocol.Command<unknown, unknown>>): void {
    const relation = entry.command.tube
    if (relation._tag === "None") return
    if (relation._tag === "Selects") {
      this.tubeInUse = relation.name
      this.tubeSelected = undefined
      this.selecting = entry
      return
    }
    const tube = relation._tag === "Named" ? relation.name : this.tubeInUse
    if (tube === this.tubeSelected) return
    this.tubeSelected = tube
    const selection = new Pending(Protocol.select(tube), (exit) => {
      if (Exit.isSuccess(exit)) return
      this.end({
        reason: `the server did not select the tube ${tube} for a command`,
        cause: Cause.squash(exit.cause)
      })
    })
    this.write(selection, batch)
  }

  /** A `use` was answered. Only behind the last one that was asked for is it certain again which tube is selected. */
  private settleSelection(entry: Entry, tube: TubeName, accepted: boolean): void {
    if (accepted) this.tubeAccepted = tube
    if (entry !== this.selecting) return
    this.selecting = undefined
    this.tubeInUse = this.tubeAccepted
    if (accepted && this.tubeSelected === undefined) this.tubeSelected = tube
  }

  // -------------------------------------------------------------------------------------------------------------------
  // bytes in
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes the next piece of what the server says. */
  receive(chunk: Uint8Array): void {
    if (this.ending !== undefined) return
    const waiting = this.inFlight.length
    this.decoder.push(chunk, this.onReply)
    if (this.inFlight.length > 0) this.keepTime(this.inFlight.length < waiting, chunk.length)
    else if (this.decoder.midway) this.unasked()
    else this.replySince = undefined
    if (this.queued.length > 0) this.options.onWritable()
  }

  /** Every reply starts the time of the next command. A large body takes its time, as long as it comes. */
  private keepTime(answered: boolean, bytes: number): void {
    const begins = this.decoder.midway && (answered || this.replySince === undefined)
    this.arrived = begins ? 0 : this.arrived + bytes
    if (!answered && !begins && this.arrived < progress) return
    const now = this.options.now()
    if (answered) this.headSince = now
    this.replySince = this.decoder.midway ? now : undefined
    this.arrived = 0
    this.options.onDeadline()
  }

  /** The server has closed the connection: what a `quit` was waiting for, and for everything else the end. */
  closed(): void {
    if (this.inFlight.head?.command === Protocol.quit) this.onReply({ _tag: "Closed" })
    this.end({ reason: "the server closed it" })
  }

  private readonly onReply = (reply: Protocol.Reply): void => {
    this.options.trace?.(`< ${Protocol.describe(reply)}`)
    const entry = this.inFlight.shift()
    if (entry === undefined) return this.unasked()
    this.bytesInFlight -= entry.command.size
    this.replyCount += 1
    const decoded = entry.answer(reply, this.options.address)
    if (decoded._tag === "Failure" && decoded.fatal) {
      this.end({
        reason: `its replies cannot be trusted behind the one to ${entry.command.name}`,
        cause: decoded.error
      })
    } else if (entry.abandoned && entry.gotJob) {
      this.giveBack(entry)
    } else if (entry.command.tube._tag === "Selects") {
      this.settleSelection(entry, entry.command.tube.name, decoded._tag === "Success")
    }
  }

  private unasked(): void {
    this.end({ reason: "the server spoke without being asked" })
  }

  /** A job came for somebody who is gone: closing the connection is what returns it at once and unchanged. */
  private giveBack(entry: Entry): void {
    this.end({ reason: `a job came for a ${entry.command.name} that was interrupted` })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the end
  // -------------------------------------------------------------------------------------------------------------------

  /** When, on the clock of `now`, the server will have been silent for too long; `Infinity` while it may be. */
  deadline(): number {
    const head = this.inFlight.head
    if (head === undefined) return Number.POSITIVE_INFINITY
    const { replyTimeout } = this.options
    const begun = this.replySince === undefined ? Number.POSITIVE_INFINITY : this.replySince + replyTimeout
    if (this.decoder.insideBody) return begun
    const { blocksFor } = head.command
    // Whatever it was waiting for: a line that has begun must come to its end.
    return Math.min(begun, this.headSince + (blocksFor > 0 ? blocksFor * 1000 + reserveGrace : replyTimeout))
  }

  /** Ends the pipeline if the deadline has passed. */
  expire(): void {
    const head = this.inFlight.head
    const now = this.options.now()
    if (head === undefined || now < this.deadline()) return
    const reason = `the server left ${head.command.name} unanswered for ${(now - this.headSince) / 1000} seconds`
    this.end({ reason, cause: new ReplyTimedOut(reason) })
  }

  /** Settles everything that waits, and refuses everything that comes. Only the first call counts. */
  end(ending: Ending): void {
    if (this.ending !== undefined) return
    this.ending = ending
    this.decoder.end()
    this.options.onEnd(ending)
    for (let entry = this.inFlight.shift(); entry !== undefined; entry = this.inFlight.shift()) {
      this.lose(entry, "Unknown", ending)
    }
    for (let entry = this.queued.shift(); entry !== undefined; entry = this.queued.shift()) {
      this.lose(entry, "NotSent", ending)
    }
  }

  private lose(entry: Entry, outcome: ConnectionLost["outcome"], ending: Ending): void {
    const { address } = this.options
    entry.lose(new ConnectionLost({ command: entry.command.name, address, outcome, ...ending }))
  }
}
