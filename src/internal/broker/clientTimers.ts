/**
 * One timer for each client, for what is due first: the timeout of its reserve, the end of a job's time to run, or a second
 * before that.
 */
import { Heap } from "../base/heap.ts"
import type { Client } from "./model.ts"

/** A client that waits in a reserve is sent DEADLINE_SOON this long before one of its jobs times out, in milliseconds. */
const deadlineMargin = 1000

/** Whether one of the jobs that a client holds is about to time out. */
export const isDeadlineSoon = ({ held }: Client, now: number): boolean =>
  held.head !== undefined && now >= held.head.deadline - deadlineMargin

export class ClientTimers {
  private readonly clients = new Heap<Client>(bySoonestTimer)
  private settings = 0

  /** The client whose timer is due first. */
  get head(): Client | undefined {
    return this.clients.head
  }

  /** Call it when the jobs that the client holds, or its wait for a job, have changed. */
  set(client: Client): void {
    this.clear(client)
    const deadline = client.held.head?.deadline ?? Number.POSITIVE_INFINITY
    client.timerAt = Math.min(client.waitsUntil, client.isWaiting ? deadline - deadlineMargin : deadline)
    if (client.timerAt === Number.POSITIVE_INFINITY) return
    client.timerSetting = this.settings += 1
    this.clients.insert(client)
  }

  clear(client: Client): void {
    if (client.position >= 0) this.clients.remove(client)
  }
}

/** Of timers that are due at the same time, beanstalkd takes the one that was set last. */
const bySoonestTimer = (a: Client, b: Client): boolean =>
  a.timerAt === b.timerAt ? a.timerSetting > b.timerSetting : a.timerAt < b.timerAt
