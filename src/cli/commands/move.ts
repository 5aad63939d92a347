/** `beanstalk move` */
import * as Effect from "effect/Effect"
import { bulk, exits } from "../bulk.ts"
import { WrongUsage } from "../failures.ts"
import { details, flags, unreservedStates } from "../selection/flags.ts"
import { isById, select } from "../selection/select.ts"
import { theClient } from "../server/connect.ts"
import * as Server from "../server/server.ts"
import { Servers } from "../server/servers.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import * as Globals from "../table/globals.ts"
import * as Prompt from "../terminal/prompt.ts"
import { serverUrl } from "../values/serverUrl.ts"
import { tube } from "../values/text.ts"
import { named } from "../values/tubePattern.ts"

const parameters = {
  from: Argument.one(tube, { name: "FROM", summary: "the tube whose jobs are moved" }),
  moveTo: Argument.optional(tube, {
    name: "TO",
    summary: "the tube that they are moved to, which need not exist [with --to-url: one of the same name]"
  }),
  toUrl: Flag.optional("to-url", serverUrl, { summary: "the server that they are moved to [the same]" }),
  ...flags(unreservedStates),
  ...Prompt.flags
}

export const command = Command.make({
  name: "move",
  summary: "Move the jobs of a tube to another, on the same server or on another",
  details: [
    "Jobs keep their priority, their time to run, what is left of their delay, and their state; they get new ids. Each is copied before " +
    "it is deleted. Reserved jobs stay. A pause of the tube is not moved. Without --to-url a job stays on its server. It asks before it moves more than 1,000 jobs.",
    details
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "move emails emails.aside --state buried", does: "put failed jobs aside" },
    { run: "move emails --to-url 10.0.0.6:11300", does: "move a tube to another server, while workers go on" }
  ],
  exits,
  run: Effect.gen(function*() {
    const { dryRun, from, moveTo, toUrl, yes, ...selection } = yield* Effect.all(parameters)
    if (moveTo === undefined && toUrl === undefined) {
      return yield* new WrongUsage({ message: "TO is missing: name the tube, or with --to-url another server." })
    }
    const into = moveTo ?? from
    const target = toUrl === undefined ? undefined : yield* targetAt(toUrl, { from, into })
    const client = yield* theClient
    const selected = yield* select(client, [named(from)], selection, {
      looksUp: isById(selection),
      keep: ({ id }) => id
    })
    const { states } = selection
    yield* bulk({ address: client.address, selected, yes, dryRun }, {
      run: ({ bound, jobs, tube }, onProgress) =>
        client.move(tube, into, { into: target, states, ids: jobs, bound, onProgress }),
      verb: "Move",
      past: "moved",
      to: ` to ${into}${target === undefined ? "" : ` on ${target.address}`}`,
      doubt: "Up to 256 jobs may be in both tubes now."
    })
  })
})

interface Tubes {
  readonly from: string
  readonly into: string
}

/** A client of the server that the jobs are moved to. */
const targetAt = (url: string, { from, into }: Tubes) =>
  Effect.gen(function*() {
    if (url.includes(",")) {
      return yield* new WrongUsage({
        message: "--to-url: give one server, since chance would divide the jobs among several."
      })
    }
    const { address, connect } = yield* Server.make(url, { timeout: yield* Globals.connecting.timeout })
    const servers = yield* Servers
    if (from === into && servers.length > 1 && servers.some((server) => server.address === address)) {
      return yield* new WrongUsage({
        message: `--to-url: the jobs of tube ${into} on ${address} are there already. Leave that server out of --url.`
      })
    }
    return yield* connect
  })
