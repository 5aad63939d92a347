/** What was given on the command line, by the names of flags and arguments, as text. */
import * as Context from "effect/Context"
import type { Environment } from "../terminal/terminal.ts"

export class CommandLine extends Context.Tag("effect-beanstalk/cli/CommandLine")<CommandLine, {
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
  readonly arguments: ReadonlyMap<string, ReadonlyArray<string>>
  /** How many of the last words stand behind `--`. */
  readonly behindDashes: number
  readonly env: Environment
}>() {}
