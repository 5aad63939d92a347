/** `beanstalk resume` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { pauseAll } from "../pauseAll.ts"
import * as Command from "../table/command.ts"
import { tubes } from "../tubeArguments.ts"

const parameters = {
  tubes
}

export const command = Command.make({
  name: "resume",
  summary: "End the pause of tubes",
  servers: "together",
  parameters,
  examples: [{ run: "resume 'images.*'", does: "let workers have jobs again" }],
  run: Effect.flatMap(Effect.all(parameters), ({ tubes }) => pauseAll(tubes, Duration.zero, "resumed"))
})
