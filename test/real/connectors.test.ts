/**
 * The ways to a real server: TCP, unix socket, TLS, URLs and configuration; and what happens where there is no way.
 */
import { assert, layer } from "@effect/vitest"
import { BeanstalkConnection, Connector } from "effect-beanstalk"
import { NodeBeanstalk, NodeConnector } from "effect-beanstalk/node"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import type * as Net from "node:net"
import { join } from "node:path"
import * as Tls from "node:tls"
import { Beanstalkd, type Server, startBeanstalkd, temporaryFolder } from "../support/beanstalkd.ts"
import { describeReal } from "../support/real.ts"
import { connectorTo, eventually, failsWith, interfere, listen, newTube, open, openTo, traced } from "./support.ts"

const fixture = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** Made for `localhost` and 127.0.0.1, and signed by itself. */
const certificate = fixture("cert.pem")

const key = fixture("key.pem")

/** What stunnel would be: TLS outside, the real server inside. Tells the name each client asked for. */
const tlsProxy = (server: Server) =>
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

/** The process id of the server at the other end, asked over a connection that is opened for it. */
const whoAnswers = BeanstalkConnection.make().pipe(
  Effect.flatMap((beanstalk) => beanstalk.stats),
  Effect.map((stats) => stats.pid),
  Effect.scoped
)

/** The same for a Layer that is a connection. */
const whoAnswersOn = <E>(connection: Layer.Layer<BeanstalkConnection.BeanstalkConnection, E>) =>
  BeanstalkConnection.BeanstalkConnection.pipe(
    Effect.flatMap((beanstalk) => beanstalk.stats),
    Effect.map((stats) => stats.pid),
    Effect.provide(connection)
  )

/** A port of this machine where nobody listens. */
const unusedPort = Effect.map(Effect.scoped(listen(() => {})), ({ port }) => port)

const portOf = (server: Server) => {
  assert("port" in server.target)
  return server.target.port
}

const withEnvironment = (variables: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

describeReal("connectors", () => {
  layer(Beanstalkd.layer(), { excludeTestServices: true })("TCP", (it) => {
    it.scoped("reaches a server by host and port", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const connector = NodeConnector.layer({ host: "127.0.0.1", port: portOf(server) })
        assert.strictEqual(yield* Effect.provide(whoAnswers, connector), server.pid)
      }))

    it.scoped("reaches a server by the name of its host", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const connection = NodeBeanstalk.layerConnection({ host: "localhost", port: portOf(server) })
        assert.strictEqual(yield* whoAnswersOn(connection), server.pid)
      }))

    it.scoped("reaches a server by an IPv6 address", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const connection = NodeBeanstalk.layerConnection({ host: "::ffff:127.0.0.1", port: portOf(server) })
        assert.strictEqual(yield* whoAnswersOn(connection), server.pid)
      }))

    it.scoped("goes to localhost and port 11300 unless told otherwise", () =>
      Effect.gen(function*() {
        const addresses = yield* Effect.forEach(
          [NodeConnector.layer(), NodeConnector.layer({ host: "queue" }), NodeConnector.layer({ port: 1 })],
          (connector) => Effect.provide(Effect.map(Connector.Connector, ({ address }) => address), connector)
        )
        assert.deepStrictEqual(addresses, ["localhost:11300", "queue:11300", "localhost:1"])
      }))

    it.scoped("an IPv6 address stands in brackets in messages", () =>
      Effect.gen(function*() {
        const port = yield* unusedPort
        const connection = NodeBeanstalk.layerConnection({ host: "::1", port })
        const error = yield* failsWith(whoAnswersOn(connection), "ConnectFailed")
        assert.strictEqual(error.address, `[::1]:${port}`)
        assert.include(error.message, `[::1]:${port}`)
      }))

    it.scoped("fails as Unreachable where nobody listens, and says so", () =>
      Effect.gen(function*() {
        const port = yield* unusedPort
        const error = yield* failsWith(openTo({ target: { host: "127.0.0.1", port } }), "ConnectFailed")
        assert.deepStrictEqual([error.reason, error.address], ["Unreachable", `127.0.0.1:${port}`])
        assert.include(error.message, "ECONNREFUSED")
      }))

    it.scoped("an empty host, or a path with a NUL, is Unreachable, and not some other place", () =>
      Effect.gen(function*() {
        for (const target of [{ host: "", port: 11300 }, { path: "" }, { path: "/run/b.sock\0other" }]) {
          const error = yield* failsWith(openTo({ target }), "ConnectFailed")
          assert.strictEqual(error.reason, "Unreachable")
          assert.include(error.message, "is empty, or contains a NUL")
        }
      }))

    it.scoped("fails as Unreachable for a port that cannot be: nothing has answered", () =>
      Effect.gen(function*() {
        const error = yield* failsWith(openTo({ target: { host: "127.0.0.1", port: 65536 } }), "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
      }))

    it.scoped("fails as TimedOut where somebody accepts, and says nothing", () =>
      Effect.gen(function*() {
        const target = yield* listen(() => {})
        const error = yield* failsWith(openTo({ target }, { connectTimeout: "1 second" }), "ConnectFailed")
        assert.strictEqual(error.reason, "TimedOut")
        assert.include(error.message, "accepted the connection")
      }))

    it.scoped("fails as TimedOut there as well when the reply timeout is the shorter one", () =>
      Effect.gen(function*() {
        const target = yield* listen(() => {})
        const error = yield* failsWith(openTo({ target }, { replyTimeout: "100 millis" }), "ConnectFailed")
        assert.strictEqual(error.reason, "TimedOut")
      }))

    it.scoped("fails as Handshake where something else than beanstalkd answers", () =>
      Effect.gen(function*() {
        const target = yield* listen((client) => void client.write("220 mail.example.org ESMTP\r\n"))
        const error = yield* failsWith(openTo({ target }), "ConnectFailed")
        assert.strictEqual(error.reason, "Handshake")
        assert.include(error.message, "220 mail.example.org ESMTP")
      }))

    it.scoped("fails as Handshake where the connection is closed at once", () =>
      Effect.gen(function*() {
        const target = yield* listen((client) => void client.destroy())
        const error = yield* failsWith(openTo({ target }), "ConnectFailed")
        assert.strictEqual(error.reason, "Handshake")
      }))
  })

  layer(Beanstalkd.layer({ unix: true }), { excludeTestServices: true })("unix sockets", (it) => {
    it.scoped("reach a server by path", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        assert("path" in server.target)
        const { path } = server.target
        assert.strictEqual(yield* Effect.provide(whoAnswers, NodeConnector.layerUnix({ path })), server.pid)
        assert.strictEqual(yield* whoAnswersOn(NodeBeanstalk.layerConnection({ path })), server.pid)
      }))

    it.scoped("carry jobs of every size like TCP does", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const beanstalk = yield* open({ tube, watch: [tube] })
        const bodies = [0, 1, 4096, 65535].map((size) => new Uint8Array(size).fill(13))
        yield* Effect.forEach(bodies, (body) => beanstalk.put(body), { concurrency: "unbounded" })
        const jobs = yield* Effect.replicateEffect(beanstalk.reserve, bodies.length)
        assert.deepStrictEqual(jobs.map((job) => Buffer.from(job.body)), bodies.map((body) => Buffer.from(body)))
      }))

    it.scoped("appear in messages as beanstalkd's own -l has them", () =>
      Effect.gen(function*() {
        const path = join(yield* temporaryFolder, "nobody.sock")
        const error = yield* failsWith(openTo({ target: { path } }), "ConnectFailed")
        assert.deepStrictEqual([error.reason, error.address], ["Unreachable", `unix:${path}`])
        assert.include(error.message, "ENOENT")
      }))
  })

  layer(Beanstalkd.layer(), { excludeTestServices: true })("TLS", (it) => {
    it.scoped("reaches a server behind a proxy whose certificate is trusted", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const { port } = yield* tlsProxy(server)
        const options = { host: "localhost", port, tls: { ca: certificate } }
        assert.strictEqual(yield* Effect.provide(whoAnswers, NodeConnector.layerTls(options)), server.pid)
        assert.strictEqual(yield* whoAnswersOn(NodeBeanstalk.layerConnection(options)), server.pid)
      }))

    it.scoped("carries jobs of every size like TCP does", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* Beanstalkd)
        const tube = yield* newTube
        const beanstalk = yield* BeanstalkConnection.make({ tube, watch: [tube] }).pipe(
          Effect.provide(NodeConnector.layerTls({ host: "127.0.0.1", port, tls: { ca: certificate } }))
        )
        const bodies = [0, 1, 4096, 65535].map((size) => new Uint8Array(size).fill(13))
        yield* Effect.forEach(bodies, (body) => beanstalk.put(body), { concurrency: "unbounded" })
        const jobs = yield* Effect.replicateEffect(beanstalk.reserve, bodies.length)
        assert.deepStrictEqual(jobs.map((job) => Buffer.from(job.body)), bodies.map((body) => Buffer.from(body)))
      }))

    it.scoped("asks for the host by name, and for another name when told so", () =>
      Effect.gen(function*() {
        const { names, port } = yield* tlsProxy(yield* Beanstalkd)
        const tls = { ca: certificate, checkServerIdentity: () => undefined }
        yield* Effect.provide(whoAnswers, NodeConnector.layerTls({ host: "localhost", port, tls }))
        yield* Effect.provide(
          whoAnswers,
          NodeConnector.layerTls({ host: "localhost", port, tls: { ...tls, servername: "queue.example.org" } })
        )
        yield* Effect.provide(whoAnswers, NodeConnector.layerTls({ host: "127.0.0.1", port, tls }))
        assert.deepStrictEqual(names, ["localhost", "queue.example.org", false])
      }))

    it.scoped("refuses a certificate that nobody vouches for", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* Beanstalkd)
        const error = yield* failsWith(
          Effect.provide(whoAnswers, NodeConnector.layerTls({ host: "localhost", port })),
          "ConnectFailed"
        )
        assert.strictEqual(error.reason, "Unreachable")
        assert.include(error.message, "self-signed certificate")
      }))

    it.scoped("refuses a certificate for another name", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* Beanstalkd)
        const options = { host: "localhost", port, tls: { ca: certificate, servername: "queue.example.org" } }
        const error = yield* failsWith(Effect.provide(whoAnswers, NodeConnector.layerTls(options)), "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
        assert.include(error.message, "queue.example.org")
      }))

    it.scoped("fails as Unreachable with a certificate of our own that is none: nothing has answered", () =>
      Effect.gen(function*() {
        const { port } = yield* tlsProxy(yield* Beanstalkd)
        const options = { host: "localhost", port, tls: { cert: "none", key } }
        const error = yield* failsWith(Effect.provide(whoAnswers, NodeConnector.layerTls(options)), "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
      }))

    it.scoped("fails where the server speaks no TLS", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const options = { host: "127.0.0.1", port: portOf(server), tls: { ca: certificate } }
        const error = yield* failsWith(
          BeanstalkConnection.make({ connectTimeout: "200 millis" }).pipe(
            Effect.provide(NodeConnector.layerTls(options))
          ),
          "ConnectFailed"
        )
        assert.include(["Unreachable", "TimedOut"], error.reason)
      }))

    it.scoped("gives jobs back when the proxy cuts the connection", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
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

  layer(Beanstalkd.layer(), { excludeTestServices: true })("URLs", (it) => {
    it.scoped("beanstalk://host:port is TCP", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const url = `beanstalk://127.0.0.1:${portOf(server)}`
        assert.strictEqual(yield* Effect.provide(whoAnswers, NodeConnector.layerUrl(url)), server.pid)
        assert.strictEqual(yield* whoAnswersOn(NodeBeanstalk.layerConnection({ url: `${url}/` })), server.pid)
      }))

    it.scoped("beanstalk://[address]:port is an IPv6 address", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const url = `beanstalk://[::ffff:127.0.0.1]:${portOf(server)}`
        assert.strictEqual(yield* Effect.provide(whoAnswers, NodeConnector.layerUrl(url)), server.pid)
      }))

    it.scoped("unix:/path is a unix socket, whatever the path has in it", () =>
      Effect.gen(function*() {
        const server = yield* startBeanstalkd({ unix: true })
        assert("path" in server.target)
        const url = `unix:${server.target.path}`
        assert.strictEqual(yield* Effect.provide(whoAnswers, NodeConnector.layerUrl(url)), server.pid)
        const escaped = url.replace("beanstalkd.sock", "%62eanstalkd.sock")
        assert.strictEqual(yield* Effect.provide(whoAnswers, NodeConnector.layerUrl(escaped)), server.pid)
      }))

    it.scoped("beanstalks://host:port is TLS, with the certificate verified", () =>
      Effect.gen(function*() {
        const { names, port } = yield* tlsProxy(yield* Beanstalkd)
        const error = yield* failsWith(
          Effect.provide(whoAnswers, NodeConnector.layerUrl(`beanstalks://localhost:${port}`)),
          "ConnectFailed"
        )
        assert.include(error.message, "self-signed certificate")
        assert.isEmpty(names)
      }))

    it.scoped("the port may be left out, and the host may have any letters", () =>
      Effect.gen(function*() {
        const urls = [
          "beanstalk://queue",
          "beanstalks://queue",
          "beanstalk://[::1]",
          "beanstalk://queue:80",
          "beanstalk://münchen:1",
          "unix:/a/b"
        ]
        const addresses = yield* Effect.forEach(
          urls,
          (url) =>
            Effect.provide(Effect.map(Connector.Connector, ({ address }) => address), NodeConnector.layerUrl(url))
        )
        assert.deepStrictEqual(addresses, [
          "queue:11300",
          "queue:11300",
          "[::1]:11300",
          "queue:80",
          "xn--mnchen-3ya:1",
          "unix:/a/b"
        ])
      }))

    const bad = [
      "",
      "localhost:11300",
      "127.0.0.1",
      "http://localhost:11300",
      "beanstalk:",
      "beanstalk://",
      "beanstalk://user:secret@localhost",
      "beanstalk://localhost/tube",
      "beanstalk://localhost?timeout=1",
      "beanstalk://localhost#tube",
      "beanstalk://localhost:65536",
      "beanstalk://local host",
      "unix:",
      "unix:/",
      "unix:/half%2",
      "unix://host/path"
    ]
    for (const url of bad) {
      it.scoped(`${JSON.stringify(url)} is refused, with what a URL must be like`, () =>
        Effect.gen(function*() {
          const error = yield* failsWith(
            whoAnswersOn(NodeBeanstalk.layerConnection({ url })),
            "InvalidArgument"
          )
          assert.deepStrictEqual([error.command, error.argument], ["connect", "url"])
          assert.include(error.message, "beanstalk://localhost:11300")
          assert.notInclude(error.message, "secret")
        }))
    }
  })

  layer(Beanstalkd.layer(), { excludeTestServices: true })("configuration", (it) => {
    it.scoped("BEANSTALKD_URL tells where the server is", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const environment = withEnvironment({ BEANSTALKD_URL: `beanstalk://127.0.0.1:${portOf(server)}` })
        assert.strictEqual(yield* environment(whoAnswersOn(NodeBeanstalk.layerConnectionEnv)), server.pid)
        assert.strictEqual(yield* environment(Effect.provide(whoAnswers, NodeConnector.layerEnv)), server.pid)
      }))

    it.scoped("without BEANSTALKD_URL, or with an empty one, there is no default", () =>
      Effect.gen(function*() {
        for (const variables of [{}, { BEANSTALKD_URL: "" }]) {
          const error = yield* Effect.flip(withEnvironment(variables)(whoAnswersOn(NodeBeanstalk.layerConnectionEnv)))
          assert.include(String(error), "BEANSTALKD_URL")
        }
      }))

    it.scoped("a BEANSTALKD_URL that is none is refused", () =>
      Effect.gen(function*() {
        const connecting = withEnvironment({ BEANSTALKD_URL: "localhost" })(
          whoAnswersOn(NodeBeanstalk.layerConnectionEnv)
        )
        assert.strictEqual((yield* Effect.flip(connecting))._tag, "InvalidArgument")
      }))

    it.scoped("any other name may hold the URL", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const connector = NodeConnector.layerConfig(Config.string("QUEUE"))
        const environment = withEnvironment({ QUEUE: `beanstalk://127.0.0.1:${portOf(server)}` })
        assert.strictEqual(yield* environment(Effect.provide(whoAnswers, connector)), server.pid)
      }))

    it.scoped("options of the server and of the connection may come from Config", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
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
        const server = yield* Beanstalkd
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

  layer(Beanstalkd.layer(), { excludeTestServices: true })("opening a connection", (it) => {
    it.scoped("uses and watches what it is told, and nothing else, before anything else is sent", () =>
      Effect.gen(function*() {
        const [tube, one, two] = [yield* newTube, yield* newTube, yield* newTube]
        const beanstalk = yield* open({ tube, watch: [one, two] })
        const [used, watched] = yield* Effect.all([beanstalk.listTubeUsed, beanstalk.listTubesWatched])
        assert.strictEqual(String(used), tube)
        assert.sameMembers([...watched].map(String), [one, two])
      }))

    it.scoped("keeps the default tube if it is named among those to watch", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const beanstalk = yield* open({ watch: [tube, "default"] })
        assert.sameMembers([...yield* beanstalk.listTubesWatched].map(String), [tube, "default"])
      }))

    it.scoped("uses and watches the default tube unless told otherwise", () =>
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

    it.scoped("learns the server's limit for bodies, its version and its id", () =>
      Effect.gen(function*() {
        const beanstalk = yield* openTo(yield* startBeanstalkd({ args: ["-z", "12345"] }))
        const { id, version } = yield* beanstalk.stats
        assert.deepStrictEqual(beanstalk.server, { id, version, maxJobSize: 12345 })
      }))

    it.scoped("closes the socket of an attempt that failed", () =>
      Effect.gen(function*() {
        const sockets: Array<Net.Socket> = []
        const target = yield* listen((client) => {
          sockets.push(client.resume())
          client.write("nonsense\r\n")
        })
        yield* failsWith(openTo({ target }), "ConnectFailed")
        yield* eventually(Effect.sync(() => sockets.filter((socket) => !socket.destroyed).length), (left) => left === 0)
        assert.strictEqual(sockets.length, 1)
      }))

    it.scoped("refuses a job that is larger than it was told to accept, and closes", () =>
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
