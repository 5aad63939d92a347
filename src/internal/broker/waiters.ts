/**
 * The clients that wait for a job of one tube, in the order in which beanstalkd serves them.
 *
 * That is the order of its `ms_take`: a cursor cycles through an array, in which the last element takes the index of one that
 * is removed. Of four clients that wait, the first, the second, the fourth and the third are served, in this order.
 */
export class Waiters<A> {
  private readonly items: Array<A> = []
  private readonly indices = new Map<A, number>()
  private cursor = 0

  get size(): number {
    return this.items.length
  }

  add(waiter: A): void {
    this.indices.set(waiter, this.items.length)
    this.items.push(waiter)
  }

  remove(waiter: A): void {
    const index = this.indices.get(waiter)
    if (index === undefined) return
    this.indices.delete(waiter)
    const last = this.items.pop()!
    if (last === waiter) return
    this.items[index] = last
    this.indices.set(last, index)
  }

  /** Removes the one that is served next, and returns it. */
  take(): A | undefined {
    if (this.items.length === 0) return undefined
    this.cursor %= this.items.length
    const waiter = this.items[this.cursor]!
    this.remove(waiter)
    this.cursor += 1
    return waiter
  }
}
