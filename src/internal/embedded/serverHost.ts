/**
 * A broker with its transports, the present time, and the faults. Everything that is done to the broker goes through `run`, which
 * also sets the timer for what is due next.
 */
import * as Duration from "effect/Duration"
import { onNextMacrotask } from "../base/macrotask.ts"
import { Broker } from "../broker/broker.ts"
import type { OnJobEvent } from "../broker/jobStore.ts"
import type { ServerIdentity } from "../broker/statsDocuments.ts"
import type { Fault } from "./fault.ts"
import {
  type ClientEnd,
  FaultyTransport,
  noFaults,
  type TransportFaults,
  type TransportHost
} from "./faultyTransport.ts"

export interface ServerHostOptions {
  readonly identity: ServerIdentity
  readonly now: () => number
  readonly onEvent: OnJobEvent
  /** Sets a timer that calls `fire` at this time, or earlier. */
  readonly setTimer: (at: number) => void
}

export class ServerHost implements TransportHost {
  readonly broker: Broker
  readonly now: () => number
  private readonly setTimer: (at: number) => void
  private readonly transports = new Set<FaultyTransport>()
  /** The transports with frames to deliver, now or later. */
  private delivering = new Set<FaultyTransport>()
  /** When the first delayed frame arrives. Frames without a delay are delivered in the next turn of the event loop. */
  private nextDelivery = Number.POSITIVE_INFINITY
  private isDeliveryScheduled = false
  /** The faults of transports that are opened from now on. */
  private faults: Readonly<TransportFaults> = noFaults
  private answers: Array<Uint8Array> = []
  private isRefusing = false
  private isClosed = false

  constructor({ identity, now, onEvent, setTimer }: ServerHostOptions) {
    this.now = now
    this.setTimer = setTimer
    this.broker = new Broker(identity, onEvent)
  }

  /** `undefined` when the connection is refused. */
  open(clientEnd: ClientEnd): FaultyTransport | undefined {
    if (this.isRefusing || this.isClosed) return undefined
    const transport = new FaultyTransport(this, clientEnd, this.faults)
    this.transports.add(transport)
    return transport
  }

  /** Resets all connections, and refuses new ones from now on. */
  close(): void {
    this.isClosed = true
    this.inject({ _tag: "Cut" })
  }

  /** Does what is due. */
  fire(): void {
    this.run(() => this.deliver())
  }

  // Faults

  inject(fault: Fault): void {
    this.run(() => this.injectNow(fault))
  }

  heal(): void {
    this.run(() => {
      this.faults = noFaults
      this.answers = []
      this.isRefusing = false
      this.broker.store.memory = "enough"
      for (const transport of this.transports) transport.heal()
    })
  }

  private injectNow(fault: Fault): void {
    switch (fault._tag) {
      case "Cut":
        for (const transport of this.transports) transport.cut()
        return
      case "CutAfterRequest":
        return this.injectIntoTransports({ requestBytesLeft: fault.bytes })
      case "CutAfterReply":
        return this.injectIntoTransports({ replyBytesLeft: fault.bytes })
      case "Silence":
        return this.injectIntoTransports({ isSilent: true })
      case "Delay":
        return this.injectIntoTransports({ delay: Duration.toMillis(fault.duration) })
      case "Chunks":
        return this.injectIntoTransports({ chunkSize: Math.max(1, fault.bytes) })
      case "Answer":
        this.answers.push(fault.bytes)
        return
      case "Refuse":
        this.isRefusing = true
        return
      case "NoMemory":
        this.broker.store.memory = "none"
        return
      case "NoMemoryForQueues":
        this.broker.store.memory = "none-for-queues"
        return
    }
  }

  private injectIntoTransports(faults: Partial<TransportFaults>): void {
    this.faults = { ...this.faults, ...faults }
    for (const transport of this.transports) transport.inject(faults)
  }

  // Called by transports

  run(action: () => void): void {
    this.broker.runAt(this.now(), action)
    const next = Math.min(this.broker.nextTick, this.nextDelivery)
    if (next < Number.POSITIVE_INFINITY) this.setTimer(next)
  }

  deliverSoon(transport: FaultyTransport): void {
    this.delivering.add(transport)
    if (this.isDeliveryScheduled) return
    this.isDeliveryScheduled = true
    onNextMacrotask(() => {
      this.isDeliveryScheduled = false
      this.fire()
    })
  }

  remove(transport: FaultyTransport): void {
    this.transports.delete(transport)
    this.delivering.delete(transport)
  }

  takeAnswer(): Uint8Array | undefined {
    return this.answers.shift()
  }

  private deliver(): void {
    // Read once: a frame that arrives between two readings would be neither delivered nor waited for.
    const now = this.now()
    // Replies to what clients send meanwhile are left to the next turn: two clients that answer each other without end would
    // block the event loop.
    const transports = this.delivering
    this.delivering = new Set()
    this.nextDelivery = Number.POSITIVE_INFINITY
    for (const transport of transports) {
      transport.deliver(now)
      const { deliversAt } = transport
      // A transport that was added to `delivering` meanwhile has the next turn, and needs no timer.
      if (deliversAt === Number.POSITIVE_INFINITY || this.delivering.has(transport)) continue
      this.delivering.add(transport)
      this.nextDelivery = Math.min(this.nextDelivery, deliversAt)
    }
  }
}
