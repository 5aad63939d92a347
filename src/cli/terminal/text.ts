/** Text for people: what a terminal may get, how wide it is, and numbers, sizes and times in words. */
import * as Duration from "effect/Duration"

// What a terminal may get

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

// How wide it is

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

// Numbers, sizes and times

/** `15,302`. */
export const thousands = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",")

/** `1 job`, `1,200 jobs`. */
export const counted = (number: number, noun: string, plural = `${noun}s`): string =>
  `${thousands(number)} ${number === 1 ? noun : plural}`

/** `1 job was`, `1,200 jobs were`. */
export const countedWere = (number: number, noun: string): string =>
  `${counted(number, noun)} ${number === 1 ? "was" : "were"}`

/** `10 MiB`. */
export const binarySize = (bytes: number): string => {
  const power = bytes < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${["bytes", "KiB", "MiB", "GiB"][power]}`
}

const two = (number: number) => String(number).padStart(2, "0")

/** The two largest units of a time in seconds: `45s`, `4m 12s`, `3h 12m`, `12d 4h`. */
export const timeSpan = (seconds: number): string => {
  if (seconds < 0) return `-${timeSpan(-seconds)}`
  const total = Math.round(seconds)
  const [large, small, units, padded] = total < 120
    ? [total, 0, ["s", ""], false]
    : total < 3600
    ? [Math.floor(total / 60), total % 60, ["m", "s"], true]
    : total < 86_400
    ? [Math.floor(total / 3600), Math.floor(total / 60) % 60, ["h", "m"], true]
    : [Math.floor(total / 86_400), Math.floor(total / 3600) % 24, ["d", "h"], false]
  const rest = small === 0 ? "" : ` ${padded ? two(small) : small}${units[1]}`
  return `${large}${units[0]}${rest}`
}

/** A time that was measured: `3 ms`, `0.4 s`, `12.0 s`, `4m 12s`. */
export const elapsed = (duration: Duration.Duration): string => {
  const seconds = Duration.toSeconds(duration)
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`
  return seconds < 100 ? `${seconds.toFixed(1)} s` : timeSpan(seconds)
}
