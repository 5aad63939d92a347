/** How a run can fail, and the failures by which a handler decides itself what becomes of its job. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { PayloadError } from "../../BeanstalkError.ts"
import * as Validate from "../protocol/validate.ts"
import { errorMessage } from "../values/errorMessage.ts"

interface WithReason {
  readonly reason?: string | undefined
}

/** See `Worker.Bury`. */
export class Bury extends Data.TaggedError("Bury")<WithReason> {
  constructor(options: WithReason = {}) {
    super(options)
  }
  override get message() {
    return errorMessage(() => this.reason ?? "The handler asked to bury the job.")
  }
}

/** See `Worker.Discard`. */
export class Discard extends Data.TaggedError("Discard")<WithReason> {
  constructor(options: WithReason = {}) {
    super(options)
  }
  override get message() {
    return errorMessage(() => this.reason ?? "The handler asked to delete the job.")
  }
}

/** See `Worker.RetryAfter`. */
export class RetryAfter extends Data.TaggedError("RetryAfter")<{
  readonly delay: Duration.DurationInput
  readonly reason?: string | undefined
}> {
  constructor(options: { readonly delay: Duration.DurationInput; readonly reason?: string | undefined }) {
    Validate.unit("Worker.RetryAfter", "delay", options.delay)
    super(options)
  }

  override get message() {
    return errorMessage(() =>
      this.reason ?? Option.match(Duration.decodeUnknown(this.delay), {
        onNone: () => "The handler asked to run the job again after a delay that is no duration.",
        onSome: (delay) => `The handler asked to run the job again in ${Duration.format(delay)}.`
      })
    )
  }

  /** A delay may be a bigint, which JSON does not have, or no duration at all. */
  override toJSON() {
    const delay = Option.getOrNull(Duration.decodeUnknown(this.delay))
    return { _tag: this._tag, delay, reason: this.reason, message: this.message }
  }
}

/** See `Worker.Order`. */
export type Order = Bury | Discard | RetryAfter

/** See `Worker.Failure`. */
export type Failure<E> = E | Cause.TimeoutException | Cause.UnknownException

/** A body that does not decode. A class of its own, since a handler may fail with a `PayloadError` too. */
export class Undecodable {
  readonly error: PayloadError

  constructor(error: PayloadError) {
    this.error = error
  }
}

/** A handler that ran for too long. A class of its own, since a handler may fail with a `TimeoutException` too. */
export class TookTooLong {
  readonly error: Cause.TimeoutException

  constructor(message: string) {
    this.error = new Cause.TimeoutException(message)
  }
}

/** How a run can fail: of itself, by the worker, or before it began. */
export type RunFailure<E> = E | Order | TookTooLong | Undecodable
