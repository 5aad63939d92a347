/** The metrics of a client. */
import { assert, describe, it } from "@effect/vitest"
import {
  BeanstalkClient,
  BeanstalkCluster,
  Connector,
  EmbeddedServer,
  Tube,
  VirtualClock,
  Worker
} from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { failsWith, newTube } from "../support/connections.ts"
import { reading, readings } from "../support/metrics.ts"

const mails = Tube.text("mails")

/** The tags by which the metrics of a test are told from those of others. */
type OwnTags = Readonly<Record<string, string>>

/** Provides an embedded server at an address of its own, and a client of it with metrics, in virtual time. */
const measured = <A, E>(
  test: (own: OwnTags) => Effect.Effect<A, E, BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer>,
  options: BeanstalkClient.Options = { metrics: true }
) =>
  Effect.flatMap(newTube, (name) => {
    const server = Layer.scopedContext(
      Effect.map(EmbeddedServer.make(), ({ connector, server }) =>
        Context.make(EmbeddedServer.EmbeddedServer, server).pipe(
          Context.add(Connector.Connector, { ...connector, address: `${name}:11300` })
        ))
    )
    return test({ "server.address": name, "server.port": "11300" }).pipe(
      Effect.provide(BeanstalkClient.layer(options)),
      Effect.provide(server),
      Effect.provide(VirtualClock.layer())
    )
  })

/** Waits until what was counted is handed over. */
const handedOver = Effect.sleep("1100 millis")

const onMails = { "messaging.destination.name": "mails" }

const operation = "messaging.client.operation.duration"

describe("the metrics of a client", () => {
  it.effect("measure each command, by its name and its tube", () =>
    measured((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const id = yield* client.put("mails", "hello")
        yield* client.put("mails", "hello")
        yield* client.delete(id)
        const all = { ...own, unit: "s", "messaging.system": "beanstalkd" }
        assert.deepStrictEqual(yield* readings(operation, { ...own, ...onMails }), [{
          tags: { ...all, ...onMails, "messaging.operation.name": "put", "messaging.operation.type": "send" },
          value: 2
        }])
        assert.deepStrictEqual(yield* readings(operation, { ...own, "messaging.operation.name": "delete" }), [{
          tags: { ...all, "messaging.operation.name": "delete", "messaging.operation.type": "settle" },
          value: 1
        }])
      })
    ))

  it.effect("of a cluster tell what each of its servers did", () =>
    Effect.gen(function*() {
      const names = yield* Effect.replicateEffect(newTube, 3)
      const members = yield* Effect.forEach(names, (name, index) =>
        Effect.map(EmbeddedServer.make(), ({ connector, server }) => ({
          id: index + 1,
          connector: Layer.succeed(Connector.Connector, { ...connector, address: `${name}:11300` }),
          server
        })))
      const cluster = yield* BeanstalkCluster.make(members, { metrics: true })
      yield* Effect.replicateEffect(cluster.put("mails", "hello"), 60)
      const counted = yield* Effect.forEach(names, (name) =>
        reading(operation, { "server.address": name, ...onMails, "messaging.operation.name": "put" }))
      const stored = yield* Effect.forEach(members, ({ server }) =>
        Effect.map(server.jobs, ({ length }) =>
          length))
      assert.deepStrictEqual(counted, stored)
      assert.strictEqual(
        counted.reduce((sum, count) =>
          sum + count, 0),
        60
      )
    }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer())))

  it.effect("measure from the write to the answer", () =>
    measured((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.ready
        yield* server.inject(EmbeddedServer.Fault.Delay({ duration: "3 seconds" }))
        yield* client.put("mails", "hello")
        const durations = (yield* Metric.snapshot).filter(({ metricKey: { name, tags } }) =>
          name === operation &&
          ["put", own["server.address"]].every((wanted) => tags.some(({ value }) => value === wanted))
        ).map(({ metricState }) => Math.round(Reflect.get(metricState, "sum")))
        assert.deepStrictEqual(durations, [3])
      })
    ))

  it.effect("count jobs that were put, and that could not be, by their error", () =>
    measured((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        yield* mails.put("hello")
        yield* server.drain
        yield* failsWith(mails.put("hello"), "Draining")
        yield* handedOver
        const sent = yield* readings("messaging.client.sent.messages", { ...own, ...onMails })
        assert.deepStrictEqual(sent.map(({ tags, value }) => [tags["error.type"], value]), [
          [undefined, 1],
          ["Draining", 1]
        ])
        assert.strictEqual(yield* reading(operation, { ...own, "error.type": "Draining" }), 1)
      })
    ))

  it.effect("count what could not be sent because there was no connection", () =>
    measured((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        yield* server.inject(EmbeddedServer.Fault.Refuse())
        yield* failsWith(mails.put("hello"), "ConnectFailed")
        yield* handedOver
        const failed = { ...own, ...onMails, "error.type": "ConnectFailed" }
        assert.strictEqual(yield* reading("messaging.client.sent.messages", failed), 1)
        assert.strictEqual(yield* reading(operation, failed), 1)
        assert.isAbove(
          yield* reading("beanstalk.client.reconnects", { ...own, "error.type": "ConnectFailed" }),
          1
        )
      }), { metrics: true, offlineTimeout: "5 seconds" }))

  it.effect("count jobs that a worker reserves, and do not measure how long it waited for them", () =>
    measured((own) =>
      Effect.gen(function*() {
        const worker = yield* Worker.make(mails, () => Effect.void)
        yield* Effect.sleep("10 seconds")
        yield* mails.put("hello")
        yield* handedOver
        const reserve = { ...own, "messaging.operation.name": "reserve-with-timeout" }
        assert.strictEqual(yield* reading("messaging.client.consumed.messages", { ...reserve, ...onMails }), 1)
        assert.strictEqual(yield* reading(operation, reserve), 0)
        assert.strictEqual(yield* reading(operation, { ...own, ...onMails, "messaging.operation.name": "delete" }), 1)
        assert.deepStrictEqual(
          yield* readings(operation, { ...own, ...onMails, "messaging.operation.name": "watch" }),
          []
        )
        yield* worker.shutdown
      }).pipe(Effect.scoped)
    ))

  it.effect("are the connections that are open or being opened, by what they are for", () =>
    Effect.gen(function*() {
      const own = yield* measured((own) =>
        Effect.gen(function*() {
          const connections = (role: string, state: string) =>
            reading("beanstalk.client.connections", {
              ...own,
              "beanstalk.connection.role": role,
              "beanstalk.connection.state": state
            })
          const now = Effect.all([
            connections("shared", "connecting"),
            connections("shared", "connected"),
            connections("lease", "connecting"),
            connections("lease", "connected")
          ])
          const server = yield* EmbeddedServer.EmbeddedServer
          const client = yield* BeanstalkClient.BeanstalkClient
          yield* client.ready
          yield* Effect.scoped(Effect.gen(function*() {
            yield* client.lease
            yield* Worker.make(mails, () => Effect.void)
            yield* handedOver
            assert.deepStrictEqual(yield* now, [0, 1, 0, 2])
          }))
          yield* handedOver
          assert.deepStrictEqual(yield* now, [0, 1, 0, 0])
          yield* server.inject(EmbeddedServer.Fault.Silence())
          yield* Effect.fork(client.listTubes)
          yield* Effect.fork(Effect.ignore(Effect.scoped(client.lease)))
          yield* handedOver
          assert.deepStrictEqual(yield* now, [0, 1, 1, 0])
          yield* Effect.sleep("11 seconds")
          assert.deepStrictEqual(yield* now, [1, 0, 0, 0])
          return own
        })
      )
      const left = yield* readings("beanstalk.client.connections", own)
      assert.deepStrictEqual(left.map(({ value }) => value), left.map(() => 0))
    }))

  it.effect("are none once all are closed, also if a leased connection is closed after its client", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const own = yield* measured((own) =>
        Effect.gen(function*() {
          const client = yield* BeanstalkClient.BeanstalkClient
          const lease = yield* Scope.extend(client.lease, scope)
          yield* handedOver
          yield* Effect.fork(lease.reserve)
          return own
        })
      )
      yield* Scope.close(scope, Exit.void)
      const left = [
        ...yield* readings("beanstalk.client.connections", own),
        ...yield* readings("beanstalk.client.in_flight", own)
      ]
      assert.deepStrictEqual(left.map(({ value }) => value), [0, 0, 0])
    }))

  it.effect("count connections that were lost", () =>
    measured((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        yield* mails.put("hello")
        yield* Worker.make(Tube.text("others"), () => Effect.void)
        yield* Effect.sleep("1 second")
        yield* server.inject(EmbeddedServer.Fault.Cut())
        yield* handedOver
        const lost = yield* readings("beanstalk.client.reconnects", own)
        assert.deepStrictEqual(lost.map(({ tags, value }) => [tags["error.type"], value]), [
          ["ConnectionLost", 2],
          ["ConnectFailed", 0]
        ])
      }).pipe(Effect.scoped)
    ))

  it.effect("are the commands in flight, and count those of a lost connection as lost", () =>
    measured((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put("mails", "hello")
        yield* server.inject(EmbeddedServer.Fault.Silence())
        for (const _ of Array.from({ length: 5 })) yield* Effect.fork(Effect.ignore(client.put("mails", "hello")))
        yield* handedOver
        assert.strictEqual(yield* reading("beanstalk.client.in_flight", own), 5)
        yield* Effect.sleep("12 seconds")
        const failed = { ...own, ...onMails, "error.type": "ConnectionLost" }
        assert.strictEqual(yield* reading("messaging.client.sent.messages", failed), 5)
        assert.strictEqual(yield* reading(operation, failed), 5)
      })
    ))

  it.effect("count the bytes in both directions", () =>
    measured((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.ready
        yield* handedOver
        const io = Effect.all({
          transmit: reading("beanstalk.client.io", { ...own, "network.io.direction": "transmit" }),
          receive: reading("beanstalk.client.io", { ...own, "network.io.direction": "receive" })
        })
        const before = yield* io
        assert.strictEqual(before.transmit, "stats\r\n".length)
        yield* client.put("mails", "hello", { priority: 1, ttr: 60 * 1000 })
        yield* handedOver
        const after = yield* io
        assert.strictEqual(after.transmit - before.transmit, "use mails\r\nput 1 0 60 5\r\nhello\r\n".length)
        assert.strictEqual(after.receive - before.receive, "USING mails\r\nINSERTED 1\r\n".length)
      })
    ))

  it.effect("are handed over when the client closes, with the tags that are set around it", () =>
    Effect.gen(function*() {
      const own = yield* measured((own) => Effect.as(mails.put("hello"), own)).pipe(
        Effect.tagMetrics("region", "north")
      )
      const sent = yield* readings("messaging.client.sent.messages", own)
      assert.deepStrictEqual(sent.map(({ tags, value }) => [tags["region"], value]), [["north", 1]])
    }))

  it.effect("are not updated without the option", () =>
    measured((own) =>
      Effect.gen(function*() {
        yield* mails.put("hello")
        yield* handedOver
        assert.deepStrictEqual(
          (yield* Metric.snapshot).filter(({ metricKey }) =>
            metricKey.tags.some(({ value }) => value === own["server.address"])
          ),
          []
        )
      }), {}))
})
