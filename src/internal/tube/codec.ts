/**
 * Payloads to bodies and back, through a Schema.
 *
 * What is wrong with one is told in the words of the Schema alone: neither a value nor a name that is data gets into an
 * error, whatever the messages of the Schema may say.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Iterable from "effect/Iterable"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { PayloadError, type PayloadIssue } from "../../BeanstalkError.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "../../Job.ts"

/** How the payloads of a tube become bodies. */
export interface Codec<A, R, I extends string | Uint8Array = string | Uint8Array> {
  readonly encode: (payload: A) => Effect.Effect<I, PayloadError, R>
  readonly decode: (job: ReservedJob | PeekedJob) => Effect.Effect<A, PayloadError, R>
}

/** What of a body a Schema is applied to. */
export interface Wire<I> {
  /** `undefined` if the body is no such thing. */
  readonly read: (body: Uint8Array) => I | undefined
  readonly isWritable: (encoded: I) => boolean
  /** What it is, in words. */
  readonly expected: string
}

/** Text whose characters all have a code in UTF-8. */
export const text: Wire<string> = {
  read: (body) => {
    try {
      return decoder.decode(body)
    } catch {
      return undefined
    }
  },
  // JSON.stringify gives no text for what JSON cannot express.
  isWritable: (encoded) => typeof encoded === "string" && !/\p{Surrogate}/u.test(encoded),
  expected: "text that UTF-8 can express"
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export const bytes: Wire<Uint8Array> = {
  read: (body) => body,
  isWritable: (encoded) => encoded instanceof Uint8Array,
  expected: "bytes"
}

export const codec = <A, I extends string | Uint8Array, R>(
  tube: TubeName,
  schema: Schema.Schema<A, I, R>,
  wire: Wire<I>
): Codec<A, R, I> => {
  const encode = attempt(ParseResult.encode(schema))
  const decode = decoding(tube, schema)

  return {
    // Whenever it is run: a payload may have changed meanwhile, as the body of a job cannot.
    encode: (payload) =>
      Effect.suspend(() => {
        const fail = (issues: Issues) => new PayloadError({ tube, direction: "encode", issues })
        return encode(
          payload,
          fail,
          (encoded) =>
            wire.isWritable(encoded) ? Effect.succeed(encoded) : fail([{ path: "", expected: wire.expected }])
        )
      }),
    decode: ({ body, id }) => {
      const read = wire.read(body)
      return read === undefined
        ? undecodable(tube, id, [{ path: "", expected: wire.expected }])
        : decode(read, id)
    }
  }
}

/** What a Schema makes of what was read from the body of a job. */
export const decoding = <A, I, R>(tube: TubeName, schema: Schema.Schema<A, I, R>) => {
  const decode = attempt(ParseResult.decodeUnknown(schema))
  return (read: unknown, id: JobId): Effect.Effect<A, PayloadError, R> =>
    decode(read, (issues) => undecodable(tube, id, issues), Either.right)
}

const undecodable = (tube: TubeName, id: JobId, issues: Issues) =>
  new PayloadError({ tube, direction: "decode", id, issues })

type Issues = PayloadError["issues"]

type Parse<A, B, R> = (value: A, options?: AST.ParseOptions) => Effect.Effect<B, ParseResult.ParseIssue, R>

/**
 * What a Schema makes of something, and what is made of that. It is begun at once, not when the effect is run. A Schema that
 * throws fails like any other, and what it says is not told.
 */
const attempt = <A, B, R>(parse: Parse<A, B, R>) =>
<C>(
  value: A,
  fail: (issues: Issues) => PayloadError,
  then: (parsed: B) => Effect.Effect<C, PayloadError>
): Effect.Effect<C, PayloadError, R> => {
  const parsed = begun(() => parse(value))
  return hasSucceeded(parsed) ? then(parsed.right) : Effect.matchCauseEffect(parsed, {
    onSuccess: then,
    onFailure: (cause) => Effect.flatMap(issuesWith(() => parse(value, { errors: "all" }), cause), fail)
  })
}

/** Whether there is nothing left to run: most Schemas wait for nothing. */
export const hasSucceeded = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): effect is Effect.Effect<A, E, R> & Either.Right<E, A> => Either.isEither(effect) && Either.isRight(effect)

/** What is thrown at once is as if it were thrown later. */
const begun = <A, E, R>(begin: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  try {
    return begin()
  } catch (thrown) {
    return Effect.die(thrown)
  }
}

/** What is wrong, unless it was only interrupted. */
const issuesWith = <R>(
  parseAll: () => Effect.Effect<unknown, ParseResult.ParseIssue, R>,
  cause: Cause.Cause<ParseResult.ParseIssue>
): Effect.Effect<Issues, never, R> => {
  if (Cause.isInterruptedOnly(cause)) return Effect.failCause(Cause.stripFailures(cause))
  const failed = Cause.failureOrCause(cause)
  return failed._tag === "Left"
    ? Effect.map(everyIssue(parseAll, failed.left), describe)
    : Effect.succeed([{
      path: "",
      expected: `what the Schema can take: it threw ${nameOf(Cause.squash(failed.right))}`
    }])
}

/** Whoever has to mend it wants to know all that is wrong. To look for it costs time, so only where something is. */
const everyIssue = <R>(
  parse: () => Effect.Effect<unknown, ParseResult.ParseIssue, R>,
  first: ParseResult.ParseIssue
): Effect.Effect<ParseResult.ParseIssue, never, R> =>
  Effect.matchCause(Effect.suspend(parse), {
    onSuccess: () => first,
    onFailure: (cause) => Option.getOrElse(Cause.failureOption(cause), () => first)
  })

const nameOf = (defect: unknown) => defect instanceof Error ? `a ${defect.constructor.name}` : "something"

// ---------------------------------------------------------------------------------------------------------------------
// issues
// ---------------------------------------------------------------------------------------------------------------------

/** Where one is in a payload: the way there, and the names that the Schema has for the next step. */
interface Place {
  readonly path: string
  /** How many steps there were on the way. */
  readonly depth: number
  readonly names: ReadonlySet<PropertyKey>
}

/** More of them would help nobody. */
const mostIssues = 10

/** Farther down nobody looks: a body may be deeper than the stack. */
const deepest = 50

const describe = (issue: ParseResult.ParseIssue): Issues => {
  const issues = Iterable.take(issuesOf(issue, { path: "", depth: 0, names: new Set() }), mostIssues)
  const [first = { path: "", expected: "something else" }, ...more] = issues
  return [first, ...more]
}

/** As many as are wanted: a body may be wrong in a hundred thousand places. */
function* issuesOf(issue: ParseResult.ParseIssue, place: Place): Generator<PayloadIssue, void> {
  switch (issue._tag) {
    case "Pointer":
      if (place.depth === deepest) yield { path: `${place.path}…`, expected: "something else" }
      else {
        yield* issuesOf(issue.issue, {
          ...place,
          path: `${place.path}${Arr.ensure(issue.path).map(step(place)).join("")}`,
          depth: place.depth + 1
        })
      }
      break
    case "Composite": {
      const inside = { ...place, names: namesOf(issue.ast) }
      for (const inner of Arr.ensure(issue.issues)) yield* issuesOf(inner, inside)
      break
    }
    case "Refinement":
      if (issue.kind === "From") yield* issuesOf(issue.issue, place)
      else yield { path: place.path, expected: inWords(issue.ast) }
      break
    case "Transformation":
      // What JSON cannot express is found to be no text only behind the transformation.
      if (issue.kind === "Transformation" || isJson(issue.ast)) yield { path: place.path, expected: inWords(issue.ast) }
      else yield* issuesOf(issue.issue, place)
      break
    case "Missing":
      yield { path: place.path, expected: `${issue.ast.type} (missing)` }
      break
    case "Unexpected":
      yield { path: place.path, expected: "nothing" }
      break
    case "Type":
    case "Forbidden":
      yield { path: place.path, expected: inWords(issue.ast) }
  }
}

const isJson = (ast: AST.AST): boolean => ast.annotations[AST.SchemaIdAnnotationId] === AST.ParseJsonSchemaId

/** The annotations of the Schema, or how it would be written. */
const inWords = (ast: AST.AST): string => isJson(ast) ? "JSON" : String(ast)

const step = ({ names }: Place) => (key: PropertyKey) => {
  if (typeof key === "number") return `[${key}]`
  return names.has(key) ? `.${String(key)}` : "[*]"
}

/** The names of the properties that a Schema itself speaks of. */
const namesOf = (ast: AST.AST): ReadonlySet<PropertyKey> => {
  switch (ast._tag) {
    case "TypeLiteral":
      return new Set(ast.propertySignatures.map(({ name }) => name))
    case "Union":
      return new Set(ast.types.flatMap((type) => [...namesOf(type)]))
    case "Refinement":
      return namesOf(ast.from)
    case "Transformation":
      return new Set([...namesOf(ast.from), ...namesOf(ast.to)])
    default:
      return new Set()
  }
}
