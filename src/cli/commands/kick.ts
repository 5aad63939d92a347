/** `beanstalk kick` */
import * as Effect from "effect/Effect"
import { total } from "../../internal/values/tally.ts"
import { bulk, exits } from "../bulk.ts"
import { kickBuried, type Kicked, kickJobs } from "../kickJobs.ts"
import { details, flags } from "../selection/flags.ts"
import { isById, select } from "../selection/select.ts"
import { allThere, theClient } from "../server/connect.ts"
import { tellIdle } from "../server/tellIdle.ts"
import * as Command from "../table/command.ts"
import * as Prompt from "../terminal/prompt.ts"
import { tubes } from "../tubeArguments.ts"

const parameters = {
  tubes,
  ...flags(["buried", "delayed"], ["buried"]),
  ...Prompt.flags
}

export const command = Command.make({
  name: "kick",
  summary: "Make buried or delayed jobs of tubes ready, so that workers try them again",
  details: [
    "Buried jobs are kicked in the order in which they were buried, up to --limit; no job is looked up then. It asks before it kicks more " +
    "than 1,000 jobs.",
    details
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "kick emails --limit 10", does: "give ten jobs to the workers again, to see whether they succeed" },
    {
      run: "kick emails --match '\"user\":42' --newer-than 2d",
      does: "those of one customer that were put since the day before yesterday"
    }
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
          // A cluster kicks on the servers that are there.
          ? Effect.zipLeft(kickBuried(client, tube, total(count), onProgress), allThere)
          : kickJobs(client, jobs, onProgress),
      verb: "Kick",
      past: "kicked",
      doubt: "Up to 1,000 more may be kicked."
    })
    if (!dryRun) yield* tellIdle(client, selected.parts.map(({ tube }) => tube))
  })
})
