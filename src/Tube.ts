/**
 * Typed tubes: a name, a Schema for the payloads, and how the jobs are put.
 *
 * Payloads are encoded and decoded with the Schema, never cast. A tube holds no connection: its methods use the
 * {@link BeanstalkClient.BeanstalkClient} service.
 *
 * **Example** (a tube, a producer)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const FetchUrl = Tube.make("URLs-to-fetch", { payload: Schema.Struct({ url: Schema.String }), ttr: "3 minutes" })
 *
 * const producer = FetchUrl.put({ url: "http://example.org/" })
 * ```
 *
 * @module
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
import type * as Protocol from "./BeanstalkProtocol.ts"
import { checkJobOptions } from "./internal/protocol/jobOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as BodyFormat from "./internal/tube/bodyFormat.ts"
import * as Codec from "./internal/tube/codec.ts"
import type * as Encoding from "./internal/tube/encodesToJson.ts"
import * as ProducerSpan from "./internal/tube/producerSpan.ts"
import * as TraceEnvelope from "./internal/tube/traceEnvelope.ts"
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
 * How the jobs of a tube are put. The options of a `put` take precedence.
 *
 * @category models
 * @since 0.1.0
 */
export interface Defaults extends Protocol.JobOptions {}

/**
 * The Schemas that encode to JSON, as far as their types tell: what they encode to consists of strings, numbers, booleans, `null`,
 * arrays and objects of these. A property may be `undefined` as well.
 *
 * If the compiler says that a Schema is not assignable to this type, use one that encodes to JSON: `Schema.Date` in place of
 * `Schema.DateFromSelf`, `Schema.Map` of `Schema.MapFromSelf`, `Schema.Option` of `Schema.OptionFromSelf`,
 * `Schema.Uint8ArrayFromBase64` of `Schema.Uint8ArrayFromSelf`, `Schema.BigInt` of `Schema.BigIntFromSelf`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodesToJson<I> extends Encoding.EncodesToJson<I> {}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonOptions<A, I, R> extends Defaults {
  /** The type of the payloads, and their representation in JSON. */
  readonly payload: EncodesToJson<I> & Schema.Schema<A, I, R>
  /**
   * Whether a job carries the span that it was put from to its worker. Default: `false`.
   *
   * **Details**
   *
   * beanstalkd has no headers, so the payload is put in an envelope:
   * `{"traceparent":"00-<trace id>-<span id>-<flags>","payload":…}`, in the format of W3C Trace Context, with `null` if there
   * is no span. {@link Tube.decode} and the peeks return the payload, as without an envelope; {@link Tube.senderOf} returns the
   * span. A malformed `traceparent` counts as none, and does not fail the job.
   *
   * Each `put` runs in a span `put <tube>` of kind `producer`, with the attributes of OpenTelemetry's conventions for messaging, and
   * so does each `putAll` and `sink`, which have one span for all their jobs, with `messaging.batch.message_count`. The job carries
   * that span. `encode` makes no span: its body carries the one that is current.
   *
   * **Gotchas**
   *
   * An envelope adds 84 bytes to the body, which count towards the server's limit.
   *
   * Bodies without an envelope are decoded as well, so the option can be turned on while the tube holds jobs. Deploy the workers
   * before the producers: a worker without the option cannot decode an envelope. A payload that was put without an envelope, and
   * is itself an object with the keys `traceparent` and `payload` (and no others than `tracestate` and `baggage`), is mistaken
   * for an envelope: drain a tube that holds such jobs first. A payload in an envelope is never mistaken for another.
   */
  readonly trace?: boolean | undefined
}

/**
 * A peeked job, with its payload.
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
 * Every method that sends a command can fail with a `ClientError`. A payload that cannot be encoded, or a body that cannot be
 * decoded, fails with `PayloadError`, which says where, and what the Schema expects there, but no values.
 *
 * **Example** (put many jobs, and look at what is buried)
 *
 * ```ts
 * import { Console, Effect, Option, Schema, Stream } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * const program = Effect.gen(function*() {
 *   const mails = Stream.make({ to: "kim@example.org" }, { to: "sam@example.org" })
 *   const count = yield* Stream.run(mails, Mails.sink({ delay: "1 hour" }))
 *   yield* Console.log(`${count} mails will be sent in an hour`)
 *
 *   const buried = yield* Mails.peekBuried
 *   if (Option.isSome(buried)) yield* Console.log(`the mail to ${buried.value.payload.to} could not be sent`)
 *   yield* Mails.kick(100)
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Tube<in out A, out R = never> extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  readonly name: TubeName
  readonly defaults: Defaults

  // payloads ----------------------------------------------------------------------------------------------------------

  /**
   * Encodes a payload as a body: a string for {@link make} and {@link text}, a `Uint8Array` for {@link bytes}. Fails with
   * `PayloadError` if the Schema refuses the payload, or if the body would not be read back as what the Schema encoded to.
   */
  readonly encode: (payload: A) => Effect.Effect<string | Uint8Array, BeanstalkError.PayloadError, R>
  /** Decodes the body of a job. */
  readonly decode: (job: ReservedJob | PeekedJob) => Effect.Effect<A, BeanstalkError.PayloadError, R>
  /**
   * The span that a job was put from, to be linked or to be continued. None if the tube was made without
   * {@link JsonOptions.trace}, or if the body names no span.
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
   * Puts every payload of a stream, many at a time, and emits the ids in the same order. A payload that cannot be encoded stops
   * it like one that cannot be put. See `BeanstalkClient.putAll`.
   */
  readonly putAll: <E, R2>(
    payloads: Stream.Stream<A, E, R2>,
    options?: PutAllOptions
  ) => Stream.Stream<
    JobId,
    E | BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument,
    BeanstalkClient | R | R2
  >
  /** A Sink that puts every payload it receives, and succeeds with the number of jobs. */
  readonly sink: (
    options?: PutAllOptions
  ) => Sink.Sink<
    number,
    A,
    never,
    BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument,
    BeanstalkClient | R
  >

  // inspecting --------------------------------------------------------------------------------------------------------

  /** Peeks at the job that would be reserved next; none if no job is ready. */
  readonly peekReady: Effect.Effect<
    Option.Option<Peeked<A>>,
    ClientError | BeanstalkError.PayloadError,
    BeanstalkClient | R
  >
  /** Peeks at the delayed job that becomes ready next; none if no job is delayed. */
  readonly peekDelayed: Effect.Effect<
    Option.Option<Peeked<A>>,
    ClientError | BeanstalkError.PayloadError,
    BeanstalkClient | R
  >
  /** Peeks at the job that was buried first; none if no job is buried. */
  readonly peekBuried: Effect.Effect<
    Option.Option<Peeked<A>>,
    ClientError | BeanstalkError.PayloadError,
    BeanstalkClient | R
  >
  /** The statistics of the tube. Fails with `TubeNotFound` if no connection uses or watches it and it holds no job. */
  readonly stats: Effect.Effect<TubeStats, ClientError | BeanstalkError.TubeNotFound, BeanstalkClient>

  // administering -----------------------------------------------------------------------------------------------------

  /**
   * Makes up to `bound` buried jobs ready, or delayed ones if none is buried. Succeeds with their number. A server with no room
   * in its binlog makes none ready, but answers `bound`: the `stats` have the number of jobs that are still buried.
   */
  readonly kick: (
    bound: number
  ) => Effect.Effect<number, BeanstalkError.TubeError | BeanstalkError.ConnectFailed, BeanstalkClient>
  /**
   * Pauses the tube: its jobs are not reserved for this long. Whole seconds, rounded up; zero ends a pause. Fails with
   * `TubeNotFound` if no connection uses or watches the tube and it holds no job.
   */
  readonly pause: (
    duration: Duration.DurationInput
  ) => Effect.Effect<void, BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed, BeanstalkClient>
  /** Deletes the jobs of the tube. See `BeanstalkClient.purge`. */
  readonly purge: (
    options?: BulkOptions
  ) => Effect.Effect<Tally, BulkError, BeanstalkClient>
}

/**
 * A tube, whatever its payloads: what can be done with its jobs without decoding one. Every {@link Tube} is one.
 *
 * **Example** (print how full each of several tubes is)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const printReady = (tube: Tube.Any) =>
 *   Effect.flatMap(tube.stats, ({ currentJobsReady }) => Console.log(`${tube.name}: ${currentJobsReady} jobs are ready`))
 *
 * const program = Effect.forEach([Tube.text("mails"), Tube.bytes("images")], printReady)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Pick<Tube<unknown>, TypeId | "name" | "defaults" | "stats" | "kick" | "pause" | "purge"> {}

/**
 * The type of the payloads of a tube.
 *
 * **Example** (the payload of a tube, for a function of your own)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String, subject: Schema.String }) })
 *
 * const subjectOf = ({ subject }: Tube.Payload<typeof Mails>) => subject
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Payload<T extends Any> = T extends Tube<infer A, infer _R> ? A : never

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A tube whose bodies are JSON.
 *
 * Throws `InvalidArgument` for an invalid name or default: a tube is meant to be a constant of the program.
 *
 * **Details**
 *
 * What JSON would change is not put: the payload fails with `PayloadError`, which says where. JSON has strings, finite numbers,
 * booleans, `null`, arrays and plain objects. It has no `NaN`, `Infinity`, bigint, symbol, function, `Date`, `Map`, `Set`, typed array
 * or instance of another class, no `undefined` in an array and no hole. A Schema that is known to encode to one of these does not
 * compile: see {@link EncodesToJson}.
 *
 * Two changes are allowed: -0 is read back as 0, and a property that is `undefined` is left out, so that the Schema reads it as
 * missing. A Schema with the parse option `exact` tells these apart, and such a property fails with `PayloadError`.
 *
 * A byte order mark at the beginning of a body, as programs in .NET write it, is skipped.
 *
 * **Example** (a payload with a date, which is written as text)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const Emails = Tube.make("emails", {
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
    ? build("Tube.make", name, defaults, (tube) => TraceEnvelope.withEnvelope(tube, payload), () => "producer")
    : buildUntraced("Tube.make", name, defaults, (tube) => Codec.codec(tube, payload, BodyFormat.json(payload.ast)))

/**
 * A tube whose bodies are UTF-8 text. The payloads are strings, or what a Schema makes of them. Throws like {@link make}. A byte
 * order mark is a part of the text.
 *
 * **Gotchas**
 *
 * A Schema that writes JSON itself, as `Schema.parseJson` does, writes `NaN` as `null`: {@link make} checks for it.
 *
 * **Example** (lines of text)
 *
 * ```ts
 * import { Tube } from "effect-beanstalk"
 *
 * const Audit = Tube.text("audit", { ttr: "10 seconds" })
 *
 * const record = Audit.put("user 17 has logged in")
 * ```
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
    ? buildUntraced("Tube.text", name, defaults, (tube) => Codec.codec(tube, Schema.String, BodyFormat.text))
    : buildUntraced("Tube.text", name, defaults, (tube) => Codec.codec(tube, payload, BodyFormat.text))
}

/**
 * A tube whose bodies are bytes. The payloads are a `Uint8Array`, or what a Schema makes of it. Throws like {@link make}.
 *
 * **Example** (MessagePack)
 *
 * ```ts
 * import { MsgPack } from "@effect/platform"
 * import { Schema } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const Measurement = Schema.Struct({ sensor: Schema.Number, value: Schema.Number })
 *
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
    ? buildUntraced(
      "Tube.bytes",
      name,
      defaults,
      (tube) => Codec.codec(tube, Schema.Uint8ArrayFromSelf, BodyFormat.bytes)
    )
    : buildUntraced("Tube.bytes", name, defaults, (tube) => Codec.codec(tube, payload, BodyFormat.bytes))
}

/** A tube whose bodies have no envelope. Whether its puts have spans is up to the client. */
const buildUntraced = <A, R>(
  constructor: Constructor,
  name: string,
  defaults: Defaults,
  codecOf: (tube: TubeName) => Codec.Codec<A, R>
) =>
  build(
    constructor,
    name,
    defaults,
    (tube) => TraceEnvelope.withoutEnvelope(codecOf(tube)),
    ({ spans }) => spans ? "client" : undefined
  )

type Constructor = "Tube.make" | "Tube.text" | "Tube.bytes"

const build = <A, R>(
  constructor: Constructor,
  text: string,
  { delay, priority, ttr }: Defaults,
  codecOf: (tube: TubeName) => TraceEnvelope.TracedCodec<A, R>,
  spanOf: (client: Client) => ProducerSpan.Kind | undefined
): Tube<A, R> => {
  const name = Validate.tubeName(constructor, text, "name")
  const defaults: Defaults = { delay, priority, ttr }
  checkJobOptions(constructor, defaults)
  const { decode, encode, senderOf } = codecOf(name)

  const withDefaults = (options: Protocol.JobOptions | undefined): Protocol.JobOptions =>
    options === undefined ? defaults : {
      priority: options.priority ?? priority,
      delay: options.delay ?? delay,
      ttr: options.ttr ?? ttr
    }
  const decodeFound = Effect.flatMap((found: Option.Option<PeekedJob>) =>
    Effect.transposeOption(
      Option.map(found, (job) => Effect.map(decode(job), (payload): Peeked<A> => ({ id: job.id, payload })))
    )
  )
  const encodeChunk = (payloads: Chunk.Chunk<A>) =>
    Effect.map(Effect.forEach(payloads, (payload) => Effect.merge(encode(payload))), Chunk.unsafeFromArray)
  // In pieces: while a large chunk is encoded as a whole, the server has nothing to do.
  const encodeAll = <E, R2>(payloads: Stream.Stream<A, E, R2>) =>
    Stream.chunks(payloads).pipe(
      Stream.mapConcat(Chunk.chunksOf(128)),
      Stream.mapEffect(encodeChunk),
      Stream.flattenChunks
    )
  const putAll: Tube<A, R>["putAll"] = (payloads, options) =>
    Stream.unwrap(
      Effect.map(BeanstalkClient, (client) => {
        const ids = client.putAll(name, encodeAll(payloads), { ...withDefaults(options), window: options?.window })
        const kind = spanOf(client)
        return kind === undefined ? ids : ProducerSpan.putAll(kind, { tube: name, address: client.address }, ids)
      })
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
      Effect.flatMap(BeanstalkClient, (client) => {
        const send = (body: string | Uint8Array) => client.put(name, body, withDefaults(options))
        const kind = spanOf(client)
        return kind === undefined
          ? Effect.flatMap(encode(payload), send)
          : ProducerSpan.put(kind, { tube: name, address: client.address }, { encode: encode(payload), send })
      }),
    putAll,
    sink: (options) => Sink.unwrapScoped(countingSink((payloads: Stream.Stream<A>) => putAll(payloads, options))),

    peekReady: decodeFound(onName((client) => client.peekReady(name))),
    peekDelayed: decodeFound(onName((client) => client.peekDelayed(name))),
    peekBuried: decodeFound(onName((client) => client.peekBuried(name))),
    stats: onName((client) => client.statsTube(name)),

    kick: (bound) => Effect.flatMap(BeanstalkClient, (client) => client.kick(name, bound)),
    pause: (duration) => Effect.flatMap(BeanstalkClient, (client) => client.pauseTube(name, duration)),
    purge: (options) => Effect.flatMap(BeanstalkClient, (client) => client.purge(name, options))
  }
}

/** A command whose only argument is the name of the tube, which is valid. */
const onName = <A, E>(send: (client: Client) => Effect.Effect<A, E | BeanstalkError.InvalidArgument>) =>
  Effect.flatMap(BeanstalkClient, send).pipe(
    Effect.catchIf((error) => error instanceof BeanstalkError.InvalidArgument, Effect.die)
  )

/** A Sink that runs what it receives through a stream transformation, and counts what that emits. */
const countingSink = <A, B, E, R>(run: (elements: Stream.Stream<A>) => Stream.Stream<B, E, R>) =>
  Effect.gen(function*() {
    const mailbox = yield* Mailbox.make<A>({ capacity: 1024 })
    const running = yield* Stream.runCount(run(Mailbox.toStream(mailbox))).pipe(
      Effect.ensuring(mailbox.shutdown),
      Effect.forkScoped
    )
    const offering = Sink.forEachChunk((chunk: Chunk.Chunk<A>) =>
      // The mailbox is shut down, and takes no more, once the transformation has failed: its failure then ends the Sink.
      Effect.flatMap(mailbox.offerAll(chunk), (rest) => Chunk.isEmpty(rest) ? Effect.void : Effect.never)
    ).pipe(Sink.mapEffect(() => Effect.zipRight(mailbox.end, Fiber.join(running))))
    // A failure also ends the Sink while the source emits nothing.
    return Sink.fromChannel(Channel.interruptWhen(Sink.toChannel(offering), Fiber.join(running)))
  })
