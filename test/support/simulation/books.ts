/**
 * What is known of every job of a simulation: from its server, which tells each change when it happens, and from the
 * handlers, which write down how they end. Whatever contradicts a promise is kept.
 */
import type { JobEvent } from "../../../src/internal/broker/jobStore.ts"
import type { Job } from "../../../src/internal/broker/model.ts"

/** What may become of a job whose handler has just ended. */
export interface Verdict {
  readonly delete?: boolean
  readonly bury?: boolean
  /** At the soonest so many milliseconds later it may be run again. */
  readonly release?: number | undefined
}

/** A job that is there. */
export interface Entry {
  readonly key: number
  readonly job: Job
  readonly isReadable: boolean
  /** By their connections. */
  readonly reservations: Map<number, Reservation>
  /** It will not be run before. */
  notBefore: number
  /** Whether somebody has said that it may be deleted: that stays so, since a delete may come late. */
  mayDelete: boolean
  mayBury: boolean
  mayRelease: number | undefined
  /** The handlers that take it for theirs. */
  readonly believers: Set<Run>
  isGone: boolean
}

/** When a job was given to somebody. */
export interface Reservation {
  /** Counted from 1. */
  readonly number: number
  readonly at: number
}

/** A handler that runs, and takes the job for its own until it ends or is told otherwise. */
export interface Run {
  readonly entry: Entry
  readonly reservation: Reservation
  /** How much later than it was given away the job has come. */
  readonly late: number
  /** When somebody else was given the job, while it was believed to be held. */
  contestedAt: number | undefined
}

/** Facts of a key. */
const put = 1
const acknowledged = 2
const unknown = 4
const deleted = 8
const gone = 16

/** Times are sums of fractions. In milliseconds. */
const nanosecond = 1e-6

export interface BooksOptions {
  readonly now: () => number
  /** From so many disconnects on a job may be buried unrun. */
  readonly maxDisconnects: number
}

export class Books {
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
  /** Whether the server has no memory for what is to be ready or delayed. */
  isMemoryShort = false
  /** How many jobs went with their servers. */
  gone = 0
  runs = 0
  /** How many jobs were to be put. */
  keys = 0
  /** How often a job was given to somebody while a handler still took it for its own, and for how long at most. */
  contests = 0
  longestContest = 0
  private facts = new Uint8Array(2 ** 16)
  private readonly options: BooksOptions
  private readonly live = new Map<number, Entry>()
  private byId = new Map<number, Entry>()

  constructor(options: BooksOptions) {
    this.options = options
  }

  accuse(what: string): void {
    if (this.violations.length < 20) this.violations.push(`${this.options.now()} ms: ${what}`)
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
    if (!this.is(key, put)) this.accuse(`job ${key} was acknowledged, but never came`)
    this.mark(key, acknowledged)
  }

  onUnknown(key: number): void {
    this.mark(key, unknown)
  }

  // the server --------------------------------------------------------------------------------------------------------

  onServer(): void {
    for (const entry of this.live.values()) {
      entry.isGone = true
      this.mark(entry.key, gone)
    }
    this.gone += this.live.size
    this.live.clear()
    this.byId = new Map()
  }

  onJobEvent(event: JobEvent, job: Job, connection = 0): void {
    this.counts[event] += 1
    if (event === "put") return this.onPut(job)
    // Without memory for its queues the server buries what is put.
    if (event === "buried" && job.reserves === 0 && !this.byId.has(job.id)) return this.onPut(job)
    const entry = this.byId.get(job.id)
    if (entry === undefined) return this.accuse(`${event}: there is no job ${job.id}`)
    switch (event) {
      case "reserved":
        return this.onReserved(entry, connection)
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

  private onPut(job: Job): void {
    const body = Buffer.from(job.body).toString("latin1").trimEnd()
    const isReadable = !body.startsWith("?")
    const key = Number(isReadable ? body : body.slice(1))
    if (this.is(key, put)) this.accuse(`job ${key} was put twice`)
    this.mark(key, put)
    const entry: Entry = {
      key,
      job,
      isReadable,
      reservations: new Map(),
      notBefore: 0,
      mayDelete: false,
      mayBury: false,
      mayRelease: undefined,
      believers: new Set(),
      isGone: false
    }
    this.live.set(key, entry)
    this.byId.set(job.id, entry)
  }

  private onReserved(entry: Entry, connection: number): void {
    const now = this.options.now()
    if (now < entry.notBefore - nanosecond) {
      this.accuse(`job ${entry.key} is run again ${entry.notBefore - now} ms too early`)
    }
    entry.reservations.set(connection, { number: entry.job.reserves, at: now })
    entry.mayBury = false
    entry.mayRelease = undefined
    for (const run of entry.believers) run.contestedAt ??= now
  }

  private onReleased(entry: Entry): void {
    if (entry.isReadable && entry.mayRelease === undefined) this.accuse(`job ${entry.key} was released for no reason`)
    entry.notBefore = this.options.now() + (entry.mayRelease ?? 0)
  }

  private onBuried({ isReadable, job, key, mayBury }: Entry): void {
    const { buries, releases, reserves, timeouts } = job
    // It is told when it is buried, and its burial counted.
    const disconnects = reserves - 1 - releases - timeouts - (buries - 1)
    const isReason = !isReadable || mayBury || disconnects >= this.options.maxDisconnects
    // Without memory it is what becomes of whatever comes back.
    if (!isReason && !this.isMemoryShort) this.accuse(`job ${key} was buried for no reason`)
  }

  private onDeleted(entry: Entry): void {
    const { isReadable, job, key, mayDelete } = entry
    if (isReadable && !mayDelete) this.accuse(`job ${key} was deleted, but no handler had succeeded`)
    this.mark(key, deleted)
    this.live.delete(key)
    this.byId.delete(job.id)
  }

  // handlers ----------------------------------------------------------------------------------------------------------

  /** Somebody has heard that a job was given to it. */
  reservationOf(id: string, connection: number): Reservation | undefined {
    return this.byId.get(Number(id))?.reservations.get(connection)
  }

  onRun(key: number, reservation: Reservation | undefined): Run | undefined {
    this.runs += 1
    const entry = this.live.get(key)
    // What came very late may have been run by somebody else, and be gone.
    if (entry === undefined || reservation === undefined) return undefined
    const now = this.options.now()
    const run: Run = {
      entry,
      reservation,
      late: now - reservation.at,
      contestedAt: entry.job.reserves === reservation.number ? undefined : now
    }
    entry.believers.add(run)
    return run
  }

  onVerdict({ entry, reservation }: Run, verdict: Verdict): void {
    entry.mayDelete ||= verdict.delete === true
    if (entry.job.reserves !== reservation.number) return
    entry.mayBury ||= verdict.bury === true
    entry.mayRelease ??= verdict.release
  }

  /** What was to be done with a job that failed too often is done. */
  onExhausted(key: number): void {
    const entry = this.live.get(key)
    if (entry !== undefined) entry.mayDelete = true
  }

  /** It has ended, or knows that the job is not its own any more. */
  onDoubt(run: Run): void {
    const { contestedAt, entry, late } = run
    if (!entry.believers.delete(run) || contestedAt === undefined || entry.isGone) return
    const contest = this.options.now() - contestedAt
    this.contests += 1
    this.longestContest = Math.max(this.longestContest, contest)
    if (contest > late) {
      const { ttr } = entry.job
      this.accuse(`job ${entry.key} of ttr ${ttr} s was held twice for ${contest} ms, although it came ${late} ms late`)
    }
  }

  // the end -----------------------------------------------------------------------------------------------------------

  /** The jobs that are there. */
  get size(): number {
    return this.live.size
  }

  /** The jobs that are there, but for those that are buried. */
  get left(): ReadonlyArray<Entry> {
    return Array.from(this.live.values()).filter(({ job }) => job.state !== "buried")
  }

  get buried(): number {
    return this.live.size - this.left.length
  }

  get unknown(): number {
    return this.facts.reduce((sum, facts) => sum + ((facts & unknown) === 0 ? 0 : 1), 0)
  }

  /** Acknowledged jobs of which nobody knows what has become. */
  get lost(): number {
    let lost = 0
    for (let key = 1; key <= this.keys; key += 1) {
      if (this.is(key, acknowledged) && !this.is(key, deleted | gone) && !this.live.has(key)) lost += 1
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
