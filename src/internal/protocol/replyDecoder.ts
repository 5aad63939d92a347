/**
 * Decodes replies from bytes that arrive in pieces of any size.
 *
 * A reply is a line. After `RESERVED`, `FOUND` and `OK` a body of the announced length follows, with a CRLF of its own. The
 * buffer of a body grows with the bytes that arrive, not with the announced length, which a hostile server could make huge; it
 * doubles, so that the work stays linear. After the first malformed reply the decoder ignores all further bytes.
 */
import { constFalse } from "effect/Function"
import { isJobId, isTubeName, type JobId } from "../../Job.ts"
import { quoted } from "../values/printable.ts"
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

/**
 * The malformed lines that an error may quote: a word of the protocol and up to three numbers. Any other may be the body of a
 * job.
 */
const quotable = new RegExp(
  `^(${[...words.keys(), "INSERTED", "RESERVED", "FOUND", "OK", "USING", "WATCHING"].join("|")})( \\d{1,20}){0,3}$`
)

/** The longest reply line that is accepted, with its CRLF. The longest of beanstalkd, `USING` and a name, has 208 bytes. */
const longestLine = 256

/** The largest statistics that are accepted, in bytes. Those of beanstalkd have some two thousand. */
const longestStatistics = 16 * 1024 * 1024

const CR = 13
const LF = 10

/** A body of which a part has arrived. */
interface PartialBody {
  readonly size: number
  readonly _tag: "Reserved" | "Found" | "Ok"
  /** The job whose body it is, unless it is a document. */
  readonly id: JobId | undefined
  buffer: Uint8Array | undefined
  filled: number
}

const malformed = (description: string): Reply => ({ _tag: "Malformed", description })

export class ReplyDecoder {
  private readonly maxBodySize: number
  private readonly expectsList: () => boolean
  private readonly line = new Uint8Array(longestLine)
  private lineLength = 0
  private incoming: PartialBody | undefined = undefined
  /** How many bytes of the CRLF behind a body have arrived. */
  private trailer = 0
  private ended = false
  /** Whether no reply was decoded yet: a malformed first line cannot be part of the body of a job. */
  private isFirst = true

  /** `expectsList`: whether the next reply answers a command that lists tubes, of which there may be any number. */
  constructor(maxBodySize: number, expectsList: () => boolean = constFalse) {
    this.maxBodySize = maxBodySize
    this.expectsList = expectsList
  }

  /** Whether a part of a reply has arrived, but not all of it. */
  get midway(): boolean {
    return this.lineLength > 0 || this.incoming !== undefined
  }

  /** Whether a part of a body has arrived, but not all of it. */
  get insideBody(): boolean {
    return this.incoming !== undefined
  }

  /** Stops decoding: all further bytes are ignored. */
  end(): void {
    this.ended = true
    this.incoming = undefined
  }

  /** Decodes the next piece, and passes each reply that it completes to `onReply`, in order. It copies what it keeps. */
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
      this.decodeLine(chunk, offset, end, onReply)
      return end
    }
    this.line.set(chunk.subarray(offset, end), this.lineLength)
    this.lineLength += end - offset
    if (lineFeed !== -1) {
      const length = this.lineLength
      this.lineLength = 0
      this.decodeLine(this.line, 0, length, onReply)
    }
    return end
  }

  /** Decodes a whole line, its line feed included, from `start` to `end` in `bytes`. */
  private decodeLine(bytes: Uint8Array, start: number, end: number, onReply: (reply: Reply) => void): void {
    if (end - start < 2 || bytes[end - 2] !== CR) {
      this.fail("a line that does not end with CRLF", bytes, onReply)
      return
    }
    const line = latin1(bytes, start, end - 2)
    const space = line.indexOf(" ")
    const reply = space === -1
      ? words.get(line) ?? this.malformedLine(line)
      : this.parse(line, line.slice(0, space), line.slice(space + 1))
    if (reply === undefined) return
    if (reply._tag === "Malformed") this.end()
    this.emit(reply, onReply)
  }

  private emit(reply: Reply, onReply: (reply: Reply) => void): void {
    this.isFirst = false
    onReply(reply)
  }

  /** Parses a line of a word and arguments. Returns `undefined` if a body follows. */
  private parse(line: string, word: string, rest: string): Reply | undefined {
    switch (word) {
      case "INSERTED":
        return isJobId(rest) ? { _tag: "Inserted", id: rest } : this.malformedLine(line)
      case "RESERVED":
      case "FOUND": {
        const space = rest.indexOf(" ")
        const id = rest.slice(0, space)
        const _tag = word === "RESERVED" ? "Reserved" : "Found"
        return space !== -1 && isJobId(id)
          ? this.expectBody(line, rest.slice(space + 1), this.maxBodySize, _tag, id)
          : this.malformedLine(line)
      }
      case "OK":
        return this.expectBody(line, rest, this.longestDocument, "Ok")
      case "USING":
        return isTubeName(rest) ? { _tag: "Using", tube: rest } : this.malformedLine(line)
      case "WATCHING":
        return isCount(rest) ? { _tag: "Watching", count: Number(rest) } : this.malformedLine(line)
      case "KICKED":
        return isCount(rest) ? { _tag: "KickedJobs", count: Number(rest) } : this.malformedLine(line)
      case "BURIED":
        return isJobId(rest) ? { _tag: "BuriedJob", id: rest } : this.malformedLine(line)
      default:
        return this.malformedLine(line)
    }
  }

  private get longestDocument(): number {
    return this.expectsList() ? Math.max(this.maxBodySize, longestStatistics) : longestStatistics
  }

  private expectBody(
    line: string,
    announced: string,
    limit: number,
    _tag: PartialBody["_tag"],
    id?: JobId
  ): Reply | undefined {
    if (!isCount(announced)) return this.malformedLine(line)
    const size = Number(announced)
    if (size > limit) return malformed(`${line} (more than the ${limit} bytes accepted)`)
    this.incoming = { size, _tag, id, buffer: undefined, filled: 0 }
    this.trailer = 0
    return undefined
  }

  private readBody(
    incoming: PartialBody,
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
      this.emit(replyWith(incoming), onReply)
    }
    return offset + 1
  }

  /** The description quotes the line only if it cannot be part of the body of a job. */
  private malformedLine(line: string): Reply {
    return malformed(
      this.isFirst || quotable.test(line)
        ? quoted(line.slice(0, 80))
        : `a line of ${line.length} bytes that is no reply of beanstalkd`
    )
  }

  private fail(description: string, chunk: Uint8Array, onReply: (reply: Reply) => void): number {
    this.end()
    this.emit(malformed(description), onReply)
    return chunk.length
  }
}

const replyWith = ({ _tag, buffer: body = new Uint8Array(0), id }: PartialBody): Reply =>
  _tag === "Ok" || id === undefined ? { _tag: "Ok", body } : { _tag, id, body }

/** A buffer with room for the bytes that have arrived. It doubles, up to the size of the body. */
const roomFor = (incoming: PartialBody, arrived: number): Uint8Array => {
  const { buffer, filled, size } = incoming
  if (buffer !== undefined && filled + arrived <= buffer.length) return buffer
  const larger = new Uint8Array(Math.min(size, Math.max(filled + arrived, 2 * filled)))
  if (buffer !== undefined) larger.set(buffer.subarray(0, filled))
  incoming.buffer = larger
  return larger
}

/** A view only if one is needed: for a body in thousands of small pieces, creating views would be most of the work. */
const part = (chunk: Uint8Array, start: number, end: number): Uint8Array =>
  start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)

const isCount = (text: string): boolean => /^\d{1,10}$/.test(text)

/** Decodes a line. For short lines, one call with all character codes in a reused array is the fastest way. */
const latin1 = (bytes: Uint8Array, start: number, end: number): string => {
  codes.length = end - start
  for (let i = start; i < end; i++) codes[i - start] = bytes[i]!
  return String.fromCharCode.apply(undefined, codes)
}

const codes: Array<number> = []
