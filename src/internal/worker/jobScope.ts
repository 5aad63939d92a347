/**
 * The scope of a job, which is made when it is first used. Most handlers never do, and to make one, provide it and close it
 * takes as long as all else that is done for a job.
 */
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import type * as Exit from "effect/Exit"
import { pipeArguments } from "effect/Pipeable"
import * as Scope from "effect/Scope"

export class JobScope implements Scope.Scope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly strategy = ExecutionStrategy.sequential
  private scope: Scope.CloseableScope | undefined = undefined
  private exit: Exit.Exit<unknown, unknown> | undefined = undefined

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => Scope.fork(this.made, strategy))
  }

  addFinalizer(finalizer: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => Scope.addFinalizerExit(this.made, finalizer))
  }

  /** Closes it, also to whoever comes later: gives what there is to be done, if it was used. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    this.exit = exit
    return this.scope === undefined ? undefined : Scope.close(this.scope, exit)
  }

  pipe() {
    return pipeArguments(this, arguments)
  }

  /** To fork into a scope, Effect looks into it instead of asking it. */
  get state(): unknown {
    return Reflect.get(this.made, "state")
  }

  private get made(): Scope.CloseableScope {
    if (this.scope === undefined) {
      this.scope = Effect.runSync(Scope.make())
      if (this.exit !== undefined) Effect.runSync(Scope.close(this.scope, this.exit))
    }
    return this.scope
  }
}
