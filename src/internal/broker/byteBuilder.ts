/** Collects bytes into one array. */

const initialCapacity = 256

/** A larger buffer is dropped when its bytes are taken: one large reply would occupy its memory for good. */
const largestKept = 64 * 1024

export class ByteBuilder {
  private bytes: Uint8Array = new Uint8Array(0)
  length = 0

  /** Appends text in ASCII. */
  text(text: string): void {
    this.ensureRoom(text.length)
    const { bytes, length } = this
    for (let i = 0; i < text.length; i++) bytes[length + i] = text.charCodeAt(i)
    this.length += text.length
  }

  crlf(): void {
    this.ensureRoom(2)
    this.bytes[this.length] = 13
    this.bytes[this.length + 1] = 10
    this.length += 2
  }

  /** Appends a space and a non-negative integer in decimal. */
  argument(value: number): void {
    let digits = 1
    for (let bound = 10; bound <= value; bound *= 10) digits += 1
    this.ensureRoom(digits + 1)
    const { bytes, length } = this
    bytes[length] = 32
    for (let i = length + digits, rest = value; i > length; i--) {
      bytes[i] = 48 + rest % 10
      rest = Math.floor(rest / 10)
    }
    this.length += digits + 1
  }

  append(bytes: Uint8Array): void {
    this.ensureRoom(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Returns a copy of what was appended since the last call. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length)
    this.length = 0
    if (this.bytes.length > largestKept) this.bytes = new Uint8Array(0)
    return taken
  }

  private ensureRoom(size: number): void {
    const needed = this.length + size
    if (needed <= this.bytes.length) return
    const bytes = new Uint8Array(Math.max(initialCapacity, needed, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
  }
}
