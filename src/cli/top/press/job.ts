/** Keys on the page of a job. */
import { bodyHeight, wrappedBody } from "../jobBody.ts"
import type { Key, NamedKey } from "../keys.ts"
import type { JobPage, Model } from "../model.ts"
import { pressOnJobs } from "./acts.ts"
import { only, type Step } from "./step.ts"

export const pressInJob = (model: Model, page: JobPage, key: Key): Step =>
  key._tag === "Named" ? pressNamed(model, page, key.name) : pressCharacter(model, page, key.character)

const pressNamed = (model: Model, page: JobPage, name: NamedKey): Step => {
  const height = bodyHeight(model.size)
  const last = Math.max(0, wrappedBody(page, model.size.columns).length - height)
  const screenful = Math.max(1, height - 1)
  const scroll = (lines: number) =>
    only({ ...model, page: { ...page, offset: Math.max(0, Math.min(last, page.offset + lines)) } })
  switch (name) {
    case "up":
      return scroll(-1)
    case "down":
      return scroll(1)
    case "page up":
      return scroll(-screenful)
    case "page down":
      return scroll(screenful)
    case "home":
      return scroll(Number.NEGATIVE_INFINITY)
    case "end":
      return scroll(Number.POSITIVE_INFINITY)
    case "escape":
    case "backspace":
    case "left":
      return [{ ...model, page: page.from }, [{ _tag: "StopReading" }]]
    default:
      return only(model)
  }
}

const pressCharacter = (model: Model, { from, job }: JobPage, character: string): Step => {
  const { server, tube } = from.jobs
  const jobs = job === undefined ? [] : [job.stats]
  return pressOnJobs(model, { _tag: "OfIds", tube: job?.stats.tube ?? tube, jobs, server }, character)
}
