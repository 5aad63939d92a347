/** One line of bytes, read from left to right as beanstalkd's own `read_u32` and its kin read it. */

const space = 32
const zero = 48
const nine = 57

export class LineScanner {
  private bytes: Uint8Array = new Uint8Array(0)
  private offset = 0
  private end = 0

  /** Begins with another line: one reader serves them all, since an object for each would cost more than its reading. */
  begin(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes
    this.offset = start
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

  /** The next byte, if there is one. */
  get next(): number | undefined {
    return this.offset < this.end ? this.bytes[this.offset] : undefined
  }

  includes(byte: number): boolean {
    for (let i = this.offset; i < this.end; i++) if (this.bytes[i] === byte) return true
    return false
  }

  /** Reads this word, if it stands here. */
  skip(word: Uint8Array): boolean {
    if (this.end - this.offset < word.length) return false
    for (let i = 0; i < word.length; i++) if (this.bytes[this.offset + i] !== word[i]) return false
    this.offset += word.length
    return true
  }

  /** A number of 32 bits. */
  u32(): number | undefined {
    const number = this.number()
    return number !== undefined && number < 2 ** 32 ? number : undefined
  }

  /** A number of 64 bits. Beyond 2^53 it is not exact; no job has such an id. */
  u64(): number | undefined {
    const start = this.offset
    const number = this.number()
    if (number === undefined || number < 2 ** 63) return number
    // Now it has to be exact.
    const digits = text(this.bytes, start, this.offset)
    return BigInt(digits) < 2n ** 64n ? number : undefined
  }

  /** Digits, behind any number of spaces. */
  private number(): number | undefined {
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

/** With a character for each byte. */
const text = (bytes: Uint8Array, start: number, end: number): string =>
  Reflect.apply(String.fromCharCode, undefined, bytes.subarray(start, end))
