/** How wide a text is in a terminal. */

/** East Asian wide characters and emoji, which take two columns. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

const widthOf = (character: string): number => {
  if (/\p{M}/u.test(character)) return 0
  return wide.test(character) ? 2 : 1
}

const isPlain = (text: string) => /^[\u0020-\u007e]*$/.test(text)

/** The columns that a text without control characters takes. */
export const width = (text: string): number => {
  if (isPlain(text)) return text.length
  let columns = 0
  for (const character of text) columns += widthOf(character)
  return columns
}

/** Cuts a text to a number of columns. What is cut off is told by `…`. */
export const cut = (text: string, columns: number): string => {
  if (text.length <= columns && isPlain(text)) return text
  if (width(text) <= columns) return text
  let kept = ""
  let room = columns - 1
  for (const character of text) {
    room -= widthOf(character)
    if (room < 0) break
    kept += character
  }
  return `${kept}…`
}

/** Fills a text up with spaces to a number of columns. */
export const pad = (text: string, columns: number, align: "left" | "right" = "left"): string => {
  const space = " ".repeat(Math.max(0, columns - width(text)))
  return align === "left" ? text + space : space + text
}
