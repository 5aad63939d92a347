/** Bytes that come one behind the other, until they are taken in one piece. */

const firstSize = 256
/** A buffer that has grown beyond this is not kept. */
const largestKept = 64 * 1024

export class ByteBuilder {
  private bytes: Uint8Array = new Uint8Array(0)
  length = 0

  /** Characters of ASCII. */
  text(text: string): void {
    this.makeRoom(text.length)
    const { bytes, length } = this
    for (let i = 0; i < text.length; i++) bytes[length + i] = text.charCodeAt(i)
    this.length += text.length
  }

  line(text: string): void {
    this.text(text)
    this.text("\r\n")
  }

  /** A space, and a whole number that is not negative, in decimal. */
  number(value: number): void {
    let digits = 1
    for (let bound = 10; bound <= value; bound *= 10) digits += 1
    this.makeRoom(digits + 1)
    const { bytes, length } = this
    bytes[length] = 32
    for (let i = length + digits, rest = value; i > length; i--) {
      bytes[i] = 48 + rest % 10
      rest = Math.floor(rest / 10)
    }
    this.length += digits + 1
  }

  append(bytes: Uint8Array): void {
    this.makeRoom(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Everything since the last time; nobody else has these bytes. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length)
    this.length = 0
    if (this.bytes.length > largestKept) this.bytes = new Uint8Array(0)
    return taken
  }

  private makeRoom(size: number): void {
    const needed = this.length + size
    if (needed <= this.bytes.length) return
    const bytes = new Uint8Array(Math.max(firstSize, needed, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
  }
}
