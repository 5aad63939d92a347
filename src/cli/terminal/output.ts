/** What a command writes: data on standard output, as text for people or as JSON Lines, and all else on standard error. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PipeClosed, Stopped } from "../failures.ts"
import { escapeControls, escapeControlsInLines, escapeControlsOfJson } from "./escape.ts"
import { type Style, styleOf } from "./style.ts"
import { type Column, tableLines, tableParts } from "./table.ts"
import { Terminal } from "./terminal.ts"

export interface OutputOptions {
  readonly json: boolean
  readonly color: "auto" | "never"
}

export class Output extends Context.Tag("effect-beanstalk/cli/Output")<Output, {
  /** Whether data is written as JSON Lines. */
  readonly json: boolean
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean
  /** The width of the terminal that standard output is, if it is one. */
  readonly columns: () => number | undefined
  /** Changes nothing unless standard output is a terminal that may have colours. */
  readonly style: Style
  /** Text of a job or a server, on one line: its control characters are escaped for a terminal, and stay in a pipe. */
  readonly printable: (text: string) => string
  /** The same for text of several lines. */
  readonly printableLines: (text: string) => string
  readonly lines: (...lines: ReadonlyArray<string>) => Effect.Effect<void, PipeClosed | Stopped>
  readonly bytes: (chunk: Uint8Array) => Effect.Effect<void, PipeClosed | Stopped>
  /** Objects as JSON, one a line. */
  readonly records: (records: ReadonlyArray<object>) => Effect.Effect<void, PipeClosed | Stopped>
  readonly table: <Row>(
    columns: ReadonlyArray<Column<Row>>,
    rows: ReadonlyArray<Row>
  ) => Effect.Effect<void, PipeClosed | Stopped>
  /** A table whose rows come in parts, as they are found. The titles are written with the first. */
  readonly tableParts: <Row>(
    columns: ReadonlyArray<Column<Row>>
  ) => (rows: ReadonlyArray<Row>) => Effect.Effect<void, PipeClosed | Stopped>
  /** A line on standard error, for people. */
  readonly note: (line: string) => Effect.Effect<void>
}>() {}

export const jsonLines = (records: ReadonlyArray<object>): string =>
  records.map((record) => `${escapeControlsOfJson(JSON.stringify(record))}\n`).join("")

export const layer = ({ color, json }: OutputOptions): Layer.Layer<Output, never, Terminal> =>
  Layer.effect(
    Output,
    Effect.map(Terminal, ({ env, stderr, stdout }) => {
      const { isTerminal } = stdout
      const style = styleOf(stdout, env, color)
      const columns = () => isTerminal ? stdout.columns() : undefined
      const lines = (...lines: ReadonlyArray<string>) =>
        lines.length === 0 ? Effect.void : stdout.write(`${lines.join("\n")}\n`)
      return {
        json,
        isTerminal,
        columns,
        style,
        printable: isTerminal ? escapeControls : (text) => text,
        printableLines: isTerminal ? escapeControlsInLines : (text) => text,
        lines,
        bytes: stdout.write,
        records: (records) => records.length === 0 ? Effect.void : stdout.write(jsonLines(records)),
        table: (titles, rows) => lines(...tableLines(titles, rows, { columns: columns(), styleTitle: style.bold })),
        tableParts: <Row>(titles: ReadonlyArray<Column<Row>>) => {
          const part = tableParts(titles, { columns: columns(), styleTitle: style.bold })
          return (rows: ReadonlyArray<Row>) => lines(...part(rows))
        },
        note: (line) => Effect.ignore(stderr.write(`${stderr.isTerminal ? escapeControlsInLines(line) : line}\n`))
      }
    })
  )
