/** A small seeded generator (mulberry32), so that the order of a bench can be repeated. */
export const seeded = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** A copy in random order (Fisher-Yates, drawing from the remaining items). */
export const shuffled = <A>(items: ReadonlyArray<A>, random: () => number): Array<A> => {
  const left = items.slice()
  const order: Array<A> = []
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1))
  return order
}
