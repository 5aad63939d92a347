/**
 * The `traceparent` of W3C Trace Context: https://www.w3.org/TR/trace-context/#traceparent-header
 *
 * `HttpTraceContext` of `@effect/platform` is not enough: it reads and writes HTTP headers, accepts ids of zeros, which the
 * standard forbids, and writes the ids of any Tracer, whether or not they have the form of the standard.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** The `traceparent` of the current span; none if there is no span, or none that may be propagated. */
export const current: Effect.Effect<Option.Option<string>> = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  Option.flatMap((span) => Option.flatMap(nearestPropagated(span), format))
)

/** The nearest span that may be propagated: a disabled Tracer, for example, makes spans that may not. */
const nearestPropagated = (span: Tracer.AnySpan): Option.Option<Tracer.AnySpan> => {
  if (!Context.get(span.context, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? Option.flatMap(span.parent, nearestPropagated) : Option.none()
}

/** A Tracer may give its spans ids that are not those of the standard: such a span has no `traceparent`. */
const format = ({ sampled, spanId, traceId }: Tracer.AnySpan): Option.Option<string> => {
  const text = `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
  return grammar.test(text) ? Option.some(text) : Option.none()
}

/** The span that a `traceparent` names; none if it is malformed. A later version may append fields after a hyphen. */
export const parse = (value: unknown): Option.Option<Tracer.ExternalSpan> => {
  const [, traceId, spanId, flags] = typeof value === "string" ? grammar.exec(value) ?? [] : []
  return traceId === undefined || spanId === undefined || flags === undefined
    ? Option.none()
    : Option.some(Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }))
}

/** Version 00 has exactly 55 characters; version ff, and ids of zeros, are invalid. */
const grammar = /^(?!ff|00.{53}-)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/
