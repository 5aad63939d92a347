/** The jobs that a command is to act on, tube by tube: counted, or looked up one by one where that is needed. */
import * as Effect from "effect/Effect"
import type { Client, JobState, ListedState } from "../../BeanstalkClient.ts"
import type { ReachExceeded } from "../../BeanstalkError.ts"
import { jobsIn } from "../../internal/values/jobsIn.ts"
import { nothing, type Tally, total } from "../../internal/values/tally.ts"
import type { JobStats, TubeStats } from "../../Stats.ts"
import type { Failure } from "../failures.ts"
import type { Servers } from "../server/servers.ts"
import { matching } from "../server/tubes.ts"
import type { Terminal } from "../terminal/terminal.ts"
import { listed } from "../terminal/text.ts"
import type { TubePattern } from "../values/tubePattern.ts"
import { findAll, type Kept, oldestFirst } from "./findAll.ts"
import type { Selection } from "./flags.ts"

/** The jobs of a tube that are selected; there is at least one. */
export interface Selected<out A> {
  readonly tube: string
  readonly count: Tally
  /** How many of them to act on at most; `undefined` for all, and those that come meanwhile. */
  readonly bound: number | undefined
  /** What is kept of each job, the oldest first; `undefined` if they were only counted. */
  readonly jobs: ReadonlyArray<A> | undefined
}

/** The jobs of all tubes that are selected. */
export interface Selecting<out A> {
  readonly parts: ReadonlyArray<Selected<A>>
  /** What to say if there are none. */
  readonly none: string
  /** Not all jobs were found. */
  readonly exceeded: ReachExceeded | undefined
}

export interface SelectOptions<out A> {
  /** Whether jobs are looked up one by one, and not only counted. */
  readonly looksUp: boolean
  /** What an act needs of a job that is looked up. */
  readonly keep: (stats: JobStats) => A
}

/** Selects jobs of the tubes that the patterns match. */
export const select = <A extends Kept>(
  client: Client,
  patterns: ReadonlyArray<TubePattern>,
  selection: Selection<JobState>,
  { keep, looksUp }: SelectOptions<A>
): Effect.Effect<Selecting<A>, Failure, Servers | Terminal> =>
  Effect.gen(function*() {
    const tubes = yield* matching(client, patterns)
    const { exceeded, found } = looksUp
      ? yield* lookUp(client, tubes, selection, keep)
      : { exceeded: undefined, found: yield* count(client, tubes, selection) }
    const of = tubes.length === 1 ? `tube ${tubes[0]}` : `these ${tubes.length} tubes`
    return {
      parts: found
        .filter(({ count }) => total(count) > 0)
        .map(({ count, jobs, tube }) => ({
          tube,
          count,
          bound: selection.limit === undefined ? undefined : total(count),
          jobs
        })),
      none: `no ${statesText(selection.states)} job of ${of} on ${client.address}${
        isById(selection) ? " matches" : ""
      }.`,
      exceeded
    }
  })

/** Whether the selection says which jobs of a state, so that they must be looked up. */
export const isById = ({ idsFrom, match, newerThan, olderThan }: Selection): boolean =>
  [idsFrom, match, newerThan, olderThan].some((only) => only !== undefined)

interface Found<out A> extends Omit<Selected<A>, "bound"> {}

/** How many jobs of each tube are in the states, up to the limit in all. */
const count = (
  client: Client,
  tubes: ReadonlyArray<string>,
  { limit = Number.POSITIVE_INFINITY, states }: Selection<JobState>
): Effect.Effect<ReadonlyArray<Found<never>>, Failure> =>
  Effect.map(client.statsTubes(tubes), (all) => {
    let left = limit
    const countOf = (stats: TubeStats): Tally => ({
      ...nothing,
      ...Object.fromEntries(states.map((state) => {
        const jobs = Math.min(left, jobsIn(stats, [state]))
        left -= jobs
        return [state, jobs]
      }))
    })
    return all.map((stats) => ({ tube: stats.name, count: countOf(stats), jobs: undefined }))
  })

/** Looks jobs up, and keeps of each what an act on it needs. */
const lookUp = <A extends Kept>(
  client: Client,
  tubes: ReadonlyArray<string>,
  selection: Selection<JobState>,
  keep: (stats: JobStats) => A
) => {
  const found = new Map(tubes.map((tube) => [tube, { count: { ...nothing }, jobs: new Array<A>() }]))
  const keepJob = (stats: JobStats) => {
    const ofTube = found.get(stats.tube)
    const state = selection.states.find((state) => state === stats.state)
    if (ofTube === undefined || state === undefined) return
    ofTube.count[state] += 1
    ofTube.jobs.push(keep(stats))
  }
  return Effect.map(findAll(client, { tubes, selection }, keepJob), (exceeded) => ({
    exceeded,
    found: Array.from(found, ([tube, { count, jobs }]): Found<A> => ({
      tube,
      count,
      jobs: oldestFirst(selection, jobs)
    }))
  }))
}

/** `buried`, `ready, delayed or buried`. */
export const statesText = (states: ReadonlyArray<ListedState>): string => listed(states, "or")
