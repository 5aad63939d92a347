/** How a worker comes about. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { BeanstalkClient } from "../../BeanstalkClient.ts"
import { type ConnectFailed, InvalidArgument, WorkerStartError } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { Tube } from "../../Tube.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import { TimerQueue } from "../base/timerQueue.ts"
import * as Validate from "../protocol/validate.ts"
import type { Order } from "./decision.ts"
import { said } from "./eventLog.ts"
import { Events } from "./events.ts"
import { RunningJob } from "./jobHandle.ts"
import { check, type Options } from "./options.ts"
import * as Plan from "./plan.ts"
import { Crew } from "./pool.ts"
import * as Metrics from "./telemetry/metrics.ts"
import * as Monitor from "./telemetry/observer.ts"
import * as Spans from "./telemetry/spans.ts"

export interface Started<E, R> {
  readonly crew: Crew<E, R>
  readonly events: Events
}

/** Starts a worker that is shut down with the scope. */
export const start = <A, RT, R, E, RO>(
  tube: Tube<A, RT>,
  handler: (payload: A, job: RunningJob) => Effect.Effect<unknown, E | Order, R | Scope.Scope>,
  options: Options<A, E, RO, RO, RO>
): Effect.Effect<
  Started<E, RT | R | RO>,
  WorkerStartError,
  BeanstalkClient | Scope.Scope | RT | R | RO
> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const checked = yield* checkedFor(tube, options)
      const runtime = yield* apart<RT | R | RO>()
      const events = new Events()
      const heart = new TimerQueue(yield* monotonicMillis)
      const { dedicated: source } = yield* BeanstalkClient
      const handle: Plan.Handle<A, E, RT | R | RO> = (payload, lease) => handler(payload, new RunningJob(lease))
      const runFork = Runtime.runFork(runtime)
      const metrics = yield* measured(tube.name, heart, runFork, options)
      const spans = yield* traced(tube, source.address, options)
      const crew = new Crew<E, RT | R | RO>({
        ...checked,
        tube: tube.name,
        source,
        plan: planOf<A, RT, E, RT | R | RO>(tube, handle, options),
        runtime,
        heart,
        events,
        monitor: Monitor.harmless(Monitor.both(metrics, spans))
      })
      events.listen((event) => {
        const log = said(event)
        if (log !== undefined) runFork(log)
      })
      yield* Effect.addFinalizer(() => crew.shutdown)
      crew.start(yield* Random.nextIntBetween(0, 5))
      if (options.onFirstConnect === "fail") {
        yield* restore(crew.firstAttempt).pipe(
          Effect.onError(() => crew.shutdown),
          Effect.mapError((cause) => unreachable(tube.name, cause))
        )
      }
      return { crew, events }
    })
  )

const checkedFor = <A, RT, E, R>({ defaults, name }: Tube<A, RT>, options: Options<A, E, R, R, R>) => {
  const checked = Validate.attempt(() => check(options, defaults.ttr))
  return checked instanceof InvalidArgument
    ? new WorkerStartError({ tube: name, subject: checked.argument, reason: checked.reason })
    : Effect.succeed(checked)
}

const planOf = <A, RT extends R, E, R>(
  { decode, name }: Tube<A, RT>,
  handle: Plan.Handle<A, E, R>,
  options: Options<A, E, R, R, R>
): Plan.Plan<E, R> =>
  Plan.make({
    tube: name,
    decode,
    handle,
    retry: options.retry ?? defaultRetry,
    onDefect: options.onDefect ?? "bury",
    onExhausted: options.onExhausted ?? "bury",
    onUndecodable: options.onUndecodable ?? "bury",
    gate: options.gate,
    maxDisconnects: options.maxDisconnects,
    interruptsLost: options.onLeaseLost !== "continue"
  })

/**
 * What runs in it can be interrupted, wherever the worker was started, and is no part of the span in which it was: that is
 * over long before.
 */
const apart = <R>(): Effect.Effect<Runtime.Runtime<R>, never, R> =>
  Effect.map(Effect.interruptible(Effect.runtime<R>()), ({ context, fiberRefs, runtimeFlags }) => {
    const services = new Map(context.unsafeMap)
    services.delete(Tracer.ParentSpan.key)
    return Runtime.make({ context: Context.unsafeMake<R>(services), fiberRefs: ownOf(fiberRefs), runtimeFlags })
  })

/** Without those that a fiber gets from its runtime anyhow: without any at all, to start one takes a third less. */
const ownOf = (refs: FiberRefs.FiberRefs): FiberRefs.FiberRefs =>
  refs.pipe(FiberRefs.delete(FiberRef.currentContext), FiberRefs.delete(FiberRef.currentRuntimeFlags))

const traced = <A, RT, E, R>(
  { name, senderOf }: Tube<A, RT>,
  address: string,
  { spans, traceParent = "link" }: Options<A, E, R, R, R>
): Effect.Effect<Monitor.Monitor> =>
  spans === true ? Spans.monitor({ tube: name, address, traceParent, senderOf }) : Effect.succeed(Monitor.none)

const measured = <A, E, R>(
  tube: TubeName,
  { now }: TimerQueue,
  fork: (effect: Effect.Effect<void>) => void,
  { metrics }: Options<A, E, R, R, R>
): Effect.Effect<Monitor.Monitor> =>
  metrics === true
    ? Effect.map(
      FiberRef.get(FiberRef.currentMetricLabels),
      (labels) => Metrics.monitor(Metrics.metrics(tube, labels), now, fork)
    )
    : Effect.succeed(Monitor.none)

const defaultRetry = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("1 hour")),
  Schedule.intersect(Schedule.recurs(10))
)

const unreachable = (tube: TubeName, cause: ConnectFailed) =>
  new WorkerStartError({ tube, subject: "its server", reason: `cannot be reached: ${cause.message}`, cause })
