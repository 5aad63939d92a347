/** What is to become of a job whose handler did not succeed. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type { PayloadError } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import { safeLog } from "../base/safeLog.ts"
import type { UndecodableAction } from "./events.ts"
import { delayAfter } from "./retryDelay.ts"

export type Verdict = Data.TaggedEnum<{
  Bury: {}
  Delete: {}
  Release: { readonly delay: Duration.Duration }
}>

export const Verdict = Data.taggedEnum<Verdict>()

/**
 * Without a delay a job comes back before younger ones, and what the server has counted is not in its binlog. The protocol
 * knows whole seconds, and no more than 136 years of them.
 */
const release = (delay: Duration.DurationInput): Verdict =>
  Verdict.Release({
    delay: Duration.seconds(Math.min(Math.max(Math.ceil(Duration.toSeconds(delay)), 1), 2 ** 32 - 1))
  })

interface Because {
  readonly reason?: string | undefined
}

/** See `Worker.Bury`. */
export class Bury extends Data.TaggedError("Bury")<Because> {
  constructor(why: Because = {}) {
    super(why)
  }
  override get message() {
    return this.reason ?? "The job is to be buried."
  }
}

/** See `Worker.Discard`. */
export class Discard extends Data.TaggedError("Discard")<Because> {
  constructor(why: Because = {}) {
    super(why)
  }
  override get message() {
    return this.reason ?? "The job is to be deleted."
  }
}

/** See `Worker.RetryAfter`. */
export class RetryAfter extends Data.TaggedError("RetryAfter")<{
  readonly delay: Duration.DurationInput
  readonly reason?: string | undefined
}> {
  override get message() {
    return this.reason ?? `The job is to be run again in ${Duration.format(this.delay)}.`
  }
}

/** What a handler fails with to say itself what is to be done. */
export type Order = Bury | Discard | RetryAfter

/** What a retry Schedule is told of. */
export type Failure<E> = E | Cause.TimeoutException | Cause.UnknownException

/** A body that is not what the tube holds never gets to the handler. */
export class Undecodable {
  readonly error: PayloadError

  constructor(error: PayloadError) {
    this.error = error
  }
}

/** What a job has been through, in the server's own counters. */
export interface Past {
  readonly failures: number
  readonly disconnects: number
  readonly attempt: number
}

export const pastOf = ({ buries, releases, reserves, timeouts }: JobStats): Past => {
  const failures = releases + timeouts
  return { failures, disconnects: Math.max(0, reserves - 1 - failures - buries), attempt: failures + 1 }
}

/** A job that failed, for good. */
export interface Case<out E> {
  readonly id: JobId
  readonly attempt: number
  readonly cause: Cause.Cause<Failure<E> | Order>
}

/** What the user has said about failures. */
export interface Law<E, R> {
  readonly retry: Schedule.Schedule<unknown, Failure<E>, R>
  readonly onDefect: "bury" | "retry"
  /** The Effect does what is to be done in place of burying; then the job is deleted. */
  readonly onExhausted: "bury" | "delete" | ((exhausted: Case<E>) => Effect.Effect<unknown, unknown, R>)
}

/** Whatever the Schedule or the Effect of the user throws: a job that nobody can judge is put aside. */
export const judge = <E, R>(law: Law<E, R>, { attempt, cause, id }: Case<E>): Effect.Effect<Verdict, never, R> => {
  const failed = Cause.failureOption(cause)
  if (Option.isNone(failed) && law.onDefect === "bury") return Effect.succeed(Verdict.Bury())
  const failure = Option.getOrElse(failed, () => thrown(cause))
  if (failure instanceof Bury) return Effect.succeed(Verdict.Bury())
  if (failure instanceof Discard) return Effect.succeed(Verdict.Delete())
  if (failure instanceof RetryAfter) return orBury(Effect.sync(() => release(failure.delay)))
  return delayAfter(law.retry, { id, attempt, failure }).pipe(
    Effect.flatMap(Option.match({
      onSome: (delay) => Effect.succeed(release(delay)),
      onNone: () => exhausted(law, { id, attempt, cause })
    })),
    orBury
  )
}

const exhausted = <E, R>({ onExhausted }: Law<E, R>, found: Case<E>): Effect.Effect<Verdict, never, R> => {
  if (onExhausted === "bury") return Effect.succeed(Verdict.Bury())
  if (onExhausted === "delete") return Effect.succeed(Verdict.Delete())
  return orBury(Effect.as(Effect.suspend(() => onExhausted(found)), Verdict.Delete()))
}

const orBury = <E, R>(self: Effect.Effect<Verdict, E, R>): Effect.Effect<Verdict, never, R> =>
  Effect.catchAllCause(self, (cause) =>
    Effect.as(
      safeLog(Effect.logError("What is to become of a failed job could not be found out; it is buried.", cause)),
      Verdict.Bury()
    ))

/** What is no failure, be it thrown or an interruption, as if it were one. */
const thrown = (cause: Cause.Cause<unknown>) => new Cause.UnknownException(Cause.squash(cause), "The handler died")

/** The verdict on what cannot be read. Given back, it comes again ever later: a newer worker may be able to read it. */
export const judgeUndecodable = (action: UndecodableAction, { failures }: Past): Verdict => {
  switch (action) {
    case "bury":
      return Verdict.Bury()
    case "delete":
      return Verdict.Delete()
    case "release":
      return release(Duration.seconds(Math.min(2 ** failures, 3600)))
  }
}
