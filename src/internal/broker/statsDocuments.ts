/** The YAML documents that answer the `stats` and `list-tubes` commands, formatted as by beanstalkd. */
import type { CommandName, Version } from "./commandParser.ts"
import type { JobStore } from "./jobStore.ts"
import type { Job, Tube } from "./model.ts"

/** What distinguishes one server from another. */
export interface ServerIdentity {
  readonly version: Version
  /** 16 hexadecimal digits, random for each start of a server. */
  readonly id: string
  readonly hostname: string
  readonly os: string
  readonly platform: string
  readonly pid: number
  /** In bytes. */
  readonly maxJobSize: number
  /** In milliseconds since 1970. */
  readonly startedAt: number
}

/** What a server counts, apart from jobs. */
export interface ServerCounters {
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

/** beanstalkd puts names into quotes since 1.13. */
const quoted = (text: string, version: Version): string => version === "1.12" ? text : `"${text}"`

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

export const serverStatistics = (store: JobStore, counters: ServerCounters, identity: ServerIdentity): string => {
  const tubes = store.tubes.list
  const sum = (count: (tube: Tube) => number) => tubes.reduce((total, tube) => total + count(tube), 0)
  return document([
    ["current-jobs-urgent", sum((tube) => tube.urgent)],
    ["current-jobs-ready", sum((tube) => tube.ready.size)],
    ["current-jobs-reserved", sum((tube) => tube.reserved)],
    ["current-jobs-delayed", sum((tube) => tube.delayed.size)],
    ["current-jobs-buried", sum((tube) => tube.buried.length)],
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
    ["hostname", quoted(identity.hostname, identity.version)],
    ["os", quoted(identity.os, identity.version)],
    ["platform", quoted(identity.platform, identity.version)]
  ])
}

export const tubeStatistics = (tube: Tube, now: number, version: Version): string =>
  document([
    ["name", quoted(tube.name, version)],
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
    ["tube", quoted(job.tube.name, version)],
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
