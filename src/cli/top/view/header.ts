/** The lines about the server. */
import type { ServerStats } from "../../../Stats.ts"
import { escapeControls } from "../../terminal/escape.ts"
import type { Style } from "../../terminal/style.ts"
import { counted, thousands, timeSpan } from "../../terminal/text.ts"
import { rate } from "../format.ts"
import { type Model, silence } from "../model.ts"
import { type Part, spread } from "./line.ts"

/** The server, its rates, its clients and how often it is asked. */
export const serverLine = (model: Model, style: Style): string => {
  const { address, server, size: { columns } } = model
  const stats = server?.stats
  return spread([
    [
      {
        text: stats === undefined ? "beanstalkd" : `beanstalkd ${escapeControls(stats.version)}`,
        style: style.bold,
        rank: 3
      },
      { text: escapeControls(address), style: style.bold, rank: 0 },
      ...stateOf(model, style)
    ],
    server?.rates === undefined ? [] : [
      { text: `in ${rate(server.rates.in)}/s`, rank: 5 },
      { text: `out ${rate(server.rates.out)}/s`, rank: 5 }
    ],
    stats === undefined ? [] : [
      { text: `${counted(stats.currentConnections, "client")}, ${thousands(stats.currentWaiting)} waiting`, rank: 6 }
    ],
    [paceOf(model, style)]
  ], { columns, gap: 2 })
}

const stateOf = (model: Model, { red }: Style): ReadonlyArray<Part> => {
  const { link: { lost }, now, server } = model
  const silentFor = silence(model)
  if (lost !== undefined) {
    const since = timeSpan((now - lost.at) / 1000)
    return [
      { text: "LOST", style: red, rank: 0 },
      { text: `for ${since}: ${escapeControls(lost.why)}; trying again`, style: red, rank: 1 }
    ]
  }
  if (silentFor !== undefined) {
    return [{ text: `NO ANSWER for ${timeSpan(silentFor / 1000)}`, style: red, rank: 1 }]
  }
  return server === undefined ? [] : [
    ...server.stats.draining === true ? [{ text: "DRAINING", style: red, rank: 1 }] : [],
    { text: `up ${timeSpan(server.stats.uptime)}`, rank: 7 }
  ]
}

const paceOf = ({ isFrozen, pace, round }: Model, { bold }: Style): Part => {
  if (isFrozen) return { text: "FROZEN", style: bold, rank: 2 }
  const others = round?.took ?? 0
  return {
    text: `every ${seconds(pace)}${others > 1.5 * pace ? `, others ${seconds(Math.round(others / 100) * 100)}` : ""}`,
    rank: 4
  }
}

const seconds = (millis: number): string => millis < 60_000 ? `${millis / 1000}s` : timeSpan(millis / 1000)

/** The jobs of the server, and how the tubes below are arranged. */
export const jobsLine = ({ server, size: { columns }, tubes }: Model, style: Style): string => {
  const { filter, isReversed, marked, rows, sort, tracked } = tubes
  const shown = rows.length === tracked.size
    ? thousands(rows.length)
    : `${thousands(rows.length)} of ${thousands(tracked.size)}`
  return spread([
    server === undefined ? [] : jobs(server.stats, server.rates?.timeouts, style),
    [
      ...marked.size === 0 ? [] : [{ text: `${thousands(marked.size)} marked`, style: style.bold, rank: 3 }],
      { text: `${shown} ${tracked.size === 1 ? "tube" : "tubes"}`, rank: 7 },
      { text: `sorted by ${sort} ${isReversed === (sort === "name") ? "↓" : "↑"}`, rank: 5 },
      { text: `filter: ${filter === "" ? "-" : escapeControls(filter)}`, rank: filter === "" ? 8 : 2 }
    ]
  ], { columns, gap: 3 })
}

const jobs = (stats: ServerStats, timeouts: number | undefined, { red }: Style): ReadonlyArray<Part> => [
  { text: ` ready ${thousands(stats.currentJobsReady)}`, rank: 0 },
  { text: `reserved ${thousands(stats.currentJobsReserved)}`, rank: 4 },
  { text: `delayed ${thousands(stats.currentJobsDelayed)}`, rank: 4 },
  {
    text: `buried ${thousands(stats.currentJobsBuried)}`,
    style: stats.currentJobsBuried > 0 ? red : undefined,
    rank: 1
  },
  ...timeouts === undefined ? [] : [{ text: `timeouts ${rate(timeouts)}/s`, rank: 6 }]
]
