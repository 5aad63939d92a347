/** A Tracer for tests. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"

/** Collects the spans that are made. */
export const recorder = Effect.map(Effect.tracer, (tracer) => {
  const spans: Array<Tracer.Span> = []
  const layer = Layer.setTracer(Tracer.make({
    context: tracer.context,
    span: (...all) => {
      const span = tracer.span(...all)
      spans.push(span)
      return span
    }
  }))
  return { spans, layer }
})
