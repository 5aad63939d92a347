/** The last that happened, and those who want to hear of what happens next. */
export class Journal<A> {
  private readonly most: number
  private readonly entries: Array<A> = []
  private readonly listeners = new Set<(entry: A) => void>()

  constructor(most: number) {
    this.most = most
  }

  add(entry: A): void {
    this.entries.push(entry)
    // Not each time: to remove one from the front takes as long as to remove many.
    if (this.entries.length >= this.most * 2) this.entries.splice(0, this.entries.length - this.most)
    for (const listener of this.listeners) listener(entry)
  }

  get last(): ReadonlyArray<A> {
    return this.entries.slice(-this.most)
  }

  listen(listener: (entry: A) => void): void {
    this.listeners.add(listener)
  }

  leave(listener: (entry: A) => void): void {
    this.listeners.delete(listener)
  }
}
