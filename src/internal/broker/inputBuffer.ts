/** What a client has sent and the broker has not read yet. It is read as command lines and as pieces of job bodies. */
import { type Linked, LinkedList } from "../base/linkedList.ts"
import { ArgumentReader } from "./argumentReader.ts"

/** beanstalkd reads a line into a buffer of this size, in bytes, and regards only the first CR in it. */
const longestLine = 224

const CR = 13
const LF = 10

interface Chunk extends Linked<Chunk> {
  readonly bytes: Uint8Array
}

export class InputBuffer {
  /** Bytes in one piece, of which those before `offset` have been read. */
  private head: Uint8Array = new Uint8Array(0)
  private offset = 0
  /** What follows `head`. A linked list, because a client may send each byte by itself. */
  private readonly chunks = new LinkedList<Chunk>()
  private readonly line = new ArgumentReader()
  /** Whether the line that is being read is longer than the longest. */
  private isOverlong = false
  /** How many bytes have not been read. */
  length = 0
  /** Whether the client will send no more. */
  hasEnded = false

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.length += chunk.length
    this.chunks.push({ bytes: chunk, previous: undefined, next: undefined })
  }

  /**
   * Reads a line without its CRLF. The result is valid until the next line is read. Returns `overlong` at the
   * end of a line that is too long, and `undefined` when the line is not complete.
   */
  readLine(): ArgumentReader | "overlong" | undefined {
    for (;;) {
      const available = this.join(longestLine)
      const end = this.findLineEnd(available)
      if (end >= 0) return this.endLine(end)
      if (available < longestLine) return undefined
      this.isOverlong = true
      // beanstalkd would skip the CR too, miss the end of this line, and swallow the next command.
      this.skip(this.head[this.offset + available - 1] === CR ? available - 1 : available)
    }
  }

  /** Reads available bytes, `most` at most, without copying them. */
  read(most: number): Uint8Array {
    this.join(1)
    const bytes = this.head.subarray(this.offset, this.offset + Math.min(most, this.head.length - this.offset))
    this.skip(bytes.length)
    return bytes
  }

  /** Makes `head` contain this many unread bytes, or all there are; returns how many it contains of them. */
  private join(size: number): number {
    while (this.head.length - this.offset < size && this.chunks.length > 0) {
      const next = this.chunks.shift()!.bytes
      this.head = this.offset === this.head.length ? next : concat(this.head.subarray(this.offset), next)
      this.offset = 0
    }
    return Math.min(size, this.head.length - this.offset)
  }

  /** The index of the first CR in `head`, or -1 when there is none or no LF follows it. */
  private findLineEnd(available: number): number {
    const { head, offset } = this
    for (let i = offset; i < offset + available - 1; i++) {
      if (head[i] === CR) return head[i + 1] === LF ? i : -1
    }
    return -1
  }

  private endLine(end: number): ArgumentReader | "overlong" {
    const line = this.line.start(this.head, this.offset, end)
    this.skip(end + 2 - this.offset)
    if (!this.isOverlong) return line
    this.isOverlong = false
    return "overlong"
  }

  private skip(size: number): void {
    this.offset += size
    this.length -= size
  }
}

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}
