/** `beanstalk metrics` */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { type Family, recordsOf, textOf } from "../metrics/family.ts"
import * as GoneTubes from "../metrics/goneTubes.ts"
import { rule } from "../metrics/relabel.ts"
import { look, type Selection } from "../metrics/round.ts"
import { up } from "../metrics/serverFamilies.ts"
import type { Server } from "../server/server.ts"
import { theServer } from "../server/servers.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import * as Globals from "../table/globals.ts"
import { Output } from "../terminal/output.ts"
import { listenAddress } from "../values/listenAddress.ts"
import { positiveCount } from "../values/number.ts"
import { tubePattern } from "../values/tubePattern.ts"

const parameters = {
  listen: Flag.optional("listen", listenAddress, {
    summary: "serve them for Prometheus until it is interrupted; a port alone is on 127.0.0.1"
  }),
  tubes: Flag.repeated("tubes", tubePattern, {
    default: "*",
    metavar: "GLOB",
    summary: "only tubes with these names, or that match, repeated or with commas"
  }),
  noTubes: Flag.on("no-tubes", { summary: "only the server" }),
  maxTubes: Flag.withDefault("max-tubes", positiveCount, {
    default: "1000",
    summary:
      "how many tubes, or labels of tubes, have metrics: the first by name; beanstalkd_tubes_left_out counts the others"
  }),
  relabel: Flag.each("relabel", rule, {
    summary: "rename tubes, so that many have one label: 's/-\\d+$/-x/'; $1 is the first group"
  })
}

export const command = Command.make({
  name: "metrics",
  summary: "Write the metrics of the server and its tubes for Prometheus, or serve them",
  details: [
    "With --listen it serves /metrics, about the server of --url; /probe?target=HOST:PORT, about any other server; and /healthz, which " +
    "says that the program runs. Scrapes that arrive while a server is being asked, or within as long again afterwards, get the same " +
    "answer. /probe connects to whatever address it is asked for, and there is no login: listen where only Prometheus can connect.",
    "If the server does not answer, beanstalkd_up is 0, and --verbose logs why. A tube that is gone has no metrics any more. The numbers of tubes with one label " +
    "are added up; of their pauses and ages the longest is told."
  ],
  servers: { onlyOne: "a scrape is of one server. With --listen, /probe?target=URL has the metrics of others" },
  parameters,
  examples: [
    { run: "metrics", does: "once, as for the textfile collector" },
    { run: "metrics --listen 127.0.0.1:11380", does: "for Prometheus" },
    { run: "metrics --listen 11380 --relabel 's/^user-\\d+/user/'", does: "one series for the tubes of all users" }
  ],
  exits: { 2: "wrong usage, or it cannot listen there" },
  run: Effect.gen(function*() {
    const { listen, ...selection } = yield* Effect.all(parameters)
    const { json, lines, records } = yield* Output
    const server = yield* theServer
    if (listen === undefined) return yield* once(server, selection)
    const { exporter } = yield* Effect.promise(() => import("../metrics/exporter.ts"))
    const timeout = yield* Globals.connecting.timeout
    const url = yield* exporter({ ...selection, listen, server, timeout })
    yield* json
      ? records([{ pid: process.pid, url }])
      : lines(`Process ${process.pid} serves the metrics of ${server.address} at ${url}/metrics.`)
    return yield* Effect.never
  })
})

/** Writes that the server does not answer as well, before it fails. */
const once = (server: Server, selection: Selection) =>
  Effect.gen(function*() {
    const memory = yield* Ref.make(GoneTubes.empty)
    yield* Effect.flatMap(server.connect, (client) => look(client, selection, memory)).pipe(
      Effect.tapError(() => write([up(false)])),
      Effect.flatMap(write)
    )
  })

const write = (families: ReadonlyArray<Family>) =>
  Effect.flatMap(
    Output,
    ({ json, lines, printableLines, records }) =>
      json ? records(recordsOf(families)) : lines(printableLines(textOf(families).trimEnd()))
  )
