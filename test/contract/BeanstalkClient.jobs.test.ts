/** `client.jobs` finds every job, each once, and changes nothing. */
import { assert, it } from "@effect/vitest"
import type { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { everyJob, putJobs, scattered, start, type Wanted } from "../support/bulk.ts"
import { failsWith } from "../support/connections.ts"
import { chars } from "../support/replies.ts"
import { describeClients, ofOneServer } from "../support/servers.ts"

const tubes = ["here", "there", "elsewhere"]

/** As fast as possible: half of the server's time is the default. */
const atFullSpeed = { serverShare: 1 }

const list = (client: BeanstalkClient.Client, options: BeanstalkClient.JobsOptions) =>
  Stream.runCollect(client.jobs({ ...atFullSpeed, ...options })).pipe(
    Effect.map((jobs) => Array.from(jobs, ({ stats }) => stats))
  )

const idsOf = (jobs: ReadonlyArray<{ readonly id: string }>) => jobs.map(({ id }) => id).toSorted()

/** Runs once, at the first progress. */
const once = (effect: Effect.Effect<unknown>) => {
  let hasRun = false
  return () =>
    Effect.suspend(() => {
      if (hasRun) return Effect.void
      hasRun = true
      return Effect.asVoid(effect)
    })
}

describeClients("jobs", (kind) => {
  it.scopedLive.each([
    { tube: "here", states: ["ready"] as const },
    { tube: ["here", "there"], states: ["buried", "delayed"] as const },
    { tube: ["nowhere", "elsewhere"], states: undefined },
    { tube: undefined, states: ["delayed"] as const },
    { tube: undefined, states: undefined },
    { tube: "here", states: [] }
  ])("of $tube in $states", (choice) =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* putJobs(beanstalk, scattered(tubes, 90))
      const { tube, states = ["ready", "delayed", "buried"] } = choice
      const wanted = (yield* everyJob(beanstalk)).filter((job) =>
        (tube === undefined || [tube].flat().some((name) => name === job.tube)) &&
        states.some((state) => state === job.state)
      )
      assert.deepStrictEqual(idsOf(yield* list(client, choice)), idsOf(wanted))
    }))

  it.scopedLive("with their bodies, whatever these are", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const bodies = ["", "\r\n", "delete 1\r\n", every, new Uint8Array(65_535).fill(0xff)]
      yield* putJobs(beanstalk, bodies.map((body): Wanted => ({ tube: "here", state: "buried", body })))
      const jobs = yield* Stream.runCollect(client.jobs({ tube: "here", bodies: true }))
      assert.sameMembers(
        Array.from(jobs, ({ body }) => chars(body)),
        bodies.map((body) => typeof body === "string" ? body : chars(body))
      )
    }))

  it.scopedLive("that are reserved by another connection, and leaves them so", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const id = yield* beanstalk.put("x", { tube: "here" })
      yield* beanstalk.reserveJob(id)
      assert.deepStrictEqual((yield* list(client, { tube: "here" })).map(({ state }) => state), ["reserved"])
      yield* beanstalk.delete(id)
    }))

  ofOneServer(kind, "order", () => {
    it.scopedLive("newest first, also an old one behind thousands of ids that are gone", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const old = yield* beanstalk.put("old", { tube: "here" })
        const ids = yield* Stream.runCollect(client.putAll("other", Stream.map(Stream.range(1, 3000), String)))
        yield* client.deleteAll(ids)
        const young = yield* beanstalk.put("young", { tube: "here" })
        assert.deepStrictEqual((yield* list(client, { tube: "here" })).map(({ id }) => id), [young, old])
      }))
  })

  it.scopedLive("leave no job, no tube and no reservation behind", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* putJobs(beanstalk, scattered(["here"], 30))
      const before = yield* everyJob(beanstalk)
      yield* list(client, {})
      yield* list(client, { tube: "nowhere" })
      assert.deepStrictEqual(yield* everyJob(beanstalk), before)
      assert.deepStrictEqual(
        (yield* client.listTubes).filter((tube) => tube !== "the-last").toSorted(),
        ["default", "here"]
      )
      assert.strictEqual((yield* client.stats).currentJobsReserved, 0)
    }))

  it.scopedLive("delete the job that an earlier listing had to leave when its connection was lost", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const left = yield* beanstalk.put("", { tube: "effect-beanstalk/newest", delay: "100000 seconds" })
      assert.deepStrictEqual(yield* list(client, {}), [])
      yield* failsWith(client.peek(left), "JobNotFound")
    }))

  ofOneServer(kind, "each", () => {
    it.scopedLive("fail after what was found if there are more jobs than within the reach", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const [, , , ...young] = yield* Effect.replicateEffect(beanstalk.put("x", { tube: "here" }), 20)
        const found: Array<string> = []
        const error = yield* Effect.flip(
          Stream.runForEach(
            client.jobs({ tube: "here", reach: 17 }),
            ({ stats }) => Effect.sync(() => found.push(stats.id))
          )
        )
        assert.deepInclude(error, { _tag: "ReachExceeded", found: 17, counted: 20, asked: 17 })
        assert.deepStrictEqual(found, young.toReversed())
      }))
  })

  ofOneServer(kind, "newest", () => {
    it.scopedLive("put nothing if the newest id is given, and work while the server drains", () =>
      Effect.gen(function*() {
        const { beanstalk, client, server } = yield* start(kind)
        const ids = yield* Effect.replicateEffect(beanstalk.put("x", { tube: "here" }), 3)
        yield* server.drain
        yield* failsWith(list(client, { tube: "here" }), "Draining")
        const { cmdPut } = yield* client.stats
        assert.deepStrictEqual(
          idsOf(yield* list(client, { tube: "here", newest: "2" })),
          idsOf(ids.slice(0, 2).map((id) => ({ id })))
        )
        assert.strictEqual((yield* client.stats).cmdPut, cmdPut)
      }))
  })

  ofOneServer(kind, "order", () => {
    it.scopedLive("find the old job although a young one, which was found, is deleted meanwhile", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        const old = yield* beanstalk.put("old", { tube: "here" })
        const ids = yield* Stream.runCollect(client.putAll("other", Stream.map(Stream.range(1, 3000), String)))
        yield* client.deleteAll(ids)
        const young = yield* beanstalk.put("young", { tube: "here" })
        const onProgress = once(Effect.orDie(client.delete(young)))
        assert.deepStrictEqual((yield* list(client, { tube: "here", onProgress })).map(({ id }) => id), [young, old])
      }))
  })

  ofOneServer(kind, "ended", () => {
    it.scopedLive("find a job that is buried, and one that is put, after their ids were passed", () =>
      Effect.gen(function*() {
        const { beanstalk, client } = yield* start(kind)
        yield* putJobs(beanstalk, [{ tube: "here", state: "buried", body: "old" }])
        yield* client.deleteAll(
          yield* Stream.runCollect(client.putAll("other", Stream.map(Stream.range(1, 2000), String)))
        )
        const id = yield* beanstalk.put("x", { tube: "here" })
        yield* beanstalk.reserveJob(id)
        const onProgress = once(Effect.orDie(Effect.zipRight(
          beanstalk.bury(id, 0),
          putJobs(beanstalk, [{ tube: "here", state: "buried", body: "new" }])
        )))
        const found = yield* list(client, { tube: "here", states: ["buried"], onProgress })
        const buried = (yield* everyJob(beanstalk)).filter(({ state }) => state === "buried")
        assert.strictEqual(buried.length, 3)
        assert.deepStrictEqual(idsOf(found), idsOf(buried))
      }))
  })

  it.scopedLive("refuse invalid arguments", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      for (
        const options of [{ tube: "a b" }, { tube: ["ok", ""] }, { reach: 0 }, { newest: "x" }, { serverShare: 0 }, {
          serverShare: 1.1
        }]
      ) {
        yield* failsWith(list(client, options), "InvalidArgument")
      }
    }))
})

describeClients("jobs, and jobsById, of which some are wanted", (kind) => {
  it.scopedLive("emit those in the order of the ids, from as many chunks as these come in", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      const ids = yield* Stream.runCollect(client.putAll("here", Stream.map(Stream.range(1, 2500), String)))
      const wanted = Array.from(ids).toReversed()
      const gone = [wanted[7]!, wanted[1500]!]
      yield* client.deleteAll(gone)
      const bodyOf = new Map(Array.from(ids, (id, index) => [id, `${index + 1}`]))
      const asked = Stream.concat(Stream.fromIterable(wanted.slice(0, 10)), Stream.fromIterable(wanted.slice(10)))
      const found = yield* Stream.runCollect(client.jobsById(asked, { bodies: true }))
      assert.deepStrictEqual(
        Array.from(found, ({ body, stats }) => [stats.id, chars(body)]),
        wanted.filter((id) => !gone.includes(id)).map((id) => [id, bodyOf.get(id)])
      )
    }))

  it.scopedLive("are in the tubes, in the states, and such as a function tells", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* putJobs(beanstalk, scattered(tubes, 90))
      const wanted = (yield* everyJob(beanstalk)).filter(({ id, state, tube }) =>
        tube === "here" && state === "buried" && BigInt(id) % 2n === 0n
      )
      const options: BeanstalkClient.JobsByIdOptions = {
        tube: "here",
        states: ["buried"],
        where: ({ id }) => BigInt(id) % 2n === 0n
      }
      const ids = Stream.fromIterable((yield* everyJob(beanstalk)).map(({ id }) => id))
      const found = yield* Stream.runCollect(client.jobsById(ids, options))
      assert.deepStrictEqual(Array.from(found, ({ stats }) => stats.id), wanted.map(({ id }) => id))
      assert.deepStrictEqual(idsOf(yield* list(client, options)), idsOf(wanted))
    }))

  it.scopedLive("are emitted as soon as their ids come", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const id = yield* beanstalk.put("x", { tube: "here" })
      const first = yield* Stream.runHead(client.jobsById(Stream.concat(Stream.make(id), Stream.never)))
      assert.strictEqual(Option.getOrThrow(first).stats.id, id)
    }))

  it.scopedLive("fail at an invalid id, and with the error of the ids", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      yield* failsWith(Stream.runDrain(client.jobsById(Stream.make("x"))), "InvalidArgument")
      const failing = Stream.concat(Stream.make(yield* client.put("here", "")), Stream.fail("no more"))
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(client.jobsById(failing))), "no more")
    }))
})
