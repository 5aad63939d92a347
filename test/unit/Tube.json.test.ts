/** A tube of JSON puts no payload that its workers would read back as another, or not at all. */
import { assert, describe, it } from "@effect/vitest"
import { Job, Tube } from "effect-beanstalk"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { inspect, isDeepStrictEqual } from "node:util"
import { runInNewContext } from "node:vm"

const id = Schema.decodeSync(Job.JobId)("7")

/** The payload that a worker gets. */
const throughTube = <A, I>(schema: Schema.Schema<A, I>, payload: A) => {
  const tube = Tube.make("t", { payload: schema })
  return Effect.flatMap(
    tube.encode(payload),
    (body) => Effect.orDie(tube.decode(new Job.ReservedJob(id, Buffer.from(body))))
  )
}

/** A Schema that does not tell the compiler what it encodes to. */
const untyped = ({ ast }: Schema.Schema.Any): Schema.Schema<unknown> => Schema.make(ast)

/** The issue for a payload that cannot be put. */
const refusal = (schema: Schema.Schema.Any, payload: unknown) =>
  Effect.map(
    Effect.flip(Tube.make("t", { payload: untyped(schema) }).encode(payload)),
    ({ issues: [{ expected, path }] }) => [path, expected] as const
  )

class Point {
  readonly x = 1
}

class Rootless extends null {
  toJSON() {
    return 1
  }
}

class Numbers extends Array<number> {}

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, born: Schema.Date }) {}

const symbol = Symbol("s")

const circular: { self?: unknown } = {}
circular.self = { inner: circular }

const deep = () => {
  let nested: unknown = []
  for (let depth = 0; depth < 100_000; depth += 1) nested = [nested]
  return nested
}

const unreadable = Object.defineProperty({}, "a", {
  enumerable: true,
  get: () => {
    throw new Error("no")
  }
})

const { Unknown } = Schema

const number = "a finite number"

const refused: ReadonlyArray<
  readonly [name: string, Schema.Schema.Any, payload: unknown, path: string, expected: string]
> = [
  ["NaN", Schema.Number, Number.NaN, "", number],
  ["NaN in a property", Schema.Struct({ n: Schema.Number }), { n: Number.NaN }, ".n", number],
  ["Infinity in an array", Schema.Array(Schema.Number), [1, Number.POSITIVE_INFINITY], "[1]", number],
  [
    "-Infinity in an optional property",
    Schema.Struct({ n: Schema.optional(Schema.Number) }),
    { n: -1 / 0 },
    ".n",
    number
  ],
  [
    "NaN in an Option",
    Schema.Struct({ n: Schema.Option(Schema.Number) }),
    { n: Option.some(Number.NaN) },
    ".n.value",
    number
  ],
  ["NaN of an invalid Date", Schema.Struct({ at: Schema.DateFromNumber }), { at: new Date(Number.NaN) }, ".at", number],
  ["an infinite duration", Schema.DurationFromMillis, Duration.infinity, "", number],
  [
    "NaN in a Record, whose keys are data",
    Schema.Record({ key: Schema.String, value: Schema.Number }),
    { Ada: Number.NaN },
    "[*]",
    number
  ],
  [
    "NaN in a HashMap",
    Schema.ReadonlyMap({ key: Schema.String, value: Schema.Number }),
    new Map([["Ada", Number.NaN]]),
    "[0][1]",
    number
  ],
  ["a Date", Schema.Struct({ at: Schema.DateFromSelf }), { at: new Date(0) }, ".at", "JSON"],
  ["a Map", Schema.MapFromSelf({ key: Schema.String, value: Schema.String }), new Map([["a", "b"]]), "", "JSON"],
  ["a Set", Schema.SetFromSelf(Schema.Number), new Set([1]), "", "JSON"],
  ["an Option", Schema.OptionFromSelf(Schema.Number), Option.some(1), "", "JSON"],
  ["a Uint8Array", Schema.Uint8ArrayFromSelf, new Uint8Array([1]), "", "JSON"],
  ["a Buffer", Unknown, { data: Buffer.from("a") }, "[*]", "JSON"],
  ["a bigint", Schema.Struct({ n: Schema.BigIntFromSelf }), { n: 1n }, ".n", "JSON"],
  ["a symbol", Schema.SymbolFromSelf, symbol, "", "JSON"],
  ["a function", Unknown, { f: () => 1 }, "[*]", "JSON"],
  ["an instance of a class", Unknown, new Point(), "", "JSON"],
  [
    "an instance of the type of a Schema",
    Schema.typeSchema(Person),
    new Person({ name: "a", born: new Date(0) }),
    "",
    "JSON"
  ],
  ["an Error", Unknown, new Error("no"), "", "JSON"],
  ["a Data", Unknown, Data.struct({ a: 1 }), "", "JSON"],
  ["a URL", Schema.URLFromSelf, new URL("http://example.org"), "", "JSON"],
  ["a boxed string", Unknown, Object("a"), "", "JSON"],
  ["what has a method toJSON", Unknown, { toJSON: () => 1 }, "[*]", "JSON"],
  ["what inherits a method toJSON", Unknown, Object.create({ toJSON: () => 1 }), "", "JSON"],
  [
    "what has a method toJSON that is not enumerable",
    Unknown,
    Object.defineProperty({ a: 1 }, "toJSON", { value: () => 2 }),
    "",
    "JSON"
  ],
  ["an array with a method toJSON", Unknown, Object.defineProperty([1], "toJSON", { value: () => 2 }), "", "JSON"],
  ["an instance of a class that extends null", Unknown, Object.create(Rootless.prototype), "", "JSON"],
  [
    "what inherits from an object without prototype",
    Unknown,
    Object.create(Object.assign(Object.create(null), { a: 1 })),
    "",
    "JSON"
  ],
  ["undefined", Schema.UndefinedOr(Schema.String), undefined, "", "JSON"],
  ["undefined in an array", Schema.Array(Schema.UndefinedOr(Schema.String)), ["a", undefined], "[1]", "JSON"],
  [
    "None as undefined in an array",
    Schema.Array(Schema.OptionFromUndefinedOr(Schema.String)),
    [Option.none()],
    "[0]",
    "JSON"
  ],
  ["a hole in an array", Unknown, Array(2), "[0]", "JSON"],
  ["an array with a property of its own", Unknown, Object.assign([1], { a: 1 }), "", "JSON"],
  ["an array with a symbol as a key", Unknown, Object.assign([1], { [symbol]: 1 }), "", "JSON"],
  ["an instance of a subclass of Array", Unknown, Numbers.from([1]), "", "JSON"],
  ["a symbol as a key", Unknown, { [symbol]: 1 }, "", "JSON"],
  ["a symbol as the key of a Struct", Schema.Struct({ [symbol]: Schema.Number }), { [symbol]: 1 }, "", "JSON"],
  [
    "a symbol as the key of a Record",
    Schema.Record({ key: Schema.SymbolFromSelf, value: Schema.Number }),
    { [symbol]: 1 },
    "",
    "JSON"
  ],
  ["what contains itself", Unknown, circular, "", "JSON"],
  ["what is nested too deeply", Unknown, deep(), "", "JSON"],
  ["what throws when it is read", Unknown, unreadable, "", "JSON"],
  [
    "undefined where a Schema is exact",
    Schema.Struct({ a: Schema.UndefinedOr(Schema.String) }).annotations({ parseOptions: { exact: true } }),
    { a: undefined },
    ".a",
    "JSON"
  ],
  [
    "undefined where a Schema is exact in a part of it",
    Schema.Struct({
      a: Schema.suspend(() =>
        Schema.Struct({ b: Schema.UndefinedOr(Schema.String) }).annotations({ parseOptions: { exact: true } })
      )
    }),
    { a: { b: undefined } },
    ".a.b",
    "JSON"
  ]
]

interface Tree {
  readonly value?: number | undefined
  readonly branches: ReadonlyArray<Tree>
}

const Tree = Schema.Struct({
  value: Schema.optional(Schema.Number),
  branches: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
})

const accepted: ReadonlyArray<readonly [name: string, Schema.Schema.Any, payload: unknown, back: unknown]> = [
  ["an optional property that is undefined, as missing", Tree, { value: undefined, branches: [] }, { branches: [] }],
  ["undefined in a part of a Schema that contains itself", Tree, { branches: [{ value: undefined, branches: [] }] }, {
    branches: [{ branches: [] }]
  }],
  ["a property that may be undefined", Schema.Struct({ a: Schema.UndefinedOr(Schema.String) }), { a: undefined }, {
    a: undefined
  }],
  ["None as undefined in a property", Schema.Struct({ a: Schema.OptionFromUndefinedOr(Schema.String) }), {
    a: Option.none()
  }, { a: Option.none() }],
  ["None as a missing property", Schema.Struct({ a: Schema.optionalWith(Schema.String, { as: "Option" }) }), {
    a: Option.none()
  }, { a: Option.none() }],
  ["undefined, as missing, where the Schema says nothing of properties", Unknown, { a: undefined, b: 1 }, { b: 1 }],
  ["-0, as 0", Schema.Number, -0, 0],
  ["a lone surrogate", Schema.Struct({ a: Schema.String }), { a: "\ud800 \udfff" }, { a: "\ud800 \udfff" }],
  ["a lone surrogate as a key", Unknown, { "\ud800": 1 }, { "\ud800": 1 }],
  ["a byte order mark at the begin of a string", Schema.String, "\ufeffa", "\ufeffa"],
  ["line separators and NUL", Schema.String, "\u2028\u2029\0", "\u2028\u2029\0"],
  [
    "the largest and the smallest number",
    Schema.Tuple(Schema.Number, Schema.Number),
    [1.7976931348623157e308, 5e-324],
    [
      1.7976931348623157e308,
      5e-324
    ]
  ],
  ["an object without a prototype", Unknown, Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ["arrays and objects of another realm", Unknown, runInNewContext("({ a: [{ b: null }] })"), { a: [{ b: null }] }],
  [
    "an object with a key of Object.prototype",
    Unknown,
    JSON.parse(`{"__proto__":1,"constructor":{"name":"a"}}`),
    JSON.parse(
      `{"__proto__":1,"constructor":{"name":"a"}}`
    )
  ],
  [
    "what a class encodes to",
    Person,
    new Person({ name: "a", born: new Date(0) }),
    new Person({ name: "a", born: new Date(0) })
  ]
]

describe("R21: a payload that JSON would change", () => {
  it.effect.each(refused)(
    "is not encoded: %s",
    ([, schema, payload, path, expected]) =>
      Effect.map(refusal(schema, payload), (issue) => assert.deepStrictEqual(issue, [path, expected]))
  )

  it.effect("is not encoded into an envelope either", () =>
    Effect.gen(function*() {
      const tube = Tube.make("t", { payload: Schema.Struct({ n: Schema.Number }), trace: true })
      const { issues } = yield* Effect.flip(tube.encode({ n: Number.NaN }))
      assert.deepStrictEqual(issues, [{ path: ".n", expected: number }])
    }))

  it.effect("is told with fifty keys of its path at most", () =>
    Effect.gen(function*() {
      let nested: unknown = Number.NaN
      for (let depth = 0; depth < 60; depth += 1) nested = [nested]
      const [path] = yield* refusal(Unknown, nested)
      assert.strictEqual(path, `${"[0]".repeat(50)}…`)
    }))
})

describe("R21: a payload that JSON keeps", () => {
  it.effect.each(accepted)(
    "is read back: %s",
    ([, schema, payload, back]) =>
      // The `deepStrictEqual` of Chai takes any two Options for equal.
      Effect.map(
        throughTube(untyped(schema), payload),
        (read) => assert.isTrue(isDeepStrictEqual(read, back), inspect(read))
      )
  )
})

/** What JSON may leave out or write as its equal, in a value that is read back: see `Tube.make`. */
const normal = (value: unknown): unknown => {
  if (Object.is(value, -0)) return 0
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value !== "object" || value === null) return value
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  return Object.fromEntries(
    Object.entries(value).filter(([, inner]) => inner !== undefined).map(([key, inner]) => [key, normal(inner)])
  )
}

describe("R21: any value", () => {
  const anything = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true
  })

  it("is read back, or not encoded", () => {
    const seen = { encoded: 0, refused: 0 }
    fc.assert(
      fc.property(anything, (value) => {
        const read = Effect.runSync(Effect.either(throughTube(Unknown, value)))
        const isKept = !Either.isLeft(read)
        seen[isKept ? "encoded" : "refused"] += 1
        if (isKept) assert.isTrue(isDeepStrictEqual(read.right, normal(value)))
        // What is read back equal from JSON is not refused.
        else assert.isFalse(isKeptByJson(value))
      }),
      { numRuns: 2000 }
    )
    assert.isAbove(seen.encoded, 100)
    assert.isAbove(seen.refused, 100)
  })
})

const isKeptByJson = (value: unknown) => {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value)
  } catch {
    return false
  }
}
