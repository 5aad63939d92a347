import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/**
 * An Effect from a function that calls back once with its result, and returns how to cancel it.
 *
 * `Effect.async` alone is not enough: a fiber that is interrupted after the callback, and before it runs again, drops the
 * result. Here `cancel` is called in that case too, and there is no moment between `start` and the end of the Effect in which
 * an interruption does not call it. It is also called after a failure.
 */
export const fromCallback = <A, E>(
  start: (settle: (exit: Exit.Exit<A, E>) => void) => () => void
): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) => {
    let settled: Exit.Exit<A, E> | undefined
    let resume: ((exit: Exit.Exit<A, E>) => void) | undefined
    const cancel = start((exit) => {
      settled = exit
      resume?.(exit)
    })
    const result = Effect.async<A, E>((callback) => {
      resume = callback
      if (settled !== undefined) callback(settled)
    })
    return Effect.catchAllCause(restore(result), (cause) => {
      cancel()
      return Effect.failCause(cause)
    })
  })
