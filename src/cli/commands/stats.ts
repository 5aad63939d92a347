/** `beanstalk stats` */
import * as Effect from "effect/Effect"
import type { ServerStats } from "../../Stats.ts"
import { statsRecord } from "../record.ts"
import { lookAtEach, type Seen } from "../server/look.ts"
import * as Command from "../table/command.ts"
import { Output } from "../terminal/output.ts"
import type { Style } from "../terminal/style.ts"
import { binarySize, counted, thousands, timeSpan } from "../terminal/text.ts"
import { width } from "../terminal/width.ts"

export const command = Command.make({
  name: "stats",
  summary: "Show the state of the server on one screen",
  servers: "each",
  parameters: {},
  examples: [
    { run: "stats", does: "the server at $BEANSTALKD_URL, or on this machine" },
    { run: "stats -u 10.0.0.5:11300,10.0.0.6:11300 --json", does: "every number of two servers" }
  ],
  run: Effect.flatMap(Output, (output) =>
    lookAtEach(
      ({ open }) => Effect.flatMap(open, ({ stats }) => stats),
      (seen, isOne) =>
        output.json
          ? output.records(
            seen.map(({ seen, server }) => ({ ...isOne ? {} : { url: server.url }, ...statsRecord(seen) }))
          )
          : output.lines(...seen.flatMap((each, index) => [...index === 0 ? [] : [""], ...screen(each, output)]))
    ))
})

const screen = (
  { seen: stats, server }: Seen<ServerStats>,
  { columns, printable, style }: Output["Type"]
): ReadonlyArray<string> => {
  const state = stats.draining === true ? style.yellow("draining: it accepts no jobs") : "accepting jobs"
  const pairs: ReadonlyArray<readonly [left: string, right: string]> = [
    [`since up  ${counted(stats.totalJobs, "job")} put · ${counted(stats.jobTimeouts, "timeout")}`, clients(stats)],
    [`binlog    ${binlog(stats)}`, `largest job  ${thousands(stats.maxJobSize)} bytes`]
  ]
  return [
    `beanstalkd ${printable(stats.version)} at ${style.bold(server.address)}, up ${timeSpan(stats.uptime)}, ${state}`,
    `jobs      ${jobs(stats, style)}`,
    ...besides(pairs, columns())
  ]
}

const jobs = (stats: ServerStats, { red }: Style): string => {
  const urgent = stats.currentJobsUrgent === 0 ? "" : ` (${thousands(stats.currentJobsUrgent)} urgent)`
  const buried = `${thousands(stats.currentJobsBuried)} buried`
  return [
    `${thousands(stats.currentJobsReady)} ready${urgent}`,
    `${thousands(stats.currentJobsReserved)} reserved`,
    `${thousands(stats.currentJobsDelayed)} delayed`,
    stats.currentJobsBuried > 0 ? red(buried) : buried
  ].join(" · ")
}

const clients = (stats: ServerStats): string =>
  `clients  ${thousands(stats.currentConnections)}: ${counted(stats.currentProducers, "producer")}, ` +
  `${counted(stats.currentWorkers, "worker")}, ${thousands(stats.currentWaiting)} waiting`

const binlog = (stats: ServerStats): string => {
  const files = stats.binlogCurrentIndex - stats.binlogOldestIndex + 1
  return stats.binlogCurrentIndex === 0
    ? "off: jobs are lost when the server ends"
    : `on, ${counted(files, "file")} of ${binarySize(stats.binlogMaxSize)}`
}

const gap = "          "

/** Puts each pair on a line of its own, or below each other where the terminal is too narrow. */
const besides = (
  pairs: ReadonlyArray<readonly [left: string, right: string]>,
  columns: number | undefined
): ReadonlyArray<string> => {
  const leftWidth = Math.max(...pairs.map(([left]) => width(left)))
  const lines = pairs.map(([left, right]) => `${left.padEnd(leftWidth)}${gap}${right}`)
  if (columns === undefined || lines.every((line) => width(line) <= columns)) return lines
  return [...pairs.map(([left]) => left), ...pairs.map(([, right]) => right)]
}
