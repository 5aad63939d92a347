/** Statistics as a server sends them, for tests that have none. */
import { Stats } from "effect-beanstalk"
import { isJobId, isTubeName, type JobId, type TubeName } from "../../src/Job.ts"

export const tubeName = (text: string): TubeName => {
  if (!isTubeName(text)) throw new Error(`${text} is no name of a tube`)
  return text
}

type TubeKeys = Partial<Omit<Stats.TubeStats, "name">>

export const tubeStats = (name: string, keys: TubeKeys = {}): Stats.TubeStats =>
  new Stats.TubeStats({
    name: tubeName(name),
    currentJobsUrgent: 0,
    currentJobsReady: 0,
    currentJobsReserved: 0,
    currentJobsDelayed: 0,
    currentJobsBuried: 0,
    totalJobs: 0,
    currentUsing: 0,
    currentWatching: 0,
    currentWaiting: 0,
    cmdDelete: 0,
    cmdPauseTube: 0,
    pause: 0,
    pauseTimeLeft: 0,
    unknown: {},
    ...keys
  })

type ServerNumbers = Partial<Omit<Stats.ServerStats, "unknown">>

export const serverStats = (numbers: ServerNumbers = {}): Stats.ServerStats =>
  new Stats.ServerStats({
    currentJobsUrgent: 0,
    currentJobsReady: 0,
    currentJobsReserved: 0,
    currentJobsDelayed: 0,
    currentJobsBuried: 0,
    cmdPut: 0,
    cmdPeek: 0,
    cmdPeekReady: 0,
    cmdPeekDelayed: 0,
    cmdPeekBuried: 0,
    cmdReserve: 0,
    cmdReserveWithTimeout: 0,
    cmdDelete: 0,
    cmdRelease: 0,
    cmdUse: 0,
    cmdWatch: 0,
    cmdIgnore: 0,
    cmdBury: 0,
    cmdKick: 0,
    cmdTouch: 0,
    cmdStats: 0,
    cmdStatsJob: 0,
    cmdStatsTube: 0,
    cmdListTubes: 0,
    cmdListTubeUsed: 0,
    cmdListTubesWatched: 0,
    cmdPauseTube: 0,
    jobTimeouts: 0,
    totalJobs: 0,
    maxJobSize: 65_535,
    currentTubes: 1,
    currentConnections: 1,
    currentProducers: 0,
    currentWorkers: 0,
    currentWaiting: 0,
    totalConnections: 1,
    pid: 1,
    version: "1.12",
    rusageUtime: 0,
    rusageStime: 0,
    uptime: 0,
    binlogOldestIndex: 0,
    binlogCurrentIndex: 0,
    binlogRecordsMigrated: 0,
    binlogRecordsWritten: 0,
    binlogMaxSize: 10_485_760,
    draining: false,
    id: "0123456789abcdef",
    hostname: "localhost",
    unknown: {},
    ...numbers
  })

type JobNumbers = Partial<Omit<Stats.JobStats, "id" | "tube" | "unknown">>

export const jobStats = (id: number, tube: string, numbers: JobNumbers = {}): Stats.JobStats =>
  new Stats.JobStats({
    id: jobId(id),
    tube: tubeName(tube),
    state: "ready",
    pri: 1024,
    age: 60,
    delay: 0,
    ttr: 60,
    timeLeft: 0,
    file: 0,
    reserves: 0,
    timeouts: 0,
    releases: 0,
    buries: 0,
    kicks: 0,
    unknown: {},
    ...numbers
  })

export const jobId = (id: number): JobId => {
  const text = String(id)
  if (!isJobId(text)) throw new Error(`${id} is no id of a job`)
  return text
}
