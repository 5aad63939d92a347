/** Two thresholds, the first for a warning, the second for what is critical: `20:50`, `20:`, `:50`. */
import * as Either from "effect/Either"
import type { Value } from "./value.ts"

export interface Thresholds {
  readonly warning: number | undefined
  readonly critical: number | undefined
}

/** Of a number that is bad when it is `above` them, or `below`. */
export const thresholds = (of: Value<number>, bad: "above" | "below"): Value<Thresholds> => ({
  metavar: "W:C",
  read: (text) => {
    const [, before, after] = /^([^:]*):([^:]*)$/.exec(text) ?? []
    if (before === undefined || after === undefined || before + after === "") {
      return Either.left(
        `is no pair of thresholds: write WARNING:CRITICAL, of which one may be missing, as in 10: for a warning ${bad} 10`
      )
    }
    return Either.all({ warning: readPart(of, before), critical: readPart(of, after) }).pipe(
      Either.filterOrLeft(
        ({ critical, warning }) =>
          critical === undefined || warning === undefined ||
          (bad === "above" ? warning <= critical : warning >= critical),
        () => `is in the wrong order: what is critical is ${bad} what is a warning`
      )
    )
  }
})

const readPart = (of: Value<number>, text: string): Either.Either<number | undefined, string> =>
  text === ""
    ? Either.right(undefined)
    : Either.mapLeft(of.read(text), (wrong) => `has ${JSON.stringify(text)}, which ${wrong}`)
