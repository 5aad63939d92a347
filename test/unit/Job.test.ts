import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"
import fc from "fast-check"
import { inspect } from "node:util"
import {
  defaultTube,
  InvalidText,
  isJobId,
  isTubeName,
  JobId,
  PeekedJob,
  ReservedJob,
  TubeName
} from "../../src/Job.ts"
import { bytes, untyped } from "../support/replies.ts"

const id = Schema.decodeSync(JobId)("7")

const jobs = (body: Uint8Array): ReadonlyArray<ReservedJob | PeekedJob> => [
  new ReservedJob(id, body),
  new PeekedJob(id, body)
]

describe("ids", () => {
  it("are one to twenty digits, at most 2^64 - 1", () => {
    for (const text of ["0", "1", "9007199254740993", "18446744073709551615", "00000000000000000001"]) {
      assert.isTrue(isJobId(text), text)
    }
    for (const text of ["", "-1", "1.0", "1\n", " 1", "١", "18446744073709551616", "000000000000000000001"]) {
      assert.isFalse(isJobId(text), JSON.stringify(text))
    }
  })

  it("are exactly the unsigned numbers of 64 bits", () => {
    fc.assert(fc.property(fc.bigInt({ min: -5n, max: 2n ** 66n }), (number) => {
      assert.strictEqual(isJobId(`${number}`), number >= 0n && number < 2n ** 64n)
    }))
  })

  it.effect("are decoded by their schema, digit by digit", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Schema.decode(JobId)("18446744073709551615"), "18446744073709551615")
      assert.strictEqual(yield* Schema.encode(JobId)(id), "7")
      const error = yield* Effect.flip(Schema.decode(JobId)("18446744073709551616"))
      assert.include(error.message, "JobId")
      yield* Effect.flip(Schema.decodeUnknown(JobId)(7))
    }))
})

describe("names of tubes", () => {
  it("are 1 to 200 of the characters that beanstalkd allows, not beginning with -", () => {
    for (const text of ["a", "default", "123", "aZ09+/;.$_()-", "a".repeat(200)]) assert.isTrue(isTubeName(text), text)
    for (const text of ["", "-a", "a b", "a\n", "a\u2028", "a\0", "é", "a".repeat(201)]) {
      assert.isFalse(isTubeName(text), JSON.stringify(text))
    }
  })

  it("are of all single characters exactly the 71 that beanstalkd allows, and the - only behind another", () => {
    const characters = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code))
    const inside = characters.filter((character) => isTubeName(`a${character}`)).join("")
    assert.strictEqual(inside, "$()+-./0123456789;ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
    assert.strictEqual(characters.filter(isTubeName).join(""), inside.replace("-", ""))
  })

  it.effect("are decoded by their schema", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Schema.decode(TubeName)("mail"), "mail")
      const error = yield* Effect.flip(Schema.decode(TubeName)("-mail"))
      assert.include(error.message, "TubeName")
    }))

  it("there is one that every server has", () => {
    assert.strictEqual(defaultTube, "default")
  })
})

describe("the text of a job", () => {
  it.effect("is UTF-8 unless another encoding is asked for", () =>
    Effect.gen(function*() {
      for (const job of jobs(new TextEncoder().encode("é€😀\r\n\0"))) {
        assert.strictEqual(yield* job.text(), "é€😀\r\n\0")
        assert.strictEqual(yield* job.text("utf-8"), "é€😀\r\n\0")
      }
      for (const job of jobs(bytes("caf\xe9"))) assert.strictEqual(yield* job.text("latin1"), "café")
      for (const job of jobs(bytes("\x93\xfa\x96\x7b"))) assert.strictEqual(yield* job.text("shift_jis"), "日本")
    }))

  it.effect("may be empty", () =>
    Effect.gen(function*() {
      for (const job of jobs(new Uint8Array(0))) assert.strictEqual(yield* job.text(), "")
    }))

  it.effect("keeps a byte order mark, since it was put", () =>
    Effect.gen(function*() {
      for (const job of jobs(bytes("\xef\xbb\xbfhi"))) {
        assert.strictEqual(yield* job.text(), "\ufeffhi")
        assert.strictEqual(yield* job.text("utf-8", { invalid: "replace" }), "\ufeffhi")
      }
    }))

  it.effect("fails with InvalidText where the bytes are no text", () =>
    Effect.gen(function*() {
      for (const body of ["\xff", "secret\xc3", "\xed\xa0\x80", "\xc0\xaf"]) {
        for (const job of jobs(bytes(body))) {
          const error = yield* Effect.flip(job.text())
          assert.deepStrictEqual({ ...error }, { _tag: "InvalidText", id, encoding: "utf-8", reason: "NotText" })
        }
      }
    }))

  it.effect("has replacement characters where they are asked for", () =>
    Effect.gen(function*() {
      for (const job of jobs(bytes("a\xffb"))) {
        assert.strictEqual(yield* job.text("utf-8", { invalid: "replace" }), "a\ufffdb")
        yield* Effect.flip(job.text("utf-8", { invalid: "fail" }))
        yield* Effect.flip(job.text("utf-8", { invalid: undefined }))
      }
    }))

  it.effect("fails with InvalidText for an unknown encoding, whatever the options", () =>
    Effect.gen(function*() {
      for (const job of jobs(bytes("secret"))) {
        for (const encoding of ["utf-9", "", "utf-8\r\n\0"]) {
          const expected = { _tag: "InvalidText", id, encoding, reason: "UnknownEncoding" }
          assert.deepStrictEqual<object>({ ...yield* Effect.flip(job.text(encoding)) }, expected)
          const replaced = yield* Effect.flip(job.text(encoding, { invalid: "replace" }))
          assert.deepStrictEqual<object>({ ...replaced }, expected)
        }
      }
    }))

  it("is decoded when it is run, not when it is asked for", () => {
    for (const job of jobs(bytes("\xff"))) assert.isTrue(Effect.isEffect(job.text("utf-9")))
  })

  it.effect.prop(
    "is, for every text that was encoded, that text",
    [fc.fullUnicodeString()],
    ([text]) =>
      Effect.gen(function*() {
        for (const job of jobs(new TextEncoder().encode(text))) assert.strictEqual(yield* job.text(), text)
      })
  )
})

describe("a job that is printed", () => {
  const secret = "my secret"

  /** Whether the body can be seen in a text: as text, as base64, or as the numbers of its bytes. */
  const betrays = (text: string): boolean =>
    [secret, btoa(secret), [...bytes(secret)].join(","), Buffer.from(secret).toString("hex").replace(/..\B/g, "$& ")]
      .some((trace) => text.replace(/[\s"]*,[\s"]*/g, ",").includes(trace)) || /109[^]{1,12}121[^]{1,12}32/.test(text)

  it("what would betray a body is recognised", () => {
    for (
      const text of [
        `a ${secret}`,
        inspect(bytes(secret)),
        inspect(Buffer.from(secret)),
        JSON.stringify(bytes(secret)),
        JSON.stringify([...bytes(secret)], undefined, 2),
        btoa(secret)
      ]
    ) assert.isTrue(betrays(text), text)
    assert.isFalse(betrays("{ id: 7, bytes: 9 }"))
  })

  for (const job of jobs(bytes(secret))) {
    it(`hostile input 7: a ${job._tag} shows its size, never its body`, () => {
      const shown = [
        String(job),
        `${job}`,
        JSON.stringify(job),
        JSON.stringify({ nested: [job] }),
        inspect(job),
        inspect({ nested: { deeper: [job] } }, { depth: 10, showHidden: true }),
        Inspectable.format(job),
        Inspectable.toStringUnknown(job),
        Cause.pretty(Cause.fail(job)),
        Cause.pretty(Cause.die(job)),
        Cause.pretty(Cause.die({ job })),
        String(Cause.fail(job)),
        inspect(Cause.fail(job), { depth: 10 }),
        JSON.stringify(Cause.fail(job))
      ]
      for (const text of shown) {
        assert.include(text, "7")
        assert.include(text, "9")
        assert.isFalse(betrays(text), text)
      }
    })

    it(`a ${job._tag} tells what it is, and what it has`, () => {
      assert.deepStrictEqual(job.toJSON(), { _id: "effect-beanstalk/Job", _tag: job._tag, id, bytes: 9 })
      assert.strictEqual(job.id, "7")
      assert.deepStrictEqual(job.body, bytes(secret))
    })
  }

  it("a job that was reserved is told apart from one that was only looked at", () => {
    assert.deepStrictEqual(jobs(bytes("")).map(({ _tag }) => _tag), ["ReservedJob", "PeekedJob"])
  })

  it.effect("hostile input 7: text that is none is not quoted by the error", () =>
    Effect.gen(function*() {
      for (const job of jobs(bytes(`${secret}\xff`))) {
        const error = yield* Effect.flip(job.text())
        assert.instanceOf(error, InvalidText)
        const shown = [
          error.message,
          String(error),
          JSON.stringify(error),
          inspect(error, { depth: 10, showHidden: true }),
          Cause.pretty(Cause.fail(error)),
          error.stack ?? ""
        ]
        for (const text of shown) assert.isFalse(betrays(text), text)
      }
    }))

  it("an id that is no text is no id, wherever it comes from", () => {
    assert.throws(() => Schema.decodeUnknownSync(JobId)(untyped("7")))
  })
})
