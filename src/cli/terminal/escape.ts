/** What a terminal may get of a text that is not ours. */

const escaped = (character: string): string => {
  switch (character) {
    case "\n":
      return "\\n"
    case "\r":
      return "\\r"
    case "\t":
      return "\\t"
    default: {
      const code = character.codePointAt(0) ?? 0
      if (code < 256) return `\\x${code.toString(16).padStart(2, "0")}`
      return code < 65_536 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`
    }
  }
}

/** Escapes every control and formatting character: a terminal would carry it out, or show the text in another order. */
export const escapeControls = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, escaped)

/** The same, but line feeds and tabs stay. */
export const escapeControlsInLines = (text: string): string =>
  text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, escaped)

/** In JSON, escapes the control characters that JSON itself leaves as they are. It stands for the same value. */
export const escapeControlsOfJson = (json: string): string =>
  json.replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`
  )
