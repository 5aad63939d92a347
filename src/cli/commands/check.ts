/** `beanstalk check` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { expected, look } from "../check/look.ts"
import { codes, ofTube } from "../check/measures.ts"
import { json, message, nagios, overall, pluginLine, prometheus, type Report } from "../check/report.ts"
import { FoundBad, Stopped, WrongUsage } from "../failures.ts"
import { messageOf } from "../messages.ts"
import { theServer } from "../server/servers.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { duration } from "../values/duration.ts"
import { count } from "../values/number.ts"
import { choice } from "../values/text.ts"
import { thresholds } from "../values/thresholds.ts"
import type { Value } from "../values/value.ts"

/** In seconds. */
const time: Value<number> = { ...duration, read: (text) => Either.map(duration.read(text), Duration.toSeconds) }

const parameters = {
  tubes: tubesOrAll,
  ready: Flag.optional("ready", thresholds(count, "above"), {
    summary: "ready jobs of a tube: warning above W, critical above C"
  }),
  buried: Flag.optional("buried", thresholds(count, "above"), { summary: "buried jobs of a tube" }),
  age: Flag.optional("age", thresholds(time, "above"), {
    summary: "how long the next ready job of a tube has waited, as 1m:5m"
  }),
  delayed: Flag.optional("delayed", thresholds(count, "above"), { summary: "delayed jobs of a tube" }),
  workers: Flag.optional("min-workers", thresholds(count, "below"), {
    summary: "connections that watch a tube: warning below W, critical below C"
  }),
  rtt: Flag.optional("rtt", thresholds(time, "above"), { summary: "the least of five round trips, as 5ms:50ms" }),
  draining: Flag.on("draining", { summary: "warn of drain mode" }),
  format: Flag.withDefault("format", choice("FORMAT", ["nagios", "json", "prometheus"]), {
    default: "nagios",
    summary: "how the result is written; --json is --format json"
  })
}

/** How long all of it may take. Most monitoring systems stop a plugin after a minute. */
const longest = "30 seconds"

export const command = Command.make({
  name: "check",
  summary: "Check the server and its tubes, as a plugin of Nagios and its kind",
  details: [
    "Thresholds are WARNING:CRITICAL, of which one may be left out. Each tube is checked by itself. A tube that is named and does not " +
    "exist is one without jobs and workers: beanstalkd removes empty tubes. Performance data is written for the first 50 tubes.",
    "The exit codes are those of monitoring plugins: 2 (CRITICAL) if the server cannot be reached or does not answer, 3 (UNKNOWN) for " +
    "wrong usage. Do not probe programs that use the server with it: when the server is away, it fails for all of them."
  ],
  servers: { onlyOne: "a monitoring system asks about each server by itself" },
  parameters,
  examples: [
    { run: "check", does: "whether the server answers" },
    { run: "check emails --ready 20k:50k --age 1m:2m --min-workers 2:1", does: "whether one tube is worked on" },
    { run: "check 'images.*' --buried 0:10 --rtt 5ms:50ms --draining --format json", does: "several tubes, as JSON" }
  ],
  exits: {
    0: "OK",
    1: "WARNING",
    2: "CRITICAL, also if there is no connection to the server, or it was lost",
    3: "UNKNOWN: wrong usage; nothing was sent"
  },
  failsAs: (failure) =>
    failure._tag === "FoundBad" || failure._tag === "PipeClosed" ? failure : unknown(messageOf(failure)),
  run: Effect.gen(function*() {
    const { age, buried, delayed, draining, format, ready, rtt, tubes, workers } = yield* Effect.all(parameters)
    const ofTubes = [
      ...expected(ofTube.age, age),
      ...expected(ofTube.ready, ready),
      ...expected(ofTube.delayed, delayed),
      ...expected(ofTube.buried, buried),
      ...expected(ofTube.workers, workers)
    ]
    if (tubes.length > 0 && ofTubes.length === 0) {
      return yield* new WrongUsage({ message: "say what is to be checked of the tubes, as with --ready 100:1000." })
    }
    const server = yield* theServer
    const report = yield* Effect.flatMap(
      server.connect,
      (client) => look(client, { tubes, ofTubes, rtt, draining })
    ).pipe(
      Effect.scoped,
      Effect.timeoutFail({
        duration: longest,
        onTimeout: () => new Stopped({ message: `${server.address} did not answer all within 30 seconds.` })
      }),
      Effect.catchAll((failure) => Effect.succeed(unreachable(messageOf(failure))))
    )
    yield* write(report, format)
    const level = overall(report)
    if (level !== "OK") yield* new FoundBad({ message: `${level}: ${message(report)}`, code: codes[level] })
  })
})

/** Nobody can check what the command line does not say. */
const unknown = (message: string) =>
  new FoundBad({ message, code: codes.UNKNOWN, line: pluginLine("UNKNOWN", message) })

const unreachable = (text: string): Report => ({ problems: [{ level: "CRITICAL", text }], measures: [], fine: "" })

const write = (report: Report, format: "nagios" | "json" | "prometheus") =>
  Effect.flatMap(Output, (output) => {
    if (output.json || format === "json") return output.records([json(report)])
    return output.lines(format === "nagios" ? nagios(report) : prometheus(report))
  })
