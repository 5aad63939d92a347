/**
 * Arguments are checked before a byte is written: after a malformed `put` header the server would execute the body as
 * commands, and a stray CR would stall the connection for good.
 */
import * as Duration from "effect/Duration"
import { InvalidArgument } from "../../BeanstalkError.ts"
import { isJobId, isTubeName, type JobId, type TubeName } from "../../Job.ts"

/** The largest number of the protocol's 32-bit fields: priorities, delays, times to run, bounds. */
const largestU32 = 2 ** 32 - 1

/** Beyond this, 1.12 waits for ever (or not at all), and 1.13 refuses. */
const longestTimeout = 2 ** 31 - 1

/** Runs what checks its arguments by throwing, and hands the first objection over as a value. */
export const attempt = <A>(make: () => A): A | InvalidArgument => {
  try {
    return make()
  } catch (error) {
    if (error instanceof InvalidArgument) return error
    throw error
  }
}

const refuse = (command: string, argument: string, reason: string): never => {
  throw new InvalidArgument({ command, argument, reason })
}

/** A value as a person would recognise it, however long or strange it is. */
const show = (value: unknown): string => {
  if (typeof value === "string") {
    return value.length > 40 ? `${quote(value.slice(0, 40))}… (${value.length} characters)` : quote(value)
  }
  if (Duration.isDuration(value)) return Duration.format(value)
  return typeof value === "object" && value !== null ? "an object" : String(value)
}

/** On one line, and without anything that a terminal would obey. */
const quote = (text: string): string =>
  JSON.stringify(text).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

export const tubeName = (command: string, value: string, argument = "tube"): TubeName =>
  typeof value === "string" && isTubeName(value)
    ? value
    : refuse(
      command,
      argument,
      `must be 1 to 200 of the characters A-Z a-z 0-9 - + / ; . $ _ ( ) and not begin with -, but is ${show(value)}`
    )

export const optionalTubeName = (command: string, value: string | undefined): TubeName | undefined =>
  value === undefined ? undefined : tubeName(command, value)

/** Where what is moved must not come from: it would be moved again, for ever. */
export const otherTube = (command: string, value: string, { than }: { readonly than: string }): TubeName =>
  value === than
    ? refuse(command, "to", `must be another tube than ${show(than)}`)
    : tubeName(command, value, "to")

/** As the server will print it: leading zeros are allowed, but mean nothing. */
export const jobId = (command: string, value: string): JobId => {
  if (typeof value === "string" && isJobId(value)) {
    if (!value.startsWith("0")) return value
    const id = value.replace(/^0+(?=\d)/, "")
    if (isJobId(id)) return id
  }
  return refuse(
    command,
    "id",
    `must be the decimal digits of an unsigned 64-bit integer, as text, but is ${show(value)}`
  )
}

export const u32 = (command: string, argument: string, value: number): number =>
  Number.isInteger(value) && value >= 0 && value <= largestU32
    ? value
    : refuse(command, argument, `must be an integer from 0 to ${largestU32}, but is ${show(value)}`)

/** Whole seconds, rounded up: half a second of delay is a second, never none. */
const seconds = (command: string, argument: string, value: Duration.DurationInput, most: number): number => {
  const rounded = Math.ceil(millis(value) / 1000)
  return rounded <= most
    ? rounded
    : refuse(command, argument, `must be a duration from 0 to ${most} seconds, but is ${show(value)}`)
}

/** NaN for what is no duration. */
const millis = (value: Duration.DurationInput): number => {
  if (isNegative(value)) return Number.NaN
  try {
    return Duration.toMillis(value)
  } catch {
    return Number.NaN
  }
}

/** Duration itself turns what is negative, or no number, into zero. */
const isNegative = (value: Duration.DurationInput): boolean => {
  if (typeof value === "number") return !(value >= 0)
  if (typeof value === "bigint") return value < 0n
  if (typeof value === "string") return value.trimStart().startsWith("-")
  return Array.isArray(value) && value.some((part) => !(part >= 0))
}

export const delay = (command: string, value: Duration.DurationInput): number =>
  seconds(command, "delay", value, largestU32)

export const ttr = (command: string, value: Duration.DurationInput): number =>
  seconds(command, "ttr", value, largestU32)

export const pauseDuration = (command: string, value: Duration.DurationInput): number =>
  seconds(command, "duration", value, largestU32)

export const reserveTimeout = (command: string, value: Duration.DurationInput): number =>
  seconds(command, "timeout", value, longestTimeout)

/** Milliseconds to wait for something: more than none, and possibly without end. */
export const positiveDuration = (command: string, argument: string, value: Duration.DurationInput): number => {
  const patience = millis(value)
  return patience > 0 ? patience : refuse(command, argument, `must be a duration above zero, but is ${show(value)}`)
}

/** Milliseconds that may be none, and without end. */
export const duration = (command: string, argument: string, value: Duration.DurationInput): number => {
  const span = millis(value)
  return span >= 0 ? span : refuse(command, argument, `must be a duration, but is ${show(value)}`)
}

export const positiveInteger = (command: string, argument: string, value: number): number =>
  Number.isInteger(value) && value > 0
    ? value
    : refuse(command, argument, `must be an integer above zero, but is ${show(value)}`)

const encoder = new TextEncoder()

export const body = (command: string, value: string | Uint8Array): Uint8Array => {
  if (typeof value === "string") return encoder.encode(value)
  if (!isBytes(value)) return refuse(command, "body", `must be text or bytes, but is ${typeof value}`)
  return value.length <= largestU32
    ? value
    : refuse(command, "body", `must have at most ${largestU32} bytes, but has ${value.length}`)
}

/** Bytes of another realm, such as a test runner's, are no `instanceof` ours. */
const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]"
