/** What becomes of the model when something happens. */
import type { State } from "../../BeanstalkClient.ts"
import { ConnectFailed, ConnectionLost } from "../../BeanstalkError.ts"
import { inWords } from "../messages.ts"
import { counted, noneOf, questionOf } from "./act.ts"
import * as JobList from "./jobList.ts"
import { unmarkAll } from "./list.ts"
import { measure } from "./measure.ts"
import { jobsOf, type Message, type Model, resize, withJobs } from "./model.ts"
import { press } from "./press/press.ts"
import { only, type Step } from "./press/step.ts"
import { lookAgain } from "./press/tube.ts"
import type { Sample } from "./sampling.ts"
import * as TubeTable from "./tubeTable.ts"

export const update = (model: Model, message: Message): Step => {
  switch (message._tag) {
    case "Pressed":
      return press({ ...model, notice: undefined }, message.key)
    case "InputEnded":
      return only({ ...model, hasEnded: true })
    case "Resized":
      return [resize(model, message.size), [{ _tag: "Redraw" }]]
    case "ConnectionChanged":
      return only(withConnection(model, message.state))
    case "Second":
      return only(model)
    case "JobsFound":
      return only(inSearch(model, message, (jobs) => JobList.add(jobs, message.jobs)))
    case "Searched":
      return only(inSearch(model, message, (jobs) => ({ ...jobs, progress: message.progress })))
    case "SearchEnded": {
      const { failure } = message
      const status: JobList.Status = failure === undefined ? { _tag: "Ended" } : { _tag: "Failed", why: failure }
      return only(inSearch(model, message, (jobs) => ({ ...jobs, status })))
    }
    case "JobRead":
    case "JobGone":
      return only(withJob(model, message))
    case "Counted":
      return only(ask(model, message))
    case "Acted":
      return only(model.acting === undefined ? model : { ...model, acting: { ...model.acting, done: message.done } })
    case "ActEnded":
      return acted(model, message)
    case "Told":
      return only({ ...model, notice: message.notice })
    default:
      return only(withSample(model, message))
  }
}

// What is read

const withConnection = (model: Model, state: State): Model =>
  state._tag === "Lost" ? lost(model, model.now, reasonOf(state.cause) ?? inWords(state.reason)) : model

/** Why there is no connection, in some words. */
const reasonOf = (error: unknown): string | undefined => {
  if (error instanceof ConnectFailed) return inWords(error.detail)
  return error instanceof ConnectionLost ? inWords(error.reason) : undefined
}

const lost = (model: Model, at: number, why: string): Model => ({
  ...model,
  link: { ...model.link, lost: { at: model.link.lost?.at ?? at, why } }
})

const withSample = (model: Model, sample: Sample): Model => {
  if (sample._tag === "NothingRead") return lost(model, sample.at, reasonOf(sample.error) ?? sample.error.message)
  const { at } = sample
  const answered = { ...model, link: { answeredAt: at, lost: undefined } }
  // Rates over a shorter time say little: a tube that comes on screen may have been read a moment ago.
  const shortest = model.pace / 2
  switch (sample._tag) {
    case "ServerRead":
      return { ...answered, server: measure(model.server, sample.stats, { at, shortest }) }
    case "TubesRead":
      return { ...answered, tubes: TubeTable.observe(model.tubes, { at, shortest, tubes: sample.tubes }) }
    case "TubesListed": {
      const took = model.round === undefined ? undefined : at - model.round.at
      return { ...answered, round: { at, took }, tubes: TubeTable.list(model.tubes, sample.names) }
    }
  }
}

// Jobs

const inSearch = (
  model: Model,
  { search }: { readonly search: number },
  change: (jobs: JobList.JobList) => JobList.JobList
): Model => jobsOf(model.page)?.search === search ? { ...model, page: withJobs(model.page, change) } : model

const withJob = (model: Model, message: Extract<Message, { _tag: "JobRead" | "JobGone" }>): Model => {
  const { page } = model
  if (page._tag !== "JobPage" || page.id !== message.id) return model
  return { ...model, page: message._tag === "JobGone" ? { ...page, isGone: true } : { ...page, job: message.job } }
}

/** Shows what was done to the jobs that are listed. Unless that is known, they are looked for once more. */
const acted = (model: Model, { act, done, notice }: Extract<Message, { _tag: "ActEnded" }>): Step => {
  const next = { ...model, acting: undefined, notice, tubes: unmarkAll(model.tubes) }
  if (act._tag === "Pause") return only(next)
  const { target } = act
  if (target._tag === "OfTubes" || done < target.jobs.length) return lookAgain(next)
  const ids = new Set(target.jobs.map(({ id }) => id))
  const state = act._tag === "Kick" ? "ready" : act._tag === "Bury" ? "buried" : "gone"
  return only({ ...next, page: withJobs(next.page, (jobs) => JobList.change(jobs, ids, state)) })
}

/** Asks whether an act is to be done, now that its jobs are counted. */
const ask = (model: Model, { act, stats }: Extract<Message, { _tag: "Counted" }>): Model => {
  // Something else is typed meanwhile.
  if (model.prompt !== undefined) return model
  const text = questionOf(act, model.address, stats)
  return text === undefined
    ? { ...model, notice: noneOf(act) }
    : { ...model, prompt: { _tag: "Question", text, act: counted(act, stats), askedAt: model.now } }
}
