/** `beanstalk top` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { WrongUsage } from "../failures.ts"
import { theServer } from "../server/servers.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { Terminal } from "../terminal/terminal.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { duration } from "../values/duration.ts"
import { matchesAny } from "../values/tubePattern.ts"

const parameters = {
  tubes: tubesOrAll,
  every: Flag.withDefault("every", duration, {
    short: "d",
    default: "1s",
    summary: "how often the tubes on screen are read; with --once, the time for which the rates are counted"
  }),
  once: Flag.on("once", { summary: "write one table and end, as without a terminal" })
}

/** In milliseconds. */
const shortest = 100

export const command = Command.make({
  name: "top",
  summary: "Watch the tubes and their rates, on the whole screen",
  details: [
    "Enter opens a tube, whose jobs are looked for as beanstalk jobs does, and a job with its body; tubes and jobs can be kicked, paused, " +
    "buried, moved and deleted from there. ? shows the keys. It asks before it changes jobs. To find jobs, one with the longest delay is put " +
    "into the tube effect-beanstalk/newest, and deleted.",
    "Tubes that are not on screen are read less often: the server spends less than a tenth of its time on them. The screen tells how often.",
    "Without a terminal, with --once and with --json it reads all tubes twice, --every apart, and writes them with their rates."
  ],
  servers: { onlyOne: "its screen is that of one server" },
  parameters,
  examples: [
    { run: "top", does: "all tubes, those with the most ready jobs first" },
    { run: "top 'images.*' -d 5s", does: "some tubes, read every five seconds" },
    { run: "top --once --json", does: "the rates of all tubes, as JSON Lines" }
  ],
  run: Effect.gen(function*() {
    const { every, once, tubes } = yield* Effect.all(parameters)
    const pace = Duration.toMillis(every)
    if (pace < shortest) return yield* new WrongUsage({ message: `--every: give at least ${shortest}ms.` })
    const { isTerminal, json, note, style } = yield* Output
    const { env, fullScreen, stdin } = yield* Terminal
    const server = yield* theServer
    if (once || json || !isTerminal || !stdin.isTerminal || env["TERM"] === "dumb") {
      const { once } = yield* Effect.promise(() => import("../top/once.ts"))
      return yield* once(yield* server.connect, { tubes, every })
    }
    const { top } = yield* Effect.promise(() => import("../top/top.ts"))
    const client = yield* server.stayConnected
    yield* top({ client, fullScreen, matches: matchesAny(tubes), pace, style, note })
  })
})
