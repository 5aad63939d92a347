/** `beanstalk purge` */
import * as Effect from "effect/Effect"
import { bulk, exits } from "../bulk.ts"
import { details, flags, unreservedStates } from "../selection/flags.ts"
import { isById, select } from "../selection/select.ts"
import { theClient } from "../server/connect.ts"
import * as Command from "../table/command.ts"
import * as Prompt from "../terminal/prompt.ts"
import { tubes } from "../tubeArguments.ts"

const parameters = {
  tubes,
  ...flags(unreservedStates),
  ...Prompt.flags
}

export const command = Command.make({
  name: "purge",
  summary: "Delete the jobs of tubes",
  details: [
    "It always asks. Reserved jobs stay. With --match, --older-than, --newer-than or --ids-from jobs are deleted by their ids, and no other job is touched.",
    details
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "purge emails --state buried", does: "the buried jobs of one tube" },
    { run: "purge 'images.*' --older-than 7d --dry-run", does: "count the jobs that are older than a week" }
  ],
  exits,
  run: Effect.gen(function*() {
    const { dryRun, tubes, yes, ...selection } = yield* Effect.all(parameters)
    const client = yield* theClient
    const selected = yield* select(client, tubes, selection, { looksUp: isById(selection), keep: ({ id }) => id })
    const { states } = selection
    yield* bulk({ address: client.address, selected, yes, dryRun }, {
      run: ({ bound, jobs, tube }, onProgress) => client.purge(tube, { states, ids: jobs, bound, onProgress }),
      verb: "Delete",
      past: "deleted",
      alwaysAsks: true
    })
  })
})
