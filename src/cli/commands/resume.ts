/** `beanstalk resume` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { pauseAll } from "../pausing.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import { tubePattern } from "../values/tubePattern.ts"

const parameters = {
  tubes: Argument.many(tubePattern, { atLeast: 1, summary: "the tubes, or patterns like 'images.*'" })
}

export const command = Command.make({
  name: "resume",
  summary: "End the pause of tubes",
  servers: "one",
  parameters,
  examples: [{ run: "resume 'images.*'", does: "let workers have jobs again" }],
  run: Effect.flatMap(Effect.all(parameters), ({ tubes }) => pauseAll(tubes, Duration.zero, "resumed"))
})
