/** Makes buried or delayed jobs ready. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Client, JobExit } from "../BeanstalkClient.ts"
import { nothing } from "../internal/values/tally.ts"
import type { JobStats } from "../Stats.ts"
import { inBatches, type OnProgress } from "./bulk.ts"
import { tallyOf } from "./tally.ts"

/** How many jobs are kicked at a time. */
const batch = 1000

export type Kicked = Pick<JobStats, "id" | "state">

/** Until so many are kicked, or none is buried. */
export const kickBuried = (client: Client, tube: string, count: number, onProgress: OnProgress) =>
  Effect.iterate({ tally: nothing, isLast: false }, {
    while: ({ isLast, tally }) => !isLast && tally.buried < count,
    body: ({ tally: { buried } }) => {
      const bound = Math.min(batch, count - buried)
      return client.kick(tube, bound).pipe(
        Effect.map((kicked) => ({ tally: { ...nothing, buried: buried + kicked }, isLast: kicked < bound })),
        Effect.tap(({ tally }) => onProgress(tally)),
        Effect.uninterruptible
      )
    }
  }).pipe(Effect.map(({ tally }) => tally))

/** Kicks jobs by their ids. */
export const kickJobs = (client: Client, jobs: ReadonlyArray<Kicked>, onProgress: OnProgress) =>
  inBatches(jobs, batch, onProgress, (some) => kickThese(client, some))

/** Those that are neither buried nor delayed any more are left out. */
const kickThese = (client: Client, jobs: ReadonlyArray<Kicked>) =>
  Effect.map(client.kickAll(jobs.map(({ id }) => id)), (exits) => ({
    done: tallyOf(jobs.filter((_, index) => exits[index]?._tag === "Success")),
    failure: Arr.head(exits.flatMap((exit) => Option.toArray(failureOf(exit))))
  }))

const failureOf = (exit: JobExit) =>
  Option.filter(
    Exit.match(exit, { onSuccess: Option.none, onFailure: Cause.failureOption }),
    ({ _tag }) => _tag !== "JobNotFound"
  )
