/** `beanstalk import` */
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Client } from "../../BeanstalkClient.ts"
import { nothing, type Tally } from "../../internal/values/tally.ts"
import type { JobId } from "../../Job.ts"
import { askIfMany } from "../askIfMany.ts"
import { withLinesUpTo } from "../bounds.ts"
import { NothingThere, SystemFailed } from "../failures.ts"
import { inputOf } from "../input.ts"
import { jobOf, type JobToImport } from "../jobRecord.ts"
import { lines } from "../lines.ts"
import { putLines } from "../putLines.ts"
import { theClient } from "../server/connect.ts"
import { summarizer, tellCounts } from "../summary.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import * as Prompt from "../terminal/prompt.ts"
import { askAbove, confirm } from "../terminal/prompt.ts"
import { thousands } from "../terminal/text.ts"
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
  servers: "together",
  parameters,
  examples: [
    { run: "import jobs.jsonl", does: "every job of a file" },
    { run: "import --dry-run jobs.jsonl", does: "count the jobs of a file by their tubes, and put none" },
    { run: "import --tube emails.test < jobs.jsonl", does: "into a tube for a test" }
  ],
  exits: { 1: "there are no jobs to put", 4: "stopped midway; the message says with which --skip to go on" },
  run: Effect.gen(function*() {
    const { dryRun, file, skip, tube, yes } = yield* Effect.all(parameters)
    const client = yield* theClient
    const summarize = yield* summarizer("put")
    const read = jobsIn(Stream.drop(lines(yield* inputUpTo(client, file)), skip), { skip, tube })
    const tallies = new Map<string, Tally>()
    if (dryRun) {
      yield* Stream.runForEachChunk(read, (jobs) => Effect.sync(() => addTo(tallies, jobs)))
      return yield* tallies.size === 0 ? noJobs : tellCounts(tallies, "put")
    }
    const question = `Put more than ${thousands(askAbove)} jobs${
      tube === undefined ? "" : ` into tube ${tube}`
    } on ${client.address}?`
    const jobs = yes ? read : yield* askedFor(read, confirm(question, { yes }))
    yield* putJobs(client, jobs, { skip, onPut: (jobs) => addTo(tallies, jobs) }).pipe(
      Effect.tapError(() => Effect.ignore(summarize(tallies, "error"))),
      Effect.onInterrupt(() => Effect.ignore(summarize(tallies, "interrupted")))
    )
    yield* tallies.size === 0 ? noJobs : summarize(tallies, null)
  })
})

/** The same jobs, once `ask` has succeeded if there are many. Says why none is put if they do not come at once, as in a pipe. */
const askedFor = <E, R, E2, R2>(jobs: Stream.Stream<JobToImport, E, R>, ask: Effect.Effect<void, E2, R2>) =>
  Effect.gen(function*() {
    const { note } = yield* Output
    const why = note(
      `Nothing is put until the input ends or has more than ${thousands(askAbove)} jobs, before which it asks. ` +
        "With --yes each job is put as it is read."
    )
    const waiting = yield* Effect.forkScoped(Effect.delay(why, "1 second"))
    const asked = yield* askIfMany(jobs, Effect.zipRight(Fiber.interrupt(waiting), ask))
    yield* Fiber.interrupt(waiting)
    return asked
  })

/** Adds jobs to the tallies of their tubes. */
const addTo = (tallies: Map<string, Tally>, jobs: Iterable<JobToImport>): void => {
  for (const { state, tube } of jobs) {
    const before = tallies.get(tube) ?? nothing
    tallies.set(tube, { ...before, [state]: before[state] + 1 })
  }
}

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

/** Puts the jobs, each into its tube, and buries those that are to be buried. */
const putJobs = (
  client: Client,
  jobs: Stream.Stream<JobToImport, SystemFailed>,
  { onPut, skip }: { readonly skip: number; readonly onPut: (jobs: ReadonlyArray<JobToImport>) => void }
) =>
  Effect.flatMap(Output, ({ isTerminal, json }) => {
    // Those that are on their way, in the order in which their ids come.
    const sent: Array<JobToImport> = []
    return putLines({
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
        return Effect.tap(buryThose(client, ids, jobs), () => Effect.sync(() => onPut(jobs)))
      }
    })
  })

/** Buries those that are to be buried. */
const buryThose = (client: Client, ids: ReadonlyArray<JobId>, jobs: ReadonlyArray<JobToImport>) =>
  client.buryAll(
    Arr.zip(ids, jobs)
      .filter(([, { state }]) => state === "buried")
      .map(([id, { delay, priority }]) => ({ id, pri: priority, state: "delayed", timeLeft: delay / 1000 }))
  )
