import type { Ledger } from "./ledger.ts"

/** One connection of one client, ready to work on the bench's tube. */
export interface Session {
  /** Puts until the ledger deals no more, keeping `depth` puts in flight. */
  readonly put: (ledger: Ledger, depth: number) => Promise<void>
  /** Reserves and deletes until the ledger deals no more, keeping `depth` such pairs in flight. */
  readonly reserveDelete: (ledger: Ledger, depth: number) => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * A client in the race. It owns its loops, so that each is driven in its own idiom: callbacks, promises or Effects.
 */
export type Connect = (port: number) => Promise<Session>

/** A worker that works on the bench's tube. */
export interface Employed {
  /** Rejects when the worker breaks. It may resolve when every operation of the ledger is answered, and not before. */
  readonly working: Promise<unknown>
  readonly close: () => Promise<void>
}

/** Starts a worker that tells the ledger of its jobs, with as many connections as it does jobs at a time. */
export type Employ = (port: number, concurrency: number, ledger: Ledger) => Promise<Employed>

/** Runs `depth` loops side by side: the promise idiom. */
export const sideBySide = async (depth: number, loop: () => Promise<void>): Promise<void> => {
  await Promise.all(Array.from({ length: depth }, loop))
}
