/**
 * Bytes to replies, whatever the pieces they arrive in.
 *
 * A reply is a line, and for three words a body of announced length with a CRLF of its own. Nothing is allocated because
 * a header says so: a body's buffer grows, by doubling, with the bytes that really come, which also keeps the work
 * linear in them. The first thing that is no reply ends the decoder for good.
 */
import { isJobId, isTubeName } from "../../Job.ts"
import type { Reply } from "./reply.ts"

const words: ReadonlyMap<string, Reply> = new Map([
  ["BURIED", { _tag: "Buried" }],
  ["DELETED", { _tag: "Deleted" }],
  ["RELEASED", { _tag: "Released" }],
  ["TOUCHED", { _tag: "Touched" }],
  ["KICKED", { _tag: "Kicked" }],
  ["PAUSED", { _tag: "Paused" }],
  ["NOT_FOUND", { _tag: "NotFound" }],
  ["NOT_IGNORED", { _tag: "NotIgnored" }],
  ["TIMED_OUT", { _tag: "TimedOut" }],
  ["DEADLINE_SOON", { _tag: "DeadlineSoon" }],
  ["EXPECTED_CRLF", { _tag: "ExpectedCRLF" }],
  ["JOB_TOO_BIG", { _tag: "JobTooBig" }],
  ["DRAINING", { _tag: "Draining" }],
  ["OUT_OF_MEMORY", { _tag: "OutOfMemory" }],
  ["INTERNAL_ERROR", { _tag: "InternalError" }],
  ["BAD_FORMAT", { _tag: "BadFormat" }],
  ["UNKNOWN_COMMAND", { _tag: "UnknownCommand" }]
])

/** A word of the protocol with numbers that do not belong to it. */
const harmless = new RegExp(
  `^(${[...words.keys(), "INSERTED", "RESERVED", "FOUND", "OK", "USING", "WATCHING"].join("|")})( \\d{1,20}){0,3}$`
)

/** The longest reply line that is believed, CRLF included. beanstalkd's longest, `USING` and a name, has 208 bytes. */
const longestLine = 256

/** The longest statistics and lists: a hundred thousand tubes with short names, or eighty thousand with the longest. */
const longestDocument = 16 * 1024 * 1024

const CR = 13
const LF = 10

/** A body on its way: what it belongs to, and the part that has arrived. */
interface Incoming {
  readonly size: number
  readonly complete: (body: Uint8Array) => Reply
  buffer: Uint8Array | undefined
  filled: number
}

const malformed = (description: string): Reply => ({ _tag: "Malformed", description })

export class ReplyDecoder {
  private readonly maxBodySize: number
  private readonly line = new Uint8Array(longestLine)
  private lineLength = 0
  private incoming: Incoming | undefined = undefined
  /** How many bytes of the CRLF behind a body have been seen. */
  private trailer = 0
  private ended = false
  /** Whether nothing has been decoded yet, so that what arrives cannot be a piece of a job's body. */
  private fresh = true

  constructor(maxBodySize: number) {
    this.maxBodySize = maxBodySize
  }

  /** Whether part of a reply has arrived, but not all of it. */
  get midway(): boolean {
    return this.lineLength > 0 || this.incoming !== undefined
  }

  /** Whether it is a body that has arrived in part. */
  get insideBody(): boolean {
    return this.incoming !== undefined
  }

  /** Stops decoding: whatever else arrives is ignored. */
  end(): void {
    this.ended = true
    this.incoming = undefined
  }

  /** Takes the next piece, and gives each reply that is complete with it to `onReply`, in order. */
  push(chunk: Uint8Array, onReply: (reply: Reply) => void): void {
    let offset = 0
    while (offset < chunk.length && !this.ended) {
      offset = this.incoming === undefined
        ? this.readLine(chunk, offset, onReply)
        : this.readBody(this.incoming, chunk, offset, onReply)
    }
  }

  private readLine(chunk: Uint8Array, offset: number, onReply: (reply: Reply) => void): number {
    const lineFeed = chunk.indexOf(LF, offset)
    const end = lineFeed === -1 ? chunk.length : lineFeed + 1
    if (this.lineLength + end - offset > longestLine) {
      return this.fail(`a line of more than ${longestLine} bytes`, chunk, onReply)
    }
    if (lineFeed !== -1 && this.lineLength === 0) {
      this.accept(chunk, offset, end, onReply)
      return end
    }
    this.line.set(chunk.subarray(offset, end), this.lineLength)
    this.lineLength += end - offset
    if (lineFeed !== -1) {
      const length = this.lineLength
      this.lineLength = 0
      this.accept(this.line, 0, length, onReply)
    }
    return end
  }

  /** A whole line, its line feed included, from `start` to `end` in `bytes`. */
  private accept(bytes: Uint8Array, start: number, end: number, onReply: (reply: Reply) => void): void {
    if (end - start < 2 || bytes[end - 2] !== CR) {
      this.fail("a line that does not end with CRLF", bytes, onReply)
      return
    }
    const line = latin1(bytes, start, end - 2)
    const space = line.indexOf(" ")
    const reply = space === -1
      ? words.get(line) ?? this.meaningless(line)
      : this.parse(line, line.slice(0, space), line.slice(space + 1))
    if (reply === undefined) return
    if (reply._tag === "Malformed") this.end()
    this.give(reply, onReply)
  }

  private give(reply: Reply, onReply: (reply: Reply) => void): void {
    this.fresh = false
    onReply(reply)
  }

  /** A line that is more than a word: the reply it is, or `undefined` where a body follows first. */
  private parse(line: string, word: string, rest: string): Reply | undefined {
    switch (word) {
      case "INSERTED":
        return isJobId(rest) ? { _tag: "Inserted", id: rest } : this.meaningless(line)
      case "RESERVED":
      case "FOUND": {
        const space = rest.indexOf(" ")
        const id = rest.slice(0, space)
        const _tag = word === "RESERVED" ? "Reserved" : "Found"
        return space !== -1 && isJobId(id)
          ? this.expect(line, rest.slice(space + 1), this.maxBodySize, (body) => ({ _tag, id, body }))
          : this.meaningless(line)
      }
      case "OK":
        return this.expect(line, rest, longestDocument, (body) => ({ _tag: "Ok", body }))
      case "USING":
        return isTubeName(rest) ? { _tag: "Using", tube: rest } : this.meaningless(line)
      case "WATCHING":
        return isCount(rest) ? { _tag: "Watching", count: Number(rest) } : this.meaningless(line)
      case "KICKED":
        return isCount(rest) ? { _tag: "KickedJobs", count: Number(rest) } : this.meaningless(line)
      case "BURIED":
        return isJobId(rest) ? { _tag: "BuriedJob", id: rest } : this.meaningless(line)
      default:
        return this.meaningless(line)
    }
  }

  private expect(
    line: string,
    announced: string,
    limit: number,
    complete: (body: Uint8Array) => Reply
  ): Reply | undefined {
    if (!isCount(announced)) return this.meaningless(line)
    const size = Number(announced)
    if (size > limit) return malformed(`${line} (more than the ${limit} bytes accepted)`)
    this.incoming = { size, complete, buffer: undefined, filled: 0 }
    this.trailer = 0
    return undefined
  }

  private readBody(
    incoming: Incoming,
    chunk: Uint8Array,
    offset: number,
    onReply: (reply: Reply) => void
  ): number {
    const taken = Math.min(incoming.size - incoming.filled, chunk.length - offset)
    if (taken > 0) {
      roomFor(incoming, taken).set(part(chunk, offset, offset + taken), incoming.filled)
      incoming.filled += taken
      return offset + taken
    }
    if (chunk[offset] !== (this.trailer === 0 ? CR : LF)) {
      return this.fail("a body that is not followed by CRLF", chunk, onReply)
    }
    this.trailer += 1
    if (this.trailer === 2) {
      this.incoming = undefined
      this.give(incoming.complete(incoming.buffer ?? new Uint8Array(0)), onReply)
    }
    return offset + 1
  }

  /** A line that is no reply is quoted only where it cannot be a piece of somebody's job. */
  private meaningless(line: string): Reply {
    return malformed(
      this.fresh || harmless.test(line)
        ? JSON.stringify(line.slice(0, 80))
        : `a line of ${line.length} bytes that is no reply of beanstalkd`
    )
  }

  private fail(description: string, chunk: Uint8Array, onReply: (reply: Reply) => void): number {
    this.end()
    this.give(malformed(description), onReply)
    return chunk.length
  }
}

/** Makes room for what has arrived: twice as much as before, or all of the body, whichever is less. */
const roomFor = (incoming: Incoming, arrived: number): Uint8Array => {
  const { buffer, filled, size } = incoming
  if (buffer !== undefined && filled + arrived <= buffer.length) return buffer
  const larger = new Uint8Array(Math.min(size, Math.max(filled + arrived, 2 * filled)))
  if (buffer !== undefined) larger.set(buffer.subarray(0, filled))
  incoming.buffer = larger
  return larger
}

/** A view where one is needed: for a body in thousands of small pieces, views would be most of the work. */
const part = (chunk: Uint8Array, start: number, end: number): Uint8Array =>
  start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)

const isCount = (text: string): boolean => /^\d{1,10}$/.test(text)

/** Lines are short: one call with all of their codes, in an array that is used again, is the quickest way to text. */
const latin1 = (bytes: Uint8Array, start: number, end: number): string => {
  codes.length = end - start
  for (let i = start; i < end; i++) codes[i - start] = bytes[i]!
  return String.fromCharCode.apply(undefined, codes)
}

const codes: Array<number> = []
