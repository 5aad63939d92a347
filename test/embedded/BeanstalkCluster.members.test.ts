/** The servers of a cluster: how they join and leave, as the list changes, and what the cluster tells of it. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkCluster, BeanstalkError, Connector, EmbeddedServer, Health } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { connectAll, jobCounts, makeServers, onCluster, statusOf } from "../support/clusters.ts"
import { failsWith } from "../support/connections.ts"

type List = ReadonlyArray<BeanstalkCluster.Server>

const sum = (counts: ReadonlyArray<number>) => counts.reduce((total, count) => total + count, 0)

/** A cluster whose list changes when one is offered. */
const following = (options?: BeanstalkCluster.Options) =>
  Effect.gen(function*() {
    const lists = yield* Queue.unbounded<List>()
    return { lists, cluster: yield* BeanstalkCluster.make(Stream.fromQueue(lists), options) }
  })

/** What becomes of the servers from now on. */
const collectChanges = ({ memberChanges }: BeanstalkCluster.Cluster) =>
  Effect.gen(function*() {
    const changes: Array<string> = []
    yield* Effect.forkScoped(
      Stream.runForEach(memberChanges, ({ _tag, member }) => Effect.sync(() => changes.push(`${_tag} ${member.id}`)))
    )
    yield* Effect.sleep("1 millis")
    return changes
  })

/** Runs an Effect with a logger that collects its lines. */
const linesOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(`${[message].flat().join(" ")}`))
  return Effect.as(Effect.provide(effect, Logger.add(logger)), lines)
}

describe("the servers of a cluster", () => {
  it.live("come and go with the list: one that leaves gets no jobs, and is closed when it is empty", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two, three] = yield* makeServers(3)
        const { cluster, lists } = yield* following()
        // A job that is delayed is one that workers will take.
        const put = yield* Effect.fork(cluster.put("t", "early", { delay: "1 hour" }))
        yield* Effect.sleep("1 second")
        yield* lists.offer([one!.entry, two!.entry])
        const id = yield* Fiber.join(put)
        yield* connectAll(cluster)
        const { server } = Option.getOrThrow(cluster.locate(id))
        const [leaving, staying] = server === 1 ? [one!, two!] : [two!, one!]
        yield* lists.offer([staying.entry, three!.entry])
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(yield* statusOf(cluster, leaving.entry.id), "Leaving")
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 30)
        assert.strictEqual((yield* leaving.server.jobs).length, 1)
        // It is reached by id, and closed when it has no job any more.
        yield* cluster.delete(id)
        yield* Effect.sleep("2 seconds")
        assert.deepStrictEqual((yield* cluster.servers).map((member) => member.id), [staying.entry.id, 3])
        assert.strictEqual((yield* leaving.server.connections).length, 0)
        yield* failsWith(cluster.delete(id), "InvalidArgument")
      })
    ))

  it.live("are closed after leaveTimeout although jobs are left, or stay if they are in the list again", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two] = yield* makeServers(2)
        const { cluster, lists } = yield* following()
        yield* lists.offer([one!.entry])
        yield* cluster.put("t", "hello")
        yield* lists.offer([two!.entry])
        yield* Effect.sleep("30 seconds")
        yield* lists.offer([one!.entry, two!.entry])
        yield* Effect.sleep("2 minutes")
        assert.strictEqual(yield* statusOf(cluster, 1), "Taking")
        yield* lists.offer([two!.entry])
        yield* Effect.sleep("59 seconds")
        assert.strictEqual(yield* statusOf(cluster, 1), "Leaving")
        yield* Effect.sleep("3 seconds")
        assert.deepStrictEqual((yield* cluster.servers).map(({ id }) => id), [2])
      })
    ))

  it.live("get no job when they leave, also if no other is left", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one] = yield* makeServers(1)
        const { cluster, lists } = yield* following()
        yield* lists.offer([one!.entry])
        yield* cluster.put("t", "hello")
        yield* lists.offer([])
        yield* Effect.sleep("1 second")
        yield* failsWith(cluster.put("t", "hello"), "ConnectFailed")
        assert.strictEqual((yield* one!.server.jobs).length, 1)
      })
    ))

  it.live("say how many jobs stay there when they have left, or that they do not tell", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(onCluster(() =>
        Effect.gen(function*() {
          const [one, two, three] = yield* makeServers(3)
          const { cluster, lists } = yield* following()
          yield* lists.offer([one!.entry, two!.entry, three!.entry])
          yield* cluster.ready
          yield* connectAll(cluster)
          const own = Option.getOrThrow(cluster.at(1))
          const id = yield* own.put("t", "hello")
          yield* own.buryAll([yield* own.statsJob(id)])
          yield* own.put("t", "hello")
          yield* two!.server.inject(EmbeddedServer.Fault.Refuse())
          yield* two!.server.inject(EmbeddedServer.Fault.Cut())
          yield* lists.offer([])
          yield* Effect.sleep("50 seconds")
          assert.deepStrictEqual((yield* cluster.servers).map(({ id }) => id), [1, 2])
          yield* Effect.sleep("15 seconds")
          assert.deepStrictEqual(yield* cluster.servers, [])
        })
      ))
      const left = lines.filter((line) => line.includes("has left the cluster")).map((line) => line.split(". ")[1])
      assert.deepStrictEqual(left.toSorted(), [
        "2 jobs stay there, 1 of them buried: move them, or put the server back into the list.",
        "It did not answer: how many jobs stay there is unknown.",
        "No job stays there."
      ])
    }))

  it.live("must have numbers of their own, from 0 to 65,535, and weights above zero", () =>
    Effect.gen(function*() {
      const { connector } = yield* EmbeddedServer.make()
      const server = { id: 1, connector: Layer.succeed(Connector.Connector, connector) }
      for (
        const servers of [
          [server, server],
          [{ ...server, id: -1 }],
          [{ ...server, id: 65_536 }],
          [
            { ...server, id: 1.5 }
          ],
          [{ ...server, weight: 0 }],
          [{ ...server, weight: Number.POSITIVE_INFINITY }]
        ]
      ) {
        yield* failsWith(BeanstalkCluster.make(servers), "InvalidArgument")
      }
      yield* failsWith(BeanstalkCluster.make([server], { suspectAfter: 0 }), "InvalidArgument")
    }).pipe(Effect.scoped))

  it.live("may come and go faster than they connect: every job that is acknowledged is there, and those that are listed stay", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const made = yield* makeServers(3)
        const [one, two, three] = made.map(({ entry }) => entry)
        const { cluster, lists } = yield* following({ leaveTimeout: "3 millis" })
        const putting = yield* Effect.fork(
          Effect.replicateEffect(Effect.zipRight(Effect.sleep("1 millis"), cluster.put("t", "hello")), 300)
        )
        for (let turn = 0; turn < 100; turn += 1) {
          yield* lists.offer(turn % 3 === 0 ? [one!] : turn % 3 === 1 ? [two!, three!] : [])
          yield* Effect.sleep(turn % 7)
        }
        yield* lists.offer([one!, two!, three!])
        const ids = yield* Fiber.join(putting)
        assert.strictEqual(sum(yield* jobCounts(made.map(({ server }) => server))), 300)
        yield* connectAll(cluster)
        for (const id of ids) assert.strictEqual((yield* cluster.statsJob(id)).id, id)
        assert.deepStrictEqual((yield* cluster.servers).map(({ id, status }) => [id, status]), [
          [1, "Taking"],
          [2, "Taking"],
          [3, "Taking"]
        ])
      })
    ))

  it.live("are told apart by their instance: one with two names is warned of", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(onCluster(() =>
        Effect.gen(function*() {
          const [one, two] = yield* makeServers(2)
          const cluster = yield* BeanstalkCluster.make([one!.entry, two!.entry, { ...one!.entry, id: 7 }])
          yield* cluster.put("t", "hello")
          yield* connectAll(cluster)
        })
      ))
      const warnings = lines.filter((line) => line.includes("one beanstalkd with two names"))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "memory-1")
    }))

  it.live("tell their changes", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        const changes: Array<string> = []
        yield* Effect.forkScoped(Stream.runForEach(cluster.memberChanges, ({ _tag, member }) =>
          Effect.sync(() => changes.push(`${_tag} ${member.id} ${member.state._tag} ${member.status}`))))
        const states: Array<string> = []
        yield* Effect.forkScoped(
          Stream.runForEach(cluster.changes, ({ _tag }) =>
            Effect.sync(() =>
              states.push(_tag)
            ))
        )
        yield* Effect.sleep("1 second")
        yield* cluster.ready
        yield* connectAll(cluster)
        yield* servers[0]!.drain
        yield* Effect.replicateEffect(cluster.put("t", "hello"), 20)
        yield* Effect.sleep("1 second")
        assert.include(changes, "Changed 1 Connected Taking")
        assert.include(changes, "Changed 1 Connected Draining")
        assert.include(states, "Connected")
      })
    ))
})

describe("a list that a Stream emits", () => {
  it.live("changes nothing if it is invalid, whichever of its servers is", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two] = yield* makeServers(2)
        const { cluster, lists } = yield* following()
        const changes = yield* collectChanges(cluster)
        yield* lists.offer([one!.entry])
        yield* cluster.put("t", "hello")
        yield* lists.offer([])
        yield* Effect.sleep("10 seconds")
        const invalid = new BeanstalkError.InvalidArgument({ command: "connect", argument: "url", reason: "is wrong" })
        yield* lists.offer([{ ...one!.entry, weight: 7 }, two!.entry, { id: 3, connector: Layer.fail(invalid) }])
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual((yield* cluster.servers).map(({ id, status }) => [id, status]), [[1, "Leaving"]])
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual(yield* cluster.servers, [])
        assert.deepStrictEqual(changes.filter((change) => !change.startsWith("Changed")), ["Joined 1", "Left 1"])
      })
    ))

  it.live("is logged if one of its connectors dies, and so is a Stream that dies: the cluster keeps its servers", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(onCluster(() =>
        Effect.gen(function*() {
          const [one, two] = yield* makeServers(2)
          const lists = yield* Queue.unbounded<List | "dies">()
          const cluster = yield* BeanstalkCluster.make(
            Stream.mapEffect(
              Stream.fromQueue(lists),
              (list) => list === "dies" ? Effect.dieMessage("no such zone") : Effect.succeed(list)
            )
          )
          yield* lists.offer([one!.entry, { id: 3, connector: Layer.die("no such key") }])
          yield* lists.offer([one!.entry, two!.entry])
          yield* cluster.put("t", "hello")
          yield* lists.offer("dies")
          yield* connectAll(cluster)
          assert.deepStrictEqual((yield* cluster.servers).map(({ id }) => id), [1, 2])
        })
      ))
      assert.strictEqual(lines.filter((line) => line.includes("no such key")).length, 1)
      assert.strictEqual(lines.filter((line) => line.includes("has died")).length, 1)
    }))

  it.live("may have a server again in whichever moment it has left", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one] = yield* makeServers(1)
        const { cluster, lists } = yield* following({ leaveTimeout: 0 })
        for (let steps = 0; steps < 60; steps += 1) {
          yield* lists.offer([one!.entry])
          yield* cluster.put("t", "hello")
          yield* lists.offer([])
          for (let step = 0; step < steps; step += 1) yield* Effect.yieldNow()
        }
        yield* lists.offer([one!.entry])
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual((yield* cluster.servers).map(({ id, status }) => [id, status]), [[1, "Taking"]])
        yield* cluster.put("t", "hello")
      })
    ))
})

describe("a server that has joined", () => {
  it.live("is found by who is told so, also while another one of the list takes long", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one, two] = yield* makeServers(2)
        const { cluster, lists } = yield* following()
        const found: Array<boolean> = []
        yield* Effect.forkScoped(
          cluster.memberChanges.pipe(
            Stream.filter(({ _tag }) => _tag === "Joined"),
            Stream.runForEach(({ member }) => Effect.sync(() => found.push(Option.isSome(cluster.at(member.id)))))
          )
        )
        yield* Effect.sleep("1 millis")
        const slow = Layer.unwrapEffect(Effect.delay(Effect.succeed(two!.entry.connector), "1 second"))
        yield* lists.offer([one!.entry, { id: 2, connector: slow }])
        yield* Effect.sleep("2 seconds")
        assert.deepStrictEqual(found, [true, true])
      })
    ))

  it.live("tells nothing before it has joined, and nothing once it has left", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const [one] = yield* makeServers(1)
        const { cluster, lists } = yield* following({ leaveTimeout: 0 })
        const changes = yield* collectChanges(cluster)
        yield* lists.offer([one!.entry])
        yield* cluster.put("t", "hello")
        yield* one!.server.inject(EmbeddedServer.Fault.Silence())
        yield* Effect.fork(Effect.ignore(cluster.put("t", "never answered")))
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* statusOf(cluster, 1), "Silent")
        yield* lists.offer([])
        yield* Effect.sleep("1 minute")
        assert.strictEqual(changes[0], "Joined 1")
        assert.strictEqual(changes.at(-1), "Left 1")
      })
    ))
})

describe("a cluster that is closed", () => {
  it.live("ends what it tells of its servers, also if it has none", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const told = yield* Effect.scoped(Effect.gen(function*() {
          const cluster = yield* BeanstalkCluster.make([])
          const states = yield* Effect.forkDaemon(Stream.runCollect(cluster.changes))
          const changes = yield* Effect.forkDaemon(Stream.runDrain(cluster.memberChanges))
          yield* Effect.sleep("1 second")
          return { states, changes, cluster }
        }))
        const states = yield* Fiber.join(told.states)
        assert.deepStrictEqual(Array.from(states, ({ _tag }) => _tag), ["Idle", "Closed"])
        yield* Fiber.join(told.changes)
        yield* Stream.runDrain(told.cluster.memberChanges)
        const later = yield* Stream.runCollect(told.cluster.changes)
        assert.deepStrictEqual(Array.from(later, ({ _tag }) => _tag), ["Closed"])
      })
    ))
})

describe("the health of a cluster", () => {
  it.live("is degraded while it has no servers for longer than the grace, and failed once it is closed", () =>
    onCluster(() =>
      Effect.gen(function*() {
        const cluster = yield* Effect.scoped(Effect.gen(function*() {
          const [one] = yield* makeServers(1)
          const { cluster, lists } = yield* following()
          yield* Effect.sleep("29 seconds")
          assert.strictEqual((yield* cluster.health())._tag, "Healthy")
          yield* Effect.sleep("2 seconds")
          const health = yield* cluster.health()
          assert(Health.is("Degraded")(health))
          assert.include(health.reason, "no servers")
          yield* lists.offer([one!.entry])
          yield* Effect.sleep("1 second")
          assert.strictEqual((yield* cluster.health())._tag, "Healthy")
          return cluster
        }))
        assert.strictEqual((yield* cluster.health())._tag, "Failed")
      })
    ))

  it.live("and its state are those of a server that is connected, if one is", () =>
    onCluster(({ cluster, servers }) =>
      Effect.gen(function*() {
        yield* cluster.put("t", "hello")
        yield* connectAll(cluster)
        yield* servers[0]!.inject(EmbeddedServer.Fault.Refuse())
        yield* servers[0]!.inject(EmbeddedServer.Fault.Cut())
        yield* Effect.fork(Effect.ignore(Option.getOrThrow(cluster.at(1)).stats))
        yield* Effect.sleep("1 minute")
        assert.strictEqual((yield* cluster.health())._tag, "Healthy")
        assert.strictEqual((yield* Stream.runHead(cluster.changes).pipe(Effect.flatten))._tag, "Connected")
        yield* Effect.forEach(servers, ({ inject }) =>
          Effect.zipRight(inject(EmbeddedServer.Fault.Refuse()), inject(EmbeddedServer.Fault.Cut())))
        yield* Effect.sleep("1 minute")
        assert.strictEqual((yield* cluster.health())._tag, "Degraded")
      })
    ))
})
