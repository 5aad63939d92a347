/** What is measured, and how bad it is. */
import { watchers } from "../server/tubes.ts"
import type { TubeSample } from "../server/tubeSamples.ts"
import { thousands, timeSpan } from "../terminal/text.ts"
import type { Thresholds } from "../values/thresholds.ts"

/** The states of monitoring plugins, with their exit codes. */
export const codes = { OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3 } as const

export type Level = keyof typeof codes

/** How a number is judged and told. */
interface Kind {
  readonly name: string
  readonly bad: "above" | "below"
  /** The unit of performance data. Values are in seconds where it is one of time. */
  readonly unit: "" | "s" | "ms"
  /** The value in a sentence. */
  readonly told: (value: number) => string
  readonly toldLimit: (limit: number) => string
}

/** A number of a tube. */
export interface TubeKind extends Kind {
  readonly of: (sample: TubeSample) => number
}

const span = (seconds: number) => timeSpan(seconds).replace(" ", "")

const milliseconds = (seconds: number) => `${Number((seconds * 1000).toFixed(1))} ms`

const jobs = (name: string, of: TubeKind["of"]): TubeKind => ({
  name,
  of,
  bad: "above",
  unit: "",
  told: (value) => `${thousands(value)} ${name}`,
  toldLimit: thousands
})

/** What can be measured of a tube. */
export const ofTube = {
  age: {
    name: "age",
    of: ({ nextAge = 0 }) => nextAge,
    bad: "above",
    unit: "s",
    told: (value) => `next job waits ${span(value)}`,
    toldLimit: span
  },
  ready: jobs("ready", ({ stats }) => stats.currentJobsReady),
  delayed: jobs("delayed", ({ stats }) => stats.currentJobsDelayed),
  buried: jobs("buried", ({ stats }) => stats.currentJobsBuried),
  workers: {
    name: "workers",
    of: ({ stats }) => watchers(stats),
    bad: "below",
    unit: "",
    told: (value) => `${thousands(value)} worker${value === 1 ? "" : "s"}`,
    toldLimit: thousands
  }
} as const satisfies Readonly<Record<string, TubeKind>>

/** How long a round trip takes. */
export const roundTrip: Kind = {
  name: "rtt",
  bad: "above",
  unit: "ms",
  told: (value) => `it answers in ${milliseconds(value)}`,
  toldLimit: milliseconds
}

/** A number that was measured. */
export interface Measure {
  readonly kind: Kind
  /** The tube, if it is about one. */
  readonly tube: string | undefined
  readonly value: number
  readonly thresholds: Thresholds
}

export const levelOf = ({ kind: { bad }, thresholds: { critical, warning }, value }: Measure): Level => {
  const exceeds = (limit: number | undefined) =>
    limit !== undefined && (bad === "above" ? value > limit : value < limit)
  if (exceeds(critical)) return "CRITICAL"
  return exceeds(warning) ? "WARNING" : "OK"
}

/** `37 buried (> 10)`, of what is not OK. */
export const problemText = (measure: Measure): string => {
  const { kind: { bad, told, toldLimit }, thresholds: { critical, warning }, value } = measure
  const limit = (levelOf(measure) === "CRITICAL" ? critical : warning) ?? 0
  return `${told(value)} (${bad === "above" ? ">" : "<"} ${toldLimit(limit)})`
}
