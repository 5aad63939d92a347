/** What a job is, for people. */
import type { JobStats } from "../Stats.ts"
import type { Output } from "./terminal/output.ts"
import { counted, thousands, timeSpan } from "./terminal/text.ts"

/** The statistics of a job, in three lines; ` on 127.0.0.1:11300` if it is said where. */
export const headingOf = (
  stats: JobStats,
  size: number,
  where: string,
  { printable, style }: Pick<Output["Type"], "printable" | "style">
): ReadonlyArray<string> => {
  const state = stats.state === "buried" ? style.red("buried") : stats.state
  const timeLeft = stats.state === "reserved" || stats.state === "delayed" ? ` (${timeSpan(stats.timeLeft)} left)` : ""
  return [
    `${style.bold(`job ${stats.id}`)} of ${printable(stats.tube)}${where}: ${state}${timeLeft}`,
    `priority  ${stats.pri}   age  ${timeSpan(stats.age)}   delay  ${timeSpan(stats.delay)}   ` +
    `ttr  ${timeSpan(stats.ttr)}   size  ${thousands(size)} bytes`,
    [
      counted(stats.reserves, "reserve"),
      counted(stats.timeouts, "timeout"),
      counted(stats.releases, "release"),
      counted(stats.buries, "bury", "buries"),
      counted(stats.kicks, "kick")
    ].join(" · ")
  ]
}
