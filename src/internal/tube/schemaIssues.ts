/**
 * Why a value does not match a Schema: where, and what the Schema expects there.
 *
 * The text comes from the Schema alone. Values, and property names that are data, are left out: a `PayloadError` is logged.
 */
import * as Arr from "effect/Array"
import * as Iterable from "effect/Iterable"
import type * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"
import type { PayloadError, PayloadIssue } from "../../BeanstalkError.ts"
import * as SchemaParts from "./schemaParts.ts"

export type Issues = PayloadError["issues"]

/** A body can be wrong in a hundred thousand places. */
const maxIssues = 10

/** A body can be nested deeper than the stack allows. */
const maxDepth = 50

/** The innermost issues of a failed parse, the first ten at most. */
export const describe = (issue: ParseResult.ParseIssue): Issues => {
  const issues = Iterable.take(innermost(issue, { path: "", depth: 0, names: noNames }), maxIssues)
  const [first = { path: "", expected: differentValue }, ...more] = issues
  return [first, ...more]
}

/** An issue of the part of an encoded value to which this path leads. */
export const at = (schema: AST.AST, path: ReadonlyArray<PropertyKey>, expected: string): Issues => {
  const names = path.length === 0 ? noNames : SchemaParts.encodedNames(schema)
  const steps = path.slice(0, maxDepth).map(step({ names }))
  return [{ path: `${steps.join("")}${path.length > maxDepth ? "…" : ""}`, expected }]
}

const noNames: ReadonlySet<PropertyKey> = new Set()

const differentValue = "a different value"

/** A place in a payload. */
interface Place {
  readonly path: string
  /** How many steps the path has. */
  readonly depth: number
  /** The property names that the Schema has at this place. */
  readonly names: ReadonlySet<PropertyKey>
}

/** A generator, so that only the issues that are taken are searched for. */
function* innermost(issue: ParseResult.ParseIssue, place: Place): Generator<PayloadIssue, void> {
  switch (issue._tag) {
    case "Pointer":
      if (place.depth === maxDepth) yield { path: `${place.path}…`, expected: differentValue }
      else {
        yield* innermost(issue.issue, {
          ...place,
          path: `${place.path}${Arr.ensure(issue.path).map(step(place)).join("")}`,
          depth: place.depth + 1
        })
      }
      break
    case "Composite": {
      const inside = { ...place, names: namesOf(issue.ast) }
      for (const inner of Arr.ensure(issue.issues)) yield* innermost(inner, inside)
      break
    }
    case "Refinement":
      if (issue.kind === "From") yield* innermost(issue.issue, place)
      else yield { path: place.path, expected: expectedBy(issue.ast) }
      break
    case "Transformation":
      // The inner issue of a value that JSON cannot express is only that it is no string.
      if (issue.kind === "Transformation" || isJson(issue.ast)) {
        yield { path: place.path, expected: expectedBy(issue.ast) }
      } else {
        yield* innermost(issue.issue, place)
      }
      break
    case "Missing":
      yield { path: place.path, expected: `${issue.ast.type} (missing)` }
      break
    case "Unexpected":
      yield { path: place.path, expected: "nothing" }
      break
    case "Type":
    case "Forbidden":
      yield { path: place.path, expected: expectedBy(issue.ast) }
  }
}

const isJson = (ast: AST.AST): boolean => ast.annotations[AST.SchemaIdAnnotationId] === AST.ParseJsonSchemaId

/** The annotations of the Schema, or how it would be written. */
const expectedBy = (ast: AST.AST): string => isJson(ast) ? "JSON" : String(ast)

const step = ({ names }: Pick<Place, "names">) => (key: PropertyKey) => {
  if (typeof key === "number") return `[${key}]`
  return names.has(key) ? `.${String(key)}` : "[*]"
}

/** The property names that a Schema declares. */
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
