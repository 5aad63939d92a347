/** One server of a cluster: its clients, and whether jobs are put there. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { type Client, State } from "../../BeanstalkClient.ts"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import type { SharedConnection } from "../client/sharedConnection.ts"

/**
 * Whether jobs are put on a server.
 *
 * - `Taking`: they are, while it is connected.
 * - `Draining`: it has answered `DRAINING` within the last 30 seconds.
 * - `Full`: it has answered `OUT_OF_MEMORY`, 2 seconds ago at most. Each time that it does so again after that, twice as long, up to 30
 *   seconds.
 * - `Silent`: it owes an answer, and has not sent any for `suspectAfter`.
 * - `Leaving`: it is not in the list of servers any more.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = "Taking" | "Draining" | "Full" | "Silent" | "Leaving"

/**
 * A server of a cluster, as it is at this moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  /** Its number, which is part of the ids of its jobs. */
  readonly id: number
  readonly address: string
  /** The state of the connection on which commands are sent. */
  readonly state: State
  readonly status: Status
  /** How many jobs it was sent, and has not acknowledged yet. */
  readonly owed: number
}

export interface MemberOptions {
  readonly id: number
  readonly weight: number
  /** With qualified ids. */
  readonly client: Client
  /** With the server's own ids. */
  readonly ownClient: Client
  readonly shared: SharedConnection
  readonly timers: TimerQueue
  /** In milliseconds. */
  readonly suspectAfter: number
  readonly onChange: () => void
}

/** In milliseconds. */
const drainingPause = 30_000
const firstFullPause = 2000
const longestFullPause = 30_000

export class ClusterMember {
  readonly id: number
  readonly address: string
  readonly client: Client
  readonly ownClient: Client
  readonly shared: SharedConnection
  weight: number
  /** How many jobs were sent and not answered. */
  owed = 0
  /** The largest body that the server accepts, as far as is known. */
  limit = Number.POSITIVE_INFINITY
  state: State = State.Idle()
  private readonly options: MemberOptions
  private isLeaving = false
  private isSilent = false
  private refusal: "Draining" | "Full" | undefined = undefined
  private fullPause = firstFullPause
  /** When the server answered last, or began to owe an answer. */
  private answeredAt = 0
  /** Why the connection was lost, or not made, until it is made again. */
  private failure: ConnectFailed | undefined = undefined
  private readonly onDown = new Set<(failure: ConnectFailed) => void>()
  private readonly silence: Timer = { deadline: 0, position: -1, fire: (now) => this.onSilenceTimer(now) }
  private readonly endOfRefusal: Timer = { deadline: 0, position: -1, fire: () => this.clearRefusal() }

  constructor(options: MemberOptions) {
    const { client, id, ownClient, shared, weight } = options
    this.options = options
    this.id = id
    this.address = client.address
    this.client = client
    this.ownClient = ownClient
    this.shared = shared
    this.weight = weight
  }

  get status(): Status {
    if (this.isLeaving) return "Leaving"
    if (this.isSilent) return "Silent"
    return this.refusal ?? "Taking"
  }

  get isConnected(): boolean {
    return this.shared.connectedTo() !== undefined
  }

  /** The process of the server to which it is connected, as its state tells. */
  get instance(): string | undefined {
    return this.state._tag === "Connected" ? this.state.server.id : undefined
  }

  /** Why no command can be sent now; `undefined` if one can, or if that is not known before the first attempt to connect. */
  get unavailable(): ConnectFailed | undefined {
    return this.isConnected ? undefined : this.failure
  }

  /** Fails when an attempt to connect has failed, or the connection is lost. */
  readonly down: Effect.Effect<never, ConnectFailed> = Effect.async((resume) => {
    const onDown = (failure: ConnectFailed) => resume(failure)
    this.onDown.add(onDown)
    return Effect.sync(() => this.onDown.delete(onDown))
  })

  /** Whether it is connected. If not, and unless it is leaving, it is from now on tried to connect it. */
  connects(): boolean {
    if (this.isConnected) return !this.isLeaving
    if (!this.isLeaving) this.shared.connect()
    return false
  }

  /** Whether nothing is known that keeps a connected server from answering, and from storing a body of this size. */
  mayTake(size: number): boolean {
    return this.status === "Silent" || (this.status === "Taking" && this.limit >= size)
  }

  /** As it is now. */
  get snapshot(): Member {
    const { address, id, owed, state, status } = this
    return { id, address, state, status, owed }
  }

  // what is sent ------------------------------------------------------------------------------------------------------

  onSent(): void {
    const { suspectAfter, timers } = this.options
    if (this.owed === 0) this.answeredAt = timers.now()
    this.owed += 1
    if (this.silence.position < 0) timers.set(this.silence, this.answeredAt + suspectAfter)
  }

  /** A job that was not written is not sent after all. */
  onWithdrawn(): void {
    this.owed -= 1
    // It owes no answer that would tell that it is not silent any more.
    if (this.owed === 0) this.clearSilence()
  }

  onAnswer(exit: Exit.Exit<unknown, unknown>): void {
    this.owed -= 1
    this.answeredAt = this.options.timers.now()
    if (exit._tag === "Success") this.fullPause = firstFullPause
    this.clearSilence()
  }

  private clearSilence(): void {
    if (!this.isSilent) return
    this.isSilent = false
    this.options.onChange()
  }

  /** Fires every `suspectAfter` at most, however many jobs are sent. */
  private onSilenceTimer(now: number): void {
    if (this.owed === 0 || this.isSilent) return
    const { onChange, suspectAfter, timers } = this.options
    const suspectAt = this.answeredAt + suspectAfter
    if (now < suspectAt) return timers.set(this.silence, suspectAt)
    this.isSilent = true
    onChange()
  }

  // what it refuses ---------------------------------------------------------------------------------------------------

  onDraining(): void {
    this.refuse("Draining", drainingPause)
  }

  onFull(): void {
    // The other jobs that were in flight are refused for the same reason, at the same time.
    if (this.refusal === "Full") return
    this.refuse("Full", this.fullPause)
    this.fullPause = Math.min(this.fullPause * 2, longestFullPause)
  }

  onTooBig(limit: number | undefined): void {
    this.limit = limit ?? this.limit
  }

  private refuse(refusal: "Draining" | "Full", pause: number): void {
    const { onChange, timers } = this.options
    const wasRefusing = this.refusal === refusal
    this.refusal = refusal
    timers.set(this.endOfRefusal, timers.now() + pause)
    if (!wasRefusing) onChange()
  }

  private clearRefusal(): void {
    this.options.timers.cancel(this.endOfRefusal)
    if (this.refusal === undefined) return
    this.refusal = undefined
    this.options.onChange()
  }

  // its connection, and its place in the list ---------------------------------------------------------------------------

  onState(state: State): void {
    const previous = this.state
    this.state = state
    switch (state._tag) {
      case "Connected": {
        this.failure = undefined
        this.limit = state.server.maxJobSize
        // A server that was drained is another one once it is started again.
        if (previous._tag !== "Connected") this.clearRefusal()
        break
      }
      case "Lost":
        this.failure = toConnectFailed(this.address, state.reason, state.cause)
        for (const onDown of this.onDown) onDown(this.failure)
        break
      case "Closed":
      case "Connecting":
      case "Idle":
        break
    }
    this.options.onChange()
  }

  leave(isLeaving: boolean): void {
    if (this.isLeaving === isLeaving) return
    this.isLeaving = isLeaving
    this.options.onChange()
  }

  /** No timer fires any more. */
  close(): void {
    this.options.timers.cancel(this.silence)
    this.options.timers.cancel(this.endOfRefusal)
  }
}

const toConnectFailed = (address: string, reason: string, cause: unknown): ConnectFailed =>
  cause instanceof ConnectFailed
    ? cause
    : new ConnectFailed({ address, reason: "Unreachable", detail: `the connection was lost: ${reason}`, cause })
