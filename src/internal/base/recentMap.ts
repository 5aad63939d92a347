/**
 * A Map that forgets the entries that were set least recently.
 *
 * `Cache` of Effect 3 has an order of accesses in which each `set` of a key stays, some 60 bytes, until the capacity is exceeded.
 */
export class RecentMap<K, V> {
  private readonly capacity: number
  /** In the order in which they were set. */
  private readonly entries = new Map<K, V>()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get(key: K): V | undefined {
    return this.entries.get(key)
  }

  set(key: K, value: V): void {
    this.entries.delete(key)
    this.entries.set(key, value)
    if (this.entries.size <= this.capacity) return
    for (const oldest of this.entries.keys()) {
      this.entries.delete(oldest)
      return
    }
  }
}
