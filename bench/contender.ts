import type { Ledger } from "./ledger.ts"

/** One connection of one client, which uses and watches the bench's tube. */
export interface Session {
  /** Puts until the ledger grants no more, with `depth` puts in flight. */
  readonly put: (ledger: Ledger, depth: number) => Promise<void>
  /** Reserves and deletes until the ledger grants no more, with `depth` such pairs in flight. */
  readonly reserveDelete: (ledger: Ledger, depth: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** A client. The loops are its own, so that each client is driven in its own idiom: callbacks, promises or Effects. */
export type Connect = (port: number) => Promise<Session>

/** A worker that reserves from the bench's tube. */
export interface RunningWorker {
  /** Rejects when the worker breaks. It resolves, if at all, only after every operation of the ledger is answered. */
  readonly working: Promise<unknown>
  readonly close: () => Promise<void>
}

export interface WorkerRun {
  readonly port: number
  /** How many jobs run at a time, each on a connection of its own. */
  readonly concurrency: number
  /** Whether the handler waits once for the event loop, by `setImmediate`, before the job is done. */
  readonly waits: boolean
  /** Every job is reported to it. */
  readonly ledger: Ledger
}

export type StartWorker = (run: WorkerRun) => Promise<RunningWorker>

/** One turn of the event loop: how long a handler that waits takes. */
export const turnOfEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Runs `depth` loops side by side, in the idiom of promises. */
export const sideBySide = async (depth: number, loop: () => Promise<void>): Promise<void> => {
  await Promise.all(Array.from({ length: depth }, loop))
}
