/** How a tube puts a payload: with or without a span of the producer. */
import * as Effect from "effect/Effect"
import type { ConnectFailed, PayloadError, PutError } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import * as Messaging from "../base/semanticConventions.ts"

const encoder = new TextEncoder()

/** Encodes a payload, and puts the body. */
export type EncodeAndPut = <R>(request: {
  readonly tube: TubeName
  /** The address of the server. */
  readonly address: string
  readonly encode: Effect.Effect<string | Uint8Array, PayloadError, R>
  readonly put: (body: string | Uint8Array) => Effect.Effect<JobId, PutError | ConnectFailed>
}) => Effect.Effect<JobId, PayloadError | PutError | ConnectFailed, R>

export const withoutSpan: EncodeAndPut = ({ encode, put }) => Effect.flatMap(encode, put)

/**
 * The span is the current one while the payload is encoded, so that its envelope can name it. Its names are those of the OpenTelemetry
 * conventions for messaging.
 */
export const withSpan: EncodeAndPut = ({ address, encode, put, tube }) => {
  const attributes = Messaging.attributes({ name: "put", type: "send" }, tube, address)
  return Effect.useSpan(
    `put ${tube}`,
    { kind: "producer", attributes, captureStackTrace: false },
    (span) =>
      encode.pipe(
        Effect.withParentSpan(span),
        Effect.flatMap((body) => {
          const bytes = typeof body === "string" ? encoder.encode(body) : body
          span.attribute("messaging.message.body.size", bytes.length)
          return put(bytes)
        }),
        Effect.tap((id) => Effect.sync(() => span.attribute("messaging.message.id", id))),
        Effect.tapError((error) => Effect.sync(() => span.attribute("error.type", error._tag)))
      )
  )
}
