/**
 * Reserved and peeked jobs, the ids of jobs and the names of tubes.
 *
 * @module
 * @since 0.1.0
 */

import type * as Brand from "effect/Brand"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"
import { errorMessage } from "./internal/values/errorMessage.ts"
import { type ErrorTypeId, errorTypeId } from "./internal/values/errorTypeId.ts"

const largestU64 = "18446744073709551615"

/**
 * The id of a job, as decimal text.
 *
 * **Details**
 *
 * An id is an unsigned 64-bit integer. A JavaScript number cannot represent all of them exactly, and a rounded id would be
 * that of another job, so an id is always text.
 *
 * **Gotchas**
 *
 * Ids start again at 1 when a server starts without a binlog, and may be reused after a restart with one. An id is valid
 * only on the server process that assigned it.
 *
 * @category models
 * @since 0.1.0
 */
export type JobId = string & Brand.Brand<"effect-beanstalk/JobId">

/**
 * Whether a text is a {@link JobId}: one to twenty digits, at most 2^64 - 1.
 *
 * @category guards
 * @since 0.1.0
 */
export const isJobId = (text: string): text is JobId =>
  /^\d{1,20}$/.test(text) && (text.length < largestU64.length || text <= largestU64)

/**
 * The {@link JobId} as a Schema, to decode ids that a program has stored or received.
 *
 * **Example** (an id that a request names)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Job } from "effect-beanstalk"
 *
 * const CancelRequest = Schema.Struct({ job: Job.JobId })
 *
 * const decode = Schema.decodeUnknown(CancelRequest)
 * ```
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
 * Whether a text is a {@link TubeName}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTubeName = (text: string): text is TubeName =>
  /^[A-Za-z0-9+/;.$_()][-A-Za-z0-9+/;.$_()]{0,199}$/.test(text)

/**
 * The {@link TubeName} as a Schema, to decode names that a program has stored or received.
 *
 * **Example** (the name of a tube from the configuration)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Job } from "effect-beanstalk"
 *
 * const tube = Schema.Config("MAIL_TUBE", Job.TubeName)
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const TubeName: Schema.Schema<TubeName, string> = Schema.String.pipe(
  Schema.filter(isTubeName, { identifier: "TubeName", description: "the name of a beanstalkd tube" })
)

/**
 * The tube `default`, which every new connection uses and watches. It always exists.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultTube: TubeName = Schema.decodeSync(TubeName)("default")

/**
 * The body of a job is not text in the encoding asked for (`NotText`), or `TextDecoder` does not support that encoding
 * (`UnknownEncoding`). The bytes are never part of the error.
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
    return errorMessage(() =>
      this.reason === "NotText"
        ? `The body of job ${this.id} is not ${this.encoding} text. Read its bytes from \`job.body\`, ` +
          `or pass { invalid: "replace" } to read it with replacement characters.`
        : `The body of job ${this.id} cannot be decoded as ${JSON.stringify(this.encoding)}: ` +
          `TextDecoder does not support that encoding.`
    )
  }
}

/**
 * Options of {@link ReservedJob.text} and {@link PeekedJob.text}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TextOptions {
  /**
   * What happens to a body that is not text in the encoding asked for: `"fail"` (the default) fails with
   * {@link InvalidText}; `"replace"` decodes each invalid sequence to U+FFFD.
   */
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

/** What reserved and peeked jobs have in common. Printing one shows the size of its body, never the body. */
abstract class JobWithBody extends Inspectable.Class {
  /** The id the server assigned to the job. */
  readonly id: JobId
  /** The body, as it was put. */
  readonly body: Uint8Array

  constructor(id: JobId, body: Uint8Array) {
    super()
    this.id = id
    this.body = body
  }

  /**
   * Decodes the body as text: UTF-8 by default, or any encoding that `TextDecoder` supports (`"shift_jis"`, `"latin1"`,
   * which the encoding standard defines as windows-1252, …). A byte order mark is kept.
   *
   * Fails with {@link InvalidText} if the body is not text in that encoding, unless `{ invalid: "replace" }` is given, and if
   * the encoding is not supported.
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
 * A job that a connection has reserved. The reservation ends when the job is deleted, released or buried **on the same
 * connection**, when its time to run is over, or when that connection closes.
 *
 * **Example** (read the body as text, whatever bytes it has)
 *
 * ```ts
 * import type { Job } from "effect-beanstalk"
 *
 * const textOf = (job: Job.ReservedJob) => job.text("utf-8", { invalid: "replace" })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class ReservedJob extends JobWithBody {
  readonly _tag = "ReservedJob"
}

/**
 * A copy of a job that was peeked. Peeking does not reserve the job, which may have changed or been deleted since.
 *
 * **Example** (look at the job that would be reserved next)
 *
 * ```ts
 * import { Console, Effect, Option } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const look = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   const next = yield* client.peekReady("mails")
 *   if (Option.isSome(next)) yield* Console.log(yield* next.value.text())
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class PeekedJob extends JobWithBody {
  readonly _tag = "PeekedJob"
}
