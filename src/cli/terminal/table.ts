/** Aligned tables. */
import { cut, pad, width } from "./width.ts"

export interface Column<in Row> {
  readonly title: string
  /** Default: `left`. Numbers are aligned to the right. */
  readonly align?: "left" | "right"
  /** The text of a cell, without control characters. */
  readonly cell: (row: Row) => string
  /** Colours the text of a cell, which is padded already. */
  readonly style?: (text: string, row: Row) => string
  /** Whether the column is made narrower first when the table is too wide. */
  readonly isFlexible?: boolean
  /** How wide it is at least, so that the parts of a table that is written as its rows come are aligned. */
  readonly atLeast?: number
}

/** A column of numbers. */
export const numeric = <Row>(title: string, cell: (row: Row) => string, atLeast = 0): Column<Row> => ({
  title,
  align: "right",
  atLeast,
  cell
})

export interface TableOptions {
  /** The columns of the terminal; a table is not cut without. */
  readonly columns?: number | undefined
  readonly styleTitle?: (text: string) => string
}

const usualGap = 2

/** Between the columns of a table that would be too wide otherwise. */
const narrowGap = 1

/** What a flexible column keeps, so that one can still tell what is in it. */
const narrowest = 12

/** The lines of a table: its titles, then one for each row. */
export const tableLines = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  rows: ReadonlyArray<Row>,
  options?: TableOptions
): ReadonlyArray<string> => tableParts(columns, options)(rows)

/** A table whose rows come in parts: the lines of each part, those of the first with the titles. Columns may get wider. */
export const tableParts = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  { columns: limit, styleTitle = (text) => text }: TableOptions = {}
): (rows: ReadonlyArray<Row>) => ReadonlyArray<string> => {
  let natural = columns.map(({ atLeast = 0, title }) => Math.max(atLeast, width(title)))
  let isFirst = true
  const isUncut = (index: number) => limit === undefined && index === columns.length - 1

  return (rows) => {
    const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
    natural = natural.map((before, index) =>
      isUncut(index) && columns[index]?.align !== "right"
        ? before
        : cells.reduce((widest, row) => Math.max(widest, width(row[index] ?? "")), before)
    )
    const { gap, widths } = limit === undefined ? { gap: usualGap, widths: natural } : fitted(columns, natural, limit)
    const line = (texts: ReadonlyArray<string>, style: (text: string, index: number) => string): string => {
      let room = limit ?? Number.POSITIVE_INFINITY
      const parts: Array<string> = []
      for (const [index, text] of texts.entries()) {
        const columnWidth = Math.min(widths[index] ?? 0, room)
        if (columnWidth <= 0) break
        const isLast = index === texts.length - 1
        const fitting = limit === undefined ? text : cut(text, columnWidth)
        const { align } = columns[index] ?? {}
        parts.push(style(isLast && align !== "right" ? fitting : pad(fitting, columnWidth, align), index))
        room -= columnWidth + gap
      }
      return parts.join(" ".repeat(gap))
    }
    const titles = isFirst ? [line(columns.map(({ title }) => title), (text) => styleTitle(text))] : []
    isFirst = false
    return [
      ...titles,
      ...rows.map((row, index) =>
        line(cells[index] ?? [], (text, column) => columns[column]?.style?.(text, row) ?? text)
      )
    ]
  }
}

interface Fitted {
  readonly gap: number
  readonly widths: ReadonlyArray<number>
}

const totalOf = ({ gap, widths }: Fitted): number => widths.reduce((sum, each) => sum + each + gap, -gap)

/** Takes what is too much from the flexible columns, and then from the gaps. */
const fitted = (
  columns: ReadonlyArray<Pick<Column<never>, "isFlexible">>,
  natural: ReadonlyArray<number>,
  limit: number
): Fitted => {
  const narrowed = (gap: number): Fitted => {
    let excess = totalOf({ gap, widths: natural }) - limit
    const widths = natural.map((each, index) => {
      if (excess <= 0 || columns[index]?.isFlexible !== true) return each
      const kept = Math.min(each, Math.max(narrowest, each - excess))
      excess -= each - kept
      return kept
    })
    return { gap, widths }
  }
  const usual = narrowed(usualGap)
  return totalOf(usual) <= limit ? usual : narrowed(narrowGap)
}
