/**
 * JSON in an envelope, which says beside the payload from which span it was sent: beanstalkd has no headers.
 *
 * `{"traceparent":"00-…-…-01","payload":…}`, with `null` for no span. The key is always there, so that a payload without an
 * envelope can hardly be taken for one.
 */
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import type { PeekedJob, ReservedJob, TubeName } from "../../Job.ts"
import * as Payload from "./codec.ts"
import * as Traceparent from "./traceparent.ts"

/** How payloads become bodies, and what bodies say of senders. */
export interface Codec<A, R> extends Payload.Codec<A, R> {
  /** The span from which a job was sent, if that is known. */
  readonly senderOf: (job: ReservedJob | PeekedJob) => Option.Option<Tracer.ExternalSpan>
}

/** Bodies that are payloads and nothing else. */
export const without = <A, R>(codec: Payload.Codec<A, R>): Codec<A, R> => ({ ...codec, senderOf: Option.none })

/** Puts payloads into envelopes. One that comes without, from before there were any, is taken as it is. */
export const codec = <A, I, R>(tube: TubeName, schema: Schema.Schema<A, I, R>): Codec<A, R> => {
  const content = Payload.codec(tube, Schema.parseJson(schema), Payload.text)
  const json = Payload.codec(tube, Schema.parseJson(), Payload.text)
  const decodePayload = Payload.decoding(tube, schema)
  return {
    encode: (payload) => Effect.zipWith(Traceparent.current, content.encode(payload), seal),
    decode: (job) =>
      Effect.flatMap(json.decode(job), (read) => decodePayload(isEnvelope(read) ? read.payload : read, job.id)),
    senderOf
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

const readJson: (text: string) => Option.Option<unknown> = Option.liftThrowable(JSON.parse)

/** What is no envelope names nobody. What it is instead, `decode` says. */
const senderOf = flow(
  ({ body }: ReservedJob | PeekedJob) => Option.fromNullable(Payload.text.read(body)),
  Option.flatMap(readJson),
  Option.filter(isEnvelope),
  Option.flatMap(({ traceparent }) => Traceparent.parse(traceparent))
)
