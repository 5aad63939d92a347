/** The embedded server on ports and unix sockets of this machine. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection, type EmbeddedServer } from "effect-beanstalk"
import { NodeConnector, NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { inspect } from "node:util"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { Caller } from "../support/caller.ts"
import { eventually, failsWith } from "../support/connections.ts"

const kinds = [{ kind: "TCP port" }, { kind: "unix socket" }] as const

/** A server that listens on a free port or a new socket. */
const listen = (kind: "TCP port" | "unix socket", options?: EmbeddedServer.Options) =>
  kind === "TCP port"
    ? NodeEmbeddedServer.listen({ ...options })
    : Effect.flatMap(
      temporaryFolder,
      (folder) => NodeEmbeddedServer.listen({ ...options, path: join(folder, "beanstalkd.sock") })
    )

const connect = (url: string) => Effect.provide(BeanstalkConnection.make(), NodeConnector.layerUrl(url))

/** How many sockets this process has, without listening ones. */
const countSockets = () =>
  process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap" || name === "PipeWrap").length

/** Those that exist before any test. */
const foreign = countSockets()

const sockets = Effect.sync(countSockets)

const connections = (server: NodeEmbeddedServer.Listening) =>
  Effect.map(server.connections, (connections) => connections.length)

describe("the url of a unix socket", () => {
  it.scopedLive.each(["100%", "%41", "a#b", "a?b=c", "a b", "ü", "a+b&c;d@e:f", "[x]", "\\"])(
    "leads to a path with %s",
    (name) =>
      Effect.gen(function*() {
        const path = join(yield* temporaryFolder, name)
        for (const given of [path, `//${path}`]) {
          const server = yield* NodeEmbeddedServer.listen({ path: given })
          const beanstalk = yield* connect(server.url)
          assert.strictEqual(yield* beanstalk.put("x"), "1")
          yield* beanstalk.quit
        }
      }).pipe(Effect.scoped)
  )
})

describe.each(kinds)("a server that listens on a $kind", ({ kind }) => {
  it.scopedLive("serves clients at its url", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind, { maxJobSize: 100_000, version: "1.12" })
      assert.match(server.url, kind === "TCP port" ? /^beanstalk:\/\/127\.0\.0\.1:\d+$/ : /^unix:\/.*beanstalkd\.sock$/)
      const [producer, worker] = yield* Effect.all([connect(server.url), connect(server.url)])
      const body = new Uint8Array(100_000).fill(7)
      const id = yield* producer.put(body)
      assert.deepStrictEqual((yield* worker.reserve).body, body)
      assert.deepStrictEqual((yield* server.connections).map(({ holds }) => holds), [[], [id]])
      assert.strictEqual((yield* producer.stats).version, "1.12")
      yield* worker.quit
      yield* eventually(connections(server), (count) => count === 1)
      assert.deepStrictEqual((yield* server.journal).map(({ event }) => event), ["put", "reserved", "given-back"])
    }))

  it.scopedLive("answers all commands that were sent before a half-close, and then closes", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind)
      const caller = yield* Caller.open(server.url)
      yield* caller.send(`${"list-tube-used\r\n".repeat(1000)}reserve\r\nput 0 0 1 1\r\nx\r\nreserve\r\n`)
      yield* caller.halfClose
      yield* caller.ended
      assert.strictEqual(
        caller.received,
        `${"USING default\r\n".repeat(1000)}TIMED_OUT\r\nINSERTED 1\r\nRESERVED 1 1\r\nx\r\n`
      )
      assert.isUndefined(caller.error)
      assert.deepStrictEqual((yield* server.journal).map(({ event }) => event), ["put", "reserved", "given-back"])
    }))

  it.scopedLive("gives back the jobs of a connection that was reset, and executes no more of its commands", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind)
      const observer = yield* connect(server.url)
      yield* observer.put("x")
      yield* observer.put("y", { tube: "other" })
      const caller = yield* Caller.open(server.url)
      yield* caller.send("reserve\r\nreserve\r\ndelete 2\r\n")
      yield* eventually(observer.stats, (stats) => stats.currentWaiting === 1)
      yield* kind === "TCP port" ? caller.reset : Effect.sync(() => caller.socket.destroy())
      yield* eventually(observer.stats, (stats) => stats.currentConnections === 1)
      const { currentJobsReady, currentWaiting, currentWorkers } = yield* observer.stats
      // A unix socket cannot be reset: the commands that were received with the reserve are executed.
      assert.deepStrictEqual([currentJobsReady, currentWaiting, currentWorkers], [kind === "TCP port" ? 2 : 1, 0, 0])
    }))

  it.scopedLive("closes on quit, after the replies to all commands before it", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind)
      const caller = yield* Caller.open(server.url)
      yield* caller.send("list-tube-used\r\nquit\r\nlist-tube-used\r\n")
      yield* caller.ended
      assert.strictEqual(caller.received, "USING default\r\n")
    }))

  it.scopedLive("stops reading while its replies are not read, and continues when they are", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind)
      const [caller, healthy] = yield* Effect.all([Caller.open(server.url), connect(server.url)])
      const body = "x".repeat(60_000)
      yield* healthy.put(body)
      const before = process.memoryUsage().arrayBuffers
      caller.socket.pause()
      // Its replies would be 24 GB.
      yield* caller.send("peek 1\r\n".repeat(400_000))
      yield* Effect.repeatN(healthy.stats, 200)
      const grown = process.memoryUsage().arrayBuffers - before
      assert.isBelow(grown, 24 * 2 ** 20)
      const reply = `FOUND 1 60000\r\n${body}\r\n`
      caller.socket.resume()
      for (let i = 0; i < 100; i++) assert.strictEqual(yield* caller.take(reply.length), reply)
    }))

  it.scopedLive("does not keep in memory what is sent after a reserve", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind)
      const [caller, healthy] = yield* Effect.all([Caller.open(server.url), connect(server.url)])
      const size = 24 * 2 ** 20
      yield* caller.send("reserve\r\n")
      yield* caller.send(new Uint8Array(size))
      yield* Effect.repeatN(healthy.stats, 200)
      // Some of it is in buffers of the kernel, and little in the memory of the server.
      assert.isAbove(caller.socket.writableLength, size / 4)
    }))

  it.scopedLive("continues reading when the reserve is answered, and loses nothing", () =>
    Effect.gen(function*() {
      const server = yield* listen(kind)
      const [caller, healthy] = yield* Effect.all([Caller.open(server.url), connect(server.url)])
      const count = 100_000
      yield* caller.send(`reserve\r\n${"touch 9\r\n".repeat(count)}`)
      yield* eventually(healthy.stats, (stats) => stats.currentWaiting === 1)
      yield* healthy.put("x")
      const reply = `RESERVED 1 1\r\nx\r\n${"NOT_FOUND\r\n".repeat(count)}`
      assert.strictEqual(yield* caller.take(reply.length), reply)
    }))

  it.live("resets all connections at the end of its scope, and leaves no socket", () =>
    Effect.gen(function*() {
      yield* eventually(sockets, (count) => count === foreign)
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(listen(kind), scope)
      const callers = yield* Effect.replicateEffect(Caller.open(server.url), 5)
      yield* callers[0]!.send("reserve\r\n")
      yield* callers[1]!.request("list-tube-used")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.forEach(callers, (caller) => caller.ended)
      const open = Effect.sync(() => callers.filter(({ isClosed }) => !isClosed).length)
      yield* eventually(Effect.zip(sockets, open), ([count, open]) => count === foreign + open)
    }).pipe(Effect.scoped))
})

describe("NodeEmbeddedServer.listen", () => {
  it.live("does not wait at the end of its scope for clients that do not read its last replies", () =>
    Effect.gen(function*() {
      yield* eventually(sockets, (count) => count === foreign)
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(listen("unix socket"), scope)
      const healthy = yield* Caller.open(server.url)
      yield* healthy.request(`put 0 0 60 7000\r\n${"x".repeat(7000)}`)
      const callers = yield* Effect.replicateEffect(Caller.open(server.url), 60)
      for (const { socket } of callers) socket.pause()
      // Each client requests one reply more than the one before, so that for some only the last reply is not in the kernel's buffers.
      for (let i = 0; i < callers.length; i++) {
        yield* Effect.forEach(callers.slice(i), (caller) => caller.send("peek 1\r\n"))
        yield* healthy.request("list-tube-used")
      }
      yield* Effect.forEach(callers, (caller) => caller.send("quit\r\n"))
      yield* Effect.repeatN(healthy.request("list-tube-used"), 10)
      yield* Scope.close(scope, Exit.void)
      yield* healthy.ended
      const open = Effect.sync(() => [healthy, ...callers].filter(({ isClosed }) => !isClosed).length)
      yield* eventually(Effect.zip(sockets, open), ([count, open]) => count === foreign + open)
    }).pipe(Effect.scoped))

  it.scopedLive("replaces the socket file of a server that was killed", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "beanstalkd.sock")
      // A server that is killed leaves its socket file.
      const bind = `require("net").createServer().listen("${path}", () => process.kill(process.pid, "SIGKILL"))`
      spawnSync(process.execPath, ["-e", bind])
      assert.isTrue(statSync(path).isSocket())
      const server = yield* NodeEmbeddedServer.listen({ path })
      const beanstalk = yield* connect(server.url)
      assert.strictEqual(yield* beanstalk.listTubeUsed, "default")
    }))

  it.scopedLive("does not replace a file that is not a socket", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "precious.txt")
      writeFileSync(path, "precious")
      const error = yield* Effect.flip(NodeEmbeddedServer.listen({ path }))
      assert.strictEqual(error.reason, "Open")
      assert.strictEqual(readFileSync(path, "utf8"), "precious")
    }))

  it.scopedLive("chooses a free port for each server", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([NodeEmbeddedServer.listen(), NodeEmbeddedServer.listen({ port: 0 })])
      assert.notStrictEqual(one.url, other.url)
      yield* Effect.flatMap(connect(one.url), (beanstalk) => beanstalk.put("x"))
      assert.strictEqual((yield* one.journal).length, 1)
      assert.strictEqual((yield* Effect.flatMap(connect(other.url), ({ stats }) => stats)).totalJobs, 0)
    }))

  it.scopedLive("listens on loopback only when the address is empty", () =>
    Effect.gen(function*() {
      const server = yield* NodeEmbeddedServer.listen({ host: "" })
      assert.strictEqual(new URL(server.url).hostname, "127.0.0.1")
    }))

  it.scopedLive("writes an IPv6 address in brackets in its url", () =>
    Effect.gen(function*() {
      const server = yield* NodeEmbeddedServer.listen({ host: "::1" })
      assert.match(server.url, /^beanstalk:\/\/\[::1\]:\d+$/)
      assert.strictEqual((yield* Effect.flatMap(connect(server.url), ({ stats }) => stats)).totalJobs, 0)
    }))

  it.scopedLive("fails with SocketServerError when the port is taken", () =>
    Effect.gen(function*() {
      const { url } = yield* NodeEmbeddedServer.listen()
      const error = yield* failsWith(
        NodeEmbeddedServer.listen({ port: Number(new URL(url).port) }),
        "SocketServerError"
      )
      assert.strictEqual(error.reason, "Open")
      assert.include(String(error.cause), "EADDRINUSE")
    }))

  it.scopedLive.each([{ port: 65_536 }, { port: -1 }, { port: 1.5 }])(
    "fails with SocketServerError when the port is $port",
    ({ port }) =>
      Effect.gen(function*() {
        const error = yield* failsWith(NodeEmbeddedServer.listen({ port }), "SocketServerError")
        assert.include(String(error.cause), "port")
      })
  )

  it.scopedLive.each([
    { path: "/no/such/folder/x.sock", why: "listen" },
    { path: "/dev/null/x.sock", why: "ENOTDIR" },
    { path: `/${"x".repeat(300)}`, why: "ENAMETOOLONG" },
    { path: "x\0.sock", why: "null bytes" },
    { path: "", why: "ERR_INVALID_ARG_VALUE" }
  ])("fails with SocketServerError when the path is invalid: $why", ({ path, why }) =>
    Effect.gen(function*() {
      const error = yield* failsWith(NodeEmbeddedServer.listen({ path }), "SocketServerError")
      assert.strictEqual(error.reason, "Open")
      assert.include(inspect(error.cause), why)
    }))

  it.scopedLive("releases the port and the path at the end of its scope", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "x.sock")
      const first = yield* Effect.scoped(NodeEmbeddedServer.listen())
      const port = Number(new URL(first.url).port)
      yield* Effect.scoped(NodeEmbeddedServer.listen({ path }))
      assert.isFalse(existsSync(path))
      const again = yield* NodeEmbeddedServer.listen({ port })
      assert.strictEqual(again.url, first.url)
      yield* NodeEmbeddedServer.listen({ path })
    }))

  it.scopedLive("has the same faults as the server in memory", () =>
    Effect.gen(function*() {
      const server = yield* NodeEmbeddedServer.listen()
      const beanstalk = yield* connect(server.url)
      yield* server.inject({ _tag: "Chunks", bytes: 1 })
      yield* beanstalk.put("x")
      yield* server.inject({ _tag: "Cut" })
      yield* failsWith(beanstalk.stats, "ConnectionLost")
      yield* server.inject({ _tag: "Refuse" })
      const caller = yield* Caller.open(server.url)
      yield* caller.closed
      assert.strictEqual(caller.received, "")
      yield* server.heal
      yield* connect(server.url)
    }))

  it.scopedLive("ignores connections on which nothing is sent", () =>
    Effect.gen(function*() {
      const server = yield* NodeEmbeddedServer.listen()
      const { port } = new URL(server.url)
      const socket = Net.connect(Number(port), "127.0.0.1")
      yield* eventually(connections(server), (count) => count === 1)
      socket.destroy()
      yield* eventually(connections(server), (count) => count === 0)
    }))
})
