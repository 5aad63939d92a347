/**
 * An envelope that carries the span of the producer beside the payload, since beanstalkd has no headers.
 *
 * `{"traceparent":"00-…-…-01","payload":…}`, with `null` for no span. The key is never left out, so that a payload without an
 * envelope is hardly ever mistaken for one.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { flow } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import type { PeekedJob, ReservedJob, TubeName } from "../../Job.ts"
import * as BodyFormat from "./bodyFormat.ts"
import * as Codec from "./codec.ts"
import * as Traceparent from "./traceparent.ts"

/** A codec whose bodies may carry a span. */
export interface TracedCodec<A, R> extends Codec.Codec<A, R> {
  /** The span that the job was put from, if its body names one. */
  readonly senderOf: (job: ReservedJob | PeekedJob) => Option.Option<Tracer.ExternalSpan>
}

/** Bodies without an envelope. */
export const withoutEnvelope = <A, R>(codec: Codec.Codec<A, R>): TracedCodec<A, R> => ({
  ...codec,
  senderOf: Option.none
})

/** Bodies with an envelope. A body without one is decoded as a payload: it may have been put before the tube had envelopes. */
export const withEnvelope = <A, I, R>(tube: TubeName, schema: Schema.Schema<A, I, R>): TracedCodec<A, R> => {
  const { read, write } = BodyFormat.json(schema.ast)
  const { decode, encode } = Codec.codec(tube, schema, { write, read: flow(read, Either.map(payloadIn)) })
  return {
    encode: (payload) => Effect.zipWith(Traceparent.current, encode(payload), wrap),
    decode,
    senderOf
  }
}

interface Envelope {
  readonly traceparent: unknown
  readonly payload: unknown
}

const wrap = (traceparent: Option.Option<string>, json: string): string =>
  `{"traceparent":${JSON.stringify(Option.getOrNull(traceparent))},"payload":${json}}`

/** An object with the keys `traceparent` and `payload`, whose other keys, if any, are `tracestate` and `baggage`. */
const isEnvelope = (json: unknown): json is Envelope =>
  Predicate.isRecord(json) && Object.hasOwn(json, "traceparent") && Object.hasOwn(json, "payload") &&
  Object.keys(json).every((key) => envelopeKeys.has(key))

/** Producers other than this library may write the other two headers of W3C Trace Context and Baggage as well. */
const envelopeKeys: ReadonlySet<string> = new Set(["traceparent", "tracestate", "baggage", "payload"])

const payloadIn = (json: unknown): unknown => isEnvelope(json) ? json.payload : json

/** A body that is not JSON has no sender. `decode` fails on it, with a `PayloadError`. */
const senderOf = flow(
  ({ body }: ReservedJob | PeekedJob) => Either.getRight(BodyFormat.readJson(body)),
  Option.filter(isEnvelope),
  Option.flatMap(({ traceparent }) => Traceparent.parse(traceparent))
)
