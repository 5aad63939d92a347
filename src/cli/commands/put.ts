/** `beanstalk put` */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { InvalidArgument, PutAllStopped } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import { type PipeClosed, Stopped, type SystemFailed, WrongUsage } from "../failures.ts"
import { readFile } from "../files.ts"
import { lines } from "../lines.ts"
import { theClient } from "../server/servers.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { withProgress } from "../terminal/progress.ts"
import { Terminal } from "../terminal/terminal.ts"
import { counted, thousands } from "../terminal/text.ts"
import { duration } from "../values/duration.ts"
import { count, priority } from "../values/number.ts"
import { file, text, tube } from "../values/text.ts"

const parameters = {
  tube: Argument.one(tube, { summary: "the tube; it need not exist" }),
  body: Argument.optional(text("BODY"), { summary: "the body [all of standard input]" }),
  file: Flag.optional("file", file, { short: "f", summary: "read the body, or with --lines the bodies, from a file" }),
  lines: Flag.on("lines", { short: "l", summary: "put each line as a job, as soon as it is read" }),
  skip: Flag.withDefault("skip", count, {
    default: "0",
    summary: "with --lines: leave out so many lines at the start"
  }),
  priority: Flag.withDefault("priority", priority, {
    short: "p",
    default: "1024",
    summary: "0 is the most urgent, 4294967295 the least"
  }),
  delay: Flag.withDefault("delay", duration, { default: "0", summary: "when the job becomes ready" }),
  ttr: Flag.withDefault("ttr", duration, { default: "60s", summary: "how long a worker may take for it" }),
  quiet: Flag.on("quiet", { short: "q", summary: "do not print the ids" })
}

export const command = Command.make({
  name: "put",
  summary: "Put jobs into a tube, and print their ids",
  details: [
    "The body is the argument, a file, or all of standard input, byte for byte.",
    "If --lines stops, it says with which --skip to go on. A body that begins with - follows --, which ends the flags."
  ],
  servers: "one",
  parameters,
  examples: [
    { run: `put emails '{"to":"a@example.org"}' --delay 5m`, does: "one job, for in five minutes" },
    { run: "put emails --lines -q < jobs.jsonl", does: "a job for each line of a file" }
  ],
  exits: { 4: "stopped midway; the message says with which --skip to go on" },
  run: Effect.gen(function*() {
    const { body, delay, file, lines, priority, quiet, skip, ttr, tube } = yield* Effect.all(parameters)
    if (body !== undefined && (file !== undefined || lines)) {
      return yield* new WrongUsage({ message: `BODY and ${lines ? "--lines" : "--file"} exclude each other.` })
    }
    if (skip > 0 && !lines) return yield* new WrongUsage({ message: "--skip is for --lines." })
    const client = yield* theClient
    const print = yield* printer({ tube, quiet })
    const options = { priority, delay, ttr }
    const input = yield* inputOf(file)
    if (lines) {
      return yield* putLines({ skip, quiet, print, put: (bodies) => client.putAll(tube, bodies, options) }, input)
    }
    const id = yield* client.put(tube, body ?? (yield* wholeOf(input)), options)
    yield* print([id])
  })
})

const printer = ({ quiet, tube }: { readonly tube: string; readonly quiet: boolean }) =>
  Effect.map(Output, ({ json, lines, records }) => (ids: ReadonlyArray<JobId>) => {
    if (quiet) return Effect.void
    return json ? records(ids.map((id) => ({ id, tube }))) : lines(...ids)
  })

type Bodies = Stream.Stream<Uint8Array, SystemFailed>

const inputOf = (file: string | undefined): Effect.Effect<Bodies, never, Terminal | Output> =>
  Effect.gen(function*() {
    if (file !== undefined) return readFile(file)
    const { stdin } = yield* Terminal
    const { note } = yield* Output
    if (stdin.isTerminal) yield* note("Reads from the terminal; Ctrl-D ends it.")
    return stdin.bytes
  })

const wholeOf = (input: Bodies): Effect.Effect<Uint8Array, SystemFailed> =>
  Effect.map(Stream.runCollect(input), (chunks) => Buffer.concat(Chunk.toReadonlyArray(chunks)))

interface PutLines {
  readonly skip: number
  readonly quiet: boolean
  readonly print: (ids: ReadonlyArray<JobId>) => Effect.Effect<void, PipeClosed>
  readonly put: (bodies: Bodies) => Stream.Stream<JobId, SystemFailed | PutAllStopped | InvalidArgument>
}

/**
 * Puts each line. When it is interrupted it reads no more, and waits for the answers to what is sent, so that the line it tells is
 * the one to go on with.
 */
const putLines = ({ print, put, quiet, skip }: PutLines, input: Bodies) =>
  Effect.gen(function*() {
    const { isTerminal, note } = yield* Output
    const stop = yield* Deferred.make<void>()
    const bodies = Stream.interruptWhen(Stream.drop(lines(input), skip), Deferred.await(stop))
    let done = 0
    const putting = withProgress(
      "put",
      ({ done: show }) =>
        Stream.runForEachChunk(put(bodies), (ids) =>
          Effect.zipRight(
            print(Chunk.toReadonlyArray(ids)),
            Effect.sync(() => {
              done += ids.length
              show(done)
            })
          )),
      { isShown: quiet || !isTerminal }
    )
    const goOn = (line: number) => `Go on with --skip ${line}.`
    const fiber = yield* Effect.fork(putting)
    yield* Fiber.join(fiber).pipe(
      Effect.onInterrupt(() =>
        Deferred.succeed(stop, undefined).pipe(
          Effect.zipRight(Fiber.await(fiber)),
          Effect.zipRight(Effect.suspend(() => note(`Interrupted after ${jobs(done)} put. ${goOn(skip + done)}`)))
        )
      ),
      Effect.catchTag("PutAllStopped", (error) => {
        const [{ error: cause, index }] = error.failures
        const message = `line ${thousands(skip + index + 1)} was not put: ${cause.message} ` +
          `${jobs(error.acknowledged)} put. ${goOn(skip + index)}`
        return Effect.fail(error.acknowledged === 0 ? cause : new Stopped({ message, cause }))
      }),
      Effect.catchTag("SystemFailed", (cause) => {
        const message = `${cause.message} ${jobs(done)} put. ${goOn(skip + done)}`
        return Effect.fail(done === 0 ? cause : new Stopped({ message, cause }))
      })
    )
  })

const jobs = (count: number) => `${counted(count, "job")} ${count === 1 ? "was" : "were"}`
