/**
 * What the user wrote, in a fiber of its own: alone it can be interrupted, it takes its children and its FiberRefs with it,
 * and if it does not end it can be left behind.
 *
 * A fiber for each job is no dearer than to run the job in a fiber that has reserved it: what takes its time is to wake one
 * that waits, and here none does.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { JobScope } from "./jobScope.ts"

export class Guest<R> {
  private readonly runtime: Runtime.Runtime<R>
  /** A Map is sooner made of these than of another Map. */
  private readonly services: ReadonlyArray<[string, unknown]>
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private leave: ((left: undefined) => void) | undefined = undefined
  /** What it does before it first waits, it does before its fiber is known; and that may be to have itself interrupted. */
  private isInterrupted = false

  constructor(runtime: Runtime.Runtime<R>) {
    this.runtime = runtime
    this.services = Array.from(runtime.context.unsafeMap)
  }

  /**
   * Runs an effect in a scope of its own, and in a span if there is one. Calls back with how it ended; with nothing if it was
   * left behind.
   */
  host<A, E>(
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    onEnd: (exit: Exit.Exit<A, E> | undefined) => void,
    span?: Tracer.Span
  ): void {
    const scope = new JobScope()
    const close = (exit: Exit.Exit<A, E>) => {
      const finalizers = scope.end(exit)
      return finalizers && this.fork(Effect.uninterruptible(finalizers), scope)
    }
    this.isInterrupted = false
    const fiber = this.fork(effect, scope, span)
    if (this.isInterrupted) fiber.unsafeInterruptAsFork(FiberId.none)
    this.follow(fiber, (exit) => {
      if (exit === undefined) {
        // What it holds is let go when it ends after all.
        fiber.addObserver(close)
        return onEnd(undefined)
      }
      const closing = close(exit)
      if (closing === undefined) return onEnd(exit)
      this.follow(closing, (closed) => onEnd(closed === undefined ? undefined : both(exit, closed)))
    })
  }

  /** The same for whoever waits in a fiber. */
  run<A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>): Effect.Effect<Exit.Exit<A, E> | undefined> {
    return Effect.async((resume) => this.host(effect, (exit) => resume(Effect.succeed(exit))))
  }

  interrupt(): void {
    this.isInterrupted = true
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
  }

  /** Waits for it no longer, and interrupts it: it may go on for as long as it pleases. Says whether there was any. */
  disown(): boolean {
    const { leave } = this
    this.interrupt()
    leave?.(undefined)
    return leave !== undefined
  }

  private follow<A, E>(
    fiber: Fiber.RuntimeFiber<A, E>,
    onEnd: (exit: Exit.Exit<A, E> | undefined) => void
  ): void {
    const ended = fiber.unsafePoll()
    if (ended !== null) return onEnd(ended)
    const end = (exit: Exit.Exit<A, E> | undefined) => {
      if (exit === undefined) fiber.removeObserver(end)
      this.fiber = undefined
      this.leave = undefined
      onEnd(exit)
    }
    this.fiber = fiber
    // Not a function written down right here: V8 keeps those for long, and with each whatever was there for its job.
    this.leave = end
    fiber.addObserver(end)
  }

  /** A service in the runtime is there at a tenth of what it takes to provide it. */
  private fork<A, E>(
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    scope: Scope.Scope,
    span?: Tracer.Span
  ): Fiber.RuntimeFiber<A, E> {
    const { fiberRefs, runtimeFlags } = this.runtime
    const services = new Map(this.services).set(Scope.Scope.key, scope)
    if (span !== undefined) services.set(Tracer.ParentSpan.key, span)
    return Runtime.runFork(
      Runtime.make({ context: Context.unsafeMake<R | Scope.Scope>(services), fiberRefs, runtimeFlags }),
      effect
    )
  }
}

/** To be interrupted in its finalizers undoes nothing of what it had done before. */
const both = <A, E>(exit: Exit.Exit<A, E>, closed: Exit.Exit<unknown>): Exit.Exit<A, E> => {
  if (Exit.isSuccess(closed) || Cause.isInterruptedOnly(closed.cause)) return exit
  return Exit.failCause(Exit.isSuccess(exit) ? closed.cause : Cause.sequential(exit.cause, closed.cause))
}
