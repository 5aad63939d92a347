/** How many jobs, by their states: in words, and of jobs that are known one by one. */
import { type Tally, total } from "../internal/values/tally.ts"
import { listed, thousands } from "./terminal/text.ts"

/** `1,200 ready and 37 buried jobs`, `no jobs`. */
export const tallyText = (tally: Tally): string => {
  const parts = (["ready", "delayed", "buried"] as const)
    .filter((state) => tally[state] > 0)
    .map((state) => `${thousands(tally[state])} ${state}`)
  return parts.length === 0 ? "no jobs" : `${listed(parts, "and")} ${total(tally) === 1 ? "job" : "jobs"}`
}

/** The tally of these jobs. */
export const tallyOf = (jobs: ReadonlyArray<{ readonly state: string }>): Tally => {
  const count = (state: string) => jobs.filter((job) => job.state === state).length
  return { ready: count("ready"), delayed: count("delayed"), buried: count("buried") }
}
