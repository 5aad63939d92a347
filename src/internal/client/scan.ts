/**
 * Working through the jobs of a tube, which beanstalkd cannot list.
 *
 * Ready jobs are reserved, many at a time: no worker has them meanwhile, and they go back if anything goes wrong. Delayed and
 * buried jobs are found by their ids: the first is peeked, and what was put together with it has the ids behind it. Nothing
 * is kicked, which would hand it to a worker.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PutError } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import { isJobId, type JobId, type ReservedJob, type TubeName } from "../../Job.ts"
import { certain, inOneWrite, sendAllPresent, statsOfJobs } from "../connection/pipelined.ts"
import type { Session } from "../connection/session.ts"

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
  readonly line: Session
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

/** How many jobs are held, or looked at, at a time: … */
const widest = 256

/** … at first, since each reserve that finds nothing costs the server more than one that does, … */
const narrow = 16

/** … and as many as have bodies of so many bytes together. */
const heaviest = 16 * 1024 * 1024

/**
 * How often in a row nothing may come of it. Others may be faster now and then; but a server that shows the same job for
 * ever, and never lets it go, must not keep us for ever.
 */
const patience = 32

/** Works until no job is left, or the bound is reached. */
export const tidy = (tidying: Tidying): Effect.Effect<void, PutError> =>
  Effect.forEach(
    tidying.states,
    (state) => state === "ready" ? clearing(tidying) : searching(tidying, state),
    { discard: true }
  )

const doneBy = ({ tally }: Tidying) => tally.ready + tally.delayed + tally.buried

const leftOf = (tidying: Tidying) => tidying.bound - doneBy(tidying)

/** Whether there is something left to do, and a point in trying again. */
const perseverance = (tidying: Tidying) => {
  let before = doneBy(tidying)
  let inVain = 0
  return () => {
    const done = doneBy(tidying)
    inVain = done > before ? 0 : inVain + 1
    before = done
    return leftOf(tidying) > 0 && inVain <= patience
  }
}

const atOnce = certain(Protocol.reserveWithTimeout(0))

/** Ready jobs are reserved. Only those of a paused tube cannot be, and are found as others are. */
const clearing = (tidying: Tidying) =>
  Effect.gen(function*() {
    const goesOn = perseverance(tidying)
    while (goesOn()) {
      yield* reserving(tidying, goesOn)
      const [isPaused, head] = yield* inOneWrite(pausing(tidying), heading(tidying, "ready"))
      if (head.length === 0) return
      if (isPaused) return yield* searching(tidying, "ready")
    }
  })

const pausing = ({ line, tube }: Tidying) =>
  Effect.map(sendAllPresent(line, [certain(Protocol.statsTube(tube))]), (tubes) => tubes.some(({ pause }) => pause > 0))

const reserving = (tidying: Tidying, goesOn: () => boolean) =>
  Effect.gen(function*() {
    const { deed, line, onProgress } = tidying
    let width = narrow
    const reserve = (most: number) => sendAllPresent(line, Array.from({ length: Math.min(most, width) }, () => atOnce))
    let held = yield* reserve(leftOf(tidying))
    while (held.length > 0 && goesOn()) {
      width = widthAfter(held, width)
      // In one write: a tube is cleared at the speed of the server, not of the way to it.
      const [, more] = yield* inOneWrite(deed.reserved(held), reserve(leftOf(tidying) - held.length))
      yield* onProgress
      held = more
    }
  })

const widthAfter = (held: ReadonlyArray<ReservedJob>, width: number): number =>
  held.reduce((bytes, { body }) => bytes + body.length, 0) > heaviest / 2
    ? Math.max(Math.floor(width / 2), 1)
    : held.length === width
    ? Math.min(width * 2, widest)
    : width

const peeks = { ready: Protocol.peekReady, delayed: Protocol.peekDelayed, buried: Protocol.peekBuried }

/** The first of its state, if there is one. */
const heading = ({ line, tube }: Tidying, state: JobState): Effect.Effect<ReadonlyArray<JobId>, PutError> =>
  Effect.map(
    sendAllPresent(line, [certain(peeks[state]({ tube }))]),
    ([job = Option.none()]) => Option.toArray(job).map(({ id }) => id)
  )

const searching = (tidying: Tidying, state: JobState) =>
  Effect.gen(function*() {
    const { deed, line, onProgress, tube } = tidying
    const goesOn = perseverance(tidying)
    const first = heading(tidying, state)
    const ours = (range: ReadonlyArray<JobId>) =>
      Effect.map(
        statsOfJobs(line, range),
        (jobs) => jobs.filter((job) => job.tube === tube && job.state === state).map(({ id }) => id)
      )

    let reach = 1
    let ids: ReadonlyArray<JobId> = yield* first
    let last = ids.at(-1)
    while (last !== undefined && goesOn()) {
      const range = idsBehind(last, reach)
      const [behind, head] = yield* deed.found(
        state,
        ids.slice(0, leftOf(tidying)),
        inOneWrite(ours(range), first)
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
