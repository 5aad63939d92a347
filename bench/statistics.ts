/** The median of some values, and the least and the greatest. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

const ascending = (values: ReadonlyArray<number>): ReadonlyArray<number> => values.toSorted((a, b) => a - b)

export const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = ascending(values)
  const at = (index: number): number => sorted[index] ?? NaN
  const half = sorted.length >> 1
  return {
    median: sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2,
    min: at(0),
    max: at(sorted.length - 1)
  }
}

/** The least value that at least this share of the values does not exceed. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = ascending(values)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export interface Interval {
  readonly low: number
  readonly high: number
}

/**
 * A 95 % confidence interval of the median, from the order of the values alone (the sign test inverted): of 20 values, from the
 * 6th to the 15th. Of fewer than 6 no such interval exists, and this is from the least to the greatest.
 */
export const medianInterval = (values: ReadonlyArray<number>): Interval => {
  const sorted = ascending(values)
  const count = sorted.length
  // The chance that exactly `outside` of the values lie below the true median, and that at most `outside` do.
  let chance = 0.5 ** count
  let atMost = chance
  let outside = 0
  while (outside < count / 2 && atMost <= 0.025) {
    outside += 1
    chance *= (count - outside + 1) / outside
    atMost += chance
  }
  const trimmed = Math.max(0, outside - 1)
  return { low: sorted[trimmed] ?? NaN, high: sorted[count - 1 - trimmed] ?? NaN }
}
