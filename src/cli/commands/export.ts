/** `beanstalk export` */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ListedJobWithBody } from "../../BeanstalkClient.ts"
import type { JobId } from "../../Job.ts"
import { NothingThere, type PipeClosed, type Stopped, type SystemFailed } from "../failures.ts"
import { checkWritable, writerTo } from "../files.ts"
import { bodyRecord, statsRecord } from "../record.ts"
import { findAll, oldestFirst } from "../selection/findAll.ts"
import { allStates, details, flags } from "../selection/flags.ts"
import { notAllFound } from "../selection/notAllFound.ts"
import { theClient } from "../server/connect.ts"
import { matching } from "../server/tubes.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { jsonLines, Output } from "../terminal/output.ts"
import { withProgress } from "../terminal/progress.ts"
import { countedWere, elapsed } from "../terminal/text.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { file } from "../values/text.ts"

const parameters = {
  tubes: tubesOrAll,
  ...flags(allStates),
  output: Flag.optional("output", file, { short: "o", summary: "write to this file [standard output]" })
}

export const command = Command.make({
  name: "export",
  summary: "Write jobs with their bodies as JSON Lines, for beanstalk import",
  details: [
    "The jobs stay. Those of each server are in the order in which they were put, which an import keeps. A reserved job is written as well, and becomes ready " +
    "when it is imported.",
    details
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "export emails -o emails.jsonl", does: "one tube, into a file" },
    { run: "export | beanstalk import -u 10.0.0.6", does: "all jobs, to another server" }
  ],
  exits: { 1: "there are no such jobs", 4: "not all jobs were found; the message says how to look further" },
  run: Effect.gen(function*() {
    const { output, tubes, ...selection } = yield* Effect.all(parameters)
    const { bytes, isTerminal, note } = yield* Output
    const client = yield* theClient
    const names = tubes.length === 0 ? undefined : yield* matching(client, tubes)
    const start = yield* Clock.currentTimeMillis
    if (output !== undefined) yield* checkWritable(output)
    let written = 0
    const found: Array<JobId> = []
    const exceeded = yield* findAll(client, { tubes: names, selection }, ({ id }) => void found.push(id))
    const none = exceeded === undefined
      ? new NothingThere({ message: `there are no such jobs on ${client.address}.` })
      : notAllFound(exceeded)
    // The file is not emptied for nothing.
    if (found.length === 0) return yield* none
    const write: (chunk: Uint8Array) => Effect.Effect<void, PipeClosed | Stopped | SystemFailed> = output === undefined
      ? bytes
      : yield* writerTo(output)
    const ids = Stream.fromIterable(oldestFirst(selection, found))
    yield* withProgress(
      "export",
      ({ done, of }) => {
        of(found.length)
        return client.jobsById(ids, { tube: names, states: selection.states, bodies: true }).pipe(
          Stream.runForEachChunk((jobs) =>
            // What is written is counted, also if it is interrupted meanwhile.
            Effect.uninterruptible(Effect.zipRight(
              jobs.length === 0
                ? Effect.void
                : write(encoder.encode(jsonLines(Chunk.toReadonlyArray(jobs).map(recordOf)))),
              Effect.sync(() => {
                written += jobs.length
                done(written)
              })
            ))
          )
        )
      },
      { isShown: !isTerminal || output !== undefined }
    ).pipe(Effect.onInterrupt(() => note(`Interrupted after ${countedWere(written, "job")} exported.`)))
    if (exceeded !== undefined || written === 0) return yield* none
    const now = yield* Clock.currentTimeMillis
    yield* note(`${countedWere(written, "job")} exported in ${elapsed(Duration.millis(now - start))}.`)
  })
})

const encoder = new TextEncoder()

const recordOf = ({ body, stats }: ListedJobWithBody) => ({ ...statsRecord(stats), ...bodyRecord(body) })
