/** How a command has ended: its exit code, and what is said about a failure. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type { BulkStopped, PutAllStopped } from "../BeanstalkError.ts"
import { total } from "../internal/values/tally.ts"
import type { Failure } from "./failures.ts"
import { messageOf } from "./messages.ts"
import type { ExitCode } from "./table/command.ts"

export interface Ending {
  readonly code: ExitCode
  readonly tag: string
  readonly message: string
  /** What is said on standard output instead. */
  readonly line?: string | undefined
  /** Whether the server may have carried out what was sent. */
  readonly outcome?: "NotSent" | "Unknown" | undefined
  /** The command whose help explains it. */
  readonly command?: string | undefined
}

const codes: {
  readonly [Tag in Exclude<Failure["_tag"], "PutAllStopped" | "BulkStopped" | "FoundBad" | "PipeClosed">]: ExitCode
} = {
  // nothing there
  NothingThere: 1,
  Declined: 1,
  JobNotFound: 1,
  TubeNotFound: 1,
  TimedOut: 1,
  DeadlineSoon: 1,
  // wrong usage
  WrongUsage: 2,
  InvalidArgument: 2,
  SystemFailed: 2,
  // no connection, or lost
  ConnectFailed: 3,
  ConnectionLost: 3,
  ProtocolViolation: 3,
  // stopped midway
  Stopped: 4,
  LeaseLost: 4,
  ReachExceeded: 4,
  WorkerStartError: 4,
  PayloadError: 4,
  InvalidText: 4,
  // refused by the server
  Refused: 5,
  Draining: 5,
  JobTooBig: 5,
  OutOfMemory: 5,
  Buried: 5,
  InternalError: 5,
  BadFormat: 5,
  UnknownCommand: 5,
  ExpectedCRLF: 5,
  NotIgnored: 5
}

const doneBefore = (error: PutAllStopped | BulkStopped): number =>
  error._tag === "PutAllStopped" ? error.acknowledged : total(error.done)

const reasonOf = (error: PutAllStopped | BulkStopped): Failure =>
  error._tag === "PutAllStopped" ? error.failures[0].error : error.cause

const codeOf = (error: Exclude<Failure, { readonly _tag: "PipeClosed" }>): ExitCode => {
  if (error._tag === "FoundBad") return error.code
  if (error._tag !== "PutAllStopped" && error._tag !== "BulkStopped") return codes[error._tag]
  const reason = reasonOf(error)
  return doneBefore(error) > 0 || reason._tag === "PipeClosed" ? 4 : codeOf(reason)
}

/** How a command that did not succeed ended. `undefined` if the reader of its output has closed the pipe. */
export const endingOf = (cause: Cause.Cause<Failure>): Ending | undefined => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (failure === undefined) {
    return { code: 4, tag: "Defect", message: `this is a bug of beanstalk, please report it: ${Cause.pretty(cause)}` }
  }
  if (failure._tag === "PipeClosed") return undefined
  return {
    code: codeOf(failure),
    tag: failure._tag,
    message: messageOf(failure),
    line: failure._tag === "FoundBad" ? failure.line ?? "" : undefined,
    outcome: failure._tag === "ConnectionLost" ? failure.outcome : undefined,
    command: failure._tag === "WrongUsage" ? failure.command : undefined
  }
}
