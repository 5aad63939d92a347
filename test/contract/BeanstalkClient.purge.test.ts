/** `client.purge` deletes the jobs of one tube: those in the states asked for, up to the bound, and no others. */
import { assert, describe, it } from "@effect/vitest"
import type { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import {
  choices,
  essenceOf,
  everyJob,
  left,
  putJobs,
  scattered,
  sorted,
  start,
  tallyOf,
  type Wanted
} from "../support/bulk.ts"
import { eventually, failsWith, openTo } from "../support/connections.ts"
import { amount, sample } from "../support/edition.ts"
import { untyped } from "../support/replies.ts"
import { describeClients, ofOneServer } from "../support/servers.ts"

const nothing = { ready: 0, delayed: 0, buried: 0 }

describeClients("purge", (kind) => {
  describe("what it deletes", () => {
    it.scopedLive.each(sample(choices, 3).map((states) => ({ states })))(
      "$states, and nothing else",
      ({ states }) =>
        Effect.gen(function*() {
          const { beanstalk, client } = yield* start(kind)
          const jobs = scattered(["here", "there", "elsewhere"], 60)
          yield* putJobs(beanstalk, jobs)
          const isMeant = ({ state, tube }: Wanted) => tube === "here" && states.includes(state)
          assert.deepStrictEqual(yield* client.purge("here", { states }), tallyOf(jobs.filter(isMeant)))
          assert.deepStrictEqual(
            yield* left(beanstalk),
            sorted(jobs.filter((job) => !isMeant(job)).map(essenceOf))
          )
          assert.strictEqual((yield* beanstalk.stats).currentJobsReserved, 0)
        })
    )

    it.scopedLive("all jobs by default", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here"], amount(100, 400))
        yield* putJobs(beanstalk, jobs)
        assert.deepStrictEqual(yield* client.purge("here"), tallyOf(jobs))
        assert.deepStrictEqual(yield* left(beanstalk), [])
        yield* eventually(beanstalk.listTubes, (tubes) => tubes.every((tube) => tube.toString() !== "here"))
      }))

    it.scopedLive("jobs with any body", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const bodies = ["", "\r\n", "delete 1\r\n", new Uint8Array(65_535)]
        const jobs = bodies.flatMap((body): ReadonlyArray<Wanted> => [
          { tube: "here", state: "ready", body },
          { tube: "here", state: "delayed", body },
          { tube: "here", state: "buried", body }
        ])
        yield* putJobs(beanstalk, jobs)
        assert.deepStrictEqual(yield* client.purge("here"), { ready: 4, delayed: 4, buried: 4 })
        assert.deepStrictEqual(yield* left(beanstalk), [])
      }))

    it.scopedLive("nothing of an empty tube, and of one that does not exist, without creating a tube", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        yield* beanstalk.use("empty")
        assert.deepStrictEqual(yield* client.purge("empty"), nothing)
        assert.deepStrictEqual(yield* client.purge("nowhere"), nothing)
        const tubes = yield* eventually(beanstalk.listTubes, (tubes) => tubes.length === 2)
        assert.deepStrictEqual([...tubes].map(String), ["default", "empty"])
      }))

    it.scopedLive("the default tube", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        yield* putJobs(beanstalk, [{ tube: "default", state: "ready", body: "" }, {
          tube: "other",
          state: "ready",
          body: ""
        }])
        assert.deepStrictEqual(yield* client.purge("default"), { ...nothing, ready: 1 })
        assert.deepStrictEqual((yield* left(beanstalk)).map(({ tube }) => tube), ["other"])
      }))

    it.scopedLive("ready jobs of a tube that is paused", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here", "there"], 150)
        yield* putJobs(beanstalk, jobs)
        yield* beanstalk.pauseTube("here", "1 hour")
        const isHere = ({ tube }: Wanted) => tube === "here"
        assert.deepStrictEqual(yield* client.purge("here"), tallyOf(jobs.filter(isHere)))
        assert.deepStrictEqual(
          yield* left(beanstalk),
          sorted(jobs.filter((job) => !isHere(job)).map(essenceOf))
        )
      }))

    it.scopedLive("no job that another client has reserved, even for a second", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here"], 40, { ttr: 3600 })
        const ids = yield* putJobs(beanstalk, jobs)
        const held = ids.filter((_, index) => index % 3 === 0)
        yield* Effect.forEach(held, beanstalk.reserveJob)
        assert.deepStrictEqual(
          yield* client.purge("here"),
          tallyOf(jobs.filter((_, index) => index % 3 !== 0))
        )
        const rest = yield* everyJob(beanstalk)
        assert.deepStrictEqual(rest.map(({ id, state }) => `${state} ${id}`), held.map((id) => `reserved ${id}`))
      }))

    it.scopedLive("jobs that have a second to run", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here", "there"], amount(100, 400), { ttr: 1 })
        yield* putJobs(beanstalk, jobs)
        const isHere = ({ tube }: Wanted) => tube === "here"
        assert.deepStrictEqual(yield* client.purge("here"), tallyOf(jobs.filter(isHere)))
        assert.deepStrictEqual(
          yield* left(beanstalk),
          sorted(jobs.filter((job) => !isHere(job)).map(essenceOf))
        )
      }))
  })

  describe("how many it deletes", () => {
    const jobs = scattered(["here", "there"], 60)
    const here = jobs.filter(({ tube }) => tube === "here")

    const bounds = [
      ...[0, 1, 5, here.length - 1, here.length, 2 ** 32 - 1].map((bound) => ({ bound, paused: false })),
      ...[0, 5, here.length - 1].map((bound) => ({ bound, paused: true }))
    ]

    ofOneServer(kind, "order", () => {
      it.scopedLive.each(sample(bounds, 4))(
        "$bound at most, by the order of states, paused: $paused",
        ({ bound, paused }) =>
          Effect.gen(function*() {
            const { beanstalk, client } = yield* start(kind)
            yield* putJobs(beanstalk, jobs)
            if (paused) yield* beanstalk.pauseTube("here", "1 hour")
            const states = ["buried", "ready", "delayed"] as const
            const done = yield* client.purge("here", { bound, states })
            let room = bound
            const there = tallyOf(here)
            const expected = { ...nothing }
            for (const state of states) room -= expected[state] = Math.min(there[state], room)
            assert.deepStrictEqual(done, expected)
            const rest = yield* everyJob(beanstalk)
            assert.deepStrictEqual(
              tallyOf(rest.filter(({ tube }) => tube === "here")),
              {
                ready: there.ready - done.ready,
                delayed: there.delayed - done.delayed,
                buried: there.buried - done.buried
              }
            )
            assert.strictEqual(rest.filter(({ tube }) => tube === "there").length, jobs.length - here.length)
          })
      )
    })

    it.scopedLive.each(sample([256, 300, 512], 1))("%i of many ready jobs", (bound) =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        yield* putJobs(beanstalk, Array.from({ length: 600 }, () => ({ tube: "here", state: "ready", body: "" })))
        assert.deepStrictEqual(yield* client.purge("here", { bound }), { ...nothing, ready: bound })
        assert.strictEqual((yield* beanstalk.stats).currentJobsReady, 600 - bound)
      }))

    it.scopedLive("a tube into which another client keeps putting jobs", () =>
      Effect.gen(function*() {
        const { beanstalk, client, server } = yield* start(kind)
        const producer = yield* openTo(server, { tube: "here" })
        // Else it would end early whenever it is faster than the producer.
        let put = 100
        yield* putJobs(beanstalk, Array.from({ length: put }, () => ({ tube: "here", state: "ready", body: "" })))
        const putting = Effect.forever(Effect.tap(producer.put("more"), () => Effect.sync(() => put += 1)))
        const done = yield* Effect.raceFirst(Effect.orDie(client.purge("here", { bound: 60 })), Effect.orDie(putting))
        assert.deepStrictEqual(done, { ...nothing, ready: 60 })
        // The last put may have been interrupted after its job was stored.
        const { currentJobsReady } = yield* beanstalk.stats
        assert.include([put - 60, put - 59], currentJobsReady)
      }))
  })

  it.scopedLive("reports its progress, in numbers that never decrease", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* putJobs(beanstalk, scattered(["here"], 300))
      const told: Array<BeanstalkClient.Tally> = []
      const done = yield* client.purge("here", { onProgress: (tally) => Effect.sync(() => told.push(tally)) })
      assert.isAbove(told.length, 3)
      assert.deepStrictEqual(told.at(-1), done)
      const sums = told.map(({ buried, delayed, ready }) => ready + delayed + buried)
      assert.deepStrictEqual(sums, sums.toSorted((a, b) => a - b))
    }))

  it.scopedLive("fails with InvalidArgument for invalid arguments, without a connection", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const before = (yield* beanstalk.stats).totalConnections
      for (const tube of ["", "-a", "a b", "a\r\nb", "a".repeat(201), untyped("7")]) {
        const error = yield* failsWith(client.purge(tube), "InvalidArgument")
        assert.deepStrictEqual([error.command, error.argument], ["purge", "tube"])
      }
      for (const bound of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, untyped("\"1\"")]) {
        const error = yield* failsWith(client.purge("here", { bound }), "InvalidArgument")
        assert.deepStrictEqual([error.command, error.argument], ["purge", "bound"])
      }
      assert.strictEqual((yield* beanstalk.stats).totalConnections, before)
    }))
})
