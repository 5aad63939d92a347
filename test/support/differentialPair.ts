/**
 * A real beanstalkd and a broker that is to answer alike: whatever is done to one is done to the other.
 *
 * The broker goes first, and so it is known what the real server will say; that is waited for, and nothing else is. When
 * nothing is to be expected, or nothing more, a few round trips of another connection show that the real server has done
 * all that there was to do: it serves whoever has something to say in turn.
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

/** The grain of the frozen clock in milliseconds: 125 microseconds, of which a float keeps any number exactly. */
export const grain = 0.125

/** How many grains a second has. */
export const second = 1000 / grain

/** Whether this machine can make a program live at the time that it is told: Linux can, with a compiler. */
export const canFreezeClock = process.platform === "linux" &&
  spawnSync("cc", ["--version"], { stdio: "ignore" }).status === 0

/** A library that gives the program into which it is loaded the time that stands in a file. */
export const frozenClock: Effect.Effect<string, never, Scope.Scope> = Effect.map(temporaryFolder, (folder) => {
  const library = join(folder, "frozenClock.so")
  const source = fileURLToPath(new URL("frozenClock.c", import.meta.url))
  execFileSync("cc", ["-O2", "-shared", "-fPIC", "-o", library, source])
  return library
})

export interface PairOptions {
  /** The library that freezes the clock. Without, the real server lives in the real time, and the other in none. */
  readonly clock?: string | undefined
  readonly maxJobSize?: number | undefined
  /** How long a reply may take, in milliseconds. Default: 5000. */
  readonly patience?: number | undefined
}

/** The two did not do the same. */
export class Difference extends Data.TaggedError("Difference")<{
  readonly who: string
  readonly expected: ReadonlyArray<string>
  readonly heard: ReadonlyArray<string>
}> {
  override get message() {
    return [
      `connection ${this.who}`,
      ...this.expected.map((reply) => `  broker:     ${JSON.stringify(reply)}`),
      ...this.heard.map((reply) => `  beanstalkd: ${JSON.stringify(reply)}`)
    ].join("\n")
  }
}

/** One connection to both. */
export interface Peer {
  readonly name: string
  readonly socket: Net.Socket
  readonly heard: Transcript
  readonly connection: Connection
  readonly expected: Transcript
  hasEnded: boolean
  /** What was said since the last reply. */
  unanswered: number
}

const startOfTime = 1_000_000 * second

export class Pair {
  readonly broker: Broker
  /** What was said and heard, by everybody. */
  log: Array<string> = []
  /** Of the jobs that have been put. */
  lastId = 0
  readonly control: Peer
  private readonly server: Program
  private readonly setClock: ((grains: number) => void) | undefined
  private readonly patience: number
  private readonly mask: Mask
  private readonly peers = new Set<Peer>()
  private onChange: () => void = () => {}
  private grains = startOfTime

  /** The statistics are those of the real server, asked for over a connection that is gone. */
  constructor(
    server: Program,
    statistics: string,
    { clock, maxJobSize = 65_535, patience = 5000 }: PairOptions,
    setClock: (grains: number) => void
  ) {
    this.server = server
    this.patience = patience
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
    // Others have knocked before.
    const [, knocks] = /total-connections: (\d+)/.exec(statistics)!
    for (let i = 0; i < Number(knocks); i++) {
      this.act(() => {
        const knock = this.broker.connect({ write: () => true, close: () => {} })
        if (i === 0) knock.receive(Buffer.from("stats\r\n"))
        knock.hangUp()
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

  // What is done to both

  async open(name: string): Promise<Peer> {
    const peer = this.add(name)
    this.log.push(`${name} opens`)
    await this.agree(1)
    return peer
  }

  async say(peer: Peer, bytes: Buffer): Promise<void> {
    this.log.push(`${peer.name} > ${JSON.stringify(bytes.toString("latin1"))}`)
    peer.unanswered += 1
    this.act(() => peer.connection.receive(bytes))
    peer.socket.write(bytes)
    await this.agree(2 + Math.ceil(bytes.length / 224))
  }

  async end(peer: Peer): Promise<void> {
    this.log.push(`${peer.name} says no more`)
    peer.hasEnded = true
    this.act(() => peer.connection.end())
    peer.socket.end()
    await this.agree(4)
  }

  /** The connection is closed, in an orderly way or not. What is still said to it is not heard. */
  async leave(peer: Peer, how: "close" | "reset"): Promise<void> {
    this.log.push(`${peer.name}: ${how}`)
    this.peers.delete(peer)
    this.act(() => how === "close" ? peer.connection.hangUp() : peer.connection.close())
    if (how === "close") peer.socket.destroy()
    else peer.socket.resetAndDestroy()
    await this.until(() => peer.socket.closed)
    await this.agree(8)
  }

  /** Puts the clock forward to a time, at which all happens that is due. */
  async advance(grains: number): Promise<void> {
    this.log.push(`${(grains - this.grains) / second} s pass`)
    this.grains = grains
    this.setClock?.(grains)
    this.act(() => {})
    // The real server sleeps until somebody says something, and then looks at its clock.
    await this.roundTrip()
    await this.agree(1)
  }

  /** The signal comes when it comes: it is waited for, and each time the question is asked of both. */
  async drain(): Promise<void> {
    this.log.push("drain")
    this.broker.drain()
    Effect.runSync(this.server.signal("SIGUSR1"))
    const stats = Buffer.from("stats\r\n")
    for (let isDraining = false; !isDraining;) {
      this.act(() => this.control.connection.receive(stats))
      this.control.expected.take()
      this.control.socket.write(stats)
      await this.until(() => this.control.heard.replies.length > 0)
      isDraining = this.control.heard.take().join("").includes("draining: true")
    }
  }

  // What they have to agree on

  /** Waits for everything that is expected, and for the end of what is going on. */
  private async agree(turns: number): Promise<void> {
    const hasCome = () =>
      [...this.peers].every(({ expected, heard }) =>
        heard.replies.length >= expected.replies.length && heard.isClosed === expected.isClosed
      )
    if (await this.until(hasCome)) { for (let i = 0; i < turns; i++) await this.roundTrip() }
    for (const peer of this.peers) this.compare(peer)
  }

  private compare(peer: Peer): void {
    const { name } = peer
    const expected = peer.expected.take()
    const heard = peer.heard.take()
    if (heard.length > 0) peer.unanswered = 0
    for (const reply of heard) this.log.push(`${name} < ${JSON.stringify(reply)}`)
    const isSame = expected.length === heard.length && expected.every((reply, i) => reply === heard[i])
    if (!isSame) throw new Difference({ who: name, expected, heard })
    if (peer.expected.isClosed) this.peers.delete(peer)
  }

  /** Something that no server counts. */
  private async roundTrip(): Promise<void> {
    const { heard, socket } = this.control
    const before = heard.replies.length
    socket.write("\r\n")
    if (!await this.until(() => heard.replies.length > before)) {
      throw new Difference({ who: "control", expected: ["UNKNOWN_COMMAND"], heard: [] })
    }
    heard.replies.splice(before, 1)
  }

  private until(condition: () => boolean): Promise<boolean> {
    if (condition()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (isTrue: boolean) => {
        clearTimeout(timer)
        this.onChange = () => {}
        resolve(isTrue)
      }
      const timer = setTimeout(() => finish(false), this.patience)
      this.onChange = () => {
        if (condition()) finish(true)
      }
    })
  }

  private act(what: () => void): void {
    this.broker.runAt(this.milliseconds, what)
  }

  private add(name: string): Peer {
    const heard = new Transcript(this.mask)
    const expected = new Transcript(this.mask)
    const socket = this.server.connect()
    socket.setNoDelay(true)
    socket.on("data", (chunk) => {
      heard.push(chunk)
      this.onChange()
    })
    // A server that closes with something unread resets the connection.
    socket.on("error", () => {})
    socket.on("end", () => socket.end())
    const close = () => {
      heard.close()
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
    const peer: Peer = { name, socket, heard, connection, expected, hasEnded: false, unanswered: 0 }
    this.peers.add(peer)
    return peer
  }
}

/** Starts both. */
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
    const statistics = yield* ask(server)
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Pair(server, statistics, options, setClock)),
      (pair) => Effect.sync(() => pair.control.socket.destroy())
    )
  })

/** Its statistics, when the connection over which it tells them is gone. */
const ask = (server: Program) =>
  Effect.async<string>((resume) => {
    const socket = server.connect()
    let heard = ""
    socket.setEncoding("latin1")
    socket.on("data", (text) => (heard += text))
    socket.on("close", () => resume(Effect.succeed(heard)))
    socket.end("stats\r\n")
  })
