/** Where one is in a list that is longer than the screen. */
import type { NamedKey } from "./keys.ts"

export interface Cursor {
  /** The row that is chosen. */
  readonly index: number
  /** The first row on screen. */
  readonly offset: number
  /** The key of the row, if the cursor is to stay on it wherever it goes. Until it is moved, the cursor stays at the top. */
  readonly key: string | undefined
}

export const top: Cursor = { index: 0, offset: 0, key: undefined }

export interface List {
  readonly count: number
  readonly keyAt: (index: number) => string | undefined
  /** How many rows fit on the screen. */
  readonly height: number
}

const between = (least: number, value: number, most: number) => Math.max(least, Math.min(value, most))

/** On screen, and within the list. */
export const fit = (cursor: Cursor, { count, height }: List): Cursor => {
  const rows = Math.max(1, height)
  const index = between(0, cursor.index, Math.max(0, count - 1))
  const offset = between(index - rows + 1, cursor.offset, index)
  return { ...cursor, index, offset: between(0, offset, Math.max(0, count - rows)) }
}

/** After the list has changed: on the row that it was on, or where that row has been if it is gone. */
export const settle = (cursor: Cursor, list: List, indexOf: (key: string) => number): Cursor => {
  if (cursor.key === undefined) return fit(cursor, list)
  const found = indexOf(cursor.key)
  if (found >= 0) return fit({ ...cursor, index: found }, list)
  const near = fit(cursor, list)
  return { ...near, key: list.keyAt(near.index) }
}

/** Some rows down, or up if it is negative. */
export const moveBy = (cursor: Cursor, rows: number, list: List): Cursor => moveTo(cursor, cursor.index + rows, list)

export const moveTo = (cursor: Cursor, index: number, list: List): Cursor => {
  const moved = fit({ ...cursor, index }, list)
  return { ...moved, key: list.keyAt(moved.index) }
}

/** After one of the keys that move it; `undefined` after another key. */
export const press = (cursor: Cursor, key: NamedKey, list: List): Cursor | undefined => {
  const page = Math.max(1, list.height - 1)
  switch (key) {
    case "up":
      return moveBy(cursor, -1, list)
    case "down":
      return moveBy(cursor, 1, list)
    case "page up":
      return moveBy(cursor, -page, list)
    case "page down":
      return moveBy(cursor, page, list)
    case "home":
      return top
    case "end":
      return moveTo(cursor, list.count - 1, list)
    default:
      return undefined
  }
}
