import type { Positioned } from "../base/heap.ts"
import type { Linked } from "../base/linkedList.ts"
import type { Client } from "./client.ts"
import type { Tube } from "./tube.ts"

/** A job is `invalid` while its body is being uploaded, and when it is gone. */
export type JobState = "invalid" | "ready" | "reserved" | "delayed" | "buried"

/** A job as the server keeps it. It stands in one heap or queue at a time, the one of its state. */
export class Job implements Positioned, Linked<Job> {
  readonly id: number
  readonly tube: Tube
  priority: number
  /** In seconds, as it was last asked for. It stays when the delay is over. */
  delay: number
  /** In seconds. */
  readonly ttr: number
  readonly createdAt: number
  state: JobState = "invalid"
  /** The body with its CRLF. Its bytes are here once it is uploaded. */
  body: Uint8Array = nothing
  /** When it is ready (delayed) or taken back (reserved). */
  deadline = 0
  /** Who has it reserved. */
  holder: Client | undefined = undefined
  /** Reservations are numbered as they are made. */
  reservation = 0
  reserves = 0
  timeouts = 0
  releases = 0
  buries = 0
  kicks = 0
  position = -1
  previous: Job | undefined = undefined
  next: Job | undefined = undefined

  constructor(id: number, tube: Tube, priority: number, delay: number, ttr: number, createdAt: number) {
    this.id = id
    this.tube = tube
    this.priority = priority
    this.delay = delay
    this.ttr = ttr
    this.createdAt = createdAt
  }

  /** Urgent jobs have statistics of their own. */
  get isUrgent(): boolean {
    return this.priority < 1024
  }
}

const nothing = new Uint8Array(0)

export const moreUrgent = (a: Job, b: Job): boolean => a.priority === b.priority ? a.id < b.id : a.priority < b.priority

export const dueSooner = (a: Job, b: Job): boolean => a.deadline === b.deadline ? a.id < b.id : a.deadline < b.deadline

export const expiringSooner = (a: Job, b: Job): boolean =>
  a.deadline === b.deadline ? a.reservation < b.reservation : a.deadline < b.deadline
