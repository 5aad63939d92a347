/** The program: finds the command, runs it, and says how it ended. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Commands from "./commands.ts"
import { type Ending, endingOf } from "./ending.ts"
import { type Failure, type PipeClosed, type Stopped, WrongUsage } from "./failures.ts"
import * as Logging from "./logging.ts"
import * as Servers from "./server/servers.ts"
import type { Command, ExitCode } from "./table/command.ts"
import { CommandLine } from "./table/commandLine.ts"
import * as Globals from "./table/globals.ts"
import type { Layout } from "./table/help.ts"
import { findCommand, parse, parseHelp } from "./table/parse.ts"
import { escapeControlsInLines } from "./terminal/escape.ts"
import * as Output from "./terminal/output.ts"
import { styleOf } from "./terminal/style.ts"
import { Terminal } from "./terminal/terminal.ts"
import { didYouMean } from "./values/nearest.ts"
import { version } from "./version.ts"

/** Runs a command line, and succeeds with the exit code. An interruption is left to who interrupts. */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<ExitCode, never, Terminal> =>
  Effect.matchCauseEffect(argv[0] === "__complete" ? runComplete(argv.slice(2)) : runCommand(argv), {
    onSuccess: () => Effect.succeed(0),
    onFailure: (cause) => Cause.isInterruptedOnly(cause) ? Effect.interrupt : report(argv, endingOf(cause))
  })

const runCommand = (argv: ReadonlyArray<string>): Effect.Effect<void, Failure, Terminal> =>
  Effect.gen(function*() {
    const { command: name, flags, rest } = yield* findCommand(argv)
    if (name === "help") {
      const { flags, words: [about] } = yield* parseHelp(rest)
      return yield* showHelp(about, flags)
    }
    if (flags.has("version") && name === undefined) return yield* write(`beanstalk ${version}`)
    if (name === undefined) {
      if (flags.has("help")) return yield* showHelp(undefined, flags)
      return yield* new WrongUsage({ message: "a command is missing." })
    }
    const command = yield* find(name)
    yield* Effect.mapError(runFound(command, rest), (failure) => command.failsAs?.(failure) ?? failure)
  })

const runFound = (command: Command, argv: ReadonlyArray<string>): Effect.Effect<void, Failure, Terminal> =>
  Effect.gen(function*() {
    const { env } = yield* Terminal
    const given = yield* parse(command, argv, env)
    if (given.flags.has("help")) return yield* showHelp(command.name, given.flags)
    yield* runRow(command).pipe(
      Effect.provideService(CommandLine, given),
      Effect.catchTag("WrongUsage", ({ message }) => new WrongUsage({ message, command: command.name }))
    )
  })

/** What the scripts of `beanstalk completions` ask: `beanstalk __complete -- WORDS…`. */
const runComplete = (words: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { complete } = yield* Effect.promise(() => import("./complete.ts"))
    const candidates = yield* complete(words)
    for (const { description, value } of candidates) yield* write(`${value}\t${description}`)
  }).pipe(Effect.provide(Logging.layer(0)))

const find = (name: string): Effect.Effect<Command, WrongUsage> =>
  Effect.flatMap(
    Effect.promise(() => Commands.load(name)),
    (command) =>
      command === undefined
        ? new WrongUsage({ message: `there is no command ${JSON.stringify(name)}.${didYouMean(name, Commands.names)}` })
        : Effect.succeed(command)
  )

/** The server of a command that is for none. */
const unused = "beanstalk://127.0.0.1"

const runRow = (command: Command) =>
  Effect.gen(function*() {
    const { color, json, verbose } = yield* Effect.all(Globals.general)
    const { timeout, url } = yield* Effect.all(Globals.connecting)
    const { servers } = command
    const urls = servers === "none" ? [] : url
    if (typeof servers === "object" && urls.length > 1) {
      return yield* new WrongUsage({
        message: `it is for one server, but ${urls.length} are given: ${servers.onlyOne}.`
      })
    }
    const services = Layer.mergeAll(
      Output.layer({ json, color }),
      Servers.layer(Arr.isNonEmptyReadonlyArray(urls) ? urls : [unused], {
        timeout,
        areTogether: servers === "together" && urls.length > 1
      }),
      Logging.layer(verbose)
    )
    yield* command.run.pipe(Effect.scoped, Effect.provide(services))
  })

const write = (text: string) => Effect.flatMap(Terminal, ({ stdout }) => stdout.write(`${text}\n`))

const showHelp = (
  name: string | undefined,
  flags: CommandLine["Type"]["flags"]
): Effect.Effect<void, WrongUsage | PipeClosed | Stopped, Terminal> =>
  Effect.gen(function*() {
    const { commandHelp, programHelp } = yield* Effect.promise(() => import("./table/help.ts"))
    const { env, stdout } = yield* Terminal
    const given = { flags, arguments: new Map(), behindDashes: 0, env }
    const color = yield* Effect.provideService(Globals.general.color, CommandLine, given)
    const layout: Layout = {
      columns: stdout.isTerminal ? Math.min(100, stdout.columns()) : 100,
      bold: styleOf(stdout, env, color).bold
    }
    yield* write(
      name === undefined
        ? programHelp(yield* Effect.promise(Commands.loadAll), layout)
        : commandHelp(yield* find(name), layout)
    )
  })

const report = (argv: ReadonlyArray<string>, ending: Ending | undefined): Effect.Effect<ExitCode, never, Terminal> =>
  Effect.gen(function*() {
    if (ending === undefined) return 0
    const { stderr, stdout } = yield* Terminal
    const { code, line: onOutput, message, outcome, tag } = ending
    const isJson = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length).includes("--json")
    if (onOutput !== undefined && !isJson) {
      if (onOutput !== "") yield* Effect.ignore(stdout.write(`${onOutput}\n`))
      return code
    }
    const line = isJson
      ? JSON.stringify({ error: { tag, message, ...outcome === undefined ? {} : { outcome } } })
      : `beanstalk: ${stderr.isTerminal ? escapeControlsInLines(message) : message}${hint(ending)}`
    yield* Effect.ignore(stderr.write(`${line}\n`))
    return code
  })

const hint = ({ command, tag }: Ending): string =>
  tag === "WrongUsage" ? ` See: beanstalk ${command === undefined ? "" : `${command} `}--help` : ""
