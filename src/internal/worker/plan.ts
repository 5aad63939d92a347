/** What a worker does with a job, as it was told to. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { LeaseLost, PayloadError, ServerError } from "../../BeanstalkError.ts"
import type { ReservedJob, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import {
  type Failure,
  judge,
  judgeUndecodable,
  type Law,
  type Order,
  pastOf,
  Undecodable,
  type Verdict
} from "./decision.ts"
import { Event, type JobEvent, type UndecodableAction } from "./events.ts"
import type { Lease } from "./lease.ts"
import type { Exhausted } from "./options.ts"

/** How a run can fail. */
export type Failed<E> = Failure<E> | Order | Undecodable

/** What is to become of a job. */
export interface Sentence {
  readonly verdict: Verdict
  /** The priority the job has. */
  readonly priority: number
  /** What is told of it when it has become of it. */
  readonly event: (became: Verdict) => JobEvent
}

export interface Plan<E, R> {
  /** Has the handler do its work, if the job can be read. */
  readonly perform: (lease: Lease) => Effect.Effect<unknown, Failed<E>, R | Scope.Scope>
  /** What is to become of a job whose run was no success. */
  readonly judge: (
    lease: Lease,
    cause: Cause.Cause<Failed<E>>
  ) => Effect.Effect<Sentence, LeaseLost | ServerError, R>
  /** Comes before every reserve. */
  readonly gate: Effect.Effect<unknown, never, R> | undefined
  /** How often the worker of a job may die before the job is buried. */
  readonly maxDisconnects: number | undefined
  /** Whether a handler is interrupted whose job is lost. */
  readonly interruptsLost: boolean
}

export interface PlanOptions<A, E, R>
  extends Omit<Law<E, R>, "onExhausted">, Pick<Plan<E, R>, "gate" | "maxDisconnects" | "interruptsLost">
{
  readonly tube: TubeName
  readonly onExhausted:
    | "bury"
    | "delete"
    | ((exhausted: Exhausted<A, E>) => Effect.Effect<unknown, unknown, R>)
  readonly decode: (job: ReservedJob) => Effect.Effect<A, PayloadError, R>
  readonly handle: Handle<A, E, R>
  readonly onUndecodable: UndecodableAction
}

/** What the user wrote for a job. */
export type Handle<A, E, R> = (payload: A, lease: Lease) => Effect.Effect<unknown, E | Order, R | Scope.Scope>

export const make = <A, E, R>(options: PlanOptions<A, E, R>): Plan<E, R> => ({
  gate: options.gate,
  maxDisconnects: options.maxDisconnects,
  interruptsLost: options.interruptsLost,
  perform: (lease) =>
    Effect.matchEffect(options.decode(lease.job), {
      onFailure: (error) => Effect.fail(new Undecodable(error)),
      onSuccess: (payload) => options.handle(payload, lease)
    }),
  judge: (lease, cause) =>
    Effect.flatMap(lease.asked, (stats) => {
      const unread = Option.getOrUndefined(Cause.find(cause, undecodable))
      return unread === undefined
        ? sentenceFailed(lawOf(options, lease), lease, stats, Cause.flatMap(cause, readable))
        : Effect.succeed(sentenceUndecodable(options, lease, stats, unread))
    })
})

/** The law as it is for one job, which has a payload. */
const lawOf = <A, E, R>(
  { decode, onDefect, onExhausted, retry, tube }: PlanOptions<A, E, R>,
  { job }: Lease
): Law<E, R> => ({
  retry,
  onDefect,
  onExhausted: typeof onExhausted === "string"
    ? onExhausted
    : (found) => Effect.flatMap(decode(job), (payload) => onExhausted({ ...found, tube, payload }))
})

const sentenceUndecodable = (
  { onUndecodable: action }: { readonly onUndecodable: UndecodableAction },
  { id, job, tube }: Lease,
  stats: JobStats,
  { error }: Undecodable
): Sentence => ({
  verdict: judgeUndecodable(action, pastOf(stats)),
  priority: stats.pri,
  event: () => Event.Undecodable({ tube, id, size: job.body.length, error, action })
})

const sentenceFailed = <E, R>(
  law: Law<E, R>,
  { id, tube }: Lease,
  stats: JobStats,
  cause: Cause.Cause<Failure<E> | Order>
): Effect.Effect<Sentence, never, R> => {
  const { attempt } = pastOf(stats)
  const event = (became: Verdict): JobEvent => {
    switch (became._tag) {
      case "Bury":
        return Event.Buried({ tube, id, attempt, cause })
      case "Delete":
        return Event.Discarded({ tube, id, attempt, cause })
      case "Release":
        return Event.Retried({ tube, id, attempt, cause, delay: became.delay })
    }
  }
  return Effect.map(judge(law, { id, attempt, cause }), (verdict) => ({ verdict, priority: stats.pri, event }))
}

const undecodable = <E>(cause: Cause.Cause<E>): Option.Option<Undecodable> =>
  Cause.isFailType(cause) && cause.error instanceof Undecodable ? Option.some(cause.error) : Option.none()

const readable = <E>(failure: Failed<E>): Cause.Cause<Failure<E> | Order> =>
  failure instanceof Undecodable ? Cause.empty : Cause.fail(failure)
