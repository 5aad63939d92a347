/** Sends many commands in one write and collects their results, without a fiber for each. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constFalse, constVoid } from "effect/Function"
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
import * as AtOnce from "../base/atOnce.ts"
import { type Batch, batchOf, type Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import type { Settle } from "./pendingCommand.ts"
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

/** Sends a batch, and calls `onExit` with how each command ended. An interruption cancels those that have not. */
const sendEach = <A, Failure>(
  session: Session,
  batch: Batch<A, Failure>,
  onExit: Settle<A, Failure, number>
): Effect.Effect<void> =>
  batch.length === 0 ? Effect.void : Effect.async((resume) => {
    let left = batch.length
    const cancel = session.submitAll<A, Failure>(batch, (exit, index) => {
      onExit(exit, index)
      left -= 1
      if (left === 0) resume(Effect.void)
    })
    return Effect.sync(cancel)
  })

/** Sends a batch, and succeeds with how each command ended, in the same order. */
export const sendAll = <A, Failure>(
  session: Session,
  batch: Batch<A, Failure>
): Effect.Effect<ReadonlyArray<Exit.Exit<A, Failure | CommandError>>> =>
  Effect.suspend(() => {
    const exits: Array<Exit.Exit<A, Failure | CommandError>> = []
    const sent = sendEach<A, Failure>(session, batch, (exit, index) => {
      exits[index] = exit
    })
    return Effect.as(sent, exits)
  })

/** The errors for which there is no result: the server has no such job or tube, or no job to reserve. */
type Absent = JobNotFound | TubeNotFound | TimedOut | DeadlineSoon

const isAbsent = (error: unknown): error is Absent =>
  error instanceof JobNotFound || error instanceof TubeNotFound || error instanceof TimedOut ||
  error instanceof DeadlineSoon

/** Why a command has failed, unless the error is {@link Absent}. */
const failureOf = <E>(cause: Cause.Cause<E | Absent>): Exit.Exit<never, E> | undefined => {
  const failure = Cause.failureOrCause(cause)
  if (failure._tag === "Right") return Exit.failCause(failure.right)
  return isAbsent(failure.left) ? undefined : Exit.fail(failure.left)
}

/** The results of all commands, `None` where the error is {@link Absent}. Fails with the first other error. */
export const toOptions = <A, E>(
  exits: ReadonlyArray<Exit.Exit<A, E | Absent>>
): Effect.Effect<ReadonlyArray<Option.Option<A>>, E> =>
  Effect.forEach(
    exits,
    Exit.match({
      onSuccess: (value) => Exit.succeed(Option.some(value)),
      onFailure: (cause): Exit.Exit<Option.Option<A>, E> => failureOf<E>(cause) ?? Exit.succeed(Option.none())
    })
  )

/** Sends a batch, and succeeds with the result of each command, `None` where the error is {@link Absent}. */
export const sendAllOptional = <A>(
  session: Session,
  batch: Batch<A, PutError | Absent>
): Effect.Effect<ReadonlyArray<Option.Option<A>>, PutError> => Effect.flatMap(sendAll(session, batch), toOptions)

/**
 * Sends a batch, and calls `onValue` with the result of each command that has one. Fails with the first error that is not
 * {@link Absent}, once all commands have ended.
 */
const sendForValues = <A>(
  session: Session,
  batch: Batch<A, PutError | Absent>,
  onValue: (value: A, index: number) => void
): Effect.Effect<void, PutError> =>
  Effect.suspend(() => {
    let failure: Exit.Exit<never, PutError> | undefined
    const sent = sendEach(session, batch, (exit, index) => {
      if (Exit.isSuccess(exit)) onValue(exit.value, index)
      else failure ??= failureOf<PutError>(exit.cause)
    })
    return Effect.zipRight(sent, Effect.suspend(() => failure ?? Effect.void))
  })

/** Sends a batch, and succeeds with the results of those commands that have one. */
export const sendAllPresent = <A>(
  session: Session,
  batch: Batch<A, PutError | Absent>
): Effect.Effect<ReadonlyArray<A>, PutError> =>
  Effect.suspend(() => {
    const values: Array<A> = []
    return Effect.as(sendForValues(session, batch, (value) => values.push(value)), values)
  })

/** The statistics of those jobs that exist. */
export const statsOfJobs = (
  session: Session,
  ids: ReadonlyArray<JobId>
): Effect.Effect<ReadonlyArray<JobStats>, PutError> =>
  Effect.map(
    sendAllPresent(session, batchOf(ids, Commands.statsJobIfAny)),
    (found) => found.filter((stats) => stats !== undefined)
  )

/**
 * Deletes jobs, and succeeds with whether each was deleted: the server refuses to delete one that does not exist, or that another
 * connection has reserved. `onDeleted` is called with the number of deleted jobs, also if the Effect fails.
 */
export const deleteJobs = (
  session: Session,
  ids: ReadonlyArray<JobId>,
  onDeleted: (count: number) => void = constVoid
): Effect.Effect<ReadonlyArray<boolean>, PutError> =>
  Effect.suspend(() => {
    const deleted = ids.map(constFalse)
    let count = 0
    const sent = sendForValues<void>(session, batchOf(ids, Commands.deleteJob), (_, index) => {
      deleted[index] = true
      count += 1
    })
    return Effect.as(Effect.ensuring(sent, Effect.sync(() => onDeleted(count))), deleted)
  })

/** Runs two Effects at once, so that the commands that each of them sends first leave in one write. */
export const inOneWrite = <A, B>(
  one: Effect.Effect<A, PutError>,
  other: Effect.Effect<B, PutError>
): Effect.Effect<[A, B], PutError> => AtOnce.both(one, other)
