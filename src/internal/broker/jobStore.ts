/**
 * The jobs of the broker, and how they change state: by command, when a waiting client can be served, or because of the time.
 *
 * It reads no clock and writes no reply: the broker sets `now`, and a client is called when its reserve ends.
 */
import type { TubeName } from "../../Job.ts"
import { ClientTimers, isDeadlineSoon } from "./clientTimers.ts"
import { byPriority, type Client, Job, type JobState, type Tube } from "./model.ts"
import { Tubes } from "./tubes.ts"

/**
 * What can happen to a job.
 *
 * - `put`: its body has been received. It is ready or delayed.
 * - `due`: its delay is over, and it is ready.
 * - `reserved`, `touched`, `released`, `buried`, `kicked`, `deleted`: by command. `buried` also when the server is out of
 *   memory, so that the job cannot be made ready or delayed.
 * - `timed-out`: its time to run is over, and it is ready again.
 * - `given-back`: the connection that held it was closed, and it is ready again.
 *
 * @category models
 * @since 0.1.0
 */
export type JobEvent =
  | "put"
  | "due"
  | "reserved"
  | "touched"
  | "released"
  | "buried"
  | "kicked"
  | "deleted"
  | "timed-out"
  | "given-back"

/** Called after each change, when the job is in its new state. The client is `undefined` for `due`. */
export type OnJobEvent = (event: JobEvent, job: Job, client: Client | undefined) => void

/** With `none` no job can be put. With `none-for-queues` a job that should become ready or delayed is buried. */
export type Memory = "enough" | "none-for-queues" | "none"

const second = 1000

export class JobStore {
  /** In milliseconds since 1970. */
  now: number
  memory: Memory = "enough"
  readonly tubes = new Tubes()
  readonly timers = new ClientTimers()
  /** By their ids, including those that are still being uploaded. */
  readonly jobs = new Map<number, Job>()
  timeouts = 0
  totalJobs = 0
  private readonly onEvent: OnJobEvent
  private lastId = 0
  private reservations = 0

  constructor(now: number, onEvent: OnJobEvent) {
    this.now = now
    this.onEvent = onEvent
  }

  /** Makes the jobs that a client holds ready, in the order in which it reserved them, and removes the client. */
  leave(client: Client): void {
    this.stopWaiting(client)
    const held = [...client.held].toSorted((a, b) => a.reservation - b.reservation)
    for (const job of held) this.giveBack(job, "given-back")
    this.tubes.leave(client)
    this.timers.clear(client)
  }

  // Commands on jobs

  find(id: number): Job | undefined {
    return this.jobs.get(id)
  }

  /** Finds a job whose body has been uploaded. */
  findUploaded(id: number): Job | undefined {
    const job = this.jobs.get(id)
    return job?.state === "invalid" ? undefined : job
  }

  /** Makes a job whose body is still to be uploaded. From now on it has an id, and counts as a reference to its tube. */
  create(client: Client, priority: number, delay: number, ttr: number): Job {
    const job = new Job(this.lastId += 1, client.used, priority, delay, Math.max(1, ttr), this.now)
    this.tubes.addReference(job.tube)
    this.jobs.set(job.id, job)
    return job
  }

  /** Makes an uploaded job ready or delayed. False when it was buried, because the server is out of memory. */
  put(job: Job, client: Client): boolean {
    const isQueued = this.enqueue(job, job.delay, "put", client)
    this.totalJobs += 1
    job.tube.totalJobs += 1
    return isQueued
  }

  /** Removes a job that is in no queue. */
  remove(job: Job): void {
    this.setState(job, "invalid")
    this.jobs.delete(job.id)
    this.tubes.dropReference(job.tube)
  }

  /** Any client may delete a job that is not reserved. */
  delete(client: Client, id: number): boolean {
    const job = this.findUploaded(id)
    if (job === undefined || (job.state === "reserved" && job.holder !== client)) return false
    this.dequeue(job)
    job.tube.deletes += 1
    this.remove(job)
    this.onEvent("deleted", job, client)
    return true
  }

  touch(client: Client, id: number): boolean {
    const job = this.findHeld(client, id)
    if (job === undefined) return false
    client.held.remove(job)
    job.deadline = this.now + job.ttr * second
    client.held.insert(job)
    this.onEvent("touched", job, client)
    return true
  }

  /** `undefined` when the client does not hold the job; false when it was buried, because the server is out of memory. */
  release(client: Client, id: number, priority: number, delay: number): boolean | undefined {
    const job = this.findHeld(client, id)
    if (job === undefined) return undefined
    this.dequeue(job)
    job.priority = priority
    job.delay = delay
    job.releases += 1
    return this.enqueue(job, delay, "released", client)
  }

  bury(client: Client, id: number, priority: number): boolean {
    const job = this.findHeld(client, id)
    if (job === undefined) return false
    this.dequeue(job)
    job.priority = priority
    this.enqueueBuried(job, client)
    return true
  }

  /** Kicks buried jobs, the oldest first; if there are none, delayed jobs, those that are due first. Returns how many. */
  kick(client: Client, bound: number): number {
    const { buried, delayed } = client.used
    const kicked = Math.min(bound, buried.length > 0 ? buried.length : delayed.size)
    for (let i = 0; i < kicked; i++) this.kickOne((buried.head ?? delayed.head)!, client)
    return kicked
  }

  kickJob(client: Client, id: number): boolean {
    const job = this.jobs.get(id)
    return job !== undefined && (job.state === "buried" || job.state === "delayed") && this.kickOne(job, client)
  }

  private kickOne(job: Job, client: Client): boolean {
    this.dequeue(job)
    job.kicks += 1
    return this.enqueue(job, 0, "kicked", client)
  }

  private findHeld(client: Client, id: number): Job | undefined {
    const job = this.jobs.get(id)
    return job?.holder === client ? job : undefined
  }

  private giveBack(job: Job, event: JobEvent): void {
    const client = job.holder
    this.dequeue(job)
    this.enqueue(job, 0, event, client)
  }

  /** False when there is no such tube. */
  pause(name: TubeName, duration: number): boolean {
    const tube = this.tubes.find(name)
    if (tube === undefined) return false
    this.tubes.pause(tube, duration, this.now + duration * second)
    tube.pauses += 1
    return true
  }

  // Queues

  /**
   * Makes a job that is in no queue ready or delayed, and serves the clients that wait for it, or for the jobs of `resumed`
   * tubes. False when it was buried, because the server is out of memory.
   */
  private enqueue(
    job: Job,
    delay: number,
    event: JobEvent,
    client: Client | undefined,
    resumed: ReadonlyArray<Tube> = []
  ): boolean {
    if (this.memory !== "enough") {
      this.enqueueBuried(job, client)
      return false
    }
    if (delay > 0) {
      job.deadline = this.now + delay * second
      this.setState(job, "delayed")
      this.tubes.addDelayed(job)
      this.onEvent(event, job, client)
    } else {
      this.setState(job, "ready")
      job.tube.ready.insert(job)
      this.onEvent(event, job, client)
      this.serveWaiters([job.tube, ...resumed])
    }
    return true
  }

  private enqueueBuried(job: Job, client: Client | undefined): void {
    this.setState(job, "buried")
    job.tube.buried.push(job)
    job.buries += 1
    this.onEvent("buried", job, client)
  }

  private dequeue(job: Job): void {
    const { tube } = job
    switch (job.state) {
      case "ready":
        return tube.ready.remove(job)
      case "delayed":
        return this.tubes.removeDelayed(job)
      case "buried":
        return tube.buried.remove(job)
      case "reserved":
        job.holder!.held.remove(job)
        job.holder = undefined
        return
      case "invalid":
        return
    }
  }

  private setState(job: Job, state: JobState): void {
    this.count(job, -1)
    job.state = state
    this.count(job, 1)
  }

  private count({ isUrgent, state, tube }: Job, change: 1 | -1): void {
    if (state === "reserved") tube.reserved += change
    if (state === "ready" && isUrgent) tube.urgent += change
  }

  // Reserving

  /** Reserves the most urgent job of the tubes that the client watches, or lets it wait for one, for `timeout` milliseconds. */
  reserve(client: Client, timeout: number): void {
    if (isDeadlineSoon(client, this.now) && !client.watched.some((tube) => tube.ready.size > 0)) {
      return client.onReserveEnd("DEADLINE_SOON")
    }
    client.isWaiting = true
    client.waitsUntil = this.now + timeout
    for (const tube of client.watched) tube.waiters.add(client)
    this.serveWaiters(client.watched)
    if (client.isWaiting) this.timers.set(client)
  }

  /** Reserves this job, of whichever tube, in whichever state. `undefined` when it is reserved already, or does not exist. */
  reserveJob(client: Client, id: number): Job | undefined {
    const job = this.findUploaded(id)
    if (job === undefined || job.state === "reserved") return undefined
    this.assign(client, job)
    return job
  }

  stopWaiting(client: Client): void {
    if (!client.isWaiting) return
    client.isWaiting = false
    client.waitsUntil = Number.POSITIVE_INFINITY
    for (const tube of client.watched) tube.waiters.remove(client)
  }

  /** Reserves the jobs of these tubes for the clients that wait for them, the most urgent job first. */
  private serveWaiters(tubes: ReadonlyArray<Tube>): void {
    for (let job = mostUrgentAwaited(tubes); job !== undefined; job = mostUrgentAwaited(tubes)) {
      const client = job.tube.waiters.take()!
      this.stopWaiting(client)
      this.assign(client, job)
      client.onReserveEnd(job)
    }
  }

  private assign(client: Client, job: Job): void {
    this.dequeue(job)
    this.setState(job, "reserved")
    job.reserves += 1
    job.deadline = this.now + job.ttr * second
    job.holder = client
    job.reservation = this.reservations += 1
    client.held.insert(job)
    this.onEvent("reserved", job, client)
  }

  // Time

  /** When the next delay, pause or timeout is due. */
  get nextTick(): number {
    return Math.min(
      this.tubes.delayed.head?.delayed.head?.deadline ?? Number.POSITIVE_INFINITY,
      this.tubes.pauses.head?.until ?? Number.POSITIVE_INFINITY,
      this.timers.head?.timerAt ?? Number.POSITIVE_INFINITY
    )
  }

  /** Ends the delays, pauses, times to run and reserves that are due. */
  tick(): void {
    if (this.nextTick > this.now) return
    const resumed = this.endPauses()
    this.endDelays(resumed)
    this.serveWaiters(resumed)
    this.runTimers()
  }

  private endPauses(): ReadonlyArray<Tube> {
    const { pauses } = this.tubes
    const resumed: Array<Tube> = []
    for (let pause = pauses.head; pause !== undefined && pause.until <= this.now; pause = pauses.head) {
      this.tubes.resume(pause.tube)
      resumed.push(pause.tube)
    }
    return resumed
  }

  /**
   * Makes due jobs ready one by one, and serves the waiters of each before the next. The jobs of resumed tubes compete with the
   * first.
   */
  private endDelays(resumed: ReadonlyArray<Tube>): void {
    for (let competing = resumed;; competing = []) {
      const job = this.tubes.delayed.head?.delayed.head
      if (job === undefined || job.deadline > this.now) return
      this.dequeue(job)
      this.enqueue(job, 0, "due", undefined, competing)
    }
  }

  private runTimers(): void {
    for (let client = this.timers.head; client !== undefined && client.timerAt <= this.now; client = this.timers.head) {
      this.runTimer(client)
    }
  }

  private runTimer(client: Client): void {
    if (client.isWaiting && isDeadlineSoon(client, this.now)) {
      this.stopWaiting(client)
      client.onReserveEnd("DEADLINE_SOON")
    }
    for (let job = client.held.head; job !== undefined && job.deadline <= this.now; job = client.held.head) {
      this.timeouts += 1
      job.timeouts += 1
      this.giveBack(job, "timed-out")
    }
    if (client.waitsUntil <= this.now) {
      this.stopWaiting(client)
      client.onReserveEnd("TIMED_OUT")
    }
    this.timers.set(client)
  }
}

/** The most urgent of the jobs that clients wait for. */
const mostUrgentAwaited = (tubes: ReadonlyArray<Tube>): Job | undefined => {
  let best: Job | undefined
  for (const { pause, ready, waiters } of tubes) {
    if (pause !== undefined || waiters.size === 0) continue
    const job = ready.head
    if (job !== undefined && (best === undefined || byPriority(job, best))) best = job
  }
  return best
}
