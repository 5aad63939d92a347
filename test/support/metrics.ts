/** What is in the registry of metrics. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"

/** A metric: its tags, and its value, or the number of values of a histogram. */
export interface Reading {
  readonly tags: Readonly<Record<string, string>>
  readonly value: number
}

const valueOf = (state: unknown): number => {
  if (MetricState.isHistogramState(state)) return state.count
  if (MetricState.isCounterState(state)) return Number(state.count)
  return MetricState.isGaugeState(state) ? Number(state.value) : Number.NaN
}

/** The metrics with this name that have these tags, and others. */
export const readings = (
  name: string,
  tags: Readonly<Record<string, string>>
): Effect.Effect<ReadonlyArray<Reading>> =>
  Effect.map(Metric.snapshot, (pairs) =>
    pairs.flatMap(({ metricKey, metricState }) => {
      const found = Object.fromEntries(metricKey.tags.map(({ key, value }) => [key, value]))
      const isWanted = metricKey.name === name && Object.entries(tags).every(([key, value]) => found[key] === value)
      return isWanted ? [{ tags: found, value: valueOf(metricState) }] : []
    }))

/** The only metric with this name that has these tags; 0 if there is none. */
export const reading = (name: string, tags: Readonly<Record<string, string>>): Effect.Effect<number> =>
  Effect.flatMap(
    readings(name, tags),
    ([one, ...others]) =>
      others.length > 0 ? Effect.dieMessage(`${others.length + 1} metrics ${name}`) : Effect.succeed(one?.value ?? 0)
  )
