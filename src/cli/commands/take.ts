/** `beanstalk take` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Connection } from "../../BeanstalkConnection.ts"
import type { ConnectionLost } from "../../BeanstalkError.ts"
import { defaultTube, type JobId, type ReservedJob } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import { type Failure, NothingThere, WrongUsage } from "../failures.ts"
import { bodyRecord, statsRecord } from "../record.ts"
import { anyConnections } from "../server/connect.ts"
import { allOf, namedOrMatching } from "../server/tubes.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { countedWere } from "../terminal/text.ts"
import { tubes } from "../tubeArguments.ts"
import { positiveCount } from "../values/number.ts"

const parameters = {
  tubes,
  count: Flag.optional("count", positiveCount, { summary: "take so many jobs at most [1]" }),
  all: Flag.on("all", { summary: "take jobs until none is ready" }),
  follow: Flag.on("follow", { summary: "take jobs, and wait for more, until Ctrl-C" }),
  bury: Flag.on("bury", { summary: "bury the jobs instead of deleting them" }),
  nul: Flag.on("null", { short: "0", summary: "end each body with NUL instead of a line feed" })
}

export const command = Command.make({
  name: "take",
  summary: "Reserve jobs, write their bodies, and delete them",
  details: [
    "A job is deleted once standard output has its body. If that is closed before, or the command is interrupted, the job is ready again.",
    "Of several servers it takes from one after the other, and with --follow from all at once."
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "take emails", does: "the next job" },
    { run: "take emails --all -0 | xargs -0 -n1 send-mail", does: "each job as an argument of a command" }
  ],
  exits: { 1: "no job was ready" },
  run: Effect.gen(function*() {
    const { all, bury, count, follow, nul, tubes } = yield* Effect.all(parameters)
    if ([all, follow, count !== undefined].filter(Boolean).length > 1) {
      return yield* new WrongUsage({ message: "--count, --all and --follow exclude each other." })
    }
    const { note } = yield* Output
    const connections = yield* anyConnections
    const servers = allOf(connections)
    const names = yield* namedOrMatching(servers, tubes)
    const limit = all || follow ? Number.POSITIVE_INFINITY : count ?? 1
    let taken = 0
    const takeFrom = (connection: Connection) =>
      Effect.zipRight(
        watchOnly(connection, names),
        Effect.iterate({ isLast: false, batch: firstBatch }, {
          while: ({ isLast }) => !isLast && taken < limit,
          body: ({ batch }) =>
            reserve(connection, { most: Math.min(batch, limit - taken), waits: follow }).pipe(
              // A job whose body is written is deleted, and counted, also if it is interrupted meanwhile.
              Effect.flatMap((jobs) =>
                Effect.uninterruptible(Effect.map(hand(connection, jobs, { bury, nul }), () => {
                  taken += jobs.length
                  return { isLast: jobs.length === 0 && !follow, batch: batchAfter(jobs) }
                }))
              )
            )
        })
      )
    yield* goingOn(connections, takeFrom, { concurrency: follow ? "unbounded" : 1 }).pipe(
      Effect.onInterrupt(() => note(`Interrupted after ${countedWere(taken, "job")} taken.`))
    )
    if (taken === 0) {
      return yield* new NothingThere({ message: `no job of ${names.join(", ")} on ${servers.address} is ready.` })
    }
  })
})

/** Goes on with the other connections when one is lost. Fails at the end with the last one that was. */
const goingOn = <R>(
  connections: ReadonlyArray<Connection>,
  run: (connection: Connection) => Effect.Effect<unknown, Failure, R>,
  { concurrency }: { readonly concurrency: 1 | "unbounded" }
) =>
  Effect.gen(function*() {
    const { note } = yield* Output
    const lost: Array<ConnectionLost> = []
    yield* Effect.forEach(
      connections,
      (connection) =>
        Effect.catchTag(run(connection), "ConnectionLost", (error) => {
          lost.push(error)
          return lost.length < connections.length
            ? note(`The connection to ${error.address} was lost. Goes on with the other servers.`)
            : Effect.void
        }),
      { concurrency, discard: true }
    )
    const last = lost.at(-1)
    if (last !== undefined) return yield* last
  })

const watchOnly = (connection: Connection, tubes: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    yield* Effect.forEach(tubes, connection.watch, { discard: true })
    if (!tubes.includes(defaultTube)) yield* connection.ignore(defaultTube)
  })

/** How many jobs are reserved in the first write: their bodies may be large. */
const firstBatch = 4

/** How many jobs are reserved in one write at most. */
const largestBatch = 64

/** How many bytes their bodies may have together, if they are as large as those before. */
const batchBytes = 4 * 1024 * 1024

/** With 64 at a time, 40 jobs of 10 MB took 1.2 GB of memory. */
const batchAfter = (jobs: ReadonlyArray<ReservedJob>): number => {
  const bytes = jobs.reduce((sum, { body }) => sum + body.length, 0)
  const most = bytes === 0 ? largestBatch : Math.floor(batchBytes * jobs.length / bytes)
  return Math.max(1, Math.min(largestBatch, most))
}

interface Reserve {
  readonly most: number
  /** Whether to wait for the first. */
  readonly waits: boolean
}

/** Reserves the jobs that are ready. */
const reserve = (connection: Connection, { most, waits }: Reserve) => {
  const ifReady = connection.reserveWithTimeout(0).pipe(
    Effect.asSome,
    // The server says `DEADLINE_SOON` when no job is ready, and one of those that are held runs out of time.
    Effect.catchTags({ TimedOut: () => Effect.succeedNone, DeadlineSoon: () => Effect.succeedNone })
  )
  const first = waits
    ? Effect.catchTag(Effect.asSome(connection.reserve), "DeadlineSoon", () => Effect.succeedNone)
    : ifReady
  const rest = Array.from({ length: most - 1 }, () => ifReady)
  return Effect.map(
    Effect.all([first, ...rest], { concurrency: "unbounded" }),
    (reserved) => reserved.flatMap(Option.toArray)
  )
}

interface Handing {
  readonly bury: boolean
  readonly nul: boolean
}

const encoder = new TextEncoder()

/** Writes the bodies, and deletes the jobs once they are written. */
const hand = (connection: Connection, jobs: ReadonlyArray<ReservedJob>, { bury, nul }: Handing) =>
  Effect.gen(function*() {
    const { bytes, isTerminal, json, note, printableLines, records } = yield* Output
    const needsStats = json || bury
    const stats = yield* needsStats ? statsOf(connection, jobs) : Effect.succeed(new Map<string, JobStats>())
    const end = nul ? "\0" : "\n"
    const text = ({ body }: ReservedJob) =>
      isTerminal
        ? encoder.encode(`${printableLines(Buffer.from(body).toString())}${end}`)
        : Buffer.concat([body, encoder.encode(end)])
    if (jobs.length > 0) {
      const known = (id: JobId) =>
        Option.match(Option.fromNullable(stats.get(id)), { onNone: () => ({ id }), onSome: statsRecord })
      yield* json
        ? records(jobs.map(({ body, id }) => ({ ...known(id), ...bodyRecord(body) })))
        : bytes(Buffer.concat(jobs.map(text)))
    }
    const lost = ({ id }: ReservedJob) =>
      note(`beanstalk: the time to run of job ${id} was over before it was written. It may be taken again.`)
    const settle = (job: ReservedJob) => {
      const { id } = job
      if (!bury) return Effect.catchTag(connection.delete(id), "JobNotFound", () => lost(job))
      const pri = stats.get(id)?.pri
      return pri === undefined ? lost(job) : Effect.catchTag(connection.bury(id, pri), "JobNotFound", () => lost(job))
    }
    yield* Effect.forEach(jobs, settle, { concurrency: "unbounded", discard: true })
  })

/** Of jobs that are still reserved. */
const statsOf = (connection: Connection, jobs: ReadonlyArray<ReservedJob>) =>
  Effect.map(
    Effect.forEach(
      jobs,
      ({ id }) => Effect.catchTag(Effect.asSome(connection.statsJob(id)), "JobNotFound", () => Effect.succeedNone),
      { concurrency: "unbounded" }
    ),
    (found) => new Map(found.flatMap(Option.toArray).map((stats) => [stats.id, stats]))
  )
