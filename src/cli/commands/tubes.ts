/** `beanstalk tubes` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import type { Client } from "../../BeanstalkClient.ts"
import type { TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import { statsRecord } from "../record.ts"
import { lookAtAll } from "../server/servers.ts"
import { matching } from "../server/tubes.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import type { Column } from "../terminal/table.ts"
import { thousands, timeSpan } from "../terminal/text.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { choice } from "../values/text.ts"

interface Row {
  readonly url: string
  readonly address: string
  readonly stats: TubeStats
  /** For how many seconds the next ready job has waited; `undefined` if none is ready, or nobody asked. */
  readonly nextAge: number | undefined
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
  servers: "several",
  parameters,
  examples: [
    { run: "tubes --age --sort age", does: "where jobs have waited longest" },
    { run: "tubes 'images.*' --nonempty", does: "some tubes, of those that hold jobs" }
  ],
  run: Effect.gen(function*() {
    const { age, nonempty, sort, tubes } = yield* Effect.all(parameters)
    const output = yield* Output
    const withAge = age || sort === "age"
    yield* lookAtAll(
      (client) =>
        Effect.gen(function*() {
          const all = yield* client.statsTubes(tubes.length === 0 ? undefined : yield* matching(client, tubes))
          const shown = nonempty ? all.filter((stats) => jobsIn(stats) > 0) : all
          return withAge ? yield* withNextAges(client, shown) : shown.map((stats) => ({ stats, nextAge: undefined }))
        }),
      (seen, isOne) => {
        const rows = seen
          .flatMap(({ seen, server: { address, url } }) => seen.map((row): Row => ({ ...row, address, url })))
          .toSorted(orders[sort])
        return output.json
          ? output.records(rows.map((row) => recordOf(row, { isOne, withAge })))
          : output.table(columns(output, { isOne, withAge }), rows)
      }
    )
  })
})

const jobsIn = (stats: TubeStats) =>
  stats.currentJobsReady + stats.currentJobsReserved + stats.currentJobsDelayed + stats.currentJobsBuried

/** How many jobs are looked at at a time. */
const window = 64

const withNextAges = (client: Client, tubes: ReadonlyArray<TubeStats>) =>
  Effect.forEach(
    tubes,
    (stats) =>
      Effect.map(
        stats.currentJobsReady === 0 ? Effect.succeed(undefined) : nextAge(client, stats.name),
        (nextAge) => ({ stats, nextAge })
      ),
    { concurrency: window }
  )

/** The server counts the age of a job from its put: it was not ready before its delay was over. */
const nextAge = (client: Client, tube: TubeName) =>
  Effect.gen(function*() {
    const next = yield* client.peekReady(tube)
    if (Option.isNone(next)) return undefined
    const { age, delay } = yield* client.statsJob(next.value.id)
    return Math.max(0, age - delay)
  }).pipe(Effect.catchTag("JobNotFound", () => Effect.succeed(undefined)))

interface Shown {
  readonly isOne: boolean
  readonly withAge: boolean
}

const recordOf = ({ nextAge, stats, url }: Row, { isOne, withAge }: Shown) => ({
  ...isOne ? {} : { url },
  ...statsRecord(stats),
  ...withAge ? { next_age: nextAge ?? null } : {}
})

const columns = ({ printable, style }: Output["Type"], { isOne, withAge }: Shown): ReadonlyArray<Column<Row>> => [
  ...isOne ? [] : [{ title: "SERVER", cell: ({ address }: Row) => address }],
  { title: "TUBE", cell: ({ stats }) => printable(stats.name), isFlexible: true },
  number("READY", ({ stats }) => stats.currentJobsReady),
  number("RESERVED", ({ stats }) => stats.currentJobsReserved),
  number("DELAYED", ({ stats }) => stats.currentJobsDelayed),
  {
    ...number("BURIED", ({ stats }) => stats.currentJobsBuried),
    style: (text, { stats }) => stats.currentJobsBuried > 0 ? style.red(text) : text
  },
  number("WAITING", ({ stats }) => stats.currentWaiting),
  number("WATCHING", ({ stats }) => stats.currentWatching),
  ...withAge ? [span("NEXT AGE", ({ nextAge }: Row) => nextAge)] : [],
  {
    title: "PAUSED",
    cell: ({ stats }) => stats.pause === 0 ? "-" : `${timeSpan(stats.pauseTimeLeft)} left`,
    style: style.dim
  }
]

const number = (title: string, of: (row: Row) => number): Column<Row> => ({
  title,
  align: "right",
  cell: (row) => thousands(of(row))
})

const span = (title: string, of: (row: Row) => number | undefined): Column<Row> => ({
  title,
  align: "right",
  cell: (row) => {
    const seconds = of(row)
    return seconds === undefined ? "-" : timeSpan(seconds)
  }
})
