/** Many commands in one write, and all of their answers, without a fiber for each. */
import * as Effect from "effect/Effect"
import {
  type CommandError,
  DeadlineSoon,
  InvalidArgument,
  JobNotFound,
  type PutError,
  TimedOut,
  TubeNotFound
} from "../../BeanstalkError.ts"
import { type Command, statsJob } from "../../BeanstalkProtocol.ts"
import type { JobId } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { Outcome } from "./pipeline.ts"
import type { Session } from "./session.ts"

/** What a batch is sent on. */
export type Line = Pick<Session, "submit">

/** A command whose arguments cannot be wrong. */
export const certain = <A, Failure>(command: Command<A, Failure> | InvalidArgument): Command<A, Failure> => {
  if (command instanceof InvalidArgument) throw command
  return command
}

/** Sends them all, and waits for how each ends. */
export const sendAll = <A, Failure>(
  { submit }: Line,
  commands: ReadonlyArray<Command<A, Failure>>
): Effect.Effect<ReadonlyArray<Outcome<A, Failure | CommandError>>> =>
  commands.length === 0 ? Effect.succeed([]) : Effect.async((resume) => {
    const outcomes: Array<Outcome<A, Failure | CommandError>> = []
    let left = commands.length
    commands.forEach((command, index) =>
      submit(command, (outcome) => {
        outcomes[index] = outcome
        left -= 1
        if (left === 0) resume(Effect.succeed(outcomes))
      })
    )
  })

/** An answer that there is no such job or tube, or no job at all (now). */
type Absence = JobNotFound | TubeNotFound | TimedOut | DeadlineSoon

const isAbsence = (error: PutError | Absence): error is Absence =>
  error instanceof JobNotFound || error instanceof TubeNotFound || error instanceof TimedOut ||
  error instanceof DeadlineSoon

/** What they succeed with, in their places, `undefined` where there was nothing; fails if any fails with something else. */
export const answers = <A>(
  line: Line,
  commands: ReadonlyArray<Command<A, PutError | Absence>>
): Effect.Effect<ReadonlyArray<{ readonly value: A } | undefined>, PutError> =>
  Effect.flatMap(sendAll(line, commands), answersOf)

/** The same of what has been sent. */
export const answersOf = <A>(
  outcomes: ReadonlyArray<Outcome<A, PutError | Absence>>
): Effect.Effect<ReadonlyArray<{ readonly value: A } | undefined>, PutError> =>
  Effect.forEach(outcomes, (outcome) => {
    switch (outcome._tag) {
      case "Success":
        return Effect.succeed(outcome)
      case "Failure":
        return isAbsence(outcome.error) ? Effect.succeed(undefined) : Effect.fail(outcome.error)
      case "Defect":
        return Effect.die(outcome.defect)
    }
  })

/** The same without the places: what there is. */
export const present = <A>(
  line: Line,
  commands: ReadonlyArray<Command<A, PutError | Absence>>
): Effect.Effect<ReadonlyArray<A>, PutError> =>
  Effect.map(answers(line, commands), (all) => all.flatMap((answer) => answer === undefined ? [] : [answer.value]))

/** What the server says of those that there are. */
export const lookAt = (line: Line, ids: ReadonlyArray<JobId>): Effect.Effect<ReadonlyArray<JobStats>, PutError> =>
  present(line, ids.map((id) => certain(statsJob(id))))

/** What both send leaves in one write. */
export const together = <A, B>(
  one: Effect.Effect<A, PutError>,
  other: Effect.Effect<B, PutError>
): Effect.Effect<[A, B], PutError> => Effect.all([one, other], { concurrency: "unbounded" })
