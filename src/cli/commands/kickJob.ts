/** `beanstalk kick-job` */
import * as Effect from "effect/Effect"
import { actById } from "../actById.ts"
import * as Ids from "../ids.ts"
import * as Command from "../table/command.ts"
import * as Prompt from "../terminal/prompt.ts"

const parameters = { ids: Ids.argument, ...Prompt.flags }

export const command = Command.make({
  name: "kick-job",
  summary: "Make buried or delayed jobs ready, by their ids",
  details: ["A job that is neither buried nor delayed counts as not there."],
  servers: "together",
  parameters,
  examples: [{ run: "kick-job 8812031", does: "give one job to the workers again" }],
  exits: { 1: "none of the jobs is there, and buried or delayed" },
  run: Effect.flatMap(Effect.all(parameters), (given) =>
    actById({
      ...given,
      states: ["buried", "delayed"],
      verb: "Kick",
      past: "kicked",
      act: (client, ids) => client.kickAll(ids)
    }))
})
