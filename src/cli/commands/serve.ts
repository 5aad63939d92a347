/** `beanstalk serve` */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import type { JournalEntry } from "../../EmbeddedServer.ts"
import * as NodeEmbeddedServer from "../../node/NodeEmbeddedServer.ts"
import { SystemFailed } from "../failures.ts"
import { reasonOf } from "../files.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { count, port } from "../values/number.ts"
import { text } from "../values/text.ts"

const parameters = {
  listen: Flag.withDefault("listen", text("ADDRESS"), {
    short: "l",
    default: "127.0.0.1",
    summary: "the address to listen on, or unix:PATH for a socket"
  }),
  port: Flag.withDefault("port", port, { short: "p", default: "11300", summary: "the port; 0 for any that is free" }),
  maxJobSize: Flag.withDefault("max-job-size", count, {
    short: "z",
    default: "65535",
    unit: "bytes",
    summary: "the largest body; 1073741824 at most"
  }),
  events: Flag.on("events", { short: "V", summary: "print what happens to each job" })
}

const largestJob = 1024 ** 3

export const command = Command.make({
  name: "serve",
  summary: "Run a beanstalkd in memory, for tests and development",
  details: [
    "Jobs are not stored on disk. SIGUSR1 puts the server into drain mode. The short flags are those of beanstalkd."
  ],
  servers: "none",
  parameters,
  examples: [{ run: "serve -p 11301 -V", does: "a server whose jobs one can watch" }],
  exits: { 2: "wrong usage, or it cannot listen there" },
  run: Effect.gen(function*() {
    const { events, listen, maxJobSize, port } = yield* Effect.all(parameters)
    const { json, lines, records } = yield* Output
    const [, path] = /^unix:(.+)$/.exec(listen) ?? []
    const server = yield* NodeEmbeddedServer.listen({
      ...path === undefined ? { host: listen, port } : { path },
      maxJobSize: Math.min(maxJobSize, largestJob)
    }).pipe(
      Effect.mapError(({ cause }) => new SystemFailed({ message: `cannot listen on ${listen}: ${reasonOf(cause)}.` }))
    )
    yield* drainOnSignal(server)
    yield* json
      ? records([{ pid: process.pid, url: server.url }])
      : lines(`Process ${process.pid} listens at ${server.url}. Jobs are not stored on disk.`)
    if (!events) return yield* Effect.never
    yield* Stream.runForEach(server.events, (entry) => json ? records([entry]) : lines(lineOf(entry)))
  })
})

/** Puts the server into drain mode when the process receives SIGUSR1. */
const drainOnSignal = (server: NodeEmbeddedServer.Listening) =>
  Effect.gen(function*() {
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const drain = () => void runFork(server.drain)
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("SIGUSR1", drain)),
      () => Effect.sync(() => process.off("SIGUSR1", drain))
    )
  })

const lineOf = ({ at, connection, event, id, state, tube }: JournalEntry) =>
  `${new Date(at).toISOString()} ${tube}: job ${id} ${event}, now ${state}` +
  (connection === undefined ? "" : ` (connection ${connection})`)
