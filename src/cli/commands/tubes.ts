/** `beanstalk tubes` */
import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import { jobsIn } from "../../internal/values/jobsIn.ts"
import { NothingThere } from "../failures.ts"
import { statsRecord } from "../record.ts"
import { allStates } from "../selection/flags.ts"
import { lookAtAll } from "../server/look.ts"
import { matchingOrAll } from "../server/tubes.ts"
import { statsOf, type TubeSample, withNextAges, withoutAges } from "../server/tubeSamples.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { type Column, numeric } from "../terminal/table.ts"
import { timeSpan } from "../terminal/text.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { count, tubeColumns } from "../tubeColumns.ts"
import { choice } from "../values/text.ts"

interface Row extends TubeSample {
  readonly url: string
  readonly address: string
}

/** What can be sorted by: names from A to Z, numbers with the largest first. */
const orders = {
  name: Order.mapInput(Order.string, ({ stats }: Row) => stats.name),
  ready: largest(({ stats }) => stats.currentJobsReady),
  reserved: largest(({ stats }) => stats.currentJobsReserved),
  delayed: largest(({ stats }) => stats.currentJobsDelayed),
  buried: largest(({ stats }) => stats.currentJobsBuried),
  waiting: largest(({ stats }) => stats.currentWaiting),
  watching: largest(({ stats }) => stats.currentWatching),
  age: largest(({ nextAge = -1 }) => nextAge),
  paused: largest(({ stats }) => stats.pauseTimeLeft)
}

function largest(of: (row: Row) => number): Order.Order<Row> {
  return Order.reverse(Order.mapInput(Order.number, of))
}

const sortKey = choice("KEY", [
  "name",
  "ready",
  "reserved",
  "delayed",
  "buried",
  "waiting",
  "watching",
  "age",
  "paused"
])

const parameters = {
  tubes: tubesOrAll,
  sort: Flag.withDefault("sort", sortKey, {
    default: "name",
    summary: "what to sort by: numbers with the largest first"
  }),
  nonempty: Flag.on("nonempty", { summary: "only tubes that hold a job" }),
  age: Flag.on("age", { summary: "add how long the next ready job has waited" })
}

export const command = Command.make({
  name: "tubes",
  summary: "List the tubes, one a line, with their numbers",
  details: [
    "WATCHING is how many connections take jobs of the tube, WAITING how many of them have no job now.",
    "A tube whose jobs are not done may have no worker: nobody watches it then. It may be PAUSED. Its jobs may be BURIED: they wait " +
    "until somebody kicks them. Or they are RESERVED, which beanstalk jobs TUBE --state reserved lists."
  ],
  servers: "each",
  parameters,
  examples: [
    { run: "tubes emails --age", does: "why one tube is stuck" },
    { run: "tubes --age --sort age", does: "where jobs have waited longest" },
    { run: "tubes 'images.*' --nonempty", does: "some tubes, of those that hold jobs" }
  ],
  exits: { 1: "there is no such tube, or with --nonempty none that holds a job" },
  run: Effect.gen(function*() {
    const { age, nonempty, sort, tubes } = yield* Effect.all(parameters)
    const output = yield* Output
    const withAge = age || sort === "age"
    yield* lookAtAll(
      (client) =>
        Effect.gen(function*() {
          const all = yield* statsOf(client, yield* matchingOrAll(client, tubes))
          const shown = nonempty ? all.filter((stats) => jobsIn(stats, allStates) > 0) : all
          return withAge ? yield* withNextAges(client, shown) : withoutAges(shown)
        }),
      (seen, isOne) =>
        Effect.gen(function*() {
          const rows = seen
            .flatMap(({ seen, server: { address, url } }) => seen.map((row): Row => ({ ...row, address, url })))
            .toSorted(orders[sort])
          if (rows.length === 0) {
            const addresses = seen.map(({ server: { address } }) => address).join(" or ")
            const which = tubes.length === 0 ? "no tube" : "none of these tubes"
            return yield* new NothingThere({ message: `${which} on ${addresses} holds a job.` })
          }
          yield* output.json
            ? output.records(rows.map((row) => recordOf(row, { isOne, withAge })))
            : output.table(columns(output, { isOne, withAge }), rows)
        })
    )
  })
})

interface Shown {
  readonly isOne: boolean
  readonly withAge: boolean
}

const recordOf = ({ nextAge, stats, url }: Row, { isOne, withAge }: Shown) => ({
  ...isOne ? {} : { url },
  ...statsRecord(stats),
  ...withAge ? { next_age: nextAge ?? null } : {}
})

const columns = (output: Output["Type"], { isOne, withAge }: Shown): ReadonlyArray<Column<Row>> => [
  ...isOne ? [] : [{ title: "SERVER", cell: ({ address }: Row) => address }],
  ...tubeColumns(output),
  count("WAITING", ({ currentWaiting }) => currentWaiting),
  count("WATCHING", ({ currentWatching }) => currentWatching),
  ...withAge
    ? [numeric("NEXT AGE", ({ nextAge }: Row) => nextAge === undefined ? "-" : timeSpan(nextAge))]
    : [],
  {
    title: "PAUSED",
    // In its largest unit: with more, the table is too wide for 80 columns.
    cell: ({ stats }) => stats.pause === 0 ? "-" : `${timeSpan(stats.pauseTimeLeft).replace(/ .*/, "")} left`,
    style: output.style.dim
  }
]
