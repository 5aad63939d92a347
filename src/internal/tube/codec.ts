/** Encodes payloads as bodies, and decodes bodies to payloads, through a Schema. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { PayloadError } from "../../BeanstalkError.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "../../Job.ts"
import * as SchemaIssues from "./schemaIssues.ts"

export interface Codec<A, R, I extends string | Uint8Array = string | Uint8Array> {
  readonly encode: (payload: A) => Effect.Effect<I, PayloadError, R>
  readonly decode: (job: ReservedJob | PeekedJob) => Effect.Effect<A, PayloadError, R>
}

/** What a Schema encodes to, text or bytes, and how that is read from a body. */
export interface BodyFormat<I> {
  /** `undefined` if the body does not have this format. */
  readonly read: (body: Uint8Array) => I | undefined
  readonly isWritable: (encoded: I) => boolean
  /** The format in an error. */
  readonly expected: string
}

export const text: BodyFormat<string> = {
  read: (body) => {
    try {
      return decoder.decode(body)
    } catch {
      return undefined
    }
  },
  // `JSON.stringify` returns `undefined` for what JSON cannot express. A lone surrogate would be encoded as U+FFFD.
  isWritable: (encoded) => typeof encoded === "string" && !/\p{Surrogate}/u.test(encoded),
  expected: "text that UTF-8 can express"
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export const bytes: BodyFormat<Uint8Array> = {
  read: (body) => body,
  isWritable: (encoded) => encoded instanceof Uint8Array,
  expected: "bytes"
}

export const codec = <A, I extends string | Uint8Array, R>(
  tube: TubeName,
  schema: Schema.Schema<A, I, R>,
  format: BodyFormat<I>
): Codec<A, R, I> => {
  const parse = ParseResult.encode(schema)
  const decode = decodeWith(tube, schema)
  const otherFormat: SchemaIssues.Issues = [{ path: "", expected: format.expected }]
  const unencodable = (issues: SchemaIssues.Issues) => new PayloadError({ tube, direction: "encode", issues })

  return {
    encode: (payload) =>
      Effect.suspend(() => explain(() => parse(payload), () => parse(payload, all), unencodable)).pipe(
        Effect.filterOrFail(format.isWritable, () => unencodable(otherFormat))
      ),
    decode: ({ body, id }) =>
      Effect.suspend(() => {
        const encoded = format.read(body)
        return encoded === undefined ? undecodable(tube, id, otherFormat) : decode(encoded, id)
      })
  }
}

/**
 * Decodes what was read from the body of a job. The Schema runs when this function is called, not when the Effect is run: call
 * it inside an Effect.
 */
export const decodeWith = <A, I, R>(tube: TubeName, schema: Schema.Schema<A, I, R>) => {
  const parse = ParseResult.decodeUnknown(schema)
  return (encoded: unknown, id: JobId): Effect.Effect<A, PayloadError, R> =>
    explain(() => parse(encoded), () => parse(encoded, all), (issues) => undecodable(tube, id, issues))
}

const undecodable = (tube: TubeName, id: JobId, issues: SchemaIssues.Issues) =>
  new PayloadError({ tube, direction: "decode", id, issues })

const all = { errors: "all" } as const

type Parse<A, R> = () => Effect.Effect<A, ParseResult.ParseIssue, R>

/**
 * Runs a Schema, and replaces its failure by a `PayloadError`, which has all issues: the first run stops at one, so the Schema
 * is run again. A Schema that throws has failed; the error does not contain what it threw.
 *
 * Most Schemas wait for nothing, so that their result is an `Either`: a success then needs no handler, which would cost 0.2 µs a job.
 */
const explain = <A, R>(
  parse: Parse<A, R>,
  parseAll: Parse<A, R>,
  toError: (issues: SchemaIssues.Issues) => PayloadError
): Effect.Effect<A, PayloadError, R> => {
  const parsed = catchThrown(parse)
  return isSuccess(parsed)
    ? Effect.succeed(parsed.right)
    : Effect.catchAllCause(parsed, (cause) => Effect.flatMap(issuesOf(parseAll, cause), toError))
}

const isSuccess = <A, E, R>(
  parsed: Effect.Effect<A, E, R>
): parsed is Effect.Effect<A, E, R> & Either.Right<E, A> => Either.isEither(parsed) && Either.isRight(parsed)

/** A Schema that throws at once dies, as if it had thrown while its Effect was run. */
const catchThrown = <A, R>(parse: Parse<A, R>): ReturnType<Parse<A, R>> => {
  try {
    return parse()
  } catch (thrown) {
    return Effect.die(thrown)
  }
}

/** An interruption is passed on, as it is no issue of the value. */
const issuesOf = <A, R>(
  parseAll: Parse<A, R>,
  cause: Cause.Cause<ParseResult.ParseIssue>
): Effect.Effect<SchemaIssues.Issues, never, R> => {
  if (Cause.isInterruptedOnly(cause)) return Effect.failCause(Cause.stripFailures(cause))
  return Either.match(Cause.failureOrCause(cause), {
    onLeft: (first) =>
      Effect.matchCause(Effect.suspend(parseAll), {
        onSuccess: () => SchemaIssues.describe(first),
        onFailure: (every) => SchemaIssues.describe(Option.getOrElse(Cause.failureOption(every), () => first))
      }),
    onRight: (defect) =>
      Effect.succeed([{
        path: "",
        expected: `a value that the Schema accepts: it threw ${kindOf(Cause.squash(defect))}`
      }])
  })
}

const kindOf = (thrown: unknown) => thrown instanceof Error ? `a ${thrown.constructor.name}` : "what is no Error"
