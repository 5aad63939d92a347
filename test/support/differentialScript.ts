/** What is done to two servers that ought to be alike, and how one plays it. */
import * as Data from "effect/Data"
import { Difference, type Pair, type Peer, second } from "./differentialPair.ts"

/** Connections have numbers. Number 0 alone says things while it waits in a reserve, so that only one has something to do. */
export type Step =
  | { readonly does: "open" | "end" | "close" | "reset"; readonly who: number }
  /** Each character is a byte, or stands for an id: {@link jobMark}. */
  | { readonly does: "say"; readonly who: number; readonly text: string }
  | { readonly does: "advance"; readonly grains: number }
  /** To the very moment at which something will happen. */
  | { readonly does: "advance-to-next" }
  | { readonly does: "drain" }

export type Script = ReadonlyArray<Step>

const marks = 0xe000

/** Stands in a text for the id of the n-th job of the script, counted from 0, or for one that does not exist yet. */
export const jobMark = (n: number): string => String.fromCharCode(marks + Math.min(n, 999))

const marked = /[\ue000-\ue3e7]/g

/** Things that cannot be compared have come about: an error of the real server that is not to be imitated. */
export class Incomparable extends Data.TaggedError("Incomparable") {}

/** What the next step may depend on. */
export interface Scene {
  readonly isTimed: boolean
  readonly steps: number
  /** How many jobs there have been. */
  readonly jobs: number
  readonly isOpen: (who: number) => boolean
  readonly isWaiting: (who: number) => boolean
  /** The jobs that it holds. */
  readonly holds: (who: number) => ReadonlyArray<number>
  readonly standing: (state: "ready" | "delayed" | "buried") => ReadonlyArray<number>
}

/** A kernel that hears nothing back keeps to itself what is said beyond this, for a while. */
const mostUnanswered = 5

/** What can wait to be read behind a reserve. */
const mostUnread = 8000

/** How the real server cuts what it reads. */
const bufferSize = 224

export class Player implements Scene {
  steps = 0
  readonly played: Array<Step> = []
  private readonly pair: Pair
  private readonly peers = new Map<number, Peer>()
  private firstId = 0
  private opened = 0
  /** Where in a second something has happened already. */
  private readonly phases = new Set<number>()
  /** Those that have ever waited with a timeout. */
  private readonly timed = new Set<Peer>()

  constructor(pair: Pair) {
    this.pair = pair
  }

  /** Plays until there is no next step, and then tidies up. */
  async play(next: (scene: Scene) => Step | undefined): Promise<void> {
    await this.learnFirstId()
    for (let step = next(this); step !== undefined; step = next(this)) {
      this.steps += 1
      this.played.push(step)
      await this.step(step)
    }
    await this.finish()
  }

  // The scene

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

  standing(state: "ready" | "delayed" | "buried"): ReadonlyArray<number> {
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
    if (step.does === "say") await this.say(peer, step.who, step.text)
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
    // How much of what is behind a reserve is still done, before it shows that nobody hears it, is up to the kernel.
    const isUncertain = peer.connection.client.isWaiting && peer.connection.backlog > 0
    await this.pair.leave(peer, isUncertain ? "reset" : how)
  }

  private async say(peer: Peer, who: number, text: string): Promise<void> {
    if (peer.hasEnded || (peer.connection.client.isWaiting && who !== 0)) return
    if (peer.unanswered >= mostUnanswered) return
    // What a kernel has no room for keeps back even that the connection has been closed.
    if (who === 0 && text.length > mostUnread && (peer.connection.client.isWaiting || text.includes("reserve"))) return
    // The real server shows memory of others to one who looks at a job that is being uploaded.
    if (text.includes("peek ") && this.isUploading) return
    const bytes = Buffer.from(text.replace(marked, (mark) => `${this.firstId + mark.charCodeAt(0) - marks}`), "latin1")
    // The real server loses a CRLF that falls on the edge of its buffer, which is where it is said to be only if a line begins.
    if (peer.unanswered > 0 && /[^\r]{200}/.test(text)) return
    if (
      peer.connection.backlog > 0 && !peer.connection.client.isWaiting && hasCROnEdge(bytes, peer.connection.backlog)
    ) return
    await this.letTimePass()
    if (text.includes("reserve-with-timeout")) this.timed.add(peer)
    const somebodyHasMore = [...this.peers.values()].some((other) =>
      other !== peer && other.connection.client.isWaiting && other.connection.backlog > 0
    )
    // Of two that have something to do at the same time either may be the first to do it.
    if (somebodyHasMore || (who !== 0 && text.includes("reserve"))) {
      for (const line of linesOf(bytes)) {
        if (peer.expected.isClosed || (peer.connection.client.isWaiting && who !== 0)) return
        await this.pair.say(peer, line)
      }
    } else {
      await this.pair.say(peer, bytes)
    }
    this.lookForTies()
  }

  // Time

  /** Things that happen in different steps happen at different times, and whole seconds later they still do. */
  private async letTimePass(): Promise<void> {
    if (this.isTimed) await this.advance(this.pair.now + 1)
  }

  private async advance(to: number): Promise<void> {
    let at = to
    for (const { connection } of this.peers.values()) {
      const { held, isWaiting } = connection.client
      // One that waits is to be told of the end of its job before that ends.
      if (isWaiting && held.head !== undefined) at = Math.min(at, held.head.deadline * (second / 1000) - second / 2)
    }
    while (this.phases.has(at % second)) at += 1
    this.phases.add(at % second)
    await this.pair.advance(at)
    await this.leaveStale()
    this.lookForTies()
  }

  private async advanceToNext(): Promise<void> {
    const next = this.pair.broker.nextTick * (second / 1000)
    if (next === Number.POSITIVE_INFINITY) return
    for (const { connection } of this.peers.values()) {
      // The real server forgets a job when it looks in the very moment in which its time is over.
      for (const { deadline } of connection.client.held) {
        if (deadline * (second / 1000) === next) return this.advance(next + 1)
      }
    }
    await this.pair.advance(next)
    await this.leaveStale()
    this.lookForTies()
  }

  /** In the real server a timeout that was not needed lies in wait. */
  private async leaveStale(): Promise<void> {
    if (!this.isTimed) return
    for (const [who, peer] of this.peers) {
      const isStale = this.timed.has(peer) && this.pair.log.includes(`${peer.name} < "DEADLINE_SOON"`)
      if (!isStale || peer.expected.isClosed) continue
      this.peers.delete(who)
      await this.pair.leave(peer, "close")
    }
  }

  /** Of two connections with the same appointment the real server may lose one, and then use it when it is gone. */
  private lookForTies(): void {
    if (!this.isTimed) return
    const times = [...this.peers.values()]
      .filter(({ expected }) => !expected.isClosed)
      .map(({ connection }) => connection.client.timerAt)
      .filter((time) => time < Number.POSITIVE_INFINITY)
    if (new Set(times).size < times.length) throw new Incomparable()
  }

  // Beginning and end

  private async learnFirstId(): Promise<void> {
    const { control } = this.pair
    this.pair.log = []
    await this.pair.say(control, Buffer.from("put 0 0 1000 0\r\n\r\n"))
    await this.pair.say(control, Buffer.from(`delete ${this.pair.lastId}\r\n`))
    this.firstId = this.pair.lastId + 1
  }

  /** Half-closes everything, reads to the end, removes what is left and looks at all that was counted. */
  private async finish(): Promise<void> {
    for (const peer of this.peers.values()) {
      if (peer.expected.isClosed) continue
      await this.letTimePass()
      await this.pair.end(peer)
      if (!peer.expected.isClosed) throw new Difference({ who: peer.name, expected: ["(closed)"], heard: [] })
    }
    const { control } = this.pair
    const ids = ["ready", "delayed", "buried"] as const
    const left = ids.flatMap((state) => this.standing(state)).map((n) => `delete ${n + this.firstId}\r\n`)
    const unpause = this.isTimed ? "" : "pause-tube default 0\r\n"
    const ask = `${left.join("")}${unpause}stats\r\nlist-tubes\r\nstats-tube default\r\n`
    await this.pair.say(control, Buffer.from(ask))
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
