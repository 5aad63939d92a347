/** Gives tubes other names, so that many of them have one label, as `s/-\d+$/-x/` does. */
import * as Either from "effect/Either"
import { setFlagsFromString } from "node:v8"
import type { Value } from "../values/value.ts"

export interface Rule {
  readonly pattern: RegExp
  readonly replacement: string
}

/** What is between two delimiters, where `\` takes the meaning of the next character. */
const part = String.raw`((?:\\.|(?!\1)[^\\])*)`

const form = new RegExp(String.raw`^s([^\w\s\\])${part}\1${part}\1(g?)$`, "s")

/**
 * A regular expression that takes no longer than its text is long. Any other could stop the program for years, by the name that a
 * producer gives to a tube. V8 has such ones, by the flag `l`, and refuses patterns with a look-around or a back-reference.
 */
const linearRegExp = (pattern: string, flags: string): RegExp => {
  setFlagsFromString("--enable-experimental-regexp-engine")
  return new RegExp(pattern, `l${flags}`)
}

export const rule: Value<Rule> = {
  metavar: "RULE",
  read: (text) => {
    const [, delimiter = "", pattern = "", replacement = "", flags = ""] = form.exec(text) ?? []
    if (pattern === "") return Either.left("is no rule: write s/PATTERN/REPLACEMENT/, or s/PATTERN/REPLACEMENT/g")
    return Either.try({
      try: () => ({
        pattern: linearRegExp(pattern, flags),
        replacement: replacement.replaceAll(`\\${delimiter}`, delimiter)
      }),
      catch: (error) => `is no rule: ${error instanceof Error ? error.message : error}`
    })
  }
}

/** The label of a tube: its name, changed by one rule after another. */
export const labelOf = (rules: ReadonlyArray<Rule>, name: string): string =>
  rules.reduce((text, { pattern, replacement }) => text.replace(pattern, replacement), name)
