/** The documents of the `stats` and `list-tubes` families, as beanstalkd words them. */
import type { CommandName, Version } from "./commandParser.ts"
import type { Job } from "./job.ts"
import type { JobStore } from "./jobStore.ts"
import type { Tube } from "./tube.ts"

/** What a server says of itself. */
export interface Identity {
  readonly version: Version
  /** 16 hexadecimal digits, different for each run of a server. */
  readonly id: string
  readonly hostname: string
  readonly os: string
  readonly platform: string
  readonly pid: number
  /** In bytes. */
  readonly maxJobSize: number
  /** In milliseconds. */
  readonly startedAt: number
}

/** What a server counts besides jobs. */
export interface Counters {
  readonly commands: ReadonlyMap<CommandName, number>
  readonly connections: number
  readonly totalConnections: number
  readonly producers: number
  readonly workers: number
  readonly waiting: number
  readonly isDraining: boolean
}

type Entries = ReadonlyArray<readonly [key: string, value: string | number]>

const document = (entries: Entries): string => `---\n${entries.map(([key, value]) => `${key}: ${value}\n`).join("")}`

export const tubeList = (tubes: ReadonlyArray<Tube>): string =>
  `---\n${tubes.map(({ name }) => `- ${name}\n`).join("")}`

/** Since 1.13 names are in quotes. */
const name = (text: string, version: Version): string => version === "1.12" ? text : `"${text}"`

const seconds = (milliseconds: number): number => Math.trunc(milliseconds / 1000)

const countedCommands = [
  "put",
  "peek",
  "peek-ready",
  "peek-delayed",
  "peek-buried",
  "reserve",
  "reserve-with-timeout",
  "delete",
  "release",
  "use",
  "watch",
  "ignore",
  "bury",
  "kick",
  "touch",
  "stats",
  "stats-job",
  "stats-tube",
  "list-tubes",
  "list-tube-used",
  "list-tubes-watched",
  "pause-tube"
] as const

export const serverStatistics = (store: JobStore, counters: Counters, identity: Identity): string => {
  const tubes = store.tubes.list
  const inAll = (count: (tube: Tube) => number) => tubes.reduce((sum, tube) => sum + count(tube), 0)
  return document([
    ["current-jobs-urgent", inAll((tube) => tube.urgent)],
    ["current-jobs-ready", inAll((tube) => tube.ready.size)],
    ["current-jobs-reserved", inAll((tube) => tube.reserved)],
    ["current-jobs-delayed", inAll((tube) => tube.delayed.size)],
    ["current-jobs-buried", inAll((tube) => tube.buried.length)],
    ...countedCommands.map((name) => [`cmd-${name}`, counters.commands.get(name) ?? 0] as const),
    ["job-timeouts", store.timeouts],
    ["total-jobs", store.totalJobs],
    ["max-job-size", identity.maxJobSize],
    ["current-tubes", tubes.length],
    ["current-connections", counters.connections],
    ["current-producers", counters.producers],
    ["current-workers", counters.workers],
    ["current-waiting", counters.waiting],
    ["total-connections", counters.totalConnections],
    ["pid", identity.pid],
    ["version", `"${identity.version}"`],
    ["rusage-utime", "0.000000"],
    ["rusage-stime", "0.000000"],
    ["uptime", seconds(store.now - identity.startedAt)],
    ["binlog-oldest-index", 0],
    ["binlog-current-index", 0],
    ["binlog-records-migrated", 0],
    ["binlog-records-written", 0],
    ["binlog-max-size", 10 * 1024 * 1024],
    ["draining", String(counters.isDraining)],
    ["id", identity.id],
    ["hostname", name(identity.hostname, identity.version)],
    ["os", name(identity.os, identity.version)],
    ["platform", name(identity.platform, identity.version)]
  ])
}

export const tubeStatistics = (tube: Tube, now: number, version: Version): string =>
  document([
    ["name", name(tube.name, version)],
    ["current-jobs-urgent", tube.urgent],
    ["current-jobs-ready", tube.ready.size],
    ["current-jobs-reserved", tube.reserved],
    ["current-jobs-delayed", tube.delayed.size],
    ["current-jobs-buried", tube.buried.length],
    ["total-jobs", tube.totalJobs],
    ["current-using", tube.using],
    ["current-watching", tube.watching],
    ["current-waiting", tube.waiters.size],
    ["cmd-delete", tube.deletes],
    ["cmd-pause-tube", tube.pauses],
    ["pause", tube.pause?.duration ?? 0],
    ["pause-time-left", tube.pause === undefined ? 0 : seconds(tube.pause.until - now)]
  ])

export const jobStatistics = (job: Job, now: number, version: Version): string => {
  const hasDeadline = job.state === "reserved" || job.state === "delayed"
  return document([
    ["id", job.id],
    ["tube", name(job.tube.name, version)],
    ["state", job.state],
    ["pri", job.priority],
    ["age", seconds(now - job.createdAt)],
    ["delay", job.delay],
    ["ttr", job.ttr],
    ["time-left", hasDeadline ? seconds(job.deadline - now) : 0],
    ["file", 0],
    ["reserves", job.reserves],
    ["timeouts", job.timeouts],
    ["releases", job.releases],
    ["buries", job.buries],
    ["kicks", job.kicks]
  ])
}
