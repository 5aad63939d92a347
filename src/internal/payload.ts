/**
 * Payloads to bodies and back, through a Schema.
 *
 * What is wrong with one is told in the words of the Schema alone: neither a value nor a name that is data gets into an
 * error, whatever the messages of the Schema may say.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { PayloadError, type PayloadIssue } from "../BeanstalkError.ts"
import type { PeekedJob, ReservedJob, TubeName } from "../Job.ts"

/** How the payloads of a tube become bodies. */
export interface Codec<A, R> {
  readonly encode: (payload: A) => Effect.Effect<string | Uint8Array, PayloadError, R>
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

/** Whoever has to mend it wants to know everything that is wrong, up to a point. */
const mostIssues = 10

export const codec = <A, I extends string | Uint8Array, R>(
  tube: TubeName,
  schema: Schema.Schema<A, I, R>,
  wire: Wire<I>
): Codec<A, R> => {
  const encode = ParseResult.encode(schema, { errors: "all" })
  const decode = ParseResult.decodeUnknown(schema, { errors: "all" })

  return {
    encode: (payload) => {
      const fail = (issues: Issues) => new PayloadError({ tube, direction: "encode", issues })
      return Effect.flatMap(
        attempt(() => encode(payload), fail),
        (encoded) => wire.isWritable(encoded) ? Effect.succeed(encoded) : fail([{ path: "", expected: wire.expected }])
      )
    },
    decode: ({ body, id }) => {
      const fail = (issues: Issues) => new PayloadError({ tube, direction: "decode", id, issues })
      const read = wire.read(body)
      return read === undefined ? fail([{ path: "", expected: wire.expected }]) : attempt(() => decode(read), fail)
    }
  }
}

type Issues = PayloadError["issues"]

/** What a Schema makes of something. It may throw: that, too, is told without what it says. */
const attempt = <A, R>(
  parse: () => Effect.Effect<A, ParseResult.ParseIssue, R>,
  fail: (issues: Issues) => PayloadError
): Effect.Effect<A, PayloadError, R> =>
  Effect.suspend(parse).pipe(
    Effect.mapError((issue) => fail(describe(issue))),
    Effect.catchAllDefect((defect) =>
      fail([{ path: "", expected: `what the Schema can take: it threw ${nameOf(defect)}` }])
    )
  )

const nameOf = (defect: unknown) => defect instanceof Error ? `a ${defect.constructor.name}` : "something"

// ---------------------------------------------------------------------------------------------------------------------
// issues
// ---------------------------------------------------------------------------------------------------------------------

/** Where one is in a payload: the way there, and the names that the Schema has for the next step. */
interface Place {
  readonly path: string
  readonly names: ReadonlySet<PropertyKey>
}

const describe = (issue: ParseResult.ParseIssue): Issues => {
  const [first = { path: "", expected: "something else" }, ...more] = issuesOf(issue, { path: "", names: new Set() })
    .slice(0, mostIssues)
  return [first, ...more]
}

const issuesOf = (issue: ParseResult.ParseIssue, place: Place): ReadonlyArray<PayloadIssue> => {
  switch (issue._tag) {
    case "Pointer":
      return issuesOf(issue.issue, {
        ...place,
        path: `${place.path}${Arr.ensure(issue.path).map(step(place)).join("")}`
      })
    case "Composite":
      return Arr.ensure(issue.issues).flatMap((inner) => issuesOf(inner, { ...place, names: namesOf(issue.ast) }))
    case "Refinement":
      return issue.kind === "From" ? issuesOf(issue.issue, place) : [{ path: place.path, expected: inWords(issue.ast) }]
    case "Transformation":
      return issue.kind === "Transformation"
        ? [{ path: place.path, expected: inWords(issue.ast) }]
        : issuesOf(issue.issue, place)
    case "Missing":
      return [{ path: place.path, expected: `${issue.ast.type} (missing)` }]
    case "Unexpected":
      return [{ path: place.path, expected: "nothing" }]
    case "Type":
    case "Forbidden":
      return [{ path: place.path, expected: inWords(issue.ast) }]
  }
}

/** The annotations of the Schema, or how it would be written. */
const inWords = (ast: AST.AST): string =>
  ast.annotations[AST.SchemaIdAnnotationId] === AST.ParseJsonSchemaId ? "JSON" : String(ast)

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
