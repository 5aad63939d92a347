/** The proxy that stands for a bad network, seen from both ends of its connections. */
import { assert, describe, it } from "@effect/vitest"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import * as TestServices from "effect/TestServices"
import * as Net from "node:net"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { eventually, listen, openTo } from "../support/connections.ts"
import * as Scripted from "../support/scripted.ts"
import { type Listening, targetOf } from "../support/server.ts"

/** One end of a connection, and what it has received. */
class End {
  readonly chunks: Array<Buffer> = []
  /** How it ended: `FIN`, or the code of an error. */
  ending: string | undefined
  readonly socket: Net.Socket

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.allowHalfOpen = true
    socket.on("data", (chunk) => this.chunks.push(chunk))
    socket.on("end", () => this.ending ??= "FIN")
    socket.on("error", (error: NodeJS.ErrnoException) => this.ending ??= error.code)
  }

  get heard(): string {
    return Buffer.concat(this.chunks).toString()
  }

  say(text: string) {
    return Effect.sync(() => void this.socket.write(text))
  }

  hears(text: string) {
    return eventually(Effect.sync(() => this.heard), (heard) => heard === text)
  }

  ends(ending: string) {
    return eventually(Effect.sync(() => this.ending), (seen) => seen === ending)
  }
}

const nameOf = { FIN: "FIN", RST: "ECONNRESET" }

/** Sends back what it receives. */
const echo = (end: End) => end.socket.on("data", (chunk) => end.socket.write(chunk))

/** A proxy in front of a server, and the ends of the connections that the server has. */
const setUp = (options?: ChaosProxy.Options, serve: (end: End) => void = echo) =>
  Effect.gen(function*() {
    const servers: Array<End> = []
    const upstreams: Array<Net.Socket> = []
    const address = yield* listen((socket) => {
      const end = new End(socket)
      servers.push(end)
      serve(end)
    }, { make: (onConnection) => Net.createServer({ allowHalfOpen: true }, onConnection) })
    const connect = () => {
      const upstream = Net.connect(address)
      upstreams.push(upstream)
      return upstream
    }
    return { proxy: yield* ChaosProxy.make({ connect }, options), servers, upstreams }
  })

const connect = (server: Pick<Listening, "connect">) =>
  Effect.acquireRelease(
    Effect.sync(() => new End(server.connect())),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** The two ends of a connection through the proxy. */
const connectBoth = ({ proxy, servers }: Effect.Effect.Success<ReturnType<typeof setUp>>) =>
  Effect.gen(function*() {
    const client = yield* connect(proxy)
    const before = servers.length
    const server = yield* eventually(Effect.sync(() => servers.at(before)), (end) => end !== undefined)
    return { client, server: server ?? (yield* Effect.dieMessage("nobody")) }
  })

const last = (proxy: ChaosProxy.ChaosProxy) =>
  Effect.flatMap(proxy.connections, (all) => Effect.orDie(Effect.fromNullable(all.at(-1))))

/** In milliseconds. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, () => performance.now() - start)
  })

const roundTrip = (client: End, text = "x") =>
  Effect.suspend(() => {
    const heard = client.heard
    return Effect.zipRight(client.say(text), client.hears(heard + text))
  })

const letters = (count: number) =>
  Array.from({ length: count }, (_, i) => String.fromCharCode(97 + i * 7 % 26)).join("")

describe("without conditions", () => {
  it.scopedLive.each(["client", "server"] as const)(
    "passes bytes and FINs of each direction; the %s's FIN first",
    (first) =>
      Effect.gen(function*() {
        const { client, server } = yield* connectBoth(yield* setUp({}, () => {}))
        const [one, other] = first === "client" ? [client, server] : [server, client]
        yield* Effect.zipRight(other.say("hello"), one.hears("hello"))
        one.socket.end("and goodbye")
        yield* Effect.zipRight(other.hears("and goodbye"), other.ends("FIN"))
        yield* Effect.zipRight(other.say(", you too"), one.hears("hello, you too"))
        assert.isUndefined(one.ending)
        other.socket.end()
        yield* one.ends("FIN")
      })
  )

  it.scopedLive("passes resets from both sides", () =>
    Effect.gen(function*() {
      const made = yield* setUp()
      const one = yield* connectBoth(made)
      one.client.socket.resetAndDestroy()
      yield* one.server.ends("ECONNRESET")
      const other = yield* connectBoth(made)
      other.server.socket.resetAndDestroy()
      yield* other.client.ends("ECONNRESET")
    }))

  it.scopedLive("resets the client if no server listens", () =>
    Effect.gen(function*() {
      const nobody = yield* Effect.scoped(listen(() => {}))
      const proxy = yield* ChaosProxy.make({ connect: () => Net.connect(nobody) })
      yield* (yield* connect(proxy)).ends("ECONNRESET")
    }))

  it.scopedLive("closes its port with the scope", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* Effect.scoped(Effect.gen(function*() {
        const made = yield* setUp()
        // This connection ends after the proxy.
        const client = new End(made.proxy.connect())
        yield* roundTrip(client)
        return { client, proxy: made.proxy }
      }))
      yield* client.ends("FIN")
      client.socket.destroy()
      yield* (yield* connect(proxy)).ends("ECONNREFUSED")
    }))

  it.scopedLive("passes 100 MB, and does not buffer them for a client that does not read", () =>
    Effect.gen(function*() {
      const piece = Buffer.alloc(1024 * 1024, "x")
      const size = 100 * piece.length
      const made = yield* setUp({}, ({ socket }) => {
        let left = 100
        const more = () => {
          while (left > 0) {
            left -= 1
            if (!socket.write(piece)) return
          }
          socket.end()
        }
        socket.on("drain", more)
        more()
      })
      const socket = made.proxy.connect()
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
      let received = 0
      yield* eventually(Effect.sync(() => made.upstreams[0]?.isPaused()), (isPaused) => isPaused === true)
      assert.isBelow((yield* last(made.proxy)).toClient.passed, size / 2)
      socket.on("data", (chunk) => received += chunk.length)
      yield* eventually(Effect.sync(() => socket.readableEnded), (ended) => ended)
      assert.strictEqual(received, size)
    }))
})

describe("latency", () => {
  it.scopedLive("delays a round trip twice, and one direction once", () =>
    Effect.gen(function*() {
      const made = yield* setUp({ latency: "30 millis" })
      const { client } = yield* connectBoth(made)
      assert.isAtLeast(yield* timed(roundTrip(client)), 60)
      yield* made.proxy.heal
      yield* made.proxy.set({ latency: "40 millis" }, "toClient")
      assert.isAtLeast(yield* timed(roundTrip(client)), 40)
    }))

  it.scopedLive("delays many bytes at the same time", () =>
    Effect.gen(function*() {
      const made = yield* setUp()
      // Each byte comes back as a piece of its own.
      yield* made.proxy.set({ chunk: 1 }, "toServer")
      yield* made.proxy.set({ latency: "500 millis" }, "toClient")
      const { client, server } = yield* connectBoth(made)
      const took = yield* timed(roundTrip(client, letters(100)))
      assert.isAbove(server.chunks.length, 50)
      assert.isBelow(took, 50 * 500 / 2)
    }))

  it.scopedLive("keeps bytes in order when it gets shorter", () =>
    Effect.gen(function*() {
      const made = yield* setUp({ latency: "100 millis", record: true })
      const { client, server } = yield* connectBoth(made)
      yield* client.say("slow")
      yield* eventually(last(made.proxy), ({ toServer }) => toServer.seen.toString() === "slow")
      yield* made.proxy.heal
      yield* client.say("fast")
      yield* server.hears("slowfast")
    }))

  it.scoped("is real under a TestClock", () =>
    Effect.gen(function*() {
      const { proxy } = yield* setUp({ latency: "30 millis" })
      const client = yield* connect(proxy)
      assert.isAtLeast(yield* timed(TestServices.provideLive(roundTrip(client))), 60)
    }))

  it.scopedLive("has jitter from the seed", () =>
    Effect.gen(function*() {
      // The first numbers of this seed are unusually high: 0.95 and more each.
      const made = yield* setUp({ seed: 1622 })
      yield* made.proxy.set({ jitter: "40 millis" }, "toServer")
      const { client } = yield* connectBoth(made)
      assert.isAtLeast(yield* timed(Effect.replicateEffect(roundTrip(client), 3)), 3 * 0.9 * 40)
    }))
})

const ways: ReadonlyArray<ChaosProxy.Way> = ["toServer", "toClient"]

const endings: ReadonlyArray<ChaosProxy.Ending> = ["FIN", "RST"]

const cuts = ways.flatMap((way) => endings.flatMap((ending) => [0, 1, 37].map((bytes) => ({ way, ending, bytes }))))

describe("a cut", () => {
  it.scopedLive.each(cuts)(
    "after $bytes bytes $way ends every connection with a $ending",
    ({ bytes, ending, way }) =>
      Effect.gen(function*() {
        const made = yield* setUp()
        yield* made.proxy.set({ cutAfter: { bytes, ending } }, way)
        for (const text of [letters(100), letters(37)]) {
          const { client, server } = yield* connectBoth(made)
          yield* client.say(text)
          yield* client.ends(nameOf[ending])
          yield* server.ends(nameOf[ending])
          const end = way === "toServer" ? server : client
          assert.strictEqual(end.heard, text.slice(0, bytes))
          const connection = yield* last(made.proxy)
          assert.deepStrictEqual([connection[way].passed, connection.isOpen], [bytes, false])
        }
      })
  )

  it.scopedLive("ends an open connection at once if more bytes have passed", () =>
    Effect.gen(function*() {
      const made = yield* setUp()
      const { client, server } = yield* connectBoth(made)
      yield* roundTrip(client, "hello")
      yield* made.proxy.set({ cutAfter: { bytes: 6, ending: "RST" } })
      assert.isTrue((yield* last(made.proxy)).isOpen)
      yield* made.proxy.set({ cutAfter: { bytes: 4, ending: "RST" } })
      yield* client.ends("ECONNRESET")
      yield* server.ends("ECONNRESET")
    }))

  it.scopedLive.each(endings)(
    "with a %s ends open connections, and no later ones",
    (ending) =>
      Effect.gen(function*() {
        const made = yield* setUp()
        const both = yield* Effect.replicateEffect(connectBoth(made), 2)
        yield* made.proxy.cut(ending)
        for (const { client, server } of both) {
          yield* client.ends(nameOf[ending])
          yield* server.ends(nameOf[ending])
        }
        yield* roundTrip((yield* connectBoth(made)).client)
        assert.deepStrictEqual((yield* made.proxy.connections).map(({ isOpen }) => isOpen), [false, false, true])
      })
  )

  it.scopedLive("closes the connection to a server on a unix socket, which has no resets", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "server.sock")
      const { url } = yield* NodeEmbeddedServer.listen({ path })
      const proxy = yield* ChaosProxy.make({ connect: () => Net.connect(targetOf(url)) })
      const client = yield* connect(proxy)
      yield* Effect.zipRight(client.say("list-tube-used\r\n"), client.hears("USING default\r\n"))
      yield* proxy.cut("RST")
      yield* client.ends("ECONNRESET")
    }))
})

describe("a half-close", () => {
  it.scopedLive.each(ways)("%s ends that direction, and the other goes on", (way) =>
    Effect.gen(function*() {
      const made = yield* setUp({}, () => {})
      const { client, server } = yield* connectBoth(made)
      const [closed, other] = way === "toServer" ? [server, client] : [client, server]
      yield* made.proxy.halfClose(way)
      yield* closed.ends("FIN")
      yield* Effect.zipRight(closed.say("still there"), other.hears("still there"))
      yield* Effect.zipRight(other.say("lost"), closed.say("?"))
      yield* other.hears("still there?")
      assert.deepStrictEqual([closed.heard, other.ending], ["", undefined])
    }))
})

describe("silence", () => {
  it.scopedLive.each(ways)("%s drops the bytes of that direction only", (way) =>
    Effect.gen(function*() {
      const made = yield* setUp({ record: true }, () => {})
      const { client, server } = yield* connectBoth(made)
      const [speaker, listener] = way === "toServer" ? [client, server] : [server, client]
      yield* made.proxy.set({ silence: true }, way)
      yield* speaker.say("swallowed")
      yield* Effect.zipRight(listener.say("heard"), speaker.hears("heard"))
      yield* eventually(last(made.proxy), (connection) => connection[way].seen.toString() === "swallowed")
      yield* made.proxy.set({ silence: false })
      yield* Effect.zipRight(speaker.say("again"), listener.hears("again"))
      const { isOpen, ...connection } = yield* last(made.proxy)
      assert.deepStrictEqual([isOpen, connection[way].passed], [true, "again".length])
    }))

  it.scopedLive.each(["FIN", "RST"])(
    "drops a %s too, and the connection stays open",
    (ending) =>
      Effect.gen(function*() {
        const made = yield* setUp({ silence: true }, () => {})
        const { client, server } = yield* connectBoth(made)
        if (ending === "FIN") server.socket.end()
        else server.socket.resetAndDestroy()
        yield* eventually(Effect.sync(() => made.upstreams[0]), (socket) => socket?.readable === false)
        // The proxy takes a few turns to see the end.
        yield* Effect.replicateEffect(Scripted.turn, 20)
        // By the time that another connection has been used, the end would have passed.
        yield* made.proxy.heal
        const other = yield* connectBoth(made)
        yield* Effect.zipRight(other.client.say("x"), other.server.hears("x"))
        assert.isUndefined(client.ending)
        assert.isTrue((yield* made.proxy.connections)[0]?.isOpen)
      })
  )
})

describe("the port", () => {
  it.scopedLive.each(endings)(
    "refuses new connections with a %s until it is reopened, and keeps open ones",
    (ending) =>
      Effect.gen(function*() {
        const made = yield* setUp()
        const { client } = yield* connectBoth(made)
        yield* made.proxy.refuse(ending)
        yield* (yield* connect(made.proxy)).ends(nameOf[ending])
        yield* roundTrip(client)
        yield* made.proxy.reopen
        yield* roundTrip((yield* connectBoth(made)).client)
        yield* roundTrip(client)
        assert.deepStrictEqual((yield* made.proxy.connections).map(({ isOpen }) => isOpen), [true, false, true])
        assert.strictEqual(made.servers.length, 2)
      })
  )

  it.scopedLive("closes with all connections, and opens again with the same number", () =>
    Effect.gen(function*() {
      const made = yield* setUp()
      const { client, server } = yield* connectBoth(made)
      yield* made.proxy.close
      yield* client.ends("FIN")
      yield* server.ends("FIN")
      yield* (yield* connect(made.proxy)).ends("ECONNREFUSED")
      assert.deepStrictEqual((yield* made.proxy.connections).map(({ isOpen }) => isOpen), [false])
      yield* made.proxy.reopen
      yield* roundTrip((yield* connectBoth(made)).client)
    }))
})

describe("chunks", () => {
  it.scopedLive.each([1, 10])("of %d bytes arrive separately", (chunk) =>
    Effect.gen(function*() {
      const made = yield* setUp()
      const { client, server } = yield* connectBoth(made)
      yield* made.proxy.set({ chunk }, "toServer")
      yield* roundTrip(client, letters(100 * chunk))
      // The kernel may join some again.
      assert.isAbove(server.chunks.length, 50)
    }))
})

describe("bandwidth", () => {
  it.scopedLive("slows bytes down", () =>
    Effect.gen(function*() {
      const made = yield* setUp()
      const { client, server } = yield* connectBoth(made)
      yield* made.proxy.set({ bandwidth: 20_000 }, "toServer")
      // 4,000 bytes take 200 ms, less the first tick and a delay that is made up for.
      assert.isAtLeast(yield* timed(roundTrip(client, letters(4000))), 200 - 2 * 10)
      assert.isAbove(server.chunks.length, 5)
    }))

  it.scopedLive("can be reset while bytes wait", () =>
    Effect.gen(function*() {
      const made = yield* setUp({ bandwidth: 10 })
      const { client, server } = yield* connectBoth(made)
      const text = letters(100_000)
      yield* client.say(text)
      yield* eventually(Effect.sync(() => server.heard.length), (length) => length > 0)
      yield* made.proxy.heal
      yield* client.hears(text)
    }))
})

describe("the connections of a proxy", () => {
  it.scopedLive("have the time at which they were made, whether they are open, and their bytes", () =>
    Effect.gen(function*() {
      const made = yield* setUp({}, () => {})
      const before = performance.now()
      const one = yield* connectBoth(made)
      const between = performance.now()
      const other = yield* connectBoth(made)
      const after = performance.now()
      yield* Effect.zipRight(one.client.say("one"), one.server.hears("one"))
      yield* Effect.zipRight(other.server.say("other"), other.client.hears("other"))
      one.client.socket.end()
      one.server.socket.end()
      const [first, second] = yield* eventually(made.proxy.connections, ([first]) => first?.isOpen === false)
      assert.isTrue(first && before <= first.madeAt && first.madeAt <= between)
      assert.isTrue(second && between <= second.madeAt && second.madeAt <= after)
      assert.isTrue(second?.isOpen)
      assert.deepStrictEqual([first?.toServer.passed, first?.toClient.passed], [3, 0])
      assert.deepStrictEqual([second?.toServer.passed, second?.toClient.passed], [0, 5])
      assert.strictEqual(first?.toServer.seen.length, 0)
    }))

  it.scopedLive("have the bytes to and from a beanstalkd", () =>
    Effect.gen(function*() {
      const { url } = yield* NodeEmbeddedServer.listen()
      const options = { latency: "1 millis", chunk: 1, record: true } as const
      const proxy = yield* ChaosProxy.make({ connect: () => Net.connect(targetOf(url)) }, options)
      const beanstalk = yield* openTo(proxy)
      const id = yield* beanstalk.put("once", { priority: 1, ttr: "5 seconds" })
      assert.strictEqual(yield* (yield* beanstalk.reserve).text(), "once")
      const { toClient, toServer } = yield* last(proxy)
      assert.strictEqual(toServer.seen.toString().split("put 1 0 5 4\r\nonce\r\n").length, 2)
      assert.include(toClient.seen.toString(), `INSERTED ${id}\r\n`)
      assert.deepStrictEqual([toServer.passed, toClient.passed], [toServer.seen.length, toClient.seen.length])
    }))
})
