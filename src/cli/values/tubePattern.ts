/** A tube, or several by a pattern: `emails`, `'images.*'`. */
import * as Either from "effect/Either"
import { regexOfGlob } from "../../internal/values/glob.ts"
import type { TubeName } from "../../Job.ts"
import { tube } from "./text.ts"
import type { Value } from "./value.ts"

export interface TubePattern {
  readonly text: string
  /** Whether it may match several tubes. A name of a tube has none of the characters that say so. */
  readonly isGlob: boolean
  readonly matches: (name: string) => boolean
}

/** The tube of this name. */
export const named = (name: TubeName): TubePattern => ({
  text: name,
  isGlob: false,
  matches: (other) => other === name
})

export const tubePattern: Value<TubePattern> = {
  metavar: "TUBE",
  completes: "tubes",
  read: (text) => {
    if (!/[*?[\]]/.test(text)) {
      return Either.map(tube.read(text), named)
    }
    return Either.try({
      try: () => {
        const regex = regexOfGlob(text)
        return { text, isGlob: true, matches: (name: string) => regex.test(name) }
      },
      catch: () => "is no pattern: write * for any text, ? for one character, [a-c] for one of several"
    })
  }
}

/** Whether a tube has one of these names, or matches one of these patterns. All do if there is none. */
export const matchesAny = (patterns: ReadonlyArray<TubePattern>) => (tube: string): boolean =>
  patterns.length === 0 || patterns.some(({ matches }) => matches(tube))

/** The tubes with these names, which need not exist, and those of the existing ones that match a pattern. */
export const namedOrAmong = (
  patterns: ReadonlyArray<TubePattern>,
  existing: ReadonlyArray<string>
): ReadonlyArray<string> => [
  ...new Set(patterns.flatMap(({ isGlob, matches, text }) => isGlob ? existing.filter(matches) : [text]))
]

/** Whether only one tube can be meant. */
export const isOneTube = ([first, ...others]: ReadonlyArray<TubePattern>): boolean =>
  first?.isGlob === false && others.length === 0
