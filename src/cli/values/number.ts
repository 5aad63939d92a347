/** Whole numbers on the command line. */
import * as Either from "effect/Either"
import type { Value } from "./value.ts"

const factors: Readonly<Record<string, number>> = { "": 1, k: 1000, K: 1000, M: 1_000_000 }

/** A number of something: `1000`, `10k`, `1M`. */
export const count: Value<number> = {
  metavar: "N",
  read: (text) => {
    const [, digits, unit] = /^(\d+)([kKM]?)$/.exec(text) ?? []
    const number = Number(digits) * (factors[unit ?? ""] ?? 1)
    return Number.isSafeInteger(number) ? Either.right(number) : Either.left("is no number: write 1000, 10k or 1M")
  }
}

/** A count that is not zero. */
export const positiveCount: Value<number> = {
  ...count,
  read: (text) =>
    Either.filterOrLeft(count.read(text), (number) => number > 0, (number) => `is ${number}: give at least 1`)
}

const largestPriority = 2 ** 32 - 1

export const priority: Value<number> = {
  metavar: "PRI",
  read: (text) => {
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
    return number <= largestPriority
      ? Either.right(number)
      : Either.left(`is no priority: give 0, the most urgent, to ${largestPriority}`)
  }
}

export const port: Value<number> = {
  metavar: "PORT",
  read: (text) => {
    const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
    return number < 65_536 ? Either.right(number) : Either.left("is no port: give 0 to 65535")
  }
}
