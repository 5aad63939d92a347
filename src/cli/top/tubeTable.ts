/** The list of tubes: what is known of each, in which order, which of them are shown, and which are marked. */
import * as Either from "effect/Either"
import type { TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import { tubePattern } from "../values/tubePattern.ts"
import * as List from "./list.ts"
import { measure, type Measured } from "./measure.ts"

export interface TubeRow {
  readonly name: TubeName
  /** `undefined` until its statistics are read for the first time. */
  readonly measured: Measured<TubeStats> | undefined
}

/** What tubes are sorted by: names from A to Z, numbers with the largest first. Those without statistics are the last. */
const values = {
  name: () => 0,
  ready: ({ stats }: Measured<TubeStats>) => stats.currentJobsReady,
  reserved: ({ stats }: Measured<TubeStats>) => stats.currentJobsReserved,
  delayed: ({ stats }: Measured<TubeStats>) => stats.currentJobsDelayed,
  buried: ({ stats }: Measured<TubeStats>) => stats.currentJobsBuried,
  in: ({ rates }: Measured<TubeStats>) => rates?.in ?? 0,
  out: ({ rates }: Measured<TubeStats>) => rates?.out ?? 0,
  waiting: ({ stats }: Measured<TubeStats>) => stats.currentWaiting,
  workers: ({ stats }: Measured<TubeStats>) => stats.currentWatching
} as const

export type SortKey = keyof typeof values

export const sortKeys = ["ready", "reserved", "delayed", "buried", "in", "out", "waiting", "workers", "name"] as const

export const keyOf = ({ name }: TubeRow): TubeName => name

/** Its rows are the tubes that are shown, in order. */
export interface TubeTable extends List.List<TubeRow, TubeName> {
  readonly tracked: ReadonlyMap<TubeName, Measured<TubeStats> | undefined>
  readonly sort: SortKey
  readonly isReversed: boolean
  /** A part of the names of those tubes that are shown, or a pattern. */
  readonly filter: string
}

export const empty: TubeTable = {
  tracked: new Map(),
  sort: "ready",
  isReversed: false,
  filter: "",
  marked: new Set(),
  rows: [],
  cursor: List.top,
  height: 0
}

const byName = (one: TubeRow, other: TubeRow) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0

const sorted = ({ isReversed, sort }: TubeTable, rows: ReadonlyArray<TubeRow>): ReadonlyArray<TubeRow> => {
  const valueOf = values[sort]
  const direction = isReversed ? -1 : 1
  return rows
    .map((row) => ({ row, value: row.measured === undefined ? undefined : valueOf(row.measured) }))
    .toSorted(({ row: one, value: a }, { row: other, value: b }) => {
      if (a === undefined || b === undefined) {
        return Number(a === undefined) - Number(b === undefined) || byName(one, other)
      }
      return direction * (sort === "name" ? byName(one, other) : b - a) || byName(one, other)
    })
    .map(({ row }) => row)
}

/** Letters of either case; patterns as on the command line. */
const filterOf = (filter: string): (name: string) => boolean => {
  const text = filter.toLowerCase()
  if (!/[*?]/.test(text)) return (name) => name.toLowerCase().includes(text)
  return Either.match(tubePattern.read(text), {
    onLeft: () => () => false,
    onRight: ({ matches }) => (name: string) => matches(name.toLowerCase())
  })
}

/** With the rows that are shown now. */
const arranged = (table: TubeTable): TubeTable => {
  const isShown = filterOf(table.filter)
  const all = Array.from(table.tracked, ([name, measured]): TubeRow => ({ name, measured }))
  const rows = sorted(table, table.filter === "" ? all : all.filter(({ name }) => isShown(name)))
  return List.settle({ ...table, rows }, keyOf)
}

/** The tubes that the server has now. */
export const list = (table: TubeTable, names: ReadonlyArray<TubeName>): TubeTable => {
  const tracked = new Map(names.map((name) => [name, table.tracked.get(name)]))
  return arranged({ ...table, tracked, marked: new Set([...table.marked].filter((name) => tracked.has(name))) })
}

export interface TubeSample {
  /** When the statistics were read, in milliseconds. */
  readonly at: number
  readonly tubes: ReadonlyArray<TubeStats>
  /** Rates are not counted over less than so many milliseconds. */
  readonly shortest: number
}

export const observe = (table: TubeTable, { at, shortest, tubes }: TubeSample): TubeTable => {
  const tracked = new Map(table.tracked)
  for (const stats of tubes) tracked.set(stats.name, measure(tracked.get(stats.name), stats, { at, shortest }))
  return arranged({ ...table, tracked })
}

export const sortBy = (table: TubeTable, sort: SortKey): TubeTable =>
  arranged({ ...table, sort, isReversed: false, cursor: List.top })

export const sortByNext = (table: TubeTable): TubeTable =>
  sortBy(table, sortKeys[(sortKeys.indexOf(table.sort) + 1) % sortKeys.length] ?? "ready")

export const reverse = (table: TubeTable): TubeTable =>
  arranged({ ...table, isReversed: !table.isReversed, cursor: List.top })

export const filterBy = (table: TubeTable, filter: string): TubeTable => arranged({ ...table, filter })

/** The tubes that are marked, or else the one that is chosen. */
export const targets = (table: TubeTable): ReadonlyArray<TubeName> => {
  if (table.marked.size > 0) return [...table.marked]
  const row = List.chosen(table)
  return row === undefined ? [] : [row.name]
}
