/** The keys, in some words. */
import type { Style } from "../../terminal/style.ts"
import { line, pad } from "./line.ts"

const keys: ReadonlyArray<readonly [keys: string, does: string]> = [
  ["↑ ↓", "choose another tube; page up, page down, home and end as well"],
  ["/", "show only tubes whose name contains a text, or matches a pattern with * and ?"],
  ["s", "sort by another column"],
  ["r", "reverse the order"],
  ["f", "freeze: nothing is read until f is pressed again"],
  ["+ -", "read more, or less, often"],
  ["Esc", "show all tubes again"],
  ["Ctrl-L", "write the whole screen again"],
  ["Ctrl-Z", "back to the shell; fg returns"],
  ["q", "quit"]
]

const notes = [
  "IN/s and OUT/s are the jobs put and deleted per second. The bars are the last numbers of ready jobs: the lowest stands for the least " +
  "of them.",
  "Red: jobs are buried. Yellow: jobs are ready, but nobody watches the tube. Dim: the tube is paused.",
  "Tubes that are not on screen are read less often, so that the server spends less than a tenth of its time on them."
]

const keyColumns = 10

/** The lines of a text that is no wider than so many columns. */
const wrapped = (text: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

export const helpLines = (columns: number, style: Style): ReadonlyArray<string> => {
  const room = Math.max(10, columns - keyColumns - 2)
  const described = keys.flatMap(([key, does]) =>
    wrapped(does, room).map((text, index) =>
      line([{ text: ` ${pad(index === 0 ? key : "", keyColumns)}`, style: style.bold }, { text }], columns)
    )
  )
  const explained = notes.flatMap((note) => wrapped(note, Math.max(10, columns - 2))).map((text) => ` ${text}`)
  return [line([{ text: " Keys", style: style.bold }], columns), ...described, "", ...explained]
}
