/** What can be done with all jobs of a tube: to delete them, and to move them to another. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import { Buried, type PutError } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import {
  certain,
  inOneWrite,
  sendAll,
  sendAllOptional,
  sendAllPresent,
  statsOfJobs,
  toOptions
} from "../connection/pipelined.ts"
import type { Session } from "../connection/session.ts"
import type { Deed, JobState, Tally } from "./scan.ts"

/**
 * Succeeds with whether each was deleted: not if it was gone, or in somebody's hands. Those that were are counted, whatever
 * becomes of the others.
 */
const deleteAll = (
  line: Session,
  ids: ReadonlyArray<JobId>,
  count: (deleted: number) => void = constVoid
): Effect.Effect<ReadonlyArray<boolean>, PutError> =>
  Effect.flatMap(sendAll(line, ids.map((id) => certain(Protocol.deleteJob(id)))), (exits) => {
    count(exits.filter(Exit.isSuccess).length)
    return Effect.map(toOptions(exits), (deleted) => deleted.map(Option.isSome))
  })

/** Adds to what has been done with jobs of a state. */
const counting = (tally: Tally, state: JobState) => (deleted: number): void => {
  tally[state] += deleted
}

/** Deletes jobs. */
export const purging = (line: Session, tally: Tally): Deed => {
  const purge = (state: JobState, ids: ReadonlyArray<JobId>) => deleteAll(line, ids, counting(tally, state))
  return {
    reserved: (jobs) => Effect.uninterruptible(Effect.asVoid(purge("ready", jobs.map(({ id }) => id)))),
    found: (state, ids, next) =>
      Effect.uninterruptible(Effect.map(inOneWrite(purge(state, ids), next), ([, following]) => following))
  }
}

/** A job to be moved, with all that its copy must have. */
interface Original {
  readonly id: JobId
  readonly body: Uint8Array
  readonly stats: JobStats
}

/** One that has been copied. */
interface Copied {
  readonly original: Original
  readonly copy: JobId
}

/**
 * Moves jobs to another tube, where they are what they were: as urgent, and ready, delayed for as long, or buried.
 *
 * A copy is put before the original is deleted, so that no job can be lost in between. If the original has got into
 * somebody's hands meanwhile, it is the copy that is deleted.
 */
export const moving = (line: Session, to: TubeName, tally: Tally): Deed => {
  const move = <A>(state: JobState, originals: ReadonlyArray<Original>, next: Effect.Effect<A, PutError>) =>
    Effect.gen(function*() {
      const exits = yield* sendAll(line, originals.map((original) => copyOf(original, state, to)))
      const copied = Arr.getSomes(
        Arr.zipWith(originals, exits, (original, exit) => Option.map(idOf(exit), (copy) => ({ original, copy })))
      )
      if (state === "buried") yield* Effect.tapError(buryCopies(line, copied), () => undo(copied))

      const deletion = deleteAll(line, copied.map(({ original }) => original.id), counting(tally, state))
      const settle = (deleted: ReadonlyArray<boolean>) => undo(copied.filter((_, index) => deleted[index] === false))
      const failed = exits.find(Exit.isFailure)
      if (failed !== undefined) {
        return yield* Effect.zipRight(Effect.flatMap(deletion, settle), Effect.failCause(failed.cause))
      }
      const [deleted, following] = yield* inOneWrite(deletion, next)
      yield* settle(deleted)
      return following
    }).pipe(Effect.uninterruptible)

  const undo = (copied: ReadonlyArray<Copied>) => deleteAll(line, copied.map(({ copy }) => copy))

  return {
    reserved: (jobs) =>
      Effect.flatMap(
        statsOfJobs(line, jobs.map(({ id }) => id)),
        // One whose time to run is over already is ready again.
        (stats) => move("ready", originalsOf(jobs, stats, ["reserved", "ready"]), Effect.void)
      ),
    found: (state, ids, next) =>
      Effect.flatMap(
        inOneWrite(peekAll(line, ids), statsOfJobs(line, ids)),
        ([jobs, stats]) => move(state, originalsOf(jobs, stats, [state]), next)
      )
  }
}

const peekAll = (line: Session, ids: ReadonlyArray<JobId>) =>
  sendAllPresent(line, ids.map((id) => certain(Protocol.peek(id))))

/** Those that are still in a state in which they can have been found. */
const originalsOf = (
  jobs: ReadonlyArray<ReservedJob | PeekedJob>,
  stats: ReadonlyArray<JobStats>,
  states: ReadonlyArray<JobStats["state"]>
): ReadonlyArray<Original> => {
  const byId = new Map(stats.map((job) => [job.id, job]))
  return jobs.flatMap(({ body, id }) => {
    const found = byId.get(id)
    return found !== undefined && states.includes(found.state) ? [{ id, body, stats: found }] : []
  })
}

/** The longest there is, and longer than any server lives: what is to be buried must not become ready before it is. */
const never = 2 ** 32 - 1

const copyOf = ({ body, stats }: Original, state: JobState, tube: TubeName) =>
  certain(Protocol.put(body, {
    tube,
    priority: stats.pri,
    ttr: Duration.seconds(stats.ttr),
    delay: Duration.seconds(delayOf(stats, state))
  }))

/** The time left is in whole seconds, rounded down: the copy must not be early. */
const delayOf = ({ timeLeft }: JobStats, state: JobState) => {
  switch (state) {
    case "ready":
      return 0
    case "delayed":
      return Math.min(Math.max(timeLeft, 0) + 1, never)
    case "buried":
      return never
  }
}

/** The id of a copy that has been stored. */
const idOf = (exit: Exit.Exit<JobId, PutError>): Option.Option<JobId> =>
  Exit.match(exit, {
    onSuccess: Option.some,
    onFailure: (cause) =>
      Option.flatMap(
        Cause.failureOption(cause),
        (error) => error instanceof Buried ? Option.some(error.id) : Option.none()
      )
  })

/** Only what is reserved can be buried. Both leave in one write, so that nothing can come in between. */
const buryCopies = (line: Session, copied: ReadonlyArray<Copied>) =>
  sendAllOptional<unknown>(
    line,
    copied.flatMap(({ copy, original }) => [
      certain(Protocol.reserveJob(copy)),
      certain(Protocol.bury(copy, original.stats.pri))
    ])
  )
