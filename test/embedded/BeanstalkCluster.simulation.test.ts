/**
 * The simulation of `Worker.simulation`, on a cluster of three servers: each has faults of its own, is drained, filled and restarted,
 * while producers put jobs on all, and workers take jobs from all.
 */
import { describe, it } from "@effect/vitest"
import { seedOr } from "../support/edition.ts"
import { checked, timeout } from "../support/simulation/checked.ts"

/** Fixed, as that of `Worker.simulation`. */
const seed = seedOr(3)

/** Fewer than for one server: each server gets a part of the writes, and none of the puts while it is silent, drained or full. */
const writesPerFault = 8

describe("a cluster of three servers with faults, its producers, and its workers", () => {
  it.live(
    `lose no job, put none twice, delete none whose handler did not succeed, and hold none twice (seed ${seed})`,
    () => checked({ seed, servers: 3, writesPerFault }),
    { timeout }
  )
})
