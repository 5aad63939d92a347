/** Scripts of what is done to a pair of servers, and how they are run. */
import * as Data from "effect/Data"
import { Difference, type Pair, type Peer, second } from "./differentialPair.ts"

/** `who` is the number of a connection. Only number 0 sends while it waits in a reserve, so that at most one has commands to be executed later. */
export type Step =
  | { readonly does: "open" | "end" | "close" | "reset"; readonly who: number }
  /** Each character is a byte, or a placeholder of an id: {@link jobMark}. */
  | { readonly does: "send"; readonly who: number; readonly text: string }
  | { readonly does: "advance"; readonly grains: number }
  /** Exactly to the time at which the next delay, pause or timeout is due. */
  | { readonly does: "advance-to-next" }
  | { readonly does: "drain" }

export type Script = ReadonlyArray<Step>

const marks = 0xe000

/** A placeholder of the id of the n-th job of the script, counted from 0, which may not exist yet. */
export const jobMark = (n: number): string => String.fromCharCode(marks + Math.min(n, 999))

const marked = /[\ue000-\ue3e7]/g

/** The script has led to a defect of the real server that the broker does not have. */
export class Incomparable extends Data.TaggedError("Incomparable") {}

/** What the next step may depend on. */
export interface ScriptState {
  readonly isTimed: boolean
  readonly steps: number
  /** How many ids have been consumed. */
  readonly jobs: number
  readonly isOpen: (who: number) => boolean
  readonly isWaiting: (who: number) => boolean
  /** The jobs that a connection has reserved. */
  readonly holds: (who: number) => ReadonlyArray<number>
  readonly jobsIn: (state: "ready" | "delayed" | "buried") => ReadonlyArray<number>
}

/** A kernel may delay what is sent after so many writes without a reply. */
const mostUnanswered = 5

/** How many bytes may be sent after a reserve that waits: with more, the kernel delays the close of the connection. */
const mostUnread = 8000

/** The size of the buffer into which the real server reads lines. */
const bufferSize = 224

export class ScriptRunner implements ScriptState {
  steps = 0
  readonly performed: Array<Step> = []
  private readonly pair: Pair
  private readonly peers = new Map<number, Peer>()
  private firstId = 0
  private opened = 0
  /** Fractions of a second at which something has happened. */
  private readonly phases = new Set<number>()
  /** The connections that have sent a reserve-with-timeout. */
  private readonly timed = new Set<Peer>()

  constructor(pair: Pair) {
    this.pair = pair
  }

  /** Runs until there is no next step, and then cleans up. */
  async run(next: (state: ScriptState) => Step | undefined): Promise<void> {
    await this.learnFirstId()
    for (let step = next(this); step !== undefined; step = next(this)) {
      this.steps += 1
      this.performed.push(step)
      await this.step(step)
    }
    await this.finish()
  }

  // State

  get isTimed(): boolean {
    return this.pair.isTimed
  }

  get jobs(): number {
    return this.pair.lastId + 1 - this.firstId
  }

  isOpen(who: number): boolean {
    return this.peers.get(who)?.expected.isClosed === false
  }

  isWaiting(who: number): boolean {
    return this.peers.get(who)?.connection.client.isWaiting === true
  }

  holds(who: number): ReadonlyArray<number> {
    return Array.from(this.peers.get(who)?.connection.client.held ?? [], ({ id }) => id - this.firstId)
  }

  jobsIn(state: "ready" | "delayed" | "buried"): ReadonlyArray<number> {
    const { list } = this.pair.broker.store.tubes
    return list.flatMap((tube) => {
      if (state !== "buried") return Array.from(tube[state], ({ id }) => id - this.firstId)
      const buried: Array<number> = []
      for (let job = tube.buried.head; job !== undefined; job = job.next) buried.push(job.id - this.firstId)
      return buried
    })
  }

  private get isUploading(): boolean {
    return [...this.pair.broker.store.jobs.values()].some(({ state }) => state === "invalid")
  }

  // Steps

  private async step(step: Step): Promise<void> {
    if (step.does === "drain") return this.pair.drain()
    if (step.does === "advance") return this.isTimed ? this.advance(this.pair.now + step.grains) : undefined
    if (step.does === "advance-to-next") return this.isTimed ? this.advanceToNext() : undefined
    if (step.does === "open") {
      if (this.isOpen(step.who)) return
      await this.letTimePass()
      this.peers.set(step.who, await this.pair.open(`${step.who}.${this.opened += 1}`))
      return
    }
    const peer = this.peers.get(step.who)
    if (peer === undefined || peer.expected.isClosed) return
    if (step.does === "send") await this.send(peer, step.who, step.text)
    else if (step.does !== "end") await this.leave(peer, step.who, step.does)
    else if (!peer.hasEnded) {
      await this.letTimePass()
      await this.pair.end(peer)
    }
    await this.leaveStale()
  }

  private async leave(peer: Peer, who: number, how: "close" | "reset"): Promise<void> {
    await this.letTimePass()
    this.peers.delete(who)
    // How many commands after a reserve are executed, before a write fails, depends on the kernel.
    const isUncertain = peer.connection.client.isWaiting && peer.connection.backlog > 0
    await this.pair.leave(peer, isUncertain ? "reset" : how)
  }

  private async send(peer: Peer, who: number, text: string): Promise<void> {
    if (peer.hasEnded || (peer.connection.client.isWaiting && who !== 0)) return
    if (peer.unanswered >= mostUnanswered) return
    // A kernel whose buffers are full delays even the close of the connection.
    if (who === 0 && text.length > mostUnread && (peer.connection.client.isWaiting || text.includes("reserve"))) return
    // The real server answers peek of a job that is being uploaded with uninitialized memory.
    if (text.includes("peek ") && this.isUploading) return
    const bytes = Buffer.from(text.replace(marked, (mark) => `${this.firstId + mark.charCodeAt(0) - marks}`), "latin1")
    // The real server loses a CRLF at the end of its buffer. Where that is, is known only at the beginning of a line.
    if (peer.unanswered > 0 && /[^\r]{200}/.test(text)) return
    if (
      peer.connection.backlog > 0 && !peer.connection.client.isWaiting && hasCROnEdge(bytes, peer.connection.backlog)
    ) return
    await this.letTimePass()
    if (text.includes("reserve-with-timeout")) this.timed.add(peer)
    const anotherHasBacklog = [...this.peers.values()].some((other) =>
      other !== peer && other.connection.client.isWaiting && other.connection.backlog > 0
    )
    // The order in which the real server executes commands of two connections at the same time is unknown.
    if (anotherHasBacklog || (who !== 0 && text.includes("reserve"))) {
      for (const line of linesOf(bytes)) {
        if (peer.expected.isClosed || (peer.connection.client.isWaiting && who !== 0)) return
        await this.pair.send(peer, line)
      }
    } else {
      await this.pair.send(peer, bytes)
    }
    this.failOnTies()
  }

  // Time

  /** Gives each step its own fraction of a second, so that the timeouts that different steps set are not due at the same time. */
  private async letTimePass(): Promise<void> {
    if (this.isTimed) await this.advance(this.pair.now + 1)
  }

  private async advance(to: number): Promise<void> {
    let at = to
    for (const { connection } of this.peers.values()) {
      const { held, isWaiting } = connection.client
      // DEADLINE_SOON has to be sent in a tick before the job times out.
      if (isWaiting && held.head !== undefined) at = Math.min(at, held.head.deadline * (second / 1000) - second / 2)
    }
    while (this.phases.has(at % second)) at += 1
    this.phases.add(at % second)
    await this.pair.advance(at)
    await this.leaveStale()
    this.failOnTies()
  }

  private async advanceToNext(): Promise<void> {
    const next = this.pair.broker.nextTick * (second / 1000)
    if (next === Number.POSITIVE_INFINITY) return
    for (const { connection } of this.peers.values()) {
      // The real server does not time out a job at exactly its deadline, or later.
      for (const { deadline } of connection.client.held) {
        if (deadline * (second / 1000) === next) return this.advance(next + 1)
      }
    }
    await this.pair.advance(next)
    await this.leaveStale()
    this.failOnTies()
  }

  /** In the real server a timeout remains after DEADLINE_SOON. */
  private async leaveStale(): Promise<void> {
    if (!this.isTimed) return
    for (const [who, peer] of this.peers) {
      const isStale = this.timed.has(peer) && this.pair.log.includes(`${peer.name} < "DEADLINE_SOON"`)
      if (!isStale || peer.expected.isClosed) continue
      this.peers.delete(who)
      await this.pair.leave(peer, "close")
    }
  }

  /** The real server may lose one of two connections whose timers are due at the same time, and use its freed memory. */
  private failOnTies(): void {
    if (!this.isTimed) return
    const times = [...this.peers.values()]
      .filter(({ expected }) => !expected.isClosed)
      .map(({ connection }) => connection.client.timerAt)
      .filter((time) => time < Number.POSITIVE_INFINITY)
    if (new Set(times).size < times.length) throw new Incomparable()
  }

  // Start and end

  private async learnFirstId(): Promise<void> {
    const { control } = this.pair
    this.pair.log = []
    await this.pair.send(control, Buffer.from("put 0 0 1000 0\r\n\r\n"))
    await this.pair.send(control, Buffer.from(`delete ${this.pair.lastId}\r\n`))
    this.firstId = this.pair.lastId + 1
  }

  /** Half-closes all connections, reads their last replies, deletes all jobs and compares the statistics. */
  private async finish(): Promise<void> {
    for (const peer of this.peers.values()) {
      if (peer.expected.isClosed) continue
      await this.letTimePass()
      await this.pair.end(peer)
      if (!peer.expected.isClosed) throw new Difference({ who: peer.name, expected: ["(closed)"], received: [] })
    }
    const { control } = this.pair
    const ids = ["ready", "delayed", "buried"] as const
    const left = ids.flatMap((state) => this.jobsIn(state)).map((n) => `delete ${n + this.firstId}\r\n`)
    const unpause = this.isTimed ? "" : "pause-tube default 0\r\n"
    const ask = `${left.join("")}${unpause}stats\r\nlist-tubes\r\nstats-tube default\r\n`
    await this.pair.send(control, Buffer.from(ask))
  }
}

const hasCROnEdge = (bytes: Uint8Array, buffered: number): boolean => {
  for (let i = (2 * bufferSize - 1 - buffered) % bufferSize; i < bytes.length; i += bufferSize) {
    if (bytes[i] === 13) return true
  }
  return false
}

const linesOf = (bytes: Buffer): ReadonlyArray<Buffer> => {
  const lines: Array<Buffer> = []
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(10, start)
    const next = end < 0 ? bytes.length : end + 1
    lines.push(bytes.subarray(start, next))
    start = next
  }
  return lines
}
