import * as Brand from "effect/Brand"
import type { JobId, TubeName } from "../../Job.ts"
import type { JobEvent } from "../broker/jobStore.ts"
import type { JobState } from "../broker/model.ts"

/**
 * An event of one job.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalEntry {
  /** When it happened, by the Clock, in milliseconds since 1970. */
  readonly at: number
  readonly event: JobEvent
  readonly id: JobId
  readonly tube: TubeName
  /** The state of the job after the event. */
  readonly state: "ready" | "reserved" | "delayed" | "buried" | "deleted"
  /**
   * The number of the connection that sent the command, or that held the job; `undefined` for `due`, when a delay was over.
   * Connections are counted from 1 in the order of connecting.
   */
  readonly connection: number | undefined
}

const brand = Brand.nominal<JobId>()

/** In the broker ids are numbers. */
export const jobId = (id: number): JobId => brand(String(id))

/**
 * The latest events of all jobs, and the listeners for later ones.
 *
 * Entries are stored in columns. Most of them are never read, and allocating an object for each makes every command of the
 * broker slower by a tenth.
 */
export class Journal {
  private readonly size: number
  /** The index of the next entry. When all indices are used, it overwrites the oldest. */
  private next = 0
  private readonly ats: Array<number> = []
  private readonly events: Array<JobEvent> = []
  private readonly ids: Array<number> = []
  private readonly tubes: Array<TubeName> = []
  private readonly states: Array<JobState> = []
  private readonly connections: Array<number | undefined> = []
  private readonly listeners = new Set<(entry: JournalEntry) => void>()

  constructor(size: number) {
    this.size = size
  }

  add(at: number, event: JobEvent, id: number, tube: TubeName, state: JobState, connection: number | undefined): void {
    if (this.size > 0) {
      const index = this.next
      this.ats[index] = at
      this.events[index] = event
      this.ids[index] = id
      this.tubes[index] = tube
      this.states[index] = state
      this.connections[index] = connection
      this.next = (index + 1) % this.size
    }
    for (const listener of this.listeners) listener(entryOf(at, event, id, tube, state, connection))
  }

  /** The latest entries, the oldest first. */
  get entries(): ReadonlyArray<JournalEntry> {
    const { length } = this.ats
    const oldest = length < this.size ? 0 : this.next
    return Array.from({ length }, (_, index) => this.entryAt((oldest + index) % length))
  }

  subscribe(listener: (entry: JournalEntry) => void): void {
    this.listeners.add(listener)
  }

  unsubscribe(listener: (entry: JournalEntry) => void): void {
    this.listeners.delete(listener)
  }

  private entryAt(index: number): JournalEntry {
    return entryOf(
      this.ats[index]!,
      this.events[index]!,
      this.ids[index]!,
      this.tubes[index]!,
      this.states[index]!,
      this.connections[index]
    )
  }
}

const entryOf = (
  at: number,
  event: JobEvent,
  id: number,
  tube: TubeName,
  state: JobState,
  connection: number | undefined
): JournalEntry => ({
  at,
  event,
  id: jobId(id),
  tube,
  state: state === "invalid" ? "deleted" : state,
  connection
})
