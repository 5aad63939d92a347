/** A queue in an array that is used as a ring, and doubles when it is full: nothing is allocated for an element. */
export class Fifo<A> {
  private ring: Array<A | undefined> = Array.from({ length: 8 })
  private first = 0
  length = 0

  get head(): A | undefined {
    return this.ring[this.first]
  }

  push(element: A): void {
    if (this.length === this.ring.length) this.grow()
    this.ring[(this.first + this.length) & (this.ring.length - 1)] = element
    this.length += 1
  }

  shift(): A | undefined {
    const element = this.ring[this.first]
    if (this.length === 0) return undefined
    this.ring[this.first] = undefined
    this.first = (this.first + 1) & (this.ring.length - 1)
    this.length -= 1
    return element
  }

  every(predicate: (element: A) => boolean): boolean {
    return this.ring.every((element) => element === undefined || predicate(element))
  }

  private grow(): void {
    const inOrder = [...this.ring.slice(this.first), ...this.ring.slice(0, this.first)]
    this.ring = [...inOrder, ...Array.from<undefined>({ length: this.length })]
    this.first = 0
  }
}
