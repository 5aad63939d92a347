/** Reads jobs: those of a tube as they are found, and one of them again and again. */
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Client, JobsError, ListedJobWithBody, SearchProgress } from "../../BeanstalkClient.ts"
import type { JobId } from "../../Job.ts"
import { bodyLines, bodyPreview } from "../body.ts"
import { notAllFoundText } from "../selection/notAllFound.ts"
import { escapeControls, escapeControlsInLines } from "../terminal/escape.ts"
import { type JobList, type JobRow, statesOf } from "./jobList.ts"
import type { Message, ReadJob } from "./model.ts"

export interface Reader {
  readonly client: Client
  readonly tell: (message: Message) => Effect.Effect<void>
}

/** As wide as a screen may be. */
const previewColumns = 500

const rowOf = ({ body, stats }: ListedJobWithBody): JobRow => ({
  stats,
  preview: bodyPreview(body, { columns: () => previewColumns, printable: escapeControls }),
  size: body.length
})

export interface SearchOptions {
  readonly jobs: JobList
  /** Waits until more jobs are wanted than these, of which the screen knows by then. */
  readonly isWanted: (found: number) => Effect.Effect<void>
}

/** Looks for the jobs of a list, newest first, as far as they are wanted. */
export const search = (
  { client, tell }: Reader,
  { isWanted, jobs: { search, shown, tube } }: SearchOptions
): Effect.Effect<void> => {
  const states = statesOf(shown)
  const onProgress = (progress: SearchProgress) => tell({ _tag: "Searched", search, progress })
  return client.jobs({ tube, states, bodies: true, onProgress }).pipe(
    Stream.chunks,
    Stream.runFoldEffect(0, (before, jobs) => {
      const found = before + jobs.length
      return tell({ _tag: "JobsFound", search, jobs: Chunk.toReadonlyArray(jobs).map(rowOf) }).pipe(
        Effect.zipRight(isWanted(found)),
        Effect.as(found)
      )
    }),
    Effect.matchEffect({
      onSuccess: () => tell({ _tag: "SearchEnded", search, failure: undefined }),
      onFailure: (error) => tell({ _tag: "SearchEnded", search, failure: failureText(error) })
    })
  )
}

const failureText = (error: JobsError): string => {
  switch (error._tag) {
    case "ReachExceeded":
      return notAllFoundText(error).replace(/; look further.*/, ".")
    case "Draining":
      return "The server is in drain mode, and refuses the put that tells the newest id: beanstalk jobs --to ID begins at an id."
    default:
      return error.message
  }
}

/** A larger body is cut: it would take too long to look at. */
const largestShown = 65_536

const partText = `(The first ${largestShown} bytes. beanstalk job --raw writes all of them.)`

const linesOf = (body: Uint8Array): ReadonlyArray<string> => {
  const isPart = body.length > largestShown
  const text = bodyLines(isPart ? body.subarray(0, largestShown) : body, {
    isTerminal: true,
    printableLines: (text) => escapeControlsInLines(text).replaceAll("\t", "    ")
  })
  return [...text.split("\n"), ...isPart ? ["", partText] : []]
}

/** Reads a job, and its statistics at every pace from then on, until the job is gone. */
export const readJob = (
  { client, tell }: Reader,
  id: JobId,
  pace: Effect.Effect<Duration.Duration>
): Effect.Effect<void> => {
  const stats = client.statsJob(id)
  const first = Effect.all([stats, client.peek(id)], { concurrency: "unbounded" }).pipe(
    Effect.map(([stats, { body }]): ReadJob => ({ stats, size: body.length, body: linesOf(body) })),
    // There is no connection. The screen tells so.
    Effect.retry({ schedule: Schedule.spaced("1 second"), while: ({ _tag }) => _tag !== "JobNotFound" })
  )
  const next = (job: ReadJob) =>
    pace.pipe(
      Effect.flatMap((time) => Effect.delay(stats, time)),
      Effect.map((stats): ReadJob => ({ ...job, stats })),
      Effect.catchIf(({ _tag }) => _tag !== "JobNotFound", () => Effect.succeed(job))
    )
  const show = (job: ReadJob) => tell({ _tag: "JobRead", id, job })
  return first.pipe(
    Effect.tap(show),
    Effect.flatMap((job) =>
      Effect.iterate(job, { while: () => true, body: (before) => Effect.tap(next(before), show) })
    ),
    Effect.catchAll(() => tell({ _tag: "JobGone", id })),
    Effect.asVoid
  )
}
