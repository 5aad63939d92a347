/** The statistics of several servers as those of one. */
import * as Arr from "effect/Array"
import { ServerStats, TubeStats } from "../../Stats.ts"

/** Under this key of `unknown` are the addresses of the servers that are not counted, since they did not answer. */
export const notAnsweredKey = "cluster-not-answered"

const unknownOf = (
  all: ReadonlyArray<{ readonly unknown: { readonly [key: string]: string } }>,
  notAnswered: ReadonlyArray<string>
) =>
  Object.fromEntries([
    ...all.flatMap(({ unknown }) => Object.entries(unknown)),
    ...notAnswered.length === 0 ? [] : [[notAnsweredKey, notAnswered.join(", ")] as const]
  ])

const sum = <Key extends string>(
  keys: ReadonlyArray<Key>,
  all: Arr.NonEmptyReadonlyArray<{ readonly [K in Key]: number }>
): Record<Key, number> => {
  const [first, ...others] = all
  const total: Record<Key, number> = { ...first }
  for (const one of others) for (const key of keys) total[key] += one[key]
  return total
}

const tubeCounts = [
  "currentJobsUrgent",
  "currentJobsReady",
  "currentJobsReserved",
  "currentJobsDelayed",
  "currentJobsBuried",
  "totalJobs",
  "currentUsing",
  "currentWatching",
  "currentWaiting",
  "cmdDelete",
  "cmdPauseTube"
] as const

/** The counts are added. The pause is the longest. */
export const addTubeStats = (
  all: Arr.NonEmptyReadonlyArray<TubeStats>,
  notAnswered: ReadonlyArray<string> = []
): TubeStats =>
  new TubeStats({
    ...all[0],
    ...sum(tubeCounts, all),
    pause: Math.max(...all.map(({ pause }) => pause)),
    pauseTimeLeft: Math.max(...all.map(({ pauseTimeLeft }) => pauseTimeLeft)),
    unknown: unknownOf(all, notAnswered)
  }, true)

const serverCounts = [
  "currentJobsUrgent",
  "currentJobsReady",
  "currentJobsReserved",
  "currentJobsDelayed",
  "currentJobsBuried",
  "cmdPut",
  "cmdPeek",
  "cmdPeekReady",
  "cmdPeekDelayed",
  "cmdPeekBuried",
  "cmdReserve",
  "cmdReserveWithTimeout",
  "cmdDelete",
  "cmdRelease",
  "cmdUse",
  "cmdWatch",
  "cmdIgnore",
  "cmdBury",
  "cmdKick",
  "cmdTouch",
  "cmdStats",
  "cmdStatsJob",
  "cmdStatsTube",
  "cmdListTubes",
  "cmdListTubeUsed",
  "cmdListTubesWatched",
  "cmdPauseTube",
  "jobTimeouts",
  "totalJobs",
  "currentTubes",
  "currentConnections",
  "currentProducers",
  "currentWorkers",
  "currentWaiting",
  "totalConnections",
  "rusageUtime",
  "rusageStime",
  "binlogRecordsMigrated",
  "binlogRecordsWritten"
] as const

const joined = (texts: ReadonlyArray<string>): string => Arr.dedupe(texts).join(", ")

/**
 * The counts are added. Texts are listed. The uptime is the shortest, the largest job that of the server with the largest limit, and
 * what cannot be combined is that of the first server.
 */
export const addServerStats = (
  all: Arr.NonEmptyReadonlyArray<ServerStats>,
  notAnswered: ReadonlyArray<string> = []
): ServerStats =>
  new ServerStats({
    ...all[0],
    ...sum(serverCounts, all),
    id: joined(all.map(({ id }) => id)),
    version: joined(all.map(({ version }) => version)),
    hostname: joined(all.map(({ hostname }) => hostname)),
    maxJobSize: Math.max(...all.map(({ maxJobSize }) => maxJobSize)),
    uptime: Math.min(...all.map(({ uptime }) => uptime)),
    draining: all.every(({ draining }) => draining === true),
    unknown: unknownOf(all, notAnswered)
  }, true)
