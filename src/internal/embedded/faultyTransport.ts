/**
 * Carries bytes between one client and its connection in the broker, and applies the faults that are injected.
 *
 * What the server writes is delivered in the next turn of the event loop at the earliest, so that a client is never called
 * within its own write.
 */
import { type Linked, LinkedList } from "../base/linkedList.ts"
import type { Broker } from "../broker/broker.ts"
import type { Connection } from "../broker/connection.ts"

/** The client's end of the transport, which the transport calls. */
export interface ClientEnd {
  /** Returns false when nothing more is to be delivered until `resume` is called. */
  readonly deliver: (bytes: Uint8Array) => boolean
  /**
   * Called with false while what the client sends cannot be processed, and would have to be kept in memory. It may be called
   * twice with the same value.
   */
  readonly setReading: (isReading: boolean) => void
  /** The server has closed the connection. */
  readonly end: () => void
  /** The connection is reset. */
  readonly reset: () => void
}

/** Something on its way to the client. */
interface Frame extends Linked<Frame> {
  arrivesAt: number
  /** `undefined` when the server closes the connection. */
  readonly bytes: Uint8Array | undefined
}

export interface TransportFaults {
  isSilent: boolean
  /** The connection is reset after this many bytes from the client. */
  requestBytesLeft: number
  /** The connection is reset after this many bytes to the client. */
  replyBytesLeft: number
  /** How long the server's bytes are on their way, in milliseconds. */
  delay: number
  /** How many of the server's bytes are delivered at once. */
  chunkSize: number
}

export const noFaults: Readonly<TransportFaults> = {
  isSilent: false,
  requestBytesLeft: Number.POSITIVE_INFINITY,
  replyBytesLeft: Number.POSITIVE_INFINITY,
  delay: 0,
  chunkSize: Number.POSITIVE_INFINITY
}

/** The server stops writing when this many of its bytes have not been delivered. */
const mostUndelivered = 1024 * 1024

/** The client is not read from when this many of its bytes wait for a reserve to end. */
const mostBacklog = 64 * 1024

/** What a transport needs from its server host. */
export interface TransportHost {
  readonly broker: Broker
  readonly now: () => number
  /** Runs an action on the broker or its connections, at the present time. */
  run(action: () => void): void
  /** Calls `deliver` of the transport in the next turn of the event loop. */
  deliverSoon(transport: FaultyTransport): void
  remove(transport: FaultyTransport): void
  /** Takes the next injected `Answer`, which is sent in place of a reply of the server. */
  takeAnswer(): Uint8Array | undefined
}

export class FaultyTransport {
  readonly connection: Connection
  private readonly serverHost: TransportHost
  private readonly clientEnd: ClientEnd
  private readonly faults: TransportFaults
  private frames = new LinkedList<Frame>()
  private undelivered = 0
  /** What the client did during `Silence`. */
  private postponed: Array<() => void> = []
  /** Whether the client reads more slowly than the server writes. */
  private isBlocked = false
  private isClosed = false

  constructor(serverHost: TransportHost, clientEnd: ClientEnd, faults: Readonly<TransportFaults>) {
    this.serverHost = serverHost
    this.clientEnd = clientEnd
    this.faults = { ...faults }
    this.connection = serverHost.broker.connect({
      write: (bytes) => this.send(bytes),
      close: () => void this.send(undefined)
    })
    this.updateReading()
  }

  // What the client does

  receive(chunk: Uint8Array): void {
    if (this.isClosed) return
    this.arrive(() => {
      const answer = this.serverHost.takeAnswer()
      if (answer !== undefined) return void this.send(answer)
      const { requestBytesLeft } = this.faults
      const part = chunk.length < requestBytesLeft ? chunk : chunk.subarray(0, requestBytesLeft)
      this.faults.requestBytesLeft -= part.length
      this.connection.receive(part)
      if (this.faults.requestBytesLeft === 0) this.cut()
      this.updateReading()
    })
  }

  /** The client sends nothing more, but still reads. */
  end(): void {
    this.arrive(() => this.connection.end())
  }

  /** The client has closed the connection in an orderly way. */
  hangUp(): void {
    this.close()
    this.arrive(() => {
      this.connection.hangUp()
      this.serverHost.remove(this)
    })
  }

  /** The client has reset the connection. */
  reset(): void {
    this.close()
    this.arrive(() => {
      this.connection.close()
      this.serverHost.remove(this)
    })
  }

  /** The client reads again. */
  resume(): void {
    this.isBlocked = false
    this.serverHost.deliverSoon(this)
  }

  private arrive(action: () => void): void {
    if (this.faults.isSilent) this.postponed.push(action)
    else this.serverHost.run(action)
  }

  // Faults. The host calls `heal` and `cut` within `run`.

  inject(faults: Partial<TransportFaults>): void {
    Object.assign(this.faults, faults)
    this.updateReading()
  }

  heal(): void {
    this.inject(noFaults)
    for (let frame = this.frames.head; frame !== undefined; frame = frame.next) frame.arrivesAt = this.serverHost.now()
    const { postponed } = this
    this.postponed = []
    for (const action of postponed) action()
    this.serverHost.deliverSoon(this)
  }

  /** Resets the connection at both ends. */
  cut(): void {
    // During `Silence` a client may have closed while its connection in the broker is still open.
    const isClosedByClient = this.isClosed
    this.close()
    this.connection.close()
    this.serverHost.remove(this)
    if (!isClosedByClient) this.clientEnd.reset()
  }

  /** From now on nothing is delivered to the client, or received from it. */
  private close(): void {
    this.isClosed = true
    this.frames = new LinkedList()
  }

  // What the server does

  private send(bytes: Uint8Array | undefined): boolean {
    if (this.isClosed) return true
    const arrivesAt = this.serverHost.now() + this.faults.delay
    this.frames.push({ arrivesAt, bytes, previous: undefined, next: undefined })
    this.undelivered += bytes?.length ?? 0
    this.serverHost.deliverSoon(this)
    return this.undelivered < mostUndelivered
  }

  /** When the next frame can be delivered. */
  get deliversAt(): number {
    return this.faults.isSilent || this.isBlocked
      ? Number.POSITIVE_INFINITY
      : this.frames.head?.arrivesAt ?? Number.POSITIVE_INFINITY
  }

  /** Delivers the frames that have arrived, but not those that are sent meanwhile. */
  deliver(now: number): void {
    for (let left = this.frames.length; left > 0 && this.deliversAt <= now; left--) {
      const { bytes } = this.frames.shift()!
      if (bytes === undefined) return this.deliverEnd()
      this.undelivered -= bytes.length
      this.deliverBytes(bytes)
    }
    if (this.undelivered < mostUndelivered) this.connection.resume()
    this.updateReading()
  }

  private deliverEnd(): void {
    this.close()
    this.serverHost.remove(this)
    this.clientEnd.end()
  }

  private deliverBytes(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length && !this.isClosed;) {
      const size = Math.min(this.faults.chunkSize, this.faults.replyBytesLeft, bytes.length - offset)
      if (!this.clientEnd.deliver(bytes.subarray(offset, offset + size))) this.isBlocked = true
      offset += size
      this.faults.replyBytesLeft -= size
      if (this.faults.replyBytesLeft === 0) this.cut()
    }
  }

  private updateReading(): void {
    if (!this.isClosed) this.clientEnd.setReading(!this.faults.isSilent && this.connection.backlog < mostBacklog)
  }
}
