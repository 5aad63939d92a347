/** The table of tubes. */
import type { TubeStats } from "../../../Stats.ts"
import { escapeControls } from "../../terminal/escape.ts"
import type { Style } from "../../terminal/style.ts"
import { timeSpan } from "../../terminal/text.ts"
import { pad, width } from "../../terminal/width.ts"
import { count, rate, sparkline } from "../format.ts"
import { onScreen } from "../list.ts"
import { type Measured, samplesKept } from "../measure.ts"
import type { Model } from "../model.ts"
import type { TubeRow } from "../tubeTable.ts"
import { line, type Piece } from "./line.ts"

type Tube = Measured<TubeStats>

interface Column {
  readonly title: string
  readonly columns: number
  readonly align: "left" | "right"
  readonly text: (tube: Tube) => string
  readonly style?: (tube: Tube, style: Style) => ((text: string) => string) | undefined
  /** Columns with the highest rank are left out first where there is no room for all. */
  readonly rank: number
}

const counts = (title: string, columns: number, rank: number, of: (stats: TubeStats) => number): Column => ({
  title,
  columns,
  align: "right",
  text: ({ stats }) => count(of(stats), columns),
  rank
})

const rates = (title: string, rank: number, of: "in" | "out"): Column => ({
  title,
  columns: 7,
  align: "right",
  text: (tube) => tube.rates === undefined ? "-" : rate(tube.rates[of]),
  rank
})

const lacksWorker = ({ stats }: Tube) => stats.currentJobsReady > 0 && stats.currentWatching === 0

const columns: ReadonlyArray<Column> = [
  {
    ...counts("READY", 9, 0, (stats) => stats.currentJobsReady),
    style: (tube, { yellow }) => lacksWorker(tube) ? yellow : undefined
  },
  {
    title: "",
    columns: samplesKept,
    align: "left",
    text: ({ ready }) => pad(sparkline(ready), samplesKept, "right"),
    rank: 8
  },
  counts("RESERVED", 8, 4, (stats) => stats.currentJobsReserved),
  counts("DELAYED", 7, 5, (stats) => stats.currentJobsDelayed),
  {
    ...counts("BURIED", 7, 1, (stats) => stats.currentJobsBuried),
    style: ({ stats }, { red }) => stats.currentJobsBuried > 0 ? red : undefined
  },
  rates("IN/s", 2, "in"),
  rates("OUT/s", 3, "out"),
  counts("WAITING", 7, 7, (stats) => stats.currentWaiting),
  counts("WORKERS", 7, 6, (stats) => stats.currentWatching),
  {
    title: "",
    columns: 9,
    align: "left",
    text: (tube) => lacksWorker(tube) ? "no worker" : "",
    style: (tube, { yellow }) => lacksWorker(tube) ? yellow : undefined,
    rank: 9
  }
]

/** What the name of a tube keeps at least. */
const narrowestName = 12

/** What it keeps before the columns are shown that are missed least, which are those from this rank on. */
const usualName = 18

const missedLeast = 7

/** Names of tubes often begin alike: the end is kept, too. They have no wide characters. */
const cutInTheMiddle = (name: string, columns: number): string => {
  if (name.length <= columns) return name
  const end = Math.floor((columns - 1) / 2)
  return `${name.slice(0, columns - 1 - end)}…${name.slice(name.length - end)}`
}

/** What stands before the name: whether the row is chosen, and whether it is marked. */
const markerColumns = 2

interface Layout {
  readonly shown: ReadonlyArray<Column>
  readonly nameColumns: number
  readonly gap: number
}

const layoutOf = (total: number, longestName: number): Layout => {
  const gap = total < 100 ? 1 : 2
  const wanted = Math.max(longestName, narrowestName)
  let room = total - markerColumns - narrowestName
  const shown = new Set<Column>()
  for (const column of columns.toSorted((one, other) => one.rank - other.rank)) {
    const kept = column.rank < missedLeast ? 0 : Math.min(wanted, usualName) - narrowestName
    if (room - kept < column.columns + gap) break
    room -= column.columns + gap
    shown.add(column)
  }
  return {
    shown: columns.filter((column) => shown.has(column)),
    nameColumns: Math.min(wanted, narrowestName + Math.max(0, room)),
    gap
  }
}

const pauseOf = ({ measured }: TubeRow): string =>
  measured === undefined || measured.stats.pause === 0
    ? ""
    : ` ⏸${timeSpan(measured.stats.pauseTimeLeft).replace(" ", "")}`

/** For a pause, so that the table keeps its columns when a tube is paused. */
const pauseColumns = 7

const longestName = (rows: ReadonlyArray<TubeRow>): number =>
  rows.reduce((longest, { name }) => Math.max(longest, name.length), 0) + pauseColumns

/** The titles, and a line for each tube on screen. */
export const tubeLines = ({ size, tubes }: Model, style: Style): ReadonlyArray<string> => {
  const { cursor, marked, rows } = tubes
  const layout = layoutOf(size.columns, longestName(rows))
  const titles = [
    " ".repeat(markerColumns) + pad("TUBE", layout.nameColumns),
    ...layout.shown.map(({ align, columns, title }) => " ".repeat(layout.gap) + pad(title, columns, align))
  ].map((text) => ({ text, style: style.bold }))
  const lines = onScreen(tubes).map((row, index) =>
    tubeLine(row, layout, {
      isChosen: cursor.offset + index === cursor.index,
      isMarked: marked.has(row.name),
      columns: size.columns,
      style
    })
  )
  return [line(titles, size.columns), ...lines.length === 0 ? [line([{ text: noneText(tubes) }], size.columns)] : lines]
}

const noneText = ({ filter, tracked }: Model["tubes"]): string => {
  if (filter !== "" && tracked.size > 0) return `  no tube matches ${escapeControls(filter)}`
  return "  no tubes yet"
}

interface RowOptions {
  readonly isChosen: boolean
  readonly isMarked: boolean
  readonly columns: number
  readonly style: Style
}

const tubeLine = (row: TubeRow, layout: Layout, { columns, isChosen, isMarked, style }: RowOptions): string => {
  const { gap, nameColumns, shown } = layout
  const { measured } = row
  const pause = pauseOf(row)
  const name = cutInTheMiddle(row.name, nameColumns - width(pause)) + pause
  const marker = `${isChosen ? ">" : " "}${isMarked ? "*" : " "}`
  const pieces: ReadonlyArray<Piece> = [
    { text: marker + pad(name, nameColumns) },
    ...shown.map((column) => ({
      text: " ".repeat(gap) + pad(measured === undefined ? "" : column.text(measured), column.columns, column.align),
      style: measured === undefined ? undefined : column.style?.(measured, style)
    }))
  ]
  const text = line(pieces, columns)
  if (isChosen) return style.inverse(text)
  return pause === "" ? text : style.dim(text)
}
