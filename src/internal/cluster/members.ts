/** The servers of a cluster, the choice among them, and what waits until one of them can be chosen. */
import { State } from "../../BeanstalkClient.ts"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { Trouble } from "../base/healthOf.ts"
import { type Linked, LinkedList } from "../base/linkedList.ts"
import type { Timer, TimerQueue } from "../base/timerQueue.ts"
import type { ClusterMember } from "./member.ts"

/**
 * Which server a job is put on.
 *
 * - `"leastOwed"`: of two that are chosen by chance, the one that owes fewer answers, for its weight.
 * - `"first"`: the first in the list that can take it. The others stand by.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy = "leastOwed" | "first"

export interface MembersOptions {
  readonly address: string
  readonly strategy: Strategy
  /** How long something waits for a server, in milliseconds. */
  readonly offlineTimeout: number
  readonly timers: TimerQueue
  /** From 0 to 1, without 1. */
  readonly random: () => number
  readonly onChange: (member: ClusterMember) => void
}

/** What looks for a server, and waits while there is none. */
export interface Seeker extends Timer, Linked<Seeker> {
  /** A server has changed: looks again. */
  seek(): void
  /** The cluster is closed. */
  onClosed(error: ConnectFailed): void
}

/** How a server refuses a job that it has certainly not stored. */
export type Refusal = "Draining" | "OutOfMemory" | "JobTooBig"

/** The servers that have refused a job, each with its latest refusal. */
export type Refusals = ReadonlyMap<ClusterMember, Refusal>

export class Members {
  readonly options: MembersOptions
  private list: ReadonlyArray<ClusterMember> = []
  private readonly listeners = new Set<(list: ReadonlyArray<ClusterMember>) => void>()
  private readonly seekers = new LinkedList<Seeker>()
  private status: "open" | "closed" = "open"
  /** Since when there are no servers. */
  private emptySince: number | undefined

  constructor(options: MembersOptions) {
    this.options = options
    this.emptySince = options.timers.now()
  }

  /** In the order of the list. */
  get all(): ReadonlyArray<ClusterMember> {
    return this.list
  }

  set all(list: ReadonlyArray<ClusterMember>) {
    this.list = list
    this.emptySince = list.length > 0 ? undefined : this.emptySince ?? this.options.timers.now()
    for (const listener of this.listeners) listener(list)
    this.wake()
  }

  /** Calls back with the list, and with every later one until the returned function is called. */
  listen(listener: (list: ReadonlyArray<ClusterMember>) => void): () => void {
    listener(this.list)
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** What keeps commands from being sent, whatever becomes of the servers. */
  get trouble(): Trouble | undefined {
    const { emptySince, options: { address } } = this
    if (this.status === "closed") return { _tag: "Closed", reason: `${address} is closed` }
    if (emptySince === undefined) return undefined
    return { _tag: "Disconnected", since: emptySince, reason: `${address} has no servers` }
  }

  get(server: number): ClusterMember | undefined {
    return this.list.find(({ id }) => id === server)
  }

  onChange(member: ClusterMember): void {
    // One that has not joined yet, or has left, is none of the cluster's.
    if (!this.list.includes(member)) return
    this.options.onChange(member)
    if (member.isConnected) this.wake()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the choice
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * The server for a body of this size: one that takes jobs, also if it has refused this one when it took none, or else one that did not
   * take the latest, and has not refused this one, which tells why. `undefined` if there is none at this moment. Servers without a
   * connection are connected for the next time.
   */
  choose(size: number, refusals?: Refusals): ClusterMember | undefined {
    const connected = this.list.filter((member) => member.connects())
    const taking = connected.filter((member) =>
      member.status === "Taking" && member.limit >= size && refusals?.get(member) !== "JobTooBig"
    )
    if (taking.length > 0) return this.pick(taking)
    return largest(connected.filter((member) => !member.mayTake(size) && refusals?.has(member) !== true))
  }

  /** Whether a server that has not refused it, and is not known to be too small, may take a job of this size later. */
  hasOther(size: number, refusals: Refusals): boolean {
    return this.list.some((member) => member.status !== "Leaving" && member.limit >= size && !refusals.has(member))
  }

  private pick(taking: ReadonlyArray<ClusterMember>): ClusterMember | undefined {
    if (taking.length === 1 || this.options.strategy === "first") return taking[0]
    const one = this.draw(taking)
    const other = this.draw(taking.filter((member) => member !== one))
    return one !== undefined && other !== undefined && one.owed / one.weight <= other.owed / other.weight ? one : other
  }

  /** One by chance, by their weights. */
  private draw(members: ReadonlyArray<ClusterMember>): ClusterMember | undefined {
    let left = this.options.random() * members.reduce((sum, { weight }) => sum + weight, 0)
    return members.find(({ weight }) => {
      left -= weight
      return left < 0
    }) ?? members.at(-1)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // waiting
  // -------------------------------------------------------------------------------------------------------------------

  isPast(deadline: number): boolean {
    return this.options.timers.now() >= deadline
  }

  /** When a wait that starts now ends. */
  deadline(): number {
    return this.options.timers.now() + this.options.offlineTimeout
  }

  /** Lets it look again when a server has changed, until the deadline, at which its timer fires. */
  wait(seeker: Seeker, deadline: number): void {
    if (this.status === "closed") return seeker.onClosed(this.closed())
    this.seekers.push(seeker)
    this.options.timers.set(seeker, deadline)
  }

  stopWaiting(seeker: Seeker): void {
    this.seekers.remove(seeker)
    this.options.timers.cancel(seeker)
  }

  private wake(): void {
    for (let left = this.seekers.length; left > 0; left -= 1) {
      const { head } = this.seekers
      if (head === undefined) return
      this.stopWaiting(head)
      head.seek()
    }
  }

  close(): void {
    this.status = "closed"
    for (let { head } = this.seekers; head !== undefined; { head } = this.seekers) {
      this.stopWaiting(head)
      head.onClosed(this.closed())
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what they are together
  // -------------------------------------------------------------------------------------------------------------------

  /** That of the first server that is connected, or else of the first. */
  get state(): State {
    if (this.status === "closed") return State.Closed()
    return (this.list.find(({ state }) => state._tag === "Connected") ?? this.list[0])?.state ?? State.Idle()
  }

  private closed(): ConnectFailed {
    return new ConnectFailed({ address: this.options.address, reason: "Closed", detail: "the cluster is closed" })
  }

  /** Nothing could be sent to any server in time. */
  nobody(): ConnectFailed {
    const { address, offlineTimeout } = this.options
    const why = this.list.map((member) => `${member.address} ${whyNot(member)}`).join("; ")
    return new ConnectFailed({
      address,
      reason: "TimedOut",
      detail: `no server of the cluster was available within ${offlineTimeout / 1000} seconds ` +
        `(${this.list.length === 0 ? "the list of servers is empty" : why})`
    })
  }
}

const whyNot = ({ isConnected, status, unavailable }: ClusterMember): string => {
  if (status === "Leaving") return "is leaving"
  if (unavailable !== undefined) return `cannot be reached: ${unavailable.detail}`
  return isConnected ? `is ${status.toLowerCase()}` : "is not connected yet"
}

const largest = (members: ReadonlyArray<ClusterMember>): ClusterMember | undefined =>
  members.reduce<ClusterMember | undefined>(
    (one, other) => one !== undefined && one.limit >= other.limit ? one : other,
    undefined
  )
