/**
 * One connection: splits what its peer sends into commands and bodies of jobs, executes them in order, and writes the replies.
 */
import { Slab } from "../base/slab.ts"
import { ByteBuilder } from "./byteBuilder.ts"
import { type Command, type CommandName, parse } from "./commandParser.ts"
import { type CommandTarget, execute } from "./commands.ts"
import { InputBuffer } from "./inputBuffer.ts"
import { Client, Job, type ReserveOutcome } from "./model.ts"
import { ReplyWriter } from "./replyWriter.ts"

/** Carries the replies to the peer. */
export interface Transport {
  /** Returns false when nothing more is to be written until `resume` of the connection is called. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Called when the connection is closed: nothing more is written. */
  readonly close: () => void
}

/** What a connection needs from its broker. */
export interface ConnectionOwner extends CommandTarget {
  readonly isDraining: boolean
  countCommand(name: CommandName): void
  /** The error with which a command is answered instead of being executed, if there is one. */
  refuse(command: Command, client: Client): Refusal | undefined
  /** A reply will be appended to the output. The owner calls `proceed` soon. */
  onReply(connection: Connection): void
  onClose(connection: Connection): void
}

/** The errors of a server that lacks memory or disk space. */
export type Refusal = "OUT_OF_MEMORY" | "INTERNAL_ERROR"

/** Replies are collected up to this many bytes, and then written. */
const batchSize = 64 * 1024

const CR = 13
const LF = 10
const crlfLength = 2

/** The body of a put, while it is being received. */
interface Upload {
  /** How many bytes are missing, with those of the CRLF. */
  missing: number
  /** The job that the body is for, or the reply once the body has been skipped. */
  readonly result: Job | "JOB_TOO_BIG" | Refusal
  /**
   * What was received so far, unless the body was received at once. It grows as bytes arrive: the announced size may be large.
   */
  body: ByteBuilder | undefined
}

export class Connection {
  readonly client: Client
  private readonly owner: ConnectionOwner
  private readonly transport: Transport
  private readonly input = new InputBuffer()
  private readonly output = new ByteBuilder()
  private readonly reply = new ReplyWriter(this.output, () => this.onReply())
  private upload: Upload | undefined = undefined
  private isClosed = false
  /** Whether the peer reads more slowly than the connection writes. */
  private isBlocked = false
  /** The connection is closed after this many replies. */
  private repliesLeft = Number.POSITIVE_INFINITY

  constructor(owner: ConnectionOwner, number: number, transport: Transport) {
    const { tubes } = owner.store
    this.owner = owner
    this.transport = transport
    this.client = new Client(number, tubes.default, (outcome) => this.onReserveEnd(outcome))
    tubes.join(this.client)
  }

  /** How many received bytes have not been read, because a reserve waits or the peer does not read. */
  get backlog(): number {
    return this.input.length
  }

  // What the peer does

  receive(chunk: Uint8Array): void {
    if (this.isClosed) return
    this.input.push(chunk)
    this.run()
  }

  /** The peer sends nothing more, but still reads. */
  end(): void {
    this.input.hasEnded = true
    this.run()
  }

  /**
   * The peer has closed the connection in an orderly way, and does not read.
   *
   * beanstalkd does not notice that before a write fails, and its first write succeeds. So the commands that were received are
   * executed until the second reply.
   */
  hangUp(): void {
    if (this.isClosed) return
    // A peer that closes with unread replies resets the connection.
    if (this.isBlocked) return this.close()
    this.input.hasEnded = true
    this.repliesLeft = 2
    this.run()
  }

  /** The peer has reset the connection, or it is to be closed for another reason. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.upload?.result instanceof Job) this.owner.store.remove(this.upload.result)
    this.owner.onClose(this)
    this.flush()
    this.transport.close()
  }

  /** The peer reads again. */
  resume(): void {
    if (!this.isBlocked) return
    this.isBlocked = false
    this.run()
  }

  /** Executes what was received after a reserve that is answered now, and writes the replies so far. */
  proceed(): void {
    this.run()
    this.flush()
  }

  private flush(): void {
    if (this.output.length > 0 && !this.transport.write(this.output.take())) this.isBlocked = true
  }

  private run(): void {
    while (!this.isClosed && !this.isBlocked && this.step()) {
      // A command may have set a timer that is due at once, such as a reserve with a timeout of 0.
      this.owner.store.tick()
      if (this.repliesLeft === 0) return this.close()
      if (this.output.length >= batchSize) this.flush()
    }
  }

  /** Reads one line or one piece of a body, and executes what is complete. False when nothing can be read. */
  private step(): boolean {
    if (this.client.isWaiting) return this.input.hasEnded && this.endWaiting()
    if (this.upload !== undefined) return this.readBody(this.upload)
    const line = this.input.readLine()
    if (line === undefined) return this.needMore()
    this.dispatch(line === "overlong" ? { name: "bad-format" } : parse(line, this.owner.identity.version))
    return true
  }

  private needMore(): false {
    if (this.input.hasEnded) this.close()
    return false
  }

  /** beanstalkd answers a reserve with TIMED_OUT when the peer sends nothing more. */
  private endWaiting(): true {
    this.owner.store.stopWaiting(this.client)
    this.reply.line("TIMED_OUT")
    return true
  }

  // Commands

  private dispatch(command: Command): void {
    this.owner.countCommand(command.name)
    const refusal = this.owner.refuse(command, this.client)
    if (refusal !== undefined) return this.refuse(command, refusal)
    switch (command.name) {
      case "put":
        return this.beginPut(command)
      case "quit":
        return this.close()
      default:
        return execute(command, this.owner, this.client, this.reply)
    }
  }

  private refuse(command: Command, refusal: Refusal): void {
    if (command.name === "put") this.beginUpload(refusal, command.size)
    else this.reply.line(refusal)
  }

  /** A body is received and skipped before it is refused. */
  private beginPut({ delay, isWellFormed, priority, size, ttr }: Command & { readonly name: "put" }): void {
    const { identity, store } = this.owner
    if (size > identity.maxJobSize) return this.beginUpload("JOB_TOO_BIG", size)
    if (!isWellFormed) return this.reply.line("BAD_FORMAT")
    this.client.isProducer = true
    if (store.memory === "none") return this.beginUpload("OUT_OF_MEMORY", size)
    this.beginUpload(store.create(this.client, priority, delay, ttr), size)
  }

  private beginUpload(result: Upload["result"], size: number): void {
    this.upload = { missing: size + crlfLength, result, body: undefined }
  }

  private readBody(upload: Upload): boolean {
    const piece = this.input.read(upload.missing)
    if (piece.length === 0) return this.needMore()
    upload.missing -= piece.length
    if (upload.missing === 0) this.endUpload(upload, piece)
    else if (upload.result instanceof Job) (upload.body ??= new ByteBuilder()).append(piece)
    return true
  }

  private endUpload({ body, result }: Upload, last: Uint8Array): void {
    this.upload = undefined
    if (!(result instanceof Job)) return this.reply.line(result)
    body?.append(last)
    this.endPut(result, body?.take() ?? copy(last))
  }

  private endPut(job: Job, body: Uint8Array): void {
    const { isDraining, store } = this.owner
    const isComplete = body[body.length - 2] === CR && body[body.length - 1] === LF
    if (!isComplete || isDraining) {
      store.remove(job)
      return this.reply.line(isComplete ? "DRAINING" : "EXPECTED_CRLF")
    }
    job.body = body
    this.reply.number(store.put(job, this.client) ? "INSERTED" : "BURIED", job.id)
  }

  private onReserveEnd(outcome: ReserveOutcome): void {
    if (outcome instanceof Job) this.reply.job("RESERVED", outcome)
    else this.reply.line(outcome)
  }

  private onReply(): void {
    this.repliesLeft -= 1
    this.owner.onReply(this)
  }
}

/** Small, because a job keeps the whole slab of its body in memory, and jobs may be kept for long. */
const slab = new Slab(8 * 1024)

const copy = (bytes: Uint8Array): Uint8Array => {
  const copied = slab.allocate(bytes.length)
  copied.set(bytes)
  return copied
}
