/** Sends a command on the current session of a client, on the next one if none is open, and again if its session is lost. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { constTrue } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import { type CommandError, type ConnectFailed, ConnectionLost, type PutError } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import type { ServerInfo } from "../../Stats.ts"
import { ofCallingFiber } from "../base/parentSpan.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Submitted } from "../connection/pendingCommand.ts"
import type { Cancel } from "../connection/pipeline.ts"
import type { Command } from "../protocol/command.ts"
import type * as Commands from "../protocol/commands.ts"
import { changesJob } from "../values/changesJob.ts"
import type { CurrentSession } from "./currentSession.ts"

/**
 * Sends a command, on the next session if none is open. A command that was lost with its session is sent again on the next
 * one if it was not written, or is read-only.
 *
 * `settle` is called with the result, once, and must not throw. The returned function cancels the command.
 */
export type Submit = <A, Failure>(
  command: Command<A, Failure>,
  settle: (exit: Exit.Exit<A, Failure | CommandError | ConnectFailed>) => void
) => Cancel

/** {@link Submit} for one of many commands with the same `settle`, which is called with `which`. */
export type SubmitOne = <A, Failure, Which>(
  command: Command<A, Failure>,
  settle: (exit: Exit.Exit<A, Failure | CommandError | ConnectFailed>, which: Which) => void,
  which: Which
) => Submitted

export type PutCommand = ReturnType<typeof Commands.put>

/** {@link Submit} for a `put`. */
export type SubmitPut = (
  command: PutCommand,
  settle: (exit: Exit.Exit<JobId, PutError | ConnectFailed>) => void
) => Cancel

/** {@link SubmitOne} for a `put`. */
export type SubmitOnePut = <Which>(
  command: PutCommand,
  settle: (exit: Exit.Exit<JobId, PutError | ConnectFailed>, which: Which) => void,
  which: Which
) => Submitted

export const makeSubmitOne = (current: CurrentSession, now: () => number): SubmitOne => (command, settle, which) => {
  const submission = new Submission(command, settle, which, current, now)
  submission.start()
  return submission
}

export const makeSubmit = (submitOne: SubmitOne): Submit => (command, settle) => {
  const submitted = submitOne(command, settle, undefined)
  return (unless) => submitted.cancel(unless)
}

/** Sends a command on the session that is open. It fails at once if there is none, and is not sent again if it is lost. */
export const makeSubmitNow = (current: CurrentSession): Submit => (command, settle) => {
  const { session } = current
  if (session !== undefined) return session.submit(command, settle)
  settle(Exit.fail(current.unavailable))
  return constTrue
}

/** A class: with closures in its place a put takes 1.3 times the CPU, since V8 moves them to the old generation. */
class Submission<A, Failure, Which> implements Submitted {
  private readonly command: Command<A, Failure>
  private readonly settle: (exit: Exit.Exit<A, Failure | CommandError | ConnectFailed>, which: Which) => void
  private readonly which: Which
  private readonly current: CurrentSession
  private readonly now: () => number
  /** The server instance at the time of the submission: it issued the job id in the command, if there is one. */
  private readonly instance: string | undefined
  /** When its wait for a session times out. Set by its first wait, and kept for later ones; `Infinity` before. */
  private deadline = Number.POSITIVE_INFINITY
  /** On a session, or waiting for one. */
  private submitted: Submitted | undefined = undefined

  constructor(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | CommandError | ConnectFailed>, which: Which) => void,
    which: Which,
    current: CurrentSession,
    now: () => number
  ) {
    this.command = command
    this.settle = settle
    this.which = which
    this.current = current
    this.now = now
    this.instance = current.instance
  }

  cancel(unless?: "unless-written"): boolean {
    return this.submitted?.cancel(unless) ?? false
  }

  start(): void {
    const { session } = this.current
    if (session === undefined) this.submitOnNext(ofCallingFiber())
    else this.submitOn(session)
  }

  private submitOn(session: ServerSession): void {
    this.submitted = session.submitOne<A, Failure, Submission<A, Failure, Which>>(this.command, settleSubmission, this)
  }

  onExit(exit: Exit.Exit<A, Failure | CommandError>): void {
    if (Exit.isFailure(exit) && mayResend(this.command, exit.cause) && this.now() < this.deadline) this.submitOnNext()
    else this.settle(exit, this.which)
  }

  private submitOnNext(span?: Tracer.AnySpan): void {
    const { command, current, instance } = this
    this.deadline = Math.min(this.deadline, current.deadline())
    const stopWaiting = current.awaitNext(
      this.deadline,
      Exit.match({
        onFailure: (cause) => {
          current.onNotSent(command, this.deadline)
          this.settle(Exit.failCause(cause), this.which)
        },
        onSuccess: (session) => {
          if (isForAnotherInstance(command, instance, session.server)) {
            this.settle(Exit.fail(instanceChanged(command, session)), this.which)
          } else this.submitOn(session)
        }
      }),
      span
    )
    this.submitted = {
      cancel: () => {
        stopWaiting()
        return true
      }
    }
  }
}

/** One function for all submissions: a closure of each would be kept as long as the command is in flight. */
const settleSubmission = <A, Failure, Which>(
  exit: Exit.Exit<A, Failure | CommandError>,
  submission: Submission<A, Failure, Which>
): void => submission.onExit(exit)

/** A command that was not written, or that only reads, can be sent again: nothing is done twice. */
const mayResend = (command: Command<unknown, unknown>, cause: Cause.Cause<unknown>): boolean => {
  const error = Cause.squash(cause)
  return error instanceof ConnectionLost && (error.outcome === "NotSent" || command.readOnly)
}

/** A server that restarts issues the same ids again: on another instance, the id in the command may be that of another job. */
const isForAnotherInstance = (
  { name }: Command<unknown, unknown>,
  instance: string | undefined,
  { id }: ServerInfo
): boolean => changesJob(name) && instance !== undefined && instance !== id

const instanceChanged = ({ name }: Command<unknown, unknown>, { address }: ServerSession) =>
  new ConnectionLost({
    command: name,
    address,
    outcome: "NotSent",
    reason: "the server there now is another instance of beanstalkd, in which this id may be the id of another job"
  })
