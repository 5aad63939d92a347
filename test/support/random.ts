/** Seeded random numbers (mulberry32). */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** From 0 inclusive to 1 exclusive. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer from `low` to `high`, both inclusive. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.between(0, items.length - 1)]!
  }

  /** Picks an item with a probability in proportion to its weight. */
  weighted<A>(items: ReadonlyArray<readonly [weight: number, item: A]>): A {
    let left = this.next() * items.reduce((sum, [weight]) => sum + weight, 0)
    return (items.find(([weight]) => (left -= weight) < 0) ?? items[0]!)[1]
  }
}
