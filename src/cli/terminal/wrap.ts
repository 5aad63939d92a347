/** Text on as many lines as it takes. */
import { width } from "./width.ts"

/** Breaks between words. A word that is wider than a line has one of its own. */
export const wrapWords = (text: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && width(line) + 1 + width(word) > columns) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** Breaks after any character, since a body, or the name of a tube, need not have spaces. */
export const wrapAnywhere = (text: string, columns: number): ReadonlyArray<string> => {
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
