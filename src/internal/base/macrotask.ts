import * as Effect from "effect/Effect"

/** Runtimes without it have timers. */
declare const setImmediate: ((callback: () => void) => unknown) | undefined

/**
 * Calls back when the event loop has had its turn: what could be run is run, and what has arrived is read. When it has been
 * blocked for long, timers are the first to run, and what a server has said meanwhile is still unread: nobody may call it
 * silent before.
 */
export const turn: (callback: () => void) => void = typeof setImmediate === "function"
  ? (callback) => void setImmediate(callback)
  : (callback) => void setTimeout(callback, 0)

/** Waits for that. */
export const aTurn: Effect.Effect<void> = Effect.async((resume) => turn(() => resume(Effect.void)))
