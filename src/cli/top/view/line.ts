/** Lines of the screen, made of pieces of which some have a style. Widths are counted before the styles are added. */
import { cut, width } from "../../terminal/width.ts"

export interface Piece {
  /** Without control characters. */
  readonly text: string
  readonly style?: ((text: string) => string) | undefined
}

export const widthOf = (pieces: ReadonlyArray<Piece>): number => pieces.reduce((sum, { text }) => sum + width(text), 0)

/** Pieces side by side, cut to so many columns. */
export const line = (pieces: ReadonlyArray<Piece>, columns: number): string => {
  let room = columns
  let written = ""
  for (const { style, text } of pieces) {
    if (room <= 0) break
    const fitting = cut(text, room)
    room -= width(fitting)
    written += style === undefined ? fitting : style(fitting)
  }
  return written
}

/** A part of a line that is left out where there is no room for it: those with the highest rank first. */
export interface Part extends Piece {
  readonly rank: number
}

export interface Spacing {
  readonly columns: number
  /** The columns between two parts of a group. */
  readonly gap: number
}

/** Groups of parts, the groups as far from each other as the width allows. */
export const spread = (groups: ReadonlyArray<ReadonlyArray<Part>>, { columns, gap }: Spacing): string => {
  const shown = fitting(groups, { columns, gap })
  const free = columns - shown.reduce((sum, group) => sum + groupWidth(group, gap), 0)
  const gaps = shown.length - 1
  const pieces = shown.reduce<ReadonlyArray<Piece>>((before, group, index) => {
    const own = joined(group, gap)
    if (index === 0) return own
    const space = Math.floor((free * index) / gaps) - Math.floor((free * (index - 1)) / gaps)
    return before.concat(spaces(space), own)
  }, [])
  return line(pieces, columns)
}

const spaces = (columns: number): Piece => ({ text: " ".repeat(columns) })

const joined = (group: ReadonlyArray<Part>, gap: number): ReadonlyArray<Piece> =>
  group.flatMap((part, index) => index === 0 ? [part] : [spaces(gap), part])

const groupWidth = (group: ReadonlyArray<Part>, gap: number): number => widthOf(group) + gap * (group.length - 1)

const fitting = (
  groups: ReadonlyArray<ReadonlyArray<Part>>,
  { columns, gap }: Spacing
): ReadonlyArray<ReadonlyArray<Part>> => {
  const shown = groups.filter((group) => group.length > 0)
  const least = shown.reduce((sum, group) => sum + groupWidth(group, gap) + gap, -gap)
  const last = Math.max(...shown.flat().map(({ rank }) => rank))
  if (least <= columns || last <= 0) return shown
  return fitting(shown.map((group) => group.filter(({ rank }) => rank < last)), { columns, gap })
}
