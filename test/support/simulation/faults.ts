/** What goes wrong in a simulation: struck by chance while somebody writes, and healed after a while. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { Fault } from "../../../src/internal/embedded/fault.ts"
import type { Random } from "../random.ts"
import type { Books } from "./books.ts"
import type { Stage } from "./stage.ts"

type FaultName = Fault["_tag"] | "Replace"

/** Half a second, and rarely longer than anybody waits. */
const whiles = [[20, 100], [20, 500], [10, 3000], [5, 12_000], [1, 60_000]] as const

/** How often each happens. Those that everybody is struck by are rare. */
const chances: ReadonlyArray<readonly [weight: number, name: FaultName]> = [
  [25, "Cut"],
  [20, "CutAfterRequest"],
  [20, "CutAfterReply"],
  [12, "Answer"],
  [8, "Silence"],
  [6, "Delay"],
  [4, "Chunks"],
  [2, "Refuse"],
  [1, "NoMemory"],
  [1, "NoMemoryForQueues"],
  [0.05, "Replace"]
]

export interface FaultsOptions {
  readonly random: Random
  readonly stage: Stage
  readonly books: Books
  /** There is a fault for so many writes, on average. */
  readonly every: number
}

export class Faults {
  readonly counts = new Map<FaultName, number>()
  private readonly options: FaultsOptions
  private readonly fork: (effect: Effect.Effect<void>) => unknown
  private isOver = false
  private writesLeft = 0
  private answers = 0

  constructor(options: FaultsOptions, runtime: Runtime.Runtime<never>) {
    this.options = options
    this.fork = Runtime.runFork(runtime)
    this.wait()
  }

  get total(): number {
    return Array.from(this.counts.values()).reduce((sum, count) => sum + count, 0)
  }

  /** Whatever is wrong is healed, and nothing more happens. */
  end(): void {
    this.isOver = true
    this.heal()
  }

  /** Somebody writes. What is said in the server's place, if anything. */
  onWrite(chunk: Uint8Array): Uint8Array | undefined {
    if (this.isOver) return undefined
    this.writesLeft -= 1
    if (this.writesLeft <= 0) {
      this.wait()
      // Nobody is called from within its own write.
      queueMicrotask(() => this.strike(this.options.random.weighted(chances)))
    }
    return this.answers > 0 ? this.refusal(chunk) : undefined
  }

  private wait(): void {
    const { every, random } = this.options
    this.writesLeft = random.between(1, 2 * every)
  }

  private strike(name: FaultName): void {
    if (this.isOver) return
    const { books, random, stage } = this.options
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    const transports = stage.transports
    if (transports.length === 0) return
    // One, some or all.
    const share = random.weighted([[20, 0], [4, 0.2], [1, 1]])
    const first = random.pick(transports)
    const struck = transports.filter((transport) => transport === first || random.chance(share))
    switch (name) {
      case "Cut":
        return stage.harm(() => struck.forEach((transport) => transport.cut()))
      case "CutAfterRequest":
        return struck.forEach((transport) => transport.inject({ requestBytesLeft: random.between(1, 120) }))
      case "CutAfterReply":
        return struck.forEach((transport) => transport.inject({ replyBytesLeft: random.between(1, 120) }))
      case "Answer":
        this.answers += 1
        return
      case "Silence":
        struck.forEach((transport) => transport.inject({ isSilent: true }))
        return this.healLater()
      case "Delay":
        struck.forEach((transport) => transport.inject({ delay: random.between(1, 40) * 100 }))
        return this.healLater()
      case "Chunks":
        struck.forEach((transport) => transport.inject({ chunkSize: random.between(1, 20) }))
        return this.healLater()
      case "Refuse":
        stage.inject({ _tag: "Refuse" })
        if (random.chance(0.5)) stage.inject({ _tag: "Cut" })
        return this.healLater()
      case "NoMemory":
        books.isMemoryShort = true
        stage.inject({ _tag: "NoMemory" })
        return this.healLater()
      case "NoMemoryForQueues":
        books.isMemoryShort = true
        stage.inject({ _tag: "NoMemoryForQueues" })
        return this.healLater()
      case "Replace":
        books.isMemoryShort = false
        return stage.replace()
    }
  }

  private healLater(): void {
    const { random } = this.options
    const after = Duration.millis(random.weighted(whiles) * random.next())
    this.fork(Effect.andThen(Clock.sleep(after), Effect.sync(() => this.heal())))
  }

  private heal(): void {
    this.options.stage.heal()
    this.options.books.isMemoryShort = false
  }

  /** An answer to each command of a chunk, of which the last that names a job, or puts one, is refused. */
  private refusal(chunk: Uint8Array): Uint8Array | undefined {
    const lines = Buffer.from(chunk).toString("latin1").split("\r\n")
    const answers: Array<string> = []
    let isRefused = false
    for (let index = 0; index < lines.length - 1; index += 1) {
      const [command] = lines[index]!.split(" ")
      switch (command) {
        case "put":
          index += 1
          isRefused = true
          answers.push(this.options.random.pick(["OUT_OF_MEMORY", "INTERNAL_ERROR", "DRAINING"]))
          break
        case "delete":
        case "touch":
        case "bury":
        case "release":
        case "stats-job":
          isRefused = true
          answers.push(this.options.random.pick(["NOT_FOUND", "OUT_OF_MEMORY", "INTERNAL_ERROR"]))
          break
        case "use":
          // What is not carried out must not be needed by what comes later.
          return undefined
        case "reserve-with-timeout":
          answers.push("TIMED_OUT")
          break
        default:
          return undefined
      }
    }
    if (!isRefused) return undefined
    this.answers -= 1
    return Buffer.from(answers.map((answer) => `${answer}\r\n`).join(""))
  }
}
