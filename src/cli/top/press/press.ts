/** What keys do. */
import type { Key } from "../keys.ts"
import type { Model } from "../model.ts"
import { pressInJob } from "./job.ts"
import { pressInPrompt } from "./prompt.ts"
import { only, type Step } from "./step.ts"
import { pressInTube } from "./tube.ts"
import { pressInTubes } from "./tubes.ts"

export const press = (model: Model, key: Key): Step => pressAnywhere(model, key) ?? pressHere(model, key)

/** Keys that do the same whatever is on screen. */
const pressAnywhere = (model: Model, key: Key): Step | undefined => {
  if (key._tag === "Named") {
    if (key.name === "ctrl-c") return [model, [{ _tag: "Raise", signal: "SIGINT" }]]
    if (key.name === "ctrl-z") return [model, [{ _tag: "Raise", signal: "SIGTSTP" }]]
    if (key.name === "ctrl-l") return [model, [{ _tag: "Redraw" }]]
    // An act is stopped, and the page stays.
    if (key.name === "escape" && model.acting !== undefined) return [model, [{ _tag: "StopActing" }]]
  }
  // Any key takes the help away.
  return model.isHelpShown ? only({ ...model, isHelpShown: false }) : undefined
}

const pressHere = (model: Model, key: Key): Step => {
  if (model.prompt !== undefined) return pressInPrompt(model, model.prompt, key)
  const step = key._tag === "Typed" ? pressOnPages(model, key.character) : undefined
  if (step !== undefined) return only(step)
  const { page } = model
  switch (page._tag) {
    case "TubesPage":
      return pressInTubes(model, key)
    case "TubePage":
      return pressInTube(model, page, key)
    case "JobPage":
      return pressInJob(model, page, key)
  }
}

/** Keys that do the same on every page. */
const pressOnPages = (model: Model, character: string): Model | undefined => {
  switch (character) {
    case "q":
      return { ...model, hasEnded: true }
    case "?":
      return { ...model, isHelpShown: true }
    case "f":
      return { ...model, isFrozen: !model.isFrozen }
    case "+":
    case "=":
      return { ...model, pace: faster(model.pace) }
    case "-":
      return { ...model, pace: slower(model.pace) }
    default:
      return undefined
  }
}

/** In milliseconds. */
const paces = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]

const faster = (pace: number): number => paces.findLast((other) => other < pace) ?? pace

const slower = (pace: number): number => paces.find((other) => other > pace) ?? pace
