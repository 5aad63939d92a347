import * as Effect from "effect/Effect"

/** Not every runtime has it. */
declare const setImmediate: ((callback: () => void) => unknown) | undefined

/**
 * Calls back in a later macrotask: runnable fibers have run by then, and bytes that had arrived are read.
 *
 * After the event loop was blocked for long, Node.js runs timers before it reads sockets. A reply timeout that is due therefore
 * waits for the next macrotask, in which a reply that has already arrived is read.
 */
export const onNextMacrotask: (callback: () => void) => void = typeof setImmediate === "function"
  ? (callback) => void setImmediate(callback)
  : (callback) => void setTimeout(callback, 0)

/** Succeeds in a later macrotask. */
export const nextMacrotask: Effect.Effect<void> = Effect.async((resume) => onNextMacrotask(() => resume(Effect.void)))
