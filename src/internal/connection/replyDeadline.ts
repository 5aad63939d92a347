/**
 * Until when the server must reply to the oldest command in flight.
 *
 * The time of a command starts when it becomes the oldest, since the server answers in order. A body may take any time as long
 * as it makes progress. A reply line that has begun to arrive must be complete within the timeout, even the reply to a reserve
 * that blocks.
 */
import type { Command } from "../protocol/command.ts"

/** How many bytes count as progress of a body: a server that sends single bytes for ever times out. */
const progressBytes = 64 * 1024

/** How much later than its own timeout the reply to a blocking reserve may arrive, in milliseconds. */
const blockingGrace = 1000

export class ReplyDeadline {
  private readonly replyTimeout: number
  /** When the oldest command in flight became the oldest. */
  oldestSince = 0
  /** When its reply began to arrive, or last made progress; `undefined` before. */
  private arrivingSince: number | undefined = undefined
  private bytesSince = 0

  constructor(replyTimeout: number) {
    this.replyTimeout = replyTimeout
  }

  /** A command is written while none is in flight. */
  start(now: number): void {
    this.oldestSince = now
  }

  /** The last command in flight was answered. */
  stop(): void {
    this.arrivingSince = undefined
  }

  /**
   * Bytes have arrived, and commands are still in flight. Returns whether the deadline may have changed.
   *
   * @param answered whether they completed a reply
   * @param midway whether they end inside one
   */
  onBytes(count: number, answered: boolean, midway: boolean, now: () => number): boolean {
    const begins = midway && (answered || this.arrivingSince === undefined)
    this.bytesSince = begins ? 0 : this.bytesSince + count
    if (!answered && !begins && this.bytesSince < progressBytes) return false
    const time = now()
    if (answered) this.oldestSince = time
    this.arrivingSince = midway ? time : undefined
    this.bytesSince = 0
    return true
  }

  /** The deadline of the oldest command in flight. `insideBody`: a part of the body of its reply has arrived. */
  of({ blocksFor }: Command<unknown, unknown>, insideBody: boolean): number {
    const { arrivingSince, oldestSince, replyTimeout } = this
    const toArrive = arrivingSince === undefined ? Number.POSITIVE_INFINITY : arrivingSince + replyTimeout
    if (insideBody) return toArrive
    return Math.min(toArrive, oldestSince + (blocksFor > 0 ? blocksFor * 1000 + blockingGrace : replyTimeout))
  }
}
