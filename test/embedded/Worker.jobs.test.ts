import { assert, describe, it } from "@effect/vitest"
import { EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import { BeanstalkClient } from "effect-beanstalk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { failsWith } from "../support/connections.ts"
import { upTo } from "../support/edition.ts"
import { untyped } from "../support/replies.ts"
import { Stepping } from "../support/stepping.ts"

const words = Tube.text("words", { ttr: "10 seconds" })

const NumberFromText = Schema.Number

const layer = BeanstalkClient.layer().pipe(Layer.provideMerge(EmbeddedServer.layer()))

/** In virtual time, with a client and an embedded server. */
const simulated =
  <A, E>(test: Effect.Effect<A, E, BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer>) => () =>
    Effect.runPromise(Effect.provide(Effect.provide(test, layer), VirtualClock.layer()))

const put = (...all: ReadonlyArray<string>) => Effect.forEach(all, (word) => words.put(word))

const reserved = Effect.map(words.stats, ({ currentJobsReserved }) => currentJobsReserved)

const journal = Effect.flatMap(
  EmbeddedServer.EmbeddedServer,
  ({ journal }) => Effect.map(journal, (entries) => entries.map(({ event, id }) => `${id} ${event}`))
)

describe("rule 27: the jobs of a tube as a Stream", () => {
  it(
    "come one at a time, each when the one before is deleted",
    simulated(Effect.gen(function*() {
      yield* put("one", "two", "three")
      const received = yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) => Effect.as(Effect.zipRight(reserved, job.delete), job.payload)),
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(Array.from(received), ["one", "two", "three"])
      assert.deepStrictEqual(yield* journal, [
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
    "are reserved when the Stream is pulled, and not before",
    simulated(Effect.gen(function*() {
      yield* put("one", "two")
      const first = yield* Worker.jobs(words).pipe(
        Stream.tap((job) => Effect.zipRight(job.delete, Effect.sleep("1 hour"))),
        Stream.take(1),
        Stream.runCount
      )
      assert.strictEqual(first, 1)
      assert.deepStrictEqual(yield* journal, ["1 put", "2 put", "1 reserved", "1 deleted"])
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
    "are touched until they are settled",
    simulated(Effect.gen(function*() {
      yield* put("one")
      yield* Worker.jobs(words).pipe(
        Stream.tap((job) => Effect.zipRight(Effect.sleep("1 hour"), job.delete)),
        Stream.take(1),
        Stream.runDrain
      )
      assert.strictEqual((yield* journal).filter((event) => event === "1 reserved").length, 1)
    }))
  )

  it(
    "are waited for, for as long as the tube is empty",
    simulated(Effect.gen(function*() {
      const fiber = yield* Effect.fork(Stream.runHead(Stream.tap(Worker.jobs(words), (job) => job.delete)))
      yield* Effect.sleep("1 day")
      yield* put("late")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* journal, ["1 put", "1 reserved", "1 deleted"])
    }))
  )

  it(
    "are released and buried with the priority that they have",
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
      assert.deepStrictEqual(yield* journal, [
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
    "can be settled once",
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
    "fail with LeaseLost when the reservation was lost",
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
    "that do not decode are buried, and the Stream continues",
    simulated(Effect.gen(function*() {
      const numbers = Tube.make("words", { payload: NumberFromText, ttr: "10 seconds" })
      yield* put("one", "2")
      const received = yield* Worker.jobs(numbers).pipe(
        Stream.tap((job) => job.delete),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.strictEqual(received.payload, 2)
      assert.include(yield* journal, "1 buried")
    }))
  )

  it(
    "are reserved one at a time by a Stream that runs several elements at a time",
    simulated(Effect.gen(function*() {
      yield* put("one", "two", "three", "four")
      let most = 0
      yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) =>
          Effect.gen(function*() {
            most = Math.max(most, yield* reserved)
            yield* Effect.sleep("1 minute")
            yield* job.delete
          }), { concurrency: 4 }),
        Stream.take(4),
        Stream.runDrain
      )
      assert.strictEqual(most, 1)
    }))
  )

  it(
    "that were released before their time to run was over, without heartbeat, cannot be settled",
    simulated(Effect.gen(function*() {
      const brief = Tube.text("words", { ttr: "3 seconds" })
      yield* put("one")
      const error = yield* Worker.jobs(brief, { heartbeat: false }).pipe(
        Stream.mapEffect((job) => Effect.zipRight(Effect.sleep("1 minute"), failsWith(job.delete, "LeaseLost"))),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.include(error.message, "its time to run was over")
      assert.notInclude(yield* journal, "1 deleted")
    }))
  )

  it(
    "fail with Buried when they are to be released, and the server buries them",
    simulated(Effect.gen(function*() {
      const [id] = yield* put("one")
      const server = yield* EmbeddedServer.EmbeddedServer
      const error = yield* Worker.jobs(words).pipe(
        Stream.mapEffect((job) =>
          Effect.zipRight(server.inject(EmbeddedServer.Fault.NoMemoryForQueues()), failsWith(job.release(), "Buried"))
        ),
        Stream.take(1),
        Stream.runHead,
        Effect.flatten
      )
      assert.deepInclude(error, { command: "release", id, address: "memory" })
      assert.include(yield* journal, "1 buried")
    }))
  )

  it(
    "fail with InvalidArgument when they are to be released with a delay that put refuses, and stay reserved",
    simulated(Effect.gen(function*() {
      yield* put("one")
      const delays: ReadonlyArray<Duration.DurationInput> = [
        Number.POSITIVE_INFINITY,
        Number.NaN,
        -1,
        "-1 seconds",
        "infinity",
        2 ** 32 * 1000,
        untyped(`"soon"`)
      ]
      const reserve = Worker.jobs(words).pipe(
        Stream.mapEffect((job) =>
          Effect.gen(function*() {
            for (const delay of delays) {
              const { argument, command } = yield* failsWith(job.release({ delay }), "InvalidArgument")
              assert.strictEqual(`${command} ${argument}`, "release delay")
              yield* failsWith(words.put("one", { delay }), "InvalidArgument")
            }
            assert.strictEqual(yield* reserved, 1)
            yield* job.release({ delay: "1500 millis" })
          })
        ),
        Stream.take(1),
        Stream.runDrain
      )
      yield* reserve
      const [{ delay } = { delay: 0 }] = yield* Effect.flatMap(EmbeddedServer.EmbeddedServer, ({ jobs }) => jobs)
      assert.strictEqual(delay, 2)
    }))
  )

  /** Pulls a job, and interrupts the pull after so many steps of its fiber. */
  const pullInterruptedAfter = (
    steps: number,
    pull: Effect.Effect<unknown, unknown, BeanstalkClient.BeanstalkClient>
  ) =>
    Effect.gen(function*() {
      const runFork = Runtime.runFork(yield* Effect.runtime<BeanstalkClient.BeanstalkClient>())
      const scheduler = new Stepping(steps, () => fiber.unsafeInterruptAsFork(FiberId.none))
      const fiber = runFork(Effect.zipRight(Effect.ignore(pull), Effect.forever(Effect.yieldNow())), {
        scheduler,
        immediate: false
      })
      yield* Fiber.await(fiber)
    })

  it(
    "are given back when the pull is interrupted after any number of steps",
    simulated(Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      for (const steps of upTo(40)) {
        yield* put("one", "two")
        yield* Effect.gen(function*() {
          const pull = yield* Stream.toPull(Worker.jobs(words))
          yield* Effect.flatMap(pull, (jobs) => Effect.forEach(jobs, (job) => job.delete))
          yield* pullInterruptedAfter(steps, pull)
          yield* Effect.sleep("1 second")
          assert.strictEqual(yield* reserved, 0, `after ${steps} steps`)
        }).pipe(Effect.scoped)
        yield* client.purge(words.name)
      }
    }))
  )

  it(
    "are given back when a pull times out while the program works on them",
    simulated(Effect.gen(function*() {
      yield* put("one")
      yield* Effect.gen(function*() {
        const pull = yield* Stream.toPull(Stream.tap(Worker.jobs(words), () => Effect.sleep("1 hour")))
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(pull, "1 minute")))
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* reserved, 0)
      }).pipe(Effect.scoped)
    }))
  )

  it(
    "come to a pull that cannot be interrupted, and are given back when its fiber, which was interrupted, ends",
    simulated(Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const pull = yield* Stream.toPull(Worker.jobs(words))
        const pulling = yield* Effect.fork(Effect.uninterruptible(pull))
        yield* Effect.sleep("1 minute")
        yield* Fiber.interruptFork(pulling)
        yield* Effect.sleep("1 minute")
        yield* put("one")
        yield* Fiber.await(pulling)
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* reserved, 0)
        assert.deepStrictEqual((yield* journal).slice(0, 2), ["1 put", "1 reserved"])
      }).pipe(Effect.scoped)
    }))
  )
})
