import { assert, describe, it } from "@effect/vitest"
import { EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { failsWith } from "../support/connections.ts"
import { takes } from "../support/workers.ts"

const words = Tube.text("words", { ttr: "10 seconds" })

const NumberFromText = Schema.Number

const world = BeanstalkClient.layer().pipe(Layer.provideMerge(EmbeddedServer.layer()))

/** On a clock that jumps, with a client and a server in memory. */
const simulated =
  <A, E>(test: Effect.Effect<A, E, BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer>) => () =>
    Effect.runPromise(Effect.provide(Effect.provide(test, world), VirtualClock.layer()))

const put = (...all: ReadonlyArray<string>) => Effect.forEach(all, (word) => words.put(word))

const reserved = Effect.map(words.stats, ({ currentJobsReserved }) => currentJobsReserved)

const happened = Effect.flatMap(
  EmbeddedServer.EmbeddedServer,
  ({ journal }) => Effect.map(journal, (entries) => entries.map(({ event, id }) => `${id} ${event}`))
)

describe("rule 27: the jobs of a tube as a Stream", () => {
  it(
    "come one at a time, and are gone when they are deleted",
    simulated(Effect.gen(function*() {
      yield* put("one", "two", "three")
      const heard = yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) => Effect.as(Effect.zipRight(reserved, job.delete), job.payload)),
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(Array.from(heard), ["one", "two", "three"])
      assert.deepStrictEqual(yield* happened, [
        "1 put",
        "2 put",
        "3 put",
        "1 reserved",
        "1 deleted",
        "2 reserved",
        "2 deleted",
        "3 reserved",
        "3 deleted"
      ])
    }))
  )

  it(
    "are reserved when the Stream is asked for one, and not before",
    simulated(Effect.gen(function*() {
      yield* put("one", "two")
      const first = yield* Worker.jobs(words).pipe(
        Stream.tap((job) => Effect.zipRight(job.delete, takes("1 hour"))),
        Stream.take(1),
        Stream.runCount
      )
      assert.strictEqual(first, 1)
      assert.deepStrictEqual(yield* happened, ["1 put", "2 put", "1 reserved", "1 deleted"])
    }))
  )

  it(
    "are given back as they were if the Stream ends first",
    simulated(Effect.gen(function*() {
      const [id] = yield* put("one")
      yield* Stream.runHead(Worker.jobs(words))
      const stats = yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.statsJob(`${id}`))
      assert.strictEqual(stats.state, "ready")
      assert.strictEqual(stats.releases, 0)
      assert.strictEqual(stats.reserves, 1)
    }))
  )

  it(
    "are kept for as long as it takes",
    simulated(Effect.gen(function*() {
      yield* put("one")
      yield* Worker.jobs(words).pipe(
        Stream.tap((job) => Effect.zipRight(takes("1 hour"), job.delete)),
        Stream.take(1),
        Stream.runDrain
      )
      assert.strictEqual((yield* happened).filter((event) => event === "1 reserved").length, 1)
    }))
  )

  it(
    "come when they are there, however long that takes",
    simulated(Effect.gen(function*() {
      const fiber = yield* Effect.fork(Stream.runHead(Stream.tap(Worker.jobs(words), (job) => job.delete)))
      yield* takes("1 day")
      yield* put("late")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* happened, ["1 put", "1 reserved", "1 deleted"])
    }))
  )

  it(
    "can be released and buried, with the priority they have",
    simulated(Effect.gen(function*() {
      yield* words.put("one", { priority: 7 })
      yield* words.put("two", { priority: 9 })
      let runs = 0
      yield* Worker.jobs(words).pipe(
        Stream.tap((job) => {
          runs += 1
          if (job.payload === "two") return job.bury
          return runs > 2 ? job.delete : job.release({ delay: "5 minutes" })
        }),
        Stream.take(3),
        Stream.runDrain
      )
      const client = yield* BeanstalkClient.BeanstalkClient
      const { buries, pri } = yield* client.statsJob("2")
      assert.deepStrictEqual({ buries, pri }, { buries: 1, pri: 9 })
      assert.deepStrictEqual(yield* happened, [
        "1 put",
        "2 put",
        "1 reserved",
        "1 released",
        "2 reserved",
        "2 buried",
        "1 due",
        "1 reserved",
        "1 deleted"
      ])
    }))
  )

  it(
    "can be dealt with once",
    simulated(Effect.gen(function*() {
      yield* put("one")
      const error = yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) => Effect.zipRight(job.delete, failsWith(job.release(), "LeaseLost"))),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.include(error.message, "the job is settled already")
    }))
  )

  it(
    "say so when they are not ours any more",
    simulated(Effect.gen(function*() {
      yield* put("one")
      const server = yield* EmbeddedServer.EmbeddedServer
      const errors = yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) =>
          Effect.gen(function*() {
            yield* server.inject(EmbeddedServer.Fault.Cut())
            return [yield* failsWith(job.leaseLost, "LeaseLost"), yield* failsWith(job.delete, "LeaseLost")]
          })
        ),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.strictEqual(errors.length, 2)
    }))
  )

  it(
    "that cannot be read do not stop it",
    simulated(Effect.gen(function*() {
      const numbers = Tube.make("words", { payload: NumberFromText, ttr: "10 seconds" })
      yield* put("one", "2")
      const heard = yield* Worker.jobs(numbers).pipe(
        Stream.tap((job) => job.delete),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.strictEqual(heard.payload, 2)
      assert.include(yield* happened, "1 buried")
    }))
  )

  it(
    "wait for their turn in a Stream that runs many elements at a time",
    simulated(Effect.gen(function*() {
      yield* put("one", "two", "three", "four")
      let most = 0
      yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) =>
          Effect.gen(function*() {
            most = Math.max(most, yield* reserved)
            yield* takes("1 minute")
            yield* job.delete
          }), { concurrency: 4 }),
        Stream.take(4),
        Stream.runDrain
      )
      assert.strictEqual(most, 1)
    }))
  )

  it(
    "that were taken back for want of a heartbeat cannot be dealt with any more",
    simulated(Effect.gen(function*() {
      const brief = Tube.text("words", { ttr: "3 seconds" })
      yield* put("one")
      const error = yield* Worker.jobs(brief, { heartbeat: false }).pipe(
        Stream.mapEffect((job) => Effect.zipRight(takes("1 minute"), failsWith(job.delete, "LeaseLost"))),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.include(error.message, "its time to run was over")
      assert.notInclude(yield* happened, "1 deleted")
    }))
  )
})
