/** Numbers in columns of a fixed width. */
import { thousands } from "../terminal/text.ts"

const units = ["k", "M", "G", "T", "P", "E"]

/** `1.23M`: three digits and a unit. */
const short = (number: number): string => {
  const power = Math.min(units.length, Math.floor(Math.log10(number) / 3))
  const value = number / 1000 ** power
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  // Cut, since 9.999 would be rounded to four digits.
  const cut = Math.floor(value * 10 ** digits) / 10 ** digits
  return `${cut.toFixed(digits)}${units[power - 1]}`
}

/** A count in at most so many columns, which are at least 5: `15,302` or `1.23M`. */
export const count = (number: number, columns: number): string => {
  const exact = thousands(number)
  if (exact.length <= columns) return exact
  return number < 0 ? `-${count(-number, columns - 1)}` : short(number)
}

/** Per second, in at most 7 columns: `0.4`, `612.0`, `1,204` or `1.23M`. */
export const rate = (perSecond: number): string =>
  perSecond < 1000 ? perSecond.toFixed(1) : count(Math.round(perSecond), 6)

const bars = "▁▂▃▄▅▆▇█"

/** A line of bars, as many as there are numbers: the lowest for the least, the highest for the largest. */
export const sparkline = (numbers: ReadonlyArray<number>): string => {
  const least = Math.min(...numbers)
  const range = Math.max(...numbers) - least
  const bar = (number: number) => range > 0 ? Math.round(((number - least) / range) * (bars.length - 1)) : 0
  return numbers.map((number) => bars[bar(number)]).join("")
}
