/** Encodes payloads as bodies, and decodes bodies to payloads, through a Schema. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { PayloadError } from "../../BeanstalkError.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "../../Job.ts"
import type { BodyFormat, Misfit } from "./bodyFormat.ts"
import * as SchemaIssues from "./schemaIssues.ts"

export interface Codec<A, R, Body extends string | Uint8Array = string | Uint8Array> {
  readonly encode: (payload: A) => Effect.Effect<Body, PayloadError, R>
  readonly decode: (job: ReservedJob | PeekedJob) => Effect.Effect<A, PayloadError, R>
}

export const codec = <A, I, R, Body extends string | Uint8Array>(
  tube: TubeName,
  schema: Schema.Schema<A, I, R>,
  format: BodyFormat<I, Body>
): Codec<A, R, Body> => {
  const encode = ParseResult.encode(schema)
  const decode = ParseResult.decodeUnknown(schema)
  const unencodable = (issues: SchemaIssues.Issues) => new PayloadError({ tube, direction: "encode", issues })
  const undecodable = (id: JobId) => (issues: SchemaIssues.Issues) =>
    new PayloadError({ tube, direction: "decode", id, issues })
  const misfit = ({ expected, path }: Misfit) => SchemaIssues.at(schema.ast, path, expected)
  const write = (encoded: I) => Either.mapLeft(format.write(encoded), (left) => unencodable(misfit(left)))

  return {
    encode: (payload) =>
      Effect.suspend(() => explain(() => encode(payload), () => encode(payload, all), unencodable)).pipe(
        Effect.flatMap(write)
      ),
    decode: ({ body, id }) =>
      Effect.suspend(() =>
        Either.match(format.read(body), {
          onLeft: (left) => undecodable(id)(misfit(left)),
          onRight: (read) => explain(() => decode(read), () => decode(read, all), undecodable(id))
        })
      )
  }
}

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
