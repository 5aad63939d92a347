/** Reads the records of `beanstalk export`, and of `beanstalk jobs --json`, as jobs to be put. */
import * as Either from "effect/Either"
import type { JobState, JobToPut } from "../BeanstalkClient.ts"
import { isTubeName } from "../Job.ts"

export interface JobToImport extends JobToPut {
  readonly tube: string
  readonly priority: number
  /** In milliseconds. */
  readonly delay: number
  /** The state that the job is to have: one that was reserved becomes ready. */
  readonly state: JobState
}

/** In seconds. */
const longestDelay = 2 ** 32 - 1

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null

const decoder = new TextDecoder("utf-8", { fatal: true })

const fieldsOf = (line: Uint8Array): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(decoder.decode(line))
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

const numberIn = (fields: Fields, key: string, usual: number): number | undefined => {
  const value = fields[key] ?? usual
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= longestDelay ? value : undefined
}

/** Of a job whose time is over, and which the server has not made ready yet, it tells a negative number. */
const timeLeftIn = (fields: Fields): number | undefined => {
  const { time_left: timeLeft } = fields
  return typeof timeLeft === "number" && Number.isInteger(timeLeft) && timeLeft < 0
    ? 0
    : numberIn(fields, "time_left", 0)
}

const stateIn = ({ state = "ready" }: Fields): JobState | undefined => {
  switch (state) {
    case "ready":
    case "reserved":
      return "ready"
    case "delayed":
    case "buried":
      return state
    default:
      return undefined
  }
}

/** What is not base64 `Buffer.from` leaves out, as it does an incomplete end. */
const isBase64 = (text: string) => /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.replace(/=+$/, "").length % 4 !== 1

/** UTF-8 has no half of a surrogate pair: another character would be put in its place. */
const isText = (text: string) => !/\p{Cs}/u.test(text)

const bodyIn = ({ body, body_base64: base64 }: Fields): string | Uint8Array | undefined => {
  if (typeof body === "string") return isText(body) ? body : undefined
  return typeof base64 === "string" && isBase64(base64) ? Buffer.from(base64, "base64") : undefined
}

/** The delay of a job, in seconds. The server has rounded down what was left, and the job must not become ready before. */
const delayOf = (state: JobState, timeLeft: number): number => {
  if (state === "ready") return 0
  // Until it is buried no worker can reserve it.
  return state === "buried" ? longestDelay : Math.min(timeLeft + 1, longestDelay)
}

/** A job, into this tube if one is given, or what is wrong with the line. */
export const jobOf = (line: Uint8Array, into: string | undefined): Either.Either<JobToImport, string> => {
  const fields = fieldsOf(line)
  if (fields === undefined) return Either.left("it is no JSON object, in UTF-8")
  const body = bodyIn(fields)
  if (body === undefined) return Either.left("it has no body, or one that is no text, or no base64")
  const tube = into ?? fields["tube"]
  if (typeof tube !== "string" || !isTubeName(tube)) return Either.left("tube is no name of a tube")
  const state = stateIn(fields)
  if (state === undefined) return Either.left("state is none of ready, reserved, delayed, buried")
  const priority = numberIn(fields, "pri", 1024)
  const ttr = numberIn(fields, "ttr", 60)
  const timeLeft = timeLeftIn(fields)
  if (priority === undefined || ttr === undefined || timeLeft === undefined) {
    return Either.left("pri, ttr and time_left are no whole numbers from 0 to 4294967295")
  }
  return Either.right({ body, tube, priority, state, ttr: ttr * 1000, delay: delayOf(state, timeLeft) * 1000 })
}
