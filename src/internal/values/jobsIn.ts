import type { ServerStats, TubeStats } from "../../Stats.ts"

const gauges = {
  ready: "currentJobsReady",
  reserved: "currentJobsReserved",
  delayed: "currentJobsDelayed",
  buried: "currentJobsBuried"
} as const

/** How many jobs a server or a tube has in these states. */
export const jobsIn = (stats: ServerStats | TubeStats, states: ReadonlyArray<keyof typeof gauges>): number =>
  states.reduce((sum, state) => sum + stats[gauges[state]], 0)
