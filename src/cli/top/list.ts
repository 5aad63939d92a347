/** A list that is longer than the screen: where one is in it, and which of its rows are marked. */
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

export interface List<out Row = unknown, out Key extends string = string> {
  readonly rows: ReadonlyArray<Row>
  /** The keys of the rows that are marked. */
  readonly marked: ReadonlySet<Key>
  readonly cursor: Cursor
  /** How many rows fit on the screen. */
  readonly height: number
}

/** What tells a row from the others, also when the list is in another order. */
type KeyOf<in Row, out Key extends string> = (row: Row) => Key

const between = (least: number, value: number, most: number) => Math.max(least, Math.min(value, most))

/** With the cursor on screen, and within the list. */
const fitted = <L extends List>(list: L): L => {
  const { cursor, rows: { length } } = list
  const height = Math.max(1, list.height)
  const index = between(0, cursor.index, Math.max(0, length - 1))
  const offset = between(index - height + 1, cursor.offset, index)
  return { ...list, cursor: { ...cursor, index, offset: between(0, offset, Math.max(0, length - height)) } }
}

/** With so many rows on screen. */
export const resize = <L extends List>(list: L, height: number): L =>
  height === list.height ? list : fitted({ ...list, height })

/** After its rows have changed: with the cursor on the row that it was on, or where that row has been if it is gone. */
export const settle = <Row, L extends List<Row>>(list: L & List<Row>, keyOf: KeyOf<Row, string>): L => {
  const { cursor, rows } = list
  if (cursor.key === undefined) return fitted(list)
  const found = rows.findIndex((row) => keyOf(row) === cursor.key)
  return found < 0 ? moveTo(list, cursor.index, keyOf) : fitted({ ...list, cursor: { ...cursor, index: found } })
}

const moveTo = <Row, L extends List<Row>>(list: L & List<Row>, index: number, keyOf: KeyOf<Row, string>): L => {
  const moved = fitted({ ...list, cursor: { ...list.cursor, index } })
  const row = chosen(moved)
  return { ...moved, cursor: { ...moved.cursor, key: row === undefined ? undefined : keyOf(row) } }
}

/** After one of the keys that move the cursor; `undefined` after another key. */
export const press = <Row, L extends List<Row>>(
  list: L & List<Row>,
  key: NamedKey,
  keyOf: KeyOf<Row, string>
): L | undefined => {
  const page = Math.max(1, list.height - 1)
  const moveBy = (rows: number) => moveTo(list, list.cursor.index + rows, keyOf)
  switch (key) {
    case "up":
      return moveBy(-1)
    case "down":
      return moveBy(1)
    case "page up":
      return moveBy(-page)
    case "page down":
      return moveBy(page)
    case "home":
      return { ...list, cursor: top }
    case "end":
      return moveTo(list, list.rows.length - 1, keyOf)
    default:
      return undefined
  }
}

/** The row that the cursor is on, unless the list is empty. */
export const chosen = <Row>({ cursor, rows }: List<Row>): Row | undefined => rows[cursor.index]

export const onScreen = <Row>({ cursor: { offset }, height, rows }: List<Row>): ReadonlyArray<Row> =>
  rows.slice(offset, offset + height)

/** Marks the row that is chosen, or takes the mark away, and chooses the next. */
export const mark = <Row, Key extends string, L extends List<Row, Key>>(
  list: L & List<Row, Key>,
  keyOf: KeyOf<Row, Key>
): L => {
  const row = chosen(list)
  if (row === undefined) return list
  const key = keyOf(row)
  const marked = new Set(list.marked)
  if (!marked.delete(key)) marked.add(key)
  return moveTo({ ...list, marked }, list.cursor.index + 1, keyOf)
}

export const unmarkAll = <L extends List>(list: L): L => ({ ...list, marked: new Set() })
