/**
 * Parses a command line exactly as beanstalkd does.
 *
 * It tests the line for a prefix of each command, in a fixed order. Most numbers have to be plain digits; those of `kick` and
 * `reserve-with-timeout` are whatever `strtoul` and `strtol` of C accept.
 */
import { isTubeName, type TubeName } from "../../Job.ts"
import type { ArgumentReader } from "./argumentReader.ts"

/** The version of beanstalkd whose grammar and statistics are used. */
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
  | { readonly name: PlainCommand }
  | { readonly name: "quit" }
  | { readonly name: JobCommand; readonly id: number }
  | { readonly name: TubeCommand; readonly tube: TubeName }
  | {
    readonly name: "put"
    readonly priority: number
    readonly delay: number
    readonly ttr: number
    readonly size: number
    /** False when anything follows the size. That is answered with BAD_FORMAT only if the size is not too large. */
    readonly isWellFormed: boolean
  }
  | { readonly name: "reserve-with-timeout"; readonly timeout: number }
  | { readonly name: "release"; readonly id: number; readonly priority: number; readonly delay: number }
  | { readonly name: "bury"; readonly id: number; readonly priority: number }
  | { readonly name: "kick"; readonly bound: number }
  /** The tube is `undefined` when its name is invalid. That is answered with BAD_FORMAT, but counted as a pause-tube. */
  | { readonly name: "pause-tube"; readonly tube: TubeName | undefined; readonly duration: number }
  | { readonly name: "bad-format" | "unknown-command" }

export type CommandName = Command["name"]

const badFormat: Command = { name: "bad-format" }
const unknownCommand: Command = { name: "unknown-command" }

/** Parses what follows the prefix. `undefined` is answered with BAD_FORMAT. */
type Parser = (line: ArgumentReader, version: Version) => Command | undefined

const nul = 0

export const parse = (line: ArgumentReader, version: Version): Command => {
  if (line.includes(nul)) return badFormat
  for (const [prefix, parser] of parsersByFirstByte.get(line.next) ?? []) {
    if (line.skip(prefix)) return parser(line, version) ?? badFormat
  }
  return unknownCommand
}

const plain = (name: PlainCommand): Parser => {
  const command = { name }
  return (line) => line.isAtEnd ? command : undefined
}

const oneJob = (name: JobCommand): Parser => (line) => {
  const id = line.u64()
  return id !== undefined && line.isAtEnd ? { name, id } : undefined
}

const oneTube = (name: TubeCommand): Parser => (line) => {
  const tube = line.rest
  return isTubeName(tube) ? { name, tube } : undefined
}

const put: Parser = (line) => {
  const priority = line.u32()
  const delay = line.u32()
  const ttr = line.u32()
  const size = line.u32()
  return priority === undefined || delay === undefined || ttr === undefined || size === undefined
    ? undefined
    : { name: "put", priority, delay, ttr, size, isWellFormed: line.isAtEnd }
}

const release: Parser = (line) => {
  const id = line.u64()
  const priority = line.u32()
  const delay = line.u32()
  return id !== undefined && priority !== undefined && delay !== undefined && line.isAtEnd
    ? { name: "release", id, priority, delay }
    : undefined
}

const bury: Parser = (line) => {
  const id = line.u64()
  const priority = line.u32()
  return id !== undefined && priority !== undefined && line.isAtEnd ? { name: "bury", id, priority } : undefined
}

/** By `strtoul`: white space and a sign may precede, anything may follow, and the value is cut to 32 bits. */
const kick: Parser = (line) => {
  const [, sign, digits] = /^[ \t-\r]*([+-]?)(\d+)/.exec(line.rest) ?? []
  if (digits === undefined) return undefined
  const value = BigInt(digits)
  if (value >= 2n ** 64n) return undefined
  return { name: "kick", bound: Number(BigInt.asUintN(32, sign === "-" ? -value : value)) }
}

const largestTimeout = 2 ** 31 - 1

/** Anything may follow the number. */
const reserveWithTimeout: Parser = (line, version) => {
  const timeout = version === "1.12" ? signedTimeout(line.rest) : line.u32()
  return timeout === undefined || (version === "1.13" && timeout > largestTimeout)
    ? undefined
    : { name: "reserve-with-timeout", timeout }
}

/** By `strtol`: without a number it is 0. The value is cut to 32 bits; a negative one means that there is no timeout. */
const signedTimeout = (text: string): number | undefined => {
  const [, number = "0"] = /^[ \t-\r]*([+-]?\d+)/.exec(text) ?? []
  const value = BigInt(number.replace("+", ""))
  if (BigInt.asIntN(64, value) !== value) return undefined
  const timeout = Number(BigInt.asIntN(32, value))
  return timeout < 0 ? Number.POSITIVE_INFINITY : timeout
}

/** No space is needed between `pause-tube` and the name. */
const pauseTube: Parser = (line) => {
  const [, tube = "", digits] = /^ *([-A-Za-z0-9+/;.$_()]+) +(\d+)$/.exec(line.rest) ?? []
  const duration = Number(digits)
  return duration < 2 ** 32
    ? { name: "pause-tube", tube: isTubeName(tube) ? tube : undefined, duration }
    : undefined
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

/** Without this index a put would be compared with several other prefixes. */
const parsersByFirstByte = new Map<number | undefined, Array<readonly [prefix: Uint8Array, parser: Parser]>>()
for (const [text, parser] of parsers) {
  const prefix = new TextEncoder().encode(text)
  const others = parsersByFirstByte.get(prefix[0]) ?? []
  parsersByFirstByte.set(prefix[0], [...others, [prefix, parser]])
}
