/**
 * Small pieces of bytes, cut from larger ones. An array buffer for each would be the dearest part of many a command.
 *
 * A piece keeps the whole slab that it was cut from, so slabs of what lives long should be small.
 */
export class Slab {
  private readonly size: number
  private bytes = new Uint8Array(0)
  private used = 0

  constructor(size: number) {
    this.size = size
  }

  /** Bytes that nobody else has. */
  allocate(size: number): Uint8Array {
    if (size > this.size / 4) return new Uint8Array(size)
    if (this.used + size > this.bytes.length) {
      this.bytes = new Uint8Array(this.size)
      this.used = 0
    }
    this.used += size
    return this.bytes.subarray(this.used - size, this.used)
  }
}
