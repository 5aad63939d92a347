/** `beanstalk import` */
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { Client } from "../../BeanstalkClient.ts"
import { nothing, sum, type Tally } from "../../internal/values/tally.ts"
import type { JobId } from "../../Job.ts"
import { askIfMany } from "../asking.ts"
import { withLinesUpTo } from "../bounds.ts"
import { NothingThere, SystemFailed } from "../failures.ts"
import { inputOf } from "../input.ts"
import { jobOf, type JobToImport } from "../jobRecord.ts"
import { lines } from "../lines.ts"
import { putLines } from "../putting.ts"
import { theClient } from "../server/servers.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { tallyOf, tallyText } from "../tally.ts"
import { Output } from "../terminal/output.ts"
import * as Prompt from "../terminal/prompt.ts"
import { askAbove, confirm } from "../terminal/prompt.ts"
import { elapsed, thousands } from "../terminal/text.ts"
import { count } from "../values/number.ts"
import { file, tube } from "../values/text.ts"

const parameters = {
  file: Argument.optional(file, { summary: "the file, or - [standard input]" }),
  tube: Flag.optional("tube", tube, { summary: "put the jobs into this tube [each into the tube it was in]" }),
  skip: Flag.withDefault("skip", count, { default: "0", summary: "leave out so many lines at the start" }),
  ...Prompt.flags
}

export const command = Command.make({
  name: "import",
  summary: "Put the jobs that beanstalk export has written",
  details: [
    "Jobs keep tube, priority, time to run and what was left of their delay. Those that were buried are buried again; until then they are " +
    "delayed for 136 years, so that no worker gets them. What was left of a delay when the job was exported begins when it is put. If it stops, it says with which --skip to go on.",
    "It asks before it puts more than 1,000 jobs, as soon as so many are read. A line needs body or body_base64 and tube; pri, ttr, state and time_left have the usual defaults."
  ],
  servers: "one",
  parameters,
  examples: [
    { run: "import jobs.jsonl", does: "every job of a file" },
    { run: "import --dry-run jobs.jsonl", does: "count the jobs of a file by their tubes, and put none" },
    { run: "import --tube emails.test < jobs.jsonl", does: "into a tube for a test" }
  ],
  exits: { 1: "there are no jobs to put", 4: "stopped midway; the message says with which --skip to go on" },
  run: Effect.gen(function*() {
    const { dryRun, file, skip, tube, yes } = yield* Effect.all(parameters)
    const { isTerminal, json, lines: write, printable, records } = yield* Output
    const client = yield* theClient
    const start = yield* Clock.currentTimeMillis
    const read = jobsIn(Stream.drop(lines(yield* inputUpTo(client, file)), skip), { skip, tube })
    const tallies = new Map<string, Tally>()
    const count = (jobs: ReadonlyArray<JobToImport>) => {
      // `Arr.groupBy` loses the tube `__proto__`.
      for (const tube of new Set(jobs.map((job) => job.tube))) {
        const some = jobs.filter((job) => job.tube === tube)
        tallies.set(tube, sum([tallies.get(tube) ?? nothing, tallyOf(some)]))
      }
    }
    if (dryRun) {
      yield* Stream.runForEachChunk(read, (jobs) => Effect.sync(() => count(Chunk.toReadonlyArray(jobs))))
      if (tallies.size === 0) return yield* noJobs
      const all = Array.from(tallies)
      return yield* json
        ? records(all.map(([tube, tally]) => ({ tube, ...tally })))
        : write(...all.map(([tube, tally]) => `${printable(tube)}: ${tallyText(tally)} would be put.`))
    }
    const summary = (stopped: "interrupted" | "error" | null) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const seconds = (now - start) / 1000
        const all = Array.from(tallies)
        return json
          ? records(all.map(([tube, tally]) => ({ tube, ...tally, seconds, stopped })))
          : write(...all.map(([tube, tally]) =>
            `${printable(tube)}: ${tallyText(tally)} put in ${elapsed(Duration.seconds(seconds))}.`
          ))
      })

    const question = `Put more than ${thousands(askAbove)} jobs${
      tube === undefined ? "" : ` into tube ${tube}`
    } on ${client.address}?`
    const jobs = yes ? read : yield* askIfMany(read, confirm(question, { yes }))
    // Those that are on their way, in the order in which their ids come.
    const sent: Array<JobToImport> = []
    yield* putLines({
      title: "import",
      skip,
      isShown: !isTerminal || json,
      put: (stop) => {
        const noted = Stream.map(Stream.interruptWhen(jobs, stop), (job) => {
          sent.push(job)
          return job
        })
        return client.putAll("default", noted, { window })
      },
      onPut: (ids) => {
        const jobs = sent.splice(0, ids.length)
        return Effect.tap(buryThose(client, ids, jobs), () => Effect.sync(() => count(jobs)))
      }
    }).pipe(
      Effect.tapError(() => Effect.ignore(summary("error"))),
      Effect.onInterrupt(() => Effect.ignore(summary("interrupted")))
    )
    if (tallies.size === 0) return yield* noJobs
    yield* summary(null)
  })
})

const noJobs = new NothingThere({ message: "there are no jobs to put." })

/** What stands around a body in a line, and what of it JSON may write as six characters. */
const longestLine = (maxJobSize: number) => 6 * maxJobSize + 64 * 1024

const inputUpTo = (client: Client, file: string | undefined) =>
  Effect.gen(function*() {
    const { maxJobSize } = yield* client.stats
    const most = longestLine(maxJobSize)
    const exceeded = new SystemFailed({
      message: `a line of more than ${thousands(most)} bytes is no job that beanstalkd at ${client.address} accepts.`
    })
    return withLinesUpTo({ most, exceeded })(yield* inputOf(file))
  })

/** As many again are sent while those are buried: if the connection is lost meanwhile, both are put twice by who goes on. */
const window = 512

interface Reading {
  readonly skip: number
  readonly tube: string | undefined
}

/**
 * The jobs of the lines. Fails at a line that is none, before those that were read with it. No Effect runs for each: with one for
 * each, an import took half as long again.
 */
const jobsIn = <E>(input: Stream.Stream<Uint8Array, E>, { skip, tube }: Reading) => {
  let before = skip
  return Stream.mapChunksEffect(input, (chunk) => {
    const jobs: Array<JobToImport> = []
    for (const text of Chunk.toReadonlyArray(chunk)) {
      const job = jobOf(text, tube)
      if (Either.isLeft(job)) {
        const line = thousands(before + jobs.length + 1)
        return new SystemFailed({ message: `line ${line} is no record of a job: ${job.left}.` })
      }
      jobs.push(job.right)
    }
    before += jobs.length
    return Effect.succeed(Chunk.unsafeFromArray(jobs))
  })
}

/** Buries those that are to be buried. */
const buryThose = (client: Client, ids: ReadonlyArray<JobId>, jobs: ReadonlyArray<JobToImport>) =>
  client.buryAll(
    Arr.zip(ids, jobs)
      .filter(([, { state }]) => state === "buried")
      .map(([id, { delay, priority }]) => ({ id, pri: priority, state: "delayed", timeLeft: delay / 1000 }))
  )
