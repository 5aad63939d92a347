/** An element of a {@link Heap}. It stores its own position, so that it can be removed from the middle. */
export interface Positioned {
  /** The index of the element in its heap; -1 while it is in none. */
  position: number
}

/** A binary heap, with removal from the middle. It allocates nothing but its array. */
export class Heap<A extends Positioned> {
  private readonly items: Array<A> = []
  private readonly before: (a: A, b: A) => boolean

  /** Elements of which neither is before the other have no defined order. */
  constructor(before: (a: A, b: A) => boolean) {
    this.before = before
  }

  get size(): number {
    return this.items.length
  }

  /** The first element. */
  get head(): A | undefined {
    return this.items[0]
  }

  insert(element: A): void {
    this.rise(element, this.items.length)
  }

  remove(element: A): void {
    const hole = element.position
    const last = this.items.pop()!
    element.position = -1
    if (last === element) return
    const parent = this.items[(hole - 1) >> 1]
    if (hole > 0 && this.before(last, parent!)) this.rise(last, hole)
    else this.sink(last, hole)
  }

  /** Removes and returns the first element. */
  shift(): A | undefined {
    const element = this.items[0]
    if (element !== undefined) this.remove(element)
    return element
  }

  /** All elements, in no defined order. */
  [Symbol.iterator](): Iterator<A> {
    return this.items[Symbol.iterator]()
  }

  /** Places an element at `hole` or at one of its ancestors. */
  private rise(element: A, hole: number): void {
    const { before, items } = this
    while (hole > 0) {
      const above = (hole - 1) >> 1
      const parent = items[above]!
      if (before(parent, element)) break
      items[hole] = parent
      parent.position = hole
      hole = above
    }
    items[hole] = element
    element.position = hole
  }

  /** Places an element at `hole` or at one of its descendants. */
  private sink(element: A, hole: number): void {
    const { before, items } = this
    for (;;) {
      let below = hole * 2 + 1
      if (below >= items.length) break
      if (below + 1 < items.length && before(items[below + 1]!, items[below]!)) below += 1
      const child = items[below]!
      if (before(element, child)) break
      items[hole] = child
      child.position = hole
      hole = below
    }
    items[hole] = element
    element.position = hole
  }
}
