/** What becomes of the model when something happens. */
import type { State } from "../../BeanstalkClient.ts"
import { ConnectFailed, ConnectionLost } from "../../BeanstalkError.ts"
import { inWords } from "../ending.ts"
import * as Cursor from "./cursor.ts"
import type { Key } from "./keys.ts"
import { measure } from "./measure.ts"
import { type Message, type Model, type Request, resize } from "./model.ts"
import type { Sample } from "./sampling.ts"
import * as TubeTable from "./tubeTable.ts"

export type Step = readonly [Model, ReadonlyArray<Request>]

const only = (model: Model): Step => [model, []]

export const update = (model: Model, message: Message): Step => {
  switch (message._tag) {
    case "Pressed":
      return press(model, message.key)
    case "InputEnded":
      return only({ ...model, hasEnded: true })
    case "Resized":
      return [resize(model, message.size), [{ _tag: "Redraw" }]]
    case "ConnectionChanged":
      return only(withConnection(model, message.state))
    case "Second":
      return only(model)
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

// What is pressed

const press = (model: Model, key: Key): Step => {
  if (key._tag === "Named") {
    if (key.name === "ctrl-c") return [model, [{ _tag: "Raise", signal: "SIGINT" }]]
    if (key.name === "ctrl-z") return [model, [{ _tag: "Raise", signal: "SIGTSTP" }]]
    if (key.name === "ctrl-l") return [model, [{ _tag: "Redraw" }]]
  }
  // Any key takes the help away.
  if (model.isHelpShown) return only({ ...model, isHelpShown: false })
  return only(model.prompt === undefined ? pressInTable(model, key) : type(model, model.prompt, key))
}

const pressInTable = (model: Model, key: Key): Model =>
  key._tag === "Named" ? moved(model, key.name) : pressCharacter(model, key.character)

const moved = (model: Model, name: Extract<Key, { _tag: "Named" }>["name"]): Model => {
  const { tubes } = model
  const list = TubeTable.listOf(tubes)
  const at = (cursor: Cursor.Cursor): Model => ({ ...model, tubes: { ...tubes, cursor } })
  const page = Math.max(1, list.height - 1)
  switch (name) {
    case "up":
      return at(Cursor.moveBy(tubes.cursor, -1, list))
    case "down":
      return at(Cursor.moveBy(tubes.cursor, 1, list))
    case "page up":
      return at(Cursor.moveBy(tubes.cursor, -page, list))
    case "page down":
      return at(Cursor.moveBy(tubes.cursor, page, list))
    case "home":
      return at(Cursor.top)
    case "end":
      return at(Cursor.moveTo(tubes.cursor, list.count - 1, list))
    case "escape":
      return { ...model, tubes: TubeTable.filterBy(TubeTable.unmarkAll(tubes), "") }
    default:
      return model
  }
}

const pressCharacter = (model: Model, character: string): Model => {
  const { tubes } = model
  switch (character) {
    case "q":
      return { ...model, hasEnded: true }
    case "?":
      return { ...model, isHelpShown: true }
    case "s":
      return { ...model, tubes: TubeTable.sortByNext(tubes) }
    case "r":
      return { ...model, tubes: TubeTable.reverse(tubes) }
    case "f":
      return { ...model, isFrozen: !model.isFrozen }
    case "+":
    case "=":
      return { ...model, pace: faster(model.pace) }
    case "-":
      return { ...model, pace: slower(model.pace) }
    case "/":
      return { ...model, prompt: { _tag: "Filter", text: tubes.filter, before: tubes.filter } }
    default:
      return model
  }
}

/** In milliseconds. */
const paces = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]

const faster = (pace: number): number => paces.findLast((other) => other < pace) ?? pace

const slower = (pace: number): number => paces.find((other) => other > pace) ?? pace

/** In the line of the filter, which holds for what is typed so far. */
const type = (model: Model, prompt: NonNullable<Model["prompt"]>, key: Key): Model => {
  const filtered = (text: string): Model => ({
    ...model,
    prompt: { ...prompt, text },
    tubes: TubeTable.filterBy(model.tubes, text)
  })
  if (key._tag === "Typed") return filtered(prompt.text + key.character)
  switch (key.name) {
    case "backspace":
      return filtered([...prompt.text].slice(0, -1).join(""))
    case "ctrl-u":
      return filtered("")
    case "enter":
      return { ...model, prompt: undefined }
    case "escape":
      return { ...filtered(prompt.before), prompt: undefined }
    case "up":
    case "down":
      return moved(model, key.name)
    default:
      return model
  }
}
