/** What a worker relies on in a beanstalkd, with the embedded server and a real one. */
import { assert, it } from "@effect/vitest"
import { BeanstalkClient, Job, Tube, Worker } from "effect-beanstalk"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { clientTo } from "../support/clients.ts"
import { openTo } from "../support/connections.ts"
import type { Kind, Listening, Server } from "../support/server.ts"
import { describeClients, describeListening } from "../support/servers.ts"
import { Switchboard } from "../support/switchboard.ts"
import { start } from "../support/workers.ts"

class Refused extends Data.TaggedError("Refused") {}

/** Provides a client of this server. */
const provideClient = (server: Pick<Server, "connector">) =>
  Effect.map(
    clientTo(server),
    (client) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.provideService(effect, BeanstalkClient.BeanstalkClient, client)
  )

/** A server, a tube, and a connection for the test. */
const setup = <S extends Server>(kind: Kind<S>, name = "work") =>
  Effect.gen(function*() {
    const server = yield* kind.start()
    const tube = Tube.text(name, { priority: 7, ttr: "1 minute" })
    const connection = yield* openTo(server, { tube: tube.name, watch: [tube.name] })
    return { server, tube, connection, withClient: yield* provideClient(server) }
  })

describeClients("a worker", (kind) => {
  it.scopedLive("rule 18: releases a job that failed with its own priority and a delay of a second, and then buries it", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      const id = yield* connection.put("a", { priority: 9, ttr: "1 minute" })
      const { event } = yield* start(tube, () => new Refused(), { retry: Schedule.recurs(1) }).pipe(withClient)
      yield* event("Retried")
      const released = yield* connection.statsJob(id)
      assert.deepInclude(released, { state: "delayed", pri: 9, delay: 1, releases: 1 })
      assert.strictEqual((yield* event("Buried")).attempt, 2)
      assert.deepInclude(yield* connection.statsJob(id), { state: "buried", pri: 9, releases: 1, buries: 1 })
    }))

  it.scopedLive("rule 18: gives a job that is kicked one run, with the same attempt", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      const id = yield* connection.put("a")
      const attempts: Array<number> = []
      const { event } = yield* start(tube, (_, job) =>
        Effect.flatMap(job.stats, ({ attempt, disconnects }) => {
          attempts.push(attempt, disconnects)
          return new Refused()
        }), { retry: Schedule.stop }).pipe(withClient)
      yield* event("Buried")
      yield* connection.kickJob(id)
      yield* event("Buried", 2)
      assert.deepStrictEqual(attempts, [1, 0, 1, 0])
    }))

  it.scopedLive("rule 20: buries a job without running it after maxDisconnects lost connections", () =>
    Effect.gen(function*() {
      const { connection, server, tube, withClient } = yield* setup(kind)
      const id = yield* connection.put("a", { priority: 9 })
      for (let disconnects = 0; disconnects < 2; disconnects += 1) {
        yield* Effect.scoped(Effect.flatMap(openTo(server, { watch: [tube.name] }), ({ reserve }) => reserve))
      }
      const runs: Array<string> = []
      const options = { maxDisconnects: 2 }
      const { event } = yield* start(tube, (payload) => Effect.sync(() => runs.push(payload)), options).pipe(
        withClient
      )
      const crashLoop = yield* event("CrashLoop")
      assert.deepInclude(crashLoop, { id, disconnects: 2 })
      assert.deepInclude(yield* connection.statsJob(id), { state: "buried", pri: 9, reserves: 3 })
      yield* connection.put("b")
      yield* event("Completed")
      assert.deepStrictEqual(runs, ["b"])
    }))

  it.scopedLive("rule 21: gives back a job that a shutdown interrupts at once, without a release", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      const id = yield* connection.put("a", { priority: 9 })
      const began = yield* Deferred.make<void>()
      const { event, tags, worker } = yield* start(
        tube,
        () => Effect.zipRight(Deferred.succeed(began, undefined), Effect.never),
        { shutdownTimeout: 0 }
      ).pipe(withClient)
      yield* Deferred.await(began)
      const report = yield* worker.shutdown
      assert.deepStrictEqual(report.interrupted, [id])
      yield* event("ShutdownReport")
      assert.deepStrictEqual(yield* tags, ["Interrupted", "ShutdownReport"])
      assert.strictEqual((yield* connection.reserve).id, id)
      assert.deepInclude(yield* connection.statsJob(id), { pri: 9, reserves: 2, releases: 0, timeouts: 0, buries: 0 })
    }))

  it.scopedLive("rule 21: does not touch the reservations of other connections", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      yield* connection.put("reserved by the test")
      const held = yield* connection.reserve
      const { event } = yield* start(tube, () => Effect.void).pipe(withClient)
      const id = yield* connection.put("for the worker")
      assert.strictEqual((yield* event("Completed")).id, id)
      yield* connection.touch(held.id)
    }))

  it.scopedLive("rule 7: touches its job without delay on the connection that reserved it", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      yield* connection.put("a")
      const { event } = yield* start(tube, (_, job) => Effect.repeatN(job.touch, 99)).pipe(withClient)
      yield* event("Completed")
      assert.strictEqual((yield* connection.stats).cmdTouch, 100)
    }))
})

describeClients("a Stream of jobs", (kind) => {
  it.scopedLive("rule 27: has each job once, and settles it as the program says", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      const ids = yield* Effect.forEach("01230123", (body) => connection.put(body, { priority: 9 }))
      const settled: Array<string> = []
      yield* Worker.jobs(tube).pipe(
        Stream.tap((job) => {
          settled.push(job.id)
          const settle = [job.complete, job.delete, job.bury, job.release({ delay: "1 hour" })]
          return settle[Number(job.payload)]!
        }),
        Stream.take(8),
        Stream.runDrain,
        withClient
      )
      assert.deepStrictEqual(settled.toSorted(), ids.toSorted())
      const { currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved } = yield* connection
        .statsTube(
          tube.name
        )
      assert.deepStrictEqual(
        { currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved },
        { currentJobsBuried: 2, currentJobsDelayed: 2, currentJobsReady: 0, currentJobsReserved: 0 }
      )
    }))

  it.scopedLive("rule 27: gives back what it has not settled when it ends", () =>
    Effect.gen(function*() {
      const { connection, tube, withClient } = yield* setup(kind)
      const ids = yield* Effect.forEach(["a", "b", "c"], (body) => connection.put(body))
      yield* Stream.runDrain(Stream.take(Worker.jobs(tube), 1)).pipe(withClient)
      const taken = yield* Effect.replicateEffect(connection.reserve, 3)
      assert.deepStrictEqual(taken.map(({ id }) => id).toSorted(), ids.toSorted())
      for (const { id } of taken) {
        assert.deepInclude(yield* connection.statsJob(id), { releases: 0, timeouts: 0, buries: 0 })
      }
    }))
})

/** A worker whose job can be given to another connection by the server, without the worker's connection being closed. */
const setupTakeover = (kind: Kind<Listening>) =>
  Effect.gen(function*() {
    // The tube is `default`, which the new connection of the worker watches too.
    const { connection, server, tube } = yield* setup(kind, Job.defaultTube)
    const line = yield* Switchboard.make(server)
    const id = yield* connection.put("a")
    const other = yield* openTo(server, { watch: [tube.name] })
    const takeOver = Effect.tap(
      Effect.zipRight(line.reconnect, other.reserve),
      (taken) => Effect.sync(() => assert.strictEqual(taken.id, id))
    )
    return { id, connection, takeOver, other, tube, withClient: yield* provideClient(line) }
  })

describeListening("a job that another connection has reserved", (kind) => {
  const ends: ReadonlyArray<
    readonly [
      command: string,
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
    "rule 17: is LeaseLost when it is to be %s, with one event, and stays reserved",
    ([, end]) =>
      Effect.gen(function*() {
        const { id, connection, takeOver, other, tube, withClient } = yield* setupTakeover(kind)
        const { event, tags } = yield* start(
          tube,
          (payload, job) => payload === "a" ? Effect.zipRight(Effect.orDie(takeOver), end(job)) : Effect.void
        ).pipe(withClient)
        const lost = yield* event("LeaseLost")
        assert.strictEqual(lost.id, id)
        assert.strictEqual(lost.error._tag, "LeaseLost")
        assert.strictEqual((yield* connection.statsJob(id)).state, "reserved")
        yield* other.touch(id)
        const next = yield* connection.put("b")
        assert.strictEqual((yield* event("Completed")).id, next)
        assert.deepStrictEqual(yield* tags, ["LeaseLost", "Completed"])
      })
  )
})
