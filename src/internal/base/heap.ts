/** What can stand in a {@link Heap}: where it stands is kept in the element itself. */
export interface Positioned {
  /** Its index in the heap it is in; -1 when it is in none. */
  position: number
}

/** A priority queue with removal from the middle. It allocates nothing but its one array. */
export class Heap<A extends Positioned> {
  private readonly items: Array<A> = []
  private readonly before: (a: A, b: A) => boolean

  /** Of elements of which neither is before the other, any may be first. */
  constructor(before: (a: A, b: A) => boolean) {
    this.before = before
  }

  get size(): number {
    return this.items.length
  }

  /** The element before all others. */
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

  /** Removes the element before all others, and returns it. */
  shift(): A | undefined {
    const element = this.items[0]
    if (element !== undefined) this.remove(element)
    return element
  }

  /** In no particular order. */
  [Symbol.iterator](): Iterator<A> {
    return this.items[Symbol.iterator]()
  }

  /** Puts an element into a hole, or above it. */
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

  /** Puts an element into a hole, or below it. */
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
