/** Commands that act on jobs by their ids. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Client } from "../BeanstalkClient.ts"
import { JobNotFound } from "../BeanstalkError.ts"
import type { JobId } from "../Job.ts"
import type { JobStats } from "../Stats.ts"
import { type Failure, NothingThere, Stopped } from "./failures.ts"
import { checkIds, idsOf } from "./ids.ts"
import { clientById } from "./server/connect.ts"
import { whereIfSeveral } from "./server/servers.ts"
import type { Services } from "./table/command.ts"
import { Output } from "./terminal/output.ts"
import { withProgress } from "./terminal/progress.ts"
import { askAbove, confirm } from "./terminal/prompt.ts"
import { counted, countedWere, thousands } from "./terminal/text.ts"

/** How many commands are written at a time: the first window tells whether to ask. */
const window = askAbove + 1

export interface ByIdOptions {
  readonly ids: ReadonlyArray<JobId | "-">
  readonly yes: boolean
  readonly dryRun: boolean
  /** `Delete` */
  readonly verb: string
  /** `deleted` */
  readonly past: string
  /** The states of the jobs that it acts on. */
  readonly states: ReadonlyArray<JobStats["state"]>
  /** Acts on jobs. One that is not there, or in another state, is `JobNotFound`. */
  readonly act: (
    client: Client,
    ids: Iterable<JobId>
  ) => Effect.Effect<ReadonlyArray<Exit.Exit<unknown, Failure>>, Failure>
}

/** Acts on the jobs, many at a time, and says how many there were. Fails if there was none of them. */
export const actById = (
  { act, dryRun, ids, past, states, verb, yes }: ByIdOptions
): Effect.Effect<void, Failure, Services> =>
  Effect.gen(function*() {
    const output = yield* Output
    const client = yield* clientById
    const where = yield* whereIfSeveral
    const ask = confirm(`${verb} more than ${thousands(askAbove)} jobs on ${client.address}?`, { yes })
    const lookAt = (id: JobId) =>
      Effect.filterOrFail(
        client.statsJob(id),
        ({ state }) => states.includes(state),
        () => new JobNotFound({ command: "stats-job", address: client.address, id })
      )
    const look = (ids: Iterable<JobId>) =>
      Effect.forEach(ids, (id) => Effect.exit(lookAt(id)), { concurrency: "unbounded" })
    const exitsOf: (ids: Iterable<JobId>) => ReturnType<typeof act> = dryRun ? look : (ids) => act(client, ids)
    let done = 0
    let missing = 0
    const asks = (count: number) => !dryRun && done + missing === 0 && count > askAbove
    const howMany = () => `${countedWere(done, "job")} ${past}.`
    yield* withProgress(verb, ({ done: show }) =>
      idsOf(ids).pipe(
        Stream.rechunk(window),
        Stream.runForEachChunk((chunk) =>
          Effect.zipRight(
            Effect.zipRight(checkIds(chunk), asks(chunk.length) ? ask : Effect.void),
            Effect.uninterruptible(Effect.flatMap(exitsOf(chunk), (exits) => {
              const [failures, successes] = Arr.partition(exits, Exit.isSuccess)
              const causes = failures.map(({ cause }) => cause)
              const others = causes.filter((cause) => !isMissing(cause))
              done += successes.length
              missing += failures.length - others.length
              show(done)
              return Effect.forEach(others.slice(0, 1), Effect.failCause, { discard: true })
            }))
          )
        )
      )).pipe(
        Effect.onInterrupt(() => done > 0 && !dryRun ? output.note(`Interrupted. ${howMany()}`) : Effect.void),
        Effect.mapError((error) =>
          done > 0 && !dryRun ? new Stopped({ message: `${error.message} ${howMany()}`, cause: error }) : error
        )
      )
    if (done === 0) return yield* new NothingThere({ message: noneOf(missing, client.address) })
    if (output.json) return yield* output.records([{ [dryRun ? "found" : past]: done, missing, ...where.record }])
    const absent = missing === 0 ? "" : ` ${thousands(missing)} ${missing === 1 ? "was" : "were"} not there.`
    yield* output.lines(`${counted(done, "job")} ${dryRun ? "would be " : ""}${past}${where.text}.${absent}`)
  }).pipe(Effect.scoped)

const isMissing = (cause: Cause.Cause<Failure>): boolean =>
  Option.exists(Cause.failureOption(cause), ({ _tag }) => _tag === "JobNotFound")

const noneOf = (count: number, address: string): string => {
  if (count === 0) return "no ids were given."
  return count === 1
    ? `there is no such job on ${address}.`
    : `none of these ${thousands(count)} jobs is on ${address}.`
}
