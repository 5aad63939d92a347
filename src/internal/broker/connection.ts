/** One connection: bytes to commands, commands to what they do, and that to replies. */
import { Slab } from "../base/slab.ts"
import type { Broker } from "./broker.ts"
import { ByteBuilder } from "./byteBuilder.ts"
import { Client } from "./client.ts"
import { type Command, parse } from "./commandParser.ts"
import { InputBuffer } from "./inputBuffer.ts"
import { Job } from "./job.ts"
import { jobStatistics, serverStatistics, tubeList, tubeStatistics } from "./statsDocuments.ts"

/** The way to the peer. */
export interface Transport {
  /** False asks for nothing more until `resume` is called. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Nothing more will be written or read. */
  readonly close: () => void
}

/** Replies leave at the latest when this many bytes are waiting. */
const batchSize = 64 * 1024

const CR = 13
const LF = 10

/** A body that is coming in. */
interface Upload {
  /** Bytes still to come, the CRLF included. */
  missing: number
  /** The job that it is for, or what is answered when it has been thrown away. */
  readonly fate: Job | "JOB_TOO_BIG" | "OUT_OF_MEMORY"
  /** What is to be kept of it so far, if it does not come in one piece. */
  body: ByteBuilder | undefined
}

export class Connection extends Client {
  private readonly broker: Broker
  private readonly wire: Transport
  private readonly input = new InputBuffer()
  private readonly output = new ByteBuilder()
  private upload: Upload | undefined = undefined
  /** Whether it has put a job, or begun to. */
  isProducer = false
  /** Whether it has asked for a job. */
  isWorker = false
  /** Whether it is over. The last replies may still be on their way. */
  private isClosed = false
  /** The peer reads too slowly. */
  private isBlocked = false
  /** With the last one the connection breaks. */
  private repliesLeft = Number.POSITIVE_INFINITY

  constructor(broker: Broker, number: number, wire: Transport) {
    super(number, broker.store.defaultTube)
    this.broker = broker
    this.wire = wire
    broker.store.join(this)
  }

  /** How many bytes wait to be read, because a reserve blocks or the peer does not read. */
  get backlog(): number {
    return this.input.length
  }

  // What the peer does. The time is that of the broker.

  receive(chunk: Uint8Array): void {
    if (this.isClosed) return
    this.input.push(chunk)
    this.run()
  }

  /** The peer says no more, but still listens. */
  end(): void {
    this.input.hasEnded = true
    this.run()
  }

  /**
   * The peer has closed in an orderly way. What it has sent is still done, until that shows: the first reply is on its way
   * before anybody notices that nobody is there, and the next finds the connection broken.
   */
  hangUp(): void {
    if (this.isClosed) return
    // One that leaves with something unread breaks the connection at once.
    if (this.isBlocked) return this.close()
    this.input.hasEnded = true
    this.repliesLeft = 2
    this.run()
  }

  /** The peer is gone. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.upload?.fate instanceof Job) this.broker.store.forget(this.upload.fate)
    this.broker.leave(this)
    this.flush()
    this.wire.close()
  }

  /** The peer reads again. */
  resume(): void {
    if (!this.isBlocked) return
    this.isBlocked = false
    this.run()
  }

  /** Does what has come behind a reserve, when that has been answered, and writes what is to be said so far. */
  goOn(): void {
    this.run()
    this.flush()
  }

  private flush(): void {
    if (this.output.length > 0 && !this.wire.write(this.output.take())) this.isBlocked = true
  }

  private run(): void {
    while (!this.isClosed && !this.isBlocked && this.step()) {
      // By what was just done something may have become due.
      this.broker.store.tick()
      if (this.repliesLeft === 0) return this.close()
      if (this.output.length >= batchSize) this.flush()
    }
  }

  /** Does the next thing that can be done with what has been read; false when there is none. */
  private step(): boolean {
    if (this.isWaiting) return this.input.hasEnded && this.giveUpWaiting()
    if (this.upload !== undefined) return this.readBody(this.upload)
    const line = this.input.readLine()
    if (line === undefined) return this.needMore()
    this.execute(line === "overlong" ? { name: "bad-format" } : parse(line, this.broker.identity.version))
    return true
  }

  private needMore(): false {
    if (this.input.hasEnded) this.close()
    return false
  }

  private giveUpWaiting(): true {
    this.broker.store.stopWaiting(this)
    this.onTimedOut()
    return true
  }

  /** It grows as bytes come, and not by what was announced. */
  private readBody(upload: Upload): boolean {
    const piece = this.input.read(upload.missing)
    if (piece.length === 0) return this.needMore()
    upload.missing -= piece.length
    if (upload.missing === 0) this.endUpload(upload, piece)
    else if (upload.fate instanceof Job) (upload.body ??= new ByteBuilder()).append(piece)
    return true
  }

  private endUpload({ body, fate }: Upload, last: Uint8Array): void {
    this.upload = undefined
    if (!(fate instanceof Job)) return this.reply(fate)
    body?.append(last)
    this.put(fate, body?.take() ?? kept(last))
  }

  // Commands

  private execute(command: Command): void {
    const { identity, store } = this.broker
    this.broker.count(command.name)
    switch (command.name) {
      case "put":
        return this.announce(command)
      case "use":
        store.use(this, command.tube)
        return this.reply(`USING ${command.tube}`)
      case "peek":
        return this.found(store.findWhole(command.id))
      case "peek-ready":
        return this.found(this.used.ready.head)
      case "peek-delayed":
        return this.found(this.used.delayed.head)
      case "peek-buried":
        return this.found(this.used.buried.head)
      case "reserve":
        return this.reserve(Number.POSITIVE_INFINITY)
      case "reserve-with-timeout":
        return this.reserve(command.timeout)
      case "reserve-job": {
        const job = store.reserveJob(this, command.id)
        if (job === undefined) return this.reply("NOT_FOUND")
        this.isWorker = true
        return this.onReserved(job)
      }
      case "delete":
        return this.replyIf(store.delete(this, command.id), "DELETED")
      case "release": {
        const isQueued = store.release(this, command.id, command.priority, command.delay)
        return this.replyIf(isQueued !== undefined, isQueued === true ? "RELEASED" : "BURIED")
      }
      case "bury":
        return this.replyIf(store.bury(this, command.id, command.priority), "BURIED")
      case "touch":
        return this.replyIf(store.touch(this, command.id), "TOUCHED")
      case "kick":
        return this.replyWith("KICKED", store.kick(this, command.bound))
      case "kick-job":
        return this.replyIf(store.kickJob(this, command.id), "KICKED")
      case "watch":
        store.watch(this, command.tube)
        return this.replyWith("WATCHING", this.watched.length)
      case "ignore":
        return this.reply(store.ignore(this, command.tube) ? `WATCHING ${this.watched.length}` : "NOT_IGNORED")
      case "pause-tube":
        if (command.tube === undefined) return this.reply("BAD_FORMAT")
        return this.replyIf(store.pause(command.tube, command.duration), "PAUSED")
      case "stats":
        return this.document(serverStatistics(store, this.broker.counters, identity))
      case "stats-tube": {
        const tube = store.tubes.find(command.tube)
        if (tube === undefined) return this.reply("NOT_FOUND")
        return this.document(tubeStatistics(tube, store.now, identity.version))
      }
      case "stats-job": {
        const job = store.find(command.id)
        if (job === undefined) return this.reply("NOT_FOUND")
        return this.document(jobStatistics(job, store.now, identity.version))
      }
      case "list-tubes":
        return this.document(tubeList(store.tubes.list))
      case "list-tubes-watched":
        return this.document(tubeList(this.watched))
      case "list-tube-used":
        return this.reply(`USING ${this.used.name}`)
      case "quit":
        return this.close()
      case "bad-format":
        return this.reply("BAD_FORMAT")
      case "unknown-command":
        return this.reply("UNKNOWN_COMMAND")
    }
  }

  /** The head of a put. The body is read, and thrown away, before it is refused. */
  private announce({ delay, isWellFormed, priority, size, ttr }: Command & { readonly name: "put" }): void {
    const { identity, store } = this.broker
    if (size > identity.maxJobSize) return this.awaitBody("JOB_TOO_BIG", size)
    if (!isWellFormed) return this.reply("BAD_FORMAT")
    this.isProducer = true
    if (store.memory === "none") return this.awaitBody("OUT_OF_MEMORY", size)
    this.awaitBody(store.announce(this, priority, delay, ttr), size)
  }

  private awaitBody(fate: Upload["fate"], size: number): void {
    this.upload = { missing: size + 2, fate, body: undefined }
  }

  private put(job: Job, body: Uint8Array): void {
    const { isDraining, store } = this.broker
    const isComplete = body[body.length - 2] === CR && body[body.length - 1] === LF
    if (!isComplete || isDraining) {
      store.forget(job)
      return this.reply(isComplete ? "DRAINING" : "EXPECTED_CRLF")
    }
    job.body = body
    this.replyWith(store.put(job, this) ? "INSERTED" : "BURIED", job.id)
  }

  private reserve(timeout: number): void {
    this.isWorker = true
    this.broker.store.awaitJob(this, timeout * 1000)
  }

  onReserved(job: Job): void {
    this.job("RESERVED", job)
  }

  onDeadlineSoon(): void {
    this.reply("DEADLINE_SOON")
  }

  onTimedOut(): void {
    this.reply("TIMED_OUT")
  }

  // Replies

  private found(job: Job | undefined): void {
    if (job === undefined) this.reply("NOT_FOUND")
    else this.job("FOUND", job)
  }

  private replyIf(condition: boolean, reply: string): void {
    this.reply(condition ? reply : "NOT_FOUND")
  }

  private reply(line: string): void {
    this.say().line(line)
  }

  private replyWith(word: string, number: number): void {
    const output = this.say()
    output.text(word)
    output.number(number)
    output.line("")
  }

  private job(word: string, { body, id }: Job): void {
    const output = this.say()
    output.text(word)
    output.number(id)
    output.number(body.length - 2)
    output.line("")
    output.append(body)
  }

  private document(text: string): void {
    this.replyWith("OK", text.length)
    this.output.line(text)
  }

  /** Behind every answer something else may be due next. */
  private say(): ByteBuilder {
    this.repliesLeft -= 1
    this.broker.onReply(this)
    return this.output
  }
}

/** Bodies of jobs live long, and one must not keep many others. */
const slab = new Slab(8 * 1024)

const kept = (bytes: Uint8Array): Uint8Array => {
  const copy = slab.allocate(bytes.length)
  copy.set(bytes)
  return copy
}
