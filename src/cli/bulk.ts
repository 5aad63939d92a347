/** Acts on many jobs: asks before, tells how far it is, and says what was done, also when it is stopped. */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Tally } from "../BeanstalkClient.ts"
import type { ReachExceeded } from "../BeanstalkError.ts"
import { type Failure, NothingThere, type PipeClosed, Stopped } from "./failures.ts"
import { notAllFound } from "./selection/notAllFound.ts"
import { nothing, sum, tallyText, total } from "./tally.ts"
import { Output } from "./terminal/output.ts"
import { withProgress } from "./terminal/progress.ts"
import { confirm } from "./terminal/prompt.ts"
import type { Terminal } from "./terminal/terminal.ts"
import { counted, elapsed, thousands } from "./terminal/text.ts"

/** Any act on more jobs than this asks first. */
export const askAbove = 1000

/** Runs after every batch, with what is done by then. */
export type OnProgress = (done: Tally) => Effect.Effect<void>

/** What is to be done to the jobs of one tube. */
export interface Part<out E, out R> {
  readonly tube: string
  /** How many jobs there are, as far as that is known. */
  readonly count: Tally
  readonly act: (onProgress: OnProgress) => Effect.Effect<Tally, E, R>
}

export interface Bulk<out E, out R> {
  readonly parts: ReadonlyArray<Part<E, R>>
  /** `Delete`: begins the question. */
  readonly verb: string
  /** `deleted`: what has happened to the jobs. */
  readonly past: string
  /** ` to emails on 10.0.0.6:11300`: where the jobs go. */
  readonly to?: string
  readonly address: string
  /** Whether it asks whatever the number of jobs. */
  readonly alwaysAsks: boolean
  readonly yes: boolean
  readonly dryRun: boolean
  /** That there are no such jobs. */
  readonly none: string
  /** What may have happened to the last jobs if the connection was lost. */
  readonly doubt?: string
  /** Not all jobs were found: the command fails at the end. */
  readonly exceeded?: ReachExceeded | undefined
}

/**
 * Acts on the jobs of one tube after the other, and writes a summary for each, however it ends. When it is interrupted, it says on
 * standard error how far it came.
 */
export const bulk = <E extends Failure, R>(
  options: Bulk<E, R>
): Effect.Effect<void, Failure, R | Output | Terminal> =>
  Effect.gen(function*() {
    const { address, alwaysAsks, dryRun, exceeded, none, past, to = "", verb, yes } = options
    const { json, lines, note, printable, records } = yield* Output
    const parts = options.parts.filter(({ count }) => total(count) > 0)
    const all = sum(parts.map(({ count }) => count))
    if (exceeded !== undefined && (dryRun || parts.length > 0)) yield* note(`beanstalk: ${notAllFound(exceeded)}`)
    if (parts.length === 0) {
      return yield* exceeded === undefined
        ? new NothingThere({ message: none })
        : stoppedAt(exceeded)
    }
    if (dryRun) {
      yield* json
        ? records(parts.map(({ count, tube }) => ({ tube, ...count })))
        : lines(...parts.map(({ count, tube }) => `${printable(tube)}: ${tallyText(count)} would be ${past}.`))
    } else {
      const tubes = parts.length === 1 ? `tube ${parts[0]?.tube}` : `${parts.length} tubes`
      if (alwaysAsks || total(all) > askAbove) {
        yield* confirm(`${verb} ${tallyText(all)} of ${tubes} on ${address}${to}?`, { yes })
      }
      yield* Effect.reduce(parts, nothing, (before, part) =>
        Effect.map(actOn(part, { ...options, before, all }), (done) =>
          sum([before, done])))
    }
    if (exceeded !== undefined) {
      return yield* stoppedAt(exceeded)
    }
  })

const stoppedAt = (exceeded: ReachExceeded) => new Stopped({ message: notAllFound(exceeded), cause: exceeded })

interface Acting extends Omit<Bulk<never, never>, "parts"> {
  /** What was done to the tubes before. */
  readonly before: Tally
  readonly all: Tally
}

const actOn = <E extends Failure, R>(
  { act, count, tube }: Part<E, R>,
  { all, before, doubt, past, to = "" }: Acting
): Effect.Effect<Tally, Failure, R | Output | Terminal> =>
  Effect.gen(function*() {
    const { json, lines, note, printable, records } = yield* Output
    const start = yield* Clock.currentTimeMillis
    let done = nothing

    const record = (stopped: "interrupted" | "error" | null): Effect.Effect<void, PipeClosed> =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => json ? records([{ tube, ...done, seconds: (now - start) / 1000, stopped }]) : Effect.void
      )
    const soFar = () => total(before) + total(done)
    const howFar = () => `after ${counted(soFar(), "job")} ${soFar() === 1 ? "was" : "were"} ${past}`
    const whatIsLeft = () => {
      const left = Math.max(0, total(all) - soFar())
      return `${thousands(left)} ${left === 1 ? "is" : "are"} left. Run it again to go on.`
    }
    const inWords = (error: E): Failure => {
      const cause = error._tag === "BulkStopped" ? error.cause : error
      if (soFar() === 0) return cause
      const maybe = doubt !== undefined && cause._tag === "ConnectionLost" ? ` ${doubt}` : ""
      return new Stopped({ message: `stopped ${howFar()}: ${cause.message}${maybe} ${whatIsLeft()}`, cause })
    }

    done = yield* withProgress(`${printable(tube)}${to}`, ({ done: show, of }) => {
      of(total(count))
      return act((tally) =>
        Effect.sync(() => {
          done = tally
          show(total(tally))
        })
      )
    }).pipe(
      Effect.tapError(() => Effect.ignore(record("error"))),
      Effect.mapError(inWords),
      Effect.onInterrupt(() =>
        Effect.zipRight(
          Effect.ignore(record("interrupted")),
          Effect.suspend(() => note(`Interrupted ${howFar()}. None is lost and none is reserved; ${whatIsLeft()}`))
        )
      )
    )
    const now = yield* Clock.currentTimeMillis
    yield* json
      ? record(null)
      : lines(`${printable(tube)}: ${tallyText(done)} ${past}${to} in ${elapsed(Duration.millis(now - start))}.`)
    return done
  })

/** What became of a batch. */
export interface Batch<out E> {
  readonly done: Tally
  /** Why it was not done for all of them. */
  readonly failure: Option.Option<E>
}

/** Acts on jobs in batches, none of which is interrupted. */
export const inBatches = <A, E, E2, R>(
  jobs: ReadonlyArray<A>,
  size: number,
  onProgress: OnProgress,
  act: (batch: ReadonlyArray<A>) => Effect.Effect<Batch<E>, E2, R>
): Effect.Effect<Tally, E | E2, R> =>
  Effect.reduce(Arr.chunksOf(jobs, size), nothing, (before, batch) =>
    Effect.gen(function*() {
      const { done, failure } = yield* act(batch)
      const all = sum([before, done])
      yield* onProgress(all)
      return yield* Option.match(failure, { onNone: () => Effect.succeed(all), onSome: Effect.fail })
    }).pipe(Effect.uninterruptible))
