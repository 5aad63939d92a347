/** Clusters of servers on ports: by URLs, from the environment, and by the SRV records of a name. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkCluster } from "effect-beanstalk"
import { NodeCluster, NodeEmbeddedServer } from "effect-beanstalk/node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Dgram from "node:dgram"
import { eventually, failsWith } from "../support/connections.ts"
import { unlogged } from "../support/workers.ts"

const urlsOf = (count: number) =>
  Effect.map(Effect.replicateEffect(NodeEmbeddedServer.listen(), count), (servers) => servers.map(({ url }) => url))

const addresses = Effect.flatMap(
  BeanstalkCluster.BeanstalkCluster,
  ({ servers }) => Effect.map(servers, (all) => all.map(({ address }) => address).toSorted())
)

const toAddress = (url: string) => new URL(url).host

describe("a cluster of URLs", () => {
  it.scopedLive("puts jobs on each, whose numbers come from their addresses", () =>
    Effect.gen(function*() {
      const urls = yield* urlsOf(3)
      const putThere = Effect.gen(function*() {
        const cluster = yield* BeanstalkCluster.BeanstalkCluster
        yield* eventually(
          Effect.zipRight(cluster.put("t", "hello"), cluster.servers),
          (all) => all.every(({ state }) => state._tag === "Connected")
        )
        const ids = yield* Effect.replicateEffect(cluster.put("t", "hello"), 60)
        for (const id of ids) assert.strictEqual((yield* cluster.statsJob(id)).id, id)
        return (yield* cluster.servers).map(({ address, id }) => `${address} ${id}`)
      })
      const once = yield* Effect.provide(putThere, NodeCluster.layer({ urls }))
      assert.deepStrictEqual(once.map((line) => line.split(" ")[0]), urls.map(toAddress))
      // In another order, each has the same number.
      const again = yield* Effect.provide(putThere, NodeCluster.layer({ urls: urls.toReversed() }))
      assert.deepStrictEqual(again.toReversed(), once)
    }))

  it.scopedLive("fails for one that is invalid, one that occurs twice, and two with the same number", () =>
    Effect.gen(function*() {
      const build = (urls: ReadonlyArray<string>) =>
        failsWith(Effect.scoped(Layer.build(NodeCluster.layer({ urls }))), "InvalidArgument")
      assert.include((yield* build(["http://localhost"])).message, "url must be")
      assert.include((yield* build(["beanstalk://a", "beanstalk://a:11300"])).message, "a:11300 occurs twice")
      // More than there are numbers.
      const many = Array.from({ length: 2000 }, (_, index) => `beanstalk://queue-${index}`)
      assert.include((yield* build(many)).message, "the same number")
    }))

  it.scopedLive("can come from BEANSTALKD_URLS", () =>
    Effect.gen(function*() {
      const urls = yield* urlsOf(2)
      const provider = ConfigProvider.fromMap(new Map([["BEANSTALKD_URLS", urls.join(" , ")]]))
      const found = yield* addresses.pipe(
        Effect.provide(NodeCluster.layerConfig()),
        Effect.withConfigProvider(provider)
      )
      assert.deepStrictEqual(found, urls.map(toAddress).toSorted())
      yield* Effect.flip(Effect.provide(addresses, NodeCluster.layerConfig())).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
      )
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// the DNS
// ---------------------------------------------------------------------------------------------------------------------

interface Record {
  readonly host: string
  readonly port: number
  readonly priority?: number
  readonly weight?: number
}

/** A DNS server that answers every question with these SRV records. */
const serveDns = (records: () => ReadonlyArray<Record>) =>
  Effect.acquireRelease(
    Effect.async<Dgram.Socket>((resume) => {
      const socket = Dgram.createSocket("udp4")
      socket.on("message", (query, { address, port }) => socket.send(answerTo(query, records()), port, address))
      socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.close())
  )

const answerTo = (query: Buffer, records: ReadonlyArray<Record>) => {
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x8580, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(records.length, 6)
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  const answers = records.map(({ host, port, priority = 1, weight = 5 }) => {
    const labels = host.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
    const target = Buffer.concat([...labels, Buffer.from([0])])
    const fixed = Buffer.alloc(18)
    // The name of the question, SRV, IN, a time to live of a second, and the length.
    fixed.writeUInt16BE(0xc00c, 0)
    fixed.writeUInt16BE(33, 2)
    fixed.writeUInt16BE(1, 4)
    fixed.writeUInt32BE(1, 6)
    fixed.writeUInt16BE(6 + target.length, 10)
    // Priority, weight, port.
    fixed.writeUInt16BE(priority, 12)
    fixed.writeUInt16BE(weight, 14)
    fixed.writeUInt16BE(port, 16)
    return Buffer.concat([fixed, target])
  })
  return Buffer.concat([header, question, ...answers])
}

describe("a cluster of SRV records", () => {
  it.scopedLive("follows the records, and keeps its servers while there is no answer", () =>
    Effect.gen(function*() {
      const ports = (yield* urlsOf(3)).map((url) => Number(new URL(url).port))
      let listed = ports.slice(0, 2)
      let answers = true
      const dns = yield* serveDns(() => answers ? listed.map((port) => ({ host: "localhost", port })) : [])
      const dnsServers = [`127.0.0.1:${dns.address().port}`]
      const ClusterLive = NodeCluster.layerSrv("_beanstalk._tcp.example.org", {
        dnsServers,
        refresh: "50 millis",
        leaveTimeout: "10 millis"
      })
      const shown = (some: ReadonlyArray<number>) => some.map((port) => `localhost:${port}`).toSorted().join()
      yield* Effect.gen(function*() {
        const cluster = yield* BeanstalkCluster.BeanstalkCluster
        const id = yield* cluster.put("t", "hello")
        assert.isTrue(Option.isSome(cluster.locate(id)))
        yield* eventually(addresses, (found) => found.join() === shown(listed))
        listed = ports.slice(1)
        yield* eventually(addresses, (found) => found.join() === shown(listed))
        answers = false
        const before = listed
        listed = ports
        // Two more questions, at least, are answered with nothing.
        let asked = 0
        dns.on("message", () => asked += 1)
        yield* eventually(Effect.sync(() => asked), (count) => count > 2)
        assert.strictEqual((yield* addresses).join(), shown(before))
      }).pipe(Effect.provide(ClusterLive), Effect.provide(unlogged))
    }))

  it.scopedLive("have an order, count a server once, and are asked for again soon if there was no answer at the start", () =>
    Effect.gen(function*() {
      const ports = (yield* urlsOf(2)).map((url) => Number(new URL(url).port)).toSorted()
      const [one = 0, two = 0] = ports
      let asked = 0
      const records = [
        { host: "localhost", port: one, priority: 2 },
        { host: "localhost", port: two, priority: 1 },
        { host: "localhost", port: two, priority: 3 }
      ]
      const dns = yield* serveDns(() => (asked += 1) < 2 ? [] : records)
      const ClusterLive = NodeCluster.layerSrv("_beanstalk._tcp.example.org", {
        dnsServers: [`127.0.0.1:${dns.address().port}`],
        refresh: "1 hour"
      })
      yield* Effect.gen(function*() {
        const cluster = yield* BeanstalkCluster.BeanstalkCluster
        yield* cluster.put("t", "hello")
        const found = (yield* cluster.servers).map(({ address }) => address)
        assert.deepStrictEqual(found, [`localhost:${two}`, `localhost:${one}`])
      }).pipe(Effect.provide(ClusterLive), Effect.provide(unlogged))
    }))

  it.scopedLive("have weights: a server gets its share of the jobs, as for 1 if it has 0", () =>
    Effect.gen(function*() {
      const [one, two] = (yield* urlsOf(2)).map((url) => Number(new URL(url).port))
      const records = [{ host: "localhost", port: one!, weight: 3 }, { host: "localhost", port: two!, weight: 0 }]
      const dns = yield* serveDns(() => records)
      const ClusterLive = NodeCluster.layerSrv("_beanstalk._tcp.example.org", {
        dnsServers: [`127.0.0.1:${dns.address().port}`],
        refresh: "1 hour"
      })
      yield* Effect.gen(function*() {
        const cluster = yield* BeanstalkCluster.BeanstalkCluster
        const all = yield* eventually(
          Effect.zipRight(cluster.put("t", "hello"), cluster.servers),
          (servers) => servers.every(({ state }) => state._tag === "Connected")
        )
        // None is answered before all are sent.
        const ids = yield* Effect.replicateEffect(cluster.put("t", "hello"), 400, { concurrency: "unbounded" })
        const first = ids.filter((id) =>
          Option.getOrThrow(cluster.locate(id)).server === all.find(({ address }) => address === `localhost:${one}`)?.id
        )
        assert.approximately(first.length, 300, 2)
      }).pipe(Effect.provide(ClusterLive), Effect.provide(unlogged))
    }))

  it.scopedLive("are not asked for without a pause", () =>
    failsWith(Layer.build(NodeCluster.layerSrv("_beanstalk._tcp.example.org", { refresh: 0 })), "InvalidArgument"))
})
