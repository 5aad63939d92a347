/** Keys on the page of a tube, which lists its jobs. */
import type { JobState } from "../../../BeanstalkClient.ts"
import type { TubeName } from "../../../Job.ts"
import { unreservedStates } from "../../selection/flags.ts"
import * as JobList from "../jobList.ts"
import type { Key, NamedKey } from "../keys.ts"
import * as List from "../list.ts"
import { jobsHeight, type Model, type TubePage } from "../model.ts"
import { pressOnJobs, startAct, startPause } from "./acts.ts"
import { only, type Step } from "./step.ts"

/** Opens the page of a tube, and looks for its jobs in these states. */
export const openTube = (model: Model, tube: TubeName, shown: JobList.Shown): Step => {
  const search = model.searches + 1
  const jobs = JobList.start({ tube, server: model.server?.stats.id, shown, search, height: jobsHeight(model.size) })
  return [{ ...model, searches: search, page: { _tag: "TubePage", jobs } }, [{ _tag: "Search", jobs }]]
}

/** Looks for the jobs of the page once more: they have changed. */
export const lookAgain = (model: Model): Step =>
  model.page._tag === "TubePage" ? openTube(model, model.page.jobs.tube, model.page.jobs.shown) : only(model)

export const pressInTube = (model: Model, page: TubePage, key: Key): Step =>
  key._tag === "Named" ? pressNamed(model, page, key.name) : pressCharacter(model, page, key.character)

const pressNamed = (model: Model, page: TubePage, name: NamedKey): Step => {
  const { jobs } = page
  const moved = List.press(jobs, name, JobList.keyOf)
  if (moved !== undefined) return only({ ...model, page: { ...page, jobs: moved } })
  switch (name) {
    case "enter":
      return openJob(model, page)
    case "escape":
    case "backspace":
      return jobs.marked.size > 0
        ? only({ ...model, page: { ...page, jobs: List.unmarkAll(jobs) } })
        : [{ ...model, page: { _tag: "TubesPage" } }, [{ _tag: "StopSearch" }]]
    case "right":
    case "tab":
      return openTube(model, jobs.tube, neighbour(jobs.shown, 1))
    case "left":
    case "backtab":
      return openTube(model, jobs.tube, neighbour(jobs.shown, -1))
    default:
      return only(model)
  }
}

const neighbour = (shown: JobList.Shown, by: number): JobList.Shown => {
  const { choices } = JobList
  return choices[(choices.indexOf(shown) + by + choices.length) % choices.length] ?? "all"
}

const openJob = (model: Model, page: TubePage): Step => {
  const row = List.chosen(page.jobs)
  if (row === undefined) return only(model)
  const { id } = row.stats
  return [
    { ...model, page: { _tag: "JobPage", id, from: page, job: undefined, isGone: false, offset: 0 } },
    [{ _tag: "ReadJob", id }]
  ]
}

const pressCharacter = (model: Model, page: TubePage, character: string): Step => {
  const { jobs } = page
  switch (character) {
    case " ":
      return only({ ...model, page: { ...page, jobs: List.mark(jobs, JobList.keyOf) } })
    case "u":
      return lookAgain(model)
    case "p":
      return startPause(model, [jobs.tube])
    case "x":
      return startAct(model, {
        _tag: "Delete",
        target: { _tag: "OfTubes", tubes: [jobs.tube], states: unreserved(jobs.shown) }
      })
    default:
      return pressOnJobs(
        model,
        { _tag: "OfIds", tube: jobs.tube, jobs: JobList.targets(jobs), server: jobs.server },
        character
      )
  }
}

/** The states that are shown, but for reserved: those jobs are of the connection that has reserved them. */
const unreserved = (shown: JobList.Shown): ReadonlyArray<JobState> =>
  unreservedStates.filter((state) => JobList.statesOf(shown).includes(state))
