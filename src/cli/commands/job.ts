/** `beanstalk job` */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Connection } from "../../BeanstalkConnection.ts"
import type { JobId, PeekedJob } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import { bodyLines, bodyText, decodeBody, type Encoding, encodings } from "../body.ts"
import { NothingThere, Stopped } from "../failures.ts"
import { checkIds } from "../ids.ts"
import { headingOf } from "../jobHeading.ts"
import { bodyRecord, statsRecord } from "../record.ts"
import { lookAtEach } from "../server/look.ts"
import { isOf } from "../server/server.ts"
import { addresses } from "../server/servers.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { choice, jobId } from "../values/text.ts"

const parameters = {
  ids: Argument.many(jobId, { atLeast: 1, summary: "the ids of the jobs" }),
  raw: Flag.on("raw", {
    summary: "write the bodies alone, byte for byte, but with control characters escaped in a terminal"
  }),
  decode: Flag.repeated("decode", choice("ENCODING", encodings), {
    summary: "decode the bodies, in this order, as in base64,gzip,json"
  })
}

export const command = Command.make({
  name: "job",
  summary: "Show the statistics and the body of jobs",
  details: ["In a terminal a body that is JSON is indented. Looking at a job does not reserve it."],
  servers: "together",
  parameters,
  examples: [
    { run: "job 8812031", does: "one job" },
    { run: "job 8812031 --raw --decode base64,gzip > body", does: "its body, as it was before it was encoded" }
  ],
  exits: { 1: "none of the jobs is there" },
  run: Effect.gen(function*() {
    const { decode, ids, raw } = yield* Effect.all(parameters)
    yield* checkIds(ids)
    const output = yield* Output
    let found = 0
    yield* lookAtEach(
      (server) => {
        const own = ids.filter((id) => isOf(server, id))
        return own.length === 0
          ? Effect.succeed([])
          : Effect.flatMap(
            server.open,
            (connection) => Effect.forEach(own, (id) => look(connection, id), { concurrency: 64 })
          )
      },
      (all, isOne) =>
        Effect.gen(function*() {
          for (const { seen, server: { address, url } } of all) {
            const [missing, jobs] = Arr.separate(seen)
            for (const job of jobs) {
              const body = yield* decoded(job, decode)
              const { stats } = job
              if (raw) yield* output.isTerminal ? output.lines(bodyText(body, output)) : output.bytes(body)
              else if (output.json) {
                yield* output.records([{ ...isOne ? {} : { url }, ...statsRecord(stats), ...bodyRecord(body) }])
              } else {
                const heading = headingOf(stats, body.length, isOne ? "" : ` on ${address}`, output)
                yield* output.lines(...found === 0 ? [] : [""], ...heading, "", bodyLines(body, output))
              }
              found += 1
            }
            if (missing.length > 0 && found > 0) {
              yield* output.note(`beanstalk: not on ${address}: ${missing.join(", ")}.`)
            }
          }
        })
    )
    if (found > 0) return
    const none = ids.length === 1 ? `there is no job ${ids[0]}` : `none of these ${ids.length} jobs is`
    return yield* new NothingThere({ message: `${none} on ${yield* addresses("or")}.` })
  })
})

interface Seen {
  readonly stats: JobStats
  readonly job: PeekedJob
}

/** The id if there is no such job. Both commands leave in one write. */
const look = (connection: Connection, id: JobId) =>
  Effect.all({ stats: connection.statsJob(id), job: connection.peek(id) }, { concurrency: "unbounded" }).pipe(
    Effect.map((seen) => Either.right<Seen>(seen)),
    Effect.catchTag("JobNotFound", () => Effect.succeed(Either.left(id)))
  )

const decoded = ({ job }: Seen, encodings: ReadonlyArray<Encoding>) =>
  Either.mapLeft(
    decodeBody(job.body, encodings),
    (wrong) => new Stopped({ message: `the body of job ${job.id} cannot be decoded: ${wrong}.` })
  )
