/** Puts a worker together: checks its options, and starts its pool, its log and its telemetry. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { BeanstalkClient } from "../../BeanstalkClient.ts"
import { type ConnectFailed, WorkerStartError } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { Tube } from "../../Tube.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import { TimerQueue } from "../base/timerQueue.ts"
import { dedicatedOfClient } from "./dedicatedOfClient.ts"
import * as EventLog from "./eventLog.ts"
import * as ExpiryScheduler from "./expiryScheduler.ts"
import type { Handler } from "./lane.ts"
import { checkOptions, type Options } from "./options.ts"
import * as Pool from "./pool.ts"
import * as Metrics from "./telemetry/metrics.ts"
import * as Observer from "./telemetry/observer.ts"
import * as Spans from "./telemetry/spans.ts"
import { handlerRuntime, schedulerOf, withScheduler } from "./userFiber.ts"

/** Starts a worker, which is shut down when the Scope closes. */
export const make = <A, RT, R, E, RO>(
  tube: Tube<A, RT>,
  handler: Handler<A, E, R>,
  options: Options<A, E, RO, RO, RO>,
  scope: Scope.Scope
): Effect.Effect<Pool.Pool<A, E, RT | R | RO>, WorkerStartError, BeanstalkClient | RT | R | RO> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      // What can be interrupted comes before the pool starts. Between its start and its finalizer it would be left running.
      const settings = yield* checkOptions<A, RT | R | RO, E>(tube, options)
      const dedicated = yield* dedicatedOfClient(tube.name)
      const runtime = yield* Effect.annotateLogs(handlerRuntime<RT | R | RO>(), { tube: tube.name })
      const timers = new TimerQueue(yield* monotonicMillis)
      const eventLog = yield* makeEventLog(tube.name, settings, timers)
      const { expire, scheduler } = ExpiryScheduler.make(schedulerOf(runtime), timers)
      const metrics = yield* observeMetrics(tube.name, dedicated.address, settings, timers, runtime)
      const spans = yield* observeSpans(tube, settings)
      const observer = Observer.guarded(Observer.both(metrics, spans))
      // The fibers of the pool are no children of this one, and no part of its span.
      const starting = Runtime.runFork(runtime)(
        Pool.make<A, E, RT | R | RO>({
          tube: tube.name,
          settings,
          handler,
          runtime: withScheduler(runtime, scheduler),
          expire,
          dedicated,
          timers,
          observer,
          eventLog
        })
      )
      const pool = yield* Effect.flatten(Fiber.await(starting))
      yield* dedicated.workers.add(pool, scope).pipe(
        Effect.zipRight(settings.failsOnFirstConnect ? restore(pool.firstConnect) : Effect.void),
        Effect.onError(() => pool.shutdown),
        Effect.mapError((cause) => unreachable(tube.name, cause))
      )
      yield* dedicated.workers.markNew(pool)
      return pool
    })
  )

const makeEventLog = (
  tube: TubeName,
  { concurrency, runs }: { readonly concurrency: number; readonly runs: number | undefined },
  { now }: TimerQueue
): Effect.Effect<EventLog.EventLog> =>
  Effect.map(
    Effect.annotateLogs(EventLog.annotated(handlerRuntime<never>()), { tube }),
    (runtime) => EventLog.make(runtime, { tube, concurrency, runs, now })
  )

const observeMetrics = (
  tube: TubeName,
  address: string,
  { metrics }: { readonly metrics: boolean },
  { now }: TimerQueue,
  runtime: Runtime.Runtime<never>
): Effect.Effect<Observer.Observer> =>
  metrics
    ? Effect.map(
      FiberRef.get(FiberRef.currentMetricLabels),
      (labels) => Metrics.observer(Metrics.metrics(tube, address, labels), now, Runtime.runFork(runtime))
    )
    : Effect.succeed(Observer.none)

const observeSpans = <A, RT>(
  { name, senderOf }: Tube<A, RT>,
  { spans, traceParent }: { readonly spans: boolean; readonly traceParent: Spans.TraceParent }
): Effect.Effect<Observer.Observer> =>
  spans ? Spans.observer({ tube: name, traceParent, senderOf }) : Effect.succeed(Observer.none)

const unreachable = (tube: TubeName, cause: ConnectFailed) =>
  new WorkerStartError({ tube, subject: "its server", reason: `cannot be reached: ${cause.message}`, cause })
