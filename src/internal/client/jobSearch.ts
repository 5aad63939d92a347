/**
 * Finds the jobs of tubes, without a reservation. beanstalkd has no command that lists jobs, and tells no newest id.
 *
 * So the newest id is found by a put, and from there ids are asked for downwards, many in one write, until as many jobs are found as
 * the server counts. Live jobs are mostly young, so that this is mostly short. As jobs come and go meanwhile, the jobs that were found,
 * and the ids that were issued since, are asked for again before the search ends.
 */
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type PutError, ReachExceeded } from "../../BeanstalkError.ts"
import { isJobId, type JobId, type TubeName } from "../../Job.ts"
import type { JobStats, ServerStats, TubeStats } from "../../Stats.ts"
import type { ServerSession } from "../connection/connect.ts"
import { inOneWrite, sendAllPresent, statsOfJobs } from "../connection/sendAll.ts"
import { batchOf } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import { jobsIn } from "../values/jobsIn.ts"
import { floorOf } from "../values/qualifiedId.ts"
import { newestId, newestIdTube } from "./newestId.ts"

/** The states in which a job can be found. */
export type ListedState = "ready" | "reserved" | "delayed" | "buried"

/** How far a search has come. */
export interface SearchProgress {
  /** How many ids were asked for. */
  readonly asked: number
  /** How many jobs were found in the states that are wanted. */
  readonly found: number
  /** How many jobs the server counted in these states at last. */
  readonly counted: number
}

export interface Search {
  readonly session: ServerSession
  /** `undefined` for all tubes. */
  readonly tubes: ReadonlyArray<TubeName> | undefined
  readonly states: ReadonlyArray<ListedState>
  /** How many ids below the newest are asked for at most. */
  readonly reach: number
  /** The id to begin at. `undefined`: the newest id, found by a put. */
  readonly newest: JobId | undefined
  /** The server is asked for this part of the time. */
  readonly serverShare: number
  readonly onProgress: (progress: SearchProgress) => Effect.Effect<void>
}

/** How many ids are asked for in one write. */
export const windowSize = 1024

/** The jobs are counted again after this many ids, times the number of tubes. */
const idsPerCount = 64

/** How many checks that cannot decide are repeated at once. */
const maxUndecided = 3

/** The jobs in the tubes that were found, by what became of them. */
class Jobs {
  /** Emitted: they were in a state that is wanted. */
  readonly listed = new Set<JobId>()
  /** Not emitted: they were in another state. */
  readonly others = new Set<JobId>()
  private readonly isWantedTube: (tube: TubeName) => boolean
  private readonly states: ReadonlySet<string>

  constructor({ states, tubes }: Search) {
    const names = new Set(tubes)
    this.isWantedTube = tubes === undefined ? (tube) => tube !== newestIdTube : (tube) => names.has(tube)
    this.states = new Set(states)
  }

  /** Takes note of jobs. Returns those that are to be emitted. */
  record(found: ReadonlyArray<JobStats>): Array<JobStats> {
    const fresh: Array<JobStats> = []
    for (const job of found) {
      if (!this.isWantedTube(job.tube)) continue
      if (!this.isWanted(job)) {
        if (!this.listed.has(job.id)) this.others.add(job.id)
      } else if (!this.listed.has(job.id)) {
        this.others.delete(job.id)
        this.listed.add(job.id)
        fresh.push(job)
      }
    }
    return fresh
  }

  /** Forgets those of these jobs that were not found, or not in a tube that is wanted. */
  forgetMissing(asked: ReadonlyArray<JobId>, found: ReadonlyArray<JobStats>): void {
    const present = new Set(found.filter(({ tube }) => this.isWantedTube(tube)).map(({ id }) => id))
    for (const id of asked) {
      if (present.has(id)) continue
      this.listed.delete(id)
      this.others.delete(id)
    }
  }

  isWanted({ state, tube }: JobStats): boolean {
    return this.isWantedTube(tube) && this.states.has(state)
  }

  get size(): number {
    return this.listed.size + this.others.size
  }
}

/** What the server counts. */
interface Count {
  /** Jobs in the states that are wanted. */
  readonly jobs: number
  /** Jobs that were ever put. */
  readonly puts: number
}

/** Between two steps of a search. */
interface Position {
  readonly newest: bigint
  /** The server has no job with this id, or a smaller one: 0, unless ids are those of a cluster. */
  readonly floor: bigint
  /** The next id to ask for; the floor when there is none. */
  readonly next: bigint
  /** How many ids were asked for. */
  readonly asked: number
  /** How many ids were issued since the oldest job that was found. */
  readonly depth: number
  readonly count: Count
  readonly countsAt: number
  /** After so many ids a check is due again: checks take no longer than the search itself. */
  readonly checksAt: number
  /** How many checks in a row could not tell whether jobs are missing or have gone. */
  readonly undecided: number
  readonly failure: ReachExceeded | undefined
}

type Step = readonly [Chunk.Chunk<JobStats>, Option.Option<Position>]

/** Emits each job once. Fails with `ReachExceeded` after all that was found, if the server counts more. */
export const search = (options: Search): Stream.Stream<JobStats, PutError | ReachExceeded> => {
  const jobs = new Jobs(options)
  return Stream.unwrap(Effect.map(readNewest(options), ([newest, count]) => {
    const floor = floorOf(newest)
    const begin: Position = {
      newest,
      floor,
      // A server that does not tell the truth may have issued the floor.
      next: options.newest === undefined && newest > floor ? newest - 1n : newest,
      asked: 0,
      depth: 0,
      count,
      countsAt: 0,
      checksAt: 0,
      undecided: 0,
      failure: undefined
    }
    return Stream.paginateChunkEffect(begin, (at) => step(options, jobs, at))
  }))
}

const step = (
  options: Search,
  jobs: Jobs,
  at: Position
): Effect.Effect<Step, PutError | ReachExceeded> => {
  if (at.failure !== undefined) return at.failure
  const isComplete = jobs.listed.size >= at.count.jobs
  if (isComplete && (at.next === at.floor || at.count.jobs === 0)) return Effect.succeed([Chunk.empty(), Option.none()])
  const isCheckDue = at.undecided > 0 || at.next === at.floor || at.asked >= options.reach ||
    (isComplete && at.asked >= at.checksAt)
  return isCheckDue ? check(options, jobs, at) : askNext(options, jobs, at)
}

const askNext = (options: Search, jobs: Jobs, at: Position): Effect.Effect<Step, PutError> =>
  Effect.gen(function*() {
    const ids = idsDownFrom(at.next, at.floor, Math.min(windowSize, options.reach - at.asked))
    const isCountDue = at.asked >= at.countsAt
    const [found, count] = yield* paced(
      options,
      inOneWrite(statsOfJobs(options.session, ids), isCountDue ? readCount(options) : Effect.succeed(at.count))
    )
    const fresh = jobs.record(found)
    const oldest = fresh.at(-1)
    const asked = at.asked + ids.length
    yield* options.onProgress({ asked, found: jobs.listed.size, counted: count.jobs })
    return [
      Chunk.unsafeFromArray(fresh),
      Option.some({
        ...at,
        next: at.next - BigInt(ids.length),
        asked,
        depth: oldest === undefined ? at.depth : Number(at.newest - BigInt(oldest.id)),
        count,
        countsAt: isCountDue ? at.asked + idsPerCount * (options.tubes?.length ?? 1) : at.countsAt
      })
    ]
  })

/**
 * Asks again for the jobs that were found, and for the ids issued since, to compare their number with the count of the server. If jobs
 * came or went in between, the numbers need not agree, and it checks again. If they still do not, it is enough to have looked twice as
 * deep as the oldest job found.
 */
const check = (options: Search, jobs: Jobs, at: Position): Effect.Effect<Step, PutError> =>
  Effect.gen(function*() {
    const [newest, count] = yield* readNewest(options)
    // A server that does not tell the truth may jump by more ids than there is memory for.
    const issued = Math.min(Math.max(Number(newest - at.newest) - 1, 0), options.reach)
    const before = jobs.listed.size
    const fresh: Array<JobStats> = []
    let present = 0
    for (const ids of idsToCheck(jobs, at, newest - 1n, issued)) {
      const found = yield* paced(options, statsOfJobs(options.session, ids))
      present += found.filter((job) => jobs.isWanted(job)).length
      fresh.push(...jobs.record(found))
      jobs.forgetMissing(ids, found)
    }
    const asked = at.asked + issued
    const depth = at.depth + issued
    yield* options.onProgress({ asked, found: jobs.listed.size, counted: count.jobs })

    const missing = count.jobs - present
    const notAskedFor = options.newest === undefined ? 0 : count.puts - at.count.puts
    const maybeGone = before + fresh.length - present + notAskedFor
    const undecided = missing > 0 && missing <= maybeGone ? at.undecided + 1 : 0
    const isAtReach = asked >= options.reach
    const isDeepEnough = isAtReach || asked >= 2 * depth
    const isDone = at.next === at.floor || missing <= 0 || (undecided > maxUndecided && isDeepEnough)
    const next: Position = {
      ...at,
      newest,
      asked,
      depth,
      count,
      checksAt: asked + Math.max(jobs.size, windowSize),
      undecided: undecided > maxUndecided ? 0 : undecided,
      failure: isAtReach && undecided === 0 ? exceeded(options, present, count.jobs, asked) : undefined
    }
    return [Chunk.unsafeFromArray(fresh), isDone ? Option.none() : Option.some(next)]
  })

/** The ids issued since, and those of the jobs that were found, a window at a time. */
function* idsToCheck(
  { listed, others }: Jobs,
  { floor }: Position,
  newest: bigint,
  issued: number
): Generator<ReadonlyArray<JobId>> {
  for (let index = 0; index < issued; index += windowSize) {
    yield idsDownFrom(newest - BigInt(index), floor, Math.min(windowSize, issued - index))
  }
  yield* Arr.chunksOf([...listed, ...others], windowSize)
}

const exceeded = ({ session: { address } }: Search, found: number, counted: number, asked: number) =>
  new ReachExceeded({ address, found, counted, asked })

/** The newest id, which was issued for this purpose unless it is given, and what the server counted in the same moment. */
const readNewest = (options: Search): Effect.Effect<readonly [bigint, Count], PutError> =>
  options.newest === undefined
    ? Effect.map(newestId(options.session, readCount(options)), ([id, count]) => [BigInt(id), count])
    : Effect.map(readCount(options), (count) => [BigInt(options.newest ?? 0), count])

const readCount = ({ session, states, tubes }: Search): Effect.Effect<Count, PutError> =>
  Effect.map(
    tubes === undefined
      ? sendAllPresent<ServerStats | TubeStats>(session, batchOf([Commands.stats], identity))
      : sendAllPresent<ServerStats | TubeStats>(session, batchOf(tubes, Commands.statsTube)),
    (all) => ({
      jobs: all.reduce((sum, stats) => sum + jobsIn(stats, states), 0),
      puts: all.reduce((sum, { totalJobs }) => sum + totalJobs, 0)
    })
  )

/** A bigint for each id would take longer than to ask for it. */
const idsDownFrom = (id: bigint, floor: bigint, most: number): ReadonlyArray<JobId> => {
  const first = Number(id)
  const isExact = Number.isSafeInteger(first)
  const ids: Array<JobId> = []
  for (let index = 0; index < Math.min(most, Number(id - floor)); index += 1) {
    const text = isExact ? String(first - index) : String(id - BigInt(index))
    if (isJobId(text)) ids.push(text)
  }
  return ids
}

/** Leaves the server the rest of its time. */
const paced = <A, E>({ serverShare }: Search, ask: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(
    Effect.timed(ask),
    ([spent, answer]) => Effect.as(Effect.sleep(Duration.times(spent, 1 / serverShare - 1)), answer)
  )
