/** How an act begins: with a question, or with what must be known for it. One is done at a time. */
import type { TubeName } from "../../../Job.ts"
import { type ActOnJobs, noneOf, type OfIds, questionOf, type Target } from "../act.ts"
import type { Model } from "../model.ts"
import { only, type Step } from "./step.ts"

const busy = "Esc stops what is being done; then something else can be done."

/** Asks at once about jobs that are known by their ids, and about others once they are counted. */
export const startAct = (model: Model, act: ActOnJobs): Step => {
  if (model.acting !== undefined) return only({ ...model, notice: busy })
  const { target } = act
  if (isEmpty(target)) return only({ ...model, notice: noneOf(act) })
  if (target._tag === "OfTubes") return [model, [{ _tag: "Count", act, tubes: target.tubes }]]
  const text = questionOf(act, model.address, [])
  return only(text === undefined ? model : { ...model, prompt: { _tag: "Question", text, act, askedAt: model.now } })
}

/** Asks where to. */
export const startMove = (model: Model, target: Target): Step => {
  if (model.acting !== undefined) return only({ ...model, notice: busy })
  return only(isEmpty(target) ? model : { ...model, prompt: { _tag: "MoveTo", text: "", target } })
}

/** Asks for how long. */
export const startPause = (model: Model, tubes: ReadonlyArray<TubeName>): Step => {
  if (model.acting !== undefined) return only({ ...model, notice: busy })
  return only(tubes.length === 0 ? model : { ...model, prompt: { _tag: "PauseFor", text: "", tubes } })
}

/** Keys that act on jobs of a list, or on the one that is shown. */
export const pressOnJobs = (model: Model, target: OfIds, character: string): Step => {
  switch (character) {
    case "k":
      return startAct(model, { _tag: "Kick", target })
    case "b":
      return startAct(model, { _tag: "Bury", target })
    case "d":
      return startAct(model, { _tag: "Delete", target })
    case "m":
      return startMove(model, target)
    default:
      return only(model)
  }
}

const isEmpty = (target: Target): boolean => (target._tag === "OfTubes" ? target.tubes : target.jobs).length === 0
