/** The metrics of a server, from its statistics. */
import type { ServerStats } from "../../Stats.ts"
import { type Family, single } from "./family.ts"

const commands: ReadonlyArray<readonly [command: string, count: (stats: ServerStats) => number]> = [
  ["put", (stats) => stats.cmdPut],
  ["peek", (stats) => stats.cmdPeek],
  ["peek-ready", (stats) => stats.cmdPeekReady],
  ["peek-delayed", (stats) => stats.cmdPeekDelayed],
  ["peek-buried", (stats) => stats.cmdPeekBuried],
  ["reserve", (stats) => stats.cmdReserve],
  ["reserve-with-timeout", (stats) => stats.cmdReserveWithTimeout],
  ["delete", (stats) => stats.cmdDelete],
  ["release", (stats) => stats.cmdRelease],
  ["use", (stats) => stats.cmdUse],
  ["watch", (stats) => stats.cmdWatch],
  ["ignore", (stats) => stats.cmdIgnore],
  ["bury", (stats) => stats.cmdBury],
  ["kick", (stats) => stats.cmdKick],
  ["touch", (stats) => stats.cmdTouch],
  ["stats", (stats) => stats.cmdStats],
  ["stats-job", (stats) => stats.cmdStatsJob],
  ["stats-tube", (stats) => stats.cmdStatsTube],
  ["list-tubes", (stats) => stats.cmdListTubes],
  ["list-tube-used", (stats) => stats.cmdListTubeUsed],
  ["list-tubes-watched", (stats) => stats.cmdListTubesWatched],
  ["pause-tube", (stats) => stats.cmdPauseTube]
]

/** That the server answers, or does not. */
export const up = (isUp: boolean): Family =>
  single("gauge", "beanstalkd_up", "Whether beanstalkd answers.", isUp ? 1 : 0)

/** One value for each of a label. */
const by = <Label extends string>(
  type: Family["type"],
  name: string,
  help: string,
  label: Label,
  values: ReadonlyArray<readonly [of: string, value: number]>
): Family => ({ name, type, help, samples: values.map(([of, value]) => ({ labels: { [label]: of }, value })) })

/** What each of these metrics is, in their order. Ready jobs that are urgent, and connections in a role, are counted in the others too. */
export const serverFamilies = (stats: ServerStats): ReadonlyArray<Family> => [
  up(true),
  {
    name: "beanstalkd_info",
    type: "gauge",
    help: "The version, the id of the process and the host name.",
    samples: [{ labels: { version: stats.version, id: stats.id, hostname: stats.hostname }, value: 1 }]
  },
  single("gauge", "beanstalkd_uptime_seconds", "Seconds since the server started.", stats.uptime),
  // Servers before 1.12 do not tell it.
  ...stats.draining === undefined
    ? []
    : [single("gauge", "beanstalkd_draining", "Whether the server refuses new jobs.", stats.draining ? 1 : 0)],
  by("gauge", "beanstalkd_jobs", "Jobs, by their state.", "state", [
    ["ready", stats.currentJobsReady],
    ["reserved", stats.currentJobsReserved],
    ["delayed", stats.currentJobsDelayed],
    ["buried", stats.currentJobsBuried]
  ]),
  single("gauge", "beanstalkd_jobs_urgent", "Ready jobs with a priority below 1024.", stats.currentJobsUrgent),
  single("counter", "beanstalkd_jobs_total", "Jobs that were put.", stats.totalJobs),
  single(
    "counter",
    "beanstalkd_job_timeouts_total",
    "Reservations that timed out.",
    stats.jobTimeouts
  ),
  by(
    "counter",
    "beanstalkd_commands_total",
    "Commands that were executed.",
    "command",
    commands.map(
      ([command, count]) => [command, count(stats)]
    )
  ),
  single("gauge", "beanstalkd_tubes", "Tubes.", stats.currentTubes),
  by("gauge", "beanstalkd_connections", "Connections: all, and those that have put or reserved, or wait.", "role", [
    ["all", stats.currentConnections],
    ["producer", stats.currentProducers],
    ["worker", stats.currentWorkers],
    ["waiting", stats.currentWaiting]
  ]),
  single("counter", "beanstalkd_connections_total", "Connections that were opened.", stats.totalConnections),
  by("counter", "beanstalkd_cpu_seconds_total", "Processor time of the server.", "mode", [
    ["user", stats.rusageUtime],
    ["system", stats.rusageStime]
  ]),
  single("gauge", "beanstalkd_max_job_size_bytes", "The largest body that is accepted.", stats.maxJobSize),
  single("gauge", "beanstalkd_binlog_files", "Files of the binlog; 0 without one.", binlogFiles(stats)),
  single("gauge", "beanstalkd_binlog_file_size_bytes", "The size of one of these files.", stats.binlogMaxSize),
  single(
    "counter",
    "beanstalkd_binlog_records_written_total",
    "Records that were written to the binlog.",
    stats.binlogRecordsWritten
  ),
  single(
    "counter",
    "beanstalkd_binlog_records_migrated_total",
    "Records that were written again to make the binlog smaller.",
    stats.binlogRecordsMigrated
  )
]

const binlogFiles = ({ binlogCurrentIndex, binlogOldestIndex }: ServerStats): number =>
  binlogCurrentIndex === 0 ? 0 : binlogCurrentIndex - binlogOldestIndex + 1
