/** Sends many commands in one write and collects their results, without a fiber for each. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import {
  type CommandError,
  DeadlineSoon,
  JobNotFound,
  type PutError,
  TimedOut,
  TubeNotFound
} from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import type { Cancel } from "./pipeline.ts"
import type { Session } from "./session.ts"

/** Submits commands, which can also fail with `Lost`. */
interface Target<Lost> {
  readonly submit: <A, Failure>(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | CommandError | Lost>) => void
  ) => Cancel
}

/** Submits all commands, and succeeds with how each ended, in the same order. An interruption cancels all of them. */
export const submitAll = <A, Failure, Lost>(
  { submit }: Target<Lost>,
  commands: ReadonlyArray<Command<A, Failure>>
): Effect.Effect<ReadonlyArray<Exit.Exit<A, Failure | CommandError | Lost>>> =>
  commands.length === 0 ? Effect.succeed([]) : Effect.async((resume) => {
    const exits: Array<Exit.Exit<A, Failure | CommandError | Lost>> = []
    let left = commands.length
    const cancels = commands.map((command, index) =>
      submit(command, (exit) => {
        exits[index] = exit
        left -= 1
        if (left === 0) resume(Effect.succeed(exits))
      })
    )
    return Effect.sync(() => {
      for (const cancel of cancels) cancel()
    })
  })

/** Sends all commands, and succeeds with how each ended, in the same order. */
export const sendAll = <A, Failure>(session: Session, commands: ReadonlyArray<Command<A, Failure>>) =>
  submitAll<A, Failure, never>(session, commands)

/** The errors for which there is no result: the server has no such job or tube, or no job to reserve. */
type Absent = JobNotFound | TubeNotFound | TimedOut | DeadlineSoon

const isAbsent = (error: unknown): error is Absent =>
  error instanceof JobNotFound || error instanceof TubeNotFound || error instanceof TimedOut ||
  error instanceof DeadlineSoon

/** The results of all commands, `None` where the error is {@link Absent}. Fails with the first other error. */
export const toOptions = <A, E>(
  exits: ReadonlyArray<Exit.Exit<A, E | Absent>>
): Effect.Effect<ReadonlyArray<Option.Option<A>>, E> =>
  Effect.forEach(
    exits,
    Exit.match({
      onSuccess: (value) => Exit.succeed(Option.some(value)),
      onFailure: (cause): Exit.Exit<Option.Option<A>, E> => {
        const failure = Cause.failureOrCause(cause)
        if (failure._tag === "Right") return Exit.failCause(failure.right)
        return isAbsent(failure.left) ? Exit.succeed(Option.none()) : Exit.fail(failure.left)
      }
    })
  )

/** Sends all commands, and succeeds with the result of each, `None` where the error is {@link Absent}. */
export const sendAllOptional = <A>(
  session: Session,
  commands: ReadonlyArray<Command<A, PutError | Absent>>
): Effect.Effect<ReadonlyArray<Option.Option<A>>, PutError> => Effect.flatMap(sendAll(session, commands), toOptions)

/** Sends all commands, and succeeds with the results that are not `None`. */
export const sendAllPresent = <A>(
  session: Session,
  commands: ReadonlyArray<Command<A, PutError | Absent>>
): Effect.Effect<ReadonlyArray<A>, PutError> => Effect.map(sendAllOptional(session, commands), Arr.getSomes)

/** The statistics of those jobs that exist. */
export const statsOfJobs = (
  session: Session,
  ids: ReadonlyArray<JobId>
): Effect.Effect<ReadonlyArray<JobStats>, PutError> =>
  Effect.flatMap(sendAll(session, ids.map(Commands.statsJobIfAny)), (exits) => {
    const failed = exits.find(Exit.isFailure)
    return failed === undefined
      ? Effect.succeed(exits.flatMap((exit) => Exit.isSuccess(exit) && exit.value !== undefined ? [exit.value] : []))
      : Effect.failCause(failed.cause)
  })

/**
 * Deletes jobs, and succeeds with whether each was deleted: the server refuses to delete one that does not exist, or that another
 * connection has reserved. `onDeleted` is called with the number of deleted jobs, also if the Effect fails.
 */
export const deleteJobs = (
  session: Session,
  ids: ReadonlyArray<JobId>,
  onDeleted: (count: number) => void = constVoid
): Effect.Effect<ReadonlyArray<boolean>, PutError> =>
  Effect.flatMap(sendAll(session, ids.map(Commands.deleteJob)), (exits) => {
    onDeleted(exits.filter(Exit.isSuccess).length)
    return Effect.map(toOptions(exits), (deleted) => deleted.map(Option.isSome))
  })

/** Runs two Effects at once, so that the commands that each of them sends first leave in one write. */
export const inOneWrite = <A, B>(
  one: Effect.Effect<A, PutError>,
  other: Effect.Effect<B, PutError>
): Effect.Effect<[A, B], PutError> => Effect.all([one, other], { concurrency: "unbounded" })
