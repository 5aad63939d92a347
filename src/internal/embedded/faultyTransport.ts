/**
 * The way between one client and its connection, with all that can go wrong on it.
 *
 * What the server says is not heard before the event loop has had a turn: a client is never called from within its own write.
 */
import { type Linked, LinkedList } from "../base/linkedList.ts"
import type { Broker } from "../broker/broker.ts"
import type { Connection } from "../broker/connection.ts"

/** The client's end. */
export interface ClientEnd {
  /** False asks for nothing more until `resume` is called. */
  readonly deliver: (bytes: Uint8Array) => boolean
  /** Whether what the client says can be read, or would only have to be kept. It may be told the same again. */
  readonly listen: (isListening: boolean) => void
  /** The server has closed. */
  readonly end: () => void
  /** The connection was cut. */
  readonly reset: () => void
}

interface Frame extends Linked<Frame> {
  /** When it is heard. */
  at: number
  /** `undefined` says that the server has closed. */
  readonly bytes: Uint8Array | undefined
}

/** What is wrong with a line, until it heals. */
export interface TransportFaults {
  isSilent: boolean
  /** With the last of these bytes of its client it is cut. */
  requestsLeft: number
  /** With the last of these bytes of the server it is cut. */
  repliesLeft: number
  /** How much later than it is said something is heard, in milliseconds. */
  delay: number
  /** Of the pieces in which the server is heard, in bytes. */
  pieceSize: number
}

export const noFaults: Readonly<TransportFaults> = {
  isSilent: false,
  requestsLeft: Number.POSITIVE_INFINITY,
  repliesLeft: Number.POSITIVE_INFINITY,
  delay: 0,
  pieceSize: Number.POSITIVE_INFINITY
}

/** A server stops talking when this many of its bytes are still to be heard. */
const mostUnheard = 1024 * 1024

/** A client is not listened to any more when this many of its bytes cannot be read yet, because it waits in a reserve. */
const mostUnread = 64 * 1024

/** What a line needs of the host it belongs to. */
export interface TransportHost {
  readonly broker: Broker
  readonly now: () => number
  /** Lets something happen to the broker, with all that follows from it. */
  readonly act: (what: () => void) => void
  /** Calls `deliver` soon. */
  readonly deliverSoon: (line: FaultyTransport) => void
  readonly forget: (line: FaultyTransport) => void
  /** What is to be said in the server's place, once. */
  readonly takeAnswer: () => Uint8Array | undefined
}

export class FaultyTransport {
  readonly connection: Connection
  private readonly host: TransportHost
  private readonly door: ClientEnd
  private sayings = new LinkedList<Frame>()
  private unheard = 0
  private heldBack: Array<() => void> = []
  /** The client reads too slowly. */
  private isBlocked = false
  private isOver = false
  private readonly troubles: TransportFaults

  constructor(host: TransportHost, door: ClientEnd, troubles: Readonly<TransportFaults>) {
    this.host = host
    this.door = door
    this.troubles = { ...troubles }
    this.connection = host.broker.connect({
      write: (bytes) => this.say(bytes),
      close: () => void this.say(undefined)
    })
    this.listen()
  }

  // What the client does

  receive(chunk: Uint8Array): void {
    if (this.isOver) return
    this.arrive(() => {
      const answer = this.host.takeAnswer()
      if (answer !== undefined) return void this.say(answer)
      const { requestsLeft } = this.troubles
      const part = chunk.length < requestsLeft ? chunk : chunk.subarray(0, requestsLeft)
      this.troubles.requestsLeft -= part.length
      this.connection.receive(part)
      if (this.troubles.requestsLeft === 0) this.cut()
      this.listen()
    })
  }

  /** The client says no more, but still listens. */
  end(): void {
    this.arrive(() => this.connection.end())
  }

  /** The client has closed. */
  hangUp(): void {
    this.finish()
    this.arrive(() => {
      this.connection.hangUp()
      this.host.forget(this)
    })
  }

  /** The client is gone. */
  reset(): void {
    this.finish()
    this.arrive(() => {
      this.connection.close()
      this.host.forget(this)
    })
  }

  /** The client reads again. */
  resume(): void {
    this.isBlocked = false
    this.host.deliverSoon(this)
  }

  // What goes wrong

  trouble(troubles: Partial<TransportFaults>): void {
    Object.assign(this.troubles, troubles)
    this.listen()
  }

  heal(): void {
    this.trouble(noFaults)
    for (let saying = this.sayings.head; saying !== undefined; saying = saying.next) saying.at = this.host.now()
    const heldBack = this.heldBack
    this.heldBack = []
    for (const what of heldBack) what()
    this.host.deliverSoon(this)
  }

  cut(): void {
    // A client may have closed already, in a silence in which the server has not heard of it.
    const isClientGone = this.isOver
    this.finish()
    this.connection.close()
    this.host.forget(this)
    if (!isClientGone) this.door.reset()
  }

  private finish(): void {
    this.isOver = true
    this.sayings = new LinkedList()
  }

  private arrive(what: () => void): void {
    if (this.troubles.isSilent) this.heldBack.push(what)
    else this.host.act(what)
  }

  // What the server says

  private say(bytes: Uint8Array | undefined): boolean {
    if (this.isOver) return true
    this.sayings.push({ at: this.host.now() + this.troubles.delay, bytes, previous: undefined, next: undefined })
    this.unheard += bytes?.length ?? 0
    this.host.deliverSoon(this)
    return this.unheard < mostUnheard
  }

  /** When there is something to deliver. */
  get deliversAt(): number {
    return this.troubles.isSilent || this.isBlocked
      ? Number.POSITIVE_INFINITY
      : this.sayings.head?.at ?? Number.POSITIVE_INFINITY
  }

  /** Delivers what it is time for, of what has been said so far. */
  deliver(now: number): void {
    for (let left = this.sayings.length; left > 0 && this.deliversAt <= now; left--) {
      const { bytes } = this.sayings.shift()!
      if (bytes === undefined) return this.close()
      this.unheard -= bytes.length
      this.deliverPieces(bytes)
    }
    if (this.unheard < mostUnheard) this.connection.resume()
    this.listen()
  }

  private listen(): void {
    if (!this.isOver) this.door.listen(!this.troubles.isSilent && this.connection.backlog < mostUnread)
  }

  private close(): void {
    this.finish()
    this.host.forget(this)
    this.door.end()
  }

  private deliverPieces(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length && !this.isOver;) {
      const size = Math.min(this.troubles.pieceSize, this.troubles.repliesLeft, bytes.length - offset)
      if (!this.door.deliver(bytes.subarray(offset, offset + size))) this.isBlocked = true
      offset += size
      this.troubles.repliesLeft -= size
      if (this.troubles.repliesLeft === 0) this.cut()
    }
  }
}
