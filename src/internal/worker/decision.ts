/** Decides what becomes of a job whose run did not succeed. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as Option from "effect/Option"
import type { PayloadError } from "../../BeanstalkError.ts"
import type { JobId, ReservedJob, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import { annotateLogs, safeLog } from "../base/logging.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import { Event, type JobEvent, type UndecodableAction } from "./events.ts"
import {
  Bury,
  Discard,
  type Failure,
  type Order,
  RetryAfter,
  type RunFailure,
  TookTooLong,
  Undecodable
} from "./failure.ts"
import type { Lease } from "./lease.ts"
import type { FailedRun, RetryDelay } from "./retryDelay.ts"

/** A job that failed for good. */
export interface Exhausted<out A, out E> {
  readonly id: JobId
  readonly tube: TubeName
  /** The number of the run that failed, counted from 1. */
  readonly attempt: number
  readonly payload: A
  readonly cause: Cause.Cause<Failure<E> | Order>
}

/** The options of a worker that say what becomes of a job that failed. See `Worker.Options`. */
export interface FailurePolicy<A, E, R> {
  /** When a job is run again whose handler failed, … */
  readonly retry: RetryDelay<E, R>
  /** … ran for too long, … */
  readonly retryTimeout: RetryDelay<Cause.TimeoutException, R> | undefined
  /** … or died. If that is not retried, the job is buried. */
  readonly retryDefect: RetryDelay<Cause.UnknownException, R> | undefined
  readonly onExhausted: "bury" | "delete" | ((exhausted: Exhausted<A, E>) => Effect.Effect<unknown, unknown, R>)
  readonly onUndecodable: UndecodableAction
  /** The payload is decoded again for `onExhausted`: the handler may have changed the one that it got. */
  readonly decode: (job: ReservedJob) => Effect.Effect<A, PayloadError, R>
}

/** What the server is to do with a job. */
export type Decision = Data.TaggedEnum<{
  Bury: {}
  Delete: {
    /** Whether `onExhausted` has been run with the job. */
    readonly handedOver: boolean
  }
  Release: { readonly delay: Duration.Duration }
}>

export const Decision = Data.taggedEnum<Decision>()

/** A decision, and what it takes to carry it out. */
export interface Settlement<out E> {
  readonly decision: Decision
  /** The priority that the job has and is to keep. */
  readonly priority: number
  /** The event once the server has carried out a decision: out of memory, it buries a job that was to be released. */
  readonly event: (carriedOut: Decision) => JobEvent<E>
}

/** What a job has been through, from the counters of the server. */
export interface JobHistory {
  readonly failures: number
  readonly disconnects: number
  readonly attempt: number
}

export const historyOf = ({ buries, kicks, releases, reserves, timeouts }: JobStats): JobHistory => {
  const failures = releases + timeouts
  // `buries` also counts each restart of a server that found the job buried in its binlog. A kick ended each bury that was one.
  const buried = Math.min(buries, kicks)
  return { failures, disconnects: Math.max(0, reserves - 1 - failures - buried), attempt: failures + 1 }
}

type FailedJob = Pick<Lease, "connection" | "id" | "job" | "reservedAt" | "tube">

export const decide = <A, E, R>(
  policy: FailurePolicy<A, E, R>,
  job: FailedJob,
  stats: JobStats,
  cause: Cause.Cause<RunFailure<E>>
): Effect.Effect<Settlement<E>, never, R> => {
  const undecodable = Cause.find(cause, isUndecodable)
  return Option.isSome(undecodable)
    ? Effect.succeed(undecodableSettlement(policy.onUndecodable, job, stats, undecodable.value))
    : failureSettlement(policy, job, stats, handlerCause(cause))
}

/** A job whose worker's connection was lost too often is buried without being run. */
export const crashLoop = ({ id, tube }: FailedJob, stats: JobStats): Settlement<never> => ({
  decision: Decision.Bury(),
  priority: stats.pri,
  event: () => Event.CrashLoop({ tube, id, disconnects: historyOf(stats).disconnects })
})

/** A job about which `retry` or `onExhausted` did not decide in time is buried, as if they had thrown. */
export const undecided = <E>(
  { id, tube }: FailedJob,
  stats: JobStats,
  cause: Cause.Cause<RunFailure<E>>
): Settlement<E> => ({
  decision: Decision.Bury(),
  priority: stats.pri,
  event: () =>
    Event.Buried<E>({ tube, id, attempt: historyOf(stats).attempt, cause: Cause.map(handlerCause(cause), failureOf) })
})

// ---------------------------------------------------------------------------------------------------------------------
// a body that does not decode
// ---------------------------------------------------------------------------------------------------------------------

const undecodableSettlement = (
  action: UndecodableAction,
  { id, job, tube }: FailedJob,
  stats: JobStats,
  { error }: Undecodable
): Settlement<never> => ({
  decision: undecodableDecision(action, historyOf(stats)),
  priority: stats.pri,
  event: ({ _tag }) => Event.Undecodable({ tube, id, size: job.body.length, error, action: carriedOutAs[_tag] })
})

const carriedOutAs = { Bury: "bury", Delete: "delete", Release: "release" } as const

/** A release is counted as a failure, also for the newer worker that can decode the job: there are few of them. */
const undecodableDecision = (action: UndecodableAction, { failures }: JobHistory): Decision => {
  switch (action) {
    case "bury":
      return Decision.Bury()
    case "delete":
      return Decision.Delete({ handedOver: false })
    case "release":
      return releaseAfter(Duration.minutes(Math.min(10 * 2 ** failures, 24 * 60)))
  }
}

const isUndecodable = <E>(cause: Cause.Cause<E>): Option.Option<Undecodable> =>
  Cause.isFailType(cause) && cause.error instanceof Undecodable ? Option.some(cause.error) : Option.none()

const handlerCause = <E>(cause: Cause.Cause<RunFailure<E>>): Cause.Cause<E | Order | TookTooLong> =>
  Cause.flatMap(cause, (failure) => failure instanceof Undecodable ? Cause.empty : Cause.fail(failure))

const failureOf = <E>(failure: E | Order | TookTooLong): E | Order | Cause.TimeoutException =>
  failure instanceof TookTooLong ? failure.error : failure

// ---------------------------------------------------------------------------------------------------------------------
// a handler that failed
// ---------------------------------------------------------------------------------------------------------------------

const failureSettlement = <A, E, R>(
  policy: FailurePolicy<A, E, R>,
  job: FailedJob,
  stats: JobStats,
  runCause: Cause.Cause<E | Order | TookTooLong>
): Effect.Effect<Settlement<E>, never, R> => {
  const { id, tube } = job
  const cause = Cause.map(runCause, failureOf)
  const { attempt } = historyOf(stats)
  const event = (carriedOut: Decision): JobEvent<E> => {
    switch (carriedOut._tag) {
      case "Bury":
        return Event.Buried<E>({ tube, id, attempt, cause })
      case "Delete":
        return Event.Discarded<E>({ tube, id, attempt, cause, handedOver: carriedOut.handedOver })
      case "Release":
        return Event.Retried<E>({ tube, id, attempt, cause, delay: carriedOut.delay })
    }
  }
  const exhausted = Effect.suspend(() => exhaustedDecision(policy, job, attempt, cause))
  return Effect.map(
    failureDecision(policy, job, stats, runCause, exhausted),
    (decision): Settlement<E> => ({ decision, priority: stats.pri, event })
  )
}

const failureDecision = <A, E, R>(
  { retry, retryDefect, retryTimeout }: FailurePolicy<A, E, R>,
  job: FailedJob,
  stats: JobStats,
  cause: Cause.Cause<E | Order | TookTooLong>,
  exhausted: Effect.Effect<Decision, unknown, R>
): Effect.Effect<Decision, never, R> => {
  const retryDecision = <F>(delayAfter: RetryDelay<F, R> | undefined, failure: F) =>
    delayAfter === undefined
      ? Effect.succeed(Decision.Bury())
      : failedRun(job, stats, failure).pipe(
        Effect.flatMap(delayAfter),
        Effect.flatMap(Option.match({
          onSome: (delay) => Effect.succeed(releaseAfter(delay)),
          onNone: () => exhausted
        })),
        orBury
      )
  const failed = Cause.failureOption(cause)
  if (Option.isNone(failed)) return retryDecision(retryDefect, handlerDied(cause))
  const failure = failed.value
  if (failure instanceof Bury) return Effect.succeed(Decision.Bury())
  if (failure instanceof Discard) return Effect.succeed(Decision.Delete({ handedOver: false }))
  if (failure instanceof RetryAfter) return orBury(Effect.sync(() => releaseAfter(failure.delay)))
  return failure instanceof TookTooLong ? retryDecision(retryTimeout, failure.error) : retryDecision(retry, failure)
}

const failedRun = <E>(
  { connection, id, reservedAt }: FailedJob,
  stats: JobStats,
  failure: E
): Effect.Effect<FailedRun<E>> =>
  Effect.map(monotonicMillis, (now) => ({
    id,
    server: connection.session.server.id,
    attempt: historyOf(stats).attempt,
    failure,
    // The server was asked within the first 300 ms of the run.
    age: stats.age * 1000,
    duration: Math.round(now() - reservedAt),
    delayedBy: stats.delay * 1000
  }))

const exhaustedDecision = <A, E, R>(
  { decode, onExhausted }: FailurePolicy<A, E, R>,
  { id, job, tube }: FailedJob,
  attempt: number,
  cause: Cause.Cause<Failure<E> | Order>
): Effect.Effect<Decision, unknown, R> => {
  if (onExhausted === "bury") return Effect.succeed(Decision.Bury())
  if (onExhausted === "delete") return Effect.succeed(Decision.Delete({ handedOver: false }))
  return decode(job).pipe(
    Effect.flatMap((payload) => onExhausted({ id, tube, attempt, payload, cause })),
    Effect.as(Decision.Delete({ handedOver: true }))
  )
}

const handlerDied = (cause: Cause.Cause<unknown>) => new Cause.UnknownException(Cause.squash(cause), "The handler died")

const log = flow(safeLog, annotateLogs("Worker"))

/** The user's Schedule or Effect may throw. The job is buried then, so that a person can see it. */
const orBury = <E, R>(self: Effect.Effect<Decision, E, R>): Effect.Effect<Decision, never, R> =>
  Effect.catchAllCause(self, (cause) =>
    Effect.as(
      log(Effect.logError("`retry` or `onExhausted` of a worker failed, and the failed job is buried.", cause)),
      Decision.Bury()
    ))

/**
 * With a delay of 0 a job would be ready before younger ones, and the server would not write the release to its binlog. The
 * protocol counts whole seconds, of which it takes 2^32 - 1 at most.
 */
const releaseAfter = (delay: Duration.DurationInput): Decision =>
  Decision.Release({
    delay: Duration.seconds(Math.min(Math.max(Math.ceil(Duration.toSeconds(delay)), 1), 2 ** 32 - 1))
  })
