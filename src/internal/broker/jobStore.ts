/**
 * What happens to jobs: from ready to reserved to delayed, buried or deleted, by command or because it is time.
 *
 * Nothing is read or written here, and no clock is asked: `now` is told.
 */
import { defaultTube, type TubeName } from "../../Job.ts"
import { Heap } from "../base/heap.ts"
import type { Client } from "./client.ts"
import { wakesSooner } from "./client.ts"
import { Job, type JobState, moreUrgent } from "./job.ts"
import { type Tube, Tubes } from "./tube.ts"

/**
 * What can happen to a job.
 *
 * - `put`: its body has come. It is ready or delayed.
 * - `due`: its delay is over.
 * - `reserved`, `touched`, `released`, `buried`, `kicked`, `deleted`: by command. `buried` also when there was no memory to make
 *   it ready.
 * - `timed-out`: its time to run is over, and it is ready again.
 * - `given-back`: its holder's connection ended, and it is ready again.
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

/** Called behind each change, when the job is in its new state. */
export type OnJobEvent = (event: JobEvent, job: Job, client: Client | undefined) => void

/** How much memory the server has for new jobs. With none for its store, it buries what should be ready or delayed. */
export type Memory = "enough" | "none-for-queues" | "none"

/** A client is told of the end of a job it holds this long before, in milliseconds. */
const margin = 1000

const second = 1000

export class JobStore {
  /** In milliseconds. */
  now: number
  memory: Memory = "enough"
  readonly tubes = new Tubes()
  timeouts = 0
  totalJobs = 0
  readonly defaultTube: Tube
  /** By their ids; those too that are still being uploaded. */
  readonly jobs = new Map<number, Job>()
  private readonly appointments = new Heap<Client>(wakesSooner)
  private readonly onEvent: OnJobEvent
  private lastId = 0
  private reservations = 0
  private scheduled = 0

  constructor(now: number, onEvent: OnJobEvent) {
    this.now = now
    this.onEvent = onEvent
    this.defaultTube = this.tubes.findOrMake(defaultTube)
    this.tubes.refer(this.defaultTube)
  }

  // Clients

  join(client: Client): void {
    this.beginUse(client.used)
    this.watch(client, this.defaultTube.name)
  }

  /** What it holds is ready at once, in the order in which it was reserved. */
  leave(client: Client): void {
    this.stopWaiting(client)
    const held = [...client.held].toSorted((a, b) => a.reservation - b.reservation)
    for (const job of held) this.giveBack(job, "given-back")
    // beanstalkd removes the first until none is left, and the last takes its place each time.
    const [first, ...others] = client.watched
    for (const tube of [first!, ...others.toReversed()]) this.unwatch(tube)
    this.endUse(client.used)
    this.cancelAppointment(client)
  }

  use(client: Client, name: TubeName): void {
    const tube = this.tubes.findOrMake(name)
    this.beginUse(tube)
    this.endUse(client.used)
    client.used = tube
  }

  watch(client: Client, name: TubeName): void {
    const tube = this.tubes.findOrMake(name)
    if (client.watched.includes(tube)) return
    client.watched.push(tube)
    tube.watching += 1
    this.tubes.refer(tube)
  }

  /** False when it is the only one watched. */
  ignore(client: Client, name: TubeName): boolean {
    const { watched } = client
    const tube = this.tubes.find(name)
    if (tube === undefined || !watched.includes(tube)) return true
    if (watched.length === 1) return false
    watched[watched.indexOf(tube)] = watched[watched.length - 1]!
    watched.pop()
    this.unwatch(tube)
    return true
  }

  private beginUse(tube: Tube): void {
    tube.using += 1
    this.tubes.refer(tube)
  }

  private endUse(tube: Tube): void {
    tube.using -= 1
    this.tubes.unrefer(tube)
  }

  private unwatch(tube: Tube): void {
    tube.watching -= 1
    this.tubes.unrefer(tube)
  }

  // Jobs

  find(id: number): Job | undefined {
    return this.jobs.get(id)
  }

  /** A job that is not being uploaded any more. */
  findWhole(id: number): Job | undefined {
    const job = this.jobs.get(id)
    return job?.state === "invalid" ? undefined : job
  }

  /** A job to be uploaded. It has its id, and its tube, from now on. */
  announce(client: Client, priority: number, delay: number, ttr: number): Job {
    const job = new Job(this.lastId += 1, client.used, priority, delay, Math.max(1, ttr), this.now)
    this.tubes.refer(job.tube)
    this.jobs.set(job.id, job)
    return job
  }

  /** A job that has been uploaded. False when it had to be buried. */
  put(job: Job, client: Client): boolean {
    const queued = this.enqueue(job, job.delay, "put", client)
    this.totalJobs += 1
    job.tube.totalJobs += 1
    return queued
  }

  /** The job is gone, and its tube with it if nothing else refers to it. */
  forget(job: Job): void {
    this.enter(job, "invalid")
    this.jobs.delete(job.id)
    this.tubes.unrefer(job.tube)
  }

  /** Anybody may delete a job that nobody holds. */
  delete(client: Client, id: number): boolean {
    const job = this.findWhole(id)
    if (job === undefined || (job.state === "reserved" && job.holder !== client)) return false
    this.detach(job)
    job.tube.deletes += 1
    this.forget(job)
    this.onEvent("deleted", job, client)
    return true
  }

  touch(client: Client, id: number): boolean {
    const job = this.heldBy(client, id)
    if (job === undefined) return false
    client.held.remove(job)
    job.deadline = this.now + job.ttr * second
    client.held.insert(job)
    this.onEvent("touched", job, client)
    return true
  }

  /** `undefined` when the client does not hold it, otherwise whether it did not have to be buried. */
  release(client: Client, id: number, priority: number, delay: number): boolean | undefined {
    const job = this.heldBy(client, id)
    if (job === undefined) return undefined
    this.detach(job)
    job.priority = priority
    job.delay = delay
    job.releases += 1
    return this.enqueue(job, delay, "released", client)
  }

  bury(client: Client, id: number, priority: number): boolean {
    const job = this.heldBy(client, id)
    if (job === undefined) return false
    this.detach(job)
    job.priority = priority
    this.putAside(job, client)
    return true
  }

  /** Buried jobs, the oldest first, or if there are none delayed ones, the soonest first. */
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

  /** Takes a job of any tube from whichever queue it is in. */
  reserveJob(client: Client, id: number): Job | undefined {
    const job = this.findWhole(id)
    if (job === undefined || job.state === "reserved") return undefined
    this.reserve(client, job)
    return job
  }

  /** False when there is no such tube. */
  pause(name: TubeName, duration: number): boolean {
    const tube = this.tubes.find(name)
    if (tube === undefined) return false
    this.tubes.pause(tube, duration, this.now + duration * second)
    tube.pauses += 1
    return true
  }

  private heldBy(client: Client, id: number): Job | undefined {
    const job = this.jobs.get(id)
    return job?.holder === client ? job : undefined
  }

  private kickOne(job: Job, client: Client): boolean {
    this.detach(job)
    job.kicks += 1
    return this.enqueue(job, 0, "kicked", client)
  }

  private giveBack(job: Job, event: JobEvent): void {
    const client = job.holder
    this.detach(job)
    this.enqueue(job, 0, event, client)
  }

  /** Into the queue where it belongs; false when there was no memory for that, and it is buried. */
  private enqueue(
    job: Job,
    delay: number,
    event: JobEvent,
    client: Client | undefined,
    resumed: ReadonlyArray<Tube> = []
  ): boolean {
    if (this.memory !== "enough") {
      this.putAside(job, client)
      return false
    }
    if (delay > 0) {
      job.deadline = this.now + delay * second
      this.enter(job, "delayed")
      this.tubes.delay(job)
      this.onEvent(event, job, client)
    } else {
      this.enter(job, "ready")
      job.tube.ready.insert(job)
      this.onEvent(event, job, client)
      this.serve([job.tube, ...resumed])
    }
    return true
  }

  private putAside(job: Job, client: Client | undefined): void {
    this.enter(job, "buried")
    job.tube.buried.push(job)
    job.buries += 1
    this.onEvent("buried", job, client)
  }

  /** Out of the queue it is in. */
  private detach(job: Job): void {
    const { tube } = job
    switch (job.state) {
      case "ready":
        return tube.ready.remove(job)
      case "delayed":
        return this.tubes.undelay(job)
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

  private enter(job: Job, state: JobState): void {
    this.count(job, -1)
    job.state = state
    this.count(job, 1)
  }

  private count({ isUrgent, state, tube }: Job, change: 1 | -1): void {
    if (state === "reserved") tube.reserved += change
    if (state === "ready" && isUrgent) tube.urgent += change
  }

  // Reserving

  /** Hands over the best job, at once or as soon as there is one. */
  awaitJob(client: Client, timeout: number): void {
    if (this.isDeadlineSoon(client) && !client.watched.some((tube) => tube.ready.size > 0)) {
      return client.onDeadlineSoon()
    }
    client.isWaiting = true
    client.waitsUntil = this.now + timeout
    for (const tube of client.watched) tube.waiters.add(client)
    this.serve(client.watched)
    if (client.isWaiting) this.makeAppointment(client)
  }

  stopWaiting(client: Client): void {
    if (!client.isWaiting) return
    client.isWaiting = false
    client.waitsUntil = Number.POSITIVE_INFINITY
    for (const tube of client.watched) tube.waiters.remove(client)
  }

  /** Hands jobs of these tubes to those who wait, the best first, until no two of them match. */
  private serve(tubes: ReadonlyArray<Tube>): void {
    for (let job = bestAwaited(tubes); job !== undefined; job = bestAwaited(tubes)) {
      const client = job.tube.waiters.take()!
      this.stopWaiting(client)
      this.reserve(client, job)
      client.onReserved(job)
    }
  }

  private reserve(client: Client, job: Job): void {
    this.detach(job)
    this.enter(job, "reserved")
    job.reserves += 1
    job.deadline = this.now + job.ttr * second
    job.holder = client
    job.reservation = this.reservations += 1
    client.held.insert(job)
    this.onEvent("reserved", job, client)
  }

  private isDeadlineSoon(client: Client): boolean {
    const job = client.held.head
    return job !== undefined && this.now >= job.deadline - margin
  }

  // Time

  /** When something will happen by itself. */
  get nextTick(): number {
    return Math.min(
      this.tubes.delayed.head?.delayed.head?.deadline ?? Number.POSITIVE_INFINITY,
      this.tubes.pauses.head?.until ?? Number.POSITIVE_INFINITY,
      this.appointments.head?.wakesAt ?? Number.POSITIVE_INFINITY
    )
  }

  /** Lets everything happen that is due. */
  tick(): void {
    if (this.nextTick > this.now) return
    const resumed = this.endPauses()
    this.endDelays(resumed)
    this.serve(resumed)
    this.keepAppointments()
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

  /** Each job finds its waiter before the next is due; those of the tubes that were resumed compete with the first. */
  private endDelays(resumed: ReadonlyArray<Tube>): void {
    for (let competing = resumed;; competing = []) {
      const job = this.tubes.delayed.head?.delayed.head
      if (job === undefined || job.deadline > this.now) return
      this.detach(job)
      this.enqueue(job, 0, "due", undefined, competing)
    }
  }

  private keepAppointments(): void {
    for (;;) {
      const client = this.appointments.head
      if (client === undefined || client.wakesAt > this.now) return
      this.wake(client)
    }
  }

  private wake(client: Client): void {
    if (client.isWaiting && this.isDeadlineSoon(client)) {
      this.stopWaiting(client)
      client.onDeadlineSoon()
    }
    for (let job = client.held.head; job !== undefined && job.deadline <= this.now; job = client.held.head) {
      this.timeouts += 1
      job.timeouts += 1
      this.giveBack(job, "timed-out")
    }
    if (client.waitsUntil <= this.now) {
      this.stopWaiting(client)
      client.onTimedOut()
    }
    this.makeAppointment(client)
  }

  /** To be called when what the client holds or waits for has changed. */
  makeAppointment(client: Client): void {
    this.cancelAppointment(client)
    const soonest = client.held.head?.deadline ?? Number.POSITIVE_INFINITY
    client.wakesAt = Math.min(client.waitsUntil, client.isWaiting ? soonest - margin : soonest)
    if (client.wakesAt === Number.POSITIVE_INFINITY) return
    client.appointment = this.scheduled += 1
    this.appointments.insert(client)
  }

  private cancelAppointment(client: Client): void {
    if (client.position >= 0) this.appointments.remove(client)
  }
}

/** The most urgent of the jobs that somebody waits for. */
const bestAwaited = (tubes: ReadonlyArray<Tube>): Job | undefined => {
  let best: Job | undefined
  for (const { pause, ready, waiters } of tubes) {
    if (pause !== undefined || waiters.size === 0) continue
    const job = ready.head
    if (job !== undefined && (best === undefined || moreUrgent(job, best))) best = job
  }
  return best
}
