/** Commands about many jobs or tubes at once, jobs with options of their own, and `purge` and `move` of a selection. */
import { assert, it } from "@effect/vitest"
import type { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { essence, everyJob, left, putJobs, scattered, sorted, start, tallyOf } from "../support/bulk.ts"
import { clientTo } from "../support/clients.ts"
import { failsWith } from "../support/connections.ts"
import { amount } from "../support/edition.ts"
import { describeClients } from "../support/servers.ts"

const tags = (exits: ReadonlyArray<Exit.Exit<void, { readonly _tag: string }>>) =>
  exits.map((exit) =>
    Exit.match(exit, {
      onSuccess: () => "done",
      onFailure: (cause) => cause._tag === "Fail" ? cause.error._tag : cause._tag
    })
  )

describeClients("statsTubes", (kind) => {
  it.scopedLive("reads the statistics of all tubes, and of those that are named, without those that do not exist", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* putJobs(beanstalk, scattered(["here", "there"], 50))
      const all = (yield* client.statsTubes()).toSorted((one, other) => one.name < other.name ? -1 : 1)
      assert.deepStrictEqual(all, yield* Effect.forEach(["default", "here", "there"], client.statsTube))
      const [here, ...others] = yield* client.statsTubes(["nowhere", "here"])
      assert.deepStrictEqual([here, others], [all[1], []])
      yield* failsWith(client.statsTubes(["here", "a b"]), "InvalidArgument")
    }))

  it.scopedLive("of more tubes than are asked for at a time", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      const names = Array.from({ length: 1100 }, (_, index) => `tube-${index}`)
      yield* Stream.runDrain(client.putAll("x", Stream.fromIterable(names.map((tube) => ({ body: "", tube })))))
      const counts = (yield* client.statsTubes(names)).map(({ currentJobsReady, name }) =>
        `${name} ${currentJobsReady}`
      )
      assert.deepStrictEqual(counts, names.map((name) => `${name} 1`))
    }))
})

describeClients("deleteAll and kickAll", (kind) => {
  it.scopedLive("say of each job how the command ended", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const [one = "", two = "", three = "", four = ""] = yield* putJobs(beanstalk, [
        { tube: "here", state: "ready", body: "1" },
        { tube: "here", state: "delayed", body: "2" },
        { tube: "here", state: "buried", body: "3" },
        { tube: "here", state: "ready", body: "4" }
      ])
      yield* beanstalk.reserveJob(four)
      const ids = [one, two, three, four, `${BigInt(one) + 77n}`]
      assert.deepStrictEqual(tags(yield* client.kickAll(ids)), [
        "JobNotFound",
        "done",
        "done",
        "JobNotFound",
        "JobNotFound"
      ])
      assert.deepStrictEqual(tags(yield* client.deleteAll(ids)), [
        "done",
        "done",
        "done",
        "JobNotFound",
        "JobNotFound"
      ])
      yield* beanstalk.delete(four)
    }))

  it.scopedLive("send nothing if an id is invalid", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const id = yield* beanstalk.put("x")
      yield* failsWith(client.deleteAll([id, "x"]), "InvalidArgument")
      yield* failsWith(client.kickAll([id, ""]), "InvalidArgument")
      yield* beanstalk.delete(id)
    }))
})

describeClients("buryAll", (kind) => {
  it.scopedLive("buries ready and delayed jobs with the given priority, and no others", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      const ids = yield* putJobs(beanstalk, [
        { tube: "here", state: "ready", body: "1", priority: 7 },
        { tube: "here", state: "delayed", body: "2", priority: 8 },
        { tube: "here", state: "ready", body: "3" }
      ])
      const held = ids[2] ?? ""
      yield* beanstalk.reserveJob(held)
      const stats = yield* Effect.forEach(ids, client.statsJob)
      assert.deepStrictEqual(yield* client.buryAll(stats), [true, true, false])
      const found = yield* everyJob(beanstalk)
      assert.deepStrictEqual(
        found.map(({ priority, state }) => `${priority} ${state}`),
        ["7 buried", "8 buried", "1024 reserved"]
      )
      yield* beanstalk.delete(held)
    }))

  it.scopedLive("buries a job that is delayed for as long as possible", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      const timeLeft = 2 ** 32 - 1
      const id = yield* client.put("here", "", { delay: `${timeLeft} seconds` })
      assert.deepStrictEqual(yield* client.buryAll([{ id, pri: 3, state: "delayed", timeLeft }]), [true])
      assert.deepInclude(yield* client.statsJob(id), { state: "buried", pri: 3 })
    }))
})

describeClients("putAll of jobs with options of their own", (kind) => {
  it.scopedLive("takes those that a job does not have from the options of putAll", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* start(kind)
      yield* Stream.runDrain(client.putAll(
        "here",
        Stream.make<Array<string | BeanstalkClient.JobToPut>>(
          "plain",
          { body: "urgent", priority: 1 },
          { body: "elsewhere", tube: "there", ttr: "9 seconds", delay: "1 hour" }
        ),
        { priority: 5, ttr: "8 seconds" }
      ))
      assert.deepStrictEqual(sorted((yield* everyJob(beanstalk)).map(essence)), [
        { body: "elsewhere", priority: 5, state: "delayed", tube: "there", ttr: 9 },
        { body: "plain", priority: 5, state: "ready", tube: "here", ttr: 8 },
        { body: "urgent", priority: 1, state: "ready", tube: "here", ttr: 8 }
      ])
    }))

  it.scopedLive("stops at one with invalid options, which counts as a body that failed", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      const puts = client.putAll("here", Stream.make("first", { body: "second", tube: "a b" }, "third"))
      const { acknowledged, failures } = yield* failsWith(Stream.runDrain(puts), "PutAllStopped")
      assert.deepStrictEqual([acknowledged, failures[0].index, failures[0].error._tag], [1, 1, "InvalidArgument"])
    }))
})

describeClients("purge and move of a selection", (kind) => {
  const jobs = scattered(["here", "there"], amount(300, 900))

  /** Every third job, and an id that does not exist. */
  const selected = (id: string) => BigInt(id) % 3n === 0n

  const withJobs = Effect.gen(function*() {
    const started = yield* start(kind)
    yield* putJobs(started.beanstalk, jobs)
    const all = yield* everyJob(started.beanstalk)
    return { ...started, all, ids: [...all.map(({ id }) => id).filter(selected), `${BigInt(all[0]!.id) + 99999n}`] }
  })

  it.scopedLive("purge deletes the selected jobs of the tube in the states, and no others", () =>
    Effect.gen(function*() {
      const { all, beanstalk, client, ids } = yield* withJobs
      const isMeant = ({ id, state, tube }: typeof all[number]) => selected(id) && tube === "here" && state !== "buried"
      const tally = yield* client.purge("here", { ids, states: ["ready", "delayed"] })
      assert.deepStrictEqual(tally, tallyOf(all.filter(isMeant)))
      assert.deepStrictEqual(yield* left(beanstalk), sorted(all.filter((job) => !isMeant(job)).map(essence)))
    }))

  it.scopedLive("purge stops at the bound", () =>
    Effect.gen(function*() {
      const { all, beanstalk, client, ids } = yield* withJobs
      // How many are in the tube depends on the seed.
      const bound = Math.ceil(all.filter(({ id, tube }) => selected(id) && tube === "here").length / 2)
      const { buried, delayed, ready } = yield* client.purge("here", { ids, bound })
      assert.strictEqual(ready + delayed + buried, bound)
      assert.strictEqual((yield* everyJob(beanstalk)).length, all.length - bound)
    }))

  it.scopedLive("move moves the selected jobs of the tube, in their states, and no others", () =>
    Effect.gen(function*() {
      const { all, beanstalk, client, ids } = yield* withJobs
      const isMeant = ({ id, tube }: typeof all[number]) => selected(id) && tube === "here"
      assert.deepStrictEqual(yield* client.move("here", "target", { ids }), tallyOf(all.filter(isMeant)))
      assert.deepStrictEqual(
        yield* left(beanstalk),
        sorted(all.map((job) => essence(isMeant(job) ? Object.assign(job, { tube: "target" }) : job)))
      )
    }))

  it.scopedLive("fail with InvalidArgument for an invalid id", () =>
    Effect.gen(function*() {
      const { client } = yield* start(kind)
      yield* failsWith(client.purge("here", { ids: ["x"] }), "InvalidArgument")
      yield* failsWith(client.move("here", "there", { ids: ["x"] }), "InvalidArgument")
    }))
})

describeClients("move into another server", (kind) => {
  const withTwo = Effect.gen(function*() {
    const first = yield* start(kind)
    const second = yield* start(kind)
    return { first, second }
  })

  it.scopedLive("keeps bodies, priorities, times to run, states and the name of the tube", () =>
    Effect.gen(function*() {
      const { first, second } = yield* withTwo
      const jobs = scattered(["here", "there"], 100)
      yield* putJobs(first.beanstalk, jobs)
      const before = yield* left(first.beanstalk)
      const isHere = ({ tube }: { readonly tube: string }) => tube === "here"
      assert.deepStrictEqual(
        yield* first.client.move("here", "here", { into: second.client }),
        tallyOf(jobs.filter(isHere))
      )
      assert.deepStrictEqual(yield* left(first.beanstalk), before.filter((job) => !isHere(job)))
      assert.deepStrictEqual(yield* left(second.beanstalk), before.filter(isHere))
    }))

  it.scopedLive("refuses the same tube of the same server, by whichever client", () =>
    Effect.gen(function*() {
      const { beanstalk, client, server } = yield* start(kind)
      const other = yield* clientTo(server)
      yield* beanstalk.put("x", { tube: "here" })
      yield* failsWith(client.move("here", "here", { into: other }), "InvalidArgument")
      assert.deepStrictEqual(yield* client.move("here", "there", { into: other }), { ready: 1, delayed: 0, buried: 0 })
    }))

  it.scopedLive("fails with ConnectFailed, and changes nothing, if the other server cannot be reached", () =>
    Effect.gen(function*() {
      const { first, second } = yield* withTwo
      yield* putJobs(first.beanstalk, scattered(["here"], 20))
      const before = yield* left(first.beanstalk)
      yield* second.server.kill
      yield* failsWith(first.client.move("here", "here", { into: second.client }), "ConnectFailed")
      assert.deepStrictEqual(yield* left(first.beanstalk), before)
    }))
})
