/** What a worker relies on in a beanstalkd, and what it makes of it. */
import { assert, it } from "@effect/vitest"
import { BeanstalkClient, Job, Tube, Worker } from "effect-beanstalk"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { clientTo } from "../support/clients.ts"
import { openTo } from "../support/connections.ts"
import type { Kind, Listening, Server } from "../support/server.ts"
import { describeContract, describeListening } from "../support/servers.ts"
import { Switchboard } from "../support/switchboard.ts"
import { start } from "../support/workers.ts"

class Refused extends Data.TaggedError("Refused") {}

/** Gives a worker a client of this server. */
const workingFor = (server: Pick<Server, "connector">) =>
  Effect.map(
    clientTo(server),
    (client) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.provideService(effect, BeanstalkClient.BeanstalkClient, client)
  )

/** A server, a tube, and somebody who looks on. */
const scene = <S extends Server>(kind: Kind<S>, name = "work") =>
  Effect.gen(function*() {
    const server = yield* kind.start()
    const tube = Tube.text(name, { priority: 7, ttr: "1 minute" })
    const onlooker = yield* openTo(server, { tube: tube.name, watch: [tube.name] })
    return { server, tube, onlooker, working: yield* workingFor(server) }
  })

describeContract("a worker", (kind) => {
  it.scopedLive("rule 18: releases a job that failed with its own priority, for a second at least, and buries it then", () =>
    Effect.gen(function*() {
      const { onlooker, tube, working } = yield* scene(kind)
      const id = yield* onlooker.put("a", { priority: 9, ttr: "1 minute" })
      const { event } = yield* start(tube, () => new Refused(), { retry: Schedule.recurs(1) }).pipe(working)
      yield* event("Retried")
      const released = yield* onlooker.statsJob(id)
      assert.deepInclude(released, { state: "delayed", pri: 9, delay: 1, releases: 1 })
      assert.strictEqual((yield* event("Buried")).attempt, 2)
      assert.deepInclude(yield* onlooker.statsJob(id), { state: "buried", pri: 9, releases: 1, buries: 1 })
    }))

  it.scopedLive("rule 18: gives a job that is kicked one run, which is as many as before", () =>
    Effect.gen(function*() {
      const { onlooker, tube, working } = yield* scene(kind)
      const id = yield* onlooker.put("a")
      const attempts: Array<number> = []
      const { event } = yield* start(tube, (_, job) =>
        Effect.flatMap(job.stats, ({ attempt, disconnects }) => {
          attempts.push(attempt, disconnects)
          return new Refused()
        }), { retry: Schedule.stop }).pipe(working)
      yield* event("Buried")
      yield* onlooker.kickJob(id)
      yield* event("Buried", 2)
      assert.deepStrictEqual(attempts, [1, 0, 1, 0])
    }))

  it.scopedLive("rule 20: buries a job, unrun, whose workers were gone so often, and counts nothing else", () =>
    Effect.gen(function*() {
      const { onlooker, server, tube, working } = yield* scene(kind)
      const id = yield* onlooker.put("a", { priority: 9 })
      for (let gone = 0; gone < 2; gone += 1) {
        yield* Effect.scoped(Effect.flatMap(openTo(server, { watch: [tube.name] }), ({ reserve }) => reserve))
      }
      const runs: Array<string> = []
      const options = { maxDisconnects: 2 }
      const { event } = yield* start(tube, (payload) => Effect.sync(() => runs.push(payload)), options).pipe(
        working
      )
      const told = yield* event("CrashLoop")
      assert.deepInclude(told, { id, disconnects: 2 })
      assert.deepInclude(yield* onlooker.statsJob(id), { state: "buried", pri: 9, reserves: 3 })
      yield* onlooker.put("b")
      yield* event("Completed")
      assert.deepStrictEqual(runs, ["b"])
    }))

  it.scopedLive("rule 21: gives back at once, as it was, what a shutdown interrupts: it is no failure", () =>
    Effect.gen(function*() {
      const { onlooker, tube, working } = yield* scene(kind)
      const id = yield* onlooker.put("a", { priority: 9 })
      const began = yield* Deferred.make<void>()
      const { event, tags, worker } = yield* start(
        tube,
        () => Effect.zipRight(Deferred.succeed(began, undefined), Effect.never),
        { shutdownTimeout: 0 }
      ).pipe(working)
      yield* Deferred.await(began)
      const report = yield* worker.shutdown
      assert.deepStrictEqual(report.interrupted, [id])
      yield* event("ShutdownReport")
      assert.deepStrictEqual(yield* tags, ["Interrupted", "ShutdownReport"])
      assert.strictEqual((yield* onlooker.reserve).id, id)
      assert.deepInclude(yield* onlooker.statsJob(id), { pri: 9, reserves: 2, releases: 0, timeouts: 0, buries: 0 })
    }))

  it.scopedLive("rule 21: leaves alone what others hold", () =>
    Effect.gen(function*() {
      const { onlooker, tube, working } = yield* scene(kind)
      yield* onlooker.put("mine")
      const mine = yield* onlooker.reserve
      const { event } = yield* start(tube, () => Effect.void).pipe(working)
      const id = yield* onlooker.put("theirs")
      assert.strictEqual((yield* event("Completed")).id, id)
      yield* onlooker.touch(mine.id)
    }))

  it.scopedLive("rule 7: can touch its job at once, though it works on one connection", () =>
    Effect.gen(function*() {
      const { onlooker, tube, working } = yield* scene(kind)
      yield* onlooker.put("a")
      const { event } = yield* start(tube, (_, job) => Effect.repeatN(job.touch, 99)).pipe(working)
      yield* event("Completed")
      assert.strictEqual((yield* onlooker.stats).cmdTouch, 100)
    }))
})

/** A worker whose job is given to a thief by the server, behind its back. */
const robbed = (kind: Kind<Listening>) =>
  Effect.gen(function*() {
    // A new connection watches it, and so does the worker when it has lost its own.
    const { onlooker, server, tube } = yield* scene(kind, Job.defaultTube)
    const line = yield* Switchboard.make(server)
    const id = yield* onlooker.put("a")
    const thief = yield* openTo(server, { watch: [tube.name] })
    const steal = Effect.tap(
      Effect.zipRight(line.reconnect, thief.reserve),
      (stolen) => Effect.sync(() => assert.strictEqual(stolen.id, id))
    )
    return { id, onlooker, steal, thief, tube, working: yield* workingFor(line) }
  })

describeListening("a job that somebody else has got", (kind) => {
  const ends: ReadonlyArray<
    readonly [
      what: string,
      end: (job: Worker.Job) => Effect.Effect<unknown, Refused | Worker.Order>
    ]
  > = [
    ["deleted", () => Effect.void],
    ["touched", (job) => Effect.orDie(job.touch)],
    ["released", () => new Refused()],
    ["buried", () => new Worker.Bury()],
    ["discarded", () => new Worker.Discard()]
  ]

  it.scopedLive.each(ends)(
    "rule 17: is noticed when it is to be %s, told once, and left alone",
    ([, end]) =>
      Effect.gen(function*() {
        const { id, onlooker, steal, thief, tube, working } = yield* robbed(kind)
        const { event, tags } = yield* start(
          tube,
          (payload, job) => payload === "a" ? Effect.zipRight(Effect.orDie(steal), end(job)) : Effect.void
        ).pipe(working)
        const lost = yield* event("LeaseLost")
        assert.strictEqual(lost.id, id)
        assert.strictEqual(lost.error._tag, "LeaseLost")
        assert.strictEqual((yield* onlooker.statsJob(id)).state, "reserved")
        yield* thief.touch(id)
        const next = yield* onlooker.put("b")
        assert.strictEqual((yield* event("Completed")).id, next)
        assert.deepStrictEqual(yield* tags, ["LeaseLost", "Completed"])
      })
  )
})
