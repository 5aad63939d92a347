/**
 * What is counted and measured of a worker.
 *
 * Tags are put to the keys of metrics, once for each worker: to a metric they would be put anew at each update, at five times
 * its cost.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import { system } from "../../base/semanticConventions.ts"
import type { Outcome } from "../events.ts"
import type { Lease } from "../lease.ts"
import { errorTypeOf } from "./errorType.ts"
import { type Monitor, none } from "./observer.ts"

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

export interface Metrics {
  /**
   * `beanstalk.worker.jobs`, a counter: the jobs dealt with, tagged with what has become of them as `beanstalk.outcome`. A
   * `LeaseLost` among them is worth an alarm: somebody else may have run that job as well.
   */
  readonly jobs: Readonly<Record<Outcome, Metric.Metric.Counter<number>>>
  /** `messaging.process.duration`, a histogram in seconds: how long it took to read and handle a job, where that succeeded … */
  readonly duration: Metric.Metric.Histogram<number>
  /** … and where it failed, tagged with the `error.type`: the `_tag` of the failure, `"defect"`, or `"interrupt"`. */
  readonly failedDuration: (errorType: string) => Metric.Metric.Histogram<number>
  /**
   * `beanstalk.worker.wait`, a histogram in seconds: how long jobs were ready before their first run.
   *
   * It is a sample: to know it takes a question to the server, so at most one job in 100 ms is asked of each worker. The server
   * knows whole seconds, so that 0 means less than one. Later runs do not count: nobody knows since when those jobs were ready.
   */
  readonly wait: Metric.Metric.Histogram<number>
  /** `beanstalk.worker.heartbeat.lateness`, a histogram in seconds: how much too late jobs were touched. */
  readonly lateness: Metric.Metric.Histogram<number>
  /** `beanstalk.worker.active_jobs`, a gauge: the jobs that are being dealt with. */
  readonly held: Metric.Metric.Gauge<number>
  /** `beanstalk.worker.lanes`, a gauge: the connections, those that are being opened included. */
  readonly lanes: Metric.Metric.Gauge<number>
}

/** Of a tube, with further tags behind its own. */
export const metrics = (tube: string, further: Labels = []): Metrics => {
  const own = [MetricLabel.make("messaging.system", system), MetricLabel.make("messaging.destination.name", tube)]
  // The order counts: whoever asks for a metric with further tags puts them behind.
  const labels = [...own, ...further]
  const labelsWith = (key: string, value: string) => [...own, MetricLabel.make(key, value), ...further]
  const ended = (outcome: Outcome) => counter(jobs, labelsWith("beanstalk.outcome", outcome))
  return {
    jobs: {
      Completed: ended("Completed"),
      Retried: ended("Retried"),
      Buried: ended("Buried"),
      Discarded: ended("Discarded"),
      Interrupted: ended("Interrupted"),
      LeaseLost: ended("LeaseLost"),
      Undecodable: ended("Undecodable"),
      CrashLoop: ended("CrashLoop"),
      CompletionUnknown: ended("CompletionUnknown")
    },
    duration: histogram(duration, labels),
    failedDuration: (errorType) => histogram(duration, labelsWith("error.type", errorType)),
    wait: histogram(wait, labels),
    lateness: histogram(lateness, labels),
    held: gauge(held, labels),
    lanes: gauge(lanes, labels)
  }
}

const counter = (key: MetricKey.MetricKey.Counter<number>, labels: Labels): Metric.Metric.Counter<number> =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))

const gauge = (key: MetricKey.MetricKey.Gauge<number>, labels: Labels): Metric.Metric.Gauge<number> =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))

const histogram = (key: MetricKey.MetricKey.Histogram, labels: Labels): Metric.Metric.Histogram<number> =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))

const seconds = (name: string, description: string, boundaries: Iterable<number>) =>
  // `@effect/opentelemetry` takes the unit from this tag.
  MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), description).pipe(MetricKey.tagged("unit", "s"))

const jobs = MetricKey.counter("beanstalk.worker.jobs", {
  description: "Jobs that a worker has dealt with, by what has become of them",
  incremental: true
})

/** The boundaries are those of the semantic conventions. */
const duration = seconds(
  "messaging.process.duration",
  "How long a job took to be read and handled, in seconds",
  [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
)

const wait = seconds(
  "beanstalk.worker.wait",
  "How long a job was ready before its first run, in whole seconds; a sample",
  [0, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400]
)

const lateness = seconds(
  "beanstalk.worker.heartbeat.lateness",
  "How late a job was touched, in seconds: how long the event loop was blocked",
  [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60]
)

const held = MetricKey.gauge("beanstalk.worker.active_jobs", { description: "Jobs that are being dealt with" })

const lanes = MetricKey.gauge("beanstalk.worker.lanes", { description: "Connections of workers" })

// ---------------------------------------------------------------------------------------------------------------------
// keeping them
// ---------------------------------------------------------------------------------------------------------------------

/** How long, in milliseconds, nobody else is asked how long it has waited: each time it is a question to the server. */
const sampling = 100

/** Whoever gives further tags for each update pays for it. */
const untagged: Labels = []

/** Keeps the metrics of a worker. Of several, the gauges are added up. */
export const monitor = (
  { duration, failedDuration, held, jobs, lanes, lateness, wait }: Metrics,
  now: () => number,
  fork: (effect: Effect.Effect<void>) => void
): Monitor => {
  const failed = memoized(failedDuration)
  let samplesAt = Number.NEGATIVE_INFINITY
  let open = 0

  const sample = (lease: Lease) =>
    Effect.match(lease.asked, {
      onFailure: constVoid,
      // Any other run has waited since an event that nobody knows the time of.
      onSuccess: ({ age, delay, reserves }) => {
        if (reserves === 1) wait.unsafeUpdate(Math.max(0, age - delay), untagged)
      }
    })

  return {
    ...none,
    onHold: (lease) => {
      held.unsafeModify(1, untagged)
      if (lease.begunAt < samplesAt) return
      samplesAt = lease.begunAt + sampling
      fork(sample(lease))
    },
    onRun: ({ begunAt }, exit) => {
      if (exit === undefined) return
      const metric = Exit.isSuccess(exit) ? duration : failed(errorTypeOf(exit.cause))
      metric.unsafeUpdate((now() - begunAt) / 1000, untagged)
    },
    onOutcome: (outcome) => {
      held.unsafeModify(-1, untagged)
      jobs[outcome].unsafeUpdate(1, untagged)
    },
    onBeat: (late) => lateness.unsafeUpdate(late / 1000, untagged),
    onLanes: (size) => {
      lanes.unsafeModify(size - open, untagged)
      open = size
    }
  }
}

const memoized = <A>(make: (name: string) => A) => {
  const made = new Map<string, A>()
  return (name: string): A => {
    const known = made.get(name)
    if (known !== undefined) return known
    const value = make(name)
    made.set(name, value)
    return value
  }
}
