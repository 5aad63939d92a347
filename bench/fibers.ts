import { Effect } from "effect"

/** How many fibers run at a time. */
export const depth = 256

/** Runs an operation `count` times, in `depth` fibers. */
export const inFibers = <E, R>(count: number, operation: () => Effect.Effect<unknown, E, R>) =>
  Effect.suspend(() => {
    let left = count
    const loop = Effect.whileLoop({ while: () => left-- > 0, body: operation, step: () => {} })
    return Effect.all(Array.from({ length: depth }, () => loop), { concurrency: "unbounded", discard: true })
  })
