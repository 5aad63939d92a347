/** Text on as many lines as it takes. */
import { width } from "../terminal/width.ts"

/** Breaks after any character, since a body, or the name of a tube, need not have spaces. */
export const wrap = (text: string, columns: number): ReadonlyArray<string> => {
  if (width(text) <= columns) return [text]
  const lines: Array<string> = []
  let line = ""
  let room = columns
  for (const character of text) {
    const taken = width(character)
    if (taken > room) {
      lines.push(line)
      line = ""
      room = columns
    }
    line += character
    room -= taken
  }
  return [...lines, line]
}
