/** Finds the jobs that are selected, all of them before anything is done with one, and shows how far the search is. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client } from "../../BeanstalkClient.ts"
import type { ReachExceeded } from "../../BeanstalkError.ts"
import { compareIds } from "../../internal/values/compareIds.ts"
import type { JobId } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { Failure } from "../failures.ts"
import { checkIds } from "../ids.ts"
import type { Servers } from "../server/servers.ts"
import { withProgress } from "../terminal/progress.ts"
import type { Terminal } from "../terminal/terminal.ts"
import { find, type Finding } from "./find.ts"
import type { Selection } from "./flags.ts"

/** Calls `onJob` for each job. Succeeds with the error if not all were found within reach. */
export const findAll = (
  client: Client,
  { selection, tubes }: Pick<Finding, "tubes" | "selection">,
  onJob: (stats: JobStats) => void
): Effect.Effect<ReachExceeded | undefined, Failure, Servers | Terminal> =>
  Effect.zipRight(
    checkIds(selection.to === undefined ? [] : [selection.to]),
    withProgress("look at ids", ({ done }) =>
      find(client, {
        tubes,
        selection,
        bodies: false,
        onProgress: ({ asked }) => Effect.sync(() => done(asked))
      }).pipe(
        Stream.runForEach(({ stats }) => Effect.sync(() => onJob(stats))),
        Effect.as(undefined),
        Effect.catchTag("ReachExceeded", (exceeded) => Effect.succeed(exceeded))
      ))
  )

/** A job of which no more than this is kept. */
export type Kept = JobId | { readonly id: JobId }

const idOf = (job: Kept): JobId => typeof job === "string" ? job : job.id

/**
 * In place of the order in which they were found: those of the oldest first, unless their ids were given. A search finds the newest
 * first, but those that were put meanwhile at its end.
 */
export const oldestFirst = <A extends Kept>({ idsFrom }: Selection, found: ReadonlyArray<A>): ReadonlyArray<A> =>
  idsFrom === undefined ? found.toSorted((one, other) => compareIds(idOf(one), idOf(other))) : found
