/** The lanes of a worker at one server: how many there are. A worker of a cluster has some at each of its servers. */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import * as ConnectionLog from "../client/connectionLog.ts"
import type { Dedicated } from "../client/dedicated.ts"
import type { Refusal } from "./events.ts"
import { Lane, type LaneContext, type LanePool } from "./lane.ts"
import type { Lease } from "./lease.ts"
import type { Reserve } from "./options.ts"
import { mayHideJob, ServerRoom } from "./serverRoom.ts"
import { UnconfirmedDeletes } from "./unconfirmedDeletes.ts"

/** What the lanes at all servers share. */
export type SharedContext<A, E, R> = Omit<LaneContext<A, E, R>, "dedicated" | "log" | "unconfirmed" | "whenAvailable">

/** The worker, as the lanes at one of its servers see it. */
export interface Workforce<A, E, R> {
  /** Whether the worker takes jobs. */
  readonly isTaking: boolean
  /** Opens lanes at each server that needs some. */
  openIfNeeded(): void
  /** How many more lanes there may be at this server. */
  roomFor(lanes: ServerLanes<A, E, R>): number
  /** Runs a lane, which ends with the worker. */
  runLane(lane: Lane<A, E, R>): Fiber.RuntimeFiber<void>
  /** Runs an Effect that ends with the worker. */
  forkScoped(effect: Effect.Effect<unknown>, onEnd: () => void): void
  onConnected(lanes: ServerLanes<A, E, R>): Effect.Effect<unknown>
  onConnectFailed(lanes: ServerLanes<A, E, R>, error: ConnectFailed): Effect.Effect<unknown>
  whileConnected<Result, Failure>(use: Effect.Effect<Result, Failure>): Effect.Effect<Result, Failure>
  /** A lane has begun or ended. */
  onLanes(): void
  /** A lane holds no job any more. */
  onFree(): void
  /** Waits until fewer jobs run than may. `undefined` if that is so already. */
  admit(lane: Lane<A, E, R>): Effect.Effect<void> | undefined
  onReserved(lease: Lease): void
  onAbandoned(lease: Lease): void
  onRefused(refusal: Refusal, lease: Lease | undefined): void
  onDecisionTimeout(lease: Lease): void
}

export class ServerLanes<A, E, R> implements LanePool<A, E, R> {
  readonly dedicated: Dedicated
  readonly room: ServerRoom
  readonly unconfirmed: UnconfirmedDeletes<E>
  readonly lanes = new Map<Lane<A, E, R>, Fiber.RuntimeFiber<void>>()
  /** The lanes that wait for a job or a connection. */
  readonly waiting = new Set<Lane<A, E, R>>()
  /** Whether one of its lanes was connected. */
  wasConnected = false
  /** Whether one of its lanes could not connect. */
  hasFailedToConnect = false
  private readonly worker: Workforce<A, E, R>
  private readonly context: LaneContext<A, E, R>
  /** Whether the server has no room for jobs that are released and buried, and none are reserved. */
  private isPaused = false
  /** The server is none of the worker's any more. */
  private hasLeft = false
  private reserveIndex: number

  constructor(
    worker: Workforce<A, E, R>,
    dedicated: Dedicated,
    context: SharedContext<A, E, R>,
    reserveIndex: number
  ) {
    this.worker = worker
    this.dedicated = dedicated
    this.room = new ServerRoom(dedicated, context.rules.tube)
    this.unconfirmed = new UnconfirmedDeletes(context.events)
    this.reserveIndex = reserveIndex
    this.context = {
      ...context,
      dedicated,
      log: ConnectionLog.make(dedicated.address),
      unconfirmed: this.unconfirmed,
      whenAvailable: this.room.whenAvailable
    }
  }

  get isTaking(): boolean {
    return this.worker.isTaking && !this.isPaused && !this.hasLeft
  }

  // -------------------------------------------------------------------------------------------------------------------
  // how many lanes
  // -------------------------------------------------------------------------------------------------------------------

  /** Opens lanes, unless one is idle or there are as many as there may be. */
  openIfNeeded(count = 1, now = this.now): void {
    if (!this.needsLanes(now)) return
    const room = this.worker.roomFor(this)
    for (let opened = 0; opened < Math.min(count, room); opened += 1) this.open()
  }

  /** Whether jobs may be waiting in the server, and there may be more lanes here. */
  needsLanes(now: number): boolean {
    return this.isTaking && this.lanes.size < this.context.settings.concurrency && !this.hasIdle(now)
  }

  private get now(): number {
    return this.context.rules.timers.now()
  }

  private open(): void {
    const lane = new Lane(this, this.context)
    const fiber = this.worker.runLane(lane)
    this.waiting.add(lane)
    this.lanes.set(lane, fiber)
    this.worker.onLanes()
    fiber.addObserver(() => this.onLaneEnd(lane))
  }

  private onLaneEnd(lane: Lane<A, E, R>): void {
    this.waiting.delete(lane)
    this.lanes.delete(lane)
    this.worker.onLanes()
    this.worker.onFree()
    this.worker.openIfNeeded()
  }

  private hasIdle(now: number, besides?: Lane<A, E, R>): boolean {
    for (const lane of this.waiting) if (lane !== besides && lane.isIdle(now)) return true
    return false
  }

  /** Closes a lane without a job for another server, if another one is left here. */
  giveUpSpare(now: number): boolean {
    if (this.waiting.size < 2) return false
    for (const lane of this.waiting) {
      if (!lane.isIdle(now) || lane.isConnecting) continue
      lane.retire()
      return true
    }
    return false
  }

  /**
   * Whether a lane that lost its connection may end: an idle one opens others when they are needed. For deletes that are not
   * confirmed one lane must connect at once.
   */
  isSpare(lane: Lane<A, E, R>): boolean {
    return this.unconfirmed.isEmpty
      ? this.hasIdle(this.now, lane)
      : Array.from(this.lanes.keys()).some((other) => other !== lane && other.isConnecting)
  }

  /** A lane that waited for this many seconds closes, if another is connected and waiting. */
  isWanted(idleSeconds: number): boolean {
    if (!this.isTaking) return false
    // A reserve times out up to a tenth early.
    if (idleSeconds * 1000 < this.context.settings.idleLaneTimeout * 0.9) return true
    return Array.from(this.waiting).filter(({ isConnecting }) => !isConnecting).length < 2
  }

  nextReserve(): Reserve {
    const { reserves, spareReserves } = this.context.settings
    const choice = this.waiting.size > 1 ? spareReserves : reserves
    this.reserveIndex = (this.reserveIndex + 1) % choice.length
    return choice[this.reserveIndex]!
  }

  /** The worker has this server no more. Jobs that are held go on. */
  leave(): void {
    this.hasLeft = true
    this.unconfirmed.giveUp()
  }

  /** How many jobs are held. */
  get held(): number {
    return Array.from(this.lanes.keys()).filter(({ isHolding }) => isHolding).length
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what lanes report
  // -------------------------------------------------------------------------------------------------------------------

  get onConnected(): Effect.Effect<unknown> {
    return this.worker.onConnected(this)
  }

  onConnectFailed(error: ConnectFailed): Effect.Effect<unknown> {
    // No connection follows on which a delete could be confirmed.
    if (error.reason === "Closed") this.unconfirmed.giveUp()
    return this.worker.onConnectFailed(this, error)
  }

  whileConnected<Result, Failure>(use: Effect.Effect<Result, Failure>): Effect.Effect<Result, Failure> {
    return this.worker.whileConnected(use)
  }

  onWaiting(lane: Lane<A, E, R>): void {
    this.waiting.add(lane)
    this.worker.onFree()
  }

  admit(lane: Lane<A, E, R>): Effect.Effect<void> | undefined {
    return this.worker.admit(lane)
  }

  /** While jobs wait in the server, the lanes double: one after the other, 64 would take 64 times as long as it takes to connect. */
  onReserved(lane: Lane<A, E, R>, lease: Lease): void {
    this.waiting.delete(lane)
    this.openIfNeeded(lease.wasReady ? this.lanes.size - this.waiting.size : 1, lease.reservedAt)
    this.worker.onReserved(lease)
  }

  onAbandoned(lease: Lease): void {
    this.worker.onAbandoned(lease)
  }

  onRefused(error: Refusal, lease: Lease | undefined): void {
    this.worker.onRefused(error, lease)
    // Until the server has room, no job that fails could be released or buried.
    if (mayHideJob(error) && !this.room.isFull) this.pauseUntilRoom()
  }

  private pauseUntilRoom(): void {
    this.isPaused = true
    for (const lane of this.lanes.keys()) lane.retire()
    this.worker.forkScoped(this.room.probe, () => {
      this.isPaused = false
      this.openIfNeeded()
    })
  }

  onDecisionTimeout(lease: Lease): void {
    this.worker.onDecisionTimeout(lease)
  }
}
