/** The statistics of several servers as those of one: what this library does not know of them. */
import { assert, describe, it } from "@effect/vitest"
import { addTubeStats } from "../../src/internal/cluster/stats.ts"
import { isTubeName } from "../../src/Job.ts"
import { TubeStats } from "../../src/Stats.ts"

const statsWith = (unknown: { readonly [key: string]: string }) => {
  const name = "mails"
  assert(isTubeName(name))
  return new TubeStats({
    name,
    currentJobsUrgent: 0,
    currentJobsReady: 0,
    currentJobsReserved: 0,
    currentJobsDelayed: 0,
    currentJobsBuried: 0,
    totalJobs: 0,
    currentUsing: 0,
    currentWatching: 0,
    currentWaiting: 0,
    cmdDelete: 0,
    cmdPauseTube: 0,
    pause: 0,
    pauseTimeLeft: 0,
    unknown
  })
}

describe("the statistics of several servers", () => {
  it("have the keys that only a later version of beanstalkd has, and the addresses of servers that did not answer", () => {
    const { unknown } = addTubeStats([statsWith({ one: "1" }), statsWith({ two: "2" })], ["queue-3", "queue-4"])
    assert.deepStrictEqual(unknown, { one: "1", two: "2", "cluster-not-answered": "queue-3, queue-4" })
  })
})
