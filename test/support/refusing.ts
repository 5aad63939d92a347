/** A server that has a job for every reserve, and refuses what a test wants it to, without end, in virtual time. */
import { BeanstalkClient, Connector, Worker } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { clientTo, sameInstance, statsOf } from "./clients.ts"
import * as Scripted from "./scripted.ts"
import { statsJobReply, tube } from "./scriptedWorkers.ts"
import { collectEvents } from "./workers.ts"

export const errors = ["OUT_OF_MEMORY", "INTERNAL_ERROR", "BAD_FORMAT", "UNKNOWN_COMMAND"]

/** What a client has sent. */
export interface Seen {
  /** When, in seconds, and what. */
  readonly lines: ReadonlyArray<readonly [at: number, line: string]>
  /** When, in seconds, connections were accepted. */
  readonly connections: ReadonlyArray<number>
  readonly warnings: ReadonlyArray<string>
  /** The modules with which the log lines are annotated. */
  readonly modules: ReadonlySet<unknown>
}

export interface ServeOptions {
  /** The reply to a line instead of the usual one, at this time in seconds. */
  readonly refuse: (line: string, at: number) => string | undefined
  readonly reconnect?: Schedule.Schedule<unknown> | undefined
  /** Runs before each connection is opened, with its number, counted from 1. */
  readonly opening?: (nth: number) => Effect.Effect<void>
}

export interface RunOptions extends ServeOptions {
  readonly worker?: Worker.Options<string, string>
  /** Default: fails. */
  readonly handler?: Effect.Effect<void, string>
  /** For how long the worker runs. */
  readonly during?: Duration.DurationInput
}

/** The words that a server answers a command with, when it has a job for every reserve. */
const usualReply = (line: string, nextId: () => number): string => {
  const [command, id] = line.split(" ")
  switch (command) {
    case "stats":
      return statsOf(sameInstance)
    case "watch":
      return "WATCHING 2\r\n"
    case "ignore":
      return "WATCHING 1\r\n"
    case "use":
      return `USING ${id}\r\n`
    case "put":
      return "INSERTED 1000000\r\n"
    case "reserve-with-timeout":
      return `RESERVED ${nextId()} 1\r\nx\r\n`
    case "stats-job":
      return statsJobReply(Number(id))
    case "touch":
      return "TOUCHED\r\n"
    case "release":
      return "RELEASED\r\n"
    case "bury":
      return "BURIED\r\n"
    case "delete":
      return "DELETED\r\n"
    default:
      throw new Error(`the worker sent ${line}`)
  }
}

/** The time in seconds. */
export const seconds = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)

/** Provides a client of such a server, and a Logger whose warnings are kept. */
export const serve = ({ opening = () => Effect.void, reconnect, refuse }: ServeOptions) =>
  Effect.gen(function*() {
    const lines: Array<readonly [number, string]> = []
    const connections: Array<number> = []
    const warnings: Array<string> = []
    const modules = new Set<unknown>()
    const server = yield* Scripted.inMemory()
    let id = 0
    const nextId = () => id += 1
    const answer = (peer: Scripted.Peer) =>
      Effect.gen(function*() {
        const line = (yield* peer.line).trimEnd()
        if (line.startsWith("put ")) yield* peer.line
        const at = yield* seconds
        lines.push([at, line])
        const refusal = refuse(line, at)
        // Without a pause a worker could run jobs for ever while no time passes.
        if (refusal === undefined && line.startsWith("reserve")) yield* Clock.sleep("1 second")
        yield* peer.say(refusal ?? usualReply(line, nextId))
      })
    const accept = Effect.flatMap(server.accept, (peer) =>
      Effect.zipRight(
        Effect.map(seconds, (at) => connections.push(at)),
        Effect.forkScoped(Effect.forever(answer(peer)))
      ))
    yield* Effect.forkScoped(Effect.forever(accept))
    const { address, socket } = yield* Effect.provide(Connector.Connector, server.connector)
    let opened = 0
    const open = Effect.zipRight(Effect.suspend(() => opening(opened += 1)), socket)
    const connector = Layer.succeed(Connector.Connector, { address, socket: open })
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      modules.add(Option.getOrUndefined(HashMap.get(annotations, "module")))
      if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) warnings.push(String(message))
    })
    const seen: Seen = { lines, connections, warnings, modules }
    const provide = <A, E, R>(effect: Effect.Effect<A, E, R | BeanstalkClient.BeanstalkClient>) =>
      Effect.flatMap(
        clientTo({ connector }, reconnect === undefined ? undefined : { reconnect }),
        (client) => Effect.provideService(effect, BeanstalkClient.BeanstalkClient, client)
      ).pipe(Effect.provide(Logger.add(logger)))
    return { seen, provide }
  })

/** Runs a worker of such a server, and shuts it down. */
export const run = ({ during = "30 minutes", handler, worker = {}, ...options }: RunOptions) =>
  Effect.gen(function*() {
    /** When, in seconds, handlers began. */
    const runs: Array<number> = []
    const failing = Effect.zipRight(Effect.map(seconds, (at) => runs.push(at)), handler ?? Effect.fail("a failure"))
    const { provide, seen } = yield* serve(options)
    const made = yield* provide(Worker.make(tube, () => failing, { retry: Schedule.forever, ...worker }))
    const { events } = yield* collectEvents(made)
    yield* Clock.sleep(during)
    const stats = yield* made.stats
    const [shutdown] = yield* Effect.timed(made.shutdown)
    return { ...seen, shutdown, runs, events, stats }
  })

/** How many lines begin with this command. */
export const count = (lines: Seen["lines"], command: string) =>
  lines.filter(([, line]) => line.startsWith(command)).length

/** The times between one and the next, in seconds. */
export const gaps = (times: ReadonlyArray<number>) =>
  Array.zipWith(times, times.slice(1), (one, next) => Math.round((next - one) * 10) / 10)

export const doubling = Schedule.exponential("1 second").pipe(Schedule.union(Schedule.spaced("1 minute")))

/** A server without room for its binlog answers a put with OUT_OF_MEMORY; a release or bury too, and then finds the job no more. */
export const full = (isFull: (at: number) => boolean) => {
  const hidden = new Set<string>()
  const refuse = (line: string, at: number): string | undefined => {
    const [command, id = ""] = line.split(" ")
    if (hidden.has(id) && command !== "reserve-with-timeout") return "NOT_FOUND\r\n"
    if (command === "put" && isFull(at)) return "OUT_OF_MEMORY\r\n"
    if ((command !== "release" && command !== "bury") || !isFull(at)) return undefined
    hidden.add(id)
    return command === "release" ? "OUT_OF_MEMORY\r\n" : "INTERNAL_ERROR\r\n"
  }
  return { hidden, refuse }
}
