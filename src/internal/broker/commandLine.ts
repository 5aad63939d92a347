/**
 * A command line to a command, with every quirk of beanstalkd's own reading.
 *
 * A command is known by its beginning, tried in a fixed order. Most numbers are read strictly; those of `kick` and
 * `reserve-with-timeout` as C's own functions read them.
 */
import { isTubeName, type TubeName } from "../../Job.ts"

/** Which server's grammar and statistics. */
export type Version = "1.12" | "1.13"

type PlainCommand =
  | "peek-ready"
  | "peek-delayed"
  | "peek-buried"
  | "reserve"
  | "stats"
  | "list-tubes"
  | "list-tube-used"
  | "list-tubes-watched"

type JobCommand = "peek" | "reserve-job" | "delete" | "touch" | "kick-job" | "stats-job"

type TubeCommand = "use" | "watch" | "ignore" | "stats-tube"

/** Durations are in seconds. */
export type Command =
  | { readonly name: PlainCommand | "quit" }
  | { readonly name: JobCommand; readonly id: number }
  | { readonly name: TubeCommand; readonly tube: TubeName }
  | {
    readonly name: "put"
    readonly priority: number
    readonly delay: number
    readonly ttr: number
    readonly size: number
    /** Whether nothing follows. The size is looked at first. */
    readonly isWellFormed: boolean
  }
  | { readonly name: "reserve-with-timeout"; readonly timeout: number }
  | { readonly name: "release"; readonly id: number; readonly priority: number; readonly delay: number }
  | { readonly name: "bury"; readonly id: number; readonly priority: number }
  | { readonly name: "kick"; readonly bound: number }
  /** The tube is `undefined` when its name is impossible. The command is counted before that is looked at. */
  | { readonly name: "pause-tube"; readonly tube: TubeName | undefined; readonly duration: number }
  | { readonly name: "bad-format" | "unknown-command" }

export type CommandName = Command["name"]

const badFormat: Command = { name: "bad-format" }
const unknownCommand: Command = { name: "unknown-command" }

type Parser = (line: string, version: Version) => Command | undefined

/** `undefined` from a parser is a line with the right beginning that goes on wrongly. */
export const parse = (bytes: Uint8Array, version: Version): Command => {
  const line = Reflect.apply(String.fromCharCode, undefined, bytes)
  if (line.includes("\0")) return badFormat
  for (const [prefix, parser] of parsersByStart.get(line.slice(0, 2)) ?? []) {
    if (line.startsWith(prefix)) return parser(line, version) ?? badFormat
  }
  return unknownCommand
}

const plain = (name: PlainCommand): Parser => (line) => line === name ? { name } : undefined

const oneJob = (name: JobCommand): Parser => {
  const pattern = new RegExp(`^${name} +(\\d+)$`)
  return (line) => {
    const id = u64(pattern.exec(line)?.[1])
    return id === undefined ? undefined : { name, id }
  }
}

const oneTube = (name: TubeCommand): Parser => (line) => {
  const tube = line.slice(name.length + 1)
  return isTubeName(tube) ? { name, tube } : undefined
}

const put: Parser = (line) => {
  const [, first, second, third, fourth, rest] = /^put +(\d+) +(\d+) +(\d+) +(\d+)([^]*)$/.exec(line) ?? []
  const priority = u32(first)
  const delay = u32(second)
  const ttr = u32(third)
  const size = u32(fourth)
  return priority === undefined || delay === undefined || ttr === undefined || size === undefined
    ? undefined
    : { name: "put", priority, delay, ttr, size, isWellFormed: rest === "" }
}

const release: Parser = (line) => {
  const [, first, second, third] = /^release +(\d+) +(\d+) +(\d+)$/.exec(line) ?? []
  const id = u64(first)
  const priority = u32(second)
  const delay = u32(third)
  return id === undefined || priority === undefined || delay === undefined
    ? undefined
    : { name: "release", id, priority, delay }
}

const bury: Parser = (line) => {
  const [, first, second] = /^bury +(\d+) +(\d+)$/.exec(line) ?? []
  const id = u64(first)
  const priority = u32(second)
  return id === undefined || priority === undefined ? undefined : { name: "bury", id, priority }
}

/** Read with `strtoul`: blanks and a sign may precede, anything may follow, and of the value 32 bits remain. */
const kick: Parser = (line) => {
  const [, sign, digits] = /^kick [ \t-\r]*([+-]?)(\d+)/.exec(line) ?? []
  if (digits === undefined) return undefined
  const value = BigInt(digits)
  if (value >= 2n ** 64n) return undefined
  return { name: "kick", bound: Number(BigInt.asUintN(32, sign === "-" ? -value : value)) }
}

const largestTimeout = 2 ** 31 - 1

const reserveWithTimeout: Parser = (line, version) => {
  const timeout = version === "1.12" ? signedTimeout(line) : u32(/^reserve-with-timeout +(\d+)/.exec(line)?.[1])
  return timeout === undefined || (version === "1.13" && timeout > largestTimeout)
    ? undefined
    : { name: "reserve-with-timeout", timeout }
}

/** Read with `strtol`: no number is 0. Of the value 32 bits remain, and if they are negative, there is no timeout. */
const signedTimeout = (line: string): number | undefined => {
  const [, number = "0"] = /^reserve-with-timeout [ \t-\r]*([+-]?\d+)/.exec(line) ?? []
  const value = BigInt(number.replace("+", ""))
  if (BigInt.asIntN(64, value) !== value) return undefined
  const timeout = Number(BigInt.asIntN(32, value))
  return timeout < 0 ? Number.POSITIVE_INFINITY : timeout
}

/** The name need not be set apart from the command. */
const pauseTube: Parser = (line) => {
  const [, tube = "", digits] = /^pause-tube *([-A-Za-z0-9+/;.$_()]+) +(\d+)$/.exec(line) ?? []
  const duration = u32(digits)
  return duration === undefined
    ? undefined
    : { name: "pause-tube", tube: isTubeName(tube) ? tube : undefined, duration }
}

const u32 = (digits: string | undefined): number | undefined => {
  const number = Number(digits)
  return number < 2 ** 32 ? number : undefined
}

/** Beyond 2^53 it is not exact; no job has such an id. */
const u64 = (digits: string | undefined): number | undefined => {
  const number = Number(digits)
  return number < 2 ** 53 || (number <= 2 ** 64 && BigInt(digits!) < 2n ** 64n) ? number : undefined
}

/** In the order in which beanstalkd tries them. */
const parsers: ReadonlyArray<readonly [prefix: string, parser: Parser]> = [
  ["put ", put],
  ["peek ", oneJob("peek")],
  ["peek-ready", plain("peek-ready")],
  ["peek-delayed", plain("peek-delayed")],
  ["peek-buried", plain("peek-buried")],
  ["reserve-with-timeout ", reserveWithTimeout],
  ["reserve-job ", oneJob("reserve-job")],
  ["reserve", plain("reserve")],
  ["delete ", oneJob("delete")],
  ["release ", release],
  ["bury ", bury],
  ["kick ", kick],
  ["kick-job ", oneJob("kick-job")],
  ["touch ", oneJob("touch")],
  ["stats-job ", oneJob("stats-job")],
  ["stats-tube ", oneTube("stats-tube")],
  ["stats", plain("stats")],
  ["use ", oneTube("use")],
  ["watch ", oneTube("watch")],
  ["ignore ", oneTube("ignore")],
  ["list-tubes-watched", plain("list-tubes-watched")],
  ["list-tube-used", plain("list-tube-used")],
  ["list-tubes", plain("list-tubes")],
  ["quit", () => ({ name: "quit" })],
  ["pause-tube", pauseTube]
]

/** The same by the first two characters: a put should not be compared to everything. */
const parsersByStart = new Map<string, typeof parsers>()
for (const entry of parsers) {
  const start = entry[0].slice(0, 2)
  parsersByStart.set(start, [...parsersByStart.get(start) ?? [], entry])
}
