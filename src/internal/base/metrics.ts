/**
 * Metrics whose tags are part of their keys, made once. `Metric.tagged` would add them at each update, which takes five times as
 * long as the update.
 *
 * They are updated with `unsafeUpdate` and `unsafeModify`, the updates of `Metric` outside an Effect: a fiber for each would cost
 * more than all else that is done for a command or a job.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"

export type Labels = ReadonlyArray<MetricLabel.MetricLabel>

/** The tags of an update: all are in the key. */
export const noTags: Labels = []

export const labelsOf = (attributes: Readonly<Record<string, string | number>>): Labels =>
  Object.entries(attributes).map(([key, value]) => MetricLabel.make(key, String(value)))

export const counter = (key: MetricKey.MetricKey.Counter<number>, labels: Labels): Metric.Metric.Counter<number> =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))

export const gauge = (key: MetricKey.MetricKey.Gauge<number>, labels: Labels): Metric.Metric.Gauge<number> =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))

export const histogram = (key: MetricKey.MetricKey.Histogram, labels: Labels): Metric.Metric.Histogram<number> =>
  Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))

/** The key of a counter of what only grows. `@effect/opentelemetry` reads the unit from its tag. */
export const counterKey = (name: string, unit: string, description: string): MetricKey.MetricKey.Counter<number> =>
  MetricKey.counter(name, { description, incremental: true }).pipe(MetricKey.tagged("unit", unit))

export const gaugeKey = (name: string, unit: string, description: string): MetricKey.MetricKey.Gauge<number> =>
  MetricKey.gauge(name, { description }).pipe(MetricKey.tagged("unit", unit))

export const secondsKey = (
  name: string,
  description: string,
  boundaries: Iterable<number>
): MetricKey.MetricKey.Histogram =>
  MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), description).pipe(MetricKey.tagged("unit", "s"))

/** The boundaries that the semantic conventions give for durations, in seconds. */
export const durations = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** The values of a function, each made once. */
export const memoized = <Key, A>(make: (key: Key) => A): (key: Key) => A => {
  const made = new Map<Key, A>()
  return (key) => {
    const known = made.get(key)
    if (known !== undefined) return known
    const value = make(key)
    made.set(key, value)
    return value
  }
}
