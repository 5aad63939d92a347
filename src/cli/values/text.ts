/** Values that are text, or stand for one. */
import * as Either from "effect/Either"
import { isJobId, isTubeName, type JobId, type TubeName } from "../../Job.ts"
import { didYouMean } from "./nearest.ts"
import type { Value } from "./value.ts"

export const text = (metavar: string): Value<string> => ({ metavar, read: Either.right })

export const file: Value<string> = { metavar: "FILE", read: Either.right, completes: "files" }

export const choice = <const A extends string>(metavar: string, choices: ReadonlyArray<A>): Value<A> => ({
  metavar,
  choices,
  read: (text) => {
    const chosen = choices.find((choice) => choice === text)
    if (chosen !== undefined) return Either.right(chosen)
    return Either.left(`is none of ${choices.join(", ")}.${didYouMean(text, choices)}`)
  }
})

const tubeRules = "1 to 200 letters, digits and -+/;.$_(), not beginning with -"

export const tube: Value<TubeName> = {
  metavar: "TUBE",
  completes: "tubes",
  read: (text) => isTubeName(text) ? Either.right(text) : Either.left(`is no name of a tube: write ${tubeRules}`)
}

export const jobId: Value<JobId> = {
  metavar: "ID",
  read: (text) => {
    if (isJobId(text)) return Either.right(text)
    return Either.left(
      `is no id of a job: ${/^\d+$/.test(text) ? "the largest is 18446744073709551615" : "write a whole number"}`
    )
  }
}

export const regex: Value<RegExp> = {
  metavar: "REGEX",
  read: (text) =>
    Either.try({
      try: () => new RegExp(text, "u"),
      catch: (error) => `is no regular expression: ${error instanceof Error ? error.message : error}`
    })
}
