/** How the payload of a tube is sent: plainly, or in a span that tells of it. */
import * as Effect from "effect/Effect"
import type { Client } from "../../BeanstalkClient.ts"
import type { ConnectFailed, PayloadError, PutError } from "../../BeanstalkError.ts"
import type { JobOptions } from "../../BeanstalkProtocol.ts"
import type { JobId, TubeName } from "../../Job.ts"
import * as Messaging from "../base/semanticConventions.ts"
import * as Validate from "../protocol/validate.ts"

interface Sending<R> {
  readonly tube: TubeName
  readonly body: Effect.Effect<string | Uint8Array, PayloadError, R>
  readonly options: JobOptions
}

/** Sends what a payload becomes. */
export type Send = <R>(
  client: Client,
  sending: Sending<R>
) => Effect.Effect<JobId, PayloadError | PutError | ConnectFailed, R>

export const plainly: Send = (client, { body, options, tube }) =>
  Effect.flatMap(body, (body) => client.put(tube, body, options))

/**
 * In a span of the producer, which is the current one where the payload is encoded. Its names are those of OpenTelemetry for
 * messaging.
 */
export const inSpan: Send = (client, { body, options, tube }) => {
  const attributes = Messaging.attributes({ name: "put", type: "send" }, tube, client.address)
  return Effect.useSpan(`put ${tube}`, { kind: "producer", attributes, captureStackTrace: false }, (span) =>
    body.pipe(
      Effect.withParentSpan(span),
      Effect.flatMap((body) => {
        const bytes = Validate.body("put", body)
        span.attribute("messaging.message.body.size", bytes.length)
        return client.put(tube, bytes, options)
      }),
      Effect.tap((id) => Effect.sync(() => span.attribute("messaging.message.id", id))),
      Effect.tapError((error) => Effect.sync(() => span.attribute("error.type", error._tag)))
    ))
}
