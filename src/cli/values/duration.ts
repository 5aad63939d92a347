/** Durations on the command line: `90` (seconds), `90s`, `5m`, `2h30m`, `7d`. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { Value } from "./value.ts"

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const part = /(\d+)(ms|s|m|h|d)/g

const millisOf = (text: string): number | undefined => {
  if (/^\d+$/.test(text)) return Number(text) * 1000
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) return undefined
  return Array.from(text.matchAll(part)).reduce(
    (sum, [, count, unit]) => sum + Number(count) * (milliseconds[unit ?? ""] ?? 0),
    0
  )
}

export const duration: Value<Duration.Duration> = {
  metavar: "DURATION",
  read: (text) => {
    const millis = millisOf(text)
    return millis === undefined
      ? Either.left("is no duration: write 90 (seconds), 90s, 5m, 2h30m or 7d")
      : Either.right(Duration.millis(millis))
  }
}
