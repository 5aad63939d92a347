/** Deletes all jobs of a tube. */
import * as Effect from "effect/Effect"
import type { JobId } from "../../Job.ts"
import { deleteJobs, inOneWrite } from "../connection/sendAll.ts"
import type { Session } from "../connection/session.ts"
import { bulk, type BulkOptions } from "./bulk.ts"
import type { Dedicated } from "./dedicated.ts"
import { type Action, addTo, type JobState, type Tally } from "./scan.ts"

export const purge = (dedicated: Dedicated, tube: string, options?: BulkOptions) =>
  bulk("purge", dedicated, tube, options, (session, tally) => Effect.succeed(purgeAction(session, tally)))

const purgeAction = (session: Session, tally: Tally): Action => {
  const deleteIn = (state: JobState, ids: ReadonlyArray<JobId>) => deleteJobs(session, ids, addTo(tally, state))
  return {
    onReserved: (jobs) => Effect.uninterruptible(Effect.asVoid(deleteIn("ready", jobs.map(({ id }) => id)))),
    onFound: (state, ids, next) =>
      Effect.uninterruptible(Effect.map(inOneWrite(deleteIn(state, ids), next), ([, following]) => following)),
    connectsFor: []
  }
}
