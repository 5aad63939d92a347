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

  /** Whether there is something to close. */
  get isUsed(): boolean {
    return this.scope !== undefined
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => Scope.fork(this.made, strategy))
  }

  addFinalizer(finalizer: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => Scope.addFinalizerExit(this.made, finalizer))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => Scope.close(this.made, exit))
  }

  pipe() {
    return pipeArguments(this, arguments)
  }

  /** To fork into a scope, Effect looks into it instead of asking it. */
  get state(): unknown {
    return Reflect.get(this.made, "state")
  }

  private get made(): Scope.CloseableScope {
    return this.scope ??= Effect.runSync(Scope.make())
  }
}
