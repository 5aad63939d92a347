/**
 * JSON in an envelope, which says beside the payload from which span it was sent: beanstalkd has no headers.
 *
 * `{"traceparent":"00-…-…-01","payload":…}`, with `null` for no span. The key is always there, so that a payload without an
 * envelope can hardly be taken for one.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import type { PayloadError } from "../BeanstalkError.ts"
import type { PeekedJob, ReservedJob, TubeName } from "../Job.ts"
import * as Payload from "./payload.ts"
import * as Traceparent from "./traceparent.ts"

/** A payload, and the span from which it was sent, if that is known. */
export interface Received<out A> {
  readonly payload: A
  readonly sender: Option.Option<Tracer.ExternalSpan>
}

/** How payloads become bodies, and what bodies say of senders. */
export interface Codec<A, R> extends Payload.Codec<A, R> {
  readonly decodeWithSender: (job: ReservedJob | PeekedJob) => Effect.Effect<Received<A>, PayloadError, R>
}

/** Bodies that are payloads and nothing else. */
export const without = <A, R>(codec: Payload.Codec<A, R>): Codec<A, R> => ({
  ...codec,
  decodeWithSender: (job) => Effect.map(codec.decode(job), (payload) => ({ payload, sender: Option.none() }))
})

/** Puts payloads into envelopes. One that comes without, from before there were any, is taken as it is. */
export const codec = <A, I, R>(tube: TubeName, schema: Schema.Schema<A, I, R>): Codec<A, R> => {
  const content = Payload.codec(tube, Schema.parseJson(schema), Payload.text)
  const json = Payload.codec(tube, Schema.parseJson(), Payload.text)
  const decodePayload = Payload.decoding(tube, schema)

  const decodeWithSender: Codec<A, R>["decodeWithSender"] = (job) =>
    Effect.flatMap(json.decode(job), (read) => {
      const { payload, traceparent } = isEnvelope(read) ? read : { payload: read, traceparent: null }
      return Effect.map(
        decodePayload(payload, job.id),
        (payload) => ({ payload, sender: Traceparent.parse(traceparent) })
      )
    })

  return {
    encode: (payload) => Effect.zipWith(Traceparent.current, content.encode(payload), seal),
    decode: (job) => Effect.map(decodeWithSender(job), ({ payload }) => payload),
    decodeWithSender
  }
}

interface Envelope {
  readonly traceparent: unknown
  readonly payload: unknown
}

const seal = (traceparent: Option.Option<string>, json: string): string =>
  `{"traceparent":${JSON.stringify(Option.getOrNull(traceparent))},"payload":${json}}`

/** Only what has both keys, and no other than may stand beside them: anything else is a payload of its own. */
const isEnvelope = (read: unknown): read is Envelope =>
  Predicate.isRecord(read) && Object.hasOwn(read, "traceparent") && Object.hasOwn(read, "payload") &&
  Object.keys(read).every((key) => keys.has(key))

/** Those of others who propagate their context by the book have these as well. */
const keys: ReadonlySet<string> = new Set(["traceparent", "tracestate", "baggage", "payload"])
