import type { CellResult, Ranked, Ratios } from "./measure.ts"
import type { Metric } from "./rounds.ts"
import type { Cell } from "./runner.ts"
import type { Spread } from "./statistics.ts"
import { isWorkerWorkload } from "./workload.ts"

export const whole = (value: number): string => Math.round(value).toLocaleString("en-US")
export const fixed = (digits: number) => (value: number): string => value.toFixed(digits)

const range = ({ min, max }: Spread, format: (value: number) => string): string => `${format(min)}–${format(max)}`

/** Columns of text, the first aligned to the left and the others to the right. */
export const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): Array<string> => {
  const widths: Array<number> = []
  for (const row of rows) row.forEach((text, column) => widths[column] = Math.max(widths[column] ?? 0, text.length))
  const cell = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)
  return rows.map((row) => row.map(cell).join("  ").trimEnd())
}

export const titleOf = ({ depth, operations, workload }: Cell): string => {
  const atOnce = isWorkerWorkload(workload) ? `concurrency ${depth}` : `${depth} in flight`
  return `${workload}, ${atOnce} (${whole(operations)} operations a round)`
}

const columns = ["", "ops/s", "min–max", "to floor", "to peer", "CPU µs/op", "min–max", "to floor", "to peer"]

const ratio = (ratios: Ratios | undefined, metric: Metric): string =>
  ratios === undefined ? "" : fixed(2)(ratios[metric].median)

const rowOf = ({ name, toBestPeer, toFloor, values: { cpuMicrosPerOp, opsPerSecond } }: Ranked): Array<string> => [
  name,
  whole(opsPerSecond.median),
  range(opsPerSecond, whole),
  ratio(toFloor, "opsPerSecond"),
  ratio(toBestPeer, "opsPerSecond"),
  fixed(1)(cpuMicrosPerOp.median),
  range(cpuMicrosPerOp, fixed(1)),
  ratio(toFloor, "cpuMicrosPerOp"),
  ratio(toBestPeer, "cpuMicrosPerOp")
]

/** One cell as a table, fastest first; below it the excluded contenders, each with the reason. */
export const table = ({ bestPeer, cell, excluded, ranked }: CellResult): string => {
  const rows = ranked.toSorted((a, b) => b.toFloor.opsPerSecond.median - a.toFloor.opsPerSecond.median).map(rowOf)
  const reasons = excluded.map(({ detail, kind, name, round }) => `${name}: ${kind} (round ${round}), ${detail}`)
  const peer = bestPeer === undefined ? [] : [`peer: ${bestPeer}, the fastest of the other clients`]
  return [titleOf(cell), ...aligned([columns, ...rows]), ...reasons, ...peer].join("\n")
}
