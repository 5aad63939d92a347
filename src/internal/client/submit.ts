/** Sends a command on the current session of a client, on the next one if none is open, and again if its session is lost. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { type CommandError, type ConnectFailed, ConnectionLost } from "../../BeanstalkError.ts"
import type { ServerInfo } from "../../Stats.ts"
import { changesJob } from "../changesJob.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Cancel } from "../connection/pipeline.ts"
import type { Command } from "../protocol/command.ts"
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

interface Submission<A, Failure> {
  readonly command: Command<A, Failure>
  readonly settle: (exit: Exit.Exit<A, Failure | CommandError | ConnectFailed>) => void
  /** The server instance at the time of the submission: it issued the job id in the command, if there is one. */
  readonly instance: string | undefined
  /** When its wait for a session times out. Set by its first wait, and kept for later ones; `Infinity` before. */
  readonly deadline: number
}

export const makeSubmit = (current: CurrentSession, now: () => number): Submit => {
  const submitOn = <A, Failure>(session: ServerSession, submission: Submission<A, Failure>): Cancel => {
    const { command, settle } = submission
    let cancelResend: Cancel | undefined
    const cancel = session.submit(command, (exit) => {
      if (Exit.isFailure(exit) && mayResend(command, exit.cause) && now() < submission.deadline) {
        cancelResend = submitOnNext(submission)
      } else settle(exit)
    })
    return (unless) => (cancelResend ?? cancel)(unless)
  }

  const submitOnNext = <A, Failure>(submission: Submission<A, Failure>): Cancel => {
    const { command, instance, settle } = submission
    const waiting = { ...submission, deadline: Math.min(submission.deadline, current.deadline()) }
    let cancel: Cancel | undefined
    const stopWaiting = current.awaitNext(
      waiting.deadline,
      Exit.match({
        onFailure: (cause) => settle(Exit.failCause(cause)),
        onSuccess: (session) => {
          if (isForAnotherInstance(command, instance, session.server)) {
            settle(Exit.fail(instanceChanged(command, session)))
          } else cancel = submitOn(session, waiting)
        }
      })
    )
    return (unless) => {
      if (cancel !== undefined) return cancel(unless)
      stopWaiting()
      return true
    }
  }

  return (command, settle) => {
    const { instance, session } = current
    const submission = { command, settle, instance, deadline: Number.POSITIVE_INFINITY }
    return session === undefined ? submitOnNext(submission) : submitOn(session, submission)
  }
}

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
