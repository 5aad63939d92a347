/** What a check has found, and how that is written. */
import * as Arr from "effect/Array"
import { type Family, single, textOf } from "../metrics/family.ts"
import { escapeControls } from "../terminal/escape.ts"
import { codes, type Level, levelOf, type Measure, problemText } from "./measures.ts"

export interface Report {
  /** What is wrong with the server itself. */
  readonly problems: ReadonlyArray<Problem>
  readonly measures: ReadonlyArray<Measure>
  /** What is said if nothing is wrong. */
  readonly fine: string
}

const worst = (all: ReadonlyArray<Level>): Level =>
  all.reduce<Level>((worst, level) => codes[level] > codes[worst] ? level : worst, "OK")

export const overall = ({ measures, problems }: Report): Level =>
  worst([...problems.map(({ level }) => level), ...measures.map(levelOf)])

interface Problem {
  readonly level: Level
  readonly text: string
}

const problemOf = (measure: Measure): Problem => ({ level: levelOf(measure), text: problemText(measure) })

/** What is wrong with each tube. The measures of one stand together. */
const problemsOfTubes = (bad: ReadonlyArray<Measure>): ReadonlyArray<Problem> => {
  if (!Arr.isNonEmptyReadonlyArray(bad)) return []
  return Arr.groupWith(bad, (one, other) => one.tube === other.tube).map((measures) => {
    const problems = measures.map(problemOf)
    const text = `${measures[0].tube}: ${texts(problems).join("; ")}`
    return { level: worst(problems.map(({ level }) => level)), text }
  })
}

/** How many tubes are told of that have a problem. */
const mostTubes = 5

/** What is wrong, the worst first. */
export const message = (report: Report): string => {
  const bad = report.measures.filter((measure) => levelOf(measure) !== "OK")
  if (bad.length === 0 && report.problems.length === 0) return report.fine
  const ofServer = [...report.problems, ...bad.filter(({ tube }) => tube === undefined).map(problemOf)]
  const ofTubes = problemsOfTubes(bad.filter(({ tube }) => tube !== undefined))
  const more = ofTubes.length - mostTubes
  return [
    ...texts([...ofServer, ...ofTubes]).slice(0, ofServer.length + mostTubes),
    ...more > 0 ? [`and ${more} more tubes`] : []
  ].join("; ")
}

/** The worst first. */
const texts = (problems: ReadonlyArray<Problem>): ReadonlyArray<string> =>
  problems.toSorted((one, other) => codes[other.level] - codes[one.level]).map(({ text }) => text)

/** How many tubes have performance data. Plugins may write some kilobytes. */
const mostCharted = 50

/** One line, as the guidelines of monitoring plugins want it. */
export const pluginLine = (level: Level, message: string, data: ReadonlyArray<string> = []): string => {
  // A bar ends the message.
  const text = escapeControls(message).replaceAll("|", "/")
  return `BEANSTALKD ${level} - ${text}${data.length === 0 ? "" : ` | ${data.join(" ")}`}`
}

export const nagios = (report: Report): string => {
  const tubes = new Set([...new Set(report.measures.map(({ tube }) => tube))].slice(0, mostCharted))
  return pluginLine(
    overall(report),
    message(report),
    report.measures.filter(({ tube }) => tube === undefined || tubes.has(tube)).map(performanceData)
  )
}

/** `emails_ready=15302;20000;50000`. */
const performanceData = (
  { kind: { bad, name, unit }, thresholds: { critical, warning }, tube, value }: Measure
): string => {
  const inUnit = (value: number) => unit === "ms" ? Number((value * 1000).toFixed(3)) : value
  // A range is of the values that are no alert.
  const range = (limit: number | undefined) =>
    limit === undefined ? "" : `${inUnit(limit)}${bad === "below" ? ":" : ""}`
  const label = tube === undefined ? name : `${tube}_${name}`
  const quoted = /^[A-Za-z0-9_.-]+$/.test(label) ? label : `'${label}'`
  return `${quoted}=${inUnit(value)}${unit};${range(warning)};${range(critical)}`.replace(/;+$/, "")
}

export const json = (report: Report): object => ({
  status: overall(report),
  message: message(report),
  measures: report.measures.map((measure) => ({
    ...measure.tube === undefined ? {} : { tube: measure.tube },
    check: measure.kind.name,
    value: measure.value,
    warning: measure.thresholds.warning ?? null,
    critical: measure.thresholds.critical ?? null,
    status: levelOf(measure)
  }))
})

const labelsOf = ({ kind, tube }: Measure) => ({ ...tube === undefined ? {} : { tube }, check: kind.name })

export const prometheus = (report: Report): string => {
  const each = (name: string, help: string, of: (measure: Measure) => number): Family => ({
    name,
    type: "gauge",
    help,
    samples: report.measures.map((measure) => ({ labels: labelsOf(measure), value: of(measure) }))
  })
  return textOf([
    single("gauge", "beanstalkd_check_status", "0 OK, 1 WARNING, 2 CRITICAL.", codes[overall(report)]),
    each("beanstalkd_check_value", "What was measured. Times are in seconds.", ({ value }) => value),
    each(
      "beanstalkd_check_value_status",
      "How bad it is: 0 OK, 1 WARNING, 2 CRITICAL.",
      (measure) => codes[levelOf(measure)]
    )
  ]).trimEnd()
}
