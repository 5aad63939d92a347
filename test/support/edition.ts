/**
 * How much of a test with many cases runs.
 *
 * `npm test` runs a sample, which the seed of the run chooses; `npm run test:full` runs every case. `EFFECT_BEANSTALK_STRESS=1`
 * runs every case, and longer, and prints figures. A run ends with its seed, and `EFFECT_BEANSTALK_SEED` repeats one.
 */
import { inject } from "vitest"
import { Random } from "./random.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly full: boolean
    readonly seed: number
  }
}

export const stress = process.env["EFFECT_BEANSTALK_STRESS"] !== undefined

/** Whether every case is to run. */
export const full = stress || inject("full")

export const seed = inject("seed")

/** The seed that was asked for. What runs without one is always the same, unless it runs in order to find something. */
export const seedOr = (usual: number): number =>
  stress || process.env["EFFECT_BEANSTALK_SEED"] !== undefined ? seed : usual

/** The size of a test in each edition. */
export const amount = (sampled: number, whole: number, stressed = whole): number =>
  stress ? stressed : full ? whole : sampled

/** `count` of the cases, in their order, one at random from each of as many equal parts. Another `nth` gives another choice. */
export const spread = <A>(cases: ReadonlyArray<A>, count: number, nth = 0): ReadonlyArray<A> => {
  if (count >= cases.length) return cases
  const random = new Random(seed + nth)
  const stride = cases.length / count
  return Array.from({ length: count }, (_, index) => cases[Math.floor((index + random.next()) * stride)]!)
}

/** Every case in a full run, otherwise a {@link spread}. */
export const sample = <A>(cases: ReadonlyArray<A>, count: number, nth = 0): ReadonlyArray<A> =>
  full ? cases : spread(cases, count, nth)

/** The numbers from 0 to this one. */
export const upTo = (last: number): ReadonlyArray<number> => Array.from({ length: last + 1 }, (_, number) => number)
