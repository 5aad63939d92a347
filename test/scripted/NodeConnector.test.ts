/**
 * What connectors are, and what happens where there is no way to a server.
 */
import type * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection, Connector } from "effect-beanstalk"
import { NodeBeanstalk, NodeConnector } from "effect-beanstalk/node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Net from "node:net"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { connectorTo, eventually, failsWith, listen, openTo } from "../support/connections.ts"

const opened = <E>(connection: Layer.Layer<BeanstalkConnection.BeanstalkConnection, E>) =>
  Effect.provide(BeanstalkConnection.BeanstalkConnection, connection)

/** A port of this machine where nobody listens. */
const unusedPort = Effect.map(Effect.scoped(listen(() => {})), ({ port }) => port)

const withEnvironment = (variables: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

describe("TCP", () => {
  it.scopedLive("goes to localhost and port 11300 unless told otherwise", () =>
    Effect.gen(function*() {
      const addresses = yield* Effect.forEach(
        [NodeConnector.layer(), NodeConnector.layer({ host: "queue" }), NodeConnector.layer({ port: 1 })],
        (connector) => Effect.provide(Effect.map(Connector.Connector, ({ address }) => address), connector)
      )
      assert.deepStrictEqual(addresses, ["localhost:11300", "queue:11300", "localhost:1"])
    }))

  it.scopedLive("an IPv6 address stands in brackets in messages", () =>
    Effect.gen(function*() {
      const port = yield* unusedPort
      const connection = NodeBeanstalk.layerConnection({ host: "::1", port })
      const error = yield* failsWith(opened(connection), "ConnectFailed")
      assert.strictEqual(error.address, `[::1]:${port}`)
      assert.include(error.message, `[::1]:${port}`)
    }))

  it.scopedLive("fails as Unreachable where nobody listens, and says so", () =>
    Effect.gen(function*() {
      const port = yield* unusedPort
      const error = yield* failsWith(openTo({ target: { host: "127.0.0.1", port } }), "ConnectFailed")
      assert.deepStrictEqual([error.reason, error.address], ["Unreachable", `127.0.0.1:${port}`])
      assert.include(error.message, "ECONNREFUSED")
    }))

  it.scopedLive("an empty host, or a path with a NUL, is Unreachable, and not some other place", () =>
    Effect.gen(function*() {
      for (const target of [{ host: "", port: 11300 }, { path: "" }, { path: "/run/b.sock\0other" }]) {
        const error = yield* failsWith(openTo({ target }), "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
        assert.include(error.message, "is empty, or contains a NUL")
      }
    }))

  it.scopedLive("fails as Unreachable for a port that cannot be: nothing has answered", () =>
    Effect.gen(function*() {
      const error = yield* failsWith(openTo({ target: { host: "127.0.0.1", port: 65536 } }), "ConnectFailed")
      assert.strictEqual(error.reason, "Unreachable")
    }))

  it.scopedLive("fails as TimedOut where somebody accepts, and says nothing", () =>
    Effect.gen(function*() {
      const target = yield* listen(() => {})
      const error = yield* failsWith(openTo({ target }, { connectTimeout: "1 second" }), "ConnectFailed")
      assert.strictEqual(error.reason, "TimedOut")
      assert.include(error.message, "accepted the connection")
    }))

  it.scopedLive("fails as TimedOut there as well when the reply timeout is the shorter one", () =>
    Effect.gen(function*() {
      const target = yield* listen(() => {})
      const error = yield* failsWith(openTo({ target }, { replyTimeout: "100 millis" }), "ConnectFailed")
      assert.strictEqual(error.reason, "TimedOut")
    }))

  it.scopedLive("fails as Handshake where something else than beanstalkd answers", () =>
    Effect.gen(function*() {
      const target = yield* listen((client) => void client.write("220 mail.example.org ESMTP\r\n"))
      const error = yield* failsWith(openTo({ target }), "ConnectFailed")
      assert.strictEqual(error.reason, "Handshake")
      assert.include(error.message, "220 mail.example.org ESMTP")
    }))

  it.scopedLive("fails as Handshake where the connection is closed at once", () =>
    Effect.gen(function*() {
      const target = yield* listen((client) => void client.destroy())
      const error = yield* failsWith(openTo({ target }), "ConnectFailed")
      assert.strictEqual(error.reason, "Handshake")
    }))
})

describe("unix sockets", () => {
  it.scopedLive("appear in messages as beanstalkd's own -l has them", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "nobody.sock")
      const error = yield* failsWith(openTo({ target: { path } }), "ConnectFailed")
      assert.deepStrictEqual([error.reason, error.address], ["Unreachable", `unix:${path}`])
      assert.include(error.message, "ENOENT")
    }))
})

describe("URLs", () => {
  it.scopedLive("the port may be left out, and the host may have any letters", () =>
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
        (url) => Effect.provide(Effect.map(Connector.Connector, ({ address }) => address), NodeConnector.layerUrl(url))
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
    it.scopedLive(`${JSON.stringify(url)} is refused, with what a URL must be like`, () =>
      Effect.gen(function*() {
        const error = yield* failsWith(
          opened(NodeBeanstalk.layerConnection({ url })),
          "InvalidArgument"
        )
        assert.deepStrictEqual([error.command, error.argument], ["connect", "url"])
        assert.include(error.message, "beanstalk://localhost:11300")
        assert.notInclude(error.message, "secret")
      }))
  }
})

describe("configuration", () => {
  it.scopedLive("without BEANSTALKD_URL, or with an empty one, there is no default", () =>
    Effect.gen(function*() {
      for (const variables of [{}, { BEANSTALKD_URL: "" }]) {
        const error = yield* Effect.flip(withEnvironment(variables)(opened(NodeBeanstalk.layerConnectionEnv)))
        assert.include(String(error), "BEANSTALKD_URL")
      }
    }))

  it.scopedLive("a BEANSTALKD_URL that is none is refused", () =>
    Effect.gen(function*() {
      const connecting = withEnvironment({ BEANSTALKD_URL: "localhost" })(
        opened(NodeBeanstalk.layerConnectionEnv)
      )
      assert.strictEqual((yield* Effect.flip(connecting))._tag, "InvalidArgument")
    }))
})

describe("opening a connection", () => {
  it.scopedLive("closes the socket of an attempt that failed", () =>
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
})

type RunOptions = Parameters<Socket.Socket["run"]>[1]

describe("what has been read", () => {
  it.scopedLive("stays as it is when more is read", () =>
    Effect.gen(function*() {
      const pieces: Array<Uint8Array> = []
      const target = yield* listen((client) => {
        client.on("data", (asked) => client.write(asked.toString().repeat(1000)))
        client.write("1".repeat(1000))
      })
      const { socket } = yield* Effect.provide(Connector.Connector, connectorTo(target))
      const { run, writer } = yield* socket
      const write = yield* writer
      yield* Effect.forkScoped(run((piece) => void pieces.push(piece)))
      const readAll = (bytes: number) =>
        eventually(Effect.sync(() => Buffer.concat(pieces).length), (length) => length === bytes)
      yield* readAll(1000)
      yield* write("2")
      yield* readAll(2000)
      assert.strictEqual(Buffer.concat(pieces).toString(), "1".repeat(1000) + "2".repeat(1000))
    }))

  it.scopedLive("is seen by whoever has put another way to read in the place of a socket's own", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const target = yield* listen((client) => client.on("data", () => client.write("UNKNOWN_COMMAND\r\n")))
      const connector = Layer.map(connectorTo(target), (context) => {
        const { address, socket } = Context.get(context, Connector.Connector)
        const listening = Effect.map(socket, (socket) => ({
          ...socket,
          run: <A, E, R>(handler: (piece: Uint8Array) => Effect.Effect<A, E, R> | void, options?: RunOptions) =>
            socket.run((piece) => {
              seen.push(Buffer.from(piece).toString())
              return handler(piece)
            }, options)
        }))
        return Context.make(Connector.Connector, { address, socket: listening })
      })
      yield* Effect.exit(Effect.provide(BeanstalkConnection.make(), connector))
      assert.match(seen.join(""), /^UNKNOWN_COMMAND\r\n/)
    }))

  it.scopedLive("is no more shown to a session that is over, but to whoever reads then", () =>
    Effect.gen(function*() {
      const target = yield* listen((client) => client.on("data", () => client.write("UNKNOWN_COMMAND\r\n")))
      const { address, socket } = yield* Effect.provide(Connector.Connector, connectorTo(target))
      const one = yield* socket
      const again = Effect.succeed(one)
      yield* Effect.provideService(Effect.exit(BeanstalkConnection.make()), Connector.Connector, {
        address,
        socket: again
      })
        .pipe(Effect.scoped)
      const pieces: Array<Uint8Array> = []
      const write = yield* one.writer
      yield* Effect.forkScoped(one.run((piece) => void pieces.push(piece)))
      yield* write("stats\r\n")
      yield* eventually(Effect.sync(() => pieces.length), (pieces) => pieces === 1)
    }))
})
