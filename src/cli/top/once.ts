/** Reads all tubes twice, and writes them with their rates. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Client } from "../../BeanstalkClient.ts"
import type { TubeStats } from "../../Stats.ts"
import { statsRecord } from "../record.ts"
import { matchingOrAll } from "../server/tubes.ts"
import { statsOf } from "../server/tubeSamples.ts"
import { Output } from "../terminal/output.ts"
import { type Column, numeric } from "../terminal/table.ts"
import { count, tubeColumns } from "../tubeColumns.ts"
import type { TubePattern } from "../values/tubePattern.ts"
import { measure, type Measured } from "./measure.ts"
import { now } from "./sampling.ts"

export interface OnceOptions {
  readonly tubes: ReadonlyArray<TubePattern>
  /** The time for which the rates are counted. */
  readonly every: Duration.Duration
}

type Tube = Measured<TubeStats>

export const once = (client: Client, { every, tubes }: OnceOptions) =>
  Effect.gen(function*() {
    const output = yield* Output
    const names = yield* matchingOrAll(client, tubes)
    const read = Effect.zip(statsOf(client, names), now)
    const [first, start] = yield* read
    const before = new Map(first.map((stats) => [stats.name, measure(undefined, stats, { at: start, shortest: 0 })]))
    yield* Effect.sleep(every)
    const [second, at] = yield* read
    const rows = second
      .map((stats) => measure(before.get(stats.name), stats, { at, shortest: 0 }))
      .toSorted((one, other) => other.stats.currentJobsReady - one.stats.currentJobsReady)
    yield* output.json ? output.records(rows.map(recordOf)) : output.table(columns(output), rows)
  })

/** A tube that was not there the first time has no rates. */
const recordOf = ({ rates, stats }: Tube) => ({
  ...statsRecord(stats),
  puts_per_second: rates?.in ?? null,
  deletes_per_second: rates?.out ?? null
})

const columns = (output: Output["Type"]): ReadonlyArray<Column<Tube>> => [
  ...tubeColumns(output),
  rate("IN/s", "in"),
  rate("OUT/s", "out"),
  count("WAITING", ({ currentWaiting }) => currentWaiting),
  count("WORKERS", ({ currentWatching }) => currentWatching)
]

const rate = (title: string, of: "in" | "out"): Column<Tube> =>
  numeric(title, ({ rates }) => rates === undefined ? "-" : rates[of].toFixed(1))
