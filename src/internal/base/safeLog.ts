import * as Effect from "effect/Effect"

/** Logs, and ignores what a logger throws: a broken logger must not end a connection, or a worker. */
export const safeLog = (log: Effect.Effect<void>): Effect.Effect<void> => Effect.catchAllCause(log, () => Effect.void)
