/** The tubes that a command is for, which most commands take by name or by pattern. */
import * as Argument from "./table/argument.ts"
import { tubePattern } from "./values/tubePattern.ts"

export const tubes = Argument.many(tubePattern, { atLeast: 1, summary: "the tubes, or patterns like 'images.*'" })

export const tubesOrAll = Argument.many(tubePattern, {
  atLeast: 0,
  summary: "the tubes, or patterns like 'images.*' [all]"
})
