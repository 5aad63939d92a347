/** The statistics of several servers as those of one: what this library does not know of them. */
import { assert, describe, it } from "@effect/vitest"
import { addTubeStats } from "../../src/internal/cluster/stats.ts"
import { tubeStats } from "../support/stats.ts"

const statsWith = (unknown: { readonly [key: string]: string }) => tubeStats("mails", { unknown })

describe("the statistics of several servers", () => {
  it("have the keys that only a later version of beanstalkd has, and the addresses of servers that did not answer", () => {
    const { unknown } = addTubeStats([statsWith({ one: "1" }), statsWith({ two: "2" })], ["queue-3", "queue-4"])
    assert.deepStrictEqual(unknown, { one: "1", two: "2", "cluster-not-answered": "queue-3, queue-4" })
  })
})
