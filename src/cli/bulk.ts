/** Acts on many jobs of a tube: how far they are, what they have done, and what is said when they are stopped. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Tally } from "../BeanstalkClient.ts"
import type { Failure } from "./failures.ts"
import { Output } from "./terminal/output.ts"
import { withProgress } from "./terminal/progress.ts"
import type { Terminal } from "./terminal/terminal.ts"
import { counted, elapsed, thousands } from "./terminal/text.ts"

/** Any act on more jobs than this asks first. */
export const askAbove = 1000

export const total = ({ buried, delayed, ready }: Tally): number => ready + delayed + buried

/** `1,200 ready and 37 buried jobs`, `no jobs`. */
export const tallyText = (tally: Tally): string => {
  const parts = (["ready", "delayed", "buried"] as const)
    .filter((state) => tally[state] > 0)
    .map((state) => `${thousands(tally[state])} ${state}`)
  if (parts.length === 0) return "no jobs"
  const last = parts.pop() ?? ""
  return `${parts.length === 0 ? last : `${parts.join(", ")} and ${last}`} ${total(tally) === 1 ? "job" : "jobs"}`
}

export interface BulkOptions<E, R> {
  readonly tube: string
  /** What the progress line begins with: `emails → emails on 10.0.0.6:11300`. */
  readonly title: string
  /** What has happened to the jobs: `deleted`, `moved`. */
  readonly past: string
  /** How many jobs there are, as far as that is known. */
  readonly expected: number
  /** Acts, and tells after every batch what is done by then. */
  readonly act: (onProgress: (done: Tally) => Effect.Effect<void>) => Effect.Effect<Tally, E, R>
}

/**
 * Acts on the jobs of one tube, and writes a summary, however it ends. When it is interrupted, it says on standard error how far it
 * came.
 */
export const bulk = <E extends Failure, R>(
  { act, expected, past, title, tube }: BulkOptions<E, R>
): Effect.Effect<Tally, E | Extract<Failure, { readonly _tag: "PipeClosed" }>, R | Output | Terminal> =>
  Effect.gen(function*() {
    const { json, lines, note, printable, records } = yield* Output
    const start = yield* Clock.currentTimeMillis
    let done: Tally = { ready: 0, delayed: 0, buried: 0 }

    const record = (stopped: "interrupted" | "error" | null) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => json ? records([{ tube, ...done, seconds: (now - start) / 1000, stopped }]) : Effect.void
      )

    const sayInterrupted = Effect.suspend(() => {
      const left = Math.max(0, expected - total(done))
      return note(
        `Interrupted after ${counted(total(done), "job")} ${total(done) === 1 ? "was" : "were"} ${past}. ` +
          `None is lost and none is reserved; ${thousands(left)} ${
            left === 1 ? "is" : "are"
          } left. Run it again to go on.`
      )
    })

    done = yield* withProgress(printable(title), ({ done: show, of }) => {
      of(expected)
      return act((tally) =>
        Effect.sync(() => {
          done = tally
          show(total(tally))
        })
      )
    }).pipe(
      Effect.tapError(() => Effect.ignore(record("error"))),
      Effect.onInterrupt(() => Effect.zipRight(Effect.ignore(record("interrupted")), sayInterrupted))
    )
    const now = yield* Clock.currentTimeMillis
    yield* json
      ? record(null)
      : lines(`${printable(tube)}: ${tallyText(done)} ${past} in ${elapsed(Duration.millis(now - start))}.`)
    return done
  })
