/**
 * Allocates small byte arrays as views of larger buffers: an array buffer of its own for each would take longer than all other
 * work for a small command.
 *
 * A view keeps its whole buffer alive, so use a small `size` for arrays that live long.
 */
export class Slab {
  private readonly size: number
  private bytes = new Uint8Array(0)
  private used = 0

  constructor(size: number) {
    this.size = size
  }

  /** A new array, of which no byte is shared with another. Its bytes are zero. */
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
