/**
 * One way of a connection, as a network would have it: bytes go through in order, but late, slowly, in pieces, or not at
 * all.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Net from "node:net"
import type { Random } from "./random.ts"

/** How a connection ends: in order, or with a reset. */
export type Ending = "FIN" | "RST"

/** What bytes meet on their way. By default: nothing. */
export interface Conditions {
  /** What every byte takes. Those on their way already keep the latency that they left with. */
  readonly latency?: Duration.DurationInput | undefined
  /** By how much the latency may be longer, at random. No byte overtakes another. */
  readonly jitter?: Duration.DurationInput | undefined
  /** In bytes per second, above 0. */
  readonly bandwidth?: number | undefined
  /** No more bytes than this arrive at once. Whoever reads late may still find many. */
  readonly chunk?: number | undefined
  /** What arrives is swallowed, the end of the connection too; it is lost, also when the silence is over. */
  readonly silence?: boolean | undefined
  /** Ends the whole connection as soon as so many bytes, counted from its beginning, have passed. */
  readonly cutAfter?: { readonly bytes: number; readonly ending: Ending } | undefined
}

/** What went one way of a connection. */
export interface Traffic {
  /** The bytes that were written to the other side. */
  readonly passed: number
  /** The bytes that came from this side, also those that never passed. Empty unless they are recorded. */
  readonly seen: Buffer
}

interface Parcel {
  /** When it arrives. */
  readonly due: number
  readonly content: Buffer | Ending
}

/** More than this does not wait on a line: whoever sends it must wait. */
const room = 4 * 1024 * 1024

/** What bandwidth is measured by, in milliseconds: a piece is what passes in one. */
const tick = 10

/** A proxy delays what is real, whatever a test makes of its own clock. */
const clock = Clock.make()

/** A timer may fire a little early, but nothing goes before its time. */
const until = (due: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = due - performance.now()
    return left <= 0 ? Effect.void : Effect.zipRight(clock.sleep(Duration.millis(left)), until(due))
  })

/**
 * Gives whoever reads in this process the time to read: a first immediate may still come before the event loop looks for
 * what there is to read. Node takes a reset that it finds together with bytes for a FIN.
 */
const readersTurn = Effect.async<void>((resume) => void setImmediate(setImmediate, () => resume(Effect.void)))

const write = (socket: Net.Socket, bytes: Buffer) =>
  Effect.async<void>((resume) => void socket.write(bytes, () => resume(Effect.void)))

/** Ends a socket, now. Nothing but TCP knows resets. */
export const endSocket = (socket: Net.Socket, ending: Ending): void => {
  if (ending === "FIN") socket.end()
  else if (socket.remoteFamily === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

export interface Options {
  readonly source: Net.Socket
  readonly destination: Net.Socket
  /** What is met now. */
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

  /** Passes on what comes, for as long as it runs. */
  get run(): Effect.Effect<never> {
    return Queue.take(this.parcels).pipe(
      Effect.tap(({ due }) => until(due)),
      Effect.flatMap(({ content }) => typeof content === "string" ? this.end(content) : this.deliver(content)),
      Effect.forever
    )
  }

  /** Ends the connection if enough bytes have passed. */
  cutIfDue(): void {
    const { cutAfter } = this.options.conditions()
    if (cutAfter !== undefined && this.passed >= cutAfter.bytes) this.options.end(cutAfter.ending)
  }

  /** Ends this way, now: what is on its way and what still comes go nowhere. */
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
      // A timer fires late rather than early; by less than a tick, it is made up for.
      this.freeAt = Math.max(this.freeAt, performance.now() - tick) + piece.length / bandwidth * 1000
      yield* write(this.options.destination, piece)
      this.passed += piece.length
      if (chunk !== undefined || cutAfter !== undefined) yield* readersTurn
      this.cutIfDue()
    })
  }

  /** Whether what arrives now goes nowhere. */
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
