/** What `purge` and `move` have in common: a scan of a tube on a connection of its own. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BulkStopped, type ConnectFailed, InvalidArgument } from "../../BeanstalkError.ts"
import { annotateLogs } from "../base/logging.ts"
import type { ServerSession } from "../connection/connect.ts"
import * as Validate from "../protocol/validate.ts"
import type { Dedicated } from "./dedicated.ts"
import { type Action, type JobState, scan, type Tally } from "./scan.ts"

export interface BulkOptions {
  /** Which jobs. Default: all, `["ready", "delayed", "buried"]`. The states are scanned in the order given. */
  readonly states?: ReadonlyArray<JobState> | undefined
  /**
   * Only jobs with these ids, as far as they are in the tube, and in one of the states. They are acted on by their ids: no job is
   * reserved. Default: all jobs.
   */
  readonly ids?: Iterable<string> | undefined
  /** How many jobs at most. Default: no limit; it ends when no job is left, which may never be while others put jobs. */
  readonly bound?: number | undefined
  /** Runs after every batch, with the number of jobs so far, and once more when it is stopped or interrupted. */
  readonly onProgress?: ((done: Readonly<Tally>) => Effect.Effect<void>) | undefined
}

/** Succeeds with the number of jobs that the action was completed for. */
export const bulk = (
  command: "purge" | "move",
  dedicated: Dedicated,
  tubeName: string,
  { bound, ids, onProgress = () => Effect.void, states = ["ready", "delayed", "buried"] }: BulkOptions = {},
  makeAction: (
    session: ServerSession,
    tally: Tally
  ) => Effect.Effect<Action, InvalidArgument | ConnectFailed, Scope.Scope>
): Effect.Effect<Tally, InvalidArgument | ConnectFailed | BulkStopped> =>
  Effect.gen(function*() {
    const checked = Validate.attempt(() => ({
      tube: Validate.tubeName(command, tubeName),
      ids: ids === undefined ? undefined : Array.from(ids, (id) => Validate.jobId(command, id)),
      bound: bound === undefined ? Number.POSITIVE_INFINITY : Validate.u32(command, "bound", bound)
    }))
    if (checked instanceof InvalidArgument) return yield* checked
    const { tube } = checked
    const { address } = dedicated
    const tally = { ready: 0, delayed: 0, buried: 0 }
    const session = yield* dedicated.open(tube)
    const tellProgress = Effect.suspend(() => onProgress({ ...tally }))
    yield* scan({
      ...checked,
      session,
      states,
      action: yield* makeAction(session, tally),
      tally,
      onProgress: tellProgress
    }).pipe(
      // The batch in which it ends may have done some jobs that were not told yet.
      Effect.onError(() => tellProgress),
      Effect.mapError((cause) => new BulkStopped({ command, address, tube, done: { ...tally }, cause })),
      Effect.onInterrupt(() =>
        Effect.logInfo(
          `${command} in tube ${tube} of beanstalkd at ${address} was interrupted ` +
            `after ${tally.ready} ready, ${tally.delayed} delayed and ${tally.buried} buried jobs`
        ).pipe(annotateLogs("BeanstalkClient", { tube }))
      )
    )
    return tally
  }).pipe(Effect.scoped)
