/** What can be done to tubes and jobs, and how it is asked for. */
import type { JobState } from "../../BeanstalkClient.ts"
import { jobsIn } from "../../internal/values/jobsIn.ts"
import { nothing, sum, type Tally, total } from "../../internal/values/tally.ts"
import type { TubeName } from "../../Job.ts"
import type { JobStats, TubeStats } from "../../Stats.ts"
import { tallyText } from "../tally.ts"
import * as Text from "../terminal/text.ts"

/** Jobs of tubes, by their states. */
export interface OfTubes {
  readonly _tag: "OfTubes"
  readonly tubes: ReadonlyArray<TubeName>
  readonly states: ReadonlyArray<JobState>
  /** How many there were when it was asked for: no more are acted on, though others may come meanwhile. */
  readonly counts?: ReadonlyMap<TubeName, number>
}

/** Jobs of a tube, by their ids. */
export interface OfIds {
  readonly _tag: "OfIds"
  readonly tube: TubeName
  readonly jobs: ReadonlyArray<JobStats>
  /** The id of the server process that has them, if it is known: after a restart the same ids may be of other jobs. */
  readonly server: string | undefined
}

export type Target = OfTubes | OfIds

export type Act =
  | { readonly _tag: "Kick"; readonly target: Target }
  | { readonly _tag: "Delete"; readonly target: Target }
  | { readonly _tag: "Bury"; readonly target: OfIds }
  | { readonly _tag: "Move"; readonly target: Target; readonly to: string }
  | { readonly _tag: "Pause"; readonly tubes: ReadonlyArray<TubeName>; readonly seconds: number }

/** An act on jobs, of which there is a question before. */
export type ActOnJobs = Exclude<Act, { readonly _tag: "Pause" }>

/** What has happened to the jobs. */
export const past = ({ _tag }: Act): string =>
  ({ Kick: "kicked", Delete: "deleted", Bury: "buried", Move: "moved", Pause: "paused" })[_tag]

const tallyOf = ({ states }: OfTubes, stats: TubeStats): Tally => ({
  ...nothing,
  ...Object.fromEntries(states.map((state) => [state, jobsIn(stats, [state])]))
})

/** The act, now that the jobs of its tubes are counted. */
export const counted = (act: ActOnJobs, stats: ReadonlyArray<TubeStats>): ActOnJobs => {
  const { target } = act
  if (act._tag === "Bury" || target._tag === "OfIds") return act
  const counts = new Map(stats.map((tube) => [tube.name, total(tallyOf(target, tube))]))
  return { ...act, target: { ...target, counts } }
}

export const tubesText = (tubes: ReadonlyArray<TubeName>): string =>
  tubes.length === 1 ? `tube ${tubes[0]}` : `${Text.thousands(tubes.length)} tubes`

const toText = (act: ActOnJobs): string => act._tag === "Move" ? ` to ${act.to}` : ""

/** How many jobs, where, and on which server; `undefined` if there are none. */
export const questionOf = (
  act: ActOnJobs,
  address: string,
  stats: ReadonlyArray<TubeStats>
): string | undefined => {
  const { target } = act
  if (target._tag === "OfIds") {
    const [first] = target.jobs
    const jobs = target.jobs.length === 1 ? `job ${first?.id}` : Text.counted(target.jobs.length, "job")
    return first === undefined ? undefined : `${act._tag} ${jobs} of tube ${target.tube} on ${address}${toText(act)}?`
  }
  const tally = sum(stats.map((tube) => tallyOf(target, tube)))
  return total(tally) === 0
    ? undefined
    : `${act._tag} ${tallyText(tally)} of ${tubesText(target.tubes)} on ${address}${toText(act)}?`
}

/** What is said if there is nothing to act on. */
export const noneOf = ({ target }: ActOnJobs): string =>
  target._tag === "OfIds" ? "No job is chosen." : `There is no such job in ${tubesText(target.tubes)}.`
