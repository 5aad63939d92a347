/** What a worker may be told, and whether that can be. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { InvalidArgument } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { TubeName } from "../../Job.ts"
import { certain } from "../connection/pipelined.ts"
import * as Validate from "../protocol/validate.ts"
import type { Case, Failure } from "./decision.ts"
import type { UndecodableAction } from "./events.ts"
import type { TraceParent } from "./telemetry/spans.ts"

/** A job whose `retry` is done. */
export interface Exhausted<out A, out E> extends Case<E> {
  readonly tube: TubeName
  readonly payload: A
}

/** The services that a Schedule, an Effect and a gate need may be different ones. */
export interface Options<in out A, in out E, out RRetry = never, out RExhausted = never, out RGate = never> {
  /** How many jobs may run at a time, each on a connection of its own that opens when it is needed. Default: 1. */
  readonly concurrency?: number | undefined
  /**
   * When a job that has failed is run again, and how often.
   *
   * It is stepped from the server's own count, as often as the job has failed, with the failure at hand and with a randomness
   * that belongs to the job: whichever worker has it comes to the same delay. Delays are whole seconds, rounded up, one at
   * least. A job that was buried and is kicked gets one run: what the server has counted cannot be reset.
   *
   * Default: after 1 s, 2 s, 4 s, … jittered, up to an hour, ten times.
   */
  readonly retry?: Schedule.Schedule<unknown, Failure<E>, RRetry> | undefined
  /**
   * What is done with a job whose `retry` is done. An Effect does what is to be done in place of burying, and the job is
   * deleted then; if it fails, the job is buried. Default: `"bury"`.
   */
  readonly onExhausted?:
    | "bury"
    | "delete"
    | ((exhausted: Exhausted<A, E>) => Effect.Effect<unknown, unknown, RExhausted>)
    | undefined
  /** What is done with a job whose handler died. To retry a bug does not mend it. Default: `"bury"`. */
  readonly onDefect?: "bury" | "retry" | undefined
  /**
   * What is done with a job whose body is not what the tube holds. Released, it comes back after 1 s, 2 s, 4 s, … up to an
   * hour, for ever: for when a newer worker may be able to read it. Default: `"bury"`.
   */
  readonly onUndecodable?: UndecodableAction | undefined
  /** Whether a handler is interrupted whose job is not ours any more. Default: `"interrupt"`. */
  readonly onLeaseLost?: "interrupt" | "continue" | undefined
  /** How long a handler may take before it is interrupted, which counts as a failure. Default: for as long as it likes. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Whether jobs are touched while they run, at a third of their time to run. Without, a handler is interrupted a second
   * before that is over, which counts as a failure. Default: true.
   */
  readonly heartbeat?: boolean | undefined
  /**
   * Buries a job, unrun, that has come back so often because its worker was gone: one that kills its workers would do so for
   * ever. It takes a round trip more for each job, and shutdowns count too: 10 is a good number. Default: never.
   */
  readonly maxDisconnects?: number | undefined
  /**
   * Comes before each reserve, and may take its time: a rate limiter, a switch. It is interrupted by `quiet`. If it dies, that
   * is logged, and it is tried again on another connection. Default: none.
   */
  readonly gate?: Effect.Effect<unknown, never, RGate> | undefined
  /** How long a connection without a job waits before it asks again, a tenth more or less. Default: 30 seconds; a day at most. */
  readonly reserveSlice?: Duration.DurationInput | undefined
  /** How long a connection that waits besides another stays open. Default: 30 seconds. */
  readonly idleLaneTimeout?: Duration.DurationInput | undefined
  /**
   * How long handlers have to end when the worker is shut down. Then they are interrupted and have three more seconds;
   * after that they are left behind, and their jobs given back. Default: 25 seconds, less than the 30 of Kubernetes.
   */
  readonly shutdownTimeout?: Duration.DurationInput | undefined
  /** What happens when there is no server at the start. Later on a worker always waits for it. Default: `"retry"`. */
  readonly onFirstConnect?: "retry" | "fail" | undefined
  /**
   * Whether the metrics are kept that `Worker.metrics` gives. Tags that are set around the worker, by `Effect.tagMetrics`, are
   * put to them. Default: false.
   */
  readonly metrics?: boolean | undefined
  /**
   * Whether each job that is run has a span `process <tube>`, of the kind `consumer`. Default: false.
   *
   * It begins before the job is read and ends when its handler has, and has the attributes that OpenTelemetry has for
   * messaging. A failure is an `error.type`: its `_tag`, `"defect"`, or `"interrupt"`. What has become of the job is its
   * `beanstalk.outcome`, as the events call it; not before that is known the span is handed to the tracer.
   */
  readonly spans?: boolean | undefined
  /**
   * What the span that a job was put from, if the tube has `trace`, is to the span of its run: one that is linked to, or the
   * parent, so that both are in one trace. Default: `"link"`.
   */
  readonly traceParent?: TraceParent | undefined
}

/** What a job of the tube has if its `put` does not say otherwise. */
const defaultTtr = Duration.seconds(60)

/** So often, in milliseconds, it is good to know whether the server is still there. */
const longestSlice = 24 * 60 * 60 * 1000

/** Throws `InvalidArgument`, as all that checks arguments. */
export const check = <A, E, R>(options: Options<A, E, R, R, R>, ttr: Duration.DurationInput = defaultTtr) => {
  const { concurrency = 1, heartbeat = true, maxDisconnects } = options
  const seconds = Validate.ttr("work", ttr)
  const least = heartbeat ? 3 : 2
  if (seconds < least) {
    refuse(
      "the tube's ttr",
      `must be at least ${least} seconds${heartbeat ? " to be touched in time" : ""}, but is ${seconds}`
    )
  }
  const timeout = patience("timeout", options.timeout) ?? Number.POSITIVE_INFINITY
  if (!heartbeat && timeout !== Number.POSITIVE_INFINITY && timeout > (seconds - 1) * 1000) {
    refuse(
      "timeout",
      `cannot be reached: without heartbeat a handler is interrupted after ${
        seconds - 1
      } seconds, one less than the tube's ttr`
    )
  }
  const slice = patience("reserveSlice", options.reserveSlice) ?? 30_000
  if (slice > longestSlice) refuse("reserveSlice", "must be a day at most")
  const idleLaneTimeout = patience("idleLaneTimeout", options.idleLaneTimeout) ?? 30_000
  const shutdownTimeout = options.shutdownTimeout ?? "25 seconds"
  if (maxDisconnects !== undefined) Validate.positiveInteger("work", "maxDisconnects", maxDisconnects)
  return {
    concurrency: Validate.positiveInteger("work", "concurrency", concurrency),
    rules: { heartbeat, timeout, ttr: seconds * 1000 },
    slices: slices(slice),
    spareSlices: slices(Math.min(slice, idleLaneTimeout)),
    idleLaneTimeout,
    shutdownTimeout: Validate.duration("work", "shutdownTimeout", shutdownTimeout)
  }
}

const refuse = (argument: string, reason: string): never => {
  throw new InvalidArgument({ command: "work", argument, reason })
}

const patience = (argument: string, value: Duration.DurationInput | undefined): number | undefined =>
  value === undefined ? undefined : Validate.positiveDuration("work", argument, value)

/** A tenth more or less, so that workers that were started together do not ask together for ever. */
const slices = (milliseconds: number) =>
  [1, 0.9, 1.05, 0.95, 1.1].map((part) => certain(Protocol.reserveWithTimeout(Duration.millis(milliseconds * part))))
