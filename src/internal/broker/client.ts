import { Heap, type Positioned } from "../base/heap.ts"
import { expiringSooner, type Job } from "./job.ts"
import type { Tube } from "./tube.ts"

/** One who uses and watches tubes, holds jobs, and may be waiting for one. */
export abstract class Client implements Positioned {
  /** Counts from 1 in the order of connecting. */
  readonly number: number
  used: Tube
  readonly watched: Array<Tube> = []
  /** Its jobs, the one whose time to run is over first at the head. */
  readonly held = new Heap<Job>(expiringSooner)
  isWaiting = false
  /** When waiting ends without a job. */
  waitsUntil = Number.POSITIVE_INFINITY
  /** When something is due for it. */
  wakesAt = Number.POSITIVE_INFINITY
  /** Appointments are numbered as they are made. */
  appointment = 0
  /** Where it stands among those who have an appointment. */
  position = -1

  constructor(number: number, used: Tube) {
    this.number = number
    this.used = used
  }

  /** A job is handed over. Nobody waits any more. */
  abstract onReserved(job: Job): void
  /** A job that is held has less than a second left. Nobody waits any more. */
  abstract onDeadlineSoon(): void
  /** No job came in time. Nobody waits any more. */
  abstract onTimedOut(): void
}

/** Of those whose appointments fall together, beanstalkd takes the latest made first. */
export const wakesSooner = (a: Client, b: Client): boolean =>
  a.wakesAt === b.wakesAt ? a.appointment > b.appointment : a.wakesAt < b.wakesAt
