/** The faults of a simulation: injected at random writes of the clients, and healed after a random time. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { Fault } from "../../../src/internal/embedded/fault.ts"
import type { Random } from "../random.ts"
import { FullDisk } from "./fullDisk.ts"
import type { JobTracker } from "./jobTracker.ts"
import type { Process } from "./process.ts"
import type { SimulatedServer } from "./simulatedServer.ts"

type FaultName = Fault["_tag"] | "Drain" | "FullDisk" | "RefuseCommands" | "Replace" | "Restart" | "Stall"

/** How long a fault lasts at most, in milliseconds: mostly half a second, rarely longer than every timeout of a client. */
const durations = [[20, 100], [20, 500], [10, 3000], [5, 12_000], [1, 60_000]] as const

/** How often each is injected. Those that affect every connection are rare. */
const chances: ReadonlyArray<readonly [weight: number, name: FaultName]> = [
  [25, "Cut"],
  [20, "CutAfterRequest"],
  [20, "CutAfterReply"],
  [12, "Answer"],
  [8, "Silence"],
  [6, "Delay"],
  [6, "Stall"],
  [4, "Chunks"],
  [2, "Refuse"],
  [2, "RefuseCommands"],
  [1, "FullDisk"],
  [1, "NoMemory"],
  [1, "NoMemoryForQueues"],
  [1, "Drain"],
  [1, "Restart"],
  [0.05, "Replace"]
]

/** The commands that a server may refuse. */
const refusable = ["put", "reserve-with-timeout", "delete", "release", "bury", "touch", "stats-job", "kick"] as const

/** How long an event loop is blocked, in milliseconds: 0.5 to 3 times the time to run of most jobs. */
export const stallTime = (random: Random) => random.between(15, 90) * 100

export interface FaultsOptions {
  readonly random: Random
  readonly server: SimulatedServer
  /** The processes whose event loops can be blocked. */
  readonly processes: ReadonlySet<Process>
  readonly tracker: JobTracker
  /** The average number of writes between two faults. */
  readonly writesPerFault: number
}

export class Faults {
  readonly counts = new Map<FaultName, number>()
  private readonly options: FaultsOptions
  private readonly fork: (effect: Effect.Effect<void>) => unknown
  private hasEnded = false
  /** A short run may never draw a rare fault. */
  private readonly firstFaults: Array<FaultName> = ["FullDisk", "RefuseCommands", "Stall", "Drain", "Restart"]
  private writesLeft = 0
  /** How many writes are still to get an error reply in place of the server's. */
  private errorReplies = 0
  private fullDisk: FullDisk | undefined = undefined

  constructor(options: FaultsOptions, runtime: Runtime.Runtime<never>) {
    this.options = options
    this.fork = Runtime.runFork(runtime)
    this.scheduleNext()
  }

  get total(): number {
    return Array.from(this.counts.values()).reduce((sum, count) => sum + count, 0)
  }

  /** Heals every fault, and injects no more. */
  end(): void {
    this.hasEnded = true
    this.heal()
  }

  /** A client writes these bytes. Returns what is replied in place of the server, or `undefined` if the server replies. */
  onWrite(chunk: Uint8Array): Uint8Array | undefined {
    if (this.hasEnded) return undefined
    this.writesLeft -= 1
    if (this.writesLeft <= 0) {
      this.scheduleNext()
      // A fault may call the client, which must not be called from within its own write.
      queueMicrotask(() => this.inject(this.firstFaults.shift() ?? this.options.random.weighted(chances)))
    }
    return this.errorReplies > 0 && this.fullDisk === undefined ? this.errorReplyTo(chunk) : undefined
  }

  private scheduleNext(): void {
    const { random, writesPerFault } = this.options
    this.writesLeft = random.between(1, 2 * writesPerFault)
  }

  private inject(name: FaultName): void {
    if (this.hasEnded) return
    const { processes, random, server, tracker } = this.options
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    const transports = server.transports
    if (transports.length === 0) return
    // One, some or all.
    const share = random.weighted([[20, 0], [4, 0.2], [1, 1]])
    const first = random.pick(transports)
    const affected = transports.filter((transport) => transport === first || random.chance(share))
    switch (name) {
      case "Cut":
        return server.run(() => affected.forEach((transport) => transport.cut()))
      case "CutAfterRequest":
        return affected.forEach((transport) => transport.inject({ requestBytesLeft: random.between(1, 120) }))
      case "CutAfterReply":
        return affected.forEach((transport) => transport.inject({ replyBytesLeft: random.between(1, 120) }))
      case "Answer":
        this.errorReplies += 1
        return
      case "Silence":
        affected.forEach((transport) => transport.inject({ isSilent: true }))
        return this.healLater()
      case "Delay":
        affected.forEach((transport) => transport.inject({ delay: random.between(1, 40) * 100 }))
        return this.healLater()
      case "Chunks":
        affected.forEach((transport) => transport.inject({ chunkSize: random.between(1, 20) }))
        return this.healLater()
      case "Stall": {
        const stalled = random.pick(Array.from(processes))
        for (const process of processes) {
          if (process === stalled || random.chance(share)) process.block(stallTime(random))
        }
        return
      }
      case "RefuseCommands":
        this.refuseCommands()
        return this.healLater()
      case "FullDisk":
        this.fillDisk()
        return this.healLater()
      case "Refuse":
        server.inject({ _tag: "Refuse" })
        if (random.chance(0.5)) server.inject({ _tag: "Cut" })
        return this.healLater()
      case "Drain":
        server.drain()
        return this.healLater()
      case "Restart":
        server.inject({ _tag: "Refuse" })
        server.restart()
        return this.healLater()
      case "NoMemory":
        tracker.shortOfMemory.add(server.number)
        server.inject({ _tag: "NoMemory" })
        return this.healLater()
      case "NoMemoryForQueues":
        tracker.shortOfMemory.add(server.number)
        server.inject({ _tag: "NoMemoryForQueues" })
        return this.healLater()
      case "Replace":
        tracker.shortOfMemory.delete(server.number)
        this.fullDisk = undefined
        return server.replace()
    }
  }

  /** The server refuses some commands, or each of them, always or sometimes. */
  private refuseCommands(): void {
    const { random, server } = this.options
    const refused = new Set<string>(random.chance(0.3) ? refusable : [random.pick(refusable), random.pick(refusable)])
    const chance = random.pick([0.3, 1])
    this.fullDisk = undefined
    server.refuse(({ name }) =>
      refused.has(name) && random.chance(chance) ? random.pick(["OUT_OF_MEMORY", "INTERNAL_ERROR"]) : undefined
    )
  }

  private fillDisk(): void {
    const { server, tracker } = this.options
    const { now } = server
    this.errorReplies = 0
    this.fullDisk = new FullDisk({
      tracker,
      server: server.number,
      now,
      processOf: (connection) => server.processOf(connection)
    })
    server.refuse(this.fullDisk.refuse)
  }

  /** A process has read an error on a connection. */
  onErrorRead(process: Process, connection: number): void {
    this.fullDisk?.onErrorRead(process, connection)
  }

  private healLater(): void {
    const { random } = this.options
    const after = Duration.millis(random.weighted(durations) * random.next())
    this.fork(Effect.andThen(Clock.sleep(after), Effect.sync(() => this.heal())))
  }

  private heal(): void {
    const { server, tracker } = this.options
    // Drain mode ends with the process of the server.
    if (server.isDraining) server.restart()
    server.heal()
    tracker.shortOfMemory.delete(server.number)
    this.fullDisk = undefined
  }

  /**
   * A reply to each command in the chunk, an error for those that put or name a job; `undefined` if the chunk has no such
   * command, or one without which the server's state would be wrong for later commands.
   */
  private errorReplyTo(chunk: Uint8Array): Uint8Array | undefined {
    const lines = Buffer.from(chunk).toString("latin1").split("\r\n")
    const replies: Array<string> = []
    let hasError = false
    for (let index = 0; index < lines.length - 1; index += 1) {
      const [command] = lines[index]!.split(" ")
      switch (command) {
        case "put":
          index += 1
          hasError = true
          replies.push(this.options.random.pick(["OUT_OF_MEMORY", "INTERNAL_ERROR", "DRAINING"]))
          break
        case "delete":
        case "touch":
        case "bury":
        case "release":
        case "stats-job":
          hasError = true
          replies.push(this.options.random.pick(["NOT_FOUND", "OUT_OF_MEMORY", "INTERNAL_ERROR"]))
          break
        case "use":
          // The server must execute it: later commands put into the used tube.
          return undefined
        case "reserve-with-timeout":
          replies.push("TIMED_OUT")
          break
        default:
          return undefined
      }
    }
    if (!hasError) return undefined
    this.errorReplies -= 1
    return Buffer.from(replies.map((reply) => `${reply}\r\n`).join(""))
  }
}
