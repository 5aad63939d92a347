/** The options of a worker: their docs, their defaults, and what they may be. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type DeadlineSoon, InvalidArgument, type TimedOut, WorkerStartError } from "../../BeanstalkError.ts"
import type { ReservedJob } from "../../Job.ts"
import type { Tube } from "../../Tube.ts"
import type { Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import type { Exhausted, FailurePolicy } from "./decision.ts"
import type { UndecodableAction } from "./events.ts"
import type { Failure } from "./failure.ts"
import type { LeaseRules } from "./lease.ts"
import { make as retryDelay } from "./retryDelay.ts"
import type { TraceParent } from "./telemetry/spans.ts"

/** See `Worker.Options`. The Schedule, the Effect and the gate may each need services of their own. */
export type Options<A, E, RRetry = never, RExhausted = never, RGate = never> =
  & CommonOptions<A, E, RExhausted, RGate>
  & (
    | FailureOptions<E, RRetry, never, "bury", true>
    | FailureOptions<Failure<E>, RRetry, Duration.DurationInput, "bury" | "retry", boolean>
  )

/** Which failures there are, and what becomes of them. The input of `retry` is `F`. */
interface FailureOptions<in F, out R, out Timeout, out OnDefect, out Heartbeat> {
  /**
   * When a job that failed is run again, and how often.
   *
   * A job runs at the times at which `Effect.retry` would run it again, with delays rounded up to whole seconds, one at least. The
   * input of the Schedule is the error of the handler. With `timeout` or `heartbeat: false` it may also be a
   * `TimeoutException`, and with `onDefect: "retry"` an `UnknownException` with the defect. Jitter is seeded by the id of the
   * job and the number of the run.
   *
   * The server counts the failures of a job; the state of the Schedule is in the memory of the worker. For failures that it has not
   * seen (another worker had the job, or it was restarted) a worker takes the steps with the next one, once: with that failure as
   * input, at times estimated from the age of the job, and with the Effects in the Schedule. What of a Schedule is exact
   * then: https://github.com/effect-beanstalk/effect-beanstalk/blob/main/docs/worker-rules.md#the-retry-schedule
   *
   * The counters of the server cannot be reset: a job that was buried and is kicked gets one run, and is buried again if it fails.
   *
   * Default: after 1 s, 2 s, 4 s, … jittered, up to an hour, twenty times. That takes some nine hours: longer than a
   * service that the handler needs is usually down. Then the job is buried, after 21 runs.
   */
  readonly retry?: Schedule.Schedule<unknown, F, R> | undefined
  /** What becomes of a job whose handler died. Default: `"bury"`, since running a bug again does not fix it. */
  readonly onDefect?: OnDefect | undefined
  /**
   * How long a handler may run. Then it is interrupted, which is a failure. Default: no limit.
   *
   * The Effects of `retry` and `onExhausted` may take as long, and a minute at least. Then they are interrupted, and the job is
   * buried.
   */
  readonly timeout?: Timeout | undefined
  /**
   * Whether jobs are touched while they run, after a quarter to a third of their time to run. If not, a handler is interrupted
   * a second before the time to run is over, which is a failure. Default: true.
   */
  readonly heartbeat?: Heartbeat | undefined
}

interface CommonOptions<in out A, in out E, out RExhausted, out RGate> {
  /** How many jobs may run at a time, each on a connection of its own that opens when it is needed. Default: 1. */
  readonly concurrency?: number | undefined
  /**
   * What becomes of a job when its `retry` is done. An Effect runs in place of burying, and then the job is deleted; if the
   * Effect fails, the job is buried. Default: `"bury"`.
   */
  readonly onExhausted?:
    | "bury"
    | "delete"
    | ((exhausted: Exhausted<A, Failure<E>>) => Effect.Effect<unknown, unknown, RExhausted>)
    | undefined
  /**
   * What becomes of a job whose body does not decode. Default: `"bury"`. If a newer worker can decode it, kick the job when that
   * runs: `Tube.kick` of all buried jobs, or `kickJob` of the client.
   *
   * With `"release"` the job is ready again after 10 minutes, 20, 40, … up to a day, without end, for whichever worker reserves it
   * then. The server counts each release as a failure, which a newer worker cannot tell from one of its handler: it spends an
   * attempt of `retry`.
   */
  readonly onUndecodable?: UndecodableAction | undefined
  /** Whether the handler is interrupted when the lease of its job is lost. Default: `"interrupt"`. */
  readonly onLeaseLost?: "interrupt" | "continue" | undefined
  /**
   * Buries a job without running it when the connection of its worker was lost this often while the job was reserved: a job
   * that crashes its workers would do so for ever. It takes a `stats-job` for each job, and shutdowns count too. Default:
   * never; 10 is a good number.
   */
  readonly maxDisconnects?: number | undefined
  /**
   * Runs before each reserve and may take its time: a rate limiter, a switch. `quiet` interrupts it. If it dies, that is
   * logged, and it runs again on another connection. Default: none.
   */
  readonly gate?: Effect.Effect<unknown, never, RGate> | undefined
  /** The timeout of a reserve, varied by up to a tenth. Default: 30 seconds; a day at most. */
  readonly reserveSlice?: Duration.DurationInput | undefined
  /** How long a connection without a job stays open while another one has no job either. Default: 30 seconds. */
  readonly idleLaneTimeout?: Duration.DurationInput | undefined
  /**
   * How long handlers have to end when the worker is shut down. Then they are interrupted and have three more seconds; after
   * that they are abandoned, and their jobs given back. All workers of a program end together, so that four seconds more are
   * enough for all. Default: 25 seconds, less than the 30 of Kubernetes.
   */
  readonly shutdownTimeout?: Duration.DurationInput | undefined
  /** What happens if the first attempt to connect fails. A worker that was connected once always retries. Default: `"retry"`. */
  readonly onFirstConnect?: "retry" | "fail" | undefined
  /**
   * Whether the metrics that `Worker.metrics` returns are updated. They get the tags that `Effect.tagMetrics` sets around the
   * worker. Default: false.
   */
  readonly metrics?: boolean | undefined
  /**
   * Whether each run of a job has a span `process <tube>`, of the kind `consumer`. Default: false.
   *
   * It begins before the job is decoded and ends when its handler has, and has the attributes of OpenTelemetry for messaging.
   * A failure sets `error.type`: its `_tag`, `"defect"`, or `"interrupt"`. The attribute `beanstalk.outcome` is the tag of
   * the job's event; the span is given to the Tracer once that is known.
   */
  readonly spans?: boolean | undefined
  /**
   * How the span of a run refers to the span from which the job was put, if the tube has `trace`: as a link, or as its parent,
   * so that both are in one trace. Default: `"link"`.
   */
  readonly traceParent?: TraceParent | undefined
}

export type Reserve = Command<ReservedJob, DeadlineSoon | TimedOut>

/** Checked options, with their defaults. Times are in milliseconds. */
export interface Settings<A, E, R> {
  readonly concurrency: number
  readonly policy: FailurePolicy<A, E, R>
  /** How many runs a job has, if that is known: a Schedule of the user does not tell. */
  readonly runs: number | undefined
  readonly interruptsLost: boolean
  readonly lease: Pick<LeaseRules, "decisionTimeout" | "heartbeat" | "timeout" | "ttr">
  readonly maxDisconnects: number | undefined
  readonly gate: Effect.Effect<unknown, never, R> | undefined
  /** The reserves to use in turn, … */
  readonly reserves: ReadonlyArray<Reserve>
  /** … and those to use while another lane waits for a job too. */
  readonly spareReserves: ReadonlyArray<Reserve>
  readonly idleLaneTimeout: number
  readonly shutdownTimeout: number
  readonly failsOnFirstConnect: boolean
  readonly metrics: boolean
  readonly spans: boolean
  readonly traceParent: TraceParent
}

const defaultTtr = Duration.seconds(60)

/** How long, in milliseconds, `retry` and `onExhausted` may take at least to decide about a job. */
const leastDecisionTimeout = 60_000

/** A lost server is noticed at the latest when the reserve should have been answered. */
const longestSlice = 24 * 60 * 60 * 1000

/** The delays of the first twelve retries add up to 68 minutes; each after them is an hour. */
const defaultRetries = 20

const defaultRetry = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("1 hour")),
  Schedule.intersect(Schedule.recurs(defaultRetries))
)

export const checkOptions = <A, R, E>(
  tube: Tube<A, R>,
  options: Options<A, E, R, R, R>
): Effect.Effect<Settings<A, E, R>, WorkerStartError> => {
  const checked = Validate.attempt(() => check(tube, options))
  return checked instanceof InvalidArgument
    ? new WorkerStartError({ tube: tube.name, subject: checked.argument, reason: checked.reason })
    : Effect.succeed(checked)
}

/** Throws `InvalidArgument`. */
const check = <A, RT extends R, E, R>(
  { decode, defaults }: Tube<A, RT>,
  options: Options<A, E, R, R, R>
): Settings<A, E, R> => {
  const { heartbeat = true, maxDisconnects } = options
  const ttr = checkTtr(defaults.ttr ?? defaultTtr, heartbeat)
  const reserveSlice = checkReserveSlice(options.reserveSlice ?? "30 seconds")
  const timeout = checkTimeout(options.timeout ?? Duration.infinity, heartbeat, ttr)
  const idleLaneTimeout = Validate.positiveDuration("work", "idleLaneTimeout", options.idleLaneTimeout ?? "30 seconds")
  if (maxDisconnects !== undefined) Validate.positiveInteger("work", "maxDisconnects", maxDisconnects)
  return {
    concurrency: Validate.positiveInteger("work", "concurrency", options.concurrency ?? 1),
    policy: {
      decode,
      ...retryPolicy(options),
      onExhausted: options.onExhausted ?? "bury",
      onUndecodable: options.onUndecodable ?? "bury"
    },
    runs: options.retry === undefined ? defaultRetries + 1 : undefined,
    interruptsLost: options.onLeaseLost !== "continue",
    lease: {
      heartbeat,
      timeout,
      decisionTimeout: Number.isFinite(timeout) ? Math.max(timeout, leastDecisionTimeout) : leastDecisionTimeout,
      ttr: ttr * 1000
    },
    maxDisconnects,
    gate: options.gate,
    reserves: reservesOf(reserveSlice),
    spareReserves: reservesOf(Math.min(reserveSlice, idleLaneTimeout)),
    idleLaneTimeout,
    shutdownTimeout: Validate.duration("work", "shutdownTimeout", options.shutdownTimeout ?? "25 seconds"),
    failsOnFirstConnect: options.onFirstConnect === "fail",
    metrics: options.metrics ?? false,
    spans: options.spans ?? false,
    traceParent: options.traceParent ?? "link"
  }
}

/** Only a worker with one of these options adds failures to those of the handler. */
const retryPolicy = <A, E, R>(
  options: Options<A, E, R, R, R>
): Pick<FailurePolicy<A, E, R>, "retry" | "retryDefect" | "retryTimeout"> => {
  if (options.timeout === undefined && options.onDefect !== "retry" && options.heartbeat !== false) {
    return { retry: retryDelay(options.retry ?? defaultRetry), retryDefect: undefined, retryTimeout: undefined }
  }
  const retry = retryDelay(options.retry ?? defaultRetry)
  return { retry, retryDefect: options.onDefect === "retry" ? retry : undefined, retryTimeout: retry }
}

const checkTtr = (ttr: Duration.DurationInput, heartbeat: boolean): number => {
  const seconds = Validate.ttr("work", ttr)
  const least = heartbeat ? 3 : 2
  if (seconds < least) {
    refuse(
      "the tube's ttr",
      `must be at least ${least} seconds${heartbeat ? " to be touched in time" : ""}, but is ${seconds}`
    )
  }
  return seconds
}

const checkTimeout = (timeout: Duration.DurationInput, heartbeat: boolean, ttr: number): number => {
  const milliseconds = Validate.positiveDuration("work", "timeout", timeout)
  if (!heartbeat && Number.isFinite(milliseconds) && milliseconds > (ttr - 1) * 1000) {
    refuse(
      "timeout",
      `cannot be reached: without heartbeat a handler is interrupted after ${
        ttr - 1
      } seconds, one less than the tube's ttr`
    )
  }
  return milliseconds
}

const checkReserveSlice = (slice: Duration.DurationInput): number => {
  Validate.unit("work", "reserveSlice", slice)
  const milliseconds = Validate.positiveDuration("work", "reserveSlice", slice)
  if (milliseconds > longestSlice) refuse("reserveSlice", "must be a day at most")
  return milliseconds
}

const refuse = (argument: string, reason: string): never => {
  throw new InvalidArgument({ command: "work", argument, reason })
}

/**
 * With one timeout for all, workers that were started together would send their reserves together for ever. With a timeout of 0 they
 * would send them without a pause.
 */
const reservesOf = (milliseconds: number): ReadonlyArray<Reserve> =>
  [1, 0.9, 1.05, 0.95, 1.1].map((part) =>
    Commands.reserveWithTimeout(Math.max(Math.ceil(Math.round(milliseconds * part) / 1000), 1))
  )
