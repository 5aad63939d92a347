/**
 * Jobs, and the two names everything else is addressed by: a job's id and a tube's name.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"
import { type ErrorTypeId, errorTypeId } from "./internal/errorTypeId.ts"

const largestU64 = "18446744073709551615"

/**
 * The number beanstalkd gives a job, as decimal text.
 *
 * **Details**
 *
 * An id is an unsigned 64-bit integer. A JavaScript number cannot hold all of them, and a rounded id would delete
 * somebody else's job, so it stays text from the wire to the wire.
 *
 * **Gotchas**
 *
 * Ids start again at 1 when a server starts without a binlog, and may be reused after a restart with one: an id
 * means something only to the server that gave it, and only while that server lives.
 *
 * @category models
 * @since 0.1.0
 */
export type JobId = string & Brand.Brand<"effect-beanstalk/JobId">

/**
 * Whether a text is the id of a possible job: one to twenty digits, at most 2^64 - 1.
 *
 * @category guards
 * @since 0.1.0
 */
export const isJobId = (text: string): text is JobId =>
  /^\d{1,20}$/.test(text) && (text.length < largestU64.length || text <= largestU64)

/**
 * The {@link JobId} as a Schema, to decode ids that were stored or sent somewhere.
 *
 * @category schemas
 * @since 0.1.0
 */
export const JobId: Schema.Schema<JobId, string> = Schema.String.pipe(
  Schema.filter(isJobId, { identifier: "JobId", description: "the id of a beanstalkd job" })
)

/**
 * The name of a tube: 1 to 200 bytes of letters, digits and `-+/;.$_()`, not beginning with `-`.
 *
 * @category models
 * @since 0.1.0
 */
export type TubeName = string & Brand.Brand<"effect-beanstalk/TubeName">

/**
 * Whether a text can be the name of a tube.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTubeName = (text: string): text is TubeName =>
  /^[A-Za-z0-9+/;.$_()][-A-Za-z0-9+/;.$_()]{0,199}$/.test(text)

/**
 * The {@link TubeName} as a Schema.
 *
 * @category schemas
 * @since 0.1.0
 */
export const TubeName: Schema.Schema<TubeName, string> = Schema.String.pipe(
  Schema.filter(isTubeName, { identifier: "TubeName", description: "the name of a beanstalkd tube" })
)

/**
 * The tube every connection uses and watches until it is told otherwise. It always exists.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultTube: TubeName = Schema.decodeSync(TubeName)("default")

/**
 * The body of a job is not text in the encoding it was read with. The bytes themselves are never part of the error.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidText extends Data.TaggedError("InvalidText")<{
  readonly id: JobId
  readonly encoding: string
  readonly reason: "NotText" | "UnknownEncoding"
}> {
  get [errorTypeId](): ErrorTypeId {
    return errorTypeId
  }
  override get message() {
    return this.reason === "NotText"
      ? `The body of job ${this.id} is not ${this.encoding} text. Read its bytes from \`job.body\`, ` +
        `or pass { invalid: "replace" } to read it with replacement characters.`
      : `The body of job ${this.id} cannot be read as ${JSON.stringify(this.encoding)}: ` +
        `no such encoding is known to TextDecoder.`
  }
}

/**
 * How {@link ReservedJob.text} and {@link PeekedJob.text} treat a body that is not text in the encoding asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface TextOptions {
  /** `"fail"` (the default) fails with {@link InvalidText}; `"replace"` puts U+FFFD where bytes make no character. */
  readonly invalid?: "fail" | "replace" | undefined
}

const decodeText = (
  id: JobId,
  body: Uint8Array,
  encoding: string,
  options: TextOptions | undefined
): Effect.Effect<string, InvalidText> =>
  Effect.suspend(() => {
    let decoder: TextDecoder
    try {
      decoder = new TextDecoder(encoding, { fatal: options?.invalid !== "replace", ignoreBOM: true })
    } catch {
      return new InvalidText({ id, encoding, reason: "UnknownEncoding" })
    }
    try {
      return Effect.succeed(decoder.decode(body))
    } catch {
      return new InvalidText({ id, encoding, reason: "NotText" })
    }
  })

/** What a reserved and a peeked job have in common. Printing one shows the size of its body, never the body. */
abstract class JobWithBody extends Inspectable.Class {
  /** The number the server gave the job. */
  readonly id: JobId
  /** The body, byte for byte as it was put. */
  readonly body: Uint8Array

  constructor(id: JobId, body: Uint8Array) {
    super()
    this.id = id
    this.body = body
  }

  /**
   * The body as text: UTF-8, or any other label that `TextDecoder` knows (`"shift_jis"`, `"latin1"`, which to it and to
   * every browser is windows-1252, …).
   *
   * Fails with {@link InvalidText} when the body is not text in that encoding, unless `{ invalid: "replace" }` is given,
   * and when the encoding is unknown.
   */
  text(encoding = "utf-8", options?: TextOptions): Effect.Effect<string, InvalidText> {
    return decodeText(this.id, this.body, encoding, options)
  }

  abstract readonly _tag: string

  override toJSON() {
    return { _id: "effect-beanstalk/Job", _tag: this._tag, id: this.id, bytes: this.body.length }
  }
}

/**
 * A job handed to this connection. It is ours until it is deleted, released or buried **on the connection that
 * reserved it**, until its time to run is over, or until that connection closes.
 *
 * @category models
 * @since 0.1.0
 */
export class ReservedJob extends JobWithBody {
  readonly _tag = "ReservedJob"
}

/**
 * A copy of a job that somebody looked at. Peeking reserves nothing: by the time it is read the job may be gone.
 *
 * @category models
 * @since 0.1.0
 */
export class PeekedJob extends JobWithBody {
  readonly _tag = "PeekedJob"
}
