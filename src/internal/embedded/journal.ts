import * as Brand from "effect/Brand"
import type { JobId, TubeName } from "../../Job.ts"
import type { JobState } from "../broker/job.ts"
import type { JobEvent } from "../broker/jobStore.ts"

/**
 * One thing that happened to one job.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalEntry {
  /** In milliseconds, by the Clock. */
  readonly at: number
  readonly event: JobEvent
  readonly id: JobId
  readonly tube: TubeName
  /** The state it is in then; `deleted` when it is gone. */
  readonly state: "ready" | "reserved" | "delayed" | "buried" | "deleted"
  /** The connection that did it, or to which it happened, counted from 1; `undefined` when it was the time. */
  readonly connection: number | undefined
}

const brand = Brand.nominal<JobId>()

/** A broker has numbers for ids. */
export const jobId = (id: number): JobId => brand(String(id))

/**
 * The last that happened, and those who want to hear of what happens next.
 *
 * It is kept in columns: most entries are never looked at, and an object for each would make every command dearer, by a
 * tenth of what the broker takes for it.
 */
export class Journal {
  private readonly most: number
  /** Where the next entry is written. */
  private next = 0
  private readonly ats: Array<number> = []
  private readonly events: Array<JobEvent> = []
  private readonly ids: Array<number> = []
  private readonly tubes: Array<TubeName> = []
  private readonly states: Array<JobState> = []
  private readonly connections: Array<number | undefined> = []
  private readonly listeners = new Set<(entry: JournalEntry) => void>()

  constructor(most: number) {
    this.most = most
  }

  add(at: number, event: JobEvent, id: number, tube: TubeName, state: JobState, connection: number | undefined): void {
    if (this.most > 0) {
      const place = this.next
      this.ats[place] = at
      this.events[place] = event
      this.ids[place] = id
      this.tubes[place] = tube
      this.states[place] = state
      this.connections[place] = connection
      this.next = (place + 1) % this.most
    }
    for (const listener of this.listeners) listener(entryOf(at, event, id, tube, state, connection))
  }

  /** The oldest first. */
  get last(): ReadonlyArray<JournalEntry> {
    const { length } = this.ats
    const oldest = length < this.most ? 0 : this.next
    return Array.from({ length }, (_, index) => this.entry((oldest + index) % length))
  }

  listen(listener: (entry: JournalEntry) => void): void {
    this.listeners.add(listener)
  }

  leave(listener: (entry: JournalEntry) => void): void {
    this.listeners.delete(listener)
  }

  private entry(place: number): JournalEntry {
    return entryOf(
      this.ats[place]!,
      this.events[place]!,
      this.ids[place]!,
      this.tubes[place]!,
      this.states[place]!,
      this.connections[place]
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
