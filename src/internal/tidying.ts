/**
 * Working through the jobs of a tube, which beanstalkd cannot list.
 *
 * Ready jobs are reserved, many at a time: no worker has them meanwhile, and they go back if anything goes wrong. Delayed and
 * buried jobs are found by their ids: the first is peeked, and what was put together with it has the ids behind it. Nothing
 * is kicked, which would hand it to a worker.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PutError } from "../BeanstalkError.ts"
import * as Protocol from "../BeanstalkProtocol.ts"
import { isJobId, type JobId, type ReservedJob, type TubeName } from "../Job.ts"
import { certain, type Line, present } from "./batch.ts"

/** The states of a job that nobody has reserved. */
export type JobState = "ready" | "delayed" | "buried"

/** How many jobs have been done with, by the state they were in. */
export type Tally = { [State in JobState]: number }

/** What is done with the jobs of a tube. It counts the jobs that it was done with. */
export interface Deed {
  /** With ready jobs that this connection holds. */
  readonly reserved: (jobs: ReadonlyArray<ReservedJob>) => Effect.Effect<void, PutError>
  /**
   * With jobs of a state that nobody holds, unless they have left it meanwhile. `next` leaves in one write with the last
   * that is done with them.
   */
  readonly found: <A>(
    state: JobState,
    ids: ReadonlyArray<JobId>,
    next: Effect.Effect<A, PutError>
  ) => Effect.Effect<A, PutError>
}

export interface Tidying {
  /** Watches the tube, and nothing else. */
  readonly line: Line
  readonly tube: TubeName
  readonly states: ReadonlyArray<JobState>
  /** How many jobs may be done with. */
  readonly bound: number
  readonly deed: Deed
  /** What the deed has counted. */
  readonly tally: Tally
  /** Runs whenever it may have counted. */
  readonly onProgress: Effect.Effect<void>
}

/** How many jobs are held, or looked at, at a time. */
const widest = 256

/** Works until no job is left, or the bound is reached. */
export const tidy = (tidying: Tidying): Effect.Effect<void, PutError> =>
  Effect.forEach(
    tidying.states,
    (state) =>
      // Of a paused tube nothing can be reserved, but by its id.
      state === "ready" ? Effect.zipRight(reserving(tidying), searching(tidying, state)) : searching(tidying, state),
    { discard: true }
  )

const leftOf = ({ bound, tally }: Tidying) => bound - tally.ready - tally.delayed - tally.buried

const atOnce = certain(Protocol.reserveWithTimeout(0))

const reserving = (tidying: Tidying) =>
  Effect.gen(function*() {
    const { deed, line, onProgress } = tidying
    const reserve = (most: number) => present(line, Array.from({ length: Math.min(most, widest) }, () => atOnce))
    let held = yield* reserve(leftOf(tidying))
    while (held.length > 0) {
      // In one write: a tube is cleared at the speed of the server, not of the way to it.
      const [, more] = yield* Effect.all([deed.reserved(held), reserve(leftOf(tidying) - held.length)], {
        concurrency: "unbounded"
      })
      yield* onProgress
      held = more
    }
  })

const peeks = { ready: Protocol.peekReady, delayed: Protocol.peekDelayed, buried: Protocol.peekBuried }

const searching = (tidying: Tidying, state: JobState) =>
  Effect.gen(function*() {
    const { deed, line, onProgress, tube } = tidying
    const first = Effect.map(
      present(line, [certain(peeks[state]({ tube }))]),
      ([job = Option.none()]) => Option.toArray(job).map(({ id }) => id)
    )
    const ours = (range: ReadonlyArray<JobId>) =>
      Effect.map(
        present(line, range.map((id) => certain(Protocol.statsJob(id)))),
        (jobs) => jobs.filter((job) => job.tube === tube && job.state === state).map(({ id }) => id)
      )

    let reach = 1
    let ids: ReadonlyArray<JobId> = yield* first
    let last = ids.at(-1)
    while (last !== undefined && leftOf(tidying) > 0) {
      const range = idsBehind(last, reach)
      const [behind, head] = yield* deed.found(
        state,
        ids.slice(0, leftOf(tidying)),
        Effect.all([ours(range), first], { concurrency: "unbounded" })
      )
      yield* onProgress
      // Where most of a range is ours, it goes on; where not, only what is peeked is sure.
      reach = behind.length * 2 > range.length ? Math.min(reach * 2, widest) : 1
      ids = behind.length > 0 ? behind : head
      last = behind.length > 0 ? range.at(-1) : head.at(-1)
    }
  })

const idsBehind = (id: JobId, count: number): ReadonlyArray<JobId> =>
  Array.from({ length: count }, (_, index) => `${BigInt(id) + BigInt(index + 1)}`).filter(isJobId)
