import { bodyFault } from "./workload.ts"

/**
 * Deals out the operations of one run and checks every answer: each id must be one that this run can give, and come once;
 * each reserved body must belong to its id. The first fault ends the run.
 */
export class Ledger {
  /** Operations answered so far. */
  answered = 0
  fault: string | undefined

  readonly operations: number
  private readonly firstId: number
  private readonly thorough: boolean
  private readonly onFault: (fault: string) => void
  private readonly seen: Uint8Array
  private remaining: number

  constructor(run: {
    readonly operations: number
    /** The ids of a run are `firstId … firstId + operations - 1`. */
    readonly firstId: number
    /** Whether all of a body is compared. */
    readonly thorough: boolean
    readonly onFault: (fault: string) => void
  }) {
    this.operations = run.operations
    this.firstId = run.firstId
    this.thorough = run.thorough
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
    this.answered++
  }

  /** `reserve` was answered with this job. */
  readonly reserved = (id: string | number, body: Uint8Array): void => {
    const number = Number(id)
    this.see(number)
    const fault = bodyFault(number, body, this.thorough)
    if (fault !== undefined) this.fail(fault)
  }

  /** The job reserved before was deleted. */
  readonly deleted = (): void => {
    this.answered++
  }

  /** For the floor, which does not look at its answers: the server's own counters are its check. */
  readonly answeredMany = (count: number): void => {
    this.answered += count
  }

  private see(id: number): void {
    const index = id - this.firstId
    if (!(index >= 0 && index < this.operations)) this.fail(`an answer carries the id ${id}, which nobody was given`)
    else if (this.seen[index] !== 0) this.fail(`job ${id} was answered twice`)
    else this.seen[index] = 1
  }

  private fail(fault: string): void {
    if (this.fault !== undefined) return
    this.fault = fault
    this.onFault(fault)
  }
}
