/**
 * The statistics of a server, a tube and a job, with a type for each key.
 *
 * beanstalkd documents them as YAML, which a YAML parser would misread: 1.12 writes `os: #1 SMP …` without quotes, where `#`
 * starts a comment, and a tube named `123` or a server id like `12e4567890123456` would become a number. This library reads
 * them line by line.
 *
 * @module
 * @since 0.1.0
 */

import * as Schema from "effect/Schema"
import { JobId, TubeName } from "./Job.ts"

const Integer = Schema.transform(Schema.String.pipe(Schema.pattern(/^-?\d{1,20}$/)), Schema.Number, {
  strict: true,
  decode: Number,
  encode: String
})

const Decimal = Schema.transform(Schema.String.pipe(Schema.pattern(/^\d+\.\d+$/)), Schema.Number, {
  strict: true,
  decode: Number,
  encode: (seconds) => seconds.toFixed(6)
})

const Flag = Schema.transformLiterals(["true", true], ["false", false])

const from = <A, I, R>(key: string, schema: Schema.Schema<A, I, R>) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(key))

/** The keys that this version of the library does not have, as the server wrote them. */
const unknownKeys = Schema.Record({ key: Schema.String, value: Schema.String })

/**
 * The reply to `stats`: the current gauges of the server (`current…`), and its counters since it started (`cmd…`, `total…`).
 *
 * **Details**
 *
 * Has every key of beanstalkd 1.12 and 1.13; keys of later servers are in `unknown`. The server does not count `kick-job`,
 * `reserve-job` and `quit`.
 *
 * @category models
 * @since 0.1.0
 */
export class ServerStats extends Schema.Class<ServerStats>("effect-beanstalk/ServerStats")({
  /** Ready jobs with a priority below 1024. */
  currentJobsUrgent: from("current-jobs-urgent", Integer),
  currentJobsReady: from("current-jobs-ready", Integer),
  currentJobsReserved: from("current-jobs-reserved", Integer),
  currentJobsDelayed: from("current-jobs-delayed", Integer),
  currentJobsBuried: from("current-jobs-buried", Integer),
  cmdPut: from("cmd-put", Integer),
  cmdPeek: from("cmd-peek", Integer),
  cmdPeekReady: from("cmd-peek-ready", Integer),
  cmdPeekDelayed: from("cmd-peek-delayed", Integer),
  cmdPeekBuried: from("cmd-peek-buried", Integer),
  cmdReserve: from("cmd-reserve", Integer),
  cmdReserveWithTimeout: from("cmd-reserve-with-timeout", Integer),
  cmdDelete: from("cmd-delete", Integer),
  cmdRelease: from("cmd-release", Integer),
  cmdUse: from("cmd-use", Integer),
  cmdWatch: from("cmd-watch", Integer),
  cmdIgnore: from("cmd-ignore", Integer),
  cmdBury: from("cmd-bury", Integer),
  cmdKick: from("cmd-kick", Integer),
  cmdTouch: from("cmd-touch", Integer),
  cmdStats: from("cmd-stats", Integer),
  cmdStatsJob: from("cmd-stats-job", Integer),
  cmdStatsTube: from("cmd-stats-tube", Integer),
  cmdListTubes: from("cmd-list-tubes", Integer),
  cmdListTubeUsed: from("cmd-list-tube-used", Integer),
  cmdListTubesWatched: from("cmd-list-tubes-watched", Integer),
  cmdPauseTube: from("cmd-pause-tube", Integer),
  /** How often a reservation ended because the time to run of its job was over. */
  jobTimeouts: from("job-timeouts", Integer),
  /** Jobs accepted since the server started. */
  totalJobs: from("total-jobs", Integer),
  /** The largest body the server accepts, in bytes (its `-z` option). */
  maxJobSize: from("max-job-size", Integer),
  currentTubes: from("current-tubes", Integer),
  currentConnections: from("current-connections", Integer),
  /** Open connections that have put a job. */
  currentProducers: from("current-producers", Integer),
  /** Open connections that have sent a reserve. */
  currentWorkers: from("current-workers", Integer),
  /** Open connections waiting in a reserve. */
  currentWaiting: from("current-waiting", Integer),
  totalConnections: from("total-connections", Integer),
  pid: Integer,
  version: Schema.String,
  /** Processor time of the server in user mode, in seconds. */
  rusageUtime: from("rusage-utime", Decimal),
  /** Processor time of the server in the kernel, in seconds. */
  rusageStime: from("rusage-stime", Decimal),
  /** Seconds since the server started. */
  uptime: Integer,
  binlogOldestIndex: from("binlog-oldest-index", Integer),
  binlogCurrentIndex: from("binlog-current-index", Integer),
  binlogRecordsMigrated: from("binlog-records-migrated", Integer),
  binlogRecordsWritten: from("binlog-records-written", Integer),
  /** The size of one binlog file, in bytes. */
  binlogMaxSize: from("binlog-max-size", Integer),
  /** Whether the server refuses new jobs (drain mode). Absent before 1.12. */
  draining: Schema.optionalWith(Flag, { exact: true }),
  /** Sixteen random hexadecimal digits, new for each process: job ids of one process are not valid on another. */
  id: Schema.String,
  hostname: Schema.String,
  /** Absent before 1.12. */
  os: Schema.optionalWith(Schema.String, { exact: true }),
  /** Absent before 1.12. */
  platform: Schema.optionalWith(Schema.String, { exact: true }),
  /** Keys of later servers, as the server wrote them. */
  unknown: unknownKeys
}) {}

/**
 * The part of `stats` that a connection needs, and reads in its first round trip. It requires no other keys, so that old
 * servers, and other servers that implement the protocol, are accepted.
 *
 * @category models
 * @since 0.1.0
 */
export class ServerInfo extends Schema.Class<ServerInfo>("effect-beanstalk/ServerInfo")({
  /** As the server writes it: `1.13`. */
  version: Schema.String,
  /** The id of the server process: if it changes, job ids from before are not valid any more. */
  id: Schema.String,
  /** The largest body the server accepts, in bytes. */
  maxJobSize: from("max-job-size", Schema.compose(Integer, Schema.NonNegative))
}) {}

/**
 * The reply to `stats-tube`. Its counters start when the tube is created: the server deletes a tube, and its counters, when no
 * connection uses or watches it and no job is in it.
 *
 * @category models
 * @since 0.1.0
 */
export class TubeStats extends Schema.Class<TubeStats>("effect-beanstalk/TubeStats")({
  name: TubeName,
  /** Ready jobs with a priority below 1024. */
  currentJobsUrgent: from("current-jobs-urgent", Integer),
  currentJobsReady: from("current-jobs-ready", Integer),
  currentJobsReserved: from("current-jobs-reserved", Integer),
  currentJobsDelayed: from("current-jobs-delayed", Integer),
  currentJobsBuried: from("current-jobs-buried", Integer),
  /** Jobs put into this tube. */
  totalJobs: from("total-jobs", Integer),
  /** Connections that use the tube. */
  currentUsing: from("current-using", Integer),
  /** Connections that watch the tube. */
  currentWatching: from("current-watching", Integer),
  /** Connections that watch the tube and wait in a reserve. */
  currentWaiting: from("current-waiting", Integer),
  /** Jobs of this tube that were deleted. */
  cmdDelete: from("cmd-delete", Integer),
  cmdPauseTube: from("cmd-pause-tube", Integer),
  /** The duration of the pause, in seconds; 0 when the tube is not paused. */
  pause: Integer,
  /** Seconds until the pause is over. */
  pauseTimeLeft: from("pause-time-left", Integer),
  /** Keys of later servers, as the server wrote them. */
  unknown: unknownKeys
}) {}

/**
 * The reply to `stats-job`. Times are whole seconds.
 *
 * **Gotchas**
 *
 * `age` and `timeLeft` can be negative: after the server's clock was set, or when beanstalkd missed the end of a time to run.
 * `delay` keeps its last value after the job has become ready. A job whose body is still being sent has the state `invalid`.
 * `buries` grows by one each time that a server with a binlog is started and finds the job buried.
 *
 * @category models
 * @since 0.1.0
 */
export class JobStats extends Schema.Class<JobStats>("effect-beanstalk/JobStats")({
  id: JobId,
  tube: TubeName,
  state: Schema.Literal("ready", "reserved", "delayed", "buried", "invalid"),
  /** The priority: 0 is the most urgent. */
  pri: Integer,
  /** Seconds since the job was put. */
  age: Integer,
  /** The delay of the put, or of the last release, in seconds. */
  delay: Integer,
  /** The time to run, in seconds. */
  ttr: Integer,
  /** Seconds until the reservation of a reserved job ends, or a delayed job becomes ready; 0 in other states. */
  timeLeft: from("time-left", Integer),
  /** The number of the binlog file that holds the job; 0 without a binlog. */
  file: Integer,
  reserves: Integer,
  timeouts: Integer,
  releases: Integer,
  buries: Integer,
  kicks: Integer,
  /** Keys of later servers, as the server wrote them. */
  unknown: unknownKeys
}) {}
