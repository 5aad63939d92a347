/** What becomes of the jobs that are selected. */
import { assert, it } from "@effect/vitest"
import { Job } from "effect-beanstalk"
import { oldestFirst } from "../../src/cli/selection/findAll.ts"
import type { Selection } from "../../src/cli/selection/flags.ts"

const all: Selection = {
  states: ["ready"],
  match: undefined,
  olderThan: undefined,
  newerThan: undefined,
  limit: undefined,
  idsFrom: undefined,
  reach: 10,
  to: undefined,
  fullSpeed: false
}

it("jobs that were put during the search, which come at its end, are not taken for the oldest", () => {
  assert.deepStrictEqual(
    oldestFirst(all, ["9", "8", "3", "12", "10"].filter(Job.isJobId)).map(String),
    ["3", "8", "9", "10", "12"]
  )
})

it("ids that are given keep their order", () => {
  assert.deepStrictEqual(oldestFirst({ ...all, idsFrom: "-" }, ["9", "12", "3"].filter(Job.isJobId)).map(String), [
    "9",
    "12",
    "3"
  ])
})
