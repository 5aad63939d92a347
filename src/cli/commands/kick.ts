/** `beanstalk kick` */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Client, JobExit } from "../../BeanstalkClient.ts"
import type { JobStats } from "../../Stats.ts"
import { bulk, exits, inBatches, type OnProgress } from "../bulk.ts"
import { details, flags } from "../selection/flags.ts"
import { isById, select } from "../selection/select.ts"
import { theClient } from "../server/servers.ts"
import * as Command from "../table/command.ts"
import { nothing, tallyOf, total } from "../tally.ts"
import * as Prompt from "../terminal/prompt.ts"
import { tubes } from "../tubeArguments.ts"

const parameters = {
  tubes,
  ...flags(["buried", "delayed"], ["buried"]),
  ...Prompt.flags
}

export const command = Command.make({
  name: "kick",
  summary: "Make buried or delayed jobs of tubes ready",
  details: [
    "Buried jobs are kicked in the order in which they were buried, up to --limit; no job is looked up then. It asks before it kicks more " +
    "than 1,000 jobs.",
    details
  ],
  servers: "one",
  parameters,
  examples: [
    { run: "kick emails --limit 10", does: "give ten jobs to the workers again, to see whether they succeed" },
    { run: "kick emails --match '\"user\":42'", does: "those of one customer" }
  ],
  exits,
  run: Effect.gen(function*() {
    const { dryRun, tubes, yes, ...selection } = yield* Effect.all(parameters)
    const client = yield* theClient
    const selected = yield* select(client, tubes, selection, {
      // The server kicks delayed jobs only if none is buried.
      looksUp: isById(selection) || selection.states.includes("delayed"),
      keep: ({ id, state }): Kicked => ({ id, state })
    })
    yield* bulk({ address: client.address, selected, yes, dryRun }, {
      run: ({ count, jobs, tube }, onProgress) =>
        jobs === undefined
          ? kickBuried(client, tube, total(count), onProgress)
          : inBatches(jobs, batch, onProgress, (some) => kickThese(client, some)),
      verb: "Kick",
      past: "kicked",
      doubt: "Up to 1,000 more may be kicked."
    })
  })
})

/** How many jobs are kicked at a time. */
const batch = 1000

type Kicked = Pick<JobStats, "id" | "state">

/** Until so many are kicked, or none is buried. */
const kickBuried = (client: Client, tube: string, count: number, onProgress: OnProgress) =>
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
