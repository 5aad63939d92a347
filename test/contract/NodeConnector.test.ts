/**
 * Connectors: TCP, unix socket, TLS, URLs and configuration.
 */
import { assert, layer } from "@effect/vitest"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeBeanstalk, NodeConnector } from "effect-beanstalk/node"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import * as Tls from "node:tls"
import {
  connectorTo,
  eventually,
  failsWith,
  idOf,
  interfere,
  listen,
  newTube,
  open,
  openTo,
  traced
} from "../support/connections.ts"
import { type Listening, ListeningBeanstalkd } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"

const fixture = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** A self-signed certificate for `localhost` and 127.0.0.1. */
const certificate = fixture("cert.pem")

const key = fixture("key.pem")

/** Node writes it with a hyphen, Bun without. */
const selfSigned = /self[- ]signed certificate/

/** A TLS proxy in front of a server, and the server names that clients have requested. */
const tlsProxy = (server: Listening) =>
  Effect.gen(function*() {
    const names: Array<unknown> = []
    const { port } = yield* listen(interfere(server), {
      make: (onConnection) =>
        Tls.createServer({ cert: certificate, key }, (client) => {
          names.push(client.servername)
          onConnection(client)
        }).on("tlsClientError", () => {})
    })
    return { port, names }
  })

/** The id of the server to which a new connection leads. */
const serverId = BeanstalkConnection.make().pipe(
  Effect.flatMap((beanstalk) => beanstalk.stats),
  Effect.map((stats) => stats.id),
  Effect.scoped
)

/** The same for a Layer that is a connection. */
const serverIdOn = <E>(connection: Layer.Layer<BeanstalkConnection.BeanstalkConnection, E>) =>
  BeanstalkConnection.BeanstalkConnection.pipe(
    Effect.flatMap((beanstalk) => beanstalk.stats),
    Effect.map((stats) => stats.id),
    Effect.provide(connection)
  )

const portOf = (server: Listening) => {
  assert("port" in server.target)
  return server.target.port
}

const withEnvironment = (variables: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

describeListening("connectors", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("TCP", (it) => {
    it.scoped("connects to a host and port", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const connector = NodeConnector.layer({ host: "127.0.0.1", port: portOf(server) })
        assert.strictEqual(yield* Effect.provide(serverId, connector), yield* idOf(server))
      }))

    it.scoped("connects to a host name", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const connection = NodeBeanstalk.layerConnection({ host: "localhost", port: portOf(server) })
        assert.strictEqual(yield* serverIdOn(connection), yield* idOf(server))
      }))

    it.scoped("connects to an IPv6 address", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const connection = NodeBeanstalk.layerConnection({ host: "::ffff:127.0.0.1", port: portOf(server) })
        assert.strictEqual(yield* serverIdOn(connection), yield* idOf(server))
      }))
  })

  layer(ListeningBeanstalkd.layer(kind, { unix: true }), { excludeTestServices: true })("unix sockets", (it) => {
    it.scoped("connect to a path", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        assert("path" in server.target)
        const { path } = server.target
        assert.strictEqual(yield* Effect.provide(serverId, NodeConnector.layerUnix({ path })), yield* idOf(server))
        assert.strictEqual(yield* serverIdOn(NodeBeanstalk.layerConnection({ path })), yield* idOf(server))
      }))

    it.scoped("carry jobs of every size", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const beanstalk = yield* open({ tube, watch: [tube] })
        const bodies = [0, 1, 4096, 65535].map((size) => new Uint8Array(size).fill(13))
        yield* Effect.forEach(bodies, (body) => beanstalk.put(body), { concurrency: "unbounded" })
        const jobs = yield* Effect.replicateEffect(beanstalk.reserve, bodies.length)
        assert.deepStrictEqual(jobs.map((job) => Buffer.from(job.body)), bodies.map((body) => Buffer.from(body)))
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("TLS", (it) => {
    it.scoped("connects through a proxy with a trusted certificate", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const { port } = yield* tlsProxy(server)
        const options = { host: "localhost", port, tls: { ca: certificate } }
        assert.strictEqual(yield* Effect.provide(serverId, NodeConnector.layerTls(options)), yield* idOf(server))
        assert.strictEqual(yield* serverIdOn(NodeBeanstalk.layerConnection(options)), yield* idOf(server))
      }))

    it.scoped("carries jobs of every size", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* ListeningBeanstalkd)
        const tube = yield* newTube
        const beanstalk = yield* BeanstalkConnection.make({ tube, watch: [tube] }).pipe(
          Effect.provide(NodeConnector.layerTls({ host: "127.0.0.1", port, tls: { ca: certificate } }))
        )
        const bodies = [0, 1, 4096, 65535].map((size) => new Uint8Array(size).fill(13))
        yield* Effect.forEach(bodies, (body) => beanstalk.put(body), { concurrency: "unbounded" })
        const jobs = yield* Effect.replicateEffect(beanstalk.reserve, bodies.length)
        assert.deepStrictEqual(jobs.map((job) => Buffer.from(job.body)), bodies.map((body) => Buffer.from(body)))
      }))

    it.scoped("requests the certificate of the host, or of `servername`", () =>
      Effect.gen(function*() {
        const { names, port } = yield* tlsProxy(yield* ListeningBeanstalkd)
        const tls = { ca: certificate, checkServerIdentity: () => undefined }
        yield* Effect.provide(serverId, NodeConnector.layerTls({ host: "localhost", port, tls }))
        yield* Effect.provide(
          serverId,
          NodeConnector.layerTls({ host: "localhost", port, tls: { ...tls, servername: "queue.example.org" } })
        )
        yield* Effect.provide(serverId, NodeConnector.layerTls({ host: "127.0.0.1", port, tls }))
        assert.deepStrictEqual(names, ["localhost", "queue.example.org", false])
      }))

    it.scoped("refuses a certificate that is not signed by a trusted authority", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* ListeningBeanstalkd)
        const error = yield* failsWith(
          Effect.provide(serverId, NodeConnector.layerTls({ host: "localhost", port })),
          "ConnectFailed"
        )
        assert.strictEqual(error.reason, "Unreachable")
        assert.match(error.message, selfSigned)
      }))

    it.scoped("refuses a certificate for another name", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* ListeningBeanstalkd)
        const options = { host: "localhost", port, tls: { ca: certificate, servername: "queue.example.org" } }
        const error = yield* failsWith(Effect.provide(serverId, NodeConnector.layerTls(options)), "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
        assert.include(error.message, "queue.example.org")
      }))

    it.scoped("fails as Unreachable with an invalid client certificate", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* ListeningBeanstalkd)
        const options = { host: "localhost", port, tls: { cert: "none", key } }
        const error = yield* failsWith(Effect.provide(serverId, NodeConnector.layerTls(options)), "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
      }))

    it.scoped("fails if the server does not use TLS", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const options = { host: "127.0.0.1", port: portOf(server), tls: { ca: certificate } }
        const error = yield* failsWith(
          BeanstalkConnection.make({ connectTimeout: "200 millis" }).pipe(
            Effect.provide(NodeConnector.layerTls(options))
          ),
          "ConnectFailed"
        )
        assert.include(["Unreachable", "TimedOut"], error.reason)
      }))

    it.scoped("gives jobs back when the proxy resets the connection", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const tube = yield* newTube
        const observer = yield* open({ tube })
        const id = yield* observer.put("x")
        yield* Effect.scoped(Effect.gen(function*() {
          const { port } = yield* tlsProxy(server)
          const beanstalk = yield* BeanstalkConnection.make({ watch: [tube] }).pipe(
            Effect.provide(NodeConnector.layerTls({ host: "127.0.0.1", port, tls: { ca: certificate } }))
          )
          assert.strictEqual((yield* beanstalk.reserve).id, id)
        }))
        yield* eventually(observer.statsJob(id), (job) => job.state === "ready")
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("URLs", (it) => {
    it.scoped("beanstalk://host:port is TCP", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const url = `beanstalk://127.0.0.1:${portOf(server)}`
        assert.strictEqual(yield* Effect.provide(serverId, NodeConnector.layerUrl(url)), yield* idOf(server))
        assert.strictEqual(yield* serverIdOn(NodeBeanstalk.layerConnection({ url: `${url}/` })), yield* idOf(server))
      }))

    it.scoped("beanstalk://[address]:port is an IPv6 address", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const url = `beanstalk://[::ffff:127.0.0.1]:${portOf(server)}`
        assert.strictEqual(yield* Effect.provide(serverId, NodeConnector.layerUrl(url)), yield* idOf(server))
      }))

    it.scoped("unix:/path is a unix socket, with any characters in the path", () =>
      Effect.gen(function*() {
        const server = yield* kind.start({ unix: true })
        assert("path" in server.target)
        const url = `unix:${server.target.path}`
        assert.strictEqual(yield* Effect.provide(serverId, NodeConnector.layerUrl(url)), yield* idOf(server))
        const escaped = url.replace("beanstalkd.sock", "%62eanstalkd.sock")
        assert.strictEqual(yield* Effect.provide(serverId, NodeConnector.layerUrl(escaped)), yield* idOf(server))
      }))

    it.scoped("beanstalks://host:port is TLS, with the certificate verified", () =>
      Effect.gen(function*() {
        const { names, port } = yield* tlsProxy(yield* ListeningBeanstalkd)
        const error = yield* failsWith(
          Effect.provide(serverId, NodeConnector.layerUrl(`beanstalks://localhost:${port}`)),
          "ConnectFailed"
        )
        assert.match(error.message, selfSigned)
        assert.isEmpty(names)
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("configuration", (it) => {
    it.scoped("layerEnv connects to the URL in BEANSTALKD_URL", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const environment = withEnvironment({ BEANSTALKD_URL: `beanstalk://127.0.0.1:${portOf(server)}` })
        assert.strictEqual(yield* environment(serverIdOn(NodeBeanstalk.layerConnectionEnv)), yield* idOf(server))
        assert.strictEqual(yield* environment(Effect.provide(serverId, NodeConnector.layerEnv)), yield* idOf(server))
      }))

    it.scoped("layerConfig connects to a URL of any name", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const connector = NodeConnector.layerConfig(Config.string("QUEUE"))
        const environment = withEnvironment({ QUEUE: `beanstalk://127.0.0.1:${portOf(server)}` })
        assert.strictEqual(yield* environment(Effect.provide(serverId, connector)), yield* idOf(server))
      }))

    it.scoped("options of the server and of the connection may come from Config", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const connection = NodeBeanstalk.layerConnectionConfig({
          host: Config.string("HOST"),
          port: Config.integer("PORT"),
          name: Config.string("NAME"),
          tube: Config.string("TUBE")
        })
        const variables = { HOST: "127.0.0.1", PORT: `${portOf(server)}`, NAME: "mailer", TUBE: "mails" }
        const seen = yield* BeanstalkConnection.BeanstalkConnection.pipe(
          Effect.flatMap((beanstalk) => Effect.map(beanstalk.listTubeUsed, (tube) => [beanstalk.name, String(tube)])),
          Effect.provide(connection),
          withEnvironment(variables)
        )
        assert.deepStrictEqual(seen, ["mailer", "mails"])
      }))

    it.scoped("options of a connection may come from Config whatever the connector is", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const connection = BeanstalkConnection.layerConfig({ tube: Config.string("TUBE") }).pipe(
          Layer.provide(connectorTo(server.target))
        )
        const used = BeanstalkConnection.BeanstalkConnection.pipe(
          Effect.flatMap((beanstalk) => beanstalk.listTubeUsed),
          Effect.provide(connection)
        )
        assert.strictEqual(String(yield* withEnvironment({ TUBE: "mails" })(used)), "mails")
        const missing = yield* Effect.flip(withEnvironment({})(used))
        assert.include(String(missing), "TUBE")
        const refused = yield* Effect.flip(withEnvironment({ TUBE: "-" })(used))
        assert.include(String(refused), "tube")
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("opening a connection", (it) => {
    it.scoped("uses and watches the tubes of its options, and no others, before anything else is sent", () =>
      Effect.gen(function*() {
        const [tube, one, two] = [yield* newTube, yield* newTube, yield* newTube]
        const beanstalk = yield* open({ tube, watch: [one, two] })
        const [used, watched] = yield* Effect.all([beanstalk.listTubeUsed, beanstalk.listTubesWatched])
        assert.strictEqual(String(used), tube)
        assert.sameMembers([...watched].map(String), [one, two])
      }))

    it.scoped("keeps watching the default tube if it is among the tubes to watch", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const beanstalk = yield* open({ watch: [tube, "default"] })
        assert.sameMembers([...yield* beanstalk.listTubesWatched].map(String), [tube, "default"])
      }))

    it.scoped("uses and watches the default tube by default", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open()
        assert.strictEqual(String(yield* beanstalk.listTubeUsed), "default")
        assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), ["default"])
      }))

    it.scoped("takes one round trip", () =>
      Effect.gen(function*() {
        const [tube, one, two] = [yield* newTube, yield* newTube, yield* newTube]
        const { lines } = yield* traced(open({ tube, watch: [one, two] }))
        const directions = lines.map((line) => line.slice(0, 1)).join("")
        assert.match(directions, /^>+<+$/)
      }))

    const impossible: ReadonlyArray<readonly [argument: string, options: BeanstalkConnection.Options]> = [
      ["tube", { tube: "a b" }],
      ["tube", { watch: ["default", "-"] }],
      ["watch", { watch: [] }],
      ["connectTimeout", { connectTimeout: 0 }],
      ["replyTimeout", { replyTimeout: -1 }],
      ["maxInFlight", { maxInFlight: 0 }],
      ["maxInFlight", { maxInFlight: 1.5 }],
      ["maxQueuedBytes", { maxQueuedBytes: Number.NaN }],
      ["maxBodySize", { maxBodySize: -1 }]
    ]
    for (const [argument, options] of impossible) {
      it.scoped(`refuses ${JSON.stringify(options)}, and opens nothing`, () =>
        Effect.gen(function*() {
          const beanstalk = yield* open()
          const { totalConnections } = yield* beanstalk.stats
          assert.strictEqual((yield* failsWith(open(options), "InvalidArgument")).argument, argument)
          assert.strictEqual((yield* beanstalk.stats).totalConnections, totalConnections)
        }))
    }

    it.scoped("reads the server's maximum job size, its version and its id", () =>
      Effect.gen(function*() {
        const beanstalk = yield* openTo(yield* kind.start({ maxJobSize: 12345 }))
        const { id, version } = yield* beanstalk.stats
        assert.deepStrictEqual(beanstalk.server, { id, version, maxJobSize: 12345 })
      }))

    it.scoped("fails for a job that is larger than its option allows, and closes", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const producer = yield* open({ tube })
        const id = yield* producer.put(new Uint8Array(1001))
        const beanstalk = yield* open({ watch: [tube], maxBodySize: 1000 })
        const error = yield* failsWith(beanstalk.reserve, "ProtocolViolation")
        assert.include(error.reply, "1000 bytes")
        yield* eventually(producer.statsJob(id), (job) => job.state === "ready")
      }))
  })
})
