/** Ids of jobs: arguments, or the lines of a file or of standard input. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { serverOf } from "../internal/values/qualifiedId.ts"
import type { JobId } from "../Job.ts"
import { withLinesUpTo } from "./bounds.ts"
import { type SystemFailed, WrongUsage } from "./failures.ts"
import { lines } from "./lines.ts"
import { isOf, type Server } from "./server/server.ts"
import { Servers } from "./server/servers.ts"
import * as Argument from "./table/argument.ts"
import { Terminal } from "./terminal/terminal.ts"
import { thousands } from "./terminal/text.ts"
import { cut } from "./terminal/width.ts"
import { jobId } from "./values/text.ts"
import type { Value } from "./values/value.ts"

const idOrInput: Value<JobId | "-"> = {
  metavar: "ID",
  read: (text) => text === "-" ? Either.right(text) : jobId.read(text)
}

/** The ids of the jobs, or `-` for the lines of standard input. */
export const argument = Argument.many(idOrInput, {
  atLeast: 1,
  summary: "the ids of the jobs, or - to read them from standard input, one a line"
})

const decoder = new TextDecoder()

/** In bytes: far above that of any id, with the spaces around it. */
const longestLine = 1024

/** The ids that are the lines of a stream of bytes. */
export const idLines = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  name: string
): Stream.Stream<JobId, E | WrongUsage, R> =>
  bytes.pipe(
    withLinesUpTo({
      most: longestLine,
      exceeded: new WrongUsage({
        message: `${name}: a line of more than ${thousands(longestLine)} bytes is no id of a job.`
      })
    }),
    lines,
    Stream.map((line) => decoder.decode(line).trim()),
    Stream.filter((line) => line !== ""),
    Stream.mapEffect((line) =>
      Either.mapLeft(
        jobId.read(line),
        (wrong) => new WrongUsage({ message: `${name}: ${JSON.stringify(cut(line, 60))} ${wrong}.` })
      )
    )
  )

/** The ids that are the lines of standard input. */
export const inputIds = Stream.unwrap(
  Effect.map(Effect.flatMap(Terminal, ({ stdin }) => stdin.bytes), (bytes) => idLines(bytes, "standard input"))
)

/**
 * Leaves out an id that came before: a job would be counted twice. They are remembered as numbers, which take a third of the memory of
 * texts; ids beyond those that a number can tell apart stay texts.
 */
export const eachOnce = <E, R>(ids: Stream.Stream<JobId, E, R>): Stream.Stream<JobId, E, R> =>
  Stream.suspend(() => {
    const seen = new Set<JobId | number>()
    return Stream.filter(ids, (id) => {
      const before = seen.size
      return seen.add(Number.isSafeInteger(Number(id)) ? Number(id) : id).size > before
    })
  })

/** The ids that were given, as they are read, each once. */
export const idsOf = (
  given: ReadonlyArray<JobId | "-">
): Stream.Stream<JobId, WrongUsage | SystemFailed, Terminal> =>
  eachOnce(Stream.flatMap(
    Stream.fromIterable(given),
    (id) => id === "-" ? inputIds : Stream.succeed(id)
  ))

/** The server of a job. Fails if its id tells none of those of the command: another server may have another job with the same id. */
export const serverOfJob = (id: JobId): Effect.Effect<Server, WrongUsage, Servers> =>
  Effect.flatMap(Servers, (servers) =>
    Effect.mapError(
      Arr.findFirst(servers, (server) => isOf(server, id)),
      () => new WrongUsage({ message: ofOtherServers(id, servers.length) })
    ))

/** Fails if an id tells none of the servers of the command. */
export const checkIds = (ids: Iterable<JobId>): Effect.Effect<void, WrongUsage, Servers> =>
  Effect.forEach(ids, serverOfJob, { discard: true })

const ofOtherServers = (id: JobId, servers: number): string => {
  if (serverOf(id) === 0) {
    return `${id} is the id of a job on one server: give only that server with --url, or the id that jobs writes for all of them.`
  }
  return servers === 1
    ? `${id} is the id of a job on one of several servers: give all of them with --url.`
    : `job ${id} is on none of these servers: give its server with --url, too.`
}
