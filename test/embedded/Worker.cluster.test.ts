/** A worker on a cluster: it takes jobs from all servers, and runs as many as one worker does. */
import { assert, describe, it } from "@effect/vitest"
import {
  BeanstalkClient,
  BeanstalkCluster,
  Connector,
  EmbeddedServer,
  Tube,
  Worker,
  WorkerTest
} from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { held, jobCounts, makeServers, onCluster, putOnEach } from "../support/clusters.ts"
import { failsWith } from "../support/connections.ts"
import { start } from "../support/workers.ts"

const { Fault } = EmbeddedServer

const Numbers = Tube.text("numbers")

const sum = (counts: ReadonlyArray<number>) => counts.reduce((total, count) => total + count, 0)

describe("a worker on a cluster", () => {
  it.live("runs the jobs of all servers, and has them deleted there", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const bodies: Array<string> = []
        const { atLeast } = yield* start(Numbers, (body) => Effect.sync(() => bodies.push(body)), { concurrency: 4 })
        yield* putOnEach(cluster, Numbers.name, 50)
        const events = yield* atLeast(150)
        assert.strictEqual(new Set(bodies).size, 150)
        assert.deepStrictEqual(yield* jobCounts(servers), [0, 0, 0])
        // Events and handlers have the ids of the cluster.
        const where = events.flatMap((event) =>
          event._tag === "Completed" ? [Option.getOrThrow(cluster.locate(event.id)).server] : []
        )
        assert.deepStrictEqual([...new Set(where)].toSorted(), [1, 2, 3])
      })
    ))

  it.live("runs no more jobs at a time than concurrency, and holds one for each other server at most", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        let running = 0
        let most = 0
        const { atLeast, worker } = yield* start(Numbers, () =>
          Effect.gen(function*() {
            running += 1
            most = Math.max(most, running)
            yield* Effect.sleep("5 minutes")
            running -= 1
          }), { concurrency: 2 })
        yield* putOnEach(cluster, Numbers.name, 4)
        yield* Effect.sleep("1 minute")
        assert.strictEqual((yield* worker.stats).running, 4)
        assert.lengthOf((yield* held(servers)).flat(), 4)
        const events = yield* atLeast(12)
        // A job that waits for its turn longer than its time to run is touched.
        assert.deepStrictEqual([
          ...new Set(events.map(({ _tag }) => _tag))
        ], ["Completed"])
        assert.strictEqual(most, 2)
      })
    ))

  it.live("touches a job that waits for its turn, also without heartbeat, which begins with the handler", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const { atLeast } = yield* start(Numbers, () => Effect.sleep("50 seconds"), { heartbeat: false })
        yield* putOnEach(cluster, Numbers.name, 2)
        const events = yield* atLeast(6)
        assert.deepStrictEqual([...new Set(events.map(({ _tag }) => _tag))], ["Completed"])
      })
    ))

  it.live("gives all of its concurrency to the server that has jobs", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const { atLeast, worker } = yield* start(Numbers, () => Effect.sleep("1 second"), { concurrency: 8 })
        for (const server of [1, 2, 3]) {
          const client = Option.getOrThrow(cluster.at(server))
          const [time] = yield* Effect.timed(
            Effect.zipRight(
              Effect.replicateEffect(client.put(Numbers.name, "job"), 80, { concurrency: 80 }),
              atLeast(80 * server)
            )
          )
          // Eight at a time take 10 seconds.
          assert.isAtMost(Duration.toSeconds(time), 11, `server ${server}`)
          assert.isAtMost((yield* worker.stats).lanes, 10)
        }
      })
    ))

  it.live("gives a server with jobs the lanes that others do not need any more, while its own run a long job", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const { atLeast } = yield* start(Numbers, (seconds) => Effect.sleep(Duration.seconds(Number(seconds))), {
          concurrency: 4
        })
        const [first, second] = [Option.getOrThrow(cluster.at(1)), Option.getOrThrow(cluster.at(2))]
        yield* Effect.replicateEffect(first.put(Numbers.name, "5"), 20)
        yield* atLeast(4)
        yield* Effect.forEach(["3600", "1", "1", "1", "1"], (seconds) => second.put(Numbers.name, seconds))
        const [time] = yield* Effect.timed(atLeast(24))
        // The jobs of the first server take 20 seconds more. A lane without a job would close by itself after 30.
        assert.isAtMost(Duration.toSeconds(time), 30)
      })
    ))

  it.live("does not open connections again and again where all servers have jobs", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const connections = Effect.map(
          Effect.forEach([1, 2, 3], (server) => Option.getOrThrow(cluster.at(server)).stats),
          (all) => sum(all.map(({ totalConnections }) => totalConnections))
        )
        const before = yield* connections
        const { atLeast } = yield* start(Numbers, () => Effect.sleep("1 millis"), { concurrency: 8 })
        yield* putOnEach(cluster, Numbers.name, 400)
        const [time] = yield* Effect.timed(atLeast(1200))
        // 10 lanes, and those that moved: one in 100 ms.
        assert.isAtMost((yield* connections) - before, 12 + Duration.toMillis(time) / 100)
      })
    ))

  it.live("goes on with the others while a server is down, and with that one when it is back", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const { atLeast } = yield* start(Numbers, () => Effect.void, { concurrency: 4 })
        yield* putOnEach(cluster, Numbers.name)
        yield* atLeast(3)
        yield* servers[0]!.inject(Fault.Refuse())
        yield* servers[0]!.inject(Fault.Cut())
        yield* Option.getOrThrow(cluster.at(2)).put(Numbers.name, "job")
        yield* Option.getOrThrow(cluster.at(3)).put(Numbers.name, "job")
        yield* atLeast(5)
        yield* servers[0]!.heal
        yield* Option.getOrThrow(cluster.at(1)).put(Numbers.name, "job")
        yield* atLeast(6)
      })
    ))

  it.live("starts with onFirstConnect: \"fail\" if one server can be reached, and fails if none can", () =>
    onCluster(({ servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.inject(Fault.Refuse())
        yield* Effect.scoped(Worker.make(Numbers, () => Effect.void, { onFirstConnect: "fail" }))
        yield* Effect.forEach(servers, ({ inject }) => Effect.zipRight(inject(Fault.Refuse()), inject(Fault.Cut())))
        const failing = Effect.scoped(Worker.make(Numbers, () => Effect.void, { onFirstConnect: "fail" }))
        yield* failsWith(failing, "WorkerStartError")
      })
    ))

  it.live("retries and buries a job on its server", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const { event } = yield* start(Numbers, () => Effect.fail("no"), { retry: Schedule.recurs(1) })
        const id = yield* cluster.put(Numbers.name, "job")
        const buried = yield* event("Buried")
        assert.strictEqual(buried.id, id)
        assert.strictEqual(buried.attempt, 2)
        assert.strictEqual((yield* cluster.statsJob(id)).state, "buried")
      })
    ))

  it.live("gives back what does not run yet when it is shut down, and begins no job", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        let begun = 0
        const { event, events, worker } = yield* start(Numbers, () =>
          Effect.zipRight(Effect.sync(() => begun += 1), Effect.sleep("10 seconds")), { concurrency: 1 })
        yield* putOnEach(cluster, Numbers.name, 2)
        yield* Effect.sleep("1 second")
        assert.strictEqual((yield* worker.stats).running, 3)
        const report = yield* worker.shutdown
        yield* event("ShutdownReport")
        assert.strictEqual(begun, 1)
        assert.strictEqual(report.drained, 1)
        assert.strictEqual(report.interrupted.length, 2)
        assert.strictEqual(sum(yield* jobCounts(servers)), 5)
        assert.deepStrictEqual((yield* held(servers)).flat(), [])
        assert.deepStrictEqual(
          events.map(({ _tag }) =>
            _tag
          ).toSorted(),
          ["Completed", "Interrupted", "Interrupted", "ShutdownReport"]
        )
      })
    ))

  it.live("gives back what does not run yet when it takes no more jobs, and takes it again", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const { atLeast, worker } = yield* start(Numbers, () => Effect.sleep("10 seconds"), { concurrency: 1 })
        yield* putOnEach(cluster, Numbers.name)
        yield* Effect.sleep("1 second")
        yield* worker.quiet
        yield* Effect.sleep("1 minute")
        assert.strictEqual(sum(yield* jobCounts(servers)), 2)
        yield* worker.resume
        yield* atLeast(5)
        assert.strictEqual(sum(yield* jobCounts(servers)), 0)
      })
    ))

  it.live("pauses at a server that has no room, and goes on at the others", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const { atLeast, worker } = yield* start(Numbers, () => Effect.void, { concurrency: 4 })
        yield* putOnEach(cluster, Numbers.name)
        yield* atLeast(3)
        assert.isFalse((yield* worker.stats).isPaused)
        yield* servers[0]!.inject(Fault.NoMemory())
        yield* Option.getOrThrow(cluster.at(2)).put(Numbers.name, "job")
        yield* atLeast(4)
      })
    ))

  it.live("follows the list of servers: it works a server empty that leaves, and then closes its connections", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two, three] = yield* makeServers(3)
        const lists = yield* Queue.unbounded<ReadonlyArray<BeanstalkCluster.Server>>()
        const cluster = yield* BeanstalkCluster.make(Stream.fromQueue(lists))
        const finish = yield* Deferred.make<void>()
        const { atLeast } = yield* start(
          Numbers,
          (body) => body === "long" ? Deferred.await(finish) : Effect.void,
          { concurrency: 2 }
        ).pipe(Effect.provideService(BeanstalkClient.BeanstalkClient, cluster))
        yield* lists.offer([one!.entry, two!.entry])
        yield* Effect.sleep("1 second")
        yield* putOnEach(cluster, Numbers.name, 5)
        yield* atLeast(10)
        yield* Option.getOrThrow(cluster.at(1)).put(Numbers.name, "long")
        yield* Option.getOrThrow(cluster.at(1)).put(Numbers.name, "later", { delay: "20 seconds" })
        yield* Effect.sleep("1 second")
        yield* lists.offer([two!.entry, three!.entry])
        yield* Effect.sleep("30 seconds")
        // The delayed job has run, and the long one still does.
        yield* atLeast(11)
        assert.deepStrictEqual(
          (yield* cluster.servers).map(({ status }) => status),
          ["Taking", "Taking", "Leaving"]
        )
        yield* Option.getOrThrow(cluster.at(3)).put(Numbers.name, "job")
        yield* atLeast(12)
        yield* Deferred.succeed(finish, undefined)
        yield* atLeast(13)
        yield* Effect.sleep("3 seconds")
        assert.strictEqual((yield* one!.server.connections).length, 0)
        assert.strictEqual((yield* one!.server.jobs).length, 0)
      })
    ))

  it.live("waits for the first connection as long as one server of the list may be reached, whatever became of those that left", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two, three] = yield* makeServers(3)
        const reachable = yield* Deferred.make<void>()
        const slow = Layer.map(two!.entry.connector, (context) => {
          const { address, socket } = Context.get(context, Connector.Connector)
          return Context.make(Connector.Connector, {
            address,
            socket: Effect.zipRight(Deferred.await(reachable), socket)
          })
        })
        const lists = yield* Queue.unbounded<ReadonlyArray<BeanstalkCluster.Server>>()
        const cluster = yield* BeanstalkCluster.make(Stream.fromQueue(lists), {
          connectTimeout: "1 hour",
          leaveTimeout: 0
        })
        yield* Effect.forEach([one!, three!], ({ server }) => server.inject(Fault.Refuse()))
        const starting = yield* Effect.fork(
          Worker.make(Numbers, () => Effect.void, { onFirstConnect: "fail" }).pipe(
            Effect.provideService(BeanstalkClient.BeanstalkClient, cluster)
          )
        )
        yield* lists.offer([one!.entry, { id: 2, connector: slow }])
        yield* Effect.sleep("1 second")
        yield* lists.offer([{ id: 2, connector: slow }, three!.entry])
        yield* Effect.sleep("10 seconds")
        yield* Deferred.succeed(reachable, undefined)
        yield* Fiber.join(starting)
      })
    ))

  it.live("can use servers that have joined after it started until it is shut down, in whichever order Scopes close", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two] = yield* makeServers(2)
        yield* Effect.scoped(Effect.gen(function*() {
          const lists = yield* Queue.unbounded<ReadonlyArray<BeanstalkCluster.Server>>()
          const cluster = yield* BeanstalkCluster.make(Stream.fromQueue(lists))
          const handler = () => Effect.delay(cluster.put("results", "done"), "5 seconds")
          yield* start(Numbers, handler).pipe(Effect.provideService(BeanstalkClient.BeanstalkClient, cluster))
          yield* lists.offer([one!.entry])
          yield* cluster.put(Numbers.name, "job")
          // From now on it is the only one that gets jobs.
          yield* lists.offer([two!.entry])
          yield* Effect.sleep("1 second")
        }))
        assert.deepStrictEqual(yield* jobCounts([one!.server, two!.server]), [0, 1])
      })
    ))

  it.live("can be one of WorkerTest, which finds an event of any server", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const worker = yield* WorkerTest.make(Numbers, () => Effect.void)
        const ids = yield* putOnEach(cluster, Numbers.name)
        for (const [index, own] of ids.flat().entries()) {
          const completed = yield* WorkerTest.awaitEvent(worker, (event) =>
            event._tag === "Completed" && Option.getOrThrow(cluster.locate(event.id)).server === index + 1)
          assert(completed._tag === "Completed")
          assert.strictEqual(Option.getOrThrow(cluster.locate(completed.id)).id, own)
        }
      })
    ))
})
