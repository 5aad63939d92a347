/** `beanstalk put` */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client } from "../../BeanstalkClient.ts"
import type { JobId } from "../../Job.ts"
import { wholeUpTo, withLinesUpTo } from "../bounds.ts"
import { Refused, WrongUsage } from "../failures.ts"
import { inputOf } from "../input.ts"
import { lines as linesOf } from "../lines.ts"
import { putLines } from "../putLines.ts"
import { anyClient } from "../server/connect.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import { CommandLine } from "../table/commandLine.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { thousands } from "../terminal/text.ts"
import { duration } from "../values/duration.ts"
import { count, priority } from "../values/number.ts"
import { file, text, tube } from "../values/text.ts"

const parameters = {
  tube: Argument.one(tube, { summary: "the tube; it need not exist" }),
  body: Argument.optional(text("BODY"), { summary: "the body; - reads all of standard input [-]" }),
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
    "If --lines stops, it says with which --skip to go on. A body that begins with - follows --, which ends the flags: -- - puts a dash."
  ],
  servers: "together",
  parameters,
  examples: [
    { run: `put emails '{"to":"a@example.org"}' --delay 5m`, does: "one job, for in five minutes" },
    { run: "put emails --lines -q < jobs.jsonl", does: "a job for each line of a file" }
  ],
  exits: { 4: "stopped midway; the message says with which --skip to go on" },
  run: Effect.gen(function*() {
    const { body: given, delay, file, lines, priority, quiet, skip, ttr, tube } = yield* Effect.all(parameters)
    const { behindDashes } = yield* CommandLine
    const body = given === "-" && behindDashes === 0 ? undefined : given
    if (body !== undefined && (file !== undefined || lines)) {
      return yield* new WrongUsage({ message: `BODY and ${lines ? "--lines" : "--file"} exclude each other.` })
    }
    if (skip > 0 && !lines) return yield* new WrongUsage({ message: "--skip is for --lines." })
    const { isTerminal } = yield* Output
    const client = yield* anyClient
    const print = yield* printer({ tube, quiet })
    const options = { priority, delay, ttr }
    if (lines) {
      const input = withLinesUpTo(yield* largestBody(client, "a line"))(yield* inputOf(file))
      return yield* putLines({
        title: "put",
        skip,
        put: (stop) => client.putAll(tube, Stream.interruptWhen(Stream.drop(linesOf(input), skip), stop), options),
        onPut: print,
        isShown: quiet || !isTerminal
      })
    }
    const whole = body ?? (yield* wholeUpTo(yield* largestBody(client, "the body"))(yield* inputOf(file)))
    yield* print([yield* client.put(tube, whole, options)])
  })
})

const printer = ({ quiet, tube }: { readonly tube: string; readonly quiet: boolean }) =>
  Effect.map(Output, ({ json, lines, records }) => (ids: ReadonlyArray<JobId>) => {
    if (quiet) return Effect.void
    return json ? records(ids.map((id) => ({ id, tube }))) : lines(...ids)
  })

/** As many bytes as the server accepts. It refuses more, but only once all are sent. */
const largestBody = (client: Client, what: string) =>
  Effect.map(client.stats, ({ maxJobSize }) => ({
    most: maxJobSize,
    exceeded: new Refused({
      message:
        `JOB_TOO_BIG: ${what} has more than the ${thousands(maxJobSize)} bytes that beanstalkd at ${client.address} ` +
        "accepts. Put a reference to the data instead, or start the server with a larger -z."
    })
  }))
