/**
 * Everything that can go wrong, one class for each thing a program may want to treat differently.
 *
 * Tags are the protocol's own words where the server speaks, and plain ones where this client does. No error ever
 * contains the body of a job.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Data from "effect/Data"
import * as Predicate from "effect/Predicate"
import { type ErrorTypeId, errorTypeId } from "./internal/errorTypeId.ts"
import { InvalidText, type JobId, type TubeName } from "./Job.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  InvalidText
}

/**
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = errorTypeId

/**
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = ErrorTypeId

/**
 * Where an error comes from: the command as the protocol spells it, and the server it was sent to.
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
// what the server says to any command
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `OUT_OF_MEMORY`: the server has no memory, or no room in its binlog, for what was asked.
 *
 * Nothing was stored. The same command can succeed later: `isRetryable` is true.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutOfMemory extends Data.TaggedError("OutOfMemory")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} is out of memory or of disk space for its binlog. ` +
      `Nothing was stored; send it again later, or give the server room.`
  }
}

/**
 * `INTERNAL_ERROR`: the server found a bug in itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class InternalError extends Data.TaggedError("InternalError")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} reports an internal error. ` +
      `This is a bug of the server, or a full disk under its binlog; its log may tell more.`
  }
}

/**
 * `BAD_FORMAT`: the server could not read the command.
 *
 * This client's encoder cannot cause it against a server that knows the command. In answer to a `put` it also closes
 * the connection, because the server may go on to read the body as commands.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadFormat extends Data.TaggedError("BadFormat")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} could not read the command${since(this.command)}. ` +
      `If the server knows the command, this is a bug in effect-beanstalk: please report it.`
  }
}

/**
 * `UNKNOWN_COMMAND`: the server is older than the command. In answer to a `put` it also closes the connection.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownCommand extends Data.TaggedError("UnknownCommand")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} is older than this command` +
      `${since(this.command)}. Upgrade the server, or do without it.`
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
// what the server says to particular commands
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `EXPECTED_CRLF`: the body that was sent did not have the length that was announced.
 *
 * This client's encoder cannot cause it. The connection is closed, since what follows on it has no meaning any more.
 *
 * @category errors
 * @since 0.1.0
 */
export class ExpectedCRLF extends Data.TaggedError("ExpectedCRLF")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} did not find the end of the body where it was announced. ` +
      `The job was not stored and the connection is closed. This is a bug in effect-beanstalk: please report it.`
  }
}

/**
 * `JOB_TOO_BIG`: the body is larger than the server accepts (its `-z` option, 65,535 bytes by default). Also raised before
 * anything is sent, when the server's limit is known.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobTooBig extends Data.TaggedError("JobTooBig")<
  Origin & {
    /** The size of the body, in bytes. */
    readonly size: number
    /** The largest body the server accepts, in bytes; `undefined` when only the server's answer is known. */
    readonly limit?: number | undefined
  }
> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    const limit = this.limit === undefined ? "accepts" : `accepts (${this.limit})`
    return `${this.command}: a body of ${this.size} bytes is more than beanstalkd at ${this.address} ${limit}. ` +
      `Put a reference to the data instead, or start the server with a larger -z.`
  }
}

/**
 * `DRAINING`: the server takes no new jobs until it is restarted (it was sent SIGUSR1).
 *
 * @category errors
 * @since 0.1.0
 */
export class Draining extends Data.TaggedError("Draining")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} is in drain mode and takes no new jobs. ` +
      `Put it to another server, or again once this one has been restarted.`
  }
}

/**
 * `BURIED`: the server ran out of memory while it made the job ready, and buried it instead. The job exists.
 *
 * **Example** (carry on with the id, and have the job kicked later)
 *
 * ```ts
 * beanstalk.put("hello").pipe(
 *   Effect.catchTag("Buried", (buried) => Effect.succeed(buried.id))
 * )
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
    return `${this.command}: beanstalkd at ${this.address} ran out of memory and buried job ${this.id}. ` +
      `The job is stored, but nobody will be given it until it is kicked.`
  }
}

/**
 * `NOT_FOUND` for a job: it does not exist, or is not in a state, or not in the hands, that the command needs.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobNotFound extends Data.TaggedError("JobNotFound")<Origin & { readonly id: JobId }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} has no job ${this.id} for this. ${hint(this.command)}`
  }
}

const hint = (command: string) => {
  switch (command) {
    case "touch":
    case "release":
    case "bury":
      return "It does not exist, or this connection does not hold it (any more): its time to run may be over."
    case "delete":
      return "It does not exist, or another connection has reserved it."
    case "reserve-job":
      return "It does not exist, or it is reserved already."
    case "kick-job":
      return "It does not exist, or it is neither buried nor delayed."
    default:
      return "It does not exist (any more)."
  }
}

/**
 * `NOT_FOUND` for a tube: nobody uses it, watches it or has a job in it, so it does not exist.
 *
 * @category errors
 * @since 0.1.0
 */
export class TubeNotFound extends Data.TaggedError("TubeNotFound")<Origin & { readonly tube: TubeName }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} has no tube ${this.tube}. ` +
      `A tube exists while somebody uses it, watches it, or a job is in it.`
  }
}

/**
 * `NOT_IGNORED`: the last watched tube cannot be ignored. Watch another one first.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotIgnored extends Data.TaggedError("NotIgnored")<Origin & { readonly tube: TubeName }> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: ${this.tube} is the only tube this connection to ${this.address} watches. ` +
      `Watch another tube before ignoring it.`
  }
}

/**
 * `TIMED_OUT`: no job came within the time the reserve was given.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Data.TaggedError("TimedOut")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: no job came from beanstalkd at ${this.address} within the time given. Reserve again.`
  }
}

/**
 * `DEADLINE_SOON`: a job that this connection holds has less than a second left, and no other job is ready.
 *
 * Neither an error nor a time-out: finish or `touch` what is held. Reserving again at once is answered the same at
 * once, tens of thousands of times a second. With a time to run of one second it is permanent.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineSoon extends Data.TaggedError("DeadlineSoon")<Origin> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: a job reserved on this connection to ${this.address} has less than a second left. ` +
      `Touch it or finish it before reserving again.`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// what this client says
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An argument that beanstalkd could not take. Raised before a byte is written.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidArgument extends Data.TaggedError("InvalidArgument")<{
  readonly command: string
  /** The name of the argument: `tube`, `priority`, `ttr`, … */
  readonly argument: string
  /** What it must be, and what it was. */
  readonly reason: string
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: ${this.argument} ${this.reason}.`
  }
}

/**
 * No connection could be made.
 *
 * `reason` tells where it ended: `Unreachable` (no socket to the address could be opened), `TimedOut` (nothing came back in time, be
 * it the connection or the first reply: a connection that is accepted proves nothing) or `Handshake` (something
 * answered, but not as beanstalkd does); of a client also `Closed` (its scope is closed: it makes no more connections).
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  readonly address: string
  readonly reason: "Unreachable" | "TimedOut" | "Handshake" | "Closed"
  /** What happened, in words. */
  readonly detail: string
  /** The error of the socket, or the one that ended the first round trip. */
  readonly cause?: unknown
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    switch (this.reason) {
      case "Unreachable":
        return `Cannot reach beanstalkd at ${this.address}: ${this.detail}. Is it running, and is the address right?`
      case "TimedOut":
        return `beanstalkd at ${this.address} did not answer: ${this.detail}. ` +
          `It may be overloaded or out of file descriptors, or something else listens there.`
      case "Handshake":
        return `What answers at ${this.address} is not a healthy beanstalkd: ${this.detail}.`
      case "Closed":
        return `No more connections are made to beanstalkd at ${this.address}: ${this.detail}. ` +
          `Use the client inside the scope, or under the Layer, that it was made in.`
    }
  }
}

/**
 * The connection was lost before the command was answered. A connection does not come back: open another.
 *
 * `outcome` is `NotSent` when no byte of the command left this process, so it certainly did nothing, and `Unknown`
 * when it may or may not have been carried out.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<
  Origin & {
    readonly outcome: "NotSent" | "Unknown"
    /** Why the connection ended, in words. */
    readonly reason: string
    readonly cause?: unknown
  }
> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    const outcome = this.outcome === "NotSent"
      ? "The command was not sent: it is safe to send it again on another connection."
      : "The command was sent; whether the server carried it out is unknown."
    return `${this.command}: the connection to beanstalkd at ${this.address} is gone: ${this.reason}. ${outcome}`
  }
}

/**
 * The server said something that has no meaning here. The connection is closed: nothing after it can be trusted.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolViolation extends Data.TaggedError("ProtocolViolation")<
  Origin & {
    /** The reply line, or what is wrong with the reply; never the content of a job. */
    readonly reply: string
  }
> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `${this.command}: beanstalkd at ${this.address} gave a reply that makes no sense: ${this.reply}. ` +
      `The connection is closed. This is a bug of the server or of effect-beanstalk, please report it; ` +
      `or something else than beanstalkd is in between.`
  }
}

/**
 * `putAll` did not put everything. Nothing more was sent behind the first body that failed, and everything that had been
 * sent by then was waited for.
 *
 * Together the fields tell what has become of each body: those from `sent` on were never sent, those of `failures` ended
 * with an error each, and all others were acknowledged, their ids having come out of the stream in their order.
 *
 * @category errors
 * @since 0.1.0
 */
export class PutAllStopped extends Data.TaggedError("PutAllStopped")<{
  readonly tube: TubeName
  readonly address: string
  /** How many bodies were put. */
  readonly acknowledged: number
  /** How many bodies were sent: the index of the first that was not, counted from 0. */
  readonly sent: number
  /** What was sent and not acknowledged, by its index in the stream. An error may mean that the job exists: see each. */
  readonly failures: Arr.NonEmptyReadonlyArray<{
    readonly index: number
    readonly error: PutError | ConnectFailed | PayloadError
  }>
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    const [{ error, index }, ...others] = this.failures
    const more = others.length === 0 ? "" : ` So did ${others.length} that had been sent behind it.`
    return `putAll: body ${index} for tube ${this.tube} of beanstalkd at ${this.address} failed: ${error.message}${more} ` +
      `${this.acknowledged} bodies were acknowledged, and none from index ${this.sent} on was sent.`
  }
}

/**
 * `purge` or `move` ended before its time. What is `done` stays done; what it had reserved was given back.
 *
 * @category errors
 * @since 0.1.0
 */
export class BulkStopped extends Data.TaggedError("BulkStopped")<{
  readonly command: "purge" | "move"
  readonly address: string
  readonly tube: TubeName
  /** How many jobs had been dealt with, by the state they were in. */
  readonly done: { readonly ready: number; readonly delayed: number; readonly buried: number }
  /** What ended it. */
  readonly cause: PutError
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    const { buried, delayed, ready } = this.done
    return `${this.command}: stopped in tube ${this.tube} of beanstalkd at ${this.address} ` +
      `after ${ready} ready, ${delayed} delayed and ${buried} buried jobs: ${this.cause.message}`
  }
}

/**
 * A payload is not what the Schema of its tube says: the one that was to be put, or the body of a job.
 *
 * It tells where, and what was expected there. What was found is not told, nor any name that comes from the data and not
 * from the Schema.
 *
 * @category errors
 * @since 0.1.0
 */
export class PayloadError extends Data.TaggedError("PayloadError")<{
  readonly tube: TubeName
  /** Whether a payload could not become a body, or a body no payload. */
  readonly direction: "encode" | "decode"
  /** The job whose body does not decode. */
  readonly id?: JobId | undefined
  readonly issues: Arr.NonEmptyReadonlyArray<PayloadIssue>
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    const what = this.direction === "encode" ? "A payload" : `The body of job ${this.id}`
    const issues = this.issues.map(({ expected, path }) => path === "" ? expected : `${expected} at ${path}`)
    return `${what} is not what tube ${this.tube} holds: expected ${issues.join("; ")}.`
  }
}

/**
 * A job is not a worker's any more while, or when, it was to be dealt with: it ran out of time, somebody else has it, or the
 * connection that held it is gone. Whoever gets it runs it again.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseLost extends Data.TaggedError("LeaseLost")<{
  readonly id: JobId
  readonly tube: TubeName
  readonly address: string
  /** How it was lost, in words. */
  readonly reason: string
  /** The error that told of it, if it was one. */
  readonly cause?: unknown
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `Job ${this.id} of tube ${this.tube} at ${this.address} is not ours any more: ${this.reason}. ` +
      `It may be run again, by whoever has it now.`
  }
}

/**
 * A worker cannot work as it was told to.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerStartError extends Data.TaggedError("WorkerStartError")<{
  readonly tube: TubeName
  /** What is in the way: an option, the tube's `ttr`, or the server. */
  readonly subject: string
  readonly reason: string
  readonly cause?: unknown
}> {
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message() {
    return `The worker of tube ${this.tube} cannot start: ${this.subject} ${this.reason}.`
  }
}

/**
 * One thing that is wrong with a payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface PayloadIssue {
  /** Where: `.user.email`, `.lines[3]`; empty for the payload itself. `[*]` stands for a key that is data. */
  readonly path: string
  /** What should be there, in the words of the Schema. */
  readonly expected: string
}

// ---------------------------------------------------------------------------------------------------------------------
// unions
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the server may answer to any command at all.
 *
 * @category unions
 * @since 0.1.0
 */
export type ServerError = OutOfMemory | InternalError | BadFormat | UnknownCommand

/**
 * What is about the connection and not about what was asked.
 *
 * @category unions
 * @since 0.1.0
 */
export type ConnectionError = ConnectFailed | ConnectionLost | ProtocolViolation

/**
 * What every command can fail with, whatever it is.
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
 * What a command about a tube can fail with that needs no such tube to exist: `use`, `watch`, `kick`, `peekReady`, …
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
 * What a command about a tube can fail with that must exist: `statsTube`, `pauseTube`.
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
  | PayloadError
  | LeaseLost
  | WorkerStartError

// ---------------------------------------------------------------------------------------------------------------------
// guards
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether something is an error of this library.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBeanstalkError = (u: unknown): u is BeanstalkError => Predicate.hasProperty(u, TypeId)

const hasTag = (u: unknown, ...tags: ReadonlyArray<BeanstalkError["_tag"]>) =>
  isBeanstalkError(u) && tags.includes(u._tag)

/**
 * Whether something is one of the answers the server may give to any command.
 *
 * @category guards
 * @since 0.1.0
 */
export const isServerError = (u: unknown): u is ServerError =>
  hasTag(u, "OutOfMemory", "InternalError", "BadFormat", "UnknownCommand")

/**
 * Whether something is about the connection: it was not made, it was lost, or it made no sense.
 *
 * @category guards
 * @since 0.1.0
 */
export const isConnectionError = (u: unknown): u is ConnectionError =>
  hasTag(u, "ConnectFailed", "ConnectionLost", "ProtocolViolation")

/**
 * Whether sending the same again later can succeed and cannot do harm.
 *
 * **Details**
 *
 * True for `OutOfMemory`, `Draining`, `TimedOut`, `ConnectFailed` (unless the client is closed), and a `ConnectionLost` whose
 * command was not sent. A connection does not come back, so after a `ConnectionLost` it is what opens the connection that
 * must be retried. False for a `ConnectionLost` with an unknown outcome, since the command may have been carried out; for
 * one of a command that names a job (`delete`, `kick-job`, …), since another server may answer next, in which the id denotes
 * another job; and for `DeadlineSoon`, which needs the held job to be touched first.
 *
 * **Example** (try again while it makes sense)
 *
 * ```ts
 * beanstalk.put("hello").pipe(
 *   Effect.retry({ while: BeanstalkError.isRetryable, schedule: Schedule.exponential("100 millis"), times: 5 })
 * )
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isRetryable = (u: unknown): boolean =>
  hasTag(u, "OutOfMemory", "Draining", "TimedOut") ||
  (isBeanstalkError(u) && u._tag === "ConnectFailed" && u.reason !== "Closed") ||
  (isBeanstalkError(u) && u._tag === "ConnectionLost" && u.outcome === "NotSent" && !namesJob.has(u.command))

/** The commands that do something to a job by its id. */
const namesJob: ReadonlySet<string> = new Set(["delete", "touch", "release", "bury", "kick-job", "reserve-job"])
