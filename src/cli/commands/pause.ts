/** `beanstalk pause` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { pauseAll } from "../pauseAll.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import { timeSpan } from "../terminal/text.ts"
import { tubes } from "../tubeArguments.ts"
import { duration } from "../values/duration.ts"

const parameters = {
  tubes,
  duration: Argument.one(duration, { summary: "for how long: 90 (seconds), 5m, 2h30m" })
}

export const command = Command.make({
  name: "pause",
  summary: "Let tubes give out no jobs for a while",
  details: [
    "Jobs that are reserved go on, and jobs can still be put. The pause ends by itself, or with resume. Of several servers, one " +
    "that does not have the tube is left out."
  ],
  servers: "together",
  parameters,
  examples: [{ run: "pause 'images.*' 10m", does: "while a service that the workers need is down" }],
  run: Effect.flatMap(
    Effect.all(parameters),
    ({ duration, tubes }) =>
      pauseAll(tubes, duration, `paused for ${timeSpan(Math.ceil(Duration.toSeconds(duration)))}`)
  )
})
