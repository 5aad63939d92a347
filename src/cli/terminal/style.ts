/** Colours and weights, which are only for terminals. */
export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly yellow: (text: string) => string
  readonly inverse: (text: string) => string
}

const identity = (text: string) => text

export const plain: Style = { bold: identity, dim: identity, red: identity, yellow: identity, inverse: identity }

const between = (start: number, end: number) => (text: string) => `\u001b[${start}m${text}\u001b[${end}m`

export const coloured: Style = {
  bold: between(1, 22),
  dim: between(2, 22),
  red: between(31, 39),
  yellow: between(33, 39),
  inverse: between(7, 27)
}
