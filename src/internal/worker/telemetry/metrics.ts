/** The metrics of a worker. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import type * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as Record from "effect/Record"
import { errorTypeOf } from "../../base/errorType.ts"
import {
  counter,
  counterKey,
  durations,
  gauge,
  gaugeKey,
  histogram,
  type Labels,
  labelsOf,
  memoized,
  noTags,
  secondsKey
} from "../../base/metrics.ts"
import { ofServer } from "../../base/semanticConventions.ts"
import { type HeldJob, none, type Observer, type Outcome, zeroOutcomes } from "./observer.ts"

export interface Metrics {
  /**
   * `beanstalk.worker.jobs`, a counter: the jobs whose reservation ended, tagged with how as `beanstalk.outcome`. Each is 0 when the
   * worker starts. Alert on `LeaseLost`: another worker may have run that job as well.
   */
  readonly jobs: Readonly<Record<Outcome, Metric.Metric.Counter<number>>>
  /** `messaging.process.duration`, a histogram in seconds: how long decoding and handling took, of runs that succeeded. */
  readonly duration: Metric.Metric.Histogram<number>
  /** The same of runs that failed, tagged with `error.type`: the `_tag` of the error, `"defect"` or `"interrupt"`. */
  readonly failedDuration: (errorType: string) => Metric.Metric.Histogram<number>
  /**
   * `beanstalk.worker.wait`, a histogram in seconds: how long jobs were ready before their first run.
   *
   * It is sampled, since it takes a `stats-job`: at most one job in 100 ms of each worker. The server counts whole seconds, so
   * that 0 means less than one. Later runs are left out: no counter of the server has the time since which a retried job was ready.
   */
  readonly wait: Metric.Metric.Histogram<number>
  /** `beanstalk.worker.heartbeat.lateness`, a histogram in seconds: how long after its due time a job was touched. */
  readonly lateness: Metric.Metric.Histogram<number>
  /** `beanstalk.worker.active_jobs`, a gauge: the jobs that the workers hold. */
  readonly held: Metric.Metric.Gauge<number>
  /** `beanstalk.worker.lanes`, a gauge: the connections of the workers, those that are being opened included. */
  readonly lanes: Metric.Metric.Gauge<number>
}

/** The metrics of a tube of a server. `extraLabels` follow the tags of our own. */
export const metrics = (tube: string, address: string, extraLabels: Labels = []): Metrics => {
  const own = labelsOf({ ...ofServer(address), "messaging.destination.name": tube })
  // The order is part of the key: `Metric.tagged` appends its tags.
  const labels = [...own, ...extraLabels]
  const labelsWith = (key: string, value: string) => [...own, MetricLabel.make(key, value), ...extraLabels]
  return {
    jobs: Record.map(zeroOutcomes, (_, outcome) => counter(jobs, labelsWith("beanstalk.outcome", outcome))),
    duration: histogram(duration, labels),
    failedDuration: (errorType) => histogram(duration, labelsWith("error.type", errorType)),
    wait: histogram(wait, labels),
    lateness: histogram(lateness, labels),
    held: gauge(held, labels),
    lanes: gauge(lanes, labels)
  }
}

const jobs = counterKey(
  "beanstalk.worker.jobs",
  "{message}",
  "Jobs whose reservation by a worker ended, by how it ended"
)

const duration = secondsKey(
  "messaging.process.duration",
  "How long decoding and handling a job took, in seconds",
  durations
).pipe(MetricKey.tagged("messaging.operation.name", "process"))

const wait = secondsKey(
  "beanstalk.worker.wait",
  "How long a job was ready before its first run, in whole seconds; sampled",
  [0, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400]
)

const lateness = secondsKey(
  "beanstalk.worker.heartbeat.lateness",
  "How long after its due time a job was touched, in seconds: how long the event loop was blocked",
  [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60]
)

const held = gaugeKey("beanstalk.worker.active_jobs", "{message}", "Jobs that workers hold")

const lanes = gaugeKey(
  "beanstalk.worker.lanes",
  "{connection}",
  "Connections of workers, those that are being opened included"
)

/** The least time between two `stats-job` that measure how long jobs wait, in milliseconds. */
const samplingInterval = 100

/** Updates the metrics as the worker reports. The gauges of several workers of a tube add up. */
export const observer = (
  { duration, failedDuration, held, jobs, lanes, lateness, wait }: Metrics,
  now: () => number,
  fork: (effect: Effect.Effect<void>) => void
): Observer => {
  const failed = memoized(failedDuration)
  // A counter that appears with its first job has not risen, as far as an alert can tell.
  for (const counter of Object.values(jobs)) counter.unsafeUpdate(0, noTags)
  let nextSampleAt = Number.NEGATIVE_INFINITY
  let openLanes = 0

  const sampleWait = ({ stats }: HeldJob) =>
    Effect.match(stats, {
      onFailure: constVoid,
      onSuccess: ({ age, delay, reserves }) => {
        if (reserves === 1) wait.unsafeUpdate(Math.max(0, age - delay), noTags)
      }
    })

  return {
    ...none,
    onReserved: (job) => {
      held.unsafeModify(1, noTags)
      if (job.reservedAt < nextSampleAt) return
      nextSampleAt = job.reservedAt + samplingInterval
      fork(sampleWait(job))
    },
    onRunEnd: ({ reservedAt }, exit) => {
      if (exit === undefined) return
      const metric = Exit.isSuccess(exit) ? duration : failed(errorTypeOf(exit.cause))
      metric.unsafeUpdate((now() - reservedAt) / 1000, noTags)
    },
    onOutcome: (_, outcome) => {
      held.unsafeModify(-1, noTags)
      jobs[outcome].unsafeUpdate(1, noTags)
    },
    onTouch: (late) => lateness.unsafeUpdate(late / 1000, noTags),
    onLanes: (count) => {
      lanes.unsafeModify(count - openLanes, noTags)
      openLanes = count
    }
  }
}
