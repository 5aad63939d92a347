/** The last line: the keys, or what is typed. */
import { escapeControls } from "../../terminal/escape.ts"
import type { Style } from "../../terminal/style.ts"
import { width } from "../../terminal/width.ts"
import type { Model } from "../model.ts"
import { line, type Part, spread } from "./line.ts"

const keys: ReadonlyArray<readonly [key: string, does: string, rank: number]> = [
  ["↑↓", "move", 4],
  ["/", "filter", 2],
  ["s", "sort", 3],
  ["r", "reverse", 5],
  ["f", "freeze", 5],
  ["+ -", "pace", 6],
  ["?", "help", 1],
  ["q", "quit", 0]
]

export const footer = ({ prompt, size: { columns } }: Model, style: Style): string =>
  prompt === undefined
    ? spread([keys.map(([key, does, rank]): Part => ({ text: `${key} ${does}`, style: style.dim, rank }))], {
      columns,
      gap: 2
    })
    : inputLine("filter", prompt.text, { columns, style })

/** The end of a text that is typed, and where the next character comes. */
const inputLine = (
  label: string,
  text: string,
  { columns, style }: { readonly columns: number; readonly style: Style }
): string => {
  const start = ` ${label}: `
  const characters = [...escapeControls(text)]
  while (characters.length > 0 && width(start) + width(characters.join("")) >= columns) characters.shift()
  return line(
    [{ text: start, style: style.bold }, { text: characters.join("") }, { text: "_", style: style.inverse }],
    columns
  )
}
