/**
 * What the user wrote, in a fiber of its own: alone it can be interrupted, it takes its children and its FiberRefs with it,
 * and if it does not end it can be left behind.
 *
 * A fiber for each job is no dearer than to run the job in the fiber that reserved it: what takes its time is to wait for
 * one, and here nobody does.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"

export class Guest<R> {
  private readonly runtime: Runtime.Runtime<R>
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private leave: (() => void) | undefined = undefined

  constructor(runtime: Runtime.Runtime<R>) {
    this.runtime = runtime
  }

  /** Runs an effect in a scope of its own. Nothing comes back if it was left behind. */
  run<A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>): Effect.Effect<Exit.Exit<A, E> | undefined> {
    return Effect.flatMap(Scope.make(), (scope) =>
      Effect.async<Exit.Exit<A, E> | undefined>((resume) => {
        this.leave = () => resume(Effect.succeed(undefined))
        const fiber = Runtime.runFork(
          this.runtimeWith(scope),
          Effect.onExit(effect, (exit) => Scope.close(scope, exit))
        )
        this.fiber = fiber
        fiber.addObserver((exit) => {
          this.fiber = undefined
          this.leave = undefined
          resume(Effect.succeed(exit))
        })
      }))
  }

  interrupt(): void {
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
  }

  /** Waits for it no longer, and interrupts it: it may go on for as long as it pleases. False if nobody was waited for. */
  disown(): boolean {
    const { leave } = this
    this.interrupt()
    leave?.()
    return leave !== undefined
  }

  /** A service in the runtime is there at a tenth of what it takes to provide it. */
  private runtimeWith(scope: Scope.Scope): Runtime.Runtime<R | Scope.Scope> {
    const { context, fiberRefs, runtimeFlags } = this.runtime
    return Runtime.make({ context: Context.add(context, Scope.Scope, scope), fiberRefs, runtimeFlags })
  }
}
