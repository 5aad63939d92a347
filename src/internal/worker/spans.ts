/**
 * A span for each job, from when it can be read until its handler has ended.
 *
 * It is handed in only when it is known what has become of the job, a round trip later, but tells of the time before.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { PayloadError } from "../../BeanstalkError.ts"
import type { ReservedJob, TubeName } from "../../Job.ts"
import type { Received } from "../envelope.ts"
import * as Messaging from "../messaging.ts"
import { errorTypeOf } from "./errorType.ts"
import type { Outcome } from "./events.ts"
import type { Lease } from "./lease.ts"
import * as Monitor from "./monitor.ts"
import type { Handle, Plan } from "./plan.ts"
import { Undecodable } from "./verdict.ts"

/** What the span that a job was put from is to the span of its run. */
export type TraceParent = "link" | "parent"

export interface SpansOptions<A, E, R> {
  readonly tube: TubeName
  readonly address: string
  readonly traceParent: TraceParent
  readonly decode: (job: ReservedJob) => Effect.Effect<Received<A>, PayloadError, R>
  readonly handle: Handle<A, E, R>
}

/** A span that is not handed in yet. */
interface Running {
  readonly span: Tracer.Span
  ended: { readonly at: bigint; readonly exit: Exit.Exit<unknown, unknown> } | undefined
  outcome: Outcome | undefined
}

/** What runs jobs in spans, and what ends the spans. */
export interface Spans<E, R> {
  readonly perform: Plan<E, R>["perform"]
  readonly monitor: Monitor.Monitor
}

export const make = <A, E, R>(
  { address, decode, handle, traceParent, tube }: SpansOptions<A, E, R>
): Effect.Effect<Spans<E, R>> =>
  Effect.map(timer, (now) => {
    const attributes = Messaging.attributes({ name: "process", type: "process" }, tube, address)
    const name = `process ${tube}`
    const running = new Map<Lease, Running>()

    const inSpan = (
      lease: Lease,
      sender: Option.Option<Tracer.ExternalSpan>,
      run: (span: Tracer.Span) => ReturnType<Plan<E, R>["perform"]>
    ) =>
      Effect.flatMap(
        Effect.makeSpan(name, {
          kind: "consumer",
          captureStackTrace: false,
          attributes: {
            ...attributes,
            "messaging.message.id": lease.id,
            "messaging.message.body.size": lease.job.body.length
          },
          ...relations(traceParent, sender)
        }),
        (span) => {
          running.set(lease, { span, ended: undefined, outcome: undefined })
          return run(span)
        }
      )

    const handIn = (lease: Lease, { ended, outcome, span }: Running): void => {
      if (ended === undefined || outcome === undefined) return
      running.delete(lease)
      if (Exit.isFailure(ended.exit)) span.attribute("error.type", errorTypeOf(ended.exit.cause))
      span.attribute("beanstalk.outcome", outcome)
      span.end(ended.at, told(ended.exit))
    }

    return {
      perform: (lease) =>
        Effect.matchCauseEffect(decode(lease.job), {
          // Of a job that was lost while it was read nobody will tell what became of it: it has been told.
          onFailure: (cause) => {
            const failed = Effect.failCause(Cause.map(cause, unread))
            return lease.isTold ? failed : inSpan(lease, Option.none(), () => failed)
          },
          onSuccess: ({ payload, sender }) =>
            lease.isTold
              ? handle(payload, lease)
              : inSpan(lease, sender, (span) =>
                Effect.zipRight(
                  within(span),
                  Effect.suspend(() => handle(payload, lease))
                ))
        }),
      monitor: {
        ...Monitor.none,
        onRun: (lease, exit = Exit.interrupt(FiberId.none)) => {
          const run = running.get(lease)
          if (run === undefined) return
          run.ended = { at: now(), exit }
          handIn(lease, run)
        },
        onOutcome: (outcome, lease) => {
          const run = running.get(lease)
          if (run === undefined) return
          run.outcome = outcome
          handIn(lease, run)
        }
      }
    }
  })

/** The time as spans have it. */
const timer: Effect.Effect<() => bigint> = Effect.zipWith(
  Effect.clock,
  FiberRef.get(FiberRef.currentTracerTimingEnabled),
  (clock, isEnabled) => isEnabled ? () => clock.unsafeCurrentTimeNanos() : () => 0n
)

/** A run has a fiber of its own, so nothing need be put back: `Effect.withParentSpan` costs as much as the span. */
const within = (span: Tracer.Span) => FiberRef.update(FiberRef.currentContext, Context.add(Tracer.ParentSpan, span))

const relations = (
  traceParent: TraceParent,
  sender: Option.Option<Tracer.ExternalSpan>
): Pick<Tracer.SpanOptions, "parent" | "links"> => {
  if (Option.isNone(sender)) return {}
  return traceParent === "parent"
    ? { parent: sender.value }
    : { links: [{ _tag: "SpanLink", span: sender.value, attributes: {} }] }
}

const unread = (error: PayloadError) => new Undecodable(error)

/** What a handler succeeds with may be what was in the body. */
const told = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, unknown> =>
  Exit.mapBoth(exit, {
    onSuccess: constVoid,
    onFailure: (error) => error instanceof Undecodable ? error.error : error
  })
