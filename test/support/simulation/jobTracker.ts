/**
 * Follows every job of a simulation, by the events of its server and by how its handlers end, and records every violation of a
 * promise of the worker.
 *
 * The ids of jobs are those that the worker has: of the server 0 its own, of others the qualified ones.
 */
import type { JobEvent } from "../../../src/internal/broker/jobStore.ts"
import type { Job } from "../../../src/internal/broker/model.ts"
import { qualify } from "../../../src/internal/values/qualifiedId.ts"
import { isJobId } from "../../../src/Job.ts"

/** What the worker may do with a job whose handler has ended. */
export interface AllowedSettlements {
  readonly delete?: boolean
  readonly bury?: boolean
  /** The least number of milliseconds after which it may be run again. */
  readonly release?: number | undefined
}

/** A job that the server has. */
export interface Entry {
  readonly key: number
  /** The number of the server. */
  readonly server: number
  readonly job: Job
  readonly isReadable: boolean
  /** By the number of the connection. */
  readonly reservations: Map<number, Reservation>
  /** The time before which it must not be reserved. */
  notBefore: number
  /** Whether a handler has allowed to delete it. It stays true, since the delete may be sent later, by another connection. */
  mayDelete: boolean
  mayBury: boolean
  mayRelease: number | undefined
  /** The runs whose worker takes the job to be reserved by it. */
  readonly holders: Set<Run>
  /** The server has kept the job where no command finds it: it had no disk space when it was to release or bury the job. */
  isHidden: boolean
  /** The job was lost with its server, which was replaced. */
  isLost: boolean
}

export interface Reservation {
  /** The number of the reservation of its job, counted from 1. */
  readonly number: number
  readonly at: number
  /** When the worker has received it. */
  receivedAt: number
  /** When the job's time to run is over by the clock of the server: from the reserve, or from the latest touch. */
  endsAt: number
  /** Whether the worker has received the statistics of the job. Until then it takes the time to run of its tube for the job's. */
  isTtrKnown: boolean
}

/** Two workers take a job to be reserved by them. */
interface Contest {
  /** When it began, in the running time of the worker's process, which cannot know of it while it is blocked. */
  readonly at: number
  /** How long, in milliseconds, the worker cannot know of it. */
  readonly unknown: number
}

/** A run of a handler. */
export interface Run {
  readonly entry: Entry
  readonly reservation: Reservation
  /** The time, in milliseconds, for which the reservation was on its way to the worker. */
  readonly latency: number
  /** The time, in milliseconds, in which the process of the worker was not blocked. */
  readonly runningTime: () => number
  /** Whether the handler is interrupted when its lease is lost. */
  readonly isInterruptible: boolean
  /** Whether its `leaseLost` has failed. */
  isLossKnown: boolean
  /** Since when another connection has had the job reserved, while the worker of this run took it to be reserved by itself. */
  contest: Contest | undefined
}

/** What is known of a key, as a bit each. */
const put = 1
const acknowledged = 2
const unknown = 4
const deleted = 8
const lostWithServer = 16

/** The error, in milliseconds, of times that are sums of fractions. */
export const roundingError = 1e-6

export interface JobTrackerOptions {
  readonly now: () => number
  /** The least number of disconnects after which a job may be buried without being run. */
  readonly maxDisconnects: number
  readonly onViolation: (violation: string) => void
  /** The time to run, in seconds, that a worker assumes. */
  readonly ttr: number
}

/** How the handler of a run was begun. */
export type RunOptions = Pick<Run, "isInterruptible" | "runningTime">

export class JobTracker {
  readonly counts: Record<JobEvent, number> = {
    put: 0,
    due: 0,
    reserved: 0,
    touched: 0,
    released: 0,
    buried: 0,
    kicked: 0,
    deleted: 0,
    "timed-out": 0,
    "given-back": 0
  }
  readonly violations: Array<string> = []
  /** The servers that have no memory for their queues, and bury jobs that should become ready or delayed. */
  readonly shortOfMemory = new Set<number>()
  /** How many jobs were lost with servers that were replaced. */
  lostWithServer = 0
  runs = 0
  /** How many keys were given to producers. */
  keys = 0
  /** How many runs took a job to be theirs that another connection had reserved, and for how long at most, in milliseconds. */
  contests = 0
  longestContest = 0
  /** How many points handlers have passed, and how many of them when the server did not hold their job for them any more. */
  points = 0
  pointsNotHeld = 0
  /** How many jobs are hidden, or were. */
  hidden = 0
  private facts = new Uint8Array(2 ** 16)
  private readonly options: JobTrackerOptions
  private readonly live = new Map<number, Entry>()
  private readonly byId = new Map<string, Entry>()
  /** The jobs that are hidden, and those that cannot be decoded, which are released again and again, for up to a day. */
  private readonly setAside = new Set<Entry>()

  constructor(options: JobTrackerOptions) {
    this.options = options
  }

  /** Records that a promise was broken. */
  violation(what: string): void {
    if (this.violations.length === 20) return
    const violation = `${this.options.now()} ms: ${what}`
    this.violations.push(violation)
    this.options.onViolation(violation)
  }

  // producers ---------------------------------------------------------------------------------------------------------

  nextKey(): number {
    this.keys += 1
    if (this.keys >= this.facts.length) {
      const larger = new Uint8Array(this.facts.length * 2)
      larger.set(this.facts)
      this.facts = larger
    }
    return this.keys
  }

  onAcknowledged(key: number): void {
    if (!this.is(key, put)) this.violation(`job ${key} was acknowledged, but never put`)
    this.mark(key, acknowledged)
  }

  onUnknown(key: number): void {
    this.mark(key, unknown)
  }

  // the server --------------------------------------------------------------------------------------------------------

  /** A server has lost its jobs. */
  onServer(server: number): void {
    for (const [id, entry] of this.byId) {
      if (entry.server !== server) continue
      entry.isLost = true
      this.mark(entry.key, lostWithServer)
      this.lostWithServer += 1
      this.live.delete(entry.key)
      this.setAside.delete(entry)
      this.byId.delete(id)
    }
  }

  onJobEvent(server: number, event: JobEvent, job: Job, connection = 0): void {
    this.counts[event] += 1
    const id = idOf(server, job.id)
    const entry = this.byId.get(id)
    // A server without memory for its queues buries a job that is put.
    const isPut = event === "put" || (event === "buried" && job.reserves === 0 && entry === undefined)
    if (isPut) return this.onPut(server, job)
    if (entry === undefined) return this.violation(`${event}: job id ${id} is unknown`)
    switch (event) {
      case "reserved":
        return this.onReserved(entry, connection)
      case "touched":
        return this.onTouched(entry, connection)
      case "released":
        return this.onReleased(entry)
      case "buried":
        return this.onBuried(entry)
      case "deleted":
        return this.onDeleted(entry)
      case "kicked":
      case "timed-out":
      case "given-back":
        entry.notBefore = 0
        return
    }
  }

  private onPut(server: number, job: Job): void {
    const body = Buffer.from(job.body).toString("latin1").trimEnd()
    const isReadable = !body.startsWith("?")
    const key = Number(isReadable ? body : body.slice(1))
    if (this.is(key, put)) this.violation(`job ${key} was put twice`)
    this.mark(key, put)
    const entry: Entry = {
      key,
      server,
      job,
      isReadable,
      reservations: new Map(),
      notBefore: 0,
      mayDelete: false,
      mayBury: false,
      mayRelease: undefined,
      holders: new Set(),
      isHidden: false,
      isLost: false
    }
    this.live.set(key, entry)
    if (!isReadable) this.setAside.add(entry)
    this.byId.set(idOf(server, job.id), entry)
  }

  private onReserved(entry: Entry, connection: number): void {
    const now = this.options.now()
    if (now < entry.notBefore - roundingError) {
      this.violation(`job ${entry.key} is reserved again ${entry.notBefore - now} ms too early`)
    }
    const endsAt = now + entry.job.ttr * 1000
    entry.reservations.set(connection, {
      number: entry.job.reserves,
      at: now,
      receivedAt: now,
      endsAt,
      isTtrKnown: false
    })
    entry.mayBury = false
    entry.mayRelease = undefined
    for (const run of entry.holders) this.beginContest(run)
  }

  private beginContest(run: Run): void {
    run.contest ??= { at: run.runningTime(), unknown: this.unknownOf(run) }
  }

  private onTouched({ job, reservations }: Entry, connection: number): void {
    const reservation = reservations.get(connection)
    if (reservation !== undefined) reservation.endsAt = this.options.now() + job.ttr * 1000
  }

  /** The server keeps a job where no command finds it. */
  onHidden(server: number, job: Job): void {
    const id = idOf(server, job.id)
    const entry = this.byId.get(id)
    if (entry === undefined) return this.violation(`hidden: job id ${id} is unknown`)
    entry.isHidden = true
    this.setAside.add(entry)
    this.hidden += 1
  }

  private onReleased(entry: Entry): void {
    if (entry.isReadable && entry.mayRelease === undefined) {
      this.violation(`job ${entry.key} was released without reason`)
    }
    entry.notBefore = this.options.now() + (entry.mayRelease ?? 0)
  }

  private onBuried({ isReadable, job, key, mayBury, server }: Entry): void {
    const { buries, releases, reserves, timeouts } = job
    // The event comes after the server has counted the bury.
    const disconnects = reserves - 1 - releases - timeouts - (buries - 1)
    const isReason = !isReadable || mayBury || disconnects >= this.options.maxDisconnects
    // A server without memory buries jobs that should become ready or delayed.
    if (!isReason && !this.shortOfMemory.has(server)) this.violation(`job ${key} was buried without reason`)
  }

  private onDeleted(entry: Entry): void {
    const { isReadable, job, key, mayDelete, server } = entry
    if (isReadable && !mayDelete) this.violation(`job ${key} was deleted, but no handler had succeeded`)
    this.mark(key, deleted)
    this.live.delete(key)
    this.setAside.delete(entry)
    this.byId.delete(idOf(server, job.id))
  }

  // handlers ----------------------------------------------------------------------------------------------------------

  /** The reservation of a job by a connection. */
  reservationOf(id: string, connection: number): Reservation | undefined {
    return this.byId.get(id)?.reservations.get(connection)
  }

  /** The worker has received a job on a connection. */
  onReceived(id: string, connection: number): Reservation | undefined {
    const reservation = this.reservationOf(id, connection)
    if (reservation !== undefined) reservation.receivedAt = this.options.now()
    return reservation
  }

  onRun(key: number, reservation: Reservation | undefined, options: RunOptions): Run | undefined {
    this.runs += 1
    const entry = this.live.get(key)
    // If the reply was delayed, another worker may have run and deleted the job meanwhile.
    if (entry === undefined || reservation === undefined) return undefined
    const run: Run = {
      ...options,
      entry,
      reservation,
      latency: reservation.receivedAt - reservation.at,
      isLossKnown: false,
      contest: undefined
    }
    if (entry.job.reserves !== reservation.number) this.beginContest(run)
    entry.holders.add(run)
    return run
  }

  allow({ entry, reservation }: Run, allowed: AllowedSettlements): void {
    entry.mayDelete ||= allowed.delete === true
    if (entry.job.reserves !== reservation.number) return
    entry.mayBury ||= allowed.bury === true
    entry.mayRelease ??= allowed.release
  }

  /** The `onExhausted` Effect of a job has succeeded. */
  onExhausted(key: number): void {
    const entry = this.live.get(key)
    if (entry !== undefined) entry.mayDelete = true
  }

  /**
   * How much longer, in milliseconds, than the server holds the job for it a worker may take the job to be held: by the time in which
   * the reservation was on its way, and, until it has asked for the job's time to run, by that of the tube if it is longer.
   */
  private unknownOf({ entry: { job }, latency, reservation }: Run): number {
    return latency + (reservation.isTtrKnown ? 0 : Math.max(0, this.options.ttr - job.ttr) * 1000)
  }

  /** The handler of a run goes on, after it has waited. */
  onPoint(run: Run): void {
    const { entry: { job, key }, isInterruptible, isLossKnown, reservation } = run
    const now = this.options.now()
    this.points += 1
    if (job.state !== "reserved" || job.reserves !== reservation.number) this.pointsNotHeld += 1
    const late = now - reservation.endsAt - this.unknownOf(run)
    if (late <= roundingError || (isLossKnown && !isInterruptible)) return
    this.violation(
      `the handler of job ${key} of ttr ${job.ttr} s went on ${late} ms after its lease was over` +
        (isInterruptible ? "" : ", and its leaseLost had not failed")
    )
  }

  /** The `leaseLost` of a run has failed. */
  onLossKnown(run: Run): void {
    run.isLossKnown = true
    this.onRunEnd(run)
  }

  /** A run has ended, or its `leaseLost` has failed. */
  onRunEnd(run: Run): void {
    const { contest, entry, latency } = run
    if (!entry.holders.delete(run) || contest === undefined || entry.isLost) return
    const lasted = run.runningTime() - contest.at
    this.contests += 1
    this.longestContest = Math.max(this.longestContest, lasted)
    if (lasted > contest.unknown + roundingError) {
      const { ttr } = entry.job
      this.violation(
        `job ${entry.key} of ttr ${ttr} s was held by two workers for ${lasted} ms, although its reservation took ${latency} ms`
      )
    }
  }

  // the end -----------------------------------------------------------------------------------------------------------

  /** How many jobs the server has to give to workers. */
  get size(): number {
    return this.live.size - this.setAside.size
  }

  /**
   * The jobs that the server has, without those that are buried or hidden, and those that cannot be decoded and are delayed.
   */
  get left(): ReadonlyArray<Entry> {
    return Array.from(this.live.values()).filter(({ isHidden, isReadable, job: { state } }) =>
      !isHidden && state !== "buried" && (isReadable || state !== "delayed")
    )
  }

  get buried(): number {
    return Array.from(this.live.values()).filter(({ job }) => job.state === "buried").length
  }

  get unknown(): number {
    return this.facts.reduce((sum, facts) => sum + ((facts & unknown) === 0 ? 0 : 1), 0)
  }

  /** How many jobs were acknowledged, but are neither in the server, nor deleted, nor lost with a server that was replaced. */
  get lost(): number {
    let lost = 0
    for (let key = 1; key <= this.keys; key += 1) {
      if (this.is(key, acknowledged) && !this.is(key, deleted | lostWithServer) && !this.live.has(key)) lost += 1
    }
    return lost
  }

  private is(key: number, facts: number): boolean {
    return (this.facts[key]! & facts) !== 0
  }

  private mark(key: number, facts: number): void {
    this.facts[key]! |= facts
  }
}

/** The id of a job for a worker, of the server's own. */
export const idOf = (server: number, own: number): string => {
  const id = `${own}`
  return isJobId(id) ? qualify(server, id) : id
}
