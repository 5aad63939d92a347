/** All that `beanstalk top` shows, and what changes it. */
import type { State } from "../../BeanstalkClient.ts"
import type { ServerStats } from "../../Stats.ts"
import type { Size } from "../terminal/terminal.ts"
import type { Key } from "./keys.ts"
import type { Measured } from "./measure.ts"
import type { Sample } from "./sampling.ts"
import * as TubeTable from "./tubeTable.ts"

/** What is known of the connection. */
export interface Link {
  /** When the server has answered last. */
  readonly answeredAt: number
  /** Since when there is no answer that could be used, and why. */
  readonly lost: { readonly at: number; readonly why: string } | undefined
}

/** A line in which something is typed. */
export interface Prompt {
  readonly _tag: "Filter"
  readonly text: string
  /** The filter that Escape brings back. */
  readonly before: string
}

export interface Model {
  readonly address: string
  readonly size: Size
  /** In milliseconds, as all times here. The clock does not go back. */
  readonly now: number
  /** How often the tubes on screen are read. */
  readonly pace: number
  /** Whether nothing is read, so that the numbers stay. */
  readonly isFrozen: boolean
  readonly link: Link
  readonly server: Measured<ServerStats> | undefined
  readonly tubes: TubeTable.TubeTable
  /** When the other tubes were listed last, and how long it was from one time to the next. */
  readonly round: { readonly at: number; readonly took: number | undefined } | undefined
  readonly isHelpShown: boolean
  readonly prompt: Prompt | undefined
  readonly hasEnded: boolean
}

export type Message =
  | { readonly _tag: "Pressed"; readonly key: Key }
  | { readonly _tag: "InputEnded" }
  | { readonly _tag: "Resized"; readonly size: Size }
  | { readonly _tag: "ConnectionChanged"; readonly state: State }
  | { readonly _tag: "Second" }
  | Sample

/** What is to be done, besides what is shown. */
export type Request =
  /** To do what the key does where keys are not read one by one. */
  | { readonly _tag: "Raise"; readonly signal: "SIGINT" | "SIGTSTP" }
  /** To write all of the screen again. */
  | { readonly _tag: "Redraw" }

export interface Start {
  readonly address: string
  readonly size: Size
  readonly now: number
  readonly pace: number
}

export const initial = ({ address, now, pace, size }: Start): Model =>
  resize({
    address,
    size,
    now,
    pace,
    isFrozen: false,
    link: { answeredAt: now, lost: undefined },
    server: undefined,
    tubes: TubeTable.empty,
    round: undefined,
    isHelpShown: false,
    prompt: undefined,
    hasEnded: false
  }, size)

/** The lines that are no rows of a table: two of the server, the titles, and one for the keys. */
const otherLines = 4

export const resize = (model: Model, size: Size): Model => ({
  ...model,
  size,
  tubes: TubeTable.resize(model.tubes, Math.max(0, size.rows - otherLines))
})

/** A server that has not answered for so long is said to be silent. */
export const silence = ({ link: { answeredAt }, now, pace }: Model): number | undefined =>
  now - answeredAt > Math.max(3000, 2 * pace) ? now - answeredAt : undefined
