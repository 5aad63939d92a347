/** The metrics of tubes. Tubes with the same label are one series. */
import type { TubeSample } from "../server/tubeSamples.ts"
import type { Family } from "./family.ts"

/** A tube, and what it is called in the metrics. */
export interface Labelled extends TubeSample {
  readonly label: string
}

/** The counters of all tubes with a label. */
export interface Counts {
  readonly puts: number
  readonly deletes: number
}

/** The numbers of all tubes with a label: their sums, but of a time the longest. */
interface Numbers extends Counts {
  readonly label: string
  readonly ready: number
  readonly reserved: number
  readonly delayed: number
  readonly buried: number
  readonly using: number
  readonly watching: number
  readonly waiting: number
  readonly paused: number
  readonly nextAge: number
}

const numbersOf = ({ label, nextAge = 0, stats }: Labelled): Numbers => ({
  label,
  ready: stats.currentJobsReady,
  reserved: stats.currentJobsReserved,
  delayed: stats.currentJobsDelayed,
  buried: stats.currentJobsBuried,
  using: stats.currentUsing,
  watching: stats.currentWatching,
  waiting: stats.currentWaiting,
  paused: stats.pauseTimeLeft,
  nextAge,
  puts: stats.totalJobs,
  deletes: stats.cmdDelete
})

const together = (one: Numbers, other: Numbers): Numbers => ({
  label: one.label,
  ready: one.ready + other.ready,
  reserved: one.reserved + other.reserved,
  delayed: one.delayed + other.delayed,
  buried: one.buried + other.buried,
  using: one.using + other.using,
  watching: one.watching + other.watching,
  waiting: one.waiting + other.waiting,
  paused: Math.max(one.paused, other.paused),
  nextAge: Math.max(one.nextAge, other.nextAge),
  puts: one.puts + other.puts,
  deletes: one.deletes + other.deletes
})

const byLabel = (tubes: ReadonlyArray<Labelled>): ReadonlyArray<Numbers> => {
  const found = new Map<string, Numbers>()
  for (const tube of tubes) {
    const before = found.get(tube.label)
    const numbers = numbersOf(tube)
    found.set(tube.label, before === undefined ? numbers : together(before, numbers))
  }
  return [...found.values()]
}

type Of = (numbers: Numbers) => number

const states: ReadonlyArray<readonly [state: string, of: Of]> = [
  ["ready", ({ ready }) => ready],
  ["reserved", ({ reserved }) => reserved],
  ["delayed", ({ delayed }) => delayed],
  ["buried", ({ buried }) => buried]
]

const roles: ReadonlyArray<readonly [role: string, of: Of]> = [
  ["using", ({ using }) => using],
  ["watching", ({ watching }) => watching],
  ["waiting", ({ waiting }) => waiting]
]

/** The metrics, where `goneOf` tells what the tubes of a label had counted that are gone since. */
export const tubeFamilies = (
  tubes: ReadonlyArray<Labelled>,
  goneOf: (label: string) => Counts
): ReadonlyArray<Family> => {
  const all = byLabel(tubes)
  const each = (type: Family["type"], name: string, help: string, of: Of): Family => ({
    name,
    type,
    help,
    samples: all.map((numbers) => ({ labels: { tube: numbers.label }, value: of(numbers) }))
  })
  const eachBy = (
    name: string,
    help: string,
    label: string,
    values: ReadonlyArray<readonly [of: string, value: Of]>
  ): Family => ({
    name,
    type: "gauge",
    help,
    samples: all.flatMap((numbers) =>
      values.map(([of, value]) => ({ labels: { tube: numbers.label, [label]: of }, value: value(numbers) }))
    )
  })
  return [
    eachBy("beanstalkd_tube_jobs", "Jobs of a tube, by their state.", "state", states),
    each(
      "counter",
      "beanstalkd_tube_jobs_total",
      "Jobs that were put into a tube since it was made.",
      ({ label, puts }) => puts + goneOf(label).puts
    ),
    each(
      "counter",
      "beanstalkd_tube_deletes_total",
      "Jobs of a tube that were deleted.",
      ({ deletes, label }) => deletes + goneOf(label).deletes
    ),
    eachBy(
      "beanstalkd_tube_connections",
      "Connections that use a tube, watch it, and wait for its jobs.",
      "role",
      roles
    ),
    each(
      "gauge",
      "beanstalkd_tube_paused_seconds",
      "For how many seconds a tube is paused still.",
      ({ paused }) => paused
    ),
    each(
      "gauge",
      "beanstalkd_tube_next_job_age_seconds",
      "For how many seconds the next job of a tube has been ready.",
      ({ nextAge }) => nextAge
    )
  ]
}
