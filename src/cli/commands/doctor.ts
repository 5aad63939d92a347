/** `beanstalk doctor` */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type { Client } from "../../BeanstalkClient.ts"
import type { ServerStats } from "../../Stats.ts"
import { diagnose } from "../doctor/diagnosis.ts"
import { type Finding, worstFirst } from "../doctor/finding.ts"
import { diagnoseJobs } from "../doctor/jobs.ts"
import { publicAddressesOf } from "../doctor/publicAddress.ts"
import { FoundBad } from "../failures.ts"
import { notAllFoundText } from "../selection/notAllFound.ts"
import { lookAtAll, type Seen } from "../server/look.ts"
import { leastRoundTrip } from "../server/roundTrip.ts"
import type { Server } from "../server/server.ts"
import { matchingOrAll } from "../server/tubes.ts"
import { statsOf, withNextAges } from "../server/tubeSamples.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import * as Globals from "../table/globals.ts"
import { Output } from "../terminal/output.ts"
import { counted } from "../terminal/text.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import type { TubePattern } from "../values/tubePattern.ts"

const parameters = {
  tubes: tubesOrAll,
  deep: Flag.on("deep", { summary: "look at all jobs as well" })
}

export const command = Command.make({
  name: "doctor",
  summary: "Say what is wrong with the server, the worst first, and what to do about it",
  details: [
    "It looks for: drain mode; a public address, since there is no login; ready jobs where no worker is; buried jobs; reservations that " +
    "time out, above 1 % of puts; paused tubes; a version without reserve-job; round trips above 5 ms; no binlog. With " +
    "--verbose it tells what is ok, too.",
    "With --deep it also looks for reserved jobs past their time, which beanstalkd sometimes forgets; jobs that a restart loses with a " +
    "binlog, since their bodies are within 2 bytes of the largest size; and negative ages, which come from a clock that was set. Each " +
    "job is looked up by its id, as by beanstalk jobs, and with a binlog all bodies are read."
  ],
  servers: "each",
  parameters,
  examples: [
    { run: "doctor", does: "what is wrong with the server" },
    { run: "doctor 'images.*'", does: "what is wrong with it, and with some of its tubes" },
    { run: "doctor --deep -v", does: "with its jobs, and with what is ok" }
  ],
  exits: { 0: "nothing is wrong", 1: "something was found" },
  run: Effect.gen(function*() {
    const { deep, tubes } = yield* Effect.all(parameters)
    const isVerbose = (yield* Globals.general.verbose) > 0
    const problems = yield* Ref.make(0)
    yield* lookAtAll(
      (client, server) => Effect.map(examine(client, server, { deep, tubes }), worstFirst),
      (seen, isOne) =>
        Effect.zipRight(
          Ref.set(problems, seen.flatMap(({ seen }) => seen.filter(isProblem)).length),
          show(seen, { isOne, isVerbose })
        )
    )
    yield* conclude(yield* Ref.get(problems))
  })
})

const conclude = (problems: number) =>
  problems === 0
    ? Effect.flatMap(Output, ({ note }) => note("Nothing is wrong."))
    : new FoundBad({ message: `${counted(problems, "problem")} found.`, code: 1 })

const isProblem = ({ severity }: Finding) => severity !== "ok"

interface Wanted {
  readonly deep: boolean
  /** All tubes if there is none. */
  readonly tubes: ReadonlyArray<TubePattern>
}

const examine = (client: Client, server: Server, { deep, tubes: patterns }: Wanted) =>
  Effect.gen(function*() {
    const roundTrip = yield* leastRoundTrip(client)
    const stats = yield* client.stats
    const names = yield* matchingOrAll(client, patterns)
    const tubes = yield* Effect.flatMap(statsOf(client, names), (tubes) => withNextAges(client, tubes))
    const publicAddresses = yield* publicAddressesOf(server, stats.id)
    const findings = diagnose({ stats, tubes, roundTrip, publicAddresses })
    return deep ? [...findings, ...yield* jobsOf(client, stats, patterns.length === 0 ? undefined : names)] : findings
  })

const jobsOf = (client: Client, stats: ServerStats, tubes: ReadonlyArray<string> | undefined) =>
  Effect.catchTags(diagnoseJobs(client, stats, tubes), {
    Draining: () => notLookedAt("the server refuses the put that tells the newest id, since it is in drain mode."),
    ReachExceeded: (exceeded) => notLookedAt(notAllFoundText(exceeded))
  })

const notLookedAt = (why: string) =>
  Effect.flatMap(Output, ({ note }) => Effect.as(note(`Not all jobs were looked at: ${why}`), []))

interface Shown {
  readonly isOne: boolean
  readonly isVerbose: boolean
}

const show = (seen: ReadonlyArray<Seen<ReadonlyArray<Finding>>>, { isOne, isVerbose }: Shown) =>
  Effect.gen(function*() {
    const output = yield* Output
    const shown = seen.map(({ seen, server }) => ({ server, findings: isVerbose ? seen : seen.filter(isProblem) }))
    yield* output.json
      ? output.records(
        shown.flatMap(({ findings, server }) =>
          findings.map((finding) => ({ ...isOne ? {} : { url: server.url }, ...finding }))
        )
      )
      : output.lines(...Arr.flatMap(shown, ({ findings, server }) => [
        ...isOne ? [] : [output.style.bold(server.address)],
        ...findings.flatMap((finding) => lines(finding, output))
      ]))
  })

const indent = " ".repeat(10)

const lines = ({ advice, severity, text }: Finding, { printable, style }: Output["Type"]): ReadonlyArray<string> => {
  const title = severity.padEnd(indent.length)
  const coloured = severity === "critical" ? style.red(title) : severity === "warning" ? style.yellow(title) : title
  return [`${coloured}${printable(text)}`, ...advice === undefined ? [] : [`${indent}${printable(advice)}`]]
}
