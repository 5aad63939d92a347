/** Deletes all jobs of a tube. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type { PutError } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import { inOneWrite, sendAll, toOptions } from "../connection/sendAll.ts"
import type { Session } from "../connection/session.ts"
import * as Commands from "../protocol/commands.ts"
import type { Action, JobState, Tally } from "./scan.ts"

export const purgeAction = (session: Session, tally: Tally): Action => {
  const deleteIn = (state: JobState, ids: ReadonlyArray<JobId>) => deleteAll(session, ids, addTo(tally, state))
  return {
    onReserved: (jobs) => Effect.uninterruptible(Effect.asVoid(deleteIn("ready", jobs.map(({ id }) => id)))),
    onFound: (state, ids, next) =>
      Effect.uninterruptible(Effect.map(inOneWrite(deleteIn(state, ids), next), ([, following]) => following))
  }
}

/**
 * Succeeds with whether each job was deleted: the server refuses to delete one that does not exist, or that another
 * connection has reserved. `onDeleted` is called with the number of deleted jobs, also if the Effect fails.
 */
export const deleteAll = (
  session: Session,
  ids: ReadonlyArray<JobId>,
  onDeleted: (count: number) => void = constVoid
): Effect.Effect<ReadonlyArray<boolean>, PutError> =>
  Effect.flatMap(sendAll(session, ids.map(Commands.deleteJob)), (exits) => {
    onDeleted(exits.filter(Exit.isSuccess).length)
    return Effect.map(toOptions(exits), (deleted) => deleted.map(Option.isSome))
  })

export const addTo = (tally: Tally, state: JobState) => (count: number): void => {
  tally[state] += count
}
