import { bodyFault, payloadFault } from "./workload.ts"

/**
 * Grants the operations of one run and checks every answer: each id must be one of this run, and occur once; each reserved
 * body must be that of its id. The first fault ends the run.
 */
export class Ledger {
  /** Operations answered so far. */
  answered = 0
  fault: string | undefined

  readonly operations: number
  private readonly firstId: number
  private readonly thoroughTo: number
  private readonly onFault: (fault: string) => void
  private readonly seen: Uint8Array
  private remaining: number
  private milestone = Infinity
  private onMilestone = (): void => {}

  constructor(run: {
    readonly operations: number
    /** The ids of a run are `firstId … firstId + operations - 1`. */
    readonly firstId: number
    /** All of a body is compared up to the job with this id. */
    readonly thoroughTo: number
    readonly onFault: (fault: string) => void
  }) {
    this.operations = run.operations
    this.firstId = run.firstId
    this.thoroughTo = run.thoroughTo
    this.onFault = run.onFault
    this.seen = new Uint8Array(run.operations)
    this.remaining = run.operations
  }

  /** Whether the caller may issue another operation. */
  readonly take = (): boolean => {
    if (this.remaining === 0 || this.fault !== undefined) return false
    this.remaining--
    return true
  }

  /** `put` was answered with this id. */
  readonly inserted = (id: string | number): void => {
    this.see(Number(id))
    this.answeredMany(1)
  }

  /** `reserve` was answered with this job. Of a JSON body, a worker passes on only the payload. */
  readonly reserved = (id: string | number, body: Uint8Array | string): void => {
    const number = Number(id)
    this.see(number)
    const thorough = number <= this.thoroughTo
    const fault = typeof body === "string" ? payloadFault(number, body, thorough) : bodyFault(number, body, thorough)
    if (fault !== undefined) this.fail(fault)
  }

  /** The job reserved before was deleted. */
  readonly deleted = (): void => this.answeredMany(1)

  /** For a worker that does not report when it has deleted a job. */
  readonly handled = (id: string | number, body: Uint8Array | string): void => {
    this.reserved(id, body)
    this.answeredMany(1)
  }

  /** For the floor, which does not decode its answers: it is checked by the counters of the server. */
  readonly answeredMany = (count: number): void => {
    this.answered += count
    if (this.answered >= this.milestone) this.onMilestone()
  }

  /** Resolves when this many operations are answered. One caller may wait at a time. */
  readonly reached = (count: number): Promise<void> =>
    new Promise((resolve) => {
      if (this.answered >= count) return resolve()
      this.milestone = count
      this.onMilestone = () => {
        this.milestone = Infinity
        resolve()
      }
    })

  private see(id: number): void {
    const index = id - this.firstId
    if (!(index >= 0 && index < this.operations)) this.fail(`an answer has the id ${id}, which is none of this run`)
    else if (this.seen[index] !== 0) this.fail(`job ${id} was answered twice`)
    else this.seen[index] = 1
  }

  private fail(fault: string): void {
    if (this.fault !== undefined) return
    this.fault = fault
    this.onFault(fault)
  }
}
