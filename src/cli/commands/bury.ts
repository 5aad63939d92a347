/** `beanstalk bury` */
import * as Effect from "effect/Effect"
import type { JobToBury } from "../../BeanstalkClient.ts"
import { bulk, exits } from "../bulk.ts"
import { buryJobs } from "../buryJobs.ts"
import { details, flags } from "../selection/flags.ts"
import { select } from "../selection/select.ts"
import { theClient } from "../server/connect.ts"
import * as Command from "../table/command.ts"
import * as Prompt from "../terminal/prompt.ts"
import { tubes } from "../tubeArguments.ts"

const parameters = {
  tubes,
  ...flags(["ready", "delayed"], ["ready"]),
  ...Prompt.flags
}

export const command = Command.make({
  name: "bury",
  summary: "Bury ready or delayed jobs, so that no worker gets them",
  details: [
    "Jobs keep their priority. It asks before it buries more than 1,000. It needs beanstalkd 1.12 or later.",
    details
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "bury emails --match '@example\\.org'", does: "hold back the jobs of one customer" },
    { run: "bury emails --ids-from ids.txt", does: "the jobs whose ids are in a file" }
  ],
  exits,
  run: Effect.gen(function*() {
    const { dryRun, tubes, yes, ...selection } = yield* Effect.all(parameters)
    const client = yield* theClient
    const selected = yield* select(client, tubes, selection, {
      looksUp: true,
      keep: ({ id, pri, state, timeLeft }): JobToBury => ({ id, pri, state, timeLeft })
    })
    yield* bulk({ address: client.address, selected, yes, dryRun }, {
      run: ({ jobs = [] }, onProgress) => buryJobs(client, jobs, onProgress),
      verb: "Bury",
      past: "buried",
      doubt: "Up to 256 more may be buried."
    })
  })
})
