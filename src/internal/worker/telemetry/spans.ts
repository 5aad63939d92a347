/**
 * A span for each run of a job, from before the job is decoded until its handler has ended.
 *
 * It is given to the Tracer only once the outcome of the job is known, a round trip later, with the end time of the handler.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { ReservedJob, TubeName } from "../../../Job.ts"
import { errorTypeOf } from "../../base/errorType.ts"
import { memoized } from "../../base/metrics.ts"
import * as SemanticConventions from "../../base/semanticConventions.ts"
import { none, type Observer, type Outcome, type RunSpan } from "./observer.ts"

/** How the span of a run refers to the span from which the job was put. */
export type TraceParent = "link" | "parent"

export interface SpansOptions {
  readonly tube: TubeName
  readonly traceParent: TraceParent
  readonly senderOf: (job: ReservedJob) => Option.Option<Tracer.ExternalSpan>
}

/** Starts and ends the spans of runs. */
export const observer = (
  { senderOf, traceParent, tube }: SpansOptions
): Effect.Effect<Observer> =>
  Effect.gen(function*() {
    if (!(yield* FiberRef.get(FiberRef.currentTracerEnabled))) return none
    // Read once for a worker. `Effect.makeSpan` would read it for each span, which takes longer than making the span.
    const tracer = yield* Effect.tracer
    const now = yield* spanClock
    const links = Array.from(yield* Effect.spanLinks)
    const annotations = Array.from(yield* Effect.spanAnnotations)
    const attributesAt = memoized((address: string) => [
      ...annotations,
      ...Object.entries(SemanticConventions.attributes({ name: "process", type: "process" }, tube, address))
    ])
    const name = `process ${tube}`

    const start = (parent: Option.Option<Tracer.AnySpan>, extraLinks: ReadonlyArray<Tracer.SpanLink>) =>
      tracer.span(name, parent, Context.empty(), [...links, ...extraLinks], now(), kind, {
        kind,
        captureStackTrace: false,
        // Without it a Tracer may take the span that was current when the socket was opened for the parent.
        root: Option.isNone(parent)
      })

    const startFrom = (sender: Option.Option<Tracer.ExternalSpan>) =>
      Option.isSome(sender) && traceParent === "link"
        ? start(Option.none(), [{ _tag: "SpanLink", span: sender.value, attributes: {} }])
        : start(sender, [])

    return {
      ...none,
      startRun: ({ address, id, job }) => {
        const span = startFrom(senderOf(job))
        for (const [key, value] of attributesAt(address)) span.attribute(key, value)
        span.attribute("messaging.message.id", id)
        span.attribute("messaging.message.body.size", job.body.length)
        return new PendingSpan(span, now)
      },
      onRunEnd: ({ span }, exit) => span?.onRunEnd(exit),
      onOutcome: ({ span }, outcome) => span?.onOutcome(outcome)
    }
  })

const kind = "consumer"

/** A span that ends when both the end of the run and the outcome of the job are known. */
class PendingSpan implements RunSpan {
  readonly span: Tracer.Span
  private readonly now: () => bigint
  private ended: { readonly at: bigint; readonly exit: Exit.Exit<unknown, unknown> } | undefined = undefined
  private outcome: Outcome | undefined = undefined

  constructor(span: Tracer.Span, now: () => bigint) {
    this.span = span
    this.now = now
  }

  onRunEnd(exit: Exit.Exit<unknown, unknown> = Exit.interrupt(FiberId.none)): void {
    this.ended = { at: this.now(), exit }
    this.endOnceKnown()
  }

  onOutcome(outcome: Outcome): void {
    this.outcome = outcome
    this.endOnceKnown()
  }

  private endOnceKnown(): void {
    const { ended, outcome, span } = this
    if (ended === undefined || outcome === undefined) return
    if (Exit.isFailure(ended.exit)) span.attribute("error.type", errorTypeOf(ended.exit.cause))
    span.attribute("beanstalk.outcome", outcome)
    // The value of a handler may be a part of the body, which must not get into a span.
    span.end(ended.at, Exit.asVoid(ended.exit))
  }
}

const spanClock: Effect.Effect<() => bigint> = Effect.zipWith(
  Effect.clock,
  FiberRef.get(FiberRef.currentTracerTimingEnabled),
  (clock, isEnabled) => isEnabled ? () => clock.unsafeCurrentTimeNanos() : () => 0n
)
