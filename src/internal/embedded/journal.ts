import type { JobState } from "../broker/job.ts"
import type { JobEvent } from "../broker/queues.ts"

/** One thing that happened to one job. */
export interface Entry {
  readonly at: number
  readonly event: JobEvent
  readonly id: number
  readonly tube: string
  readonly state: JobState
  readonly connection: number | undefined
}

/**
 * The last that happened, and those who want to hear of what happens next.
 *
 * It is kept in columns: most entries are never looked at, and an object for each would cost as much as the command that
 * it tells of.
 */
export class Journal {
  private readonly most: number
  /** Where the next entry is written. */
  private next = 0
  private readonly ats: Array<number> = []
  private readonly events: Array<JobEvent> = []
  private readonly ids: Array<number> = []
  private readonly tubes: Array<string> = []
  private readonly states: Array<JobState> = []
  private readonly connections: Array<number | undefined> = []
  private readonly listeners = new Set<(entry: Entry) => void>()

  constructor(most: number) {
    this.most = most
  }

  add(at: number, event: JobEvent, id: number, tube: string, state: JobState, connection: number | undefined): void {
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
    for (const listener of this.listeners) listener({ at, event, id, tube, state, connection })
  }

  /** The oldest first. */
  get last(): ReadonlyArray<Entry> {
    const { length } = this.ats
    const oldest = length < this.most ? 0 : this.next
    return Array.from({ length }, (_, index) => this.entry((oldest + index) % length))
  }

  listen(listener: (entry: Entry) => void): void {
    this.listeners.add(listener)
  }

  leave(listener: (entry: Entry) => void): void {
    this.listeners.delete(listener)
  }

  private entry(place: number): Entry {
    return {
      at: this.ats[place]!,
      event: this.events[place]!,
      id: this.ids[place]!,
      tube: this.tubes[place]!,
      state: this.states[place]!,
      connection: this.connections[place]
    }
  }
}
