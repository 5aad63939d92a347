/** How many jobs, by the state in which they were. */

export interface Tally {
  readonly ready: number
  readonly delayed: number
  readonly buried: number
}

export const nothing: Tally = { ready: 0, delayed: 0, buried: 0 }

export const total = ({ buried, delayed, ready }: Tally): number => ready + delayed + buried

export const sum = (tallies: Iterable<Tally>): Tally =>
  Array.from(tallies).reduce((one, other) => ({
    ready: one.ready + other.ready,
    delayed: one.delayed + other.delayed,
    buried: one.buried + other.buried
  }), nothing)
