/** Colours and weights, which are only for terminals. */
import type { Environment, Outlet } from "./terminal.ts"

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

const coloured: Style = {
  bold: between(1, 22),
  dim: between(2, 22),
  red: between(31, 39),
  yellow: between(33, 39),
  inverse: between(7, 27)
}

/** The style of an output, unless colours are turned off. */
export const styleOf = (
  { isTerminal }: Pick<Outlet, "isTerminal">,
  env: Environment,
  color: "auto" | "never"
): Style =>
  isTerminal && color === "auto" && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb" ? coloured : plain
