/**
 * A simulation of workers whose event loops are blocked now and then, producers, a server that refuses commands, and faults of its
 * connections, in virtual time. One seed decides everything.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs a million jobs and prints figures; `EFFECT_BEANSTALK_SEED` repeats a run.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { amount, seedOr, stress } from "../support/edition.ts"
import { simulate } from "../support/simulation/simulate.ts"

/** The seed of the short run is fixed: a random one would fail builds for reasons that have nothing to do with their change. */
const seed = seedOr(4)

const jobs = amount(2000, 8000, 1_000_000)

describe("workers with faults of connections and of the server, refused commands, and blocked event loops", () => {
  it.live(
    `lose no job, delete none whose handler did not succeed, hold none twice, and run no handler beyond its lease (seed ${seed})`,
    () =>
      Effect.gen(function*() {
        const { faults, faultsByName, outcomes, real, simulated, tracker, workers } = yield* simulate({
          seed,
          jobs,
          writesPerFault: 40,
          // A run of a million jobs goes on for half an hour after the first violation.
          onViolation: stress ? (violation) => process.stderr.write(`${violation}\n`) : undefined
        })
        assert.deepStrictEqual(tracker.violations, [])
        assert.strictEqual(tracker.lost, 0)
        assert.isAtLeast(tracker.counts.put, jobs * 0.9)
        assert.isAtLeast(faults, jobs / 200)
        for (const name of ["FullDisk", "RefuseCommands", "Stall"]) assert.isAtLeast(faultsByName[name] ?? 0, 1, name)
        assert.isAtLeast(tracker.points, jobs / 10)
        if (stress) {
          yield* Effect.logInfo(
            `${jobs} jobs, ${faults} faults, ${workers} workers: lost ${tracker.lost}, lost with their server ${tracker.lostWithServer}, ` +
              `hidden by a full disk ${tracker.hidden}, ${tracker.points} points of handlers, of which ${tracker.pointsNotHeld} when ` +
              `the server did not hold the job any more, ` +
              `run ${tracker.runs} times, ${(simulated / 1000).toFixed(0)} s in ${(real / 1000).toFixed(0)} s, ` +
              `${(jobs / real * 1000).toFixed(0)} jobs/s. ${JSON.stringify(outcomes)} ${JSON.stringify(faultsByName)}`
          )
        }
      }),
    { timeout: stress ? 3_600_000 : 600_000 }
  )
})
