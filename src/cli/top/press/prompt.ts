/** Keys while something is typed in the last line. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { duration } from "../../values/duration.ts"
import { tube } from "../../values/text.ts"
import type { Key } from "../keys.ts"
import type { Model, Prompt } from "../model.ts"
import * as TubeTable from "../tubeTable.ts"
import { startAct } from "./acts.ts"
import { only, type Step } from "./step.ts"
import { moveInTubes } from "./tubes.ts"

type Question = Extract<Prompt, { _tag: "Question" }>

type Input = Exclude<Prompt, Question>

export const pressInPrompt = (model: Model, prompt: Prompt, key: Key): Step =>
  prompt._tag === "Question" ? answer(model, prompt, key) : type(model, prompt, key)

/** Nobody reads a question and answers it in so few milliseconds: such a y was typed before it was there, or pasted. */
const shortestReading = 250

/** Anything but y is no. */
const answer = (model: Model, { act, askedAt }: Question, key: Key): Step => {
  const isYes = key._tag === "Typed" && key.character.toLowerCase() === "y"
  if (!isYes) return only({ ...model, prompt: undefined, notice: "Nothing was changed." })
  if (model.now - askedAt < shortestReading) return only(model)
  return [{ ...model, prompt: undefined, acting: { act, done: 0 } }, [{ _tag: "Act", act }]]
}

/** In characters. No name of a tube is longer, and each character of a filter sorts the tubes once more. */
const longestText = 200

const type = (model: Model, prompt: Input, key: Key): Step => {
  const typed = (text: string) => only(withText(model, prompt, text))
  if (key._tag === "Typed") {
    return prompt.text.length < longestText ? typed(prompt.text + key.character) : only(model)
  }
  switch (key.name) {
    case "backspace":
      return typed([...prompt.text].slice(0, -1).join(""))
    case "ctrl-u":
      return typed("")
    case "enter":
      return enter({ ...model, prompt: undefined }, prompt)
    case "escape":
      return only({ ...withText(model, prompt, prompt._tag === "Filter" ? prompt.before : ""), prompt: undefined })
    default:
      return only(prompt._tag === "Filter" ? moveInTubes(model, key.name) : model)
  }
}

/** The filter holds for what is typed so far. */
const withText = (model: Model, prompt: Input, text: string): Model => ({
  ...model,
  prompt: { ...prompt, text },
  tubes: prompt._tag === "Filter" ? TubeTable.filterBy(model.tubes, text) : model.tubes
})

const enter = (model: Model, prompt: Input): Step => {
  switch (prompt._tag) {
    case "Filter":
      return only(model)
    case "MoveTo":
      return Either.match(tube.read(prompt.text), {
        onLeft: (wrong) => only(wrongText(model, prompt.text, wrong)),
        onRight: (to) => startAct(model, { _tag: "Move", target: prompt.target, to })
      })
    case "PauseFor":
      return Either.match(duration.read(prompt.text), {
        onLeft: (wrong) => only(wrongText(model, prompt.text, wrong)),
        onRight: (time) => {
          const act = { _tag: "Pause", tubes: prompt.tubes, seconds: Math.ceil(Duration.toSeconds(time)) } as const
          return [{ ...model, acting: { act, done: 0 } }, [{ _tag: "Act", act }]]
        }
      })
  }
}

const wrongText = (model: Model, text: string, wrong: string): Model =>
  text === "" ? model : { ...model, notice: `${JSON.stringify(text)} ${wrong}.` }
