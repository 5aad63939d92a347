/**
 * Runs what the user wrote in a fiber and a Scope of its own, apart from the lane's fiber: it can be interrupted without the
 * lane, it keeps its child fibers and FiberRefs from the next job, and the lane can stop waiting for one that does not end.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/**
 * The services and FiberRefs that the handlers of a worker start with.
 *
 * They can be interrupted wherever the worker was started, and are no part of the span in which it was, which ends long before
 * them. The FiberRefs that each fiber is given anyhow are left out: with them it takes half as long again to start one.
 */
export const handlerRuntime = <R>(): Effect.Effect<Runtime.Runtime<R>, never, R> =>
  Effect.map(Effect.interruptible(Effect.runtime<R>()), (runtime) =>
    runtime.pipe(
      Runtime.updateContext(withoutParentSpan),
      Runtime.deleteFiberRef(FiberRef.currentContext),
      Runtime.deleteFiberRef(FiberRef.currentRuntimeFlags)
    ))

/** `Context.omit` cannot express that what is left has all of `R`, which never includes the span. */
const withoutParentSpan = <R>(context: Context.Context<R>): Context.Context<R> => {
  const services = new Map(context.unsafeMap)
  services.delete(Tracer.ParentSpan.key)
  return Context.unsafeMake(services)
}

/** What a lane runs of the user's, one effect at a time. */
export class Handler<R> {
  private readonly runtime: Runtime.Runtime<R>
  private running: Running | undefined = undefined
  /** Until it first waits, an effect runs before its fiber is known, and may have itself interrupted. */
  private isInterrupted = false

  constructor(runtime: Runtime.Runtime<R>) {
    this.runtime = runtime
  }

  /**
   * Runs an effect, in a span if there is one, and closes its Scope. Succeeds with how the effect ended, or with `undefined`
   * once it is abandoned.
   */
  run<A, E>(
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    span?: Tracer.AnySpan
  ): Effect.Effect<Exit.Exit<A, E> | undefined> {
    return Effect.flatMap(Scope.make(), (scope) =>
      Effect.async((resume) => {
        let ended: Exit.Exit<A, E> | undefined
        const closeScope = (exit: Exit.Exit<A, E>) =>
          Effect.map(Effect.exit(Scope.close(scope, exit)), (closed) => {
            ended = withFinalizers(exit, closed)
          })
        this.isInterrupted = false
        const fiber = this.fork(Effect.onExit(effect, closeScope), scope, span)
        const running: Running = { fiber, abandon: () => resume(Effect.succeed(undefined)) }
        this.running = running
        fiber.addObserver((exit) => {
          if (this.running === running) this.running = undefined
          resume(Effect.succeed(ended ?? exit))
        })
        if (this.isInterrupted) this.interrupt()
      }))
  }

  get isRunning(): boolean {
    return this.running !== undefined
  }

  /** Interrupts the effect that runs, if there is one, without waiting for its end. */
  interrupt(): void {
    this.isInterrupted = true
    if (this.running !== undefined) Effect.runFork(this.running.fiber.interruptAsFork(FiberId.none))
  }

  /** Stops waiting for the effect that runs, if there is one. It is interrupted, but may never end. */
  abandon(): void {
    const { running } = this
    this.interrupt()
    this.running = undefined
    running?.abandon()
  }

  /** A service in the Runtime costs a tenth of `Effect.provideService`. */
  private fork<A, E>(
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    scope: Scope.Scope,
    span: Tracer.AnySpan | undefined
  ): Fiber.RuntimeFiber<A, E> {
    const { context, fiberRefs, runtimeFlags } = this.runtime
    const scoped = Context.add(context, Scope.Scope, scope)
    return Runtime.runFork(
      Runtime.make({
        context: span === undefined ? scoped : Context.add(scoped, Tracer.ParentSpan, span),
        fiberRefs,
        runtimeFlags
      }),
      effect
    )
  }
}

/**
 * How an effect ended, with its finalizers. An interruption that arrives while they run is too late to change that, a finalizer
 * that dies is a failure.
 */
const withFinalizers = <A, E>(exit: Exit.Exit<A, E>, closed: Exit.Exit<void>): Exit.Exit<A, E> => {
  if (Exit.isSuccess(closed) || Cause.isInterruptedOnly(closed.cause)) return exit
  return Exit.failCause(Exit.isSuccess(exit) ? closed.cause : Cause.sequential(exit.cause, closed.cause))
}

interface Running {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly abandon: () => void
}
