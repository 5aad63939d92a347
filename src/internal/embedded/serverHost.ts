/**
 * A broker and its clients, with the time and the faults. Whatever comes to the broker comes through here, and at the end of
 * each call the alarm is set for what will happen next by itself.
 */
import * as Duration from "effect/Duration"
import { onNextMacrotask } from "../base/macrotask.ts"
import { Broker } from "../broker/broker.ts"
import type { OnJobEvent } from "../broker/jobStore.ts"
import type { Identity } from "../broker/statsDocuments.ts"
import type { Fault } from "./fault.ts"
import {
  type ClientEnd,
  FaultyTransport,
  noFaults,
  type TransportFaults,
  type TransportHost
} from "./faultyTransport.ts"

export interface ServerHostOptions {
  readonly identity: Identity
  readonly now: () => number
  readonly onEvent: OnJobEvent
  /** Asks for a call of `ring` at this time. */
  readonly onNextTick: (at: number) => void
}

export class ServerHost implements TransportHost {
  readonly broker: Broker
  readonly now: () => number
  private readonly onNextTick: (at: number) => void
  private readonly lines = new Set<FaultyTransport>()
  /** Those that have something to deliver, perhaps later. */
  private delivering = new Set<FaultyTransport>()
  /** When the first of those is to be looked at that are not waiting for a turn. */
  private nextDelivery = Number.POSITIVE_INFINITY
  private isTurnAwaited = false
  /** Of the lines that are opened now. */
  private troubles: Readonly<TransportFaults> = noFaults
  private answers: Array<Uint8Array> = []
  private isRefusing = false
  private isClosed = false

  constructor({ identity, now, onEvent, onNextTick }: ServerHostOptions) {
    this.now = now
    this.onNextTick = onNextTick
    this.broker = new Broker(identity, onEvent)
  }

  /** `undefined` when nobody can connect. */
  open(door: ClientEnd): FaultyTransport | undefined {
    if (this.isRefusing || this.isClosed) return undefined
    const line = new FaultyTransport(this, door, this.troubles)
    this.lines.add(line)
    return line
  }

  /** Cuts all connections, and lets nobody connect any more. */
  close(): void {
    this.isClosed = true
    this.inject({ _tag: "Cut" })
  }

  fire(): void {
    this.act(() => this.deliver())
  }

  inject(fault: Fault): void {
    this.act(() => this.injectNow(fault))
  }

  heal(): void {
    this.act(() => {
      this.troubles = noFaults
      this.answers = []
      this.isRefusing = false
      this.broker.store.memory = "enough"
      for (const line of this.lines) line.heal()
    })
  }

  private injectNow(fault: Fault): void {
    switch (fault._tag) {
      case "Cut":
        for (const line of this.lines) line.cut()
        return
      case "CutAfterRequest":
        return this.trouble({ requestsLeft: fault.bytes })
      case "CutAfterReply":
        return this.trouble({ repliesLeft: fault.bytes })
      case "Silence":
        return this.trouble({ isSilent: true })
      case "Delay":
        return this.trouble({ delay: Duration.toMillis(fault.duration) })
      case "Chunks":
        return this.trouble({ pieceSize: Math.max(1, fault.bytes) })
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

  private trouble(troubles: Partial<TransportFaults>): void {
    this.troubles = { ...this.troubles, ...troubles }
    for (const line of this.lines) line.trouble(troubles)
  }

  // What lines need

  act(what: () => void): void {
    this.broker.at(this.now(), what)
    this.askForNextTick()
  }

  deliverSoon(line: FaultyTransport): void {
    this.delivering.add(line)
    if (this.isTurnAwaited) return
    this.isTurnAwaited = true
    onNextMacrotask(() => {
      this.isTurnAwaited = false
      this.fire()
    })
  }

  forget(line: FaultyTransport): void {
    this.lines.delete(line)
    this.delivering.delete(line)
  }

  takeAnswer(): Uint8Array | undefined {
    return this.answers.shift()
  }

  private deliver(): void {
    // Looked at once: what becomes due meanwhile would be neither delivered nor waited for.
    const now = this.now()
    // What clients say meanwhile is answered in the next turn: two that talk without end would let nothing else happen.
    const lines = this.delivering
    this.delivering = new Set()
    this.nextDelivery = Number.POSITIVE_INFINITY
    for (const line of lines) {
      line.deliver(now)
      const { deliversAt } = line
      // One that was spoken to meanwhile is waiting for the event loop's turn, and not for a time.
      if (deliversAt === Number.POSITIVE_INFINITY || this.delivering.has(line)) continue
      this.delivering.add(line)
      this.nextDelivery = Math.min(this.nextDelivery, deliversAt)
    }
  }

  private askForNextTick(): void {
    const next = Math.min(this.broker.nextTick, this.nextDelivery)
    if (next < Number.POSITIVE_INFINITY) this.onNextTick(next)
  }
}
