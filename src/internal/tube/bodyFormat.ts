/** The formats of bodies: text, bytes and JSON. */
import * as Either from "effect/Either"
import type * as AST from "effect/SchemaAST"
import * as Json from "./json.ts"
import * as SchemaParts from "./schemaParts.ts"

/** How what a Schema encodes to is written to a body, and read from one. */
export interface BodyFormat<in I, out Body extends string | Uint8Array> {
  readonly write: (encoded: I) => Either.Either<Body, Misfit>
  readonly read: (body: Uint8Array) => Either.Either<unknown, Misfit>
}

/** Why a body cannot be written or read. */
export interface Misfit {
  /** The keys that lead to the part of the value that the format does not have. */
  readonly path: ReadonlyArray<PropertyKey>
  /** What the format has there. */
  readonly expected: string
}

const misfit = (expected: string): Either.Either<never, Misfit> => Either.left({ path: [], expected })

const notText = misfit("text that UTF-8 can express")

const notBytes = misfit("bytes")

const notJson = misfit("JSON")

/** Text in UTF-8. A byte order mark is a part of it. */
export const text: BodyFormat<string, string> = {
  // A lone surrogate would be encoded as U+FFFD.
  write: (encoded) => typeof encoded === "string" && !/\p{Surrogate}/u.test(encoded) ? Either.right(encoded) : notText,
  read: (body) => decode(body, keepingMark)
}

export const bytes: BodyFormat<Uint8Array, Uint8Array> = {
  write: (encoded) => encoded instanceof Uint8Array ? Either.right(encoded) : notBytes,
  read: Either.right
}

/** JSON of what a Schema encodes to. A byte order mark, as .NET writes it, is skipped. */
export const json = (schema: AST.AST): BodyFormat<unknown, string> => {
  // Read from the Schema at the first write: a Schema that is suspended may not be there before.
  let expectation: Json.Expectation | undefined
  return {
    write: (encoded) => {
      try {
        expectation ??= {
          isExact: SchemaParts.isExact(schema),
          mayHaveOtherKeys: SchemaParts.mayHaveOtherKeys(schema)
        }
        const changed = Json.findChanged(encoded, expectation)
        return changed === undefined
          ? Either.right(JSON.stringify(encoded))
          : Either.left({ path: changed.reversedPath.toReversed(), expected: changed.expected })
      } catch {
        // It contains itself, is nested too deeply, or throws when it is read.
        return notJson
      }
    },
    read: readJson
  }
}

export const readJson = (body: Uint8Array): Either.Either<unknown, Misfit> =>
  Either.flatMap(decode(body, skippingMark), parse)

const decode = (body: Uint8Array, decoder: TextDecoder): Either.Either<string, Misfit> => {
  try {
    return Either.right(decoder.decode(body))
  } catch {
    return notText
  }
}

const parse = (text: string): Either.Either<unknown, Misfit> => {
  try {
    return Either.right(JSON.parse(text))
  } catch {
    return notJson
  }
}

const keepingMark = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const skippingMark = new TextDecoder("utf-8", { fatal: true })
