/** The issues of a `PayloadError`: for common mistakes, and for hostile bodies, which must cost little. */
import { assert, describe, it } from "@effect/vitest"
import { Job, Tube } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const id = Schema.decodeSync(Job.JobId)("7")

const jobOf = (body: string | Uint8Array) => new Job.ReservedJob(id, Buffer.from(body))

/** The error for a body. */
const ofBody = <A, I>(payload: Schema.Schema<A, I>, body: string | Uint8Array) =>
  Effect.flip(Tube.make("emails", { payload }).decode(jobOf(body)))

/** The error for a payload of any type. */
const ofPayload = <A, I>({ ast }: Schema.Schema<A, I>, payload: unknown) =>
  Effect.flip(Tube.make("emails", { payload: Schema.make<unknown, unknown>(ast) }).encode(payload))

const Email = Schema.Struct({
  to: Schema.NonEmptyString,
  at: Schema.Date,
  age: Schema.optional(Schema.Int),
  lines: Schema.Array(Schema.String)
})

const Shape = Schema.Union(
  Schema.Struct({ _tag: Schema.Literal("Circle"), radius: Schema.Positive }),
  Schema.Struct({ _tag: Schema.Literal("Square"), side: Schema.Positive })
)

const Leaf = Schema.Struct({ _tag: Schema.Literal("Leaf"), value: Schema.Number })

interface Nested {
  readonly _tag: "Nested"
  readonly inner: Nested | typeof Leaf.Type
}

const Nested: Schema.Schema<Nested> = Schema.Struct({
  _tag: Schema.Literal("Nested"),
  inner: Schema.Union(Schema.suspend(() => Nested), Schema.suspend(() => Leaf))
})

class Person extends Schema.Class<Person>("Person")({ name: Schema.NonEmptyString }) {}

const strict = { parseOptions: { onExcessProperty: "error" } } as const

const scores = Schema.Record({ key: Schema.String, value: Schema.Number })

const bodies: ReadonlyArray<readonly [schema: Schema.Schema.AnyNoContext, body: string | Uint8Array, says: string]> = [
  [Email, "", "JSON"],
  [Email, "{to:1}", "JSON"],
  [Email, "\ufeff{to:1}", "JSON"],
  [Email, "\ufeff\ufeff{}", "JSON"],
  [Email, new Uint8Array([0x22, 0xff, 0x22]), "text that UTF-8 can express"],
  [Email, "{}", "NonEmptyString (missing) at .to; Date (missing) at .at; ReadonlyArray<string> (missing) at .lines"],
  [
    Email,
    `{"to":"","at":"soon","age":1.5,"lines":["a",1,"b",null]}`,
    "NonEmptyString at .to; Date at .at; Int at .age; undefined at .age; string at .lines[1]; string at .lines[3]"
  ],
  [scores, `{"Ada":1,"Grace":"x"}`, "number at [*]"],
  [Schema.Struct({ scores }), `{"scores":{"Ada":null}}`, "number at .scores[*]"],
  [Schema.Struct({ a: Schema.Number }).annotations(strict), `{"a":1,"b":2}`, "nothing at [*]"],
  [Schema.Tuple(Schema.Number, Schema.Number), `[1]`, "number (missing) at [1]"],
  [Shape, `{"_tag":"Oval"}`, `"Circle" | "Square" at ._tag`],
  [Shape, `{"_tag":"Circle","radius":-1}`, "Positive at .radius"],
  [Nested, `{"_tag":"Nested","inner":{"_tag":"Other"}}`, `"Nested" | "Leaf" at .inner._tag`],
  [Schema.Option(Person), `{"_tag":"Some","value":{"name":""}}`, "NonEmptyString at .value.name"],
  [Schema.HashMap({ key: Schema.String, value: Schema.Number }), `[["a",1],["b","x"]]`, "number at [1][1]"],
  [Schema.Struct({ data: Schema.parseJson(Schema.Number) }), `{"data":"{"}`, "JSON at .data"],
  [Schema.TemplateLiteral("user-", Schema.Number), `"me"`, "`user-${number}`"],
  [
    Schema.transform(Schema.String, Schema.String, {
      decode: (text) => {
        throw new RangeError(text)
      },
      encode: (text) => text
    }),
    `"x"`,
    "a value that the Schema accepts: it threw a RangeError"
  ]
]

const payloads: ReadonlyArray<readonly [schema: Schema.Schema.AnyNoContext, payload: unknown, says: string]> = [
  [Email, { to: "a", at: new Date(Number.NaN), lines: [1] }, "Date at .at; string at .lines[0]"],
  [Schema.Struct({ a: Schema.String }), 1, "{ readonly a: string }"],
  [Schema.Unknown, undefined, "JSON"],
  [Schema.Unknown, () => 1, "JSON"],
  [Schema.Unknown, 1n, "JSON"],
  [Person, { name: "" }, "NonEmptyString at .name"]
]

describe("a PayloadError", () => {
  for (const [schema, body, says] of bodies) {
    it.effect(`for the body ${typeof body === "string" ? JSON.stringify(body) : "of invalid UTF-8"}: expected ${says}`, () =>
      Effect.map(ofBody(schema, body), ({ direction, id, message }) => {
        assert.strictEqual(message, `The body of job 7 does not match the Schema of tube emails: expected ${says}.`)
        assert.deepStrictEqual([direction, String(id)], ["decode", "7"])
      }))
  }

  it.effect("says what the Schema expects of a payload", () =>
    Effect.forEach(
      payloads,
      ([schema, payload, says]) =>
        Effect.map(ofPayload(schema, payload), ({ direction, id, message }) => {
          assert.strictEqual(message, `The payload does not match the Schema of tube emails: expected ${says}.`)
          assert.deepStrictEqual([direction, id], ["encode", undefined])
        })
    ))

  it.effect("says what a text tube expects", () =>
    Effect.gen(function*() {
      const surrogate = yield* Effect.flip(Tube.text("text").encode("\ud800"))
      assert.strictEqual(
        surrogate.message,
        "The payload does not match the Schema of tube text: expected text that UTF-8 can express."
      )
      const number = Tube.text("text", { payload: Schema.NumberFromString })
      const { message } = yield* Effect.flip(number.decode(jobOf("x")))
      assert.strictEqual(
        message,
        "The body of job 7 does not match the Schema of tube text: expected NumberFromString."
      )
    }))
})

describe("encode and decode", () => {
  it.effect("run the Schema when their Effect is run, each time, and not before", () =>
    Effect.gen(function*() {
      let runs = 0
      const Counted = Schema.transform(Schema.String, Schema.String, {
        decode: (text) => `${text} ${runs += 1}`,
        encode: (text) => `${text} ${runs += 1}`
      })
      const tube = Tube.text("counted", { payload: Counted })
      const decode = tube.decode(jobOf("run"))
      const encode = tube.encode("run")
      assert.strictEqual(runs, 0)
      assert.deepStrictEqual(
        [yield* decode, yield* encode, yield* decode, yield* encode],
        ["run 1", "run 2", "run 3", "run 4"]
      )
    }))
})

describe("a hostile body", () => {
  const mebibyte = 2 ** 20

  it.effect("with a hundred thousand mistakes fails with ten issues", () =>
    Effect.gen(function*() {
      const wrong = Array.from({ length: 100_000 }, (_, index) => `w${index}`)
      const asArray = JSON.stringify(wrong)
      const asRecord = JSON.stringify(Object.fromEntries(wrong.map((word) => [word, word])))
      assert.isAbove(asRecord.length, mebibyte)
      for (const error of [ofBody(Schema.Array(Schema.Number), asArray), ofBody(scores, asRecord)]) {
        const { issues, message } = yield* error
        assert.strictEqual(issues.length, 10)
        assert.isBelow(message.length, 500)
      }
    }))

  it.effect("with a hundred thousand mistakes has only ten of them described", () =>
    Effect.gen(function*() {
      let words = 0
      const counted = Schema.Number.annotations({})
      Object.defineProperty(counted.ast, "toString", { value: () => `number ${words += 1}` })
      yield* ofBody(Schema.Array(counted), JSON.stringify(Array.from({ length: 100_000 }, () => "wrong")))
      assert.strictEqual(words, 10)
    }))

  it.effect("of any depth fails with a short error", () =>
    Effect.gen(function*() {
      type Deep = ReadonlyArray<Deep>
      const Deep: Schema.Schema<Deep> = Schema.Array(Schema.suspend(() => Deep))
      const nested = (depth: number) => "[".repeat(depth) + "1" + "]".repeat(depth)
      for (const depth of [10, 300, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 100_000]) {
        assert.isBelow((yield* ofBody(Deep, nested(depth))).message.length, 500)
      }
      const path = "[0]".repeat(50)
      assert.deepStrictEqual((yield* ofBody(Deep, nested(52))).issues, [{
        path: `${path}…`,
        expected: "a different value"
      }])
      assert.deepStrictEqual((yield* ofBody(Deep, nested(50))).issues.map(({ path }) => path), [path])
      assert.deepStrictEqual((yield* ofBody(Deep, "[".repeat(100_000))).issues, [{ path: "", expected: "JSON" }])
      assert.deepStrictEqual((yield* ofBody(Schema.String, nested(100_000))).issues, [{ path: "", expected: "string" }])
    }))

  it.effect("with a huge number, or keys of Object.prototype, does no harm", () =>
    Effect.gen(function*() {
      const huge = yield* ofBody(Schema.Int, `1${"0".repeat(mebibyte)}`)
      assert.deepStrictEqual(huge.issues, [{ path: "", expected: "Int" }])
      const polluting = Tube.make("emails", { payload: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
      const polluted = yield* polluting.decode(
        jobOf(`{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}`)
      )
      assert.notProperty({}, "admin")
      assert.deepStrictEqual(Object.keys(polluted).includes("constructor"), true)
      const doubled = yield* Tube.make("emails", { payload: scores }).decode(jobOf(`{"a":"x","a":2}`))
      assert.deepStrictEqual(doubled, { a: 2 })
      assert.deepStrictEqual((yield* ofBody(scores, `{"__proto__":"x"}`)).issues, [{ path: "[*]", expected: "number" }])
    }))
})
