/** Payloads that contain secrets, and Schemas whose messages would quote them. */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { inspect } from "node:util"

/** Secrets, which occur nowhere but in payloads: a text, a number, and the name of a property. */
const secret = "hunter2zq"
const secretNumber = 8_675_309.25
const secretKey = "keyzq7"

/** The secrets that a text contains. */
export const secretsIn = (text: string): ReadonlyArray<string> =>
  [secret, String(secretNumber), secretKey].filter((secret) => text.includes(secret))

/** A Schema without its types. */
export type Loose = Schema.Schema<unknown>

export const loosely = (schema: Schema.Schema.Any): Loose => Schema.make<unknown, unknown>(schema.ast)

const show = (value: unknown) => `not ${inspect(value, { depth: Number.POSITIVE_INFINITY })}`

/** A message that quotes the value. */
const message = (issue: ParseResult.ParseIssue) => show(issue.actual)

const annotations = { message, parseIssueTitle: message }

class Leak extends Error {
  readonly value: unknown

  constructor(value: unknown) {
    super(show(value))
    this.value = value
  }
}

const throwing = (value: unknown): never => {
  throw new Leak(value)
}

type Converted = Effect.Effect<unknown, ParseResult.ParseIssue>

/** A Schema that fails this way, in both directions. */
const converting = (convert: (value: unknown, issue: ParseResult.Type) => Converted | ParseResult.ParseIssue) => {
  const either = (value: unknown): Converted =>
    Effect.suspend(() => {
      const made = convert(value, new ParseResult.Type(Schema.String.ast, value, show(value)))
      return Effect.isEffect(made) ? made : ParseResult.fail(made)
    })
  return Schema.transformOrFail(Schema.Unknown, Schema.Unknown, {
    decode: (value) => either(value),
    encode: (value) => either(value)
  })
}

const leaves: ReadonlyArray<Schema.Schema.Any> = [
  Schema.String,
  Schema.Number,
  Schema.Int,
  Schema.Boolean,
  Schema.Null,
  Schema.Date,
  Schema.URL,
  Schema.BigInt,
  Schema.Uint8ArrayFromBase64,
  Schema.Literal("a", "b"),
  Schema.TemplateLiteral("user-", Schema.Number),
  Schema.UUID,
  Schema.Redacted(Schema.Int),
  Schema.Unknown,
  Schema.parseJson(Schema.Struct({ a: Schema.Int })),
  Schema.NumberFromString,
  Schema.String.pipe(Schema.brand("Branded"), Schema.minLength(99, { message })),
  Schema.String.annotations(annotations),
  Schema.Number.pipe(Schema.between(0, 1, annotations)),
  Schema.Unknown.pipe(Schema.filter(show)),
  Schema.Unknown.pipe(Schema.filter((value) => ({ path: [show(value), secretKey], message: show(value) }))),
  Schema.Unknown.pipe(Schema.filter(throwing)),
  Schema.Unknown.pipe(Schema.filter(() => false, { message: throwing })),
  converting((_, issue) => issue),
  converting((value, issue) => new ParseResult.Pointer([show(value)], value, issue)),
  converting((value) => new ParseResult.Unexpected(value, show(value))),
  converting(throwing),
  converting((value) => Effect.die(value)),
  converting((value) => Effect.promise(() => Promise.reject(new Leak(value)))),
  converting((_, issue) => Effect.zipRight(Effect.yieldNow(), Effect.fail(issue))),
  converting((value) => Effect.fail(new ParseResult.Type(Schema.Literal(show(value)).ast, value)))
]

const compositions: ReadonlyArray<(one: Loose, other: Loose) => Schema.Schema.Any> = [
  (one, other) => Schema.Struct({ a: one, b: Schema.optional(other) }),
  (one, other) => Schema.Struct({ a: Schema.propertySignature(one).annotations(annotations), b: other }),
  (one, other) => Schema.Struct({ a: one }, { key: Schema.String, value: other }),
  (one) => Schema.Struct({ a: one }).annotations({ parseOptions: { onExcessProperty: "error" } }),
  (one) => Schema.Struct({ renamed: Schema.propertySignature(one).pipe(Schema.fromKey("a")) }),
  (one) => Schema.Record({ key: Schema.String, value: one }),
  (one) => Schema.Record({ key: Schema.String.pipe(Schema.pattern(/^k/)), value: one }).annotations(annotations),
  (one) => Schema.Record({ key: Schema.SymbolFromSelf, value: one }),
  (one) => Schema.Array(one),
  (one, other) => Schema.Tuple([one], other),
  (one, other) => Schema.Union(one, other).annotations(annotations),
  (one, other) =>
    Schema.Union(
      Schema.Struct({ _tag: Schema.Literal("A"), a: one }),
      Schema.Struct({ _tag: Schema.Literal("B"), b: other })
    ),
  (one) => Schema.NullOr(Schema.suspend(() => one)),
  (one) => Schema.Option(one),
  (one, other) => Schema.Either({ left: one, right: other }),
  (one, other) => Schema.HashMap({ key: one, value: other }),
  (one) => Schema.HashMapFromSelf({ key: Schema.Number, value: one }),
  (one) => Schema.ReadonlyMapFromSelf({ key: Schema.Number, value: one }),
  (one) => Schema.ReadonlyMap({ key: Schema.String, value: one }),
  (one) => Schema.Set(one),
  (one) => Schema.OptionFromSelf(one),
  (one) => Schema.Chunk(one),
  (one) => Schema.compose(Schema.Struct({ a: Schema.Unknown }), Schema.Struct({ a: one })),
  (one) => class Made extends Schema.Class<Made>("Made")({ a: one }) {},
  (one) => Schema.Struct({ a: one }).pipe(Schema.filter(show, { title: "checked" }))
]

/** Schemas of every kind, nested in each other. */
export const schemas: fc.Arbitrary<Loose> = fc.letrec<{ schema: Loose }>((tie) => {
  const part = tie("schema")
  const composite = fc.tuple(fc.constantFrom(...compositions), part, part).map(([compose, one, other]) =>
    loosely(compose(one, other))
  )
  return { schema: fc.oneof({ maxDepth: 3 }, fc.constantFrom(...leaves).map(loosely), composite, composite) }
}).schema

const words = fc.constantFrom(
  secret,
  `user-${secret}`,
  `{"${secretKey}":"${secret}"`,
  `["${secret}"]`,
  `2024-${secret}`
)

const keys = fc.constantFrom("a", "b", "_tag", "value", "left", "__proto__", "renamed", secretKey, `${secretKey}.a`)

/** Values that JSON does not have, but that a caller may pass to an encoder. */
const strange = (value: unknown): ReadonlyArray<unknown> => [
  new Map([[secret, value]]),
  new Map([[1, value]]),
  HashMap.make([1, value]),
  Option.some(value),
  new Set([value]),
  { [Symbol.for(secretKey)]: value },
  { a: value, [secretKey]: 1n },
  new Leak(value),
  Symbol.for(secret),
  () => secret,
  undefined
]

const secretive = (more: (value: fc.Arbitrary<unknown>) => ReadonlyArray<fc.Arbitrary<unknown>>) =>
  fc.letrec<{ value: unknown }>((tie) => {
    const value = tie("value")
    return {
      value: fc.oneof(
        { maxDepth: 4 },
        fc.oneof(words, fc.constant(secretNumber), fc.constantFrom(null, true)),
        fc.dictionary(keys, value, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
        fc.tuple(fc.constantFrom("A", "B", "Some", "Left"), value).map(([_tag, value]) => ({
          _tag,
          a: value,
          b: value,
          value,
          left: value,
          [secretKey]: secretNumber
        })),
        fc.array(value, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(words, value), { minLength: 1, maxLength: 2 }),
        ...more(value)
      )
    }
  }).value

/** Bodies that contain secrets, most of them JSON. */
export const bodies: fc.Arbitrary<string> = fc.oneof(
  { weight: 9, arbitrary: secretive(() => []).map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: words }
)

/** Payloads that contain secrets. */
export const payloads: fc.Arbitrary<unknown> = secretive((value) => [
  value.chain((value) => fc.constantFrom(...strange(value)))
])
