/**
 * Every error of this library, one class for each that a program may want to handle on its own.
 *
 * An error that the server answers with has the protocol's word as its tag: `JOB_TOO_BIG` is `JobTooBig`. No error contains
 * the body of a job.
 *
 * **Which are ours**
 *
 * Another library may have errors with the same tags (`Buried`, `TimedOut`, `JobNotFound`, …). In an Effect that can fail with both,
 * `catchTag` catches both. {@link isBeanstalkError} tells ours by their {@link TypeId}; put it in front, or handle our errors at the call
 * that fails with them.
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import { BeanstalkConnection, BeanstalkError } from "effect-beanstalk"
 *
 * const reserveNow = Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.BeanstalkConnection
 *   return Option.some(yield* beanstalk.reserveWithTimeout(0))
 * }).pipe(
 *   Effect.catchIf(
 *     (error) => BeanstalkError.isBeanstalkError(error) && error._tag === "TimedOut",
 *     () => Effect.succeed(Option.none())
 *   )
 * )
 * ```
 *
 * **Where it failed**
 *
 * An error is made when the server's answer arrives, on the stack of the socket, which is left out. To record the line of each call
 * would take as long as the call, also when nothing fails. A function made with `Effect.fn` is recorded by Effect: `Cause.pretty`, and so the
 * log, has the line of its definition and that of its call.
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const FetchUrl = Tube.make("URLs-to-fetch", { payload: Schema.Struct({ url: Schema.String }) })
 *
 * const enqueue = Effect.fn("enqueue")((url: string) => FetchUrl.put({ url }))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import type * as Arr from "effect/Array"
import * as Data from "effect/Data"
import * as Predicate from "effect/Predicate"
import { changesJob } from "./internal/values/changesJob.ts"
import { errorMessage } from "./internal/values/errorMessage.ts"
import { type ErrorTypeId, errorTypeId } from "./internal/values/errorTypeId.ts"
import { describeId } from "./internal/values/qualifiedId.ts"
import { InvalidText, type JobId, type TubeName } from "./Job.ts"

export {
  /**
   * The body of a job cannot be decoded as text. See `Job.InvalidText`.
   *
   * @category errors
   * @since 0.1.0
   */
  InvalidText
}

/**
 * The property that marks every error of this library.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = errorTypeId

/**
 * The type of {@link TypeId}.
 *
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = ErrorTypeId

/**
 * The command that failed, and the server it was sent to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Origin {
  /** The command as the protocol spells it: `put`, `reserve-with-timeout`, … */
  readonly command: string
  /** The server, as its `Connector` names it: `localhost:11300`, `unix:/run/beanstalkd.sock`, … */
  readonly address: string
}

// ---------------------------------------------------------------------------------------------------------------------
// what the server answers to any command
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `OUT_OF_MEMORY`: the server has no memory, or no room in its binlog, for the command.
 *
 * After a `put` nothing is stored, and the same command can succeed later: {@link isRetryable} is true. After a `release` or a
 * `bury` it is false: the job is in none of the server's queues any more. It counts as reserved, but no connection holds it, and
 * no command but `peek` and `stats-job` finds it until the server is restarted.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutOfMemory extends Data.TaggedError("OutOfMemory")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} is out of memory, or of disk space for its binlog. ` +
      (isSettling(this.command)
        ? `${inNoQueue} Give the server more memory or disk space.`
        : `${this.command === "put" ? "Nothing was stored. " : ""}` +
          `Retry later, or give the server more memory or disk space.`)
    )
  }
}

/**
 * `INTERNAL_ERROR`: the server detected a bug in itself, or could not write to its binlog.
 *
 * What the command has done depends on it. After a `release` or a `bury` the job is in none of the server's queues, as after
 * {@link OutOfMemory}. After a `delete` the job is deleted, but may be there again when the server is restarted.
 *
 * @category errors
 * @since 0.1.0
 */
export class InternalError extends Data.TaggedError("InternalError")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} reports an internal error: ` +
      `a bug of the server, or a full disk under its binlog. ${
        afterInternalError(this.command)
      }See the log of the server.`
    )
  }
}

/** The server takes the job out of the hands of its holder before it finds that it cannot go on. */
const isSettling = (command: string) => command === "release" || command === "bury"

const inNoQueue = "The job is not reserved by this connection any more, and is in no queue: " +
  "no connection can reserve, kick or delete it until the server is restarted."

const afterInternalError = (command: string) => {
  switch (command) {
    case "put":
      return "Whether the job was stored is unknown. "
    case "release":
    case "bury":
      return `${inNoQueue} `
    case "delete":
      return "The job is deleted, but may be there again when the server is restarted. "
    default:
      return ""
  }
}

/**
 * `BAD_FORMAT`: the server could not parse the command.
 *
 * A server that supports the command parses every request that this client encodes. In answer to a `put` the connection is
 * closed too, because the server may read the body as commands.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadFormat extends Data.TaggedError("BadFormat")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} could not parse the command${since(this.command)}. ` +
      `If the server supports the command, this is a bug in effect-beanstalk: please report it.`
    )
  }
}

/**
 * `UNKNOWN_COMMAND`: the server is older than the command. In answer to a `put` the connection is closed too, because the
 * server may read the body as commands.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownCommand extends Data.TaggedError("UnknownCommand")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} is older than this command` +
      `${since(this.command)}. Upgrade the server, or do without the command.`
    )
  }
}

/** The first release of beanstalkd with a command that old servers lack. */
const introduced: Readonly<Record<string, string>> = {
  touch: "1.2",
  "pause-tube": "1.4.3",
  "kick-job": "1.8",
  "reserve-job": "1.12"
}

const since = (command: string) => {
  const version = introduced[command]
  return version === undefined ? "" : ` (it needs beanstalkd ${version} or later)`
}

// ---------------------------------------------------------------------------------------------------------------------
// what the server answers to particular commands
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `EXPECTED_CRLF`: the body of a `put` did not have the length that its request line announced.
 *
 * This client's encoder cannot cause it. The connection is closed, because the server may read the rest of the body as
 * commands.
 *
 * @category errors
 * @since 0.1.0
 */
export class ExpectedCRLF extends Data.TaggedError("ExpectedCRLF")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} did not find the end of the body at its announced length. ` +
      `The job was not stored, and the connection is closed. This is a bug in effect-beanstalk: please report it.`
    )
  }
}

/**
 * `JOB_TOO_BIG`: the body is larger than the server accepts (its `-z` option, 65,535 bytes by default). A connection knows
 * the limit of its server, and refuses a larger body without sending it.
 *
 * **Example** (put a reference to the data instead)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const put = (image: Uint8Array, save: (image: Uint8Array) => Effect.Effect<string>) =>
 *   Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) =>
 *     client.put("images", image).pipe(
 *       Effect.catchTag("JobTooBig", () => Effect.flatMap(save(image), (key) => client.put("images-by-key", key)))
 *     ))
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class JobTooBig extends Data.TaggedError("JobTooBig")<
  Origin & {
    /** The size of the body, in bytes. */
    readonly size: number
    /** The largest body the server accepts, in bytes. `undefined` if the server refused the body: its answer has no limit. */
    readonly limit?: number | undefined
  }
> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      const limit = this.limit === undefined ? "accepts" : `accepts (${this.limit})`
      return `${this.command}: a body of ${this.size} bytes is larger than beanstalkd at ${this.address} ${limit}. ` +
        `Put a reference to the data instead, or start the server with a larger -z.`
    })
  }
}

/**
 * `DRAINING`: the server received SIGUSR1, and accepts no new jobs until it is restarted.
 *
 * **Example** (put the job elsewhere while the server is drained)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { BeanstalkClient } from "effect-beanstalk"
 *
 * const put = (primary: BeanstalkClient.Client, secondary: BeanstalkClient.Client) =>
 *   primary.put("mails", "hello").pipe(
 *     Effect.catchTag("Draining", () => secondary.put("mails", "hello"))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class Draining extends Data.TaggedError("Draining")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} is in drain mode and accepts no new jobs. ` +
      `Put the job on another server, or retry after a restart of this one.`
    )
  }
}

/**
 * `BURIED`: the server is out of memory, and buried the job instead of making it ready. The job exists.
 *
 * **Example** (use the id, and kick the job later)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { BeanstalkConnection } from "effect-beanstalk"
 *
 * const put = (beanstalk: BeanstalkConnection.Connection) =>
 *   beanstalk.put("hello").pipe(
 *     Effect.catchTag("Buried", (buried) => Effect.succeed(buried.id))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class Buried extends Data.TaggedError("Buried")<Origin & { readonly id: JobId }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: beanstalkd at ${this.address} ran out of memory and buried job ${describeId(this.id)}. ` +
      `The job is stored, but cannot be reserved until it is kicked.`
    )
  }
}

/**
 * `NOT_FOUND` for a job: it does not exist, is not in the state that the command needs, or is reserved by another
 * connection.
 *
 * **Example** (delete a job, and succeed with whether there was one)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const cancel = (id: string) =>
 *   Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) =>
 *     client.delete(id).pipe(
 *       Effect.as(true),
 *       Effect.catchTag("JobNotFound", () => Effect.succeed(false))
 *     ))
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class JobNotFound extends Data.TaggedError("JobNotFound")<Origin & { readonly id: JobId }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: job ${describeId(this.id)} was not found on beanstalkd at ${this.address}. ${
        hint(this.command)
      }`
    )
  }
}

const hint = (command: string) => {
  switch (command) {
    case "touch":
    case "release":
    case "bury":
      return "It does not exist, or this connection does not hold it: its time to run may be over."
    case "delete":
      return "It does not exist, or another connection has reserved it."
    case "reserve-job":
      return "It does not exist, or it is already reserved."
    case "kick-job":
      return "It does not exist, it is neither buried nor delayed, or the server has no room in its binlog for the kick."
    default:
      return "It was deleted, or never existed."
  }
}

/**
 * `NOT_FOUND` for a tube: a tube exists only while a connection uses or watches it, or a job is in it.
 *
 * @category errors
 * @since 0.1.0
 */
export class TubeNotFound extends Data.TaggedError("TubeNotFound")<Origin & { readonly tube: TubeName }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: tube ${this.tube} was not found on beanstalkd at ${this.address}. ` +
      `A tube exists only while a connection uses or watches it, or a job is in it.`
    )
  }
}

/**
 * `NOT_IGNORED`: the last watched tube cannot be ignored. Watch another tube first.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotIgnored extends Data.TaggedError("NotIgnored")<Origin & { readonly tube: TubeName }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: tube ${this.tube} is the only one that this connection to ${this.address} watches. ` +
      `Watch another tube before you ignore it.`
    )
  }
}

/**
 * `TIMED_OUT`: no job could be reserved within the timeout.
 *
 * **Example** (no job is a result, not an error)
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import type { BeanstalkConnection } from "effect-beanstalk"
 *
 * const nextJob = (beanstalk: BeanstalkConnection.Connection) =>
 *   beanstalk.reserveWithTimeout("5 seconds").pipe(
 *     Effect.asSome,
 *     Effect.catchTag("TimedOut", () => Effect.succeed(Option.none()))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Data.TaggedError("TimedOut")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: no job of beanstalkd at ${this.address} became available within the timeout. Reserve again.`
    )
  }
}

/**
 * `DEADLINE_SOON`: the time to run of a job that this connection holds ends in less than a second, and no other job is ready.
 *
 * Touch or finish the held job before the next reserve: until then, and while no other job is ready, the server answers every
 * reserve at once with `DEADLINE_SOON`. A job with a time to run of one second causes it as long as it is held.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineSoon extends Data.TaggedError("DeadlineSoon")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `${this.command}: a job reserved on this connection to ${this.address} has less than a second left to run. ` +
      `Touch or finish it before the next reserve.`
    )
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// what this client reports
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An argument that the protocol does not allow. Nothing was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidArgument extends Data.TaggedError("InvalidArgument")<{
  /**
   * What the argument was passed to: a command as the protocol spells it (`put`, `reserve-job`, …); `putAll`, `purge`, `move` or
   * `runOnce`; `Tube.make`, `Tube.text`, `Tube.bytes` or `Worker.RetryAfter`, which throw it; `connect` for an option of a
   * connection or a client. Invalid options of a worker are a {@link WorkerStartError}.
   */
  readonly command: string
  /** The name of the argument: `tube`, `priority`, `ttr`, … */
  readonly argument: string
  /** What the argument must be, and what it is. */
  readonly reason: string
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => `${this.command}: ${this.argument} ${this.reason}.`)
  }
}

/**
 * No connection could be made. `reason` says at which step it failed:
 *
 * - `Unreachable`: no socket to the address could be opened.
 * - `TimedOut`: the socket was not opened in time, or was, and the first reply did not arrive in time.
 * - `Handshake`: the first reply is not what beanstalkd answers, or is an error.
 * - `Closed`: the scope of the client is closed, so it makes no more connections.
 *
 * **Example** (say at which step it failed)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const check = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.ready).pipe(
 *   Effect.catchTag("ConnectFailed", ({ address, detail, reason }) => Console.error(`${address}: ${reason} (${detail})`))
 * )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  readonly address: string
  readonly reason: "Unreachable" | "TimedOut" | "Handshake" | "Closed"
  /** What happened, as text. */
  readonly detail: string
  /** The error of the socket, or of the first round trip. */
  readonly cause?: unknown
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      switch (this.reason) {
        case "Unreachable":
          return `Cannot connect to beanstalkd at ${this.address}: ${this.detail}. ` +
            `Check that it is running, and that the address is right.`
        case "TimedOut":
          return `beanstalkd at ${this.address} did not answer: ${this.detail}. ` +
            `It may be overloaded or out of file descriptors, or another program listens there.`
        case "Handshake":
          return `The server at ${this.address} did not answer as a healthy beanstalkd does: ${this.detail}.`
        case "Closed":
          return `Cannot connect to beanstalkd at ${this.address}: ${this.detail}. ` +
            `Use the client inside the scope, or under the Layer, that it was made in.`
      }
    })
  }
}

/**
 * The connection was lost before the reply to the command arrived. A connection does not reconnect: open another.
 *
 * `outcome` is `NotSent` if no byte of the command left this process, so that the server did not execute it, and `Unknown`
 * if the server may have executed it.
 *
 * **Example** (put again only what was not sent)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const put = (client: BeanstalkClient.Client) =>
 *   client.put("mails", "hello").pipe(
 *     Effect.catchTag("ConnectionLost", (error) =>
 *       error.outcome === "NotSent" ? client.put("mails", "hello") : Effect.fail(error))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<
  Origin & {
    readonly outcome: "NotSent" | "Unknown"
    /** Why the connection ended, as text. */
    readonly reason: string
    readonly cause?: unknown
  }
> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      const outcome = this.outcome === "NotSent"
        ? `The command was not sent${unsent(this.command)}`
        : "The command was sent; whether the server executed it is unknown."
      return `${this.command}: the connection to beanstalkd at ${this.address} was lost: ${this.reason}. ${outcome}`
    })
  }
}

const unsent = (command: string) => {
  switch (command) {
    case "touch":
    case "release":
    case "bury":
      return ". It cannot be sent on another connection, since the job was reserved by this one."
    case "delete":
    case "kick-job":
    case "reserve-job":
      return ". Send it again only to the same server process: on another, the id is that of another job."
    default:
      return ": it is safe to send it again on another connection."
  }
}

/**
 * The server sent a reply that the command cannot have, or bytes that are no reply. The connection is closed, because later
 * replies can no longer be matched to their commands.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolViolation extends Data.TaggedError("ProtocolViolation")<
  Origin & {
    /** The reply line, or what is wrong with the reply; never the body of a job. */
    readonly reply: string
    /**
     * The last exchanges on the connection before this one, five at most, the oldest first: `put 1024 0 60 5 -> INSERTED 12`.
     * Bodies are given as sizes.
     */
    readonly exchanges?: ReadonlyArray<string> | undefined
  }
> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      const { exchanges = [] } = this
      const before = exchanges.length === 0 ? "" : `The exchanges before it: ${exchanges.join("; ")}. `
      return `${this.command}: beanstalkd at ${this.address} sent an unexpected reply: ${this.reply}. ${before}` +
        `The connection is closed. This is a bug in the server or in effect-beanstalk (please report it), ` +
        `or a program other than beanstalkd answered.`
    })
  }
}

/**
 * `putAll` stopped at the first body that failed. It sent no more bodies, and waited for the replies to those already sent.
 *
 * The fields account for every body: those from index `sent` on were not sent, those in `failures` failed, and all others were
 * acknowledged. The ids of those in front of the first that failed were emitted, in order; those behind it are in `behind`.
 *
 * **Example** (go on with the first body that was not sent)
 *
 * ```ts
 * import { Console, Effect, Stream } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const putAll = (client: BeanstalkClient.Client, bodies: ReadonlyArray<string>) =>
 *   Stream.runDrain(client.putAll("lines", Stream.fromIterable(bodies))).pipe(
 *     Effect.catchTag("PutAllStopped", ({ failures, sent }) =>
 *       Console.error(`${failures.length} failed; go on with body ${sent}`))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class PutAllStopped extends Data.TaggedError("PutAllStopped")<{
  readonly tube: TubeName
  readonly address: string
  /** How many bodies the server acknowledged. */
  readonly acknowledged: number
  /** How many bodies were sent, which is the index, from 0, of the first that was not. */
  readonly sent: number
  /** The bodies that failed, with their index in the stream. After `Buried` or a `ConnectionLost` the job may exist. */
  readonly failures: Arr.NonEmptyReadonlyArray<{
    readonly index: number
    readonly error: PutError | ConnectFailed | PayloadError
  }>
  /** The bodies behind the first that failed which the server acknowledged all the same, with the ids of their jobs. */
  readonly behind: ReadonlyArray<{ readonly index: number; readonly id: JobId }>
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      const [{ error, index }, ...others] = this.failures
      const more = others.length === 0 ? "" : ` Of the bodies sent after it, ${others.length} failed too.`
      return `putAll: body ${index} for tube ${this.tube} of beanstalkd at ${this.address} failed: ${error.message}${more} ` +
        `${this.acknowledged} bodies were acknowledged; none from index ${this.sent} on was sent.`
    })
  }
}

/**
 * `purge` or `move` stopped at an error. The jobs counted in `done` stay purged or moved; the other jobs that it had reserved
 * are ready again.
 *
 * **Example** (say how many jobs were deleted before it stopped)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import type { BeanstalkClient } from "effect-beanstalk"
 *
 * const purge = (client: BeanstalkClient.Client) =>
 *   client.purge("mails").pipe(
 *     Effect.catchTag("BulkStopped", ({ cause, done }) =>
 *       Console.error(`${done.ready} ready jobs were deleted, then: ${cause.message}`))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class BulkStopped extends Data.TaggedError("BulkStopped")<{
  readonly command: "purge" | "move"
  readonly address: string
  readonly tube: TubeName
  /** How many jobs were purged or moved, by the state they were in. */
  readonly done: { readonly ready: number; readonly delayed: number; readonly buried: number }
  /** The error it stopped at. */
  readonly cause: PutError
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      const { buried, delayed, ready } = this.done
      return `${this.command}: stopped in tube ${this.tube} of beanstalkd at ${this.address} ` +
        `after ${ready} ready, ${delayed} delayed and ${buried} buried jobs: ${this.cause.message}`
    })
  }
}

/**
 * `BeanstalkClient.jobs` has asked for as many ids as `reach` allows, and the server counts more jobs than it found.
 *
 * **Example** (list what is found, and say that it is not all)
 *
 * ```ts
 * import { Console, Stream } from "effect"
 * import type { BeanstalkClient } from "effect-beanstalk"
 *
 * const buried = (client: BeanstalkClient.Client) =>
 *   client.jobs({ tube: "mails", states: ["buried"], reach: 100_000 }).pipe(
 *     Stream.catchTag("ReachExceeded", ({ counted, found }) =>
 *       Stream.drain(Stream.fromEffect(Console.error(`found ${found} of ${counted}`))))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ReachExceeded extends Data.TaggedError("ReachExceeded")<{
  readonly address: string
  /** How many jobs were found. */
  readonly found: number
  /** How many the server counts. */
  readonly counted: number
  /** How many ids were asked for. */
  readonly asked: number
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `jobs: ${this.found} of ${this.counted} jobs were found among the newest ${this.asked} ids of beanstalkd at ${this.address}: ` +
      `the others are older. Raise \`reach\` to find them.`
    )
  }
}

/**
 * A payload, or the body of a job, does not match the Schema of its tube, or the payload is encoded to something that JSON, or
 * UTF-8, would change: see `Tube.make`. Nothing was put then.
 *
 * Each issue has a path and what the Schema expects there. The values found are not included, nor key names that come from
 * the data and not from the Schema.
 *
 * **Example** (print where a payload does not match)
 *
 * ```ts
 * import { Console, Effect, Schema } from "effect"
 * import { Tube } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.NonEmptyString }) })
 *
 * const put = Mails.put({ to: "" }).pipe(
 *   Effect.catchTag("PayloadError", ({ issues }) =>
 *     Console.error(issues.map(({ expected, path }) => `${path}: ${expected}`).join("\n")))
 * )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class PayloadError extends Data.TaggedError("PayloadError")<{
  readonly tube: TubeName
  /** Whether a payload could not be encoded, or a body not be decoded. */
  readonly direction: "encode" | "decode"
  /** The job whose body could not be decoded. */
  readonly id?: JobId | undefined
  readonly issues: Arr.NonEmptyReadonlyArray<PayloadIssue>
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => {
      const what = this.direction === "encode" ? "The payload" : `The body of job ${this.id}`
      const issues = this.issues.map(({ expected, path }) => path === "" ? expected : `${expected} at ${path}`)
      return `${what} does not match the Schema of tube ${this.tube}: expected ${issues.join("; ")}.`
    })
  }
}

/**
 * A worker lost the reservation of a job before the job was finished: its time to run ended, another connection has it, or the
 * connection that held it was lost. The job is run again by the next worker that reserves it.
 *
 * **Example** (what another worker may be doing by now is not done twice)
 *
 * ```ts
 * import { Console, Effect, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Payments = Tube.make("payments", { payload: Schema.Struct({ amount: Schema.Number }) })
 *
 * const worker = Worker.run(Payments, ({ amount }, job) =>
 *   Effect.gen(function*() {
 *     // Fails with LeaseLost if the job is not reserved by this worker any more.
 *     yield* job.touch
 *     yield* Console.log(`pays ${amount}`)
 *   }))
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseLost extends Data.TaggedError("LeaseLost")<{
  readonly id: JobId
  readonly tube: TubeName
  readonly address: string
  /** Why it was lost, as text. */
  readonly reason: string
  /** The error that ended the reservation, if there is one. */
  readonly cause?: unknown
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() =>
      `The reservation of job ${
        describeId(this.id)
      } of tube ${this.tube} at ${this.address} was lost: ${this.reason}. ` +
      `The job may be run again by another worker.`
    )
  }
}

/**
 * A worker cannot start with its options, its tube or its server.
 *
 * **Example** (end the program with the reason)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Tube, Worker } from "effect-beanstalk"
 *
 * const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })
 *
 * const worker = Worker.run(Mails, ({ to }) => Effect.log(to), { onFirstConnect: "fail" }).pipe(
 *   Effect.catchTag("WorkerStartError", (error) => Effect.logFatal(error.message))
 * )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerStartError extends Data.TaggedError("WorkerStartError")<{
  readonly tube: TubeName
  /** The option, the tube's `ttr` or the server that the worker cannot start with. */
  readonly subject: string
  /** What is wrong with it, as text. */
  readonly reason: string
  readonly cause?: unknown
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return errorMessage(() => `The worker of tube ${this.tube} cannot start: ${this.subject} ${this.reason}.`)
  }
}

/**
 * One mismatch between a payload and its Schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface PayloadIssue {
  /** The path: `.user.email`, `.lines[3]`; empty for the payload itself. `[*]` stands for a key that comes from the data. */
  readonly path: string
  /** What the Schema expects there. */
  readonly expected: string
}

// ---------------------------------------------------------------------------------------------------------------------
// unions
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the server may answer to any command.
 *
 * @category unions
 * @since 0.1.0
 */
export type ServerError = OutOfMemory | InternalError | BadFormat | UnknownCommand

/**
 * The errors of the connection, not of a command.
 *
 * @category unions
 * @since 0.1.0
 */
export type ConnectionError = ConnectFailed | ConnectionLost | ProtocolViolation

/**
 * The errors that no program can do anything about but have its authors or operators told: an argument that is impossible, a
 * request that the server could not read, a command that the server is too old for, a reply that does not fit the protocol.
 *
 * @category unions
 * @since 0.1.0
 */
export type Bug = InvalidArgument | BadFormat | UnknownCommand | ExpectedCRLF | ProtocolViolation

/**
 * What every command can fail with.
 *
 * @category unions
 * @since 0.1.0
 */
export type CommandError = ServerError | ConnectionLost | ProtocolViolation

/**
 * What `put` can fail with.
 *
 * @category unions
 * @since 0.1.0
 */
export type PutError = CommandError | InvalidArgument | JobTooBig | ExpectedCRLF | Draining | Buried

/**
 * What `reserve` can fail with.
 *
 * @category unions
 * @since 0.1.0
 */
export type ReserveError = CommandError | DeadlineSoon

/**
 * What `reserveWithTimeout` can fail with.
 *
 * @category unions
 * @since 0.1.0
 */
export type ReserveWithTimeoutError = CommandError | InvalidArgument | DeadlineSoon | TimedOut

/**
 * What a command about one job can fail with: `reserveJob`, `delete`, `touch`, `bury`, `peek`, `kickJob`, `statsJob`.
 *
 * @category unions
 * @since 0.1.0
 */
export type JobError = CommandError | InvalidArgument | JobNotFound

/**
 * What `release` can fail with.
 *
 * @category unions
 * @since 0.1.0
 */
export type ReleaseError = JobError | Buried

/**
 * What a command about a tube that need not exist can fail with: `use`, `watch`, `kick`, `peekReady`, …
 *
 * @category unions
 * @since 0.1.0
 */
export type TubeError = CommandError | InvalidArgument

/**
 * What `ignore` can fail with.
 *
 * @category unions
 * @since 0.1.0
 */
export type IgnoreError = TubeError | NotIgnored

/**
 * What a command about a tube that must exist can fail with: `statsTube`, `pauseTube`.
 *
 * @category unions
 * @since 0.1.0
 */
export type ExistingTubeError = TubeError | TubeNotFound

/**
 * Every error of this library.
 *
 * @category unions
 * @since 0.1.0
 */
export type BeanstalkError =
  | ServerError
  | ConnectionError
  | ExpectedCRLF
  | JobTooBig
  | Draining
  | Buried
  | JobNotFound
  | TubeNotFound
  | NotIgnored
  | TimedOut
  | DeadlineSoon
  | InvalidArgument
  | InvalidText
  | PutAllStopped
  | BulkStopped
  | ReachExceeded
  | PayloadError
  | LeaseLost
  | WorkerStartError

// ---------------------------------------------------------------------------------------------------------------------
// guards
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether a value is an error of this library.
 *
 * **Example** (log the errors of this library, and leave the others)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkError } from "effect-beanstalk"
 *
 * const logged = <A, E, R>(program: Effect.Effect<A, E, R>) =>
 *   Effect.tapError(program, (error) =>
 *     BeanstalkError.isBeanstalkError(error) ? Effect.logError(error.message) : Effect.void)
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isBeanstalkError = (u: unknown): u is BeanstalkError => Predicate.hasProperty(u, TypeId)

const hasTag = (u: unknown, ...tags: ReadonlyArray<BeanstalkError["_tag"]>) =>
  isBeanstalkError(u) && tags.includes(u._tag)

/**
 * Whether a value is a {@link ServerError}: an answer that the server may give to any command.
 *
 * **Example** (what the operator of the server is told)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient, BeanstalkError } from "effect-beanstalk"
 *
 * const put = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.put("mails", "hello")).pipe(
 *   Effect.tapError((error) => BeanstalkError.isServerError(error) ? Effect.logFatal(error.message) : Effect.void)
 * )
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isServerError = (u: unknown): u is ServerError =>
  hasTag(u, "OutOfMemory", "InternalError", "BadFormat", "UnknownCommand")

/**
 * Whether a value is a {@link ConnectionError}: no connection could be made, it was lost, or the server violated the protocol.
 *
 * **Example** (a health check)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient, BeanstalkError } from "effect-beanstalk"
 *
 * const isHealthy = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.stats).pipe(
 *   Effect.as(true),
 *   Effect.catchIf(BeanstalkError.isConnectionError, () => Effect.succeed(false))
 * )
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isConnectionError = (u: unknown): u is ConnectionError =>
  hasTag(u, "ConnectFailed", "ConnectionLost", "ProtocolViolation")

/**
 * Whether a value is a {@link Bug}: a fault of the program, of the server or of this library, and not a condition that a program
 * has to expect. The same call fails again until one of them is changed.
 *
 * **Details**
 *
 * False for whatever depends on data, load or the network: `PayloadError`, `JobTooBig`, `OutOfMemory`, `ConnectionLost`, … False as
 * well for `InternalError`, with which a server also answers when its disk is full, and for `WorkerStartError`, which may be a
 * server that cannot be reached.
 *
 * **Example** (let the request fail with what is to be expected, and the fiber die of the rest)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkError, Tube } from "effect-beanstalk"
 *
 * const Pages = Tube.text("pages")
 *
 * const add = (page: string) => Pages.put(page).pipe(Effect.catchIf(BeanstalkError.isBug, Effect.die))
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isBug = (u: unknown): u is Bug =>
  hasTag(u, "InvalidArgument", "BadFormat", "UnknownCommand", "ExpectedCRLF", "ProtocolViolation")

/**
 * Whether the same command can succeed if it is sent again later, and cannot do harm.
 *
 * **Details**
 *
 * True for `OutOfMemory`, `Draining`, `TimedOut`, `ConnectFailed` (unless the client is closed), and a `ConnectionLost` whose
 * command was not sent. A connection does not reconnect: after a `ConnectionLost`, retry the Effect that opens the connection.
 *
 * False for a `ConnectionLost` with an unknown outcome, because the server may have executed the command; and for `DeadlineSoon`,
 * because the held job must be touched or finished first. False for a command that changes the job it names (`delete`, `release`,
 * `kick-job`, …): after its `OutOfMemory` the job is in no queue of the server any more, and after its `ConnectionLost` another
 * server process may answer next, on which the id is that of another job.
 *
 * **Example** (retry what is retryable)
 *
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { BeanstalkClient, BeanstalkError } from "effect-beanstalk"
 *
 * const put = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.put("mails", "hello")).pipe(
 *   Effect.retry({ while: BeanstalkError.isRetryable, schedule: Schedule.exponential("100 millis"), times: 5 })
 * )
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isRetryable = (u: unknown): boolean =>
  hasTag(u, "Draining", "TimedOut") ||
  (isBeanstalkError(u) && u._tag === "OutOfMemory" && !changesJob(u.command)) ||
  (isBeanstalkError(u) && u._tag === "ConnectFailed" && u.reason !== "Closed") ||
  (isBeanstalkError(u) && u._tag === "ConnectionLost" && u.outcome === "NotSent" && !changesJob(u.command))
