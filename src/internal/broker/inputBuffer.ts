/**
 * The bytes that a client has sent, cut into lines as beanstalkd cuts them: with a buffer of 224 bytes, of which it looks at
 * the first CR only.
 */
import { type Linked, LinkedList } from "../base/linkedList.ts"
import { LineScanner } from "./lineScanner.ts"

/** The longest line, with its CRLF. */
const bufferSize = 224

const CR = 13
const LF = 10

interface Chunk extends Linked<Chunk> {
  readonly bytes: Uint8Array
}

export class InputBuffer {
  /** What has been joined already: a line is read from here. */
  private head: Uint8Array = new Uint8Array(0)
  private offset = 0
  /** There may be as many as there are bytes. */
  private readonly more = new LinkedList<Chunk>()
  private readonly line = new LineScanner()
  /** Whether a line is being thrown away. */
  private isOverlong = false
  /** Bytes that have not been read. */
  length = 0
  /** No more will come. */
  hasEnded = false

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.length += chunk.length
    this.more.push({ bytes: chunk, previous: undefined, next: undefined })
  }

  /**
   * A line without its CRLF, to be read before the next; `overlong` at the end of one that was thrown away; `undefined` when more
   * must come first.
   */
  readLine(): LineScanner | "overlong" | undefined {
    for (;;) {
      const window = this.fill(bufferSize)
      const end = this.lineEnd(window)
      if (end >= 0) return this.endLine(end)
      if (window < bufferSize) return undefined
      this.isOverlong = true
      // Unlike beanstalkd, which loses a CRLF on the edge of its buffer, and the next command with it.
      this.skip(this.head[this.offset + window - 1] === CR ? window - 1 : window)
    }
  }

  /** A view on bytes that are here, up to this number. */
  read(most: number): Uint8Array {
    this.fill(1)
    const bytes = this.head.subarray(this.offset, this.offset + Math.min(most, this.head.length - this.offset))
    this.skip(bytes.length)
    return bytes
  }

  /** Joins what is needed for a view on this many bytes; returns how many there are. */
  private fill(size: number): number {
    while (this.head.length - this.offset < size && this.more.length > 0) {
      const next = this.more.shift()!.bytes
      this.head = this.offset === this.head.length ? next : join(this.head.subarray(this.offset), next)
      this.offset = 0
    }
    return Math.min(size, this.head.length - this.offset)
  }

  /** Where the CR of a CRLF is, if the first CR is one. */
  private lineEnd(window: number): number {
    const { head, offset } = this
    for (let i = offset; i < offset + window - 1; i++) {
      if (head[i] === CR) return head[i + 1] === LF ? i : -1
    }
    return -1
  }

  private endLine(end: number): LineScanner | "overlong" {
    const line = this.line.begin(this.head, this.offset, end)
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

const join = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}
