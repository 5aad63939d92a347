#!/usr/bin/env node
/**
 * The embedded server as a program, with some of the options of beanstalkd: `npm run serve -- -l 127.0.0.1 -p 11300`.
 */

import * as NodeRuntime from "@effect/platform-node-shared/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import { parseArgs, type ParseArgsConfig } from "node:util"
import type * as EmbeddedServer from "../EmbeddedServer.ts"
import * as NodeEmbeddedServer from "./NodeEmbeddedServer.ts"

const usage = `Use: embedded-beanstalkd [OPTIONS]

A beanstalkd in memory, for tests and development. Jobs are not stored on disk.

Options:
 -l ADDR  listen on address (default is 127.0.0.1), or on a socket: unix:PATH
 -p PORT  listen on port (default is 11300)
 -z BYTES set the maximum job size in bytes (default is 65535); max allowed is 1073741824 bytes
 -v       show version information
 -V       print the events of every job
 -h       show this help

SIGUSR1 puts the server into drain mode.`

const options = {
  address: { type: "string", short: "l", default: "127.0.0.1" },
  port: { type: "string", short: "p", default: "11300" },
  size: { type: "string", short: "z", default: "65535" },
  version: { type: "boolean", short: "v" },
  verbose: { type: "boolean", short: "V" },
  help: { type: "boolean", short: "h" }
} as const satisfies ParseArgsConfig["options"]

const largestJob = 1024 ** 3

/** The exit codes of beanstalkd for invalid arguments, and when it cannot listen. */
const badUsage = 5
const cannotListen = 111

const listenAddress = ({ address, port }: { readonly address: string; readonly port: string }) => {
  const [, path] = /^unix:(.+)$/.exec(address) ?? []
  return path === undefined ? { host: address, port: wholeNumber("-p", port) } : { path }
}

const wholeNumber = (flag: string, text: string): number => {
  if (!/^\d+$/.test(text)) throw new Error(`${flag} must be a whole number`)
  return Number(text)
}

/** A text to print, or what is needed to run a server. */
const readArguments = () => {
  const { values } = parseArgs({ options })
  if (values.help === true) return usage
  if (values.version === true) return "beanstalkd 1.13, embedded in effect-beanstalk"
  return {
    isVerbose: values.verbose === true,
    listen: { ...listenAddress(values), maxJobSize: Math.min(wholeNumber("-z", values.size), largestJob) }
  }
}

type Arguments = Exclude<ReturnType<typeof readArguments>, string>

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

const printEvent = ({ at, connection, event, id, state, tube }: EmbeddedServer.JournalEntry) =>
  Console.log(
    `${new Date(at).toISOString()} ${tube}: job ${id} ${event}, now ${state}` +
      (connection === undefined ? "" : ` (connection ${connection})`)
  )

const failWith = (code: number, message: string) =>
  Effect.andThen(Console.error(message), Effect.sync(() => process.exitCode = code))

const run = ({ isVerbose, listen }: Arguments) =>
  Effect.gen(function*() {
    const server = yield* NodeEmbeddedServer.listen(listen)
    yield* drainOnSignal(server)
    yield* Console.log(`Process ${process.pid} listens at ${server.url}. Jobs are not stored on disk.`)
    yield* isVerbose ? Stream.runForEach(server.events, printEvent) : Effect.never
  }).pipe(
    Effect.scoped,
    Effect.catchTag("SocketServerError", ({ cause }) => failWith(cannotListen, `cannot listen: ${cause}`))
  )

const main = Effect.try({ try: readArguments, catch: (error) => error instanceof Error ? error.message : error }).pipe(
  Effect.matchEffect({
    onSuccess: (args) => typeof args === "string" ? Console.log(args) : run(args),
    onFailure: (message) => failWith(badUsage, `${message}\n\n${usage}`)
  })
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
