/**
 * Spans as the W3C names them to another process: the `traceparent` of Trace Context.
 *
 * `HttpTraceContext` of `@effect/platform` speaks of headers, takes ids of zeros, which mean that there is no span, and
 * writes whatever a Tracer calls its spans. What is written here, everybody can read.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** The current span, or the one of another process that stands for it; none if nobody could say which it is. */
export const current: Effect.Effect<Option.Option<string>> = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  Option.flatMap((span) => Option.flatMap(propagated(span), format))
)

/** The nearest span around that is to be told of: one of a Tracer that is disabled, say, is not. */
const propagated = (span: Tracer.AnySpan): Option.Option<Tracer.AnySpan> => {
  if (!Context.get(span.context, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? Option.flatMap(span.parent, propagated) : Option.none()
}

/** A Tracer may call its spans what it likes, and not all of it can be said. */
const format = ({ sampled, spanId, traceId }: Tracer.AnySpan): Option.Option<string> => {
  const text = `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
  return grammar.test(text) ? Option.some(text) : Option.none()
}

/** The span that is named, if it is named as it should be. A later version may have more to say behind a hyphen. */
export const parse = (value: unknown): Option.Option<Tracer.ExternalSpan> => {
  const [, traceId, spanId, flags] = typeof value === "string" ? grammar.exec(value) ?? [] : []
  return traceId === undefined || spanId === undefined || flags === undefined
    ? Option.none()
    : Option.some(Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }))
}

/** Nothing follows the 55 characters of version 00; version ff and ids of zeros are none. */
const grammar = /^(?!ff|00.{53}-)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/
