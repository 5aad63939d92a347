/**
 * Reads the bodies of `OK` replies: statistics, and lists of tubes.
 *
 * They are read line by line, because YAML would misread some of them: see `Stats`.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isJobId, isTubeName, type TubeName } from "../../Job.ts"
import { JobStats, ServerInfo, ServerStats, TubeStats } from "../../Stats.ts"

/** A document that cannot be read. Users get a `ProtocolViolation` with its `line`. */
export class Unreadable {
  /** The line that cannot be read, or the key that is missing. */
  readonly line: string

  constructor(line: string) {
    this.line = line.slice(0, 120)
  }
}

const decoder = new TextDecoder()

/** The lines of a document, without its `---` header and its final line feed. */
const lines = (document: Uint8Array): ReadonlyArray<string> | Unreadable => {
  const text = decoder.decode(document)
  if (text === "---\n") return []
  if (!text.startsWith("---\n") || !text.endsWith("\n")) return new Unreadable(text.split("\n", 1)[0]!)
  return text.slice(4, -1).split("\n")
}

const unquoted = (value: string) =>
  value.length >= 2 && value.startsWith("\"") && value.endsWith("\"") ? value.slice(1, -1) : value

/** `current-jobs-ready` for `currentJobsReady`. */
const wireName = (field: string) => field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** Reads a document of `key: value` lines. */
const readerOf = <A, I>(stats: Schema.Schema<A, I> & { readonly fields: object }) => {
  const known = new Set(Object.keys(stats.fields).filter((field) => field !== "unknown").map(wireName))
  const decode = Schema.decodeUnknownEither(stats)
  return (document: Uint8Array): A | Unreadable => {
    const entries = lines(document)
    if (entries instanceof Unreadable) return entries
    const record: Record<string, unknown> = Object.create(null)
    const unknown: Record<string, string> = Object.create(null)
    for (const line of entries) {
      const colon = line.indexOf(": ")
      const key = line.slice(0, colon)
      if (colon < 1 || key in record || key in unknown) return new Unreadable(line)
      ;(known.has(key) ? record : unknown)[key] = unquoted(line.slice(colon + 2))
    }
    record["unknown"] = unknown
    return Either.getOrElse(decode(record), (error) => {
      const issue = ParseResult.ArrayFormatter.formatErrorSync(error)[0]
      const key = String(issue?.path[0])
      return new Unreadable(key in record ? `${key}: ${String(record[key])}` : `${key}: (missing)`)
    })
  }
}

/** Reads the reply to `stats`. */
export const readServerStats: (document: Uint8Array) => ServerStats | Unreadable = readerOf(ServerStats)

/** Reads the keys that a connection needs from the reply to `stats`. */
export const readServerInfo: (document: Uint8Array) => ServerInfo | Unreadable = readerOf(ServerInfo)

const number = (key: string) => `${key}: (-?\\d{1,20})\n`

const tubeNumbers = [
  "current-jobs-urgent",
  "current-jobs-ready",
  "current-jobs-reserved",
  "current-jobs-delayed",
  "current-jobs-buried",
  "total-jobs",
  "current-using",
  "current-watching",
  "current-waiting",
  "cmd-delete",
  "cmd-pause-tube",
  "pause",
  "pause-time-left"
]

/** The document of `stats-tube`, as beanstalkd 1.12 and 1.13 write it. */
const tubeDocument = new RegExp(`^---\nname: ("?)(.*)\\1\n${tubeNumbers.map(number).join("")}$`)

/** Reads the document with one regular expression, in a fifth of the time: thousands of tubes may be watched. */
const readPlainTubeStats = (document: Uint8Array): TubeStats | undefined => {
  const [, , name = "", ...digits] = tubeDocument.exec(decoder.decode(document)) ?? []
  if (!isTubeName(name)) return undefined
  const [currentJobsUrgent = 0, currentJobsReady = 0, currentJobsReserved = 0, ...others] = digits.map(Number)
  const [currentJobsDelayed = 0, currentJobsBuried = 0, totalJobs = 0, currentUsing = 0, ...rest] = others
  const [currentWatching = 0, currentWaiting = 0, cmdDelete = 0, cmdPauseTube = 0, pause = 0, pauseTimeLeft = 0] = rest
  const jobs = { currentJobsUrgent, currentJobsReady, currentJobsReserved, currentJobsDelayed, currentJobsBuried }
  const connections = { currentUsing, currentWatching, currentWaiting }
  const commands = { totalJobs, cmdDelete, cmdPauseTube, pause, pauseTimeLeft }
  return new TubeStats({ name, ...jobs, ...connections, ...commands, unknown: {} }, true)
}

const readAnyTubeStats = readerOf(TubeStats)

/** Reads the reply to `stats-tube`. */
export const readTubeStats = (document: Uint8Array): TubeStats | Unreadable =>
  readPlainTubeStats(document) ?? readAnyTubeStats(document)

const jobNumbers = [
  "pri",
  "age",
  "delay",
  "ttr",
  "time-left",
  "file",
  "reserves",
  "timeouts",
  "releases",
  "buries",
  "kicks"
]

/** The document of `stats-job`, as beanstalkd 1.12 and 1.13 write it. */
const jobDocument = new RegExp(
  `^---\nid: (\\d{1,20})\ntube: ("?)(.*)\\2\nstate: (\\w+)\n${jobNumbers.map(number).join("")}$`
)

const isJobState = Schema.is(JobStats.fields.state)

/** Reads the document with one regular expression, in a third of the time: `move` reads one for each of its jobs. */
const readPlainJobStats = (document: Uint8Array): JobStats | undefined => {
  const [, id = "", , tube = "", state, ...digits] = jobDocument.exec(decoder.decode(document)) ?? []
  if (!isJobId(id) || !isTubeName(tube) || !isJobState(state)) return undefined
  const [pri = 0, age = 0, delay = 0, ttr = 0, timeLeft = 0, file = 0, ...counters] = digits.map(Number)
  const [reserves = 0, timeouts = 0, releases = 0, buries = 0, kicks = 0] = counters
  const times = { age, delay, ttr, timeLeft }
  const counts = { reserves, timeouts, releases, buries, kicks }
  return new JobStats({ id, tube, state, pri, ...times, file, ...counts, unknown: {} }, true)
}

const readAnyJobStats = readerOf(JobStats)

/** Reads the reply to `stats-job`. */
export const readJobStats = (document: Uint8Array): JobStats | Unreadable =>
  readPlainJobStats(document) ?? readAnyJobStats(document)

const LF = 10

/** Reads the reply to `list-tubes` and `list-tubes-watched`. All names together may be too long for one string. */
export const readTubeNames = (document: Uint8Array): ReadonlyArray<TubeName> | Unreadable => {
  const firstEnd = document.indexOf(LF)
  const header = decoder.decode(document.subarray(0, firstEnd === -1 ? document.length : firstEnd))
  if (header !== "---" || document.at(-1) !== LF) return new Unreadable(header)
  const names: Array<TubeName> = []
  for (let start = firstEnd + 1; start < document.length;) {
    const end = document.indexOf(LF, start)
    const line = decoder.decode(document.subarray(start, end))
    const name = line.slice(2)
    if (!line.startsWith("- ") || !isTubeName(name)) return new Unreadable(line)
    names.push(name)
    start = end + 1
  }
  return names
}
