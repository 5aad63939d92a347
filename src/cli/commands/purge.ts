/** `beanstalk purge` */
import * as Effect from "effect/Effect"
import { bulk } from "../bulk.ts"
import { details, flags, unreservedStates } from "../selection/flags.ts"
import * as Select from "../selection/select.ts"
import { theClient } from "../server/servers.ts"
import { matching } from "../server/tubes.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Prompt from "../terminal/prompt.ts"
import { tubePattern } from "../values/tubePattern.ts"

const parameters = {
  tubes: Argument.many(tubePattern, { atLeast: 1, summary: "the tubes, or patterns like 'images.*'" }),
  ...flags(unreservedStates),
  ...Prompt.flags
}

export const command = Command.make({
  name: "purge",
  summary: "Delete the jobs of tubes",
  details: [
    "It always asks. Reserved jobs stay. With --match, --older-than or --ids-from jobs are deleted by their ids, and no other job is touched.",
    details
  ],
  servers: "one",
  parameters,
  examples: [
    { run: "purge emails --state buried", does: "the buried jobs of one tube" },
    { run: "purge 'images.*' --older-than 7d --dry-run", does: "count the jobs that are older than a week" }
  ],
  exits: { 1: "there are no such jobs", 4: "stopped midway, or not all jobs were found" },
  run: Effect.gen(function*() {
    const { dryRun, tubes, yes, ...selection } = yield* Effect.all(parameters)
    const client = yield* theClient
    const names = yield* matching(client, tubes)
    const { exceeded, selected } = yield* Select.isById(selection)
      ? Select.lookUp(client, names, selection, ({ id }) => id)
      : Select.count(client, names, selection)
    const { limit, states } = selection
    yield* bulk({
      parts: selected.map(({ count, jobs, tube }) => ({
        tube,
        count,
        act: (onProgress) => client.purge(tube, { states, ids: jobs, bound: Select.bound(count, limit), onProgress })
      })),
      verb: "Delete",
      past: "deleted",
      address: client.address,
      alwaysAsks: true,
      yes,
      dryRun,
      exceeded,
      none: Select.none(names, client.address, selection)
    })
  })
})
