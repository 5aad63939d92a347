/**
 * The data of the broker: jobs, tubes and clients. They refer to each other, so they are one module.
 *
 * `jobStore.ts`, `tubes.ts` and `clientTimers.ts` change them.
 */
import type { TubeName } from "../../Job.ts"
import { Heap, type Positioned } from "../base/heap.ts"
import { type Linked, LinkedList } from "../base/linkedList.ts"
import { Waiters } from "./waiters.ts"

/** A job is `invalid` until its body has been uploaded, and once it is deleted. */
export type JobState = "invalid" | "ready" | "reserved" | "delayed" | "buried"

const noBody = new Uint8Array(0)

/** A job is in one heap or queue at a time, that of its state. */
export class Job implements Positioned, Linked<Job> {
  readonly id: number
  readonly tube: Tube
  priority: number
  /** The delay of the last put or release, in seconds. It is kept when the delay is over, for `stats-job`. */
  delay: number
  /** In seconds. */
  readonly ttr: number
  readonly createdAt: number
  state: JobState = "invalid"
  /** The body with its CRLF; empty until it has been uploaded. */
  body: Uint8Array = noBody
  /** When the delay of a delayed job, or the time to run of a reserved job, is over. */
  deadline = 0
  /** The client that has the job reserved. */
  holder: Client | undefined = undefined
  /** The number of its latest reservation, counted over all jobs: it orders the jobs of one client. */
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

  /** beanstalkd counts jobs with a priority below 1024 as urgent. */
  get isUrgent(): boolean {
    return this.priority < 1024
  }
}

export const byPriority = (a: Job, b: Job): boolean => a.priority === b.priority ? a.id < b.id : a.priority < b.priority

const byDelayEnd = (a: Job, b: Job): boolean => a.deadline === b.deadline ? a.id < b.id : a.deadline < b.deadline

const byTimeToRunEnd = (a: Job, b: Job): boolean =>
  a.deadline === b.deadline ? a.reservation < b.reservation : a.deadline < b.deadline

/** A tube exists as long as it is referred to: by clients that use or watch it, and by its jobs. */
export class Tube implements Positioned {
  readonly name: TubeName
  /** Its index in the list of tubes. */
  index: number
  references = 0
  readonly ready = new Heap<Job>(byPriority)
  readonly delayed = new Heap<Job>(byDelayEnd)
  readonly buried = new LinkedList<Job>()
  readonly waiters = new Waiters<Client>()
  pause: Pause | undefined = undefined
  /** Its position among the tubes with delayed jobs. */
  position = -1
  urgent = 0
  reserved = 0
  using = 0
  watching = 0
  totalJobs = 0
  deletes = 0
  pauses = 0

  constructor(name: TubeName, index: number) {
    this.name = name
    this.index = index
  }
}

/** The jobs of a paused tube are not reserved until the pause is over. */
export interface Pause extends Positioned {
  readonly tube: Tube
  /** In seconds. */
  readonly duration: number
  readonly until: number
}

/** How a reserve ends: with a job, or with one of the replies that say why there is none. */
export type ReserveOutcome = Job | "DEADLINE_SOON" | "TIMED_OUT"

/** A client uses and watches tubes, holds reserved jobs, and may be waiting in a reserve. */
export class Client implements Positioned {
  /** Counts from 1 in the order of connecting. */
  readonly number: number
  used: Tube
  readonly watched: Array<Tube> = []
  /** The jobs that it has reserved; that with the earliest deadline is the head. */
  readonly held = new Heap<Job>(byTimeToRunEnd)
  /** Called once for each reserve, when the client does not wait any more. */
  readonly onReserveEnd: (outcome: ReserveOutcome) => void
  isWaiting = false
  /** When the reserve that it waits in times out. */
  waitsUntil = Number.POSITIVE_INFINITY
  /** When a timeout of its reserve or of one of its jobs is due. */
  timerAt = Number.POSITIVE_INFINITY
  /**
   * The number of the latest setting of the timer, counted over all clients: it orders timers that are due at the same time.
   */
  timerSetting = 0
  /** Its position among the clients with a timer. */
  position = -1
  /** Whether it has put a job, or begun to. */
  isProducer = false
  /** Whether it has reserved, or tried to. */
  isWorker = false

  constructor(number: number, used: Tube, onReserveEnd: (outcome: ReserveOutcome) => void) {
    this.number = number
    this.used = used
    this.onReserveEnd = onReserveEnd
  }
}
