/**
 * A client of every kind of server: what each method does, and its errors.
 */
import { assert, layer } from "@effect/vitest"
import type { BeanstalkClient, BeanstalkError } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Connector } from "../../src/Connector.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, failsWith, newTube, openTo } from "../support/connections.ts"
import { amount } from "../support/edition.ts"
import { Beanstalkd } from "../support/server.ts"
import { describeClients, ofOneServer } from "../support/servers.ts"

type Client = BeanstalkClient.Client

/** A client of the shared server, and a tube for one test. */
const start = (options?: BeanstalkClient.Options) =>
  Effect.gen(function*() {
    const server = yield* Beanstalkd
    return { server, client: yield* clientTo(server, options), tube: yield* newTube }
  })

const isEmpty = (peeked: Option.Option<unknown>) => assert.isTrue(Option.isNone(peeked))

describeClients("a client", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("producing", (it) => {
    it.scoped("puts a job into the named tube, with all its options", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* start()
        const id = yield* client.put(tube, "hello", { priority: 7, delay: "1 hour", ttr: "1001 millis" })
        const { delay, pri, state, ttr, tube: where } = yield* client.statsJob(id)
        assert.deepStrictEqual({ delay, pri, state, ttr, where }, {
          delay: 3600,
          pri: 7,
          state: "delayed",
          ttr: 2,
          where: tube
        })
        assert.strictEqual(yield* (yield* client.peek(id)).text(), "hello")
      }))

    it.scoped("puts a job with the priority 1024, no delay and a time to run of 60 seconds by default", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* start()
        for (const options of [undefined, {}, { priority: undefined }]) {
          const { delay, pri, state, ttr } = yield* client.statsJob(yield* client.put(tube, "hello", options))
          assert.deepStrictEqual({ delay, pri, state, ttr }, { delay: 0, pri: 1024, state: "ready", ttr: 60 })
        }
      }))

    it.scoped("puts every job into the named tube, whatever other fibers do on the same connection", () =>
      Effect.gen(function*() {
        const { client, server } = yield* start({ maxInFlight: 50 })
        const count = amount(300, 2000)
        const tubes = [yield* newTube, yield* newTube]
        const putting = (tube: string) =>
          Effect.forEach(Array.range(1, count), (i) =>
            Effect.zipLeft(
              client.put(tube, tube),
              i % 3 === 0 ? Effect.yieldNow() : i % 5 === 0 ? client.kick(tube, 1) : Effect.void
            ), { concurrency: 20 })
        yield* Effect.all(tubes.map(putting), { concurrency: "unbounded" })
        for (const tube of tubes) {
          assert.strictEqual((yield* client.statsTube(tube)).currentJobsReady, count)
          const worker = yield* openTo(server, { watch: [tube] })
          const bodies = yield* Effect.replicateEffect(
            Effect.flatMap(worker.reserveWithTimeout(0), (job) => job.text()),
            count,
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual([...new Set(bodies)], [tube])
        }
      }))

    it.scoped("fails with JobTooBig, and the limit, before it sends a body that is too large", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* start()
        const { maxJobSize } = yield* client.ready
        const error = yield* failsWith(client.put(tube, new Uint8Array(maxJobSize + 1)), "JobTooBig")
        assert.strictEqual(error.limit, maxJobSize)
        // The server would have created the tube, and counted the put.
        yield* failsWith(client.statsTube(tube), "TubeNotFound")
        const id = yield* client.put(tube, new Uint8Array(maxJobSize))
        assert.strictEqual((yield* client.peek(id)).body.length, maxJobSize)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("looking and tidying", (it) => {
    it.scoped("finds no job in an empty tube", () =>
      Effect.gen(function*() {
        const { client, tube } = yield* start()
        isEmpty(yield* client.peekReady(tube))
        isEmpty(yield* client.peekDelayed(tube))
        isEmpty(yield* client.peekBuried(tube))
        assert.strictEqual(yield* client.kick(tube, 10), 0)
      }))

    it.scoped("finds the next job of each state in the named tube", () =>
      Effect.gen(function*() {
        const { client, server, tube } = yield* start()
        const worker = yield* openTo(server, { watch: [tube] })
        const buried = yield* client.put(tube, "buried")
        yield* worker.reserveJob(buried)
        yield* worker.bury(buried, 0)
        const ready = yield* client.put(tube, "ready")
        const delayed = yield* client.put(tube, "delayed", { delay: "1 hour" })
        const another = yield* client.put(yield* newTube, "elsewhere")
        const found = [client.peekReady(tube), client.peekDelayed(tube), client.peekBuried(tube)]
        const jobs = yield* Effect.forEach(found, Effect.flatten)
        assert.deepStrictEqual(jobs.map(({ id }) => id), [ready, delayed, buried])
        assert.deepStrictEqual(yield* Effect.forEach(jobs, (job) => job.text()), ["ready", "delayed", "buried"])
        assert.strictEqual((yield* client.peek(another)).id, another)

        const stats = yield* client.statsTube(tube)
        assert.deepStrictEqual(
          [stats.name, stats.currentJobsReady, stats.currentJobsDelayed, stats.currentJobsBuried],
          [tube, 1, 1, 1]
        )
        assert.include(yield* client.listTubes, stats.name)
        assert.include((yield* client.stats).id, (yield* client.ready).id)
      }))

    it.scoped("kicks the buried jobs of the named tube, and one job in any tube", () =>
      Effect.gen(function*() {
        const { client, server, tube } = yield* start()
        const worker = yield* openTo(server, { watch: [tube] })
        const ids = yield* Effect.forEach(["a", "b", "c"], (body) => client.put(tube, body))
        for (const id of ids) yield* Effect.zipRight(worker.reserveJob(id), worker.bury(id, 0))
        assert.strictEqual(yield* client.kick(yield* newTube, 10), 0)
        assert.strictEqual(yield* client.kick(tube, 2), 2)
        // Which one is left depends on the servers that hold them: a cluster has no order across its servers.
        const left = yield* Effect.flatten(client.peekBuried(tube))
        assert.include(ids, left.id)
        yield* client.kickJob(left.id)
        isEmpty(yield* client.peekBuried(tube))
        yield* failsWith(client.kickJob(left.id), "JobNotFound")
        assert.strictEqual((yield* client.statsTube(tube)).currentJobsReady, 3)
      }))

    it.scoped("deletes a job that is ready, delayed or buried, and none that is reserved", () =>
      Effect.gen(function*() {
        const { client, server, tube } = yield* start()
        const worker = yield* openTo(server, { watch: [tube] })
        const held = yield* client.put(tube, "held")
        yield* worker.reserveJob(held)
        const buried = yield* client.put(tube, "buried")
        yield* Effect.zipRight(worker.reserveJob(buried), worker.bury(buried, 0))
        const delayed = yield* client.put(tube, "delayed", { delay: "1 hour" })
        const ready = yield* client.put(tube, "ready")
        yield* Effect.forEach([buried, delayed, ready], client.delete)
        for (const id of [buried, delayed, ready]) {
          assert.strictEqual((yield* failsWith(client.delete(id), "JobNotFound")).id, id)
          yield* failsWith(client.peek(id), "JobNotFound")
          yield* failsWith(client.statsJob(id), "JobNotFound")
        }
        assert.strictEqual((yield* failsWith(client.delete(held), "JobNotFound")).command, "delete")
        assert.strictEqual((yield* client.statsJob(held)).state, "reserved")
        yield* worker.delete(held)
      }))

    it.scoped("pauses a tube, and ends the pause", () =>
      Effect.gen(function*() {
        const { client, server, tube } = yield* start()
        const error = yield* failsWith(client.pauseTube(tube, "1 hour"), "TubeNotFound")
        assert.strictEqual(error.tube, tube)
        yield* failsWith(client.statsTube(tube), "TubeNotFound")
        yield* client.put(tube, "hello")
        yield* client.pauseTube(tube, "3599001 millis")
        assert.strictEqual((yield* client.statsTube(tube)).pause, 3600)
        const worker = yield* openTo(server, { watch: [tube] })
        yield* failsWith(worker.reserveWithTimeout(0), "TimedOut")
        yield* client.pauseTube(tube, 0)
        yield* worker.reserveWithTimeout(0)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("leasing", (it) => {
    it.scoped("opens a connection of its own, which watches and uses the default tube", () =>
      Effect.gen(function*() {
        const { client } = yield* start({ name: "mine" })
        const [one, other] = yield* Effect.all([client.lease, client.lease])
        assert.deepStrictEqual([...yield* one.listTubesWatched].map(String), ["default"])
        assert.strictEqual(yield* one.listTubeUsed, "default")
        assert.strictEqual(one.name, "mine")
        yield* one.watch(yield* newTube)
        assert.strictEqual((yield* other.listTubesWatched).length, 1)
      }))

    ofOneServer(kind, "lease", () => {
      it.scoped("opens one that uses and watches the tubes in the options, and no others", () =>
        Effect.gen(function*() {
          const { client, tube } = yield* start({ name: "mine" })
          const others = [yield* newTube, yield* newTube]
          const lease = yield* client.leaseWith({ name: "lane 1", tube, watch: others })
          assert.strictEqual(lease.name, "lane 1")
          assert.strictEqual(yield* lease.listTubeUsed, tube)
          assert.deepStrictEqual([...yield* lease.listTubesWatched].map(String).toSorted(), others.toSorted())
          const id = yield* lease.put("hello")
          assert.strictEqual((yield* client.statsJob(id)).tube, tube)
          const both = yield* client.leaseWith({ watch: ["default", tube] })
          assert.strictEqual((yield* both.reserve).id, id)
        }))
    })

    ofOneServer(kind, "lease", () => {
      it.scoped("closes it with its Scope, and its jobs are ready again", () =>
        Effect.gen(function*() {
          const { client, tube } = yield* start()
          const id = yield* client.put(tube, "hello")
          const connections = (yield* client.stats).currentConnections
          const lease = yield* Effect.scoped(Effect.gen(function*() {
            const lease = yield* client.leaseWith({ watch: [tube] })
            assert.strictEqual((yield* lease.reserve).id, id)
            assert.strictEqual((yield* client.statsJob(id)).state, "reserved")
            return lease
          }))
          assert.strictEqual((yield* failsWith(lease.stats, "ConnectionLost")).outcome, "NotSent")
          const another = yield* client.leaseWith({ watch: [tube] })
          assert.strictEqual((yield* another.reserve).id, id)
          yield* eventually(client.stats, ({ currentConnections }) => currentConnections === connections + 1)
        }))
    })

    it.scoped("leaves it open when the client is closed", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const scope = yield* Effect.scope
        const lease = yield* Effect.scoped(
          Effect.flatMap(clientTo(server), (client) => Scope.extend(client.lease, scope))
        )
        assert.strictEqual(yield* lease.listTubeUsed, "default")
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("refusing", (it) => {
    type Impossible = readonly [
      argument: string,
      send: (client: Client) => Effect.Effect<unknown, BeanstalkError.BeanstalkError>
    ]

    const tubes = ["", "-a", "a b", "a\r\ndelete 1", "\0", "ü", "a".repeat(201)]

    const ids = ["", "-1", "1.5", "1e3", "18446744073709551616", "1\r\n"]

    const impossible: ReadonlyArray<Impossible> = [
      ...tubes.flatMap((tube): ReadonlyArray<Impossible> => [
        ["tube", (client) => client.put(tube, "x")],
        ["tube", (client) => client.kick(tube, 1)],
        ["tube", (client) => client.peekReady(tube)],
        ["tube", (client) => client.peekDelayed(tube)],
        ["tube", (client) => client.peekBuried(tube)],
        ["tube", (client) => client.statsTube(tube)],
        ["tube", (client) => client.pauseTube(tube, 1)],
        ["tube", (client) => Effect.scoped(client.leaseWith({ tube }))],
        ["tube", (client) => Effect.scoped(client.leaseWith({ watch: ["fine", tube] }))]
      ]),
      ...ids.flatMap((id): ReadonlyArray<Impossible> => [
        ["id", (client) => client.peek(id)],
        ["id", (client) => client.statsJob(id)],
        ["id", (client) => client.delete(id)],
        ["id", (client) => client.kickJob(id)]
      ]),
      ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32].flatMap((number): ReadonlyArray<Impossible> => [
        ["priority", (client) => client.put("t", "x", { priority: number })],
        ["bound", (client) => client.kick("t", number)]
      ]),
      ["ttr", (client) => client.put("t", "x", { ttr: Number.POSITIVE_INFINITY })],
      ["delay", (client) => client.put("t", "x", { delay: `${2 ** 32} seconds` })],
      ["duration", (client) => client.pauseTube("t", Number.POSITIVE_INFINITY)],
      ["watch", (client) => Effect.scoped(client.leaseWith({ watch: [] }))]
    ]

    /** A connector that must not be used. */
    const unwanted = Layer.succeed(Connector, {
      address: "nowhere",
      socket: Effect.dieMessage("there was nothing to open a connection for")
    })

    it.scoped("invalid arguments, without a connection", () =>
      Effect.gen(function*() {
        const client = yield* clientTo({ connector: unwanted }, { offlineTimeout: "1 hour" })
        for (const [argument, send] of impossible) {
          const error = yield* failsWith(send(client), "InvalidArgument")
          assert.strictEqual(error.argument.replace("watch", "tube"), argument.replace("watch", "tube"))
        }
      }))

    it.scoped("invalid arguments, before anything is sent", () =>
      Effect.gen(function*() {
        const { client } = yield* start()
        yield* client.ready
        const before = yield* client.stats
        for (const [, send] of impossible) yield* failsWith(send(client), "InvalidArgument")
        const after = yield* client.stats
        assert.strictEqual(after.cmdPut, before.cmdPut)
        assert.strictEqual(after.cmdUse, before.cmdUse)
        assert.strictEqual(after.totalConnections, before.totalConnections)
      }))

    it.scoped("a put to a server that drains", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const client = yield* clientTo(server)
        yield* client.ready
        yield* server.drain
        const error = yield* eventually(Effect.either(client.put("t", "x")), ({ _tag }) => _tag === "Left")
        assert(error._tag === "Left")
        assert.strictEqual(error.left._tag, "Draining")
        assert.include((yield* client.stats).id, (yield* client.ready).id)
      }))

    it.scoped("every command once the server is killed", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const client = yield* clientTo(server, { offlineTimeout: "100 millis" })
        const put = Effect.either(client.put("t", "x"))
        // On a busy machine the connection takes longer than that.
        yield* eventually(put, Either.isRight)
        yield* server.kill
        yield* eventually(put, (put) => put._tag === "Left" && put.left._tag === "ConnectFailed")
        const error = yield* failsWith(client.stats, "ConnectFailed")
        assert.oneOf(error.reason, ["Unreachable", "TimedOut"])
        yield* failsWith(client.lease, "ConnectFailed")
      }))
  })
})
