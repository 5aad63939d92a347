/** Moves all jobs of a tube to another, where they have the same priority, time to run, delay and state. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Buried, InvalidArgument, type PutError } from "../../BeanstalkError.ts"
import { defaultTube, type JobId, type PeekedJob, type ReservedJob, type TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { ServerSession } from "../connection/connect.ts"
import { deleteJobs, inOneWrite, sendAll, sendAllPresent, statsOfJobs } from "../connection/sendAll.ts"
import { batchOf } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import { quoted } from "../values/printable.ts"
import { bulk, type BulkOptions } from "./bulk.ts"
import { buryUnreserved } from "./buryUnreserved.ts"
import type { Dedicated, HasDedicated } from "./dedicated.ts"
import { delaySecondsFor, longestDelaySeconds } from "./delays.ts"
import { type Action, addTo, type JobState, type Tally } from "./scan.ts"

export interface MoveOptions extends BulkOptions {
  /** The client of the server that the jobs are moved to. Default: the same server. */
  readonly into?: HasDedicated | undefined
}

export const move = (source: Dedicated, from: string, to: string, options: MoveOptions = {}) => {
  const tube = Validate.attempt(() => Validate.tubeName("move", to, "to"))
  const target = options.into?.dedicated
  if (tube instanceof InvalidArgument) return tube
  if (target === undefined && from === to) return sameTube(to)
  return bulk("move", source, from, options, (session, tally) =>
    Effect.gen(function*() {
      if (target === undefined) return moveAction(session, { session, dedicated: source, tube }, tally)
      const one = yield* target.onOne
      const into = yield* one.open(defaultTube)
      if (from === to && into.server.id === session.server.id) return yield* sameTube(to)
      return moveAction(session, { session: into, dedicated: one, tube }, tally)
    }))
}

/** Jobs moved into their own tube would be moved again, without end. */
export const sameTube = (tube: string) =>
  new InvalidArgument({ command: "move", argument: "to", reason: `must be a tube other than ${quoted(tube)}` })

/** Where the copies are put. */
interface Target {
  readonly session: ServerSession
  readonly dedicated: Dedicated
  readonly tube: TubeName
}

/** A job to be moved, with all that its copy must have. */
interface Original {
  readonly id: JobId
  readonly body: Uint8Array
  readonly stats: JobStats
}

interface Copied {
  readonly original: Original
  readonly copy: JobId
}

/**
 * A copy is put before the original is deleted, so that the job is not lost if the connection is. If another client has
 * reserved the original meanwhile, it cannot be deleted, and the copy is deleted instead.
 */
const moveAction = (session: ServerSession, target: Target, tally: Tally): Action => {
  const move = <A>(state: JobState, originals: ReadonlyArray<Original>, next: Effect.Effect<A, PutError>) =>
    Effect.gen(function*() {
      const exits = yield* sendAll(
        target.session,
        batchOf(originals, (original) => putCopy(original, state, target.tube))
      )
      const copied = Arr.getSomes(
        Arr.zipWith(originals, exits, (original, exit) => Option.map(storedId(exit), (copy) => ({ original, copy })))
      )
      if (state === "buried") yield* Effect.tapError(buryCopies(copied), () => deleteCopies(copied))

      const deleteOriginals = deleteJobs(session, copied.map(({ original }) => original.id), addTo(tally, state))
      const deleteRedundantCopies = (deleted: ReadonlyArray<boolean>) =>
        deleteCopies(copied.filter((_, index) => deleted[index] === false))
      const failed = exits.find(Exit.isFailure)
      if (failed !== undefined) {
        return yield* Effect.zipRight(
          Effect.flatMap(deleteOriginals, deleteRedundantCopies),
          Effect.failCause(failed.cause)
        )
      }
      const [deleted, following] = yield* inOneWrite(deleteOriginals, next)
      yield* deleteRedundantCopies(deleted)
      return following
    }).pipe(Effect.uninterruptible)

  const buryCopies = (copied: ReadonlyArray<Copied>) =>
    buryUnreserved(
      target.dedicated,
      target.session.server,
      copied.map(({ copy, original }) => ({
        id: copy,
        priority: original.stats.pri,
        delaySeconds: longestDelaySeconds
      }))
    )

  const deleteCopies = (copied: ReadonlyArray<Copied>) => deleteJobs(target.session, copied.map(({ copy }) => copy))

  return {
    onReserved: (jobs) =>
      Effect.flatMap(
        statsOfJobs(session, jobs.map(({ id }) => id)),
        // Also those that are ready again because their time to run is over.
        (stats) => move("ready", originalsIn(["reserved", "ready"], jobs, stats), Effect.void)
      ),
    onFound: (state, ids, next) =>
      Effect.flatMap(
        inOneWrite(sendAllPresent(session, batchOf(ids, Commands.peek)), statsOfJobs(session, ids)),
        ([jobs, stats]) => move(state, originalsIn([state], jobs, stats), next)
      ),
    connectsFor: ["buried"]
  }
}

/** The jobs that are in one of these states, by their statistics. */
const originalsIn = (
  states: ReadonlyArray<JobStats["state"]>,
  jobs: ReadonlyArray<ReservedJob | PeekedJob>,
  stats: ReadonlyArray<JobStats>
): ReadonlyArray<Original> => {
  const byId = new Map(stats.map((job) => [job.id, job]))
  return jobs.flatMap(({ body, id }) => {
    const found = byId.get(id)
    return found !== undefined && states.includes(found.state) ? [{ id, body, stats: found }] : []
  })
}

const putCopy = ({ body, stats }: Original, state: JobState, tube: TubeName) =>
  Commands.put(body, { pri: stats.pri, ttrSeconds: stats.ttr, delaySeconds: delaySecondsOf(stats, state) }, tube)

/** The copy must not become ready before the original would have. */
const delaySecondsOf = ({ timeLeft }: JobStats, state: JobState) => {
  switch (state) {
    case "ready":
      return 0
    case "delayed":
      return delaySecondsFor(timeLeft)
    // Until it is buried no worker can reserve it.
    case "buried":
      return longestDelaySeconds
  }
}

/** The id of a copy that the server has stored, which it also does when it answers BURIED. */
const storedId = (exit: Exit.Exit<JobId, PutError>): Option.Option<JobId> =>
  Exit.match(exit, {
    onSuccess: Option.some,
    onFailure: (cause) =>
      Option.flatMap(
        Cause.failureOption(cause),
        (error) => error instanceof Buried ? Option.some(error.id) : Option.none()
      )
  })
