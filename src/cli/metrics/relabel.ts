/** Gives tubes other names, so that many of them are one series, as `s/-\d+$/-x/` does. */
import * as Arr from "effect/Array"
import * as Either from "effect/Either"
import { createContext, Script } from "node:vm"
import type { Value } from "../values/value.ts"

export interface Rule {
  readonly pattern: RegExp
  readonly replacement: string
}

/** What is between two delimiters, where `\` takes the meaning of the next character. */
const part = String.raw`((?:\\.|(?!\1)[^\\])*)`

const form = new RegExp(String.raw`^s([^\w\s\\])${part}\1${part}\1([gi]*)$`, "s")

export const rule: Value<Rule> = {
  metavar: "RULE",
  read: (text) => {
    const [, delimiter = "", pattern = "", replacement = "", flags = ""] = form.exec(text) ?? []
    if (pattern === "") return Either.left("is no rule: write s/PATTERN/REPLACEMENT/, with g or i behind it")
    return Either.try({
      try: () => ({
        pattern: new RegExp(pattern, flags),
        replacement: replacement.replaceAll(`\\${delimiter}`, delimiter)
      }),
      catch: (error) => `is no rule: ${error instanceof Error ? error.message : error}`
    })
  }
}

/** How many names are matched at a time, and for how many milliseconds at most: a thousand take about one. */
const batch = { names: 1000, milliseconds: 50 }

/** How many names may take too long. */
const mostSlow = 4

/**
 * The labels of tubes. A name for which a pattern takes too long has none, so that no producer can stop the program by the name that it
 * gives to a tube. After several such names the rest have none either.
 */
export const labelsOf = (rules: ReadonlyArray<Rule>, names: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  if (rules.length === 0) return new Map(names.map((name) => [name, name]))
  const labels = new Map<string, string>()
  const withinTime = timeLimit()
  let slow = 0
  for (const some of Arr.chunksOf(names, batch.names)) {
    for (let next = 0; next < some.length && slow < mostSlow;) {
      const isDone = withinTime(() => {
        for (const name of some.slice(next)) {
          labels.set(name, rules.reduce((text, { pattern, replacement }) => text.replace(pattern, replacement), name))
          next += 1
        }
      })
      if (isDone) break
      slow += 1
      next += 1
    }
  }
  return labels
}

const script = new Script("run()")

/** Runs a function, and says whether it came to its end in time. Nothing else can stop a regular expression. */
const timeLimit = () => {
  const globals = createContext({ run: (): void => undefined })
  return (run: () => void): boolean => {
    globals["run"] = run
    try {
      script.runInContext(globals, { timeout: batch.milliseconds })
      return true
    } catch (error) {
      if (isTimeout(error)) return false
      throw error
    }
  }
}

const isTimeout = (error: unknown) =>
  typeof error === "object" && error !== null && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT"
