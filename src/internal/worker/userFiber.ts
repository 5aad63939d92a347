/**
 * Runs the user's Effects (gate, handler, retry Schedule, `onExhausted`) in a fiber and a Scope of their own, apart from the
 * lane's fiber: they can be interrupted without the lane, their child fibers and FiberRefs do not reach the next job, and the
 * lane can stop waiting for one that does not end.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Runtime from "effect/Runtime"
import type * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { JobId } from "../../Job.ts"
import * as ParentSpan from "../base/parentSpan.ts"
import type { RunSpan } from "./telemetry/observer.ts"

/**
 * The services and FiberRefs that the handlers of a worker start with.
 *
 * They are interruptible even if the worker was started in an uninterruptible region, and have no parent span: the span in which
 * the worker was started ends long before them. FiberRefs that every new fiber sets itself are left out, since copying them makes
 * starting a fiber 1.5 times as slow.
 */
export const handlerRuntime = <R>(): Effect.Effect<Runtime.Runtime<R>, never, R> =>
  Effect.map(Effect.interruptible(Effect.runtime<R>()), (runtime) =>
    runtime.pipe(
      Runtime.updateContext(ParentSpan.omitFrom),
      Runtime.deleteFiberRef(FiberRef.currentContext),
      Runtime.deleteFiberRef(FiberRef.currentRuntimeFlags)
    ))

export const schedulerOf = (runtime: Runtime.Runtime<never>): Scheduler.Scheduler =>
  FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentScheduler)

export const withScheduler = <R>(runtime: Runtime.Runtime<R>, scheduler: Scheduler.Scheduler): Runtime.Runtime<R> =>
  Runtime.setFiberRef(runtime, FiberRef.currentScheduler, scheduler)

/** The run of a job, as the log lines and the spans of the user's Effects see it. */
export interface JobRun {
  readonly id: JobId
  /** The number of the run, if the server has been asked for it. */
  readonly attempt?: number | undefined
  readonly span?: RunSpan | undefined
}

/**
 * The fiber in which a lane runs the user's Effects, one at a time.
 *
 * An Effect is forked and observed in plain code, and its Scope is closed in another fiber. `Effect.onExit` around each handler,
 * and an `Effect.async` for handlers that do not wait, doubled the CPU time of a job, from some 35 to 75 µs.
 */
export class UserFiber<R> {
  private readonly runtime: Runtime.Runtime<R>
  private readonly annotations: HashMap.HashMap<string, unknown>
  private running: Running | undefined = undefined
  /** Keeps an interruption that comes before `runFork` has returned the fiber, which first runs it up to its first wait. */
  private isInterrupted = false

  constructor(runtime: Runtime.Runtime<R>) {
    this.runtime = runtime
    this.annotations = FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentLogAnnotations)
  }

  /**
   * Runs an effect, for a job if there is one, and closes its Scope. Succeeds with how the effect ended, or with `undefined`
   * once it is abandoned. Interruptions count from this call on: the lane's fiber may yield before it runs the result.
   */
  run<A, E>(
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    run?: JobRun
  ): Effect.Effect<Exit.Exit<A, E> | undefined> {
    this.isInterrupted = false
    return Effect.flatMap(Scope.make(), (scope) => {
      const runFork = Runtime.runFork(this.runtimeWith(scope, run))
      const fiber = runFork(effect)
      const ended = this.join(fiber)
      if (this.isInterrupted) this.interrupt()
      return Effect.flatMap(ended, (exit) => {
        if (exit !== undefined) return this.close(runFork(Scope.close(scope, exit)), exit)
        fiber.addObserver((late) => runFork(Scope.close(scope, late)))
        return Effect.succeed(undefined)
      })
    })
  }

  get isRunning(): boolean {
    return this.running !== undefined
  }

  /** Interrupts the effect that runs, if there is one, without waiting for its end. Finalizers are not interrupted. */
  interrupt(): void {
    this.isInterrupted = true
    if (this.running?.isClosing === false) Effect.runFork(this.running.fiber.interruptAsFork(FiberId.none))
  }

  /** Stops waiting for the effect that runs, if there is one. It is interrupted, but may never end. */
  abandon(): void {
    this.interrupt()
    this.running?.abandon()
    this.running = undefined
  }

  /** Waits until the Scope of an effect is closed. A finalizer that dies is a failure of the effect. */
  private close<A, E>(
    closing: Fiber.RuntimeFiber<void>,
    exit: Exit.Exit<A, E>
  ): Effect.Effect<Exit.Exit<A, E> | undefined> {
    return Effect.map(this.join(closing, true), (closed) => {
      if (closed === undefined || Exit.isSuccess(closed)) return closed && exit
      return Exit.failCause(Exit.isSuccess(exit) ? closed.cause : Cause.sequential(exit.cause, closed.cause))
    })
  }

  /** Waits for a fiber, unless it has ended. */
  private join<A, E>(fiber: Fiber.RuntimeFiber<A, E>, isClosing = false): Effect.Effect<Exit.Exit<A, E> | undefined> {
    const run = new Run<A, E>(fiber, isClosing)
    this.running = run
    fiber.addObserver((exit) => {
      if (this.running === run) this.running = undefined
      run.settle(exit)
    })
    return run.result === undefined ? run.await : Effect.succeed(run.result)
  }

  /** A service in the Runtime costs a tenth of `Effect.provideService`, and an annotation a tenth of `Effect.annotateLogs`. */
  private runtimeWith(scope: Scope.Scope, run: JobRun | undefined): Runtime.Runtime<R | Scope.Scope> {
    const { context, fiberRefs, runtimeFlags } = this.runtime
    const scoped = Context.add(context, Scope.Scope, scope)
    const span = run?.span?.span
    return Runtime.make({
      context: span === undefined ? scoped : Context.add(scoped, Tracer.ParentSpan, span),
      fiberRefs: run === undefined ? fiberRefs : FiberRefs.updateAs(fiberRefs, {
        fiberId: FiberId.none,
        fiberRef: FiberRef.currentLogAnnotations,
        value: this.annotationsOf(run)
      }),
      runtimeFlags
    })
  }

  private annotationsOf({ attempt, id }: JobRun): HashMap.HashMap<string, unknown> {
    const annotations = HashMap.set(this.annotations, "job", id)
    return attempt === undefined ? annotations : HashMap.set(annotations, "attempt", attempt)
  }
}

type Running = Pick<Run<unknown, unknown>, "abandon" | "fiber" | "isClosing">

/** A fiber that a lane waits for. */
class Run<A, E> {
  readonly fiber: Fiber.RuntimeFiber<A, E>
  /** Whether it is the fiber that closes the Scope. */
  readonly isClosing: boolean
  result: Exit.Exit<A, E> | undefined = undefined
  private isSettled = false
  private resume: ((result: Effect.Effect<Exit.Exit<A, E> | undefined>) => void) | undefined = undefined

  constructor(fiber: Fiber.RuntimeFiber<A, E>, isClosing: boolean) {
    this.fiber = fiber
    this.isClosing = isClosing
  }

  abandon(): void {
    this.settle(undefined)
  }

  settle(result: Exit.Exit<A, E> | undefined): void {
    if (this.isSettled) return
    this.isSettled = true
    this.result = result
    this.resume?.(Effect.succeed(result))
  }

  get await(): Effect.Effect<Exit.Exit<A, E> | undefined> {
    return Effect.async((resume) => {
      if (this.isSettled) resume(Effect.succeed(this.result))
      else this.resume = resume
    })
  }
}
