/** Runtimes without it have timers. */
declare const setImmediate: ((callback: () => void) => unknown) | undefined

/** Calls back when the event loop has had its turn: what could be run is run, and what has arrived is read. */
export const turn: (callback: () => void) => void = typeof setImmediate === "function"
  ? (callback) => void setImmediate(callback)
  : (callback) => void setTimeout(callback, 0)
