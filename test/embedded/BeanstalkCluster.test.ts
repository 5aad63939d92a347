/** A cluster: which server gets a job, what becomes of a put that fails, and what is asked of all servers. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkCluster, BeanstalkError, Connector, EmbeddedServer } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { acceptHandshake } from "../support/clients.ts"
import { type ClusterTest, connectAll, jobCounts, makeServers, onCluster, statusOf } from "../support/clusters.ts"
import { failsWith } from "../support/connections.ts"
import * as Scripted from "../support/scripted.ts"

const { Fault } = EmbeddedServer

const sum = (counts: ReadonlyArray<number>) => counts.reduce((total, count) => total + count, 0)

/** Runs a test on a cluster whose servers are all connected, and one of which has a job of another tube. */
const onConnected = <A, E, R>(
  test: (context: ClusterTest) => Effect.Effect<A, E, R>,
  options?: Partial<EmbeddedServer.ClusterOptions>
) =>
  onCluster((context) =>
    Effect.gen(function*() {
      yield* context.cluster.put("other", "first")
      yield* connectAll(context.cluster)
      return yield* test(context)
    }), options)

describe("the put of a cluster", () => {
  it.live("spreads jobs over all servers", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.ready
        yield* connectAll(cluster)
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 900, { concurrency: 16 })
        const counts = yield* jobCounts(servers)
        assert.strictEqual(sum(counts), 900)
        for (const count of counts) assert.isAbove(count, 200)
      })
    ))

  it.live("spreads jobs by the weights of the servers, as the latest list has them", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two] = yield* makeServers(2)
        const lists = yield* Queue.unbounded<ReadonlyArray<BeanstalkCluster.Server>>()
        const cluster = yield* BeanstalkCluster.make(Stream.fromQueue(lists)).pipe(Effect.withRandom(Random.make(1)))
        const put = (count: number) =>
          Effect.zipRight(
            Effect.replicateEffect(cluster.put("t", "hello"), count),
            jobCounts([one!.server, two!.server])
          )
        yield* lists.offer([one!.entry, two!.entry])
        yield* cluster.ready
        yield* connectAll(cluster)
        yield* lists.offer([{ ...one!.entry, weight: 3 }, two!.entry])
        yield* Effect.sleep("1 second")
        const [first = 0, second = 0] = yield* put(400)
        assert.approximately(first / second, 3, 1)
      })
    ))

  it.live("gives a job to the one of two servers that owes fewer answers for its weight", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two] = yield* makeServers(2)
        for (const [weight, expected] of [[1, [200, 200]], [3, [300, 100]]] as const) {
          const cluster = yield* BeanstalkCluster.make([{ ...one!.entry, weight }, two!.entry])
          yield* cluster.ready
          yield* connectAll(cluster)
          const before = yield* jobCounts([one!.server, two!.server])
          // None is answered before all are sent.
          yield* Effect.replicateEffect(cluster.put("t", "hello"), 400, { concurrency: "unbounded" })
          const after = yield* jobCounts([one!.server, two!.server])
          for (const server of [0, 1] as const) {
            assert.approximately(after[server]! - before[server]!, expected[server], 2)
          }
        }
      })
    ))

  it.live("puts no job on a server that is drained, and none twice", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.drain
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 100, { concurrency: 16 })
        assert.strictEqual(sum(yield* jobCounts(servers)), 101)
        assert.isAtMost((yield* jobCounts(servers))[0]!, 1)
        assert.strictEqual(yield* statusOf(cluster, 1), "Draining")
        // Then it is tried again.
        yield* Effect.sleep("31 seconds")
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
      })
    ))

  it.live("puts jobs on a drained server again as soon as it is connected anew, since it was restarted", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.drain
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 100, { concurrency: 16 })
        assert.strictEqual(yield* statusOf(cluster, 1), "Draining")
        yield* servers[0]!.inject(Fault.Cut())
        yield* Effect.sleep("10 seconds")
        assert.deepInclude((yield* cluster.servers)[0], { status: "Taking", id: 1 })
      })
    ))

  it.live("waits longer and longer before it puts a job on a full server again", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.inject(Fault.NoMemory())
        const fill = Effect.replicateEffect(cluster.put("t", "hello"), 20)
        for (const seconds of [2, 4, 8, 16, 30, 30]) {
          yield* fill
          assert.strictEqual(yield* statusOf(cluster, 1), "Full", `before ${seconds} seconds`)
          yield* Effect.sleep((seconds - 1) * 1000)
          assert.strictEqual(yield* statusOf(cluster, 1), "Full", `in ${seconds} seconds`)
          yield* Effect.sleep("1001 millis")
          assert.strictEqual(yield* statusOf(cluster, 1), "Taking", `after ${seconds} seconds`)
        }
        assert.strictEqual(sum(yield* jobCounts(servers)), 121)
      })
    ))

  it.live("waits no longer if all jobs that are in flight are refused at once by a full server", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.inject(Fault.NoMemory())
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 200, { concurrency: "unbounded" })
        assert.strictEqual(yield* statusOf(cluster, 1), "Full")
        yield* Effect.sleep("2001 millis")
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
        // Once it has stored a job, the next refusal is the first again.
        yield* servers[0]!.heal
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 50)
        yield* servers[0]!.inject(Fault.NoMemory())
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 50)
        assert.strictEqual(yield* statusOf(cluster, 1), "Full")
        yield* Effect.sleep("2001 millis")
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
      })
    ))

  it.live("is tried again where it was refused, if no other server could be reached until there is room again", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[1]!.inject(Fault.Refuse())
        yield* servers[1]!.inject(Fault.Cut())
        yield* Effect.sleep("1 second")
        yield* servers[0]!.inject(Fault.NoMemory())
        const put = yield* Effect.fork(cluster.put("t", "hello"))
        yield* Effect.sleep("1 second")
        yield* servers[0]!.heal
        const [time, id] = yield* Effect.timed(Fiber.join(put))
        assert.strictEqual(Option.getOrThrow(cluster.locate(id)).server, 1)
        assert.isBelow(Duration.toMillis(time), 1500)
      }), { servers: 2 }))

  it.live("believes a server that refuses a job as too big, whatever limit that has told", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[1]!.inject(Fault.Refuse())
        yield* servers[1]!.inject(Fault.Cut())
        yield* Effect.sleep("1 second")
        yield* servers[0]!.inject(Fault.Answer({ bytes: new TextEncoder().encode("USING t\r\nJOB_TOO_BIG\r\n") }))
        const error = yield* failsWith(cluster.put("t", "hello"), "JobTooBig")
        assert.strictEqual(error.address, "memory-1")
      }), { servers: 2 }))

  it.live("fails with the last error when every server has refused the job", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(servers, ({ drain }) => drain)
        yield* failsWith(cluster.put("t", "hello"), "Draining")
        // At once, too, when that is known.
        const [time] = yield* Effect.timed(failsWith(cluster.put("t", "hello"), "Draining"))
        assert.strictEqual(Duration.toMillis(time), 0)
        assert.strictEqual(sum(yield* jobCounts(servers)), 1)
      })
    ))

  it.live("goes on while a server is silent, and stalls only what is in flight there", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.inject(Fault.Silence())
        const done: Array<number> = []
        const producer = Effect.forever(Effect.zipRight(
          Effect.tap(cluster.put("t", "hello"), () => Effect.sync(() => done.push(1))),
          Effect.sleep("10 millis")
        ))
        const producers = yield* Effect.forkAll(Array.from({ length: 16 }, () => producer))
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* statusOf(cluster, 1), "Silent")
        const before = done.length
        const stuck = (yield* cluster.servers)[0]!.owed
        assert.isBelow(stuck, 16)
        yield* Effect.sleep("1 second")
        // The others put a job every 10 ms.
        assert.isAtLeast(done.length - before, (16 - stuck) * 90)
        assert.strictEqual((yield* cluster.servers)[0]!.owed, stuck)
        yield* servers[0]!.heal
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
        yield* Fiber.interrupt(producers)
      })
    ))

  it.live("takes no server for silent that answers, however much it owes all the while, and after whatever rest", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "first")
        yield* Effect.sleep("10 seconds")
        yield* servers[0]!.inject(Fault.Delay({ duration: "400 millis" }))
        const statuses = new Set<string>()
        yield* Effect.forkScoped(
          Stream.runForEach(cluster.memberChanges, ({ member }) => Effect.sync(() => statuses.add(member.status)))
        )
        const put = Effect.fork(cluster.put("t", "hello"))
        yield* Effect.replicateEffect(Effect.zipRight(put, Effect.sleep("100 millis")), 50)
        assert.isAbove((yield* cluster.servers)[0]!.owed, 0)
        assert.deepStrictEqual([...statuses], [])
      }), { servers: 1 }))

  it.live("puts a job on another server only if it was not sent: an unknown outcome fails", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        // The server stores the job, and its reply is lost.
        yield* Effect.forEach(servers, ({ inject }) => inject(Fault.CutAfterReply({ bytes: 1 })))
        const error = yield* failsWith(cluster.put("t", "hello"), "ConnectionLost")
        assert.strictEqual(error.outcome, "Unknown")
        assert.strictEqual(sum(yield* jobCounts(servers)), 2)
      })
    ))

  it.live("goes on with the other servers while one cannot be reached, also from the start", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.inject(Fault.Refuse())
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 50)
        assert.strictEqual((yield* jobCounts(servers))[0], 0)
        assert.strictEqual(sum(yield* jobCounts(servers)), 50)
        yield* servers[0]!.heal
        yield* connectAll(cluster)
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 50)
        assert.isAbove((yield* jobCounts(servers))[0]!, 0)
      })
    ))

  it.live("fails after offlineTimeout when no server can be reached, and says why of each", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(servers, ({ inject }) => inject(Fault.Refuse()))
        const started = yield* Effect.clock
        const from = started.unsafeCurrentTimeMillis()
        const error = yield* failsWith(cluster.put("t", "hello"), "ConnectFailed")
        assert.strictEqual(started.unsafeCurrentTimeMillis() - from, 10_000)
        for (const address of ["memory-1", "memory-2", "memory-3"]) assert.include(error.message, address)
      })
    ))

  it.live("fails after offlineTimeout, however often the list is read meanwhile", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one] = yield* makeServers(1)
        yield* one!.server.inject(Fault.Refuse())
        const lists = Stream.repeatEffectWithSchedule(Effect.succeed([one!.entry]), Schedule.spaced("3 seconds"))
        const cluster = yield* BeanstalkCluster.make(lists)
        const [time] = yield* Effect.timed(failsWith(cluster.put("t", "hello"), "ConnectFailed"))
        assert.strictEqual(Duration.toSeconds(time), 10)
      })
    ))

  it.live("waits for a server that comes back in time", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(servers, ({ inject }) => inject(Fault.Refuse()))
        const put = yield* Effect.fork(cluster.put("t", "hello"))
        yield* Effect.sleep("3 seconds")
        yield* servers[1]!.heal
        const id = yield* Fiber.join(put)
        assert.deepStrictEqual(Option.map(cluster.locate(id), ({ server }) => server), Option.some(2))
      })
    ))

  /** Each writes one put at a time: of those that wait behind it, it is certain that they were not sent. */
  const oneAtATime: BeanstalkCluster.Options = { maxInFlight: 1, reconnect: Schedule.spaced("1 second") }

  /** Connects the server, and puts a job behind others that are not answered. */
  const putBehindOthers = (cluster: BeanstalkCluster.Cluster, server: Scripted.Server) =>
    Effect.gen(function*() {
      yield* Effect.fork(Effect.ignore(cluster.ready))
      const connection = yield* acceptHandshake(server)
      yield* Effect.sleep("1 second")
      yield* Effect.fork(Effect.ignore(cluster.put("t", "in flight at first")))
      yield* Effect.fork(Effect.ignore(cluster.put("t", "in flight later")))
      const put = yield* Effect.fork(Effect.timed(failsWith(cluster.put("t", "behind them"), "ConnectionLost")))
      return { connection, put }
    })

  it.live("fails at the end of one offlineTimeout, however often it was on its way to a server meanwhile", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const server = yield* Scripted.inMemory()
        const cluster = yield* BeanstalkCluster.make([{ id: 1, connector: server.connector }], oneAtATime)
        const { connection: first, put } = yield* putBehindOthers(cluster, server)
        yield* Effect.sleep("6 seconds")
        yield* first.hangUp
        const second = yield* acceptHandshake(server)
        yield* Effect.sleep("5 seconds")
        yield* second.hangUp
        const [time, error] = yield* Fiber.join(put)
        assert.strictEqual(error.outcome, "NotSent")
        assert.strictEqual(Duration.toSeconds(time), 16)
      })
    ))

  it.live("is put on no other server once its offlineTimeout is over", () =>
    onCluster(() =>
      Effect.gen(function*() {
        let isUp = false
        const server = yield* Scripted.inMemory()
        const other = yield* Scripted.inMemory({ opening: Effect.suspend(() => isUp ? Effect.void : Scripted.refused) })
        const cluster = yield* BeanstalkCluster.make(
          [{ id: 1, connector: server.connector }, { id: 2, connector: other.connector }],
          oneAtATime
        )
        const { connection: first, put } = yield* putBehindOthers(cluster, server)
        yield* Effect.sleep("6 seconds")
        yield* first.hangUp
        const second = yield* acceptHandshake(server)
        isUp = true
        const spare = yield* acceptHandshake(other)
        yield* Effect.sleep("9 seconds")
        assert.strictEqual((yield* cluster.servers)[1]?.state._tag, "Connected")
        yield* second.hangUp
        assert.strictEqual((yield* Fiber.join(put))[1].outcome, "NotSent")
        assert.strictEqual(yield* spare.rest, "")
      })
    ))

  it.live("puts a large body on a server with a larger limit, or fails with the largest limit", () =>
    Effect.gen(function*() {
      const small = yield* EmbeddedServer.make({ maxJobSize: 10 })
      const large = yield* EmbeddedServer.make({ maxJobSize: 1000 })
      const cluster = yield* BeanstalkCluster.make(
        [small, large].map(({ connector }, id) => ({ id, connector: Layer.succeed(Connector.Connector, connector) }))
      )
      yield* Effect.replicateEffect(cluster.put("t", "x".repeat(500)), 20)
      assert.deepStrictEqual(yield* jobCounts([small.server, large.server]), [0, 20])
      const error = yield* failsWith(cluster.put("t", "x".repeat(2000)), "JobTooBig")
      assert.strictEqual(error.limit, 1000)
    }).pipe(Effect.scoped))

  it.live("uses the first server that can take a job with the strategy \"first\"", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 20)
        const [first = 0, ...others] = yield* jobCounts(servers)
        assert.isAtLeast(first, 20)
        assert.isAtMost(sum(others), 1)
        yield* servers[0]!.drain
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 20)
        assert.isAtLeast((yield* jobCounts(servers))[1]!, 20)
      }), { cluster: { strategy: "first" } }))

  it.live("counts a job that is cancelled as owed until the server answers", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "first")
        yield* servers[0]!.inject(Fault.Silence())
        const put = yield* Effect.fork(cluster.put("t", "hello"))
        yield* Effect.sleep("100 millis")
        yield* Fiber.interrupt(put)
        assert.strictEqual((yield* cluster.servers)[0]!.owed, 1)
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* statusOf(cluster, 1), "Silent")
        yield* servers[0]!.heal
        yield* Effect.sleep("1 second")
        assert.strictEqual((yield* cluster.servers)[0]!.owed, 0)
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
      }), { servers: 1 }))
})

describe("a put that is interrupted", () => {
  it.live("is not owed an answer if it was not written", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "first")
        yield* servers[0]!.inject(Fault.Silence())
        yield* Effect.fork(cluster.put("t", "in flight"))
        const queued = yield* Effect.fork(cluster.put("t", "not written"))
        yield* Effect.sleep("100 millis")
        assert.strictEqual((yield* cluster.servers)[0]!.owed, 2)
        yield* Fiber.interrupt(queued)
        assert.strictEqual((yield* cluster.servers)[0]!.owed, 1)
        yield* servers[0]!.heal
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(yield* jobCounts(servers), [2])
      }), { servers: 1, cluster: { maxInFlight: 1 } }))

  it.live("leaves no server silent for ever that has not owed another answer", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "first")
        yield* servers[0]!.inject(Fault.Silence())
        yield* Effect.fork(cluster.stats)
        yield* Effect.sleep("10 millis")
        const queued = yield* Effect.fork(cluster.put("t", "not written"))
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* statusOf(cluster, 1), "Silent")
        yield* Fiber.interrupt(queued)
        yield* servers[0]!.heal
        yield* cluster.put("t", "hello")
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
      }), { servers: 1, cluster: { maxInFlight: 1 } }))

  it.live("stores its job once at most, and is owed no answer for ever, after whatever number of steps", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.drain
        for (let steps = 0; steps < 40; steps += 1) {
          const put = yield* Effect.fork(cluster.put("t", `${steps}`))
          for (let step = 0; step < steps; step += 1) yield* Effect.yieldNow()
          yield* Fiber.interrupt(put)
        }
        yield* Effect.sleep("1 second")
        const stored = (yield* Effect.forEach(servers, ({ jobs }) => jobs)).flat()
        const bodies = yield* Effect.forEach(stored, ({ peeked }) => peeked.text())
        assert.strictEqual(new Set(bodies).size, bodies.length)
        assert.deepStrictEqual((yield* cluster.servers).map(({ owed }) => owed), [0, 0, 0])
      })
    ))
})

describe("putAll of a cluster", () => {
  it.live("emits the ids in the order of the bodies", () =>
    onConnected(({ cluster }) =>
      Effect.gen(function*() {
        const ids = Chunk.toReadonlyArray(
          yield* Stream.runCollect(cluster.putAll("t", Stream.map(Stream.range(1, 300), String), { window: 8 }))
        )
        const bodies = yield* Effect.forEach(ids, (id) => Effect.flatMap(cluster.peek(id), (job) => job.text()))
        assert.deepStrictEqual(bodies, Array.from({ length: 300 }, (_, index) => `${index + 1}`))
        assert.strictEqual(new Set(ids.map((id) => Option.getOrThrow(cluster.locate(id)).server)).size, 3)
      })
    ))

  it.live("sends as many bodies as the windows of all servers have", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(servers, ({ inject }) => inject(Fault.Silence()))
        yield* Effect.fork(
          Effect.ignore(
            Stream.runDrain(cluster.putAll("t", Stream.make("a", "b", "c", "d", "e", "f", "g"), { window: 2 }))
          )
        )
        yield* Effect.sleep("100 millis")
        assert.strictEqual(sum((yield* cluster.servers).map(({ owed }) => owed)), 6)
      })
    ))

  it.live("goes on to another server when one is drained, and stops when one is full", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[0]!.drain
        yield* Stream.runDrain(cluster.putAll("t", Stream.map(Stream.range(1, 100), String)))
        assert.strictEqual((yield* cluster.statsTube("t")).currentJobsReady, 100)
        yield* servers[1]!.inject(Fault.NoMemory())
        const stopped = yield* failsWith(
          Stream.runDrain(cluster.putAll("t", Stream.map(Stream.range(1, 100), String))),
          "PutAllStopped"
        )
        assert.strictEqual(stopped.failures[0].error._tag, "OutOfMemory")
        assert.strictEqual((yield* cluster.statsTube("t")).currentJobsReady, 100 + stopped.acknowledged)
      })
    ))
})

describe("the ids of a cluster", () => {
  it.live("lead to the server of the job, and at a server are its own", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        const ids = yield* Effect.replicateEffect(cluster.put("t", "hello", { delay: "1 hour" }), 30)
        assert.strictEqual(new Set(ids).size, 30)
        for (const id of ids) {
          const { id: own, server } = Option.getOrThrow(cluster.locate(id))
          assert.include((yield* servers[server - 1]!.jobs).map((job) => job.id), own)
          assert.strictEqual((yield* cluster.statsJob(id)).id, id)
          assert.strictEqual((yield* Option.getOrThrow(cluster.at(server)).statsJob(own)).id, own)
          assert.strictEqual((yield* cluster.peek(id)).id, id)
        }
        const [one = "", two = "", three = "", ...others] = ids
        yield* cluster.delete(one)
        const gone = yield* failsWith(cluster.statsJob(one), "JobNotFound")
        assert.strictEqual(gone.id, one)
        const { id: own, server } = Option.getOrThrow(cluster.locate(one))
        assert.include(gone.message, `job ${one} (${own} on server ${server}) was not found`)
        yield* cluster.kickJob(two)
        assert.strictEqual((yield* cluster.statsJob(two)).state, "ready")
        assert.deepStrictEqual(yield* cluster.buryAll([yield* cluster.statsJob(three)]), [true])
        assert.strictEqual((yield* cluster.statsJob(three)).state, "buried")
        const exits = yield* cluster.deleteAll([one, ...others])
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, ...others.map(() => true)])
      })
    ))

  it.live("of a server that answers with one that would be an id of another server end its connection", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "first")
        yield* servers[0]!.inject(Fault.Answer({ bytes: new TextEncoder().encode(`INSERTED ${2n ** 48n + 5n}\r\n`) }))
        const error = yield* failsWith(cluster.put("t", "hello"), "ProtocolViolation")
        assert.include(error.message, "281474976710661, which is too large for a server of a cluster")
        yield* cluster.put("t", "goes on")
      }), { servers: 1 }))

  it.live("of a server that is not in the cluster are invalid", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const id = `${9n * 2n ** 48n + 5n}`
        const error = yield* failsWith(cluster.delete(id), "InvalidArgument")
        assert.include(error.message, "server 9")
        assert.include(error.message, `${id} (5 on server 9)`)
        yield* failsWith(cluster.deleteAll([id]), "InvalidArgument")
        yield* failsWith(cluster.purge("t", { ids: [id] }), "InvalidArgument")
      })
    ))

  it.live("are qualified on a connection that a cluster leases, and no id of another server is sent there", () =>
    onConnected(({ cluster }) =>
      Effect.gen(function*() {
        const ids = yield* Effect.replicateEffect(cluster.put("t", "hello"), 30)
        const lease = yield* cluster.leaseWith({ watch: ["t"] })
        const job = yield* lease.reserveWithTimeout(0)
        const { server } = Option.getOrThrow(cluster.locate(job.id))
        assert.strictEqual((yield* cluster.statsJob(job.id)).state, "reserved")
        yield* lease.touch(job.id)
        const foreign = ids.find((id) => Option.getOrThrow(cluster.locate(id)).server !== server) ?? ""
        yield* failsWith(lease.delete(foreign), "JobNotFound")
        assert.strictEqual((yield* cluster.statsJob(foreign)).state, "ready")
        yield* lease.release(job.id, { priority: 1, delay: "1 hour" })
        assert.strictEqual((yield* cluster.statsJob(job.id)).state, "delayed")
      })
    ))
})

describe("what a cluster asks of all servers", () => {
  it.live("is added", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        yield* failsWith(cluster.statsTube("t"), "TubeNotFound")
        yield* failsWith(cluster.pauseTube("t", "1 minute"), "TubeNotFound")
        yield* connectAll(cluster)
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 30)
        yield* Effect.replicateEffect(cluster.put("t", "later", { delay: "1 hour" }), 30)
        yield* Effect.replicateEffect(cluster.put("u", "hello"), 3)
        const tube = yield* cluster.statsTube("t")
        assert.deepStrictEqual([tube.currentJobsReady, tube.currentJobsDelayed], [30, 30])
        assert.deepStrictEqual([...yield* cluster.listTubes].toSorted(), ["default", "t", "u"])
        const tubes = yield* cluster.statsTubes(["t", "u", "v"])
        assert.deepStrictEqual(tubes.map(({ currentJobsReady, name }) => [name, currentJobsReady]).toSorted(), [
          ["t", 30],
          ["u", 3]
        ])
        assert.strictEqual((yield* cluster.stats).totalJobs, 63)
        assert.isTrue(Option.isSome(yield* cluster.peekReady("t")))
        assert.isTrue(Option.isSome(yield* cluster.peekDelayed("t")))
        assert.isTrue(Option.isNone(yield* cluster.peekBuried("t")))
        assert.strictEqual(yield* cluster.kick("t", 20), 20)
        assert.strictEqual((yield* cluster.statsTube("t")).currentJobsReady, 50)
        yield* cluster.pauseTube("t", "1 minute")
        assert.strictEqual((yield* cluster.statsTube("t")).pause, 60)
        yield* Option.getOrThrow(cluster.at(2)).pauseTube("t", "5 minutes")
        const paused = yield* cluster.statsTube("t")
        assert.deepStrictEqual([paused.pause, paused.pauseTimeLeft], [300, 300])
        assert.strictEqual((yield* cluster.statsAll).length, 3)
      })
    ))

  it.live("lists the jobs of other servers from their newest, whatever id of one server is given", () =>
    onConnected(({ cluster }) =>
      Effect.gen(function*() {
        const ids = yield* Effect.forEach([1, 2, 3, 2], (server) =>
          Effect.map(
            Option.getOrThrow(cluster.at(server)).put("t", "hello"),
            (own) => `${(BigInt(server) << 48n) + BigInt(own)}`
          ))
        const [one, two, three] = ids
        const found = yield* Stream.runCollect(cluster.jobs({ tube: "t", newest: two }))
        assert.sameMembers(Array.from(found, ({ stats }) => `${stats.id}`), [`${one}`, `${two}`, `${three}`])
      })
    ))

  it.live("is, of numbers that cannot be added, the one that restricts least, and drained only if all are", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const small = yield* EmbeddedServer.make({ maxJobSize: 10 })
        yield* Effect.sleep("1 hour")
        const large = yield* EmbeddedServer.make({ maxJobSize: 1000, version: "1.12" })
        yield* Effect.sleep("1 minute")
        const cluster = yield* BeanstalkCluster.make(
          [large, small].map(({ connector }, id) => ({ id, connector: Layer.succeed(Connector.Connector, connector) }))
        )
        yield* large.server.drain
        const one = yield* cluster.stats
        assert.deepStrictEqual([one.maxJobSize, one.uptime, one.draining], [1000, 60, false])
        assert.deepStrictEqual(one.version.split(", ").length, 2)
        yield* small.server.drain
        assert.strictEqual((yield* cluster.stats).draining, true)
      })
    ))

  it.live("names the servers that do not answer, and fails only if none does", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[1]!.inject(Fault.Refuse())
        yield* servers[1]!.inject(Fault.Cut())
        yield* Effect.sleep("1 second")
        const [time, stats] = yield* Effect.timed(cluster.stats)
        assert.strictEqual(stats.unknown["cluster-not-answered"], "memory-2")
        assert.isBelow(Duration.toMillis(time), 100, "it is known to be down, and not waited for")
        const [, second] = yield* cluster.statsAll
        assert.isTrue(second !== undefined && Exit.isFailure(second.stats))
        yield* Effect.forEach(servers, ({ inject }) => Effect.zipRight(inject(Fault.Refuse()), inject(Fault.Cut())))
        yield* Effect.sleep("1 second")
        yield* failsWith(cluster.stats, "ConnectFailed")
      })
    ))

  it.live("does not wait for a server that cannot be reached from the start, once it was tried", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* servers[1]!.inject(Fault.Refuse())
        const [time, stats] = yield* Effect.timed(cluster.stats)
        assert.strictEqual(stats.unknown["cluster-not-answered"], "memory-2")
        assert.isBelow(Duration.toMillis(time), 100)
      })
    ))

  it.live("finds, purges and moves the jobs of all", () =>
    onConnected(({ cluster }) =>
      Effect.gen(function*() {
        const ids = yield* Effect.replicateEffect(cluster.put("t", "hello"), 40)
        const later = yield* Effect.replicateEffect(cluster.put("t", "later", { delay: "1 hour" }), 20)
        const all = [...ids, ...later].toSorted()
        const found = yield* Stream.runCollect(cluster.jobs({ tube: "t", bodies: true, serverShare: 1 }))
        assert.deepStrictEqual(Chunk.toReadonlyArray(found).map(({ stats }) => `${stats.id}`).toSorted(), all)
        const byId = yield* Stream.runCollect(cluster.jobsById(Stream.fromIterable(ids)))
        assert.deepStrictEqual(Chunk.toReadonlyArray(byId).map(({ stats }) => stats.id), ids)
        const progress: Array<number> = []
        const moved = yield* cluster.move("t", "u", {
          onProgress: ({ delayed, ready }) => Effect.sync(() => progress.push(delayed + ready))
        })
        assert.deepStrictEqual(moved, { ready: 40, delayed: 20, buried: 0 })
        assert.strictEqual(Math.max(...progress), 60)
        // Of all states it would be those of one server after the other, and that one may have fewer than ten ready jobs.
        const bounded = yield* cluster.purge("u", { bound: 10, states: ["ready"] })
        assert.deepStrictEqual(bounded, { ready: 10, delayed: 0, buried: 0 })
        const [one, two] = Chunk.toReadonlyArray(yield* Stream.runCollect(cluster.jobs({ tube: "u", serverShare: 1 })))
        const some = [one, two].flatMap((job) => job === undefined ? [] : [job.stats.id])
        assert.strictEqual(Object.values(yield* cluster.purge("u", { ids: some })).reduce((a, b) => a + b), 2)
        assert.strictEqual(sum(Object.values(yield* cluster.purge("u", { ids: [] }))), 0)
        assert.deepStrictEqual(sum(Object.values(yield* cluster.purge("u"))), 48)
      })
    ))

  it.live("leaves no job of its own on any server, also if its search is not read to its end", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 20)
        yield* servers[1]!.inject(Fault.Delay({ duration: "1 second" }))
        // By then the second server is connected, and about to tell its newest id.
        const read = Stream.tap(cluster.jobs({ tube: "t", serverShare: 1 }), () => Effect.sleep("1500 millis"))
        yield* Stream.runDrain(Stream.take(read, 1))
        yield* Effect.sleep("10 seconds")
        const all = (yield* Effect.forEach(servers, ({ jobs }) => jobs)).flat()
        assert.isEmpty(all.filter(({ tube }) => tube === "effect-beanstalk/newest"))
      })
    ))

  it.live("does what it can when a server fails, and fails with the sum", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 60)
        const [first = 0] = yield* Effect.map(
          Effect.forEach(servers, ({ jobs }) => jobs),
          (all) => all.map((jobs) => jobs.filter(({ tube }) => tube === "t").length)
        )
        yield* servers[0]!.inject(Fault.Refuse())
        const stopped = yield* failsWith(cluster.purge("t"), "BulkStopped")
        assert.strictEqual(stopped.done.ready, 60 - first)
        assert.strictEqual(stopped.address, "memory-1")
      })
    ))

  it.live("moves none from a tube of the cluster to the same tube", () =>
    onConnected(({ cluster }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "hello")
        yield* failsWith(cluster.move("t", "t", { into: cluster }), "InvalidArgument")
        const [one, two] = [Option.getOrThrow(cluster.at(1)), Option.getOrThrow(cluster.at(2))]
        yield* two.put("t", "hello")
        const before = yield* two.statsTube("t")
        yield* failsWith(cluster.move("t", "t", { into: one }), "InvalidArgument")
        assert.strictEqual((yield* two.statsTube("t")).currentJobsReady, before.currentJobsReady)
        assert.strictEqual((yield* cluster.move("t", "u", { into: cluster })).ready, 2)
      })
    ))

  it.live("does not wait for a server that is known to be down, and attempts to connect to it take long", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [up, down] = yield* makeServers(2)
        const unreachable = Layer.map(down!.entry.connector, (context) =>
          Context.make(Connector.Connector, {
            ...Context.get(context, Connector.Connector),
            socket: Effect.never
          }))
        const cluster = yield* BeanstalkCluster.make([up!.entry, { id: 2, connector: unreachable }])
        yield* cluster.put("t", "hello")
        yield* Effect.sleep("6 seconds")
        const [time] = yield* Effect.timed(Effect.gen(function*() {
          yield* cluster.stats
          assert.strictEqual((yield* failsWith(cluster.purge("t"), "BulkStopped")).done.ready, 1)
          yield* failsWith(Stream.runDrain(cluster.jobs({ tube: "t", serverShare: 1 })), "ConnectFailed")
        }))
        assert.isBelow(Duration.toMillis(time), 100)
      })
    ))

  it.live("finishes on the others when one server fails, also for jobs that are named", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        const ids = yield* Effect.replicateEffect(cluster.put("t", "hello"), 60)
        const jobs = yield* Effect.forEach(ids, (id) => cluster.statsJob(id))
        yield* servers[0]!.inject(Fault.Refuse())
        yield* failsWith(cluster.buryAll(jobs), "ConnectionLost")
        const { currentJobsBuried, currentJobsReady } = yield* cluster.statsTube("t")
        const onFirst = ids.filter((id) => Option.getOrThrow(cluster.locate(id)).server === 1).length
        assert.deepStrictEqual([currentJobsBuried, currentJobsReady], [60 - onFirst, onFirst])
      })
    ))

  it.live("fails while there are no servers, whatever it is", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const cluster = yield* BeanstalkCluster.make([])
        const all: ReadonlyArray<Effect.Effect<unknown, BeanstalkError.BeanstalkError>> = [
          cluster.stats,
          cluster.statsTubes(),
          cluster.listTubes,
          cluster.peekReady("t"),
          cluster.kick("t", 1),
          cluster.pauseTube("t", "1 second"),
          cluster.purge("t"),
          Stream.runDrain(cluster.jobs({ tube: "t" })),
          cluster.put("t", "hello")
        ]
        for (const asked of all) {
          assert.include((yield* failsWith(asked, "ConnectFailed")).message, "the list of servers is empty")
        }
      })
    ))

  it.live("moves jobs into another cluster", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const made = yield* Effect.replicateEffect(EmbeddedServer.make(), 2)
        const other = yield* BeanstalkCluster.make(
          made.map(({ connector }, index) => ({
            id: index + 7,
            connector: Layer.succeed(Connector.Connector, connector)
          }))
        )
        yield* cluster.put("t", "hello", { delay: "1 hour" })
        const [job] = Chunk.toReadonlyArray(
          yield* Stream.runCollect(cluster.jobs({ tube: "t", serverShare: 1 }))
        )
        yield* cluster.buryAll(job === undefined ? [] : [job.stats])
        assert.deepStrictEqual(yield* cluster.move("t", "t", { into: other }), { ready: 0, delayed: 0, buried: 1 })
        assert.strictEqual((yield* other.statsTube("t")).currentJobsBuried, 1)
      })
    ))
})

describe("the kick of a cluster", () => {
  it.live("makes no delayed job ready while a job is buried on another server, as one server does", () =>
    onCluster(({ cluster }) =>
      Effect.gen(function*() {
        const [one, two] = [Option.getOrThrow(cluster.at(1)), Option.getOrThrow(cluster.at(2))]
        const id = yield* one.put("t", "delayed", { delay: "1 hour" })
        yield* two.put("t", "buried")
        const lease = yield* two.leaseWith({ watch: ["t"] })
        yield* lease.bury((yield* lease.reserve).id, 0)
        assert.strictEqual(yield* cluster.kick("t", 10), 1)
        assert.strictEqual((yield* one.statsJob(id)).state, "delayed")
        assert.strictEqual(yield* cluster.kick("t", 10), 1)
        assert.strictEqual((yield* one.statsJob(id)).state, "ready")
      })
    ))
})

describe("a kick of which a server does not tell whether it was done", () => {
  it.live("fails, and kicks no more on the others: it could be too many", () =>
    onConnected(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* Effect.forEach([1, 2, 3], (server) =>
          Effect.replicateEffect(Option.getOrThrow(cluster.at(server)).put("t", "later", { delay: "1 hour" }), 4))
        const readyJobs = Effect.map(
          Effect.forEach(servers, ({ jobs }) =>
            jobs),
          (all) =>
            all.map((jobs) => jobs.filter(({ state, tube }) => tube === "t" && state === "ready").length)
        )
        // Each connection has selected the tube then.
        assert.strictEqual(yield* cluster.kick("t", 0), 0)
        yield* servers[1]!.inject(Fault.CutAfterRequest({ bytes: "stats-tube t\r\nkick 6\r\n".length }))
        const error = yield* failsWith(cluster.kick("t", 10), "ConnectionLost")
        assert.strictEqual(error.outcome, "Unknown")
        assert.deepStrictEqual(yield* readyJobs, [4, 4, 0])
        // One that cannot be reached has kicked none.
        yield* servers[1]!.heal
        yield* servers[0]!.inject(Fault.Refuse())
        yield* servers[0]!.inject(Fault.Cut())
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(yield* cluster.kick("t", 10), 4)
      })
    ))
})

describe("a cluster that is closed", () => {
  it.live("fails what waits for a server, and ends its changes", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const { connector } = yield* EmbeddedServer.make()
        const [put, states] = yield* Effect.scoped(Effect.gen(function*() {
          const refusing = Layer.succeed(Connector.Connector, { ...connector, socket: Effect.never })
          const cluster = yield* BeanstalkCluster.make([{ id: 1, connector: refusing }])
          const put = yield* Effect.forkDaemon(cluster.put("t", "hello"))
          const states = yield* Effect.forkDaemon(Stream.runCollect(cluster.changes))
          yield* Effect.sleep("1 second")
          return [put, states] as const
        }))
        const exit = yield* Fiber.await(put)
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.isTrue(error instanceof BeanstalkError.ConnectFailed && error.reason === "Closed")
        assert.strictEqual(Chunk.last(yield* Fiber.join(states)).pipe(Option.getOrThrow)._tag, "Closed")
      })
    ))
})
