/** `Worker.jobs` on a cluster: the program has one job at a time, of all servers. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, BeanstalkCluster, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { held, jobCounts, makeServers, onCluster, putOnEach } from "../support/clusters.ts"
import { failsWith } from "../support/connections.ts"
import { upTo } from "../support/edition.ts"
import { Stepping } from "../support/stepping.ts"

const { Fault } = EmbeddedServer

const Words = Tube.text("words", { ttr: "10 seconds" })

const putOn = (cluster: BeanstalkCluster.Cluster, server: number, body: string) =>
  Option.getOrThrow(cluster.at(server)).put(Words.name, body)

/** Pulls one job after the other from a Stream. */
const pulling = <E, R>(jobs: Stream.Stream<Worker.Reservation<string>, E, R>) =>
  Effect.map(Stream.toPull(jobs), (pull) => Effect.map(pull, Chunk.unsafeHead))

/** Pulls a job, does something with it, and completes it. */
const workOn = <E, R>(
  pull: Effect.Effect<Worker.Reservation<string>, E, R>,
  work: Effect.Effect<unknown> = Effect.void
) => Effect.flatMap(pull, ({ complete, payload }) => Effect.as(Effect.zipRight(work, complete), payload))

const countReserves = (servers: ReadonlyArray<EmbeddedServer.Server>) =>
  Effect.forEach(
    servers,
    ({ journal }) => Effect.map(journal, (entries) => entries.filter(({ event }) => event === "reserved").length)
  )

const nothingHeld = (servers: ReadonlyArray<EmbeddedServer.Server>, message?: string) =>
  Effect.map(held(servers), (ids) => assert.deepStrictEqual(ids, servers.map(() => []), message))

describe("rules 27 and 33: a Stream of jobs on a cluster", () => {
  it.live("has the jobs of all servers, and settles each where it was reserved", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* putOnEach(cluster, Words.name, 4)
        yield* Worker.jobs(Words).pipe(
          Stream.tap((job) => {
            const settle = [job.complete, job.delete, job.bury, job.release({ delay: "1 hour" })]
            return settle[Number(job.payload.split("-")[1])]!
          }),
          Stream.take(12),
          Stream.runDrain
        )
        const left = yield* Effect.forEach(servers, ({ jobs }) =>
          Effect.map(jobs, (all) => all.map(({ id, state }) => `${id} ${state}`)))
        assert.deepStrictEqual(left, servers.map(() => ["3 buried", "4 delayed"]))
        assert.deepStrictEqual(yield* countReserves(servers), [4, 4, 4])
      })
    ))

  it.live("holds one job of each other server at most, and touches it until it is pulled", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* putOnEach(cluster, Words.name, 2)
        const pull = yield* pulling(Worker.jobs(Words))
        const pulled = [
          yield* workOn(
            pull,
            Effect.zipRight(
              Effect.sleep("5 minutes"),
              Effect.map(held(servers), (ids) => {
                assert.deepStrictEqual(ids.map(({ length }) => length), [1, 1, 1])
              })
            )
          )
        ]
        while (pulled.length < 6) {
          pulled.push(yield* workOn(pull, Effect.sleep("5 minutes")))
          const [most] = (yield* held(servers)).map(({ length }) => length).toSorted((a, b) => b - a)
          assert.isAtMost(most!, 1)
        }
        assert.deepStrictEqual(pulled.toSorted(), ["1-0", "1-1", "2-0", "2-1", "3-0", "3-1"])
        assert.deepStrictEqual(yield* countReserves(servers), [2, 2, 2])
      })
    ))

  it.live("touches a job that is held also without heartbeat: its time to run begins when it is pulled", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* putOnEach(cluster, Words.name)
        const pull = yield* pulling(Worker.jobs(Words, { heartbeat: false }))
        for (const _ of servers) yield* workOn(pull, Effect.sleep("8 seconds"))
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(yield* jobCounts(servers), [0, 0, 0])
        assert.deepStrictEqual(yield* countReserves(servers), [1, 1, 1])
      })
    ))

  it.live("has them in the order in which they came", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const pull = yield* pulling(Worker.jobs(Words))
        yield* putOn(cluster, 1, "first")
        const first = yield* workOn(
          pull,
          Effect.forEach(
            [[3, "second"], [2, "third"]] as const,
            ([server, body]) => Effect.zipRight(Effect.orDie(putOn(cluster, server, body)), Effect.sleep("1 second"))
          )
        )
        yield* putOn(cluster, 1, "fourth")
        assert.deepStrictEqual(
          [first, yield* workOn(pull), yield* workOn(pull), yield* workOn(pull)],
          ["first", "second", "third", "fourth"]
        )
      })
    ))

  it.live("reserves nothing for a pull that timed out", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const pull = yield* pulling(Worker.jobs(Words))
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(pull, "1 minute")))
        yield* putOnEach(cluster, Words.name)
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual(yield* countReserves(servers), [0, 0, 0])
        const pulled = [yield* workOn(pull), yield* workOn(pull), yield* workOn(pull)]
        assert.deepStrictEqual(pulled.toSorted(), ["1-0", "2-0", "3-0"])
      })
    ))

  it.live("gives back what was pulled and what is held when the fiber that pulled is interrupted", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* putOnEach(cluster, Words.name)
        const pull = yield* pulling(Worker.jobs(Words))
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(workOn(pull, Effect.never), "1 minute")))
        yield* Effect.sleep("1 second")
        yield* nothingHeld(servers)
        const states = yield* Effect.forEach(servers, ({ jobs }) =>
          Effect.map(jobs, (all) => all.map(({ state }) => state)))
        assert.deepStrictEqual(states.flat(), ["ready", "ready", "ready"])
        const pulled = [yield* workOn(pull), yield* workOn(pull), yield* workOn(pull)]
        assert.deepStrictEqual(pulled.toSorted(), ["1-0", "2-0", "3-0"])
      })
    ))

  it.live("reserves nothing after the fiber that pulled is interrupted, although other servers were asked for it", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const pull = yield* pulling(Worker.jobs(Words))
        const working = yield* Effect.fork(Effect.zipRight(workOn(pull), Effect.never))
        yield* putOn(cluster, 1, "job")
        yield* Effect.sleep("1 second")
        yield* Fiber.interrupt(working)
        yield* putOnEach(cluster, Words.name)
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(yield* countReserves(servers), [1, 0, 0])
      })
    ))

  it.live("gives back all jobs when the pull is interrupted after any number of steps", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const runFork = Runtime.runFork(yield* Effect.runtime<BeanstalkClient.BeanstalkClient>())
        for (const steps of upTo(80)) {
          yield* putOnEach(cluster, Words.name, 2)
          yield* Effect.scoped(Effect.gen(function*() {
            const pull = yield* pulling(Worker.jobs(Words))
            const scheduler = new Stepping(steps, () => fiber.unsafeInterruptAsFork(FiberId.none))
            const fiber = runFork(
              Effect.zipRight(Effect.ignore(Effect.zipRight(workOn(pull), pull)), Effect.forever(Effect.yieldNow())),
              {
                scheduler,
                immediate: false
              }
            )
            yield* Fiber.await(fiber)
            yield* Effect.sleep("1 second")
            yield* nothingHeld(servers, `after ${steps} steps`)
          }))
          yield* cluster.purge(Words.name)
        }
      })
    ))

  it.live("gives back all jobs when it ends, but deletes the one that is completed", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* putOnEach(cluster, Words.name)
        yield* Stream.runDrain(Stream.take(Worker.jobs(Words), 1))
        yield* nothingHeld(servers)
        assert.deepStrictEqual(yield* jobCounts(servers), [1, 1, 1])
        yield* Worker.jobs(Words).pipe(
          Stream.tap(({ complete }) => Effect.zipRight(Effect.sleep("1 second"), complete)),
          Stream.take(1),
          Stream.runDrain
        )
        yield* nothingHeld(servers)
        assert.deepStrictEqual((yield* jobCounts(servers)).toSorted(), [0, 1, 1])
      })
    ))

  it.live("ends when the delete of the job that is completed is answered", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* putOn(cluster, 2, "job")
        const silence = servers[1]!.inject(Fault.Silence())
        const working = yield* Worker.jobs(Words).pipe(
          Stream.tap(({ complete }) => Effect.zipRight(silence, complete)),
          Stream.take(1),
          Stream.runDrain,
          Effect.fork
        )
        yield* Effect.sleep("5 seconds")
        assert.isTrue(Option.isNone(yield* Fiber.poll(working)))
        yield* servers[1]!.heal
        yield* Fiber.join(working)
        assert.deepStrictEqual(yield* jobCounts(servers), [0, 0, 0])
      })
    ))

  it.live("goes on with the others while a server is down, and with that one when it is back", () =>
    onCluster(({ cluster, servers: [first] }) =>
      Effect.gen(function*() {
        const pull = yield* pulling(Worker.jobs(Words))
        const pulled = yield* Effect.fork(workOn(pull))
        yield* Effect.sleep("1 second")
        yield* first!.inject(Fault.Refuse())
        yield* first!.inject(Fault.Cut())
        yield* putOn(cluster, 2, "second")
        assert.strictEqual(yield* Fiber.join(pulled), "second")
        const later = yield* Effect.fork(workOn(pull))
        yield* Effect.sleep("1 minute")
        yield* first!.heal
        yield* putOn(cluster, 1, "first")
        assert.strictEqual(yield* Fiber.join(later), "first")
      })
    ))

  it.live("has the job of another server when that of the job that was pulled is lost", () =>
    onCluster(({ cluster, servers: [first] }) =>
      Effect.gen(function*() {
        const pull = yield* pulling(Worker.jobs(Words))
        yield* putOn(cluster, 1, "first")
        const job = yield* pull
        yield* putOn(cluster, 2, "second")
        yield* first!.inject(Fault.Refuse())
        yield* first!.inject(Fault.Cut())
        yield* failsWith(job.leaseLost, "LeaseLost")
        yield* failsWith(job.delete, "LeaseLost")
        assert.strictEqual(yield* workOn(pull), "second")
        yield* first!.heal
        assert.strictEqual(yield* workOn(pull), "first")
      })
    ))

  it.live("does not have a job that was held when its server is lost, until the server sends it again", () =>
    onCluster(({ cluster, servers: [, second] }) =>
      Effect.gen(function*() {
        const pull = yield* pulling(Worker.jobs(Words))
        yield* putOn(cluster, 1, "first")
        const job = yield* pull
        yield* putOn(cluster, 2, "second")
        yield* Effect.sleep("1 second")
        yield* putOn(cluster, 3, "third")
        yield* Effect.sleep("1 second")
        yield* second!.inject(Fault.Refuse())
        yield* second!.inject(Fault.Cut())
        yield* job.delete
        assert.strictEqual(yield* workOn(pull), "third")
        yield* second!.heal
        assert.strictEqual(yield* workOn(pull), "second")
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(yield* jobCounts([second!]), [0])
      })
    ))

  /** A cluster with a list of servers that changes, and a Stream of its jobs. */
  const following = (options?: BeanstalkCluster.Options) =>
    Effect.gen(function*() {
      const [one, two, three] = yield* makeServers(3)
      const lists = yield* Queue.unbounded<ReadonlyArray<BeanstalkCluster.Server>>()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const cluster = yield* Scope.extend(BeanstalkCluster.make(Stream.fromQueue(lists), options), scope)
      const pull = yield* pulling(
        Stream.provideService(Worker.jobs(Words), BeanstalkClient.BeanstalkClient, cluster)
      )
      const setServers = (...servers: ReadonlyArray<BeanstalkCluster.Server>) =>
        Effect.zipRight(lists.offer(servers), Effect.sleep("1 second"))
      return { cluster, close: Scope.close(scope, Exit.void), one: one!, two: two!, three: three!, pull, setServers }
    })

  /** Longer than `leaveTimeout`. */
  const untilLeft: Duration.DurationInput = "2 minutes"

  it.live("reserves at a server that is added while it is pulled", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const { cluster, one, pull, setServers, two } = yield* following()
        const pulled = yield* Effect.fork(workOn(pull))
        yield* Effect.sleep("1 second")
        yield* setServers(one.entry)
        yield* setServers(one.entry, two.entry)
        yield* putOn(cluster, 2, "job")
        assert.strictEqual(yield* Fiber.join(pulled), "job")
      })
    ))

  it.live("settles a job of a server that has left, and then closes the connection", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const { cluster, one, pull, setServers, two } = yield* following()
        yield* setServers(one.entry, two.entry)
        yield* putOn(cluster, 1, "first")
        const job = yield* pull
        yield* setServers(two.entry)
        yield* Effect.sleep(untilLeft)
        assert.lengthOf(yield* cluster.servers, 1)
        assert.lengthOf(yield* one.server.connections, 1)
        yield* job.bury
        yield* Effect.sleep("1 second")
        assert.lengthOf(yield* one.server.connections, 0)
        assert.deepStrictEqual((yield* one.server.jobs).map(({ state }) => state), ["buried"])
        yield* putOn(cluster, 2, "second")
        assert.strictEqual(yield* workOn(pull), "second")
      })
    ))

  it.live("gives back a job that is held when its server has left", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const { cluster, one, pull, setServers, two } = yield* following()
        yield* setServers(one.entry, two.entry)
        yield* putOn(cluster, 2, "pulled")
        const job = yield* pull
        yield* putOn(cluster, 1, "held")
        yield* Effect.sleep("1 second")
        yield* setServers(two.entry)
        yield* Effect.sleep(untilLeft)
        assert.lengthOf(yield* one.server.connections, 0)
        assert.deepStrictEqual((yield* one.server.jobs).map(({ state }) => state), ["ready"])
        yield* putOn(cluster, 2, "second")
        yield* job.complete
        assert.strictEqual(yield* workOn(pull), "second")
      })
    ))

  it.live("reserves nothing at a server that has left while it is pulled", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const { cluster, one, pull, setServers, two } = yield* following()
        yield* setServers(one.entry, two.entry)
        const pulled = yield* Effect.fork(workOn(pull))
        yield* Effect.sleep("1 second")
        yield* setServers(two.entry)
        yield* Effect.sleep(untilLeft)
        assert.lengthOf(yield* one.server.connections, 0)
        yield* putOn(cluster, 2, "job")
        assert.strictEqual(yield* Fiber.join(pulled), "job")
      })
    ))

  it.live("rule 29: ends with the cluster, gives back what is held, and lets what was pulled be settled", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const { close, cluster, one, pull, setServers, two } = yield* following()
        yield* setServers(one.entry, two.entry)
        yield* putOn(cluster, 1, "pulled")
        const job = yield* pull
        yield* putOn(cluster, 2, "held")
        yield* Effect.sleep("1 second")
        yield* close
        yield* Effect.sleep("1 second")
        yield* nothingHeld([two.server])
        yield* job.delete
        assert.deepStrictEqual(yield* jobCounts([one.server, two.server]), [0, 1])
        assert.isTrue(Option.isNone(yield* Effect.flip(pull)))
      })
    ))
})
