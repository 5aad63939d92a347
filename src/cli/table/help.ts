/** The help of the program and of each command. */
import { width } from "../terminal/width.ts"
import { wrapWords } from "../terminal/wrap.ts"
import type { Argument } from "./argument.ts"
import type { Command, Example, ExitCode } from "./command.ts"
import type { Flag } from "./flag.ts"
import { flagUsage, generalFlags, globalFlags } from "./parse.ts"

/** What the exit codes mean for every command. */
export const exitCodes: Readonly<Record<ExitCode | 130 | 143, string>> = {
  0: "done",
  1: "nothing there: no such job or tube, or none that matches",
  2: "wrong usage; nothing was sent",
  3: "no connection to the server, or it was lost",
  4: "stopped midway; the message says after how many",
  5: "refused by the server",
  130: "interrupted by Ctrl-C",
  143: "ended by SIGTERM"
}

const argumentUsage = ({ atLeast, isMany, isRest, name }: Argument<unknown>): string => {
  if (isRest) return `-- ${name}…`
  const many = isMany ? `${name}…` : name
  return atLeast === 0 ? `[${many}]` : many
}

/** `beanstalk put TUBE [BODY] [FLAGS]`. The flags stand before `--`. */
export const usage = (command: Command): string => {
  const own = command.arguments.filter(({ isRest }) => !isRest)
  const rest = command.arguments.filter(({ isRest }) => isRest)
  return ["beanstalk", command.name, ...own.map(argumentUsage), "[FLAGS]", ...rest.map(argumentUsage)].join(" ")
}

/** What a flag does, its unit, its choices, its default and its variable, as far as it has them. */
export const flagText = (flag: Flag<unknown>): string =>
  [
    flag.summary,
    ...flag.value?.choices === undefined ? [] : [`(${flag.value.choices.join(", ")})`],
    ...flag.unit === undefined ? [] : [`(${flag.unit})`],
    ...flag.default === undefined ? [] : [`[${flag.default}]`],
    ...flag.env === undefined ? [] : [`[$${flag.env}]`]
  ].join(" ")

type Definition = readonly [term: string, text: string]

const definitions = (rows: ReadonlyArray<Definition>, columns: number): ReadonlyArray<string> => {
  const indent = Math.min(28, Math.max(...rows.map(([term]) => width(term)))) + 4
  return rows.flatMap(([term, text]) => {
    const [first = "", ...more] = wrapWords(text, Math.max(20, columns - indent))
    const isLong = width(term) + 4 > indent
    const head = `  ${term}`
    return [
      ...isLong ? [head, `${" ".repeat(indent)}${first}`] : [`${head.padEnd(indent)}${first}`],
      ...more.map((line) => `${" ".repeat(indent)}${line}`)
    ]
  })
}

type Section = readonly [title: string, lines: ReadonlyArray<string>]

const layout = (sections: ReadonlyArray<Section>, bold: (title: string) => string): string =>
  sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [...title === "" ? [] : [bold(title)], ...lines].join("\n"))
    .join("\n\n")

/** How help is laid out: in so many columns, with such titles. */
export interface Layout {
  readonly columns: number
  readonly bold: (title: string) => string
}

const flagDefinitions = (flags: Iterable<Flag<unknown>>): ReadonlyArray<Definition> =>
  Array.from(flags, (flag) => [flagUsage(flag), flagText(flag)])

export const commandHelp = (command: Command, { bold, columns }: Layout): string => {
  const list = (rows: ReadonlyArray<Definition>) => rows.length === 0 ? [] : definitions(rows, columns)
  const codes = Object.entries({ ...exitCodes, ...command.exits }).map(([code, text]): Definition => [code, text])
  return layout([
    ["", wrapWords(`${command.summary}.`, columns)],
    ["Usage", [`  ${usage(command)}`]],
    ...(command.details ?? []).map((text): Section => ["", wrapWords(text, columns)]),
    ["Arguments", list(command.arguments.map(({ name, summary }) => [name, summary]))],
    ["Flags", list(flagDefinitions(command.flags))],
    ["Flags of every command", list(flagDefinitions(generalFlags(command)))],
    ["Examples", command.examples.flatMap(({ does, run }) => [`  # ${does}`, `  beanstalk ${run}`])],
    ["Exit codes", list(codes)]
  ], bold)
}

/** A heading, and the commands under it. */
export type Group = readonly [title: string, commands: ReadonlyArray<Command>]

/** What people come for most. */
const tasks: ReadonlyArray<Example> = [
  { run: "tubes --age", does: "where jobs wait, for how long, and whether a worker is there" },
  { run: "doctor", does: "what is wrong with the server, and what to do about it" },
  { run: "jobs emails --state buried", does: "what failed" },
  { run: "kick emails --match '\"user\":42' --newer-than 2d", does: "run the failed jobs of one customer again" },
  { run: "move emails emails --to-url 10.0.0.6:11300", does: "move a tube to another server" }
]

export const programHelp = (groups: ReadonlyArray<Group>, { bold, columns }: Layout): string => {
  const nameWidth = Math.max(...groups.flatMap(([, commands]) => commands.map(({ name }) => width(name))))
  const rows = (commands: ReadonlyArray<Command>) =>
    definitions(commands.map(({ name, summary }) => [name.padEnd(nameWidth), summary]), columns)
  return layout([
    ["", wrapWords("Looks into a beanstalkd and tidies it up.", columns)],
    ["Usage", ["  beanstalk COMMAND [ARGUMENTS] [FLAGS]", "  beanstalk COMMAND --help"]],
    ...groups.map(([title, commands]): Section => [title, rows(commands)]),
    ["Flags of every command", definitions(flagDefinitions(globalFlags), columns)],
    ["Examples", tasks.flatMap(({ does, run }) => [`  # ${does}`, `  beanstalk ${run}`])]
  ], bold)
}
