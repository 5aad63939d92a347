import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** Whether a Scope is closed, or is being closed: then it runs a finalizer at once. An open Scope keeps nothing. */
export const isClosed = (scope: Scope.Scope): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    let closed = false
    const probe = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    yield* Scope.addFinalizer(probe, Effect.sync(() => void (closed = true)))
    const answer = closed
    yield* Scope.close(probe, Exit.void)
    return answer
  })
