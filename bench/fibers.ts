import { Effect } from "effect"

/** As many as wait for their answers at a time. */
export const depth = 256

/** Runs an operation so often, in fibers side by side. */
export const inFibers = <E, R>(count: number, operation: () => Effect.Effect<unknown, E, R>) =>
  Effect.suspend(() => {
    let left = count
    const loop = Effect.whileLoop({ while: () => left-- > 0, body: operation, step: () => {} })
    return Effect.all(Array.from({ length: depth }, () => loop), { concurrency: "unbounded", discard: true })
  })
