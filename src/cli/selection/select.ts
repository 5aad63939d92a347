/** The jobs that a command is to act on, tube by tube: counted, or looked up one by one where that is needed. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client, ClientError, JobState, ListedState, Tally } from "../../BeanstalkClient.ts"
import type { ReachExceeded } from "../../BeanstalkError.ts"
import type { JobStats, TubeStats } from "../../Stats.ts"
import type { Failure } from "../failures.ts"
import { nothing, total } from "../tally.ts"
import { withProgress } from "../terminal/progress.ts"
import type { Terminal } from "../terminal/terminal.ts"
import { find } from "./find.ts"
import type { Selection } from "./flags.ts"

/** Jobs of a tube. */
export interface Selected<out A> {
  readonly tube: string
  readonly count: Tally
  /** What is kept of each job, the oldest first; `undefined` if they were only counted. */
  readonly jobs: ReadonlyArray<A> | undefined
}

export interface Selecting<out A> {
  readonly tubes: ReadonlyArray<string>
  readonly selected: ReadonlyArray<Selected<A>>
  /** Not all jobs were found. */
  readonly exceeded: ReachExceeded | undefined
}

/** Whether jobs must be looked at, one by one. */
export const isById = ({ idsFrom, match, olderThan }: Selection): boolean =>
  match !== undefined || olderThan !== undefined || idsFrom !== undefined

const gauges = { ready: "currentJobsReady", delayed: "currentJobsDelayed", buried: "currentJobsBuried" } as const

/** How many jobs of each tube are in the states, up to the limit in all. */
export const count = (
  client: Client,
  tubes: ReadonlyArray<string>,
  { limit = Number.POSITIVE_INFINITY, states }: Selection<JobState>
): Effect.Effect<Selecting<never>, ClientError> =>
  Effect.map(Effect.orDie(client.statsTubes(tubes)), (all) => {
    let left = limit
    const countOf = (stats: TubeStats): Tally => ({
      ...nothing,
      ...Object.fromEntries(states.map((state) => {
        const jobs = Math.min(left, stats[gauges[state]])
        left -= jobs
        return [state, jobs]
      }))
    })
    return {
      tubes,
      selected: all.map((stats) => ({ tube: stats.name, count: countOf(stats), jobs: undefined })),
      exceeded: undefined
    }
  })

/** Looks jobs up, and keeps of each what an act on it needs. */
export const lookUp = <A>(
  client: Client,
  tubes: ReadonlyArray<string>,
  selection: Selection<JobState>,
  keep: (stats: JobStats) => A
): Effect.Effect<Selecting<A>, Failure, Terminal> =>
  withProgress("look at ids", ({ done }) =>
    Effect.gen(function*() {
      const found = new Map(tubes.map((tube) => [tube, { ready: 0, delayed: 0, buried: 0, jobs: new Array<A>() }]))
      const jobs = find(client, {
        tubes,
        selection,
        bodies: false,
        onProgress: ({ asked }) =>
          Effect.sync(() => {
            done(asked)
          })
      })
      const exceeded = yield* jobs.pipe(
        Stream.runForEach(({ stats }) =>
          Effect.sync(() => {
            const ofTube = found.get(stats.tube)
            const state = selection.states.find((state) => state === stats.state)
            if (ofTube === undefined || state === undefined) return
            ofTube[state] += 1
            ofTube.jobs.push(keep(stats))
          })
        ),
        Effect.as(undefined),
        Effect.catchTag("ReachExceeded", (exceeded) => Effect.succeed(exceeded))
      )
      const isFromOldest = selection.idsFrom !== undefined
      return {
        tubes,
        selected: Array.from(found, ([tube, { jobs, ...count }]) => ({
          tube,
          count,
          jobs: isFromOldest ? jobs : jobs.toReversed()
        })),
        exceeded
      }
    }))

/** How many jobs of a tube to act on at most, if there is a limit. */
export const bound = (count: Tally, limit: number | undefined): number | undefined =>
  limit === undefined ? undefined : total(count)

/** That there is no such job. */
export const none = (tubes: ReadonlyArray<string>, address: string, selection: Selection): string => {
  const of = tubes.length === 1 ? `tube ${tubes[0]}` : `these ${tubes.length} tubes`
  return `no ${statesText(selection.states)} job of ${of} on ${address}${isById(selection) ? " matches" : ""}.`
}

/** `buried`, `ready, delayed or buried`. */
export const statesText = (states: ReadonlyArray<ListedState>): string => {
  const last = states.at(-1) ?? ""
  return states.length < 2 ? last : `${states.slice(0, -1).join(", ")} or ${last}`
}
