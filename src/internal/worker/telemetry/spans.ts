/**
 * A span for each run of a job, from before the job is read until its handler has ended.
 *
 * It is handed in only when it is known what has become of the job, a round trip later, but tells of the time before.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { ReservedJob, TubeName } from "../../../Job.ts"
import * as Messaging from "../../base/semanticConventions.ts"
import { Undecodable } from "../decision.ts"
import type { Outcome } from "../events.ts"
import { errorTypeOf } from "./errorType.ts"
import * as Monitor from "./observer.ts"

/** What the span that a job was put from is to the span of its run. */
export type TraceParent = "link" | "parent"

export interface SpansOptions {
  readonly tube: TubeName
  readonly address: string
  readonly traceParent: TraceParent
  readonly senderOf: (job: ReservedJob) => Option.Option<Tracer.ExternalSpan>
}

/** Has jobs run in spans, and ends the spans. */
export const monitor = (
  { address, senderOf, traceParent, tube }: SpansOptions
): Effect.Effect<Monitor.Monitor> =>
  Effect.gen(function*() {
    if (!(yield* FiberRef.get(FiberRef.currentTracerEnabled))) return Monitor.none
    // Of a worker none of this changes. To look for it anew, as `Effect.makeSpan` does, takes longer than to make the span.
    const tracer = yield* Effect.tracer
    const now = yield* timer
    const links = Array.from(yield* Effect.spanLinks)
    const attributes = [
      ...yield* Effect.spanAnnotations,
      ...Object.entries(Messaging.attributes({ name: "process", type: "process" }, tube, address))
    ]
    const name = `process ${tube}`

    const begin = (parent: Option.Option<Tracer.AnySpan>, more: ReadonlyArray<Tracer.SpanLink>) =>
      tracer.span(name, parent, Context.empty(), [...links, ...more], now(), kind, {
        kind,
        captureStackTrace: false,
        // Otherwise a Tracer may take for the parent what was current when the socket was made.
        root: Option.isNone(parent)
      })

    const beginFor = (sender: Option.Option<Tracer.ExternalSpan>) =>
      Option.isSome(sender) && traceParent === "link"
        ? begin(Option.none(), [{ _tag: "SpanLink", span: sender.value, attributes: {} }])
        : begin(sender, [])

    return {
      ...Monitor.none,
      beginSpan: (lease) => {
        const span = beginFor(senderOf(lease.job))
        for (const [key, value] of attributes) span.attribute(key, value)
        span.attribute("messaging.message.id", lease.id)
        span.attribute("messaging.message.body.size", lease.job.body.length)
        lease.watcher = new Running(span, now)
        return span
      },
      onRun: ({ watcher }, exit) => watcher?.onRun(exit),
      onOutcome: (outcome, { watcher }) => watcher?.onOutcome(outcome)
    }
  })

const kind = "consumer"

/** A span that is not handed in yet. */
class Running implements Monitor.Watcher {
  private readonly span: Tracer.Span
  private readonly now: () => bigint
  private ended: { readonly at: bigint; readonly exit: Exit.Exit<unknown, unknown> } | undefined = undefined
  private outcome: Outcome | undefined = undefined

  constructor(span: Tracer.Span, now: () => bigint) {
    this.span = span
    this.now = now
  }

  onRun(exit: Exit.Exit<unknown, unknown> = Exit.interrupt(FiberId.none)): void {
    this.ended = { at: this.now(), exit }
    this.handIn()
  }

  onOutcome(outcome: Outcome): void {
    this.outcome = outcome
    this.handIn()
  }

  private handIn(): void {
    const { ended, outcome, span } = this
    if (ended === undefined || outcome === undefined) return
    if (Exit.isFailure(ended.exit)) span.attribute("error.type", errorTypeOf(ended.exit.cause))
    span.attribute("beanstalk.outcome", outcome)
    span.end(ended.at, told(ended.exit))
  }
}

/** The time as spans have it. */
const timer: Effect.Effect<() => bigint> = Effect.zipWith(
  Effect.clock,
  FiberRef.get(FiberRef.currentTracerTimingEnabled),
  (clock, isEnabled) => isEnabled ? () => clock.unsafeCurrentTimeNanos() : () => 0n
)

/** What a handler succeeds with may be what was in the body. */
const told = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, unknown> =>
  Exit.mapBoth(exit, {
    onSuccess: constVoid,
    onFailure: (error) => error instanceof Undecodable ? error.error : error
  })
