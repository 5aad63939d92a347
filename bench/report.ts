import type { CellResult, Disqualified, Ranked } from "./measure.ts"
import type { Spread } from "./statistics.ts"

const columns = ["", "ops/s", "min–max", "to floor", "CPU µs/op", "min–max", "to floor"] as const

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")
const fixed = (digits: number) => (value: number): string => value.toFixed(digits)
const range = ({ min, max }: Spread, format: (value: number) => string): string => `${format(min)}–${format(max)}`

const cells = (ranked: Ranked): Array<string> => [
  ranked.name,
  whole(ranked.opsPerSecond.median),
  range(ranked.opsPerSecond, whole),
  fixed(2)(ranked.opsToFloor.median),
  fixed(1)(ranked.cpuMicrosPerOp.median),
  range(ranked.cpuMicrosPerOp, fixed(1)),
  fixed(2)(ranked.cpuToFloor.median)
]

const isRanked = (contender: Ranked | Disqualified): contender is Ranked => "rounds" in contender

/** One cell as a table, fastest first; whoever was at fault stands below it with the reason. */
export const table = ({ cell, contenders }: CellResult): string => {
  const ranked = contenders.filter(isRanked).toSorted((a, b) => b.opsToFloor.median - a.opsToFloor.median)
  const rows = [columns.slice(), ...ranked.map(cells)]
  const names = contenders.map((contender) => contender.name.length)
  const widths = columns.map((_, column) =>
    Math.max(...(column === 0 ? names : []), ...rows.map((row) => row[column]?.length ?? 0))
  )
  const line = (row: ReadonlyArray<string>): string =>
    row.map((text, column) => {
      const width = widths[column] ?? 0
      return column === 0 ? text.padEnd(width) : text.padStart(width)
    }).join("  ")
  const faults = contenders.flatMap((contender) =>
    isRanked(contender)
      ? []
      : [`${contender.name.padEnd(widths[0] ?? 0)}  ${contender.kind} (round ${contender.round}): ${contender.detail}`]
  )
  const depth = cell.workload === "worker" ? `concurrency ${cell.depth}` : `${cell.depth} in flight`
  const title = `${cell.workload}, ${depth} (${whole(cell.operations)} operations a round)`
  return [title, ...rows.map(line), ...faults].map((text) => text.trimEnd()).join("\n")
}
