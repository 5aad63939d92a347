/**
 * One direction of a connection through a bad network: bytes arrive in order, but late, slowly, in pieces, or not at all.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Net from "node:net"
import type { Random } from "./random.ts"

/** How a connection ends: closed, or reset. */
export type Ending = "FIN" | "RST"

/** What happens to bytes. Default: nothing. */
export interface Conditions {
  /** The delay of every byte. Bytes that were sent before a change keep their delay. */
  readonly latency?: Duration.DurationInput | undefined
  /** The largest random addition to the latency. Bytes stay in order. */
  readonly jitter?: Duration.DurationInput | undefined
  /** In bytes per second, above 0. */
  readonly bandwidth?: number | undefined
  /** The largest piece that is written at once. A reader that is late may still receive several in one. */
  readonly chunk?: number | undefined
  /** Drops what arrives, the end of the connection too. It is not sent later either. */
  readonly silence?: boolean | undefined
  /** Ends both directions once this many bytes, counted from the beginning of the connection, were passed on. */
  readonly cutAfter?: { readonly bytes: number; readonly ending: Ending } | undefined
}

/** The bytes of one direction of a connection. */
export interface Traffic {
  /** The number of bytes that were passed on. */
  readonly passed: number
  /** The bytes that were received, passed on or not. Empty unless they are recorded. */
  readonly seen: Buffer
}

interface Parcel {
  /** When it arrives. */
  readonly due: number
  readonly content: Buffer | Ending
}

/** The number of bytes that a line buffers before it stops reading from the sender. */
const room = 4 * 1024 * 1024

/** In milliseconds. With a bandwidth, a piece is what passes in one tick. */
const tick = 10

/** The delays of a proxy are real, also under a `TestClock`. */
const clock = Clock.make()

/** Waits again if the timer fired early. */
const until = (due: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = due - performance.now()
    return left <= 0 ? Effect.void : Effect.zipRight(clock.sleep(Duration.millis(left)), until(due))
  })

/**
 * Two turns of the event loop, in which a reader in this process reads: the first immediate may still run before the loop polls
 * for what there is to read. If a reset arrives together with bytes, Node reports it as a FIN.
 */
const readersTurn = Effect.async<void>((resume) => void setImmediate(setImmediate, () => resume(Effect.void)))

const write = (socket: Net.Socket, bytes: Buffer) =>
  Effect.async<void>((resume) => void socket.write(bytes, () => resume(Effect.void)))

/** Ends a socket at once. Only TCP has resets. */
export const endSocket = (socket: Net.Socket, ending: Ending): void => {
  if (ending === "FIN") socket.end()
  else if (socket.remoteFamily === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

export interface Options {
  readonly source: Net.Socket
  readonly destination: Net.Socket
  readonly conditions: () => Conditions
  /** Ends the whole connection. */
  readonly end: (ending: Ending) => void
  readonly random: Random
  readonly record: boolean
}

export class Line {
  private readonly options: Options
  private readonly parcels = Effect.runSync(Queue.unbounded<Parcel>())
  private readonly recorded: Array<Buffer> = []
  private waiting = 0
  private passed = 0
  private freeAt = 0

  constructor(options: Options) {
    this.options = options
    options.source.on("data", this.take)
    options.source.on("end", () => this.send("FIN"))
    options.source.on("error", () => this.send("RST"))
  }

  get traffic(): Traffic {
    return { passed: this.passed, seen: Buffer.concat(this.recorded) }
  }

  /** Passes on what arrives, until it is interrupted. */
  get run(): Effect.Effect<never> {
    return Queue.take(this.parcels).pipe(
      Effect.tap(({ due }) => until(due)),
      Effect.flatMap(({ content }) => typeof content === "string" ? this.end(content) : this.deliver(content)),
      Effect.forever
    )
  }

  /** Ends the connection if `cutAfter` is reached. */
  cutIfDue(): void {
    const { cutAfter } = this.options.conditions()
    if (cutAfter !== undefined && this.passed >= cutAfter.bytes) this.options.end(cutAfter.ending)
  }

  /** Ends this direction at once, and drops what it has not passed on. */
  close(ending: Ending): void {
    this.options.source.off("data", this.take).resume()
    endSocket(this.options.destination, ending)
  }

  private readonly take = (bytes: Buffer): void => {
    if (this.options.record) this.recorded.push(bytes)
    this.waiting += bytes.length
    if (this.waiting > room) this.options.source.pause()
    this.send(bytes)
  }

  private send(content: Buffer | Ending): void {
    const { jitter = 0, latency = 0 } = this.options.conditions()
    const delay = Duration.toMillis(latency) + this.options.random.next() * Duration.toMillis(jitter)
    Queue.unsafeOffer(this.parcels, { due: performance.now() + delay, content })
  }

  private end(ending: Ending): Effect.Effect<void> {
    return Effect.map(readersTurn, () => {
      if (this.loses) return
      if (ending === "RST") this.options.end(ending)
      else endSocket(this.options.destination, ending)
    })
  }

  private deliver(bytes: Buffer): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      let rest = bytes
      while (rest.length > 0) {
        yield* until(this.freeAt)
        const piece = rest.subarray(0, this.pieceSize)
        if (!this.loses) yield* this.pass(piece)
        rest = rest.subarray(piece.length)
      }
      this.waiting -= bytes.length
      if (this.waiting <= room) this.options.source.resume()
    })
  }

  private pass(piece: Buffer): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      const { bandwidth = Infinity, chunk, cutAfter } = this.options.conditions()
      // A timer fires late rather than early. A delay below one tick is made up for.
      this.freeAt = Math.max(this.freeAt, performance.now() - tick) + piece.length / bandwidth * 1000
      yield* write(this.options.destination, piece)
      this.passed += piece.length
      if (chunk !== undefined || cutAfter !== undefined) yield* readersTurn
      this.cutIfDue()
    })
  }

  /** Whether what arrives now is dropped. */
  private get loses(): boolean {
    return this.options.conditions().silence === true || !this.options.destination.writable
  }

  private get pieceSize(): number {
    const { bandwidth = Infinity, chunk = Infinity, cutAfter } = this.options.conditions()
    const inATick = Math.max(1, Math.floor(bandwidth * tick / 1000))
    const beforeCut = cutAfter === undefined || this.passed >= cutAfter.bytes ? Infinity : cutAfter.bytes - this.passed
    return Math.min(chunk, inATick, beforeCut)
  }
}
