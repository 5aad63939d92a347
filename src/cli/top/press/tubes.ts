/** Keys on the list of tubes. */
import { unreservedStates } from "../../selection/flags.ts"
import type { Target } from "../act.ts"
import type { Key, NamedKey } from "../keys.ts"
import * as List from "../list.ts"
import type { Model } from "../model.ts"
import * as TubeTable from "../tubeTable.ts"
import { startAct, startMove, startPause } from "./acts.ts"
import { only, type Step } from "./step.ts"
import { openTube } from "./tube.ts"

export const pressInTubes = (model: Model, key: Key): Step =>
  key._tag === "Named" ? pressNamed(model, key.name) : pressCharacter(model, key.character)

const pressNamed = (model: Model, name: NamedKey): Step => {
  const { tubes } = model
  if (name === "enter") {
    const row = List.chosen(tubes)
    return row === undefined ? only(model) : openTube(model, row.name, "all")
  }
  if (name === "escape") return only({ ...model, tubes: TubeTable.filterBy(List.unmarkAll(tubes), "") })
  return only(moveInTubes(model, name))
}

/** After one of the keys that choose another tube. */
export const moveInTubes = (model: Model, name: NamedKey): Model => ({
  ...model,
  tubes: List.press(model.tubes, name, TubeTable.keyOf) ?? model.tubes
})

const pressCharacter = (model: Model, character: string): Step => {
  const { tubes } = model
  switch (character) {
    case "s":
      return only({ ...model, tubes: TubeTable.sortByNext(tubes) })
    case "r":
      return only({ ...model, tubes: TubeTable.reverse(tubes) })
    case "/":
      return only({ ...model, prompt: { _tag: "Filter", text: tubes.filter, before: tubes.filter } })
    case " ":
      return only({ ...model, tubes: List.mark(tubes, TubeTable.keyOf) })
    default:
      return pressAct(model, character)
  }
}

const pressAct = (model: Model, character: string): Step => {
  const tubes = TubeTable.targets(model.tubes)
  const all: Target = { _tag: "OfTubes", tubes, states: unreservedStates }
  switch (character) {
    case "k":
      return startAct(model, { _tag: "Kick", target: { ...all, states: ["buried"] } })
    case "x":
      return startAct(model, { _tag: "Delete", target: all })
    case "m":
      return startMove(model, all)
    case "p":
      return startPause(model, tubes)
    default:
      return only(model)
  }
}
