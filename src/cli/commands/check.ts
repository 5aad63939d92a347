/** `beanstalk check` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Client } from "../../BeanstalkClient.ts"
import { codes, type Measure, ofTube, roundTrip, type TubeKind } from "../check/measures.ts"
import { json, message, nagios, overall, pluginLine, prometheus, type Report } from "../check/report.ts"
import { messageOf } from "../ending.ts"
import { FoundBad, Stopped, WrongUsage } from "../failures.ts"
import { leastRoundTrip } from "../server/roundTrip.ts"
import { theServer } from "../server/servers.ts"
import { statsOf, withNextAges, withoutAges } from "../server/tubeSamples.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { counted } from "../terminal/text.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { duration } from "../values/duration.ts"
import { count } from "../values/number.ts"
import { choice } from "../values/text.ts"
import { type Thresholds, thresholds } from "../values/thresholds.ts"
import type { TubePattern } from "../values/tubePattern.ts"
import type { Value } from "../values/value.ts"

const seconds: Value<number> = {
  ...duration,
  read: (text) => Either.map(duration.read(text), Duration.toSeconds)
}

const parameters = {
  tubes: tubesOrAll,
  ready: Flag.optional("ready", thresholds(count, "above"), {
    summary: "ready jobs of a tube: warning above W, critical above C"
  }),
  buried: Flag.optional("buried", thresholds(count, "above"), { summary: "buried jobs of a tube" }),
  age: Flag.optional("age", thresholds(seconds, "above"), {
    summary: "how long the next ready job of a tube has waited, as 1m:5m"
  }),
  delayed: Flag.optional("delayed", thresholds(count, "above"), { summary: "delayed jobs of a tube" }),
  workers: Flag.optional("min-workers", thresholds(count, "below"), {
    summary: "connections that watch a tube: warning below W, critical below C"
  }),
  rtt: Flag.optional("rtt", thresholds(seconds, "above"), { summary: "the least of five round trips, as 5ms:50ms" }),
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
    "Thresholds are W:C, for a warning and for what is critical; one may be missing. They hold for each of the tubes. One that is named " +
    "and does not exist has no jobs and no workers: beanstalkd removes empty tubes. Performance data is of the first 50 tubes.",
    "Its exit codes are those of monitoring plugins: a server that cannot be reached, or does not answer, is critical, and wrong usage " +
    "is 3. It is no probe for a program that uses the server: it would fail in all of them when the server is away."
  ],
  servers: "one",
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
    const wanted = [
      ...wantedOf(ofTube.age, age),
      ...wantedOf(ofTube.ready, ready),
      ...wantedOf(ofTube.delayed, delayed),
      ...wantedOf(ofTube.buried, buried),
      ...wantedOf(ofTube.workers, workers)
    ]
    if (tubes.length > 0 && wanted.length === 0) {
      return yield* new WrongUsage({ message: "say what is to be checked of the tubes, as with --ready 100:1000." })
    }
    const server = yield* theServer
    const report = yield* Effect.flatMap(
      server.connect,
      (client) => look(client, { tubes, wanted, rtt: rtt ?? none, draining })
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

const none: Thresholds = { warning: undefined, critical: undefined }

interface WantedOfTubes {
  readonly kind: TubeKind
  readonly thresholds: Thresholds
}

const wantedOf = (kind: TubeKind, thresholds: Thresholds | undefined): ReadonlyArray<WantedOfTubes> =>
  thresholds === undefined ? [] : [{ kind, thresholds }]

interface Wanted {
  readonly tubes: ReadonlyArray<TubePattern>
  readonly wanted: ReadonlyArray<WantedOfTubes>
  readonly rtt: Thresholds
  readonly draining: boolean
}

const look = (client: Client, { draining, rtt, tubes, wanted }: Wanted) =>
  Effect.gen(function*() {
    const ofServer: Measure = {
      kind: roundTrip,
      tube: undefined,
      value: yield* leastRoundTrip(client),
      thresholds: rtt
    }
    const stats = yield* client.stats
    const names = wanted.length === 0 ? [] : namesOf(tubes, yield* client.listTubes)
    const all = yield* statsOf(client, names)
    const withAge = wanted.some(({ kind }) => kind === ofTube.age)
    const samples = new Map(
      (withAge ? yield* withNextAges(client, all) : withoutAges(all)).map((
        sample
      ) => [sample.stats.name as string, sample])
    )
    const ofTubes = names.flatMap((tube) => {
      const sample = samples.get(tube)
      return wanted.map(({ kind, thresholds }): Measure => ({
        kind,
        tube,
        value: sample === undefined ? 0 : kind.of(sample),
        thresholds
      }))
    })
    const drains = stats.draining === true ? "it is in drain mode, and refuses new jobs" : undefined
    return {
      problems: draining && drains !== undefined ? [{ level: "WARNING", text: drains }] : [],
      measures: [...ofTubes, ofServer],
      fine: [
        `beanstalkd ${stats.version} at ${client.address}: ${roundTrip.told(ofServer.value)}`,
        ...drains === undefined ? [] : [drains],
        ...wanted.length === 0 ? [] : [tubesText(names, samples)]
      ].join("; ")
    } satisfies Report
  })

/** Those that are named, and those that match. */
const namesOf = (patterns: ReadonlyArray<TubePattern>, existing: ReadonlyArray<string>): ReadonlyArray<string> =>
  patterns.length === 0
    ? existing
    : [...new Set(patterns.flatMap(({ isGlob, matches, text }) => isGlob ? existing.filter(matches) : [text]))]

const tubesText = (names: ReadonlyArray<string>, found: { readonly has: (name: string) => boolean }): string => {
  const missing = names.filter((name) => !found.has(name))
  const checked = `${counted(names.length, "tube")} checked`
  return missing.length === 0
    ? checked
    : `${checked}, of which ${missing.join(", ")} ${missing.length === 1 ? "does" : "do"} not exist`
}
