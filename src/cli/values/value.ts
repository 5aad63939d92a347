/** A kind of value that a flag or an argument takes. */
import type * as Either from "effect/Either"

export interface Value<out A> {
  /** What stands for the value in usage lines: `DURATION`. */
  readonly metavar: string
  /** The value, or what is wrong with the text, to follow the text in quotes: `is no duration: …`. */
  readonly read: (text: string) => Either.Either<A, string>
  /** All values, if they can be listed. */
  readonly choices?: ReadonlyArray<string>
  /** What a shell completes the value with, besides `choices`. */
  readonly completes?: "tubes" | "files"
}
