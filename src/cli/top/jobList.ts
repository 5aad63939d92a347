/** The jobs of a tube, as far as they are found, and which of them are marked. */
import type { ListedState, SearchProgress } from "../../BeanstalkClient.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import { allStates } from "../selection/flags.ts"
import * as List from "./list.ts"

export interface JobRow {
  readonly stats: JobStats
  /** The beginning of the body, without control characters. */
  readonly preview: string
  /** Of the body, in bytes. */
  readonly size: number
}

/** The jobs in all states, or in one. */
export type Shown = "all" | ListedState

export const choices: ReadonlyArray<Shown> = ["all", ...allStates]

export const statesOf = (shown: Shown): ReadonlyArray<ListedState> => shown === "all" ? allStates : [shown]

/** How a search goes. */
export type Status =
  | { readonly _tag: "Searching" }
  | { readonly _tag: "Ended" }
  | { readonly _tag: "Failed"; readonly why: string }

export const keyOf = ({ stats }: JobRow): JobId => stats.id

export interface JobList extends List.List<JobRow, JobId> {
  readonly tube: TubeName
  /** The id of the server process, if it is known. */
  readonly server: string | undefined
  readonly shown: Shown
  /** The number of the search whose jobs these are: what an earlier one finds is too late. */
  readonly search: number
  readonly status: Status
  readonly progress: SearchProgress
  /** How many jobs were found: some of them may not be listed any more. */
  readonly received: number
}

export const start = (
  { height, search, server, shown, tube }: Pick<JobList, "tube" | "server" | "shown" | "search" | "height">
): JobList => ({
  tube,
  server,
  shown,
  search,
  status: { _tag: "Searching" },
  progress: { asked: 0, found: 0, counted: 0 },
  rows: [],
  received: 0,
  marked: new Set(),
  cursor: List.top,
  height
})

/** Adds jobs, which are older than those that were found before. The cursor stays where it is. */
export const add = (list: JobList, found: ReadonlyArray<JobRow>): JobList => ({
  ...list,
  rows: [...list.rows, ...found],
  received: list.received + found.length
})

/** Whether more jobs are wanted than are found: a screenful more than one sees. */
export const wantsMore = ({ cursor: { offset }, height, rows }: JobList): boolean => rows.length < offset + 2 * height

/** The jobs that are marked, or else the one that is chosen. */
export const targets = (list: JobList): ReadonlyArray<JobStats> => {
  const marked = list.rows.filter(({ stats }) => list.marked.has(stats.id))
  const row = List.chosen(list)
  return (marked.length > 0 ? marked : row === undefined ? [] : [row]).map(({ stats }) => stats)
}

/** Without these jobs, or with them in another state. Those that are not in a state that is shown are left out. */
export const change = (list: JobList, ids: ReadonlySet<JobId>, state: "ready" | "buried" | "gone"): JobList => {
  const changed = (row: JobRow): ReadonlyArray<JobRow> =>
    state !== "gone" && statesOf(list.shown).includes(state) ? [{ ...row, stats: { ...row.stats, state } }] : []
  const rows = list.rows.flatMap((row) => ids.has(row.stats.id) ? changed(row) : [row])
  return List.settle({ ...list, rows, marked: new Set<JobId>() }, keyOf)
}
