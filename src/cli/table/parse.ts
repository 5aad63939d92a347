/** Parses a command line by the flags and arguments of a command. */
import { Command as Parser, CommanderError, Option } from "commander"
import * as Either from "effect/Either"
import { WrongUsage } from "../failures.ts"
import type { Environment } from "../terminal/terminal.ts"
import type { Argument } from "./argument.ts"
import type { Command } from "./command.ts"
import type { CommandLine } from "./commandLine.ts"
import type { Flag } from "./flag.ts"
import * as Globals from "./globals.ts"

/** Those that every command has, and if it is for a server those that say for which. */
export const generalFlags = ({ servers }: Command): ReadonlyArray<Flag<unknown>> => [
  ...servers === "none" ? [] : Object.values(Globals.connecting),
  ...Object.values(Globals.general)
]

export const flagsOf = (command: Command): ReadonlyArray<Flag<unknown>> => [...command.flags, ...generalFlags(command)]

/** How a flag is written: `-p, --priority PRI`. */
export const flagUsage = ({ metavar, name, short }: Pick<Flag<unknown>, "metavar" | "name" | "short">): string =>
  `${short === undefined ? "" : `-${short}, `}--${name}${metavar === undefined ? "" : ` ${metavar}`}`

const optionOf = ({ metavar, name, short }: Flag<unknown>) =>
  new Option(flagUsage({ name, short, metavar: metavar === undefined ? undefined : `<${metavar}>` }))

/** What was given: for each flag its values, or empty texts for a flag without; and the words that belong to no flag. */
interface Given {
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
  readonly words: ReadonlyArray<string>
}

interface ParserOptions {
  readonly flags: ReadonlyArray<Flag<unknown>>
  /** Whether flags end at the first word, as before a command. */
  readonly stopsAtWord: boolean
}

const given = ({ flags, stopsAtWord }: ParserOptions, argv: ReadonlyArray<string>): Either.Either<Given, string> => {
  const found = new Map<string, ReadonlyArray<string>>()
  const parser = new Parser()
    .helpOption(false)
    .helpCommand(false)
    .argument("[words...]")
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
    .action(() => undefined)
  if (stopsAtWord) parser.passThroughOptions()
  // Without an option that is a digit, commander takes every negative number for a word: `put emails -5` would put the body `-5`.
  parser.addOption(new Option("-9"))
  parser.on("option:9", () => parser.error("error: unknown option '-9'"))
  for (const flag of flags) {
    parser.addOption(optionOf(flag))
    // What commander itself makes of the options differs by their names: `--no-body` would be the opposite of `--body`.
    parser.on(`option:${flag.name}`, (value: string | null) => {
      found.set(flag.name, [...found.get(flag.name) ?? [], value ?? ""])
    })
  }
  try {
    parser.parse(argv, { from: "user" })
    return Either.right({ flags: found, words: parser.args })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return Either.left(sentence(error.message))
  }
}

/** `error: unknown option '--x'\n(Did you mean --y?)` as one sentence, or two. */
const sentence = (message: string): string => {
  const [first = "", hint] = message.replace(/^error: /, "").split("\n")
  return `${first.replace(/\.$/, "")}.${hint === undefined ? "" : ` ${hint.replace(/^\((.*)\)$/, "$1")}`}`
}

/** The command that is asked for, and the words around it. */
export interface Words {
  /** What was given before the command. */
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
  readonly command: string | undefined
  /** Everything but the command. */
  readonly rest: ReadonlyArray<string>
}

/** The flags that may stand before a command. */
export const globalFlags: ReadonlyArray<Flag<unknown>> = [
  ...Object.values(Globals.connecting),
  ...Object.values(Globals.general),
  Globals.version
]

/** Finds the command in a command line, without knowing its flags. */
export const findCommand = (argv: ReadonlyArray<string>): Either.Either<Words, WrongUsage> =>
  given({ flags: globalFlags, stopsAtWord: true }, argv).pipe(
    Either.mapBoth({
      onLeft: (message) => new WrongUsage({ message }),
      onRight: ({ flags, words: [command, ...after] }) => {
        const before = argv.slice(0, argv.length - after.length - (command === undefined ? 0 : 1))
        return { flags, command, rest: [...before, ...after] }
      }
    })
  )

/** Parses what was given to `beanstalk help`: flags, and the command that it is about. */
export const parseHelp = (argv: ReadonlyArray<string>): Either.Either<Given, WrongUsage> =>
  Either.mapLeft(
    given({ flags: globalFlags, stopsAtWord: false }, argv),
    (message) => new WrongUsage({ message })
  )

/** Parses what was given to a command. */
export const parse = (
  command: Command,
  argv: ReadonlyArray<string>,
  env: Environment
): Either.Either<CommandLine["Type"], WrongUsage> => {
  const end = command.arguments.some(({ isRest }) => isRest) ? argv.indexOf("--") : -1
  const ours = end < 0 ? argv : argv.slice(0, end)
  const theirs = end < 0 ? [] : argv.slice(end + 1)
  return Either.Do.pipe(
    Either.bind("given", () => given({ flags: flagsOf(command), stopsAtWord: false }, ours)),
    Either.bind("arguments", ({ given: { flags, words } }) =>
      // Nobody who asks for help is told what is missing.
      flags.has("help") ? Either.right(new Map()) : placed(command.arguments, words, theirs)),
    Either.mapBoth({
      onLeft: (message) => new WrongUsage({ message, command: command.name }),
      onRight: ({ arguments: placed, given: { flags } }) => {
        const dashes = argv.indexOf("--")
        return { flags, arguments: placed, behindDashes: dashes < 0 ? 0 : argv.length - dashes - 1, env }
      }
    })
  )
}

/** The words after a command that belong to no flag; none, if that is not clear yet. */
export const commandWords = (command: Command, argv: ReadonlyArray<string>): ReadonlyArray<string> =>
  Either.match(given({ flags: flagsOf(command), stopsAtWord: false }, argv), {
    onLeft: () => [],
    // The first is the command.
    onRight: ({ words: [, ...after] }) => after
  })

/** Gives each argument its words: one that takes many has those that the others leave it. */
const placed = (
  specs: ReadonlyArray<Argument<unknown>>,
  words: ReadonlyArray<string>,
  theirs: ReadonlyArray<string>
): Either.Either<ReadonlyMap<string, ReadonlyArray<string>>, string> => {
  const result = new Map<string, ReadonlyArray<string>>()
  const own = specs.filter(({ isRest }) => !isRest)
  const missing = own.find((_, index) => words.length < leastOf(own.slice(0, index + 1)))
  if (missing !== undefined) return Either.left(`${missing.name} is missing.`)
  let left = words
  for (const [index, spec] of own.entries()) {
    const needed = leastOf(own.slice(index + 1))
    const taken = left.slice(0, Math.min(spec.isMany ? left.length : 1, left.length - needed))
    result.set(spec.name, taken)
    left = left.slice(taken.length)
  }
  const [surplus] = left
  if (surplus !== undefined) return Either.left(`${JSON.stringify(surplus)} is one argument too many.`)
  const rest = specs.find(({ isRest }) => isRest)
  if (rest === undefined) return Either.right(result)
  return theirs.length === 0 ? Either.left(`-- ${rest.name} is missing.`) : Either.right(result.set(rest.name, theirs))
}

/** How many words these arguments take at least. */
const leastOf = (specs: ReadonlyArray<Argument<unknown>>): number =>
  specs.reduce((sum, { atLeast }) => sum + atLeast, 0)
