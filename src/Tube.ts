/**
 * A tube that knows what its jobs are: a name, a Schema for the payloads, and how its jobs are put.
 *
 * What goes in is encoded, what comes out is decoded, and neither is ever cast. It holds no connection: its methods use the
 * {@link BeanstalkClient.BeanstalkClient} of the program.
 *
 * **Example** (a tube, a producer)
 *
 * ```ts
 * const FetchUrl = Tube.make("URLs-to-fetch", { payload: Schema.Struct({ url: Schema.String }), ttr: "3 minutes" })
 *
 * const producer = FetchUrl.put({ url: "http://example.org/" })
 * ```
 *
 * @since 0.1.0
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Inspectable from "effect/Inspectable"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { BeanstalkClient } from "./BeanstalkClient.ts"
import type { BulkError, BulkOptions, Client, ClientError, PutAllOptions, Tally } from "./BeanstalkClient.ts"
import * as BeanstalkError from "./BeanstalkError.ts"
import * as Protocol from "./BeanstalkProtocol.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Payload from "./internal/tube/codec.ts"
import * as Sending from "./internal/tube/producerSpan.ts"
import * as Envelope from "./internal/tube/traceEnvelope.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "./Job.ts"
import type { TubeStats } from "./Stats.ts"

/**
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-beanstalk/Tube"

/**
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = "~effect-beanstalk/Tube"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How the jobs of a tube are put, where a `put` does not say otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export interface Defaults extends Protocol.JobOptions {}

/**
 * What {@link make} may be told besides how the jobs are put.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonOptions<A, I, R> extends Defaults {
  /** What the payloads are, and how they are expressed in JSON. */
  readonly payload: Schema.Schema<A, I, R>
  /**
   * Whether a job carries the span that it was put from to whoever works it off. Default: `false`.
   *
   * **Details**
   *
   * beanstalkd has no headers, so the payload gets an envelope:
   * `{"traceparent":"00-<trace id>-<span id>-<flags>","payload":…}`, as W3C Trace Context writes it, and `null` where there is
   * no span. {@link Tube.decode} and whatever looks at jobs give the payload as ever; {@link Tube.senderOf} gives the
   * span. A `traceparent` that makes no sense is none: no job is lost by it.
   *
   * Each `put` is a span `put <tube>` of the kind `producer`, with the attributes that OpenTelemetry has for messaging, and it
   * is that span which the job carries. In `putAll`, `sink` and `encode`, it is the one that is current where they run.
   *
   * **Gotchas**
   *
   * An envelope takes 84 bytes, which count towards the largest body that the server takes.
   *
   * Payloads without an envelope are still understood, so that it can be turned on in a tube full of jobs. Those who read the
   * tube must know of it before those who write it: deploy the workers first. What was put without an envelope and is itself an
   * object of `traceparent` and `payload` (and at most `tracestate` and `baggage`) is taken for one: empty such a tube first.
   * What was put in an envelope is never mistaken, whatever it looks like.
   */
  readonly trace?: boolean | undefined
}

/**
 * A job that somebody looked at, with its payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peeked<out A> {
  readonly id: JobId
  readonly payload: A
}

/**
 * A tube whose jobs have payloads of type `A`. `R` are the services that its Schema needs.
 *
 * **Details**
 *
 * Whatever the server is asked can fail with a `ClientError`. A payload that does not encode, or a body that does not
 * decode, is a `PayloadError`, which tells where and what was expected, and nothing of what is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tube<in out A, out R = never> extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  readonly name: TubeName
  readonly defaults: Defaults

  // payloads ----------------------------------------------------------------------------------------------------------

  /** The body for a payload: text for JSON and text, bytes for bytes. */
  readonly encode: (payload: A) => Effect.Effect<string | Uint8Array, BeanstalkError.PayloadError, R>
  /** The payload of a job. */
  readonly decode: (job: ReservedJob | PeekedJob) => Effect.Effect<A, BeanstalkError.PayloadError, R>
  /**
   * The span that a job was put from, to be linked to or continued. There is none for a tube without {@link JsonOptions.trace},
   * and for a job that was put where there was no span, or by somebody who does not know of `trace`.
   */
  readonly senderOf: (job: ReservedJob | PeekedJob) => Option.Option<Tracer.ExternalSpan>

  // producing ---------------------------------------------------------------------------------------------------------

  /** Puts a job, and succeeds with its id. See `BeanstalkClient.put`. */
  readonly put: (
    payload: A,
    options?: Protocol.JobOptions
  ) => Effect.Effect<
    JobId,
    BeanstalkError.PayloadError | BeanstalkError.PutError | BeanstalkError.ConnectFailed,
    BeanstalkClient | R
  >
  /**
   * Puts every payload of a stream, many at a time, and gives the ids in the same order. See `BeanstalkClient.putAll`: a
   * payload that does not encode stops it as one does that cannot be put.
   */
  readonly putAll: <E, R2>(
    payloads: Stream.Stream<A, E, R2>,
    options?: PutAllOptions
  ) => Stream.Stream<
    JobId,
    E | BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument,
    BeanstalkClient | R | R2
  >
  /** Puts everything that a stream is run into, and succeeds with the number of jobs. */
  readonly sink: (
    options?: PutAllOptions
  ) => Sink.Sink<
    number,
    A,
    never,
    BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument,
    BeanstalkClient | R
  >

  // looking -----------------------------------------------------------------------------------------------------------

  /** Looks at the job that would be reserved next; none when no job is ready. */
  readonly peekReady: Effect.Effect<
    Option.Option<Peeked<A>>,
    ClientError | BeanstalkError.PayloadError,
    BeanstalkClient | R
  >
  /** Looks at the delayed job that becomes ready next. */
  readonly peekDelayed: Effect.Effect<
    Option.Option<Peeked<A>>,
    ClientError | BeanstalkError.PayloadError,
    BeanstalkClient | R
  >
  /** Looks at the job that was buried first. */
  readonly peekBuried: Effect.Effect<
    Option.Option<Peeked<A>>,
    ClientError | BeanstalkError.PayloadError,
    BeanstalkClient | R
  >
  /** Its statistics. Fails with `TubeNotFound` when nobody uses or watches it and no job is in it. */
  readonly stats: Effect.Effect<TubeStats, ClientError | BeanstalkError.TubeNotFound, BeanstalkClient>

  // tidying -----------------------------------------------------------------------------------------------------------

  /** Makes up to `bound` buried jobs ready; if there are none, delayed ones. Succeeds with their number. */
  readonly kick: (
    bound: number
  ) => Effect.Effect<number, BeanstalkError.TubeError | BeanstalkError.ConnectFailed, BeanstalkClient>
  /** Lets nobody reserve from it for whole seconds, rounded up. Zero ends a pause. */
  readonly pause: (
    duration: Duration.DurationInput
  ) => Effect.Effect<void, BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed, BeanstalkClient>
  /** Deletes its jobs. See `BeanstalkClient.purge`. */
  readonly purge: (
    options?: BulkOptions
  ) => Effect.Effect<Tally, BulkError, BeanstalkClient>
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A tube whose bodies are JSON.
 *
 * Throws `InvalidArgument` for a name or a default that cannot be: it is meant to be a constant of the program.
 *
 * **Example**
 *
 * ```ts
 * const Email = Tube.make("emails", {
 *   payload: Schema.Struct({ to: Schema.String, at: Schema.Date }),
 *   priority: 100,
 *   ttr: "1 minute"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, I, R = never>(
  name: string,
  { payload, trace = false, ...defaults }: JsonOptions<A, I, R>
): Tube<A, R> =>
  trace
    ? build(name, defaults, (tube) => Envelope.codec(tube, payload), Sending.inSpan)
    : buildPlain(name, defaults, (tube) => Payload.codec(tube, Schema.parseJson(payload), Payload.text))

/**
 * A tube whose bodies are UTF-8 text, as it is, or as a Schema makes it. Throws as {@link make} does.
 *
 * @category constructors
 * @since 0.1.0
 */
export function text<A, R = never>(
  name: string,
  options: Defaults & { readonly payload: Schema.Schema<A, string, R> }
): Tube<A, R>
export function text(name: string, defaults?: Defaults & { readonly payload?: undefined }): Tube<string>
export function text<A, R>(
  name: string,
  { payload, ...defaults }: Defaults & { readonly payload?: Schema.Schema<A, string, R> | undefined } = {}
): Tube<A, R> | Tube<string> {
  return payload === undefined
    ? buildPlain(name, defaults, (tube) => Payload.codec(tube, Schema.String, Payload.text))
    : buildPlain(name, defaults, (tube) => Payload.codec(tube, payload, Payload.text))
}

/**
 * A tube whose bodies are bytes, as they are, or as a Schema makes them. Throws as {@link make} does.
 *
 * **Example** (MessagePack)
 *
 * ```ts
 * const Measured = Tube.bytes("measured", { payload: MsgPack.schema(Measurement) })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export function bytes<A, R = never>(
  name: string,
  options: Defaults & { readonly payload: Schema.Schema<A, Uint8Array, R> }
): Tube<A, R>
export function bytes(name: string, defaults?: Defaults & { readonly payload?: undefined }): Tube<Uint8Array>
export function bytes<A, R>(
  name: string,
  { payload, ...defaults }: Defaults & { readonly payload?: Schema.Schema<A, Uint8Array, R> | undefined } = {}
): Tube<A, R> | Tube<Uint8Array> {
  return payload === undefined
    ? buildPlain(name, defaults, (tube) => Payload.codec(tube, Schema.Uint8ArrayFromSelf, Payload.bytes))
    : buildPlain(name, defaults, (tube) => Payload.codec(tube, payload, Payload.bytes))
}

/** A tube whose bodies are payloads and nothing else. */
const buildPlain = <A, R>(name: string, defaults: Defaults, codecOf: (tube: TubeName) => Payload.Codec<A, R>) =>
  build(name, defaults, (tube) => Envelope.without(codecOf(tube)), Sending.plainly)

const build = <A, R>(
  text: string,
  { delay, priority, ttr }: Defaults,
  codecOf: (tube: TubeName) => Envelope.Codec<A, R>,
  send: Sending.Send
): Tube<A, R> => {
  const name = Validate.tubeName("put", text, "name")
  const defaults: Defaults = { delay, priority, ttr }
  const example = Protocol.put("", defaults)
  if (example instanceof BeanstalkError.InvalidArgument) throw example
  const { decode, encode, senderOf } = codecOf(name)

  const withDefaults = (options: Protocol.JobOptions | undefined): Protocol.JobOptions =>
    options === undefined ? defaults : {
      priority: options.priority ?? priority,
      delay: options.delay ?? delay,
      ttr: options.ttr ?? ttr
    }
  const decoded = Effect.flatMap((found: Option.Option<PeekedJob>) =>
    Effect.transposeOption(
      Option.map(found, (job) => Effect.map(decode(job), (payload): Peeked<A> => ({ id: job.id, payload })))
    )
  )
  const encodeSome = (payloads: Chunk.Chunk<A>) =>
    Effect.map(Effect.forEach(payloads, (payload) => Effect.merge(encode(payload))), Chunk.unsafeFromArray)
  // Not a whole chunk at once, which may be large: the server would have nothing to do meanwhile.
  const encodeAll = <E, R2>(payloads: Stream.Stream<A, E, R2>) =>
    Stream.chunks(payloads).pipe(
      Stream.mapConcat(Chunk.chunksOf(128)),
      Stream.mapEffect(encodeSome),
      Stream.flattenChunks
    )
  const putAll: Tube<A, R>["putAll"] = (payloads, options) =>
    Stream.unwrap(
      Effect.map(BeanstalkClient, (client) =>
        client.putAll(name, encodeAll(payloads), {
          ...withDefaults(options),
          window: options?.window
        }))
    )

  return {
    ...Inspectable.BaseProto,
    [TypeId]: TypeId,
    toJSON: () => ({ _id: "effect-beanstalk/Tube", name }),
    name,
    defaults,

    encode,
    decode,
    senderOf,

    put: (payload, options) =>
      Effect.flatMap(
        BeanstalkClient,
        (client) => send(client, { tube: name, body: encode(payload), options: withDefaults(options) })
      ),
    putAll,
    sink: (options) => Sink.unwrapScoped(through((payloads: Stream.Stream<A>) => putAll(payloads, options))),

    peekReady: decoded(ask((client) => client.peekReady(name))),
    peekDelayed: decoded(ask((client) => client.peekDelayed(name))),
    peekBuried: decoded(ask((client) => client.peekBuried(name))),
    stats: ask((client) => client.statsTube(name)),

    kick: (bound) => Effect.flatMap(BeanstalkClient, (client) => client.kick(name, bound)),
    pause: (duration) => Effect.flatMap(BeanstalkClient, (client) => client.pauseTube(name, duration)),
    purge: (options) => Effect.flatMap(BeanstalkClient, (client) => client.purge(name, options))
  }
}

/** Asks for what needs no other argument than the name, which has been checked. */
const ask = <A, E>(question: (client: Client) => Effect.Effect<A, E | BeanstalkError.InvalidArgument>) =>
  Effect.flatMap(BeanstalkClient, question).pipe(
    Effect.catchIf((error) => error instanceof BeanstalkError.InvalidArgument, Effect.die)
  )

/** A Sink from what is done with a stream: it counts what comes out there. */
const through = <A, B, E, R>(run: (elements: Stream.Stream<A>) => Stream.Stream<B, E, R>) =>
  Effect.gen(function*() {
    const mailbox = yield* Mailbox.make<A>({ capacity: 1024 })
    const running = yield* Stream.runCount(run(Mailbox.toStream(mailbox))).pipe(
      Effect.ensuring(mailbox.shutdown),
      Effect.forkScoped
    )
    const feeding = Sink.forEachChunk((chunk: Chunk.Chunk<A>) =>
      // What is not taken any more is not wanted: it has failed.
      Effect.flatMap(mailbox.offerAll(chunk), (rest) => Chunk.isEmpty(rest) ? Effect.void : Effect.never)
    ).pipe(Sink.mapEffect(() => Effect.zipRight(mailbox.end, Fiber.join(running))))
    // A source that is silent, or never ends, must not keep the failure to itself.
    return Sink.fromChannel(Channel.interruptWhen(Sink.toChannel(feeding), Fiber.join(running)))
  })
