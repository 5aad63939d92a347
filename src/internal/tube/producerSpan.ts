/** The spans of a producer. Their names are those of the OpenTelemetry conventions for messaging. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { ConnectFailed, PayloadError, PutError } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import { errorTypeOf } from "../base/errorType.ts"
import * as Messaging from "../base/semanticConventions.ts"

const encoder = new TextEncoder()

/** A span that jobs carry to their worker is a `producer`, any other a `client`. */
export type Kind = "producer" | "client"

export interface Target {
  readonly tube: TubeName
  /** The address of the server. */
  readonly address: string
}

/** The parts of a `put`. */
export interface Put<R> {
  readonly encode: Effect.Effect<string | Uint8Array, PayloadError, R>
  readonly send: (body: string | Uint8Array) => Effect.Effect<JobId, PutError | ConnectFailed>
}

const nameOf = ({ tube }: Target) => `put ${tube}`

const optionsOf = (kind: Kind, { address, tube }: Target) => ({
  kind,
  attributes: Messaging.attributes({ name: "put", type: "send" }, tube, address),
  captureStackTrace: false
})

const setErrorType = (span: Tracer.Span, exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isFailure(exit)) span.attribute("error.type", errorTypeOf(exit.cause))
}

/** Encodes a payload and sends the body in a span, which is the current one meanwhile, so that an envelope can name it. */
export const put = <R>(
  kind: Kind,
  target: Target,
  { encode, send }: Put<R>
): Effect.Effect<JobId, PayloadError | PutError | ConnectFailed, R> =>
  Effect.useSpan(nameOf(target), optionsOf(kind, target), (span) =>
    encode.pipe(
      Effect.flatMap((body) => {
        const bytes = typeof body === "string" ? encoder.encode(body) : body
        span.attribute("messaging.message.body.size", bytes.length)
        return send(bytes)
      }),
      Effect.tap((id) => Effect.sync(() => span.attribute("messaging.message.id", id))),
      Effect.onExit((exit) => Effect.sync(() => setErrorType(span, exit))),
      Effect.withParentSpan(span)
    ))

/** Runs a stream that puts jobs in one span, which has the number of the ids that it emits. */
export const putAll = <E, R>(
  kind: Kind,
  target: Target,
  ids: Stream.Stream<JobId, E, R>
): Stream.Stream<JobId, E, R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const span = yield* Effect.makeSpanScoped(nameOf(target), optionsOf(kind, target))
    let count = 0
    yield* Effect.addFinalizer((exit) =>
      Effect.sync(() => {
        span.attribute("messaging.batch.message_count", count)
        setErrorType(span, exit)
      })
    )
    return ids.pipe(
      Stream.mapChunks((chunk) => {
        count += Chunk.size(chunk)
        return chunk
      }),
      Stream.provideService(Tracer.ParentSpan, span)
    )
  }))
