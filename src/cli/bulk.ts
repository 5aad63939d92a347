/** Acts on many jobs: asks before, tells how far it is, and says what was done, also when it is stopped. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { nothing, sum, type Tally, total } from "../internal/values/tally.ts"
import { type Failure, NothingThere, Stopped } from "./failures.ts"
import { notAllFound } from "./selection/notAllFound.ts"
import type { Selected, Selecting } from "./selection/select.ts"
import type { Servers } from "./server/servers.ts"
import { summarizer, tellCounts } from "./summary.ts"
import { tallyText } from "./tally.ts"
import { Output } from "./terminal/output.ts"
import { withProgress } from "./terminal/progress.ts"
import { askAbove, confirm } from "./terminal/prompt.ts"
import type { Terminal } from "./terminal/terminal.ts"
import { countedWere, thousands } from "./terminal/text.ts"

/** What a command that acts on selected jobs ends with, where that is not what the codes mean for all commands. */
export const exits = { 1: "there are no such jobs", 4: "stopped midway, or not all jobs were found" }

/** Runs after every batch, with what is done by then. */
export type OnProgress = (done: Tally) => Effect.Effect<void>

export interface Act<in A, out E, out R> {
  /** Acts on the jobs of one tube. */
  readonly run: (jobs: Selected<A>, onProgress: OnProgress) => Effect.Effect<Tally, E, R>
  /** `Delete`: begins the question. */
  readonly verb: string
  /** `deleted`: what has happened to the jobs. */
  readonly past: string
  /** ` to emails on 10.0.0.6:11300`: where the jobs go. */
  readonly to?: string
  /** Whether it asks whatever the number of jobs. */
  readonly alwaysAsks?: boolean
  /** What may have happened to the last jobs if the connection was lost. */
  readonly doubt?: string
}

export interface BulkOptions<out A> {
  /** Where the jobs are. */
  readonly address: string
  readonly selected: Selecting<A>
  readonly yes: boolean
  readonly dryRun: boolean
}

/**
 * Acts on the jobs of one tube after the other, and writes a summary for each, however it ends. When it is interrupted, it says on
 * standard error how far it came. Fails at the end if not all jobs were found.
 */
export const bulk = <A, E extends Failure, R>(
  { address, dryRun, selected: { exceeded, none, parts }, yes }: BulkOptions<A>,
  act: Act<A, E, R>
): Effect.Effect<void, Failure, R | Servers | Output | Terminal> =>
  Effect.gen(function*() {
    const notAll = exceeded === undefined ? undefined : notAllFound(exceeded)
    if (parts.length === 0) return yield* notAll ?? new NothingThere({ message: none })
    const { note } = yield* Output
    // Before the question, since the answer may depend on it.
    if (notAll !== undefined) yield* note(`beanstalk: ${notAll.message}`)
    if (dryRun) yield* tellCounts(parts.map(({ count, tube }) => [tube, count] as const), act.past)
    else {
      yield* ask(parts, act, { address, yes })
      yield* actOnAll(parts, act)
    }
    if (notAll !== undefined) return yield* notAll
  })

type Parts<A> = ReadonlyArray<Selected<A>>

const countOf = (parts: Parts<unknown>): Tally => sum(parts.map(({ count }) => count))

const ask = (
  parts: Parts<unknown>,
  { alwaysAsks = false, to = "", verb }: Pick<Act<never, unknown, unknown>, "alwaysAsks" | "to" | "verb">,
  { address, yes }: { readonly address: string; readonly yes: boolean }
) => {
  const count = countOf(parts)
  const tubes = parts.length === 1 ? `tube ${parts[0]?.tube}` : `${parts.length} tubes`
  return alwaysAsks || total(count) > askAbove
    ? confirm(`${verb} ${tallyText(count)} of ${tubes} on ${address}${to}?`, { yes })
    : Effect.void
}

const actOnAll = <A, E extends Failure, R>(parts: Parts<A>, act: Act<A, E, R>) => {
  const all = total(countOf(parts))
  return Effect.reduce(
    parts,
    0,
    (before, part) => Effect.map(actOn(part, act, { all, before }), (done) => before + total(done))
  ).pipe(
    Effect.filterOrFail(
      (done) => done > 0,
      () => new NothingThere({ message: `no job was ${act.past}: by then they were gone, or in another state.` })
    )
  )
}

/** How many jobs there are in all tubes, and in how many of them it was done before. */
interface Extent {
  readonly all: number
  readonly before: number
}

const actOn = <A, E extends Failure, R>(
  part: Selected<A>,
  act: Act<A, E, R>,
  { all, before }: Extent
): Effect.Effect<Tally, Failure, R | Servers | Output | Terminal> =>
  Effect.gen(function*() {
    const { json, note, printable } = yield* Output
    const summarize = yield* summarizer(act.past, act.to)
    let done = nothing
    // Only records tell of an act that was stopped: an error, or a note, does for people.
    const summary = (stopped: "interrupted" | "error" | null) =>
      json || stopped === null ? summarize([[part.tube, done]], stopped) : Effect.void
    const soFar = () => before + total(done)
    const howFar = () => `after ${countedWere(soFar(), "job")} ${act.past}`
    const goOn = () => {
      const left = Math.max(0, all - soFar())
      return `${thousands(left)} ${left === 1 ? "is" : "are"} left. Run it again to go on.`
    }
    const stopped = (error: E): Failure => {
      const cause = error._tag === "BulkStopped" ? error.cause : error
      const isInDoubt = act.doubt !== undefined && cause._tag === "ConnectionLost" && cause.outcome === "Unknown"
      if (soFar() === 0 && !isInDoubt) return cause
      const doubt = isInDoubt ? ` ${act.doubt}` : ""
      return new Stopped({ message: `stopped ${howFar()}: ${cause.message}${doubt} ${goOn()}`, cause })
    }

    done = yield* withProgress(`${printable(part.tube)}${act.to ?? ""}`, ({ done: show, of }) => {
      of(total(part.count))
      return act.run(part, (tally) =>
        Effect.sync(() => {
          done = tally
          show(total(tally))
        }))
    }).pipe(
      Effect.tapError(() => Effect.ignore(summary("error"))),
      Effect.mapError(stopped),
      Effect.onInterrupt(() =>
        Effect.zipRight(
          Effect.ignore(summary("interrupted")),
          note(`Interrupted ${howFar()}. None is lost and none is reserved; ${goOn()}`)
        )
      )
    )
    yield* summary(null)
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
