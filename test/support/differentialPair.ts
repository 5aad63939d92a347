/**
 * A real beanstalkd and a broker. Whatever is done to one is done to the other, and their replies have to be equal.
 *
 * The broker is first, so that its replies are known when the real server is waited for. Then a few round trips of another
 * connection, the control connection, ensure that the real server has sent all its replies: it serves its connections in turn.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawnSync } from "node:child_process"
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs"
import type * as Net from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Broker } from "../../src/internal/broker/broker.ts"
import type { Connection } from "../../src/internal/broker/connection.ts"
import { type Program, startBeanstalkd, temporaryFolder } from "./beanstalkd.ts"
import { type Mask, maskFor, Transcript } from "./differentialTranscript.ts"

/** The resolution of the frozen clock in milliseconds: 125 microseconds, whose multiples are exact as floats. */
export const grain = 0.125

/** A second in grains. */
export const second = 1000 / grain

/** Whether the clock of a program can be replaced: on Linux, with a compiler. */
export const canFreezeClock = process.platform === "linux" &&
  spawnSync("cc", ["--version"], { stdio: "ignore" }).status === 0

/** Compiles a library that makes the program into which it is loaded take the time from a file. */
export const frozenClock: Effect.Effect<string, never, Scope.Scope> = Effect.map(temporaryFolder, (folder) => {
  const library = join(folder, "frozenClock.so")
  const source = fileURLToPath(new URL("frozenClock.c", import.meta.url))
  execFileSync("cc", ["-O2", "-shared", "-fPIC", "-o", library, source])
  return library
})

export interface PairOptions {
  /** The library that freezes the clock. Without it the real server has the real time, and for the broker no time passes. */
  readonly clock?: string | undefined
  readonly maxJobSize?: number | undefined
  /** How long a reply may take, in milliseconds. Default: 5000. */
  readonly replyTimeout?: number | undefined
}

/** The replies of the two servers differ. */
export class Difference extends Data.TaggedError("Difference")<{
  readonly who: string
  readonly expected: ReadonlyArray<string>
  readonly received: ReadonlyArray<string>
}> {
  override get message() {
    return [
      `connection ${this.who}`,
      ...this.expected.map((reply) => `  broker:     ${JSON.stringify(reply)}`),
      ...this.received.map((reply) => `  beanstalkd: ${JSON.stringify(reply)}`)
    ].join("\n")
  }
}

/** A connection to each of the two servers. */
export interface Peer {
  readonly name: string
  readonly socket: Net.Socket
  readonly received: Transcript
  readonly connection: Connection
  readonly expected: Transcript
  hasEnded: boolean
  /** How often it has sent something since the last reply. */
  unanswered: number
}

const connectionsIn = (statistics: string) => /current-connections: (\d+)/.exec(statistics)?.[1]

const startOfTime = 1_000_000 * second

export class Pair {
  readonly broker: Broker
  /** What all connections have sent and received. */
  log: Array<string> = []
  /** The id of the last job. */
  lastId = 0
  readonly control: Peer
  private readonly server: Program
  private readonly setClock: ((grains: number) => void) | undefined
  private readonly replyTimeout: number
  private readonly mask: Mask
  private readonly peers = new Set<Peer>()
  private onChange: () => void = () => {}
  private grains = startOfTime

  /** `statistics` is the reply of the real server to `stats` on a connection that is closed. */
  constructor(
    server: Program,
    statistics: string,
    { clock, maxJobSize = 65_535, replyTimeout = 5000 }: PairOptions,
    setClock: (grains: number) => void
  ) {
    this.server = server
    this.replyTimeout = replyTimeout
    this.setClock = clock === undefined ? undefined : setClock
    this.mask = maskFor(clock === undefined ? "real" : "frozen")
    this.broker = new Broker({
      version: statistics.includes("hostname: \"") ? "1.13" : "1.12",
      id: "",
      hostname: "",
      os: "",
      platform: "",
      pid: 0,
      maxJobSize,
      startedAt: this.milliseconds
    }, (_, { id }) => {
      this.lastId = Math.max(this.lastId, id)
    })
    // The counters of the broker have to include the connections that were opened before.
    const [, earlier] = /total-connections: (\d+)/.exec(statistics)!
    for (let i = 0; i < Number(earlier); i++) {
      this.run(() => {
        const connection = this.broker.connect({ write: () => true, close: () => {} })
        if (i === 0) connection.receive(Buffer.from("stats\r\n"))
        connection.hangUp()
      })
    }
    this.control = this.add("control")
  }

  private get milliseconds(): number {
    return this.grains * grain
  }

  get now(): number {
    return this.grains
  }

  get isTimed(): boolean {
    return this.setClock !== undefined
  }

  // Actions on both servers

  async open(name: string): Promise<Peer> {
    const peer = this.add(name)
    this.log.push(`${name} opens`)
    await this.agree(1)
    return peer
  }

  async send(peer: Peer, bytes: Buffer): Promise<void> {
    this.log.push(`${peer.name} > ${JSON.stringify(bytes.toString("latin1"))}`)
    peer.unanswered += 1
    this.run(() => peer.connection.receive(bytes))
    peer.socket.write(bytes)
    await this.agree(2 + Math.ceil(bytes.length / 224))
  }

  async end(peer: Peer): Promise<void> {
    this.log.push(`${peer.name} half-closes`)
    peer.hasEnded = true
    this.run(() => peer.connection.end())
    peer.socket.end()
    await this.agree(4)
  }

  /** Closes or resets the connection. Later replies to it are not compared. */
  async leave(peer: Peer, how: "close" | "reset"): Promise<void> {
    this.log.push(`${peer.name}: ${how}`)
    this.peers.delete(peer)
    this.run(() => how === "close" ? peer.connection.hangUp() : peer.connection.close())
    if (how === "close") peer.socket.destroy()
    else peer.socket.resetAndDestroy()
    await this.until(() => peer.socket.closed)
    // A busy kernel may report the close to the server after later bytes of other connections.
    await this.untilStatistics((broker, server) => connectionsIn(server) === connectionsIn(broker))
    await this.agree(4)
  }

  /** Sets the clock to a later time, at which both servers do what is due. */
  async advance(grains: number): Promise<void> {
    this.log.push(`${(grains - this.grains) / second} s pass`)
    this.grains = grains
    this.setClock?.(grains)
    this.run(() => {})
    // The real server reads its clock when it receives something.
    await this.roundTrip()
    await this.agree(1)
  }

  async drain(): Promise<void> {
    this.log.push("drain")
    this.broker.drain()
    Effect.runSync(this.server.signal("SIGUSR1"))
    await this.untilStatistics((_, server) => server.includes("draining: true"))
  }

  /** Requests statistics of both servers, so that both count the same, until this is true of them. */
  private async untilStatistics(isTrue: (broker: string, server: string) => boolean): Promise<void> {
    const { connection, expected, received, socket } = this.control
    const stats = Buffer.from("stats\r\n")
    const deadline = performance.now() + this.replyTimeout
    while (performance.now() < deadline) {
      this.run(() => connection.receive(stats))
      socket.write(stats)
      await this.until(() => received.replies.length > 0)
      if (isTrue(expected.take().join(""), received.take().join(""))) return
    }
  }

  // Comparison

  /** Waits for the expected replies, and for possible others during some round trips. */
  private async agree(turns: number): Promise<void> {
    const hasArrived = () =>
      [...this.peers].every(({ expected, received }) =>
        received.replies.length >= expected.replies.length && received.isClosed === expected.isClosed
      )
    if (await this.until(hasArrived)) { for (let i = 0; i < turns; i++) await this.roundTrip() }
    for (const peer of this.peers) this.compare(peer)
  }

  private compare(peer: Peer): void {
    const { name } = peer
    const expected = peer.expected.take()
    const received = peer.received.take()
    if (received.length > 0) peer.unanswered = 0
    for (const reply of received) this.log.push(`${name} < ${JSON.stringify(reply)}`)
    const isSame = expected.length === received.length && expected.every((reply, i) => reply === received[i])
    if (!isSame) throw new Difference({ who: name, expected, received })
    if (peer.expected.isClosed) this.peers.delete(peer)
  }

  /** Sends an unknown command, which no statistics count. */
  private async roundTrip(): Promise<void> {
    const { received, socket } = this.control
    const before = received.replies.length
    socket.write("\r\n")
    if (!await this.until(() => received.replies.length > before)) {
      throw new Difference({ who: "control", expected: ["UNKNOWN_COMMAND"], received: [] })
    }
    received.replies.splice(before, 1)
  }

  private until(condition: () => boolean): Promise<boolean> {
    if (condition()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (isTrue: boolean) => {
        clearTimeout(timer)
        this.onChange = () => {}
        resolve(isTrue)
      }
      const timer = setTimeout(() => finish(false), this.replyTimeout)
      this.onChange = () => {
        if (condition()) finish(true)
      }
    })
  }

  private run(action: () => void): void {
    this.broker.runAt(this.milliseconds, action)
  }

  private add(name: string): Peer {
    const received = new Transcript(this.mask)
    const expected = new Transcript(this.mask)
    const socket = this.server.connect()
    socket.setNoDelay(true)
    socket.on("data", (chunk) => {
      received.push(chunk)
      this.onChange()
    })
    // A server that closes with unread bytes resets the connection.
    socket.on("error", () => {})
    socket.on("end", () => socket.end())
    const close = () => {
      received.close()
      this.onChange()
    }
    socket.on("end", close)
    socket.on("close", close)
    const connection = this.broker.runAt(this.milliseconds, () =>
      this.broker.connect({
        write: (bytes) => {
          expected.push(bytes)
          return true
        },
        close: () => expected.close()
      }))
    const peer: Peer = { name, socket, received, connection, expected, hasEnded: false, unanswered: 0 }
    this.peers.add(peer)
    return peer
  }
}

/** Starts both servers. */
export const startPair = (options: PairOptions): Effect.Effect<Pair, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { clock, maxJobSize } = options
    const file = join(yield* temporaryFolder, "clock")
    const time = new BigInt64Array(1)
    const write = (grains: number) => {
      time[0] = BigInt(grains) * BigInt(grain * 1000)
      return time
    }
    writeFileSync(file, write(startOfTime))
    const descriptor = yield* Effect.acquireRelease(
      Effect.sync(() => openSync(file, "r+")),
      (descriptor) => Effect.sync(() => closeSync(descriptor))
    )
    const setClock = (grains: number) => void writeSync(descriptor, write(grains), 0, 8, 0)
    const server = yield* startBeanstalkd({
      args: maxJobSize === undefined ? [] : ["-z", `${maxJobSize}`],
      env: clock === undefined ? {} : { LD_PRELOAD: clock, FROZEN_CLOCK: file }
    })
    const statistics = yield* requestStatistics(server)
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Pair(server, statistics, options, setClock)),
      (pair) => Effect.sync(() => pair.control.socket.destroy())
    )
  })

/** Requests the statistics on a connection, and closes it. */
const requestStatistics = (server: Program) =>
  Effect.async<string>((resume) => {
    const socket = server.connect()
    let received = ""
    socket.setEncoding("latin1")
    socket.on("data", (text) => (received += text))
    socket.on("close", () => resume(Effect.succeed(received)))
    socket.end("stats\r\n")
  })
