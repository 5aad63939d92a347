/**
 * Workers, producers, and a server to which every way breaks again and again, in virtual time. One seed decides everything.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs a million jobs and prints figures; `EFFECT_BEANSTALK_SEED` repeats a run.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { amount, seedOr, stress } from "../support/edition.ts"
import { simulate } from "../support/simulation/world.ts"

/** The seed of the short run is fixed: a random one would fail in the build of somebody who cannot follow it up. */
const seed = seedOr(4)

const jobs = amount(3000, 8000, 1_000_000)

describe("workers among faults", () => {
  it.live(
    `lose no job, delete none that is not done, and hold none twice (seed ${seed})`,
    () =>
      Effect.gen(function*() {
        const { books, faults, outcomes, real, simulated, workers } = yield* simulate({ seed, jobs, every: 40 })
        assert.deepStrictEqual(books.violations, [])
        assert.strictEqual(books.lost, 0)
        assert.isAtLeast(books.counts.put, jobs * 0.9)
        assert.isAtLeast(faults, jobs / 100)
        if (stress) {
          yield* Effect.logInfo(
            `${jobs} jobs, ${faults} faults, ${workers} workers: lost ${books.lost}, gone with their server ${books.gone}, ` +
              `run ${books.runs} times, ${(simulated / 1000).toFixed(0)} s in ${(real / 1000).toFixed(0)} s, ` +
              `${(jobs / real * 1000).toFixed(0)} jobs/s. ${JSON.stringify(outcomes)}`
          )
        }
      }),
    { timeout: stress ? 3_600_000 : 180_000 }
  )
})
