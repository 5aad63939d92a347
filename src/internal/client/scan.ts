/**
 * Applies an action to all jobs of a tube. beanstalkd has no command that lists jobs.
 *
 * Ready jobs are reserved, many at a time, so that no worker gets them meanwhile; the server makes them ready again when the
 * connection ends. Delayed and buried jobs are found by their ids: the first job of a state is peeked, and jobs that were put
 * in one go have the ids that follow. Where they were not, each round finds one job: if rounds take long, the ids are looked up
 * first. No job is kicked, because a worker could reserve it then.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { DeadlineSoon, PutError, TimedOut } from "../../BeanstalkError.ts"
import { isJobId, type JobId, type ReservedJob, type TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { ServerSession } from "../connection/connect.ts"
import { inOneWrite, sendAllPresent, statsOfJobs } from "../connection/sendAll.ts"
import { type Batch, batchOf } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import { compareIds } from "../values/compareIds.ts"
import { jobsIn } from "../values/jobsIn.ts"
import { total } from "../values/tally.ts"
import { maxBatch, nextBatch } from "./batchSize.ts"
import { search } from "./jobSearch.ts"

/** The states of a job that is not reserved. */
export type JobState = "ready" | "delayed" | "buried"

/** How many jobs the action was completed for, by the state in which they were found. */
export type Tally = { [State in JobState]: number }

/** Adds jobs to the tally. */
export const addTo = (tally: Tally, state: JobState) => (count: number): void => {
  tally[state] += count
}

/** What to do with jobs. It adds the jobs for which it is completed to the tally, also when it fails. */
export interface Action {
  /** For ready jobs, which the session has reserved. */
  readonly onReserved: (jobs: ReadonlyArray<ReservedJob>) => Effect.Effect<void, PutError>
  /**
   * For jobs that are not reserved. A job that has left the state meanwhile is skipped. `next` is run so that its commands
   * leave in one write with the last ones of the action.
   */
  readonly onFound: <A>(
    state: JobState,
    ids: ReadonlyArray<JobId>,
    next: Effect.Effect<A, PutError>
  ) => Effect.Effect<A, PutError>
  /** The states of which it takes long for a few jobs, since `onFound` opens a connection each time. */
  readonly connectsFor: ReadonlyArray<JobState>
}

export interface ScanOptions {
  /** Watches the tube, and no other. */
  readonly session: ServerSession
  readonly tube: TubeName
  readonly states: ReadonlyArray<JobState>
  /** Only these jobs; `undefined` for all jobs of the tube. */
  readonly ids: ReadonlyArray<JobId> | undefined
  /** The action is completed for at most this many jobs. */
  readonly bound: number
  readonly action: Action
  readonly tally: Tally
  /** Runs whenever the action may have added to the tally. */
  readonly onProgress: Effect.Effect<void>
}

/** How many jobs are reserved at first: a reserve that finds no job costs the server more than one that does. */
const firstBatch = 16

/**
 * How many rounds in a row may complete the action for no job. Other clients may take the jobs first now and then. A server
 * that shows a job, and refuses every command for it, would otherwise make the scan endless.
 */
const maxRoundsWithoutProgress = 32

/** Scans until no job is left, or the bound is reached. */
export const scan = (options: ScanOptions): Effect.Effect<void, PutError> =>
  options.ids === undefined
    ? Effect.forEach(
      options.states,
      (state) => state === "ready" ? scanReady(options) : scanIds(options, state),
      { discard: true }
    )
    : scanSelected(options, options.ids)

/** Looks these jobs up, a batch at a time, and acts on those that are in the tube and in one of the states. */
const scanSelected = (options: ScanOptions, ids: ReadonlyArray<JobId>) =>
  Effect.gen(function*() {
    const { action, onProgress, session, states, tube } = options
    const look = (batch: ReadonlyArray<JobId> = []) =>
      Effect.map(statsOfJobs(session, batch), (jobs) => jobs.filter((job) => job.tube === tube))
    const [first, ...others] = Arr.chunksOf(ids, maxBatch)
    let jobs: ReadonlyArray<JobStats> = yield* look(first)
    for (const batch of [...others, []]) {
      let next: ReadonlyArray<JobStats> | undefined
      for (const state of states) {
        const inState = jobs.filter((job) => job.state === state).map(({ id }) => id).slice(0, remaining(options))
        if (inState.length === 0) continue
        const following = next === undefined ? look(batch) : Effect.succeed(next)
        next = yield* action.onFound(state, inState, following)
        yield* onProgress
      }
      if (remaining(options) === 0) return
      jobs = next ?? (yield* look(batch))
    }
  })

const remaining = (options: ScanOptions) => options.bound - total(options.tally)

/** Whether to go on: false once the bound is reached, or too many rounds in a row made no progress. */
const progressGuard = (options: ScanOptions) => {
  let before = total(options.tally)
  let withoutProgress = 0
  return () => {
    const now = total(options.tally)
    withoutProgress = now > before ? 0 : withoutProgress + 1
    before = now
    return remaining(options) > 0 && withoutProgress <= maxRoundsWithoutProgress
  }
}

/** Reserves ready jobs. The jobs of a paused tube cannot be reserved: they are found by their ids. */
const scanReady = (options: ScanOptions) =>
  Effect.gen(function*() {
    const goesOn = progressGuard(options)
    while (goesOn()) {
      yield* reserveReady(options, goesOn)
      const [isPaused, first] = yield* inOneWrite(readIsPaused(options), peekFirst(options, "ready"))
      if (first.length === 0) return
      if (isPaused) return yield* scanIds(options, "ready")
    }
  })

const readIsPaused = ({ session, tube }: ScanOptions) =>
  Effect.map(
    sendAllPresent(session, batchOf([tube], Commands.statsTube)),
    (tubes) => tubes.some(({ pause }) => pause > 0)
  )

const reserveAtOnce = Commands.reserveWithTimeout(0)

const reserves = (length: number): Batch<ReservedJob, DeadlineSoon | TimedOut> => ({
  _tag: "Batch",
  length,
  at: () => reserveAtOnce
})

const reserveReady = (options: ScanOptions, goesOn: () => boolean) =>
  Effect.gen(function*() {
    const { action, onProgress, session } = options
    let batch = firstBatch
    const reserve = (most: number) => sendAllPresent(session, reserves(Math.min(most, batch)))
    let reserved = yield* reserve(remaining(options))
    while (reserved.length > 0 && goesOn()) {
      batch = nextBatch(reserved, batch)
      // In one write, so that the scan is as fast as the server and does not wait for a round trip. An interruption of the reserve would
      // end the session, with which the action deletes what it has copied.
      const [, more] = yield* Effect.uninterruptible(
        inOneWrite(action.onReserved(reserved), reserve(remaining(options) - reserved.length))
      )
      yield* onProgress
      reserved = more
    }
  })

const peeks = { ready: Commands.peekReady, delayed: Commands.peekDelayed, buried: Commands.peekBuried }

/** The id of the first job in a state; empty if there is none. */
const peekFirst = ({ session, tube }: ScanOptions, state: JobState): Effect.Effect<ReadonlyArray<JobId>, PutError> =>
  Effect.map(
    sendAllPresent(session, batchOf([tube], peeks[state])),
    ([job = Option.none()]) => Option.toArray(job).map(({ id }) => id)
  )

/** After so many runs of ids the ids are looked up, where a round takes long. */
const manyRuns = 16

const scanIds = (options: ScanOptions, state: JobState) =>
  Effect.gen(function*() {
    if (options.action.connectsFor.includes(state)) {
      const areMore = yield* scanRuns(options, state, manyRuns)
      if (!areMore) return
      yield* scanSelected({ ...options, states: [state] }, yield* lookUpIds(options, state))
    }
    yield* scanRuns(options, state)
  })

/** Acts on runs of jobs whose ids follow one another. Succeeds with whether there is another behind so many. */
const scanRuns = (options: ScanOptions, state: JobState, most = Number.POSITIVE_INFINITY) =>
  Effect.gen(function*() {
    const { action, onProgress, session, tube } = options
    const goesOn = progressGuard(options)
    const first = peekFirst(options, state)
    const inState = (range: ReadonlyArray<JobId>) =>
      Effect.map(
        statsOfJobs(session, range),
        (jobs) => jobs.filter((job) => job.tube === tube && job.state === state).map(({ id }) => id)
      )

    let runs = 0
    let rangeSize = 1
    let ids: ReadonlyArray<JobId> = yield* first
    let last = ids.at(-1)
    while (last !== undefined && goesOn()) {
      if (runs === most) return true
      const range = idsAfter(last, rangeSize)
      const [following, peeked] = yield* action.onFound(
        state,
        ids.slice(0, remaining(options)),
        inOneWrite(inState(range), first)
      )
      yield* onProgress
      // If most jobs of a range are in the tube and the state, those of the next range probably are too.
      rangeSize = following.length * 2 > range.length ? Math.min(rangeSize * 2, maxBatch) : 1
      if (following.length === 0) runs += 1
      ids = following.length > 0 ? following : peeked
      last = following.length > 0 ? range.at(-1) : peeked.at(-1)
    }
    return false
  })

const idsAfter = (id: JobId, count: number): ReadonlyArray<JobId> =>
  Array.from({ length: count }, (_, index) => `${BigInt(id) + BigInt(index + 1)}`).filter(isJobId)

/**
 * How many ids can be asked for in the time that it takes to act on one job alone, on a connection of its own: that took 13 ms of
 * processor time where an id took 44 µs.
 */
const idsPerJob = 256

/**
 * The ids of the jobs, the oldest first; not all of them if it takes longer to find them than to act on one after the other, and none
 * if the server refuses the put by which the search begins.
 */
const lookUpIds = (options: ScanOptions, state: JobState) =>
  Effect.gen(function*() {
    const { session, tube } = options
    const [stats] = yield* sendAllPresent(session, batchOf([tube], Commands.statsTube))
    const jobs = Math.min(stats === undefined ? 0 : jobsIn(stats, [state]), remaining(options))
    if (jobs === 0) return []
    const ids: Array<JobId> = []
    yield* search({
      session,
      tubes: [tube],
      states: [state],
      reach: idsPerJob * jobs,
      newest: undefined,
      serverShare: 1,
      onProgress: () => Effect.void
    }).pipe(
      Stream.runForEach(({ id }) => Effect.sync(() => ids.push(id))),
      Effect.catchTags({
        ReachExceeded: () => Effect.void,
        Draining: () => Effect.void,
        OutOfMemory: () => Effect.void
      })
    )
    return ids.toSorted(compareIds)
  })
