/** Numbers, sizes and times in words. */
import * as Duration from "effect/Duration"

/** `15,302`. */
export const thousands = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",")

/** `1 job`, `1,200 jobs`. */
export const counted = (number: number, noun: string, plural = `${noun}s`): string =>
  `${thousands(number)} ${number === 1 ? noun : plural}`

/** `1 job was`, `1,200 jobs were`. */
export const countedWere = (number: number, noun: string): string =>
  `${counted(number, noun)} ${number === 1 ? "was" : "were"}`

/** `a`, `a and b`, `a, b and c`. */
export const listed = (words: ReadonlyArray<string>, conjunction: "and" | "or"): string => {
  const last = words.at(-1) ?? ""
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} ${conjunction} ${last}`
}

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
