import * as Data from "effect/Data"
import type { ServerInfo } from "../../Stats.ts"
import type { Ending } from "../connection/pipeline.ts"

/** See `BeanstalkClient.State`. */
export type State = Data.TaggedEnum<{
  Idle: {}
  Connecting: { readonly attempt: number }
  Connected: { readonly server: ServerInfo }
  Lost: Ending
  Closed: {}
}>

export const State = Data.taggedEnum<State>()

export type Lost = Data.TaggedEnum.Value<State, "Lost">
