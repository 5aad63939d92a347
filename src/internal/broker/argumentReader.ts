/** Reads the name and the arguments of a command line, from left to right, as beanstalkd's `read_u32` and its siblings do. */

const space = 32
const zero = 48
const nine = 57

export class ArgumentReader {
  private bytes: Uint8Array = new Uint8Array(0)
  private offset = 0
  private end = 0

  /** Starts another line. One reader serves all lines of a client: allocating one for each costs more than reading the line. */
  start(bytes: Uint8Array, offset: number, end: number): this {
    this.bytes = bytes
    this.offset = offset
    this.end = end
    return this
  }

  get isAtEnd(): boolean {
    return this.offset === this.end
  }

  /** What has not been read yet, with a character for each byte. */
  get rest(): string {
    return text(this.bytes, this.offset, this.end)
  }

  /** The next byte, which is not read by this. */
  get next(): number | undefined {
    return this.offset < this.end ? this.bytes[this.offset] : undefined
  }

  includes(byte: number): boolean {
    for (let i = this.offset; i < this.end; i++) if (this.bytes[i] === byte) return true
    return false
  }

  /** Reads a prefix, or returns false if the rest of the line does not begin with it. */
  skip(prefix: Uint8Array): boolean {
    if (this.end - this.offset < prefix.length) return false
    for (let i = 0; i < prefix.length; i++) if (this.bytes[this.offset + i] !== prefix[i]) return false
    this.offset += prefix.length
    return true
  }

  /** Reads an integer of 32 bits. */
  u32(): number | undefined {
    const number = this.digits()
    return number !== undefined && number < 2 ** 32 ? number : undefined
  }

  /** Reads an integer of 64 bits. It is inexact above 2^53, which no job id reaches. */
  u64(): number | undefined {
    const start = this.offset
    const number = this.digits()
    if (number === undefined || number < 2 ** 63) return number
    // Whether it fits into 64 bits cannot be decided by an inexact number.
    const digits = text(this.bytes, start, this.offset)
    return BigInt(digits) < 2n ** 64n ? number : undefined
  }

  /** Reads any number of spaces, and digits. */
  private digits(): number | undefined {
    const { bytes, end } = this
    let i = this.offset
    while (i < end && bytes[i] === space) i++
    const first = i
    let number = 0
    for (; i < end && bytes[i]! >= zero && bytes[i]! <= nine; i++) number = number * 10 + bytes[i]! - zero
    this.offset = i
    return i > first ? number : undefined
  }
}

const latin1 = new TextDecoder("latin1")

/** One character for each byte. Those above 127 may become any character above 127: none of them is valid in a command. */
const text = (bytes: Uint8Array, start: number, end: number): string => latin1.decode(bytes.subarray(start, end))
