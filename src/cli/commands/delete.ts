/** `beanstalk delete` */
import * as Effect from "effect/Effect"
import { actById } from "../actById.ts"
import * as Ids from "../ids.ts"
import { unreservedStates } from "../selection/flags.ts"
import * as Command from "../table/command.ts"
import * as Prompt from "../terminal/prompt.ts"

const parameters = { ids: Ids.argument, ...Prompt.flags }

export const command = Command.make({
  name: "delete",
  summary: "Delete jobs by their ids",
  details: ["A job that a worker has reserved cannot be deleted, and counts as not there."],
  servers: "together",
  parameters,
  examples: [
    { run: "delete 8812031 8812444", does: "two jobs" },
    { run: "delete - < ids.txt", does: "the jobs whose ids are in a file" }
  ],
  exits: { 1: "none of the jobs is there" },
  run: Effect.flatMap(Effect.all(parameters), (given) =>
    actById({
      ...given,
      states: unreservedStates,
      verb: "Delete",
      past: "deleted",
      act: (client, ids) => client.deleteAll(ids)
    }))
})
