/** The last line: the keys, or what is typed. */
import { escapeControls } from "../../terminal/escape.ts"
import type { Style } from "../../terminal/style.ts"
import { thousands } from "../../terminal/text.ts"
import { width } from "../../terminal/width.ts"
import { wrapAnywhere } from "../../terminal/wrap.ts"
import { past } from "../act.ts"
import type { Acting, Model, Page } from "../model.ts"
import { line, type Part, spread } from "./line.ts"

type Keys = ReadonlyArray<readonly [key: string, does: string, rank: number]>

const keys: { readonly [Tag in Page["_tag"]]: Keys } = {
  TubesPage: [
    ["↑↓", "move", 9],
    ["⏎", "open", 2],
    ["/", "filter", 3],
    ["s", "sort", 4],
    ["r", "reverse", 8],
    ["space", "mark", 8],
    ["f", "freeze", 7],
    ["+ -", "pace", 10],
    ["k", "kick", 5],
    ["p", "pause", 6],
    ["x", "purge", 6],
    ["m", "move", 6],
    ["?", "help", 1],
    ["q", "quit", 0]
  ],
  TubePage: [
    ["Esc", "back", 2],
    ["↑↓", "move", 9],
    ["⏎", "open", 3],
    ["←→", "state", 3],
    ["u", "look again", 8],
    ["space", "mark", 7],
    ["k", "kick", 5],
    ["b", "bury", 6],
    ["d", "delete", 5],
    ["m", "move", 6],
    ["p", "pause", 8],
    ["x", "purge", 7],
    ["?", "help", 1],
    ["q", "quit", 0]
  ],
  JobPage: [
    ["Esc", "back", 2],
    ["↑↓", "scroll", 5],
    ["k", "kick", 3],
    ["b", "bury", 4],
    ["d", "delete", 3],
    ["m", "move", 4],
    ["?", "help", 1],
    ["q", "quit", 0]
  ]
}

/** One line, or as many as a question or a notice takes: nobody should agree to what is cut. */
export const footer = (model: Model, style: Style): ReadonlyArray<string> => {
  const { acting, notice, page, prompt, size: { columns } } = model
  const bold = (text: string) => wrapAnywhere(` ${escapeControls(text)}`, columns).map(style.bold)
  if (prompt?._tag === "Question") return bold(`${prompt.text} [y/N] `)
  if (prompt !== undefined) return [inputLine(labels[prompt._tag], prompt.text, { columns, style })]
  if (notice !== undefined) return bold(notice)
  if (acting !== undefined) return bold(actingText(acting))
  const parts = keys[page._tag].map(([key, does, rank]): Part => ({ text: `${key} ${does}`, style: style.dim, rank }))
  return [spread([parts], { columns, gap: 2 })]
}

const labels = { Filter: "filter", MoveTo: "move to tube", PauseFor: "pause for (0 ends a pause)" } as const

const actingText = ({ act, done }: Acting): string => `${thousands(done)} ${past(act)} so far. Esc stops.`

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
