/** What can be known of a Schema from its parts. */
import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"

/** The names of the properties that are declared in what a Schema encodes to, at any depth. */
export const encodedNames = (schema: AST.AST): ReadonlySet<PropertyKey> => {
  const names = new Set<PropertyKey>()
  for (const part of parts(schema, encodedSide)) {
    if (AST.isTypeLiteral(part)) { for (const { name } of part.propertySignatures) names.add(name) }
  }
  return names
}

/** Whether a part of a Schema has the parse option `exact`: a missing property is not the same as one that is `undefined` then. */
export const isExact = (schema: AST.AST): boolean => {
  for (const part of parts(schema, bothSides)) {
    if (Option.exists(AST.getParseOptionsAnnotation(part), ({ exact }) => exact === true)) return true
  }
  return false
}

/** Whether a Schema may encode to arrays and objects with keys that JSON does not have. */
export const mayHaveOtherKeys = (schema: AST.AST): boolean => {
  for (const part of parts(schema, encodedSide)) {
    switch (part._tag) {
      // These pass on what they get.
      case "AnyKeyword":
      case "UnknownKeyword":
      case "ObjectKeyword":
      case "Declaration":
      // The keys of a Record.
      case "SymbolKeyword":
        return true
      case "TypeLiteral":
        if (part.propertySignatures.some(({ name }) => typeof name === "symbol")) return true
    }
  }
  return false
}

type Sides = (transformation: AST.Transformation) => ReadonlyArray<AST.AST>

const encodedSide: Sides = ({ from }) => [from]

const bothSides: Sides = ({ from, to }) => [from, to]

/** A Schema and the Schemas in it, each once: a Schema may contain itself. */
function* parts(schema: AST.AST, sides: Sides, seen: Set<AST.AST> = new Set()): Generator<AST.AST, void> {
  if (seen.has(schema)) return
  seen.add(schema)
  yield schema
  for (const part of directParts(schema, sides)) yield* parts(part, sides, seen)
}

const directParts = (schema: AST.AST, sides: Sides): ReadonlyArray<AST.AST> => {
  switch (schema._tag) {
    case "Declaration":
      return schema.typeParameters
    case "TupleType":
      return [...schema.elements, ...schema.rest].map(({ type }) => type)
    case "TypeLiteral":
      return [
        ...schema.propertySignatures.map(({ type }) => type),
        ...schema.indexSignatures.flatMap(({ parameter, type }) => [parameter, type])
      ]
    case "Union":
      return schema.types
    case "Suspend":
      return [schema.f()]
    case "Refinement":
      return [schema.from]
    case "Transformation":
      return sides(schema)
    default:
      return []
  }
}
