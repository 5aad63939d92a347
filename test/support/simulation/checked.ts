/** A simulation whose report must show no broken promise. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { amount, stress } from "../edition.ts"
import { type Options, simulate } from "./simulate.ts"

/** The faults that happen at least once. */
const leastFaults = ["FullDisk", "RefuseCommands", "Stall", "Drain", "Restart"]

export const jobs = amount(2000, 8000, 1_000_000)

/** A million jobs on three servers take 55 minutes on a machine that does nothing else. */
export const timeout = stress ? 14_400_000 : 600_000

/** Loses no job, puts none twice, deletes none whose handler did not succeed, and has none under two leases at a time. */
export const checked = (options: Omit<Options, "jobs" | "onViolation">) =>
  Effect.gen(function*() {
    const { faultsByName, outcomes, real, simulated, tracker, workers } = yield* simulate({
      ...options,
      jobs,
      // A run of a million jobs goes on for half an hour after the first violation.
      onViolation: stress ? (violation) => process.stderr.write(`${violation}\n`) : undefined
    })
    assert.deepStrictEqual(tracker.violations, [])
    assert.strictEqual(tracker.lost, 0)
    assert.isAtLeast(tracker.counts.put, jobs * 0.9)
    assert.isAtLeast(tracker.points, jobs / 10)
    const faults = faultsByName.map((byName) => Object.values(byName).reduce((sum, count) => sum + count, 0))
    // One of several servers that takes no jobs for long is written to seldom, and has few.
    assert.isAtLeast(faults.reduce((sum, count) => sum + count, 0), faults.length * jobs / 200)
    for (const name of leastFaults) assert.isTrue(faultsByName.some((byName) => name in byName), name)
    if (!stress) return
    yield* Effect.logInfo(
      `${jobs} jobs, ${faultsByName.length} servers, ${
        faults.join(" + ")
      } faults, ${workers} workers: lost ${tracker.lost}, ` +
        `with an unknown outcome ${tracker.unknown}, lost with their server ${tracker.lostWithServer}, hidden by a full disk ` +
        `${tracker.hidden}, ${tracker.points} points of handlers, of which ${tracker.pointsNotHeld} when the server did not hold ` +
        `the job any more, run ${tracker.runs} times, ${(simulated / 1000).toFixed(0)} s in ${
          (real / 1000).toFixed(0)
        } s, ` +
        `${(jobs / real * 1000).toFixed(0)} jobs/s. ${JSON.stringify(outcomes)} ${JSON.stringify(faultsByName)}`
    )
  })
