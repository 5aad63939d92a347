/** What is wrong with the jobs of a server. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client, ListedJob } from "../../BeanstalkClient.ts"
import type { JobId } from "../../Job.ts"
import type { ServerStats } from "../../Stats.ts"
import { withProgress } from "../terminal/progress.ts"
import { counted } from "../terminal/text.ts"
import { type Finding, ok, some } from "./finding.ts"

/** Jobs that something is wrong with. */
export interface Suspects {
  readonly overdue: Chunk.Chunk<JobId>
  readonly tooLarge: Chunk.Chunk<JobId>
  readonly fromTheFuture: Chunk.Chunk<JobId>
}

const none: Suspects = { overdue: Chunk.empty(), tooLarge: Chunk.empty(), fromTheFuture: Chunk.empty() }

/** Looks at all jobs, of these tubes or of the server, at their bodies only where these decide whether a restart keeps them. */
export const diagnoseJobs = (
  client: Client,
  { binlogCurrentIndex, maxJobSize }: ServerStats,
  tubes: ReadonlyArray<string> | undefined
) =>
  Effect.gen(function*() {
    const hasBinlog = binlogCurrentIndex > 0
    const suspects = yield* withProgress("look at ids", ({ done }) =>
      suspectsAmong(
        client.jobs({ tube: tubes, bodies: hasBinlog, onProgress: ({ asked }) => Effect.sync(() => done(asked)) }),
        maxJobSize
      ))
    const overdue = yield* stillOverdue(client, suspects.overdue)
    return findingsOf({ ...suspects, overdue }, hasBinlog ? maxJobSize : undefined)
  })

/** Those of the jobs that something is wrong with. */
export const suspectsAmong = <E>(
  jobs: Stream.Stream<ListedJob, E>,
  maxJobSize: number
): Effect.Effect<Suspects, E> => Stream.runFold(jobs, none, (suspects, job) => including(suspects, job, maxJobSize))

/** What is said of them; of their sizes, if a binlog must keep jobs up to a largest size. */
export const findingsOf = (
  { fromTheFuture, overdue, tooLarge }: Suspects,
  maxSizeInBinlog: number | undefined
): ReadonlyArray<Finding> => [
  forgotten(Chunk.toReadonlyArray(overdue)),
  ...maxSizeInBinlog === undefined ? [] : [lostAtRestart(Chunk.toReadonlyArray(tooLarge), maxSizeInBinlog)],
  clockWasSet(Chunk.toReadonlyArray(fromTheFuture))
]

const including = (suspects: Suspects, { body, stats }: ListedJob, maxJobSize: number): Suspects => {
  const added = (isSuspect: boolean, to: Chunk.Chunk<JobId>) => isSuspect ? Chunk.append(to, stats.id) : to
  return {
    overdue: added(stats.state === "reserved" && stats.timeLeft < 0, suspects.overdue),
    tooLarge: added(body !== undefined && body.length > maxJobSize - 2, suspects.tooLarge),
    fromTheFuture: added(stats.age < 0, suspects.fromTheFuture)
  }
}

/** Those whose time is over in a second look too: the server takes a moment to end a reservation. */
const stillOverdue = (client: Client, ids: Chunk.Chunk<JobId>) =>
  Effect.map(
    Stream.runCollect(
      client.jobsById(Stream.fromChunk(ids), { states: ["reserved"], where: ({ timeLeft }) => timeLeft < 0 })
    ),
    Chunk.map(({ stats }) => stats.id)
  )

const forgotten = (ids: ReadonlyArray<JobId>): Finding =>
  ids.length === 0 ? ok("overdue", "No reservation is past its time.") : {
    name: "overdue",
    severity: "critical",
    text:
      `${
        counted(ids.length, "job")
      } reserved for longer than the time to run, which the server has forgotten to end: ` +
      `${some(ids)}.`,
    advice:
      "Restart the worker that holds them: they are ready again when its connection closes. If none does, a full disk has " +
      "left them in no queue, and a restart of the server with its binlog brings them back.",
    ids
  }

const lostAtRestart = (ids: ReadonlyArray<JobId>, maxJobSize: number): Finding =>
  ids.length === 0 ? ok("too-large", "The binlog keeps every job: none is within 2 bytes of the largest size.") : {
    name: "too-large",
    severity: "critical",
    text:
      `${
        counted(ids.length, "job")
      } within 2 bytes of the largest size, which a restart loses, with all jobs behind them in ` +
      `the same file of the binlog: ${some(ids)}.`,
    advice:
      `Before the next restart, have them done or delete them. Then start the server with -z ${
        maxJobSize + 2
      } at least, and ` +
      "never lower it.",
    ids
  }

const clockWasSet = (ids: ReadonlyArray<JobId>): Finding =>
  ids.length === 0 ? ok("clock", "No job has a negative age.") : {
    name: "clock",
    severity: "warning",
    text: `${counted(ids.length, "job")} with a negative age, put before the clock of the server was set back: ${
      some(ids)
    }.`,
    advice:
      "Delays and times to run that were counted by the clock of before end later by as much. Let the clock be slewed, not set.",
    ids
  }
