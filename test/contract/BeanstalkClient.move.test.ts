/** `client.move` moves the jobs of one tube to another, with their bodies, settings and states. */
import { assert, describe, it } from "@effect/vitest"
import type { BeanstalkClient, BeanstalkConnection } from "effect-beanstalk"
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
import { failsWith, openTo } from "../support/connections.ts"
import { amount, sample } from "../support/edition.ts"
import { untyped } from "../support/replies.ts"
import { describeClients, ofOneServer } from "../support/servers.ts"

const nothing = { ready: 0, delayed: 0, buried: 0 }

/** The jobs that are expected after some of them are moved. */
const moved = (jobs: ReadonlyArray<Wanted>, isMeant: (job: Wanted) => boolean) =>
  sorted(jobs.map((job) => essenceOf(isMeant(job) ? { ...job, tube: "target" } : job)))

const isHere = ({ tube }: Wanted) => tube === "here"

const untouched = (beanstalk: BeanstalkConnection.Connection) =>
  Effect.map(beanstalk.stats, (stats) => assert.strictEqual(stats.currentJobsReserved, 0))

describeClients("move", (kind) => {
  describe("what it moves", () => {
    it.scopedLive.each(sample(choices, 3).map((states) => ({ states })))(
      "$states, and nothing else",
      ({ states }) =>
        Effect.gen(function*() {
          const { beanstalk, client } = yield* start(kind)
          const jobs = scattered(["here", "target", "elsewhere"], 60)
          yield* putJobs(beanstalk, jobs)
          const isMeant = (job: Wanted) => isHere(job) && states.includes(job.state)
          assert.deepStrictEqual(yield* client.move("here", "target", { states }), tallyOf(jobs.filter(isMeant)))
          assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isMeant))
          yield* untouched(beanstalk)
        })
    )

    it.scopedLive("all jobs by default, to a tube that does not exist yet", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here"], amount(100, 400))
        yield* putJobs(beanstalk, jobs)
        assert.deepStrictEqual(yield* client.move("here", "target"), tallyOf(jobs))
        assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isHere))
      }))

    it.scopedLive("their bodies, byte for byte", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
        const bodies = ["", "\r\n", "x\r\ndelete 1\r\n", every, new Uint8Array(65_535).fill(0xff)]
        const jobs = bodies.flatMap((body): ReadonlyArray<Wanted> => [
          { tube: "here", state: "ready", body },
          { tube: "here", state: "delayed", body },
          { tube: "here", state: "buried", body }
        ])
        yield* putJobs(beanstalk, jobs)
        assert.deepStrictEqual(yield* client.move("here", "target"), tallyOf(jobs))
        assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isHere))
      }))

    it.scopedLive("the most and the least urgent, the shortest and the longest times", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const most = 2 ** 32 - 1
        const jobs = [0, most].flatMap((priority) =>
          [1, most].flatMap((ttr) =>
            [1000, most].flatMap((delay) =>
              (["ready", "delayed", "buried"] as const).map((state): Wanted => ({
                tube: "here",
                state,
                body: "",
                priority,
                ttr,
                delay
              }))
            )
          )
        )
        yield* putJobs(beanstalk, jobs)
        assert.deepStrictEqual(yield* client.move("here", "target"), tallyOf(jobs))
        assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isHere))
      }))

    it.scopedLive("delayed jobs, which stay delayed for as long, and at most a second longer", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here"], 80, { state: "delayed" })
        yield* putJobs(beanstalk, jobs)
        const dueBefore = new Map((yield* everyJob(beanstalk)).map(({ body, timeLeft }) => [body, timeLeft]))
        const startedAt = performance.now()
        yield* client.move("here", "target")
        const copies = yield* everyJob(beanstalk)
        const took = (performance.now() - startedAt) / 1000
        assert.strictEqual(copies.length, jobs.length)
        for (const { body, timeLeft } of copies) {
          const before = dueBefore.get(body) ?? Number.NaN
          // The server rounds both times left down, each by up to a second.
          assert.isAtLeast(timeLeft + 1, before - took)
          assert.isAtMost(timeLeft, Math.min(before + 2, 2 ** 32 - 1))
        }
      }))

    it.scopedLive("nothing of an empty tube, and of one that does not exist, without creating a tube", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        yield* beanstalk.use("empty")
        assert.deepStrictEqual(yield* client.move("empty", "target"), nothing)
        assert.deepStrictEqual(yield* client.move("nowhere", "target"), nothing)
        assert.isFalse((yield* beanstalk.listTubes).some((tube) => tube === "target"))
      }))

    it.scopedLive("to and from the default tube", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["default"], 30)
        yield* putJobs(beanstalk, jobs)
        yield* client.move("default", "target")
        assert.deepStrictEqual(yield* client.move("target", "default"), tallyOf(jobs))
        assert.deepStrictEqual(yield* left(beanstalk), sorted(jobs.map(essenceOf)))
      }))

    it.scopedLive.each(["here", "target"])("where %s is paused", (paused) =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here", "target"], 150)
        yield* putJobs(beanstalk, jobs)
        yield* beanstalk.pauseTube(paused, "1 hour")
        assert.deepStrictEqual(yield* client.move("here", "target"), tallyOf(jobs.filter(isHere)))
        assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isHere))
        yield* untouched(beanstalk)
      }))

    it.scopedLive("buried jobs whose ids are far apart, without a connection for each", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = Array.from({ length: 600 }, (_, index): Wanted => ({
          tube: index % 4 === 0 ? "here" : "elsewhere",
          state: "buried",
          body: `${index}`,
          priority: index
        }))
        yield* putJobs(beanstalk, jobs)
        const before = (yield* beanstalk.stats).totalConnections
        assert.deepStrictEqual(yield* client.move("here", "target"), { ...nothing, buried: 150 })
        assert.isBelow((yield* beanstalk.stats).totalConnections - before, 75)
        assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isHere))
      }))

    it.scopedLive("no job that another client has reserved", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here"], 40)
        const ids = yield* putJobs(beanstalk, jobs)
        const held = ids.filter((_, index) => index % 3 === 0)
        yield* Effect.forEach(held, beanstalk.reserveJob)
        assert.deepStrictEqual(
          yield* client.move("here", "target"),
          tallyOf(jobs.filter((_, index) => index % 3 !== 0))
        )
        const rest = (yield* everyJob(beanstalk)).filter(({ tube }) => tube === "here")
        assert.deepStrictEqual(rest.map(({ id, state }) => `${state} ${id}`), held.map((id) => `reserved ${id}`))
      }))

    it.scopedLive("jobs that have a second to run", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const jobs = scattered(["here", "elsewhere"], amount(100, 400), { ttr: 1 })
        yield* putJobs(beanstalk, jobs)
        assert.deepStrictEqual(yield* client.move("here", "target"), tallyOf(jobs.filter(isHere)))
        assert.deepStrictEqual(yield* left(beanstalk), moved(jobs, isHere))
      }))
  })

  describe("how many it moves", () => {
    const jobs = scattered(["here", "elsewhere"], 60)
    const there = tallyOf(jobs.filter(isHere))
    const all = there.ready + there.delayed + there.buried

    const bounds = [
      ...[0, 1, 5, all - 1, all, 2 ** 32 - 1].map((bound) => ({ bound, paused: false })),
      ...[0, 5, all - 1].map((bound) => ({ bound, paused: true }))
    ]

    ofOneServer(kind, "order", () => {
      it.scopedLive.each(sample(bounds, 4))(
        "$bound at most, by the order of states, paused: $paused",
        ({ bound, paused }) =>
          Effect.gen(function*() {
            const { beanstalk, client } = yield* start(kind)
            yield* putJobs(beanstalk, jobs)
            if (paused) yield* beanstalk.pauseTube("here", "1 hour")
            const states = ["delayed", "buried", "ready"] as const
            const done = yield* client.move("here", "target", { bound, states })
            let room = bound
            const expected = { ...nothing }
            for (const state of states) room -= expected[state] = Math.min(there[state], room)
            assert.deepStrictEqual(done, expected)
            const rest = yield* everyJob(beanstalk)
            assert.deepStrictEqual(tallyOf(rest.filter(({ tube }) => tube === "target")), done)
            assert.strictEqual(rest.length, jobs.length)
            yield* untouched(beanstalk)
          })
      )
    })

    it.scopedLive("a tube into which another client keeps putting jobs", () =>
      Effect.gen(function*() {
        const { beanstalk, client, server } = yield* start(kind)
        const producer = yield* openTo(server, { tube: "here" })
        const done = yield* Effect.raceFirst(
          Effect.orDie(client.move("here", "target", { bound: 60 })),
          Effect.orDie(Effect.forever(producer.put("more")))
        )
        assert.deepStrictEqual(done, { ...nothing, ready: 60 })
        assert.strictEqual((yield* everyJob(beanstalk)).filter(({ tube }) => tube === "target").length, 60)
      }))
  })

  it.scopedLive("reports its progress, in numbers that never decrease", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* putJobs(beanstalk, scattered(["here"], 300))
      const told: Array<BeanstalkClient.Tally> = []
      const done = yield* client.move("here", "target", {
        onProgress: (tally) => Effect.sync(() => told.push(tally))
      })
      assert.isAbove(told.length, 3)
      assert.deepStrictEqual(told.at(-1), done)
      const sums = told.map(({ buried, delayed, ready }) => ready + delayed + buried)
      assert.deepStrictEqual(sums, sums.toSorted((a, b) => a - b))
    }))

  it.scopedLive("fails with InvalidArgument for invalid arguments, without a connection", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const before = (yield* beanstalk.stats).totalConnections
      const refusal = (move: ReturnType<typeof client.move>) =>
        Effect.map(failsWith(move, "InvalidArgument"), ({ argument, command }) => `${command} ${argument}`)
      for (const tube of ["", "-a", "a b", "a\r\nb", "a".repeat(201), untyped("7")]) {
        assert.strictEqual(yield* refusal(client.move(tube, "target")), "move tube")
        assert.strictEqual(yield* refusal(client.move("here", tube)), "move to")
      }
      assert.strictEqual(yield* refusal(client.move("here", "here")), "move to")
      for (const bound of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32]) {
        assert.strictEqual(yield* refusal(client.move("here", "target", { bound })), "move bound")
      }
      assert.strictEqual((yield* beanstalk.stats).totalConnections, before)
    }))
})
