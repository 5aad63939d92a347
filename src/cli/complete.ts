/** What a shell completes a command line with. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Commands from "./commands.ts"
import { make as makeServer } from "./server/server.ts"
import type { Command } from "./table/command.ts"
import { CommandLine } from "./table/commandLine.ts"
import type { Flag } from "./table/flag.ts"
import * as Globals from "./table/globals.ts"
import { commandWords, findCommand, flagsOf, globalFlags } from "./table/parse.ts"
import { Terminal } from "./terminal/terminal.ts"
import type { Value } from "./values/value.ts"

export interface Candidate {
  readonly value: string
  readonly description: string
}

/** Asks the shell for the names of files. */
const files: Candidate = { value: "", description: "files" }

/** The candidates for the last of the words, which may be empty. */
export const complete = (words: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Candidate>, never, Terminal> =>
  Effect.gen(function*() {
    const { before, kept, partial } = divided(words)
    const found = findCommand(before)
    const name = Either.isRight(found) ? found.right.command : undefined
    const command = name === undefined ? undefined : yield* Effect.promise(() => Commands.load(name))
    const flags = command === undefined ? globalFlags : flagsOf(command)
    const awaiting = flags.find((flag) => flag.metavar !== undefined && isWritten(flag, before.at(-1)))
    const isOfProgram = before.includes("--") && command?.arguments.some(({ isRest }) => isRest) === true
    const candidates = isOfProgram
      ? [files]
      : awaiting !== undefined
      ? yield* ofFlag(awaiting, partial, before)
      : partial.startsWith("-")
      ? flags.map(({ name, summary }) => ({ value: `--${name}`, description: summary }))
      : name === undefined
      ? (yield* Effect.promise(Commands.loadAll)).flatMap(([, commands]) => commands.map(ofCommand))
      : command === undefined
      ? []
      : yield* ofArgument(command, before)
    return candidates
      .filter(({ value }) => value === "" || value.startsWith(partial))
      .map(({ description, value }) => ({ value: value === "" ? "" : kept + value, description }))
  })

/** `--sort=re` is a flag, which is kept, and the beginning of its value. */
const divided = (words: ReadonlyArray<string>) => {
  const before = words.slice(0, -1)
  const last = words.at(-1) ?? ""
  const [, flag, value] = /^(--[^=]+)=([^]*)$/.exec(last) ?? []
  return flag === undefined || value === undefined
    ? { before, kept: "", partial: last }
    : { before: [...before, flag], kept: `${flag}=`, partial: value }
}

const isWritten = ({ name, short }: Flag<unknown>, word: string | undefined): boolean =>
  word === `--${name}` || (short !== undefined && word === `-${short}`)

const ofCommand = ({ name, summary }: Command): Candidate => ({ value: name, description: summary })

const ofFlag = (flag: Flag<unknown>, partial: string, before: ReadonlyArray<string>) =>
  Effect.map(
    flag.value === undefined ? Effect.succeed([]) : ofValue(flag.value, flag.summary, before),
    (candidates) => {
      // What follows a comma is completed, and what stands before it stays.
      const kept = flag.isRepeatable ? partial.slice(0, partial.lastIndexOf(",") + 1) : ""
      return candidates.map(({ description, value }) => ({ value: value === "" ? "" : kept + value, description }))
    }
  )

/** The arguments that the next word may be: the one in its place, or one before it that takes many. */
const ofArgument = (command: Command, before: ReadonlyArray<string>) => {
  const own = command.arguments.filter(({ isRest }) => !isRest)
  const given = commandWords(command, before)
  const next = own.filter(({ isMany }, index) => index === given.length || (isMany && index < given.length))
  return Effect.map(
    Effect.forEach(next, ({ summary, value }) => ofValue(value, summary, before)),
    (candidates) => candidates.flat()
  )
}

const ofValue = (value: Value<unknown>, description: string, before: ReadonlyArray<string>) => {
  if (value.choices !== undefined) {
    return Effect.succeed(value.choices.map((choice) => ({ value: choice, description })))
  }
  if (value.completes === "files") return Effect.succeed([files])
  return value.completes === "tubes" ? tubes(before) : Effect.succeed([])
}

/** The tubes of the server, if it answers within a second. */
const tubes = (before: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Candidate>, never, Terminal> =>
  Effect.gen(function*() {
    const { env } = yield* Terminal
    const [url = ""] = yield* Effect.provideService(Globals.connecting.url, CommandLine, {
      flags: urlsIn(before),
      arguments: new Map(),
      behindDashes: 0,
      env
    })
    const server = yield* makeServer(url, { timeout: "1 second" })
    const { listTubes } = yield* server.open
    const names = yield* listTubes
    return names.map((value) => ({ value, description: `tube of ${server.address}` }))
  }).pipe(
    Effect.scoped,
    Effect.timeout("1 second"),
    Effect.catchAll(() => Effect.succeed([]))
  )

const urlsIn = (words: ReadonlyArray<string>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const joined = `--${Globals.connecting.url.name}=`
  const urls = words.flatMap((word, index) => {
    if (word.startsWith(joined)) return [word.slice(joined.length)]
    return isWritten(Globals.connecting.url, word) ? words.slice(index + 1, index + 2) : []
  })
  return new Map(urls.length === 0 ? [] : [["url", urls.slice(-1)]])
}
