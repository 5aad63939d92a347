/**
 * The server's statistics, typed key by key.
 *
 * beanstalkd calls them YAML. They are not: 1.12 leaves `os: #1 SMP …` bare, which YAML reads as a comment, and a tube
 * called `123` or an id like `12e4567890123456` turns into a number. They are read here line by line instead, each
 * key with its own type.
 *
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

/** Keys this edition does not know yet, as the server wrote them. */
const unknownKeys = Schema.Record({ key: Schema.String, value: Schema.String })

/**
 * What `stats` tells of the whole server: gauges (`current…`) of this moment, and counters (`cmd…`, `total…`) since the
 * server started.
 *
 * **Details**
 *
 * Every key of beanstalkd 1.12 and 1.13 is here; a key of a later server is kept in `unknown`. There are no counters for
 * `kick-job`, `reserve-job` and `quit`. "Urgent" means a priority below 1024.
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
  /** How often a job was taken back because its time to run was over. */
  jobTimeouts: from("job-timeouts", Integer),
  /** Jobs accepted since the server started. */
  totalJobs: from("total-jobs", Integer),
  /** The largest body the server accepts, in bytes (its `-z` option). */
  maxJobSize: from("max-job-size", Integer),
  currentTubes: from("current-tubes", Integer),
  currentConnections: from("current-connections", Integer),
  /** Open connections that have put a job. */
  currentProducers: from("current-producers", Integer),
  /** Open connections that have asked for a job. */
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
  /** Whether the server refuses new jobs (drain mode). Absent before 1.12, which does not tell. */
  draining: Schema.optionalWith(Flag, { exact: true }),
  /** Sixteen hexadecimal digits drawn when the server started: another id is another process, with ids of its own. */
  id: Schema.String,
  hostname: Schema.String,
  /** Absent before 1.12. */
  os: Schema.optionalWith(Schema.String, { exact: true }),
  /** Absent before 1.12. */
  platform: Schema.optionalWith(Schema.String, { exact: true }),
  /** Keys of a later server, as it wrote them. */
  unknown: unknownKeys
}) {}

/**
 * What a connection needs to know of its server, and reads from its statistics in the first round trip. Other keys may be
 * there or not: an old server, or another that speaks the protocol, will do.
 *
 * @category models
 * @since 0.1.0
 */
export class ServerInfo extends Schema.Class<ServerInfo>("effect-beanstalk/ServerInfo")({
  /** As the server spells it: `1.13`. */
  version: Schema.String,
  /** Another id at the same address is another process, whose job ids have nothing to do with the ones before. */
  id: Schema.String,
  /** The largest body the server accepts, in bytes. */
  maxJobSize: from("max-job-size", Schema.compose(Integer, Schema.NonNegative))
}) {}

/**
 * What `stats-tube` tells of one tube, since the tube came into being: a tube that nobody uses, watches or has a job in
 * disappears, and its counters with it.
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
  /** Jobs accepted into this tube. */
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
  /** How long the tube was told to pause, in seconds; 0 when it is not paused. */
  pause: Integer,
  /** Seconds until the pause is over. */
  pauseTimeLeft: from("pause-time-left", Integer),
  /** Keys of a later server, as it wrote them. */
  unknown: unknownKeys
}) {}

/**
 * What `stats-job` tells of one job. Times are whole seconds.
 *
 * **Gotchas**
 *
 * `age` and `timeLeft` can be negative (a clock that was set, a time to run that beanstalkd forgot to end). `delay` keeps
 * its last value after the job has become ready. A job that is still being uploaded has the state `invalid`.
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
  /** The delay it was put, or last released, with, in seconds. */
  delay: Integer,
  /** The time to run, in seconds. */
  ttr: Integer,
  /** Seconds until a reserved job is taken back, or a delayed one becomes ready; 0 in other states. */
  timeLeft: from("time-left", Integer),
  /** The number of the binlog file that holds the job; 0 without a binlog. */
  file: Integer,
  reserves: Integer,
  timeouts: Integer,
  releases: Integer,
  buries: Integer,
  kicks: Integer,
  /** Keys of a later server, as it wrote them. */
  unknown: unknownKeys
}) {}
