/**
 * A simulation of workers whose event loops are blocked now and then, producers, a server that refuses commands, and faults of its
 * connections, in virtual time. One seed decides everything.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs a million jobs and prints figures; `EFFECT_BEANSTALK_SEED` repeats a run.
 */
import { describe, it } from "@effect/vitest"
import { seedOr } from "../support/edition.ts"
import { checked, timeout } from "../support/simulation/checked.ts"

/** The seed of the short run is fixed: a random one would fail builds for reasons that have nothing to do with their change. */
const seed = seedOr(4)

describe("workers with faults of connections and of the server, refused commands, and blocked event loops", () => {
  it.live(
    `lose no job, delete none whose handler did not succeed, hold none twice, and run no handler beyond its lease (seed ${seed})`,
    () => checked({ seed, writesPerFault: 40 }),
    { timeout }
  )
})
