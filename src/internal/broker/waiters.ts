/**
 * The connections that wait for a job of one tube.
 *
 * Who is served first is beanstalkd's own odd order (`ms_take`): a cursor goes round, and the last in the row takes the
 * place of whoever leaves. Of four that wait, the order is first, second, fourth, third.
 */
export class Waiters<A> {
  private readonly items: Array<A> = []
  private readonly places = new Map<A, number>()
  private cursor = 0

  get size(): number {
    return this.items.length
  }

  add(waiter: A): void {
    this.places.set(waiter, this.items.length)
    this.items.push(waiter)
  }

  remove(waiter: A): void {
    const place = this.places.get(waiter)
    if (place === undefined) return
    this.places.delete(waiter)
    const last = this.items.pop()!
    if (last === waiter) return
    this.items[place] = last
    this.places.set(last, place)
  }

  /** Removes the one to be served next, and returns it. */
  take(): A | undefined {
    if (this.items.length === 0) return undefined
    this.cursor %= this.items.length
    const waiter = this.items[this.cursor]!
    this.remove(waiter)
    this.cursor += 1
    return waiter
  }
}
