/** Says what was done to the jobs of each tube, or would be. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Tally } from "../internal/values/tally.ts"
import { whereIfSeveral } from "./server/servers.ts"
import { tallyText } from "./tally.ts"
import { Output } from "./terminal/output.ts"
import { elapsed } from "./terminal/text.ts"

export type Tallies = Iterable<readonly [tube: string, jobs: Tally]>

/** Says what would be done: `deleted`. */
export const tellCounts = (tallies: Tallies, past: string) =>
  Effect.gen(function*() {
    const { json, lines, printable, records } = yield* Output
    const where = yield* whereIfSeveral
    yield* json
      ? records(Array.from(tallies, ([tube, jobs]) => ({ tube, ...jobs, ...where.record })))
      : lines(
        ...Array.from(
          tallies,
          ([tube, jobs]) => `${printable(tube)}: ${tallyText(jobs)} would be ${past}${where.text}.`
        )
      )
  })

/**
 * What says what was done from now on, `moved`, ` to emails`, and how long it took; and what has stopped it, if it did not end by itself.
 */
export const summarizer = (past: string, to = "") =>
  Effect.gen(function*() {
    const { json, lines, printable, records } = yield* Output
    const where = yield* whereIfSeveral
    const start = yield* Clock.currentTimeMillis
    return (tallies: Tallies, stopped: "interrupted" | "error" | null) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const time = Duration.millis(now - start)
        const seconds = Duration.toSeconds(time)
        return json
          ? records(Array.from(tallies, ([tube, jobs]) => ({ tube, ...jobs, seconds, stopped, ...where.record })))
          : lines(
            ...Array.from(tallies, ([tube, jobs]) =>
              `${printable(tube)}: ${tallyText(jobs)} ${past}${where.text}${to} in ${elapsed(time)}.`)
          )
      })
  })
