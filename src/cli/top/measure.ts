/** What is known of a tube or a server: its last statistics, and rates, which need two samples. */
import type { ServerStats, TubeStats } from "../../Stats.ts"

/** Per second. */
export interface Rates {
  readonly in: number
  readonly out: number
  readonly timeouts: number
}

/** Totals since the server, or the tube, began, at a time in milliseconds. */
interface Totals extends Rates {
  readonly at: number
}

export interface Measured<out Stats> {
  readonly stats: Stats
  /** When the statistics were read, in milliseconds. */
  readonly at: number
  /** `undefined` after the first sample. */
  readonly rates: Rates | undefined
  /** What the next rates are counted from. */
  readonly base: Totals
  /** How many jobs were ready in the last samples, the oldest first. */
  readonly ready: ReadonlyArray<number>
}

/** How many samples are kept for the line of ready jobs. */
export const samplesKept = 8

const totalsOf = (stats: ServerStats | TubeStats, at: number): Totals => ({
  at,
  in: stats.totalJobs,
  out: stats.cmdDelete,
  timeouts: "jobTimeouts" in stats ? stats.jobTimeouts : 0
})

/** Of a total that begins anew when the tube was gone, or the server was restarted. */
const growth = (before: number, now: number): number => now < before ? now : now - before

const ratesBetween = (before: Totals, now: Totals): Rates => {
  const seconds = (now.at - before.at) / 1000
  const rate = (of: keyof Rates) => growth(before[of], now[of]) / seconds
  return { in: rate("in"), out: rate("out"), timeouts: rate("timeouts") }
}

/** Adds a sample. One that comes within `shortest` milliseconds after the last tells no rates: a single job would be many a second. */
export const measure = <Stats extends ServerStats | TubeStats>(
  before: Measured<Stats> | undefined,
  stats: Stats,
  { at, shortest }: { readonly at: number; readonly shortest: number }
): Measured<Stats> => {
  const totals = totalsOf(stats, at)
  if (before === undefined) return { stats, at, rates: undefined, base: totals, ready: [stats.currentJobsReady] }
  if (at - before.base.at < shortest) return { ...before, stats, at }
  return {
    stats,
    at,
    rates: ratesBetween(before.base, totals),
    base: totals,
    ready: [...before.ready, stats.currentJobsReady].slice(-samplesKept)
  }
}
