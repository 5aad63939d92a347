/**
 * Checks arguments before anything is written: after a malformed request line of a `put` the server would execute the body as
 * commands, and a stray CR would block the connection for ever.
 *
 * Each check returns the checked value, or throws `InvalidArgument`.
 */
import * as Duration from "effect/Duration"
import { InvalidArgument } from "../../BeanstalkError.ts"
import { isJobId, isTubeName, type JobId, type TubeName } from "../../Job.ts"
import { quoted } from "../values/printable.ts"

/** The largest value of the protocol's 32-bit fields: priorities, delays, times to run, bounds. */
const largestU32 = 2 ** 32 - 1

/** Beyond this, beanstalkd 1.12 waits for ever or not at all, and 1.13 answers `BAD_FORMAT`. */
const longestTimeout = 2 ** 31 - 1

/** Runs `make`, and returns its result, or the `InvalidArgument` that it throws. */
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

/** A value for an error message, shortened. */
const show = (value: unknown): string => {
  if (typeof value === "string") {
    return value.length > 40 ? `${quoted(value.slice(0, 40))}… (${value.length} characters)` : quoted(value)
  }
  if (Duration.isDuration(value)) return Duration.format(value)
  return typeof value === "object" && value !== null ? "an object" : String(value)
}

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

/** Without leading zeros, which the server ignores: replies repeat the id without them. */
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

/** A part of a whole. */
export const share = (command: string, argument: string, value: number): number =>
  value > 0 && value <= 1 ? value : refuse(command, argument, `must be above 0 and at most 1, but is ${show(value)}`)

/**
 * Refuses a number without a unit that is less than a second, which the protocol cannot express: in Effect it is milliseconds, but
 * a program with `ttr: 60` means a minute. Zero is the same in every unit.
 */
export const unit = (command: string, argument: string, value: Duration.DurationInput): void => {
  if (typeof value === "number" && value > 0 && value < 1000) refuseUnitless(command, argument, value, "millis")
  if (typeof value === "bigint" && value > 0n && value < 1_000_000_000n) {
    refuseUnitless(command, argument, value, "nanos")
  }
}

const refuseUnitless = (command: string, argument: string, value: number | bigint, unit: "millis" | "nanos"): never =>
  refuse(
    command,
    argument,
    `must have a unit if it is less than a second, but is ${value}: ` +
      `write "${value} seconds", or "${value} ${unit}", which is rounded up to a second`
  )

/** Whole seconds, rounded up, so that a short delay does not become none. */
const seconds = (command: string, argument: string, value: Duration.DurationInput, most: number): number => {
  unit(command, argument, value)
  const rounded = Math.ceil(millis(value) / 1000)
  return rounded <= most
    ? rounded
    : refuse(command, argument, `must be a duration from 0 to ${most} seconds, but is ${show(value)}`)
}

/** Milliseconds; NaN if the value is no duration. */
const millis = (value: Duration.DurationInput): number => {
  if (isNegative(value)) return Number.NaN
  try {
    return Duration.toMillis(value)
  } catch {
    return Number.NaN
  }
}

/** Whether the value is negative or not a number. `Duration` would turn it into zero. */
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

/** Milliseconds, above zero; `Infinity` is allowed. */
export const positiveDuration = (command: string, argument: string, value: Duration.DurationInput): number => {
  const milliseconds = millis(value)
  return milliseconds > 0
    ? milliseconds
    : refuse(command, argument, `must be a duration above zero, but is ${show(value)}`)
}

/** Milliseconds, zero or more; `Infinity` is allowed. */
export const duration = (command: string, argument: string, value: Duration.DurationInput): number => {
  const milliseconds = millis(value)
  return milliseconds >= 0 ? milliseconds : refuse(command, argument, `must be a duration, but is ${show(value)}`)
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

/** Unlike `instanceof` alone, also true for the `Uint8Array` of another realm, such as that of a test runner. */
const isBytes = (value: unknown): value is Uint8Array =>
  value instanceof Uint8Array ||
  ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]"
