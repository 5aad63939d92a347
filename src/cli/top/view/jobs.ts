/** The page of a tube: its numbers, and its jobs by state. */
import { jobsIn } from "../../../internal/values/jobsIn.ts"
import type { TubeStats } from "../../../Stats.ts"
import { escapeControls } from "../../terminal/escape.ts"
import type { Style } from "../../terminal/style.ts"
import { type Column, numeric, tableLines } from "../../terminal/table.ts"
import { counted, thousands, timeSpan } from "../../terminal/text.ts"
import { wrapAnywhere } from "../../terminal/wrap.ts"
import { rate } from "../format.ts"
import { choices, type JobList, type JobRow, statesOf } from "../jobList.ts"
import { onScreen } from "../list.ts"
import type { Measured } from "../measure.ts"
import type { Model, TubePage } from "../model.ts"
import { type Part, spread } from "./line.ts"

export const tubePageLines = (model: Model, { jobs }: TubePage, style: Style): ReadonlyArray<string> => {
  const tube = model.tubes.tracked.get(jobs.tube)
  const { size: { columns } } = model
  return [
    tubeLine(jobs, tube, columns, style),
    statesLine(jobs, tube?.stats, columns, style),
    ...jobLines(jobs, columns, style)
  ]
}

const tubeLine = (
  { marked, tube }: JobList,
  measured: Measured<TubeStats> | undefined,
  columns: number,
  style: Style
): string =>
  spread([
    [{ text: ` ${tube}`, style: style.bold, rank: 0 }],
    measured === undefined ? [{ text: "not there at present", rank: 1 }] : tubeParts(measured, style),
    marked.size === 0 ? [] : [{ text: `${thousands(marked.size)} marked`, style: style.bold, rank: 2 }]
  ], { columns, gap: 3 })

const tubeParts = ({ rates, stats }: Measured<TubeStats>, { red, yellow }: Style): ReadonlyArray<Part> => [
  ...rates === undefined ? [] : [
    { text: `in ${rate(rates.in)}/s`, rank: 3 },
    { text: `out ${rate(rates.out)}/s`, rank: 3 }
  ],
  {
    text: counted(stats.currentWatching, "worker"),
    style: stats.currentJobsReady > 0 && stats.currentWatching === 0 ? yellow : undefined,
    rank: 4
  },
  { text: `${thousands(stats.currentWaiting)} waiting`, rank: 5 },
  { text: `${thousands(stats.totalJobs)} put`, rank: 6 },
  ...stats.pause === 0 ? [] : [{ text: `paused for ${timeSpan(stats.pauseTimeLeft)}`, style: red, rank: 1 }]
]

/** The states, with the one that is shown, and how far the search is. */
const statesLine = (
  jobs: JobList,
  stats: TubeStats | undefined,
  columns: number,
  { bold, dim, red }: Style
): string => {
  const states = choices.map((choice): Part => {
    const text = stats === undefined ? choice : `${choice} ${thousands(jobsIn(stats, statesOf(choice)))}`
    return choice === jobs.shown
      ? { text: `[${text}]`, style: bold, rank: 0 }
      : {
        text: ` ${text} `,
        style: choice === "buried" && (stats?.currentJobsBuried ?? 0) > 0 ? red : undefined,
        rank: 2
      }
  })
  return spread([states, searchParts(jobs, dim)], { columns, gap: 1 })
}

const searchParts = ({ progress, rows, status }: JobList, dim: Style["dim"]): ReadonlyArray<Part> => {
  const found = `${thousands(rows.length)} found`
  if (status._tag !== "Searching") {
    return [{ text: status._tag === "Ended" ? `${found}, all` : found, style: dim, rank: 4 }]
  }
  return [
    { text: found, style: dim, rank: 4 },
    { text: `among ${thousands(progress.asked)} ids`, style: dim, rank: 5 }
  ]
}

/** Those that fit, so that something of the body is seen as well. */
const columnsFor = (columns: number, { red }: Style): ReadonlyArray<Column<JobRow>> => [
  { title: "ID", atLeast: 6, cell: ({ stats }) => stats.id },
  {
    title: "STATE",
    atLeast: 8,
    cell: ({ stats }) => stats.state,
    style: (text, { stats }) => stats.state === "buried" ? red(text) : text
  },
  ...columns < 60 ? [] : [numeric("PRI", ({ stats }: JobRow) => String(stats.pri), 4)],
  numeric("AGE", ({ stats }) => timeSpan(stats.age), 7),
  ...columns < 100 ? [] : [
    numeric("LEFT", ({ stats }: JobRow) => stats.timeLeft === 0 ? "-" : timeSpan(stats.timeLeft), 7),
    numeric("TTR", ({ stats }: JobRow) => timeSpan(stats.ttr), 4),
    numeric("RESERVES", ({ stats }: JobRow) => thousands(stats.reserves)),
    numeric("RELEASES", ({ stats }: JobRow) => thousands(stats.releases))
  ],
  ...columns < 60 ? [] : [numeric("SIZE", ({ size }: JobRow) => thousands(size), 5)],
  { title: "BODY", cell: ({ preview }) => preview, isFlexible: true }
]

const markerColumns = 2

const jobLines = (jobs: JobList, columns: number, style: Style): ReadonlyArray<string> => {
  const rows = onScreen(jobs)
  const [titles = "", ...lines] = tableLines(columnsFor(columns, style), rows, {
    columns: Math.max(0, columns - markerColumns),
    styleTitle: style.bold
  })
  const { cursor, marked } = jobs
  return [
    `  ${titles}`,
    ...rows.length === 0 ? wrapAnywhere(`  ${noneText(jobs)}`, columns) : lines.map((text, index) => {
      const isChosen = cursor.offset + index === cursor.index
      const id = rows[index]?.stats.id
      const isMarked = id !== undefined && marked.has(id)
      const marker = `${isChosen ? ">" : " "}${isMarked ? "*" : " "}`
      return isChosen ? style.inverse(marker + text) : marker + text
    })
  ]
}

const noneText = ({ shown, status }: JobList): string => {
  switch (status._tag) {
    case "Searching":
      return "looking for jobs"
    case "Ended":
      return shown === "all" ? "no jobs" : `no ${shown} jobs`
    case "Failed":
      return escapeControls(status.why)
  }
}
