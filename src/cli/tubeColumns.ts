/** The columns that tables of tubes have in common. */
import type { TubeStats } from "../Stats.ts"
import type { Output } from "./terminal/output.ts"
import { type Column, numeric } from "./terminal/table.ts"
import { thousands } from "./terminal/text.ts"

interface Row {
  readonly stats: TubeStats
}

export const count = (title: string, of: (stats: TubeStats) => number): Column<Row> =>
  numeric(title, ({ stats }) => thousands(of(stats)))

/** The name of the tube, and how many jobs it has in which state. */
export const tubeColumns = ({ printable, style }: Output["Type"]): ReadonlyArray<Column<Row>> => [
  { title: "TUBE", cell: ({ stats }) => printable(stats.name), isFlexible: true },
  count("READY", ({ currentJobsReady }) => currentJobsReady),
  count("RESERVED", ({ currentJobsReserved }) => currentJobsReserved),
  count("DELAYED", ({ currentJobsDelayed }) => currentJobsDelayed),
  {
    ...count("BURIED", ({ currentJobsBuried }) => currentJobsBuried),
    style: (text, { stats }) => stats.currentJobsBuried > 0 ? style.red(text) : text
  }
]
