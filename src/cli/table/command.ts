/** A command: one row of the table from which the parser, the help, the completions and the reference page are made. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Failure } from "../failures.ts"
import type { Servers } from "../server/servers.ts"
import type { Output } from "../terminal/output.ts"
import type { Terminal } from "../terminal/terminal.ts"
import { Argument } from "./argument.ts"
import type { CommandLine } from "./commandLine.ts"
import { Flag } from "./flag.ts"

/** What a command may use. */
export type Services = Terminal | Output | Servers | Scope.Scope

/**
 * How many servers a command is for: none; several, each by itself; several together, whose jobs have ids that tell the server; or only
 * one, and why.
 */
export type ServerCount = "none" | "each" | "together" | { readonly onlyOne: string }

export interface Example {
  /** What is typed, without `beanstalk`. */
  readonly run: string
  readonly does: string
}

/** The exit codes of commands. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5

interface Row {
  readonly name: string
  /** What it does, in one line that begins with a verb. */
  readonly summary: string
  /** What else people must know, in paragraphs. */
  readonly details?: ReadonlyArray<string>
  readonly servers: ServerCount
  readonly examples: ReadonlyArray<Example>
  /** When it ends with a code, where that is not what the code means for all commands. */
  readonly exits?: Readonly<Partial<Record<ExitCode, string>>>
  /** The failure that it ends with in place of another one, wrong usage included. */
  readonly failsAs?: (failure: Failure) => Failure
  /** Reads the arguments and flags, and runs the command. */
  readonly run: Effect.Effect<void, Failure, CommandLine | Services>
}

export interface Command extends Row {
  readonly arguments: ReadonlyArray<Argument<unknown>>
  readonly flags: ReadonlyArray<Flag<unknown>>
}

/** The arguments and flags of a command. Arguments stand in their order. */
type Parameters = Readonly<Record<string, Argument<unknown> | Flag<unknown>>>

/** `run` reads the parameters, all of them before anything else: `Effect.all(parameters)` has their values. */
export const make = ({ parameters, ...row }: Row & {
  readonly parameters: Parameters
}): Command => {
  const all = Object.values(parameters)
  return {
    ...row,
    arguments: all.filter((parameter) => parameter instanceof Argument),
    flags: all.filter((parameter) => parameter instanceof Flag)
  }
}
