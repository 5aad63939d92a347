import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { describe as inWords, type Reply, ReplyDecoder } from "../../src/BeanstalkProtocol.ts"
import { sample, upTo } from "../support/edition.ts"
import {
  bytes,
  chars,
  cut,
  decodeAll,
  gibibyte,
  ok,
  recordedStream,
  recordings,
  repliesIn
} from "../support/replies.ts"

/** Replies as data that can be compared and printed. */
const plain = (replies: ReadonlyArray<Reply>): ReadonlyArray<object> =>
  replies.map((reply) => "body" in reply ? { ...reply, body: chars(reply.body) } : { ...reply })

const onlyReply = (text: string): object | undefined => {
  const [reply, ...more] = plain(repliesIn(text))
  assert.deepStrictEqual(more, [])
  return reply
}

const oneByOne = (stream: Uint8Array): Array<Uint8Array> => Array.from(stream, (byte) => Uint8Array.of(byte))

const isMalformed = (reply: Reply): boolean => reply._tag === "Malformed"

// ---------------------------------------------------------------------------------------------------------------------
// arbitrary replies, and how a server would write them
// ---------------------------------------------------------------------------------------------------------------------

const id = fc.bigUint({ max: 2n ** 64n - 1n }).map(String)
const count = fc.integer({ min: 0, max: 4294967295 })
const tube = fc.stringMatching(/^[A-Za-z0-9+/;.$_()][-A-Za-z0-9+/;.$_()]{0,199}$/)
/** Bodies that look like replies, or are anything at all. */
const body = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map(chars),
  fc.constantFrom("", "\r", "\n", "\r\n", "\r\n\r\n", "RESERVED 1 5\r\nhello\r\n", "NOT_FOUND\r\n", "---\n- default\n")
)

type Wired = readonly [wire: string, reply: object]

const wired = (wire: string, reply: object): Wired => [wire, reply]

const word: fc.Arbitrary<Wired> = fc.constantFrom(
  ["BURIED", { _tag: "Buried" }],
  ["DELETED", { _tag: "Deleted" }],
  ["RELEASED", { _tag: "Released" }],
  ["TOUCHED", { _tag: "Touched" }],
  ["KICKED", { _tag: "Kicked" }],
  ["PAUSED", { _tag: "Paused" }],
  ["NOT_FOUND", { _tag: "NotFound" }],
  ["NOT_IGNORED", { _tag: "NotIgnored" }],
  ["TIMED_OUT", { _tag: "TimedOut" }],
  ["DEADLINE_SOON", { _tag: "DeadlineSoon" }],
  ["EXPECTED_CRLF", { _tag: "ExpectedCRLF" }],
  ["JOB_TOO_BIG", { _tag: "JobTooBig" }],
  ["DRAINING", { _tag: "Draining" }],
  ["OUT_OF_MEMORY", { _tag: "OutOfMemory" }],
  ["INTERNAL_ERROR", { _tag: "InternalError" }],
  ["BAD_FORMAT", { _tag: "BadFormat" }],
  ["UNKNOWN_COMMAND", { _tag: "UnknownCommand" }]
)

const anyReply: fc.Arbitrary<Wired> = fc.oneof(
  word,
  id.map((id) => wired(`INSERTED ${id}`, { _tag: "Inserted", id })),
  id.map((id) => wired(`BURIED ${id}`, { _tag: "BuriedJob", id })),
  tube.map((tube) => wired(`USING ${tube}`, { _tag: "Using", tube })),
  count.map((count) => wired(`WATCHING ${count}`, { _tag: "Watching", count })),
  count.map((count) => wired(`KICKED ${count}`, { _tag: "KickedJobs", count })),
  fc.tuple(id, body).map(([id, body]) =>
    wired(`RESERVED ${id} ${body.length}\r\n${body}`, { _tag: "Reserved", id, body })
  ),
  fc.tuple(id, body).map(([id, body]) => wired(`FOUND ${id} ${body.length}\r\n${body}`, { _tag: "Found", id, body })),
  body.map((body) => wired(`OK ${body.length}\r\n${body}`, { _tag: "Ok", body }))
)

/** Streams that are right for a while, and then anything. */
const hostile: fc.Arbitrary<Uint8Array> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: anyReply.map(([wire]) => `${wire}\r\n`) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map(chars) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "RESERVED 1 5\r\n",
        "RESERVED 1 1073741824\r\n",
        "RESERVED 1 1073741825\r\n",
        "FOUND 99999999999999999999 1\r\n",
        "OK 16777217\r\n",
        "OK -1\r\n",
        "OK 1e3\r\n",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "x".repeat(255),
        "x".repeat(300)
      )
    }
  ),
  { maxLength: 12 }
).map((parts) => bytes(parts.join("")))

const places = fc.array(fc.nat(600), { maxLength: 20 })

// ---------------------------------------------------------------------------------------------------------------------

describe("replies", () => {
  it("every sequence of replies is read as what was written", () => {
    fc.assert(fc.property(fc.array(anyReply, { maxLength: 20 }), (replies) => {
      const stream = replies.map(([wire]) => `${wire}\r\n`).join("")
      assert.deepStrictEqual(plain(repliesIn(stream)), replies.map(([, reply]) => reply))
    }))
  })

  const bodies = ["hello", "hello".repeat(1000)]

  it.each(bodies)("the reply to a body is copied out of the piece it came in", (body) => {
    const piece = bytes(`RESERVED 1 ${body.length}\r\n${body}\r\n`)
    const replies = decodeAll([piece])
    piece.fill(0)
    assert.deepStrictEqual(plain(replies), [{ _tag: "Reserved", id: "1", body }])
  })

  it.each(bodies)("a body has a buffer of exactly its own size", (body) => {
    const found = `FOUND 1 ${body.length}\r\n${body}\r\n`
    for (const pieces of [[bytes(`${found}DELETED\r\n`)], oneByOne(bytes(found))]) {
      const [reply] = decodeAll(pieces)
      assert.isTrue(reply !== undefined && "body" in reply && reply.body.buffer.byteLength === body.length)
    }
  })

  it("ids up to 2^64 - 1 are kept digit by digit", () => {
    assert.deepStrictEqual(onlyReply("INSERTED 18446744073709551615\r\n"), {
      _tag: "Inserted",
      id: "18446744073709551615"
    })
    assert.deepStrictEqual(onlyReply("RESERVED 9007199254740993 0\r\n\r\n"), {
      _tag: "Reserved",
      id: "9007199254740993",
      body: ""
    })
  })

  it("a reply that follows a body in the same piece is not swallowed", () => {
    assert.deepStrictEqual(plain(repliesIn("RESERVED 1 3\r\none\r\nRESERVED 4 3\r\ntwo\r\n")), [
      { _tag: "Reserved", id: "1", body: "one" },
      { _tag: "Reserved", id: "4", body: "two" }
    ])
  })

  it("an empty body's CRLF is consumed", () => {
    assert.deepStrictEqual(plain(repliesIn("RESERVED 1 0\r\n\r\nDELETED\r\n")), [
      { _tag: "Reserved", id: "1", body: "" },
      { _tag: "Deleted" }
    ])
  })

  it("a body is complete only with its CRLF, however late that comes", () => {
    assert.deepStrictEqual(plain(decodeAll([bytes("RESERVED 1 5\r\nhello")])), [])
    assert.deepStrictEqual(plain(decodeAll([bytes("RESERVED 1 5\r\nhello\r")])), [])
    const late = [bytes("RESERVED 1 5\r\nhello"), bytes("\r"), bytes("\nDELETED\r\n")]
    assert.deepStrictEqual(plain(decodeAll(late)), [{ _tag: "Reserved", id: "1", body: "hello" }, { _tag: "Deleted" }])
  })

  it("an empty piece means nothing", () => {
    const pieces = ["", "RESERVED 1 2\r\n", "", "h", "", "i", "", "\r", "", "\n", ""].map(bytes)
    assert.deepStrictEqual(plain(decodeAll(pieces)), [{ _tag: "Reserved", id: "1", body: "hi" }])
  })

  it("a body is not text: CRLF, NUL and bytes that are no UTF-8 come as they were put", () => {
    const body = chars(Uint8Array.from({ length: 256 }, (_, byte) => byte))
    assert.deepStrictEqual(onlyReply(`FOUND 1 256\r\n${body}\r\n`), { _tag: "Found", id: "1", body })
  })

  it("two decoders do not share what has arrived in part", () => {
    const first = new ReplyDecoder(gibibyte)
    const second = new ReplyDecoder(gibibyte)
    const replies: Array<Reply> = []
    const onReply = (reply: Reply) => void replies.push(reply)
    first.push(bytes("RESERVED 1 5\r\nhe"), onReply)
    second.push(bytes("RESERVED 2 5\r\nwo"), onReply)
    first.push(bytes("llo\r\nDEL"), onReply)
    second.push(bytes("rld\r\nTOU"), onReply)
    first.push(bytes("ETED\r\n"), onReply)
    second.push(bytes("CHED\r\n"), onReply)
    assert.deepStrictEqual(plain(replies), [
      { _tag: "Reserved", id: "1", body: "hello" },
      { _tag: "Reserved", id: "2", body: "world" },
      { _tag: "Deleted" },
      { _tag: "Touched" }
    ])
  })

  it("it knows at every byte whether part of a reply has arrived", () => {
    const decoder = new ReplyDecoder(gibibyte)
    for (const reply of ["OK 2\r\nhi\r\n", "BURIED\r\n", "FOUND 1 0\r\n\r\n", "FOUND 1 2\r\n\r\n\r\n"]) {
      assert.isFalse(decoder.midway)
      for (const byte of oneByOne(bytes(reply.slice(0, -1)))) {
        decoder.push(byte, () => assert.fail("no reply has arrived"))
        assert.isTrue(decoder.midway)
      }
      decoder.push(bytes("\n"), () => undefined)
    }
    assert.isFalse(decoder.midway)
  })

  it("nothing is decoded behind the end, not even in the piece at hand", () => {
    const decoder = new ReplyDecoder(gibibyte)
    const replies: Array<Reply> = []
    decoder.push(bytes("DELETED\r\nTOUCHED\r\nBURIED\r\n"), (reply) => {
      replies.push(reply)
      if (replies.length === 2) decoder.end()
    })
    decoder.push(bytes("PAUSED\r\n"), (reply) => replies.push(reply))
    assert.deepStrictEqual(plain(replies), [{ _tag: "Deleted" }, { _tag: "Touched" }])
  })

  it("every recorded reply has a description for people that is one line without the body", () => {
    for (const [, exchanges] of recordings) {
      for (const reply of decodeAll([recordedStream(exchanges)])) {
        assert.match(inWords(reply), /^[A-Z_]+( [-\w]+)?( \(\d+ bytes\))?$/)
      }
    }
  })
})

describe("chunking", () => {
  const streams: ReadonlyArray<readonly [string, Uint8Array]> = recordings.map(([version, exchanges]) => [
    `the session recorded with ${version}`,
    recordedStream(exchanges)
  ])

  for (const [name, stream] of streams) {
    const whole = plain(decodeAll([stream]))

    it(`${name} has fifty-eight replies, none malformed`, () => {
      assert.strictEqual(whole.length, 58)
      assert.isFalse(decodeAll([stream]).some(isMalformed))
    })

    it(`${name}, split in two at every byte, gives the same replies`, () => {
      for (const place of sample(upTo(stream.length), 500)) {
        assert.deepStrictEqual(plain(decodeAll(cut(stream, [place]))), whole, `split at ${place}`)
      }
    })

    it(`${name}, in pieces of every small size, gives the same replies`, () => {
      for (let size = 1; size <= 64; size++) {
        const places = Array.from({ length: Math.floor(stream.length / size) }, (_, index) => (index + 1) * size)
        assert.deepStrictEqual(plain(decodeAll(cut(stream, places))), whole, `in pieces of ${size}`)
      }
    })

    it(`${name}, in random pieces, gives the same replies`, () => {
      fc.assert(fc.property(fc.array(fc.nat(stream.length), { maxLength: 200 }), (places) => {
        assert.deepStrictEqual(plain(decodeAll(cut(stream, places))), whole)
      }))
    })
  }

  it("any replies, in any pieces, are the same replies", () => {
    fc.assert(fc.property(fc.array(anyReply, { maxLength: 12 }), places, (replies, places) => {
      const stream = bytes(replies.map(([wire]) => `${wire}\r\n`).join(""))
      const expected = replies.map(([, reply]) => reply)
      assert.deepStrictEqual(plain(decodeAll(cut(stream, places))), expected)
      assert.deepStrictEqual(plain(decodeAll(oneByOne(stream))), expected)
    }))
  })

  it("any bytes, in any pieces, are decoded to the same replies", () => {
    fc.assert(
      fc.property(hostile, places, (stream, places) => {
        const whole = plain(decodeAll([stream]))
        assert.deepStrictEqual(plain(decodeAll(cut(stream, places))), whole)
        assert.deepStrictEqual(plain(decodeAll(oneByOne(stream))), whole)
      }),
      { numRuns: 500 }
    )
  })
})

describe("hostile bytes", () => {
  const malformed: ReadonlyArray<readonly [what: string, stream: string]> = [
    ["an empty line", "\r\n"],
    ["a bare line feed", "\n"],
    ["a line that ends with LF only", "DELETED\n"],
    ["a line that ends with LF and something else before it", "DELETEDx\n"],
    ["a line with a stray CR", "DELETED\r\r\n"],
    ["a CR inside a word", "DEL\rETED\r\n"],
    ["a word in lower case", "deleted\r\n"],
    ["a word with a space before it", " DELETED\r\n"],
    ["a word with a space behind it", "DELETED \r\n"],
    ["a word with an argument it does not have", "DELETED 1\r\n"],
    ["an unknown word", "HELLO\r\n"],
    ["another protocol", "HTTP/1.1 400 Bad Request\r\n"],
    ["INSERTED without an id", "INSERTED\r\n"],
    ["INSERTED with an empty id", "INSERTED \r\n"],
    ["INSERTED with a negative id", "INSERTED -1\r\n"],
    ["INSERTED with an id of 2^64", "INSERTED 18446744073709551616\r\n"],
    ["INSERTED with an id of 21 digits", "INSERTED 000000000000000000001\r\n"],
    ["INSERTED with two ids", "INSERTED 1 2\r\n"],
    ["INSERTED with two spaces", "INSERTED  1\r\n"],
    ["INSERTED with a tab", "INSERTED\t1\r\n"],
    ["INSERTED with a digit of another script", "INSERTED \xd9\xa1\r\n"],
    ["BURIED with no id behind its space", "BURIED \r\n"],
    ["USING without a name", "USING\r\n"],
    ["USING with a name that is glued to it", "USINGm\r\n"],
    ["USING with a longer name that is glued to it", "USINGmail\r\n"],
    ["USING with a name that cannot be one", "USING -a\r\n"],
    ["USING with a name of 201 bytes", `USING ${"a".repeat(201)}\r\n`],
    ["USING with two names", "USING a b\r\n"],
    ["WATCHING without a number", "WATCHING\r\n"],
    ["WATCHING with a fraction", "WATCHING 1.5\r\n"],
    ["WATCHING with an exponent", "WATCHING 1e3\r\n"],
    ["WATCHING with a negative number", "WATCHING -1\r\n"],
    ["WATCHING with a hexadecimal number", "WATCHING 0x1\r\n"],
    ["WATCHING with eleven digits", "WATCHING 10000000000\r\n"],
    ["KICKED with no number behind its space", "KICKED \r\n"],
    ["RESERVED without anything", "RESERVED\r\n"],
    ["RESERVED without a size", "RESERVED 1\r\n\r\n"],
    ["RESERVED with an empty size", "RESERVED 1 \r\n\r\n"],
    ["RESERVED with a negative size", "RESERVED 1 -1\r\n"],
    ["RESERVED with a fraction of a byte", "RESERVED 1 1.5\r\nx\r\n"],
    ["RESERVED with an exponent", "RESERVED 1 1e3\r\nx\r\n"],
    ["RESERVED with more than a size", "RESERVED 1 1 1\r\nx\r\n"],
    ["RESERVED with no number for an id", "RESERVED x 1\r\nx\r\n"],
    ["RESERVED with one byte more than the most", "RESERVED 1 1073741825\r\n"],
    ["RESERVED with ten nines", "RESERVED 1 9999999999\r\n"],
    ["FOUND with one byte more than the most", "FOUND 1 1073741825\r\n"],
    ["OK without a size", "OK\r\n\r\n"],
    ["OK with a size that is glued to it", "OK5\r\nhello\r\n"],
    ["OK with more than a size", "OK 1 1\r\nx\r\n"],
    ["OK with more than sixteen MiB", "OK 16777217\r\n"],
    ["a body that is longer than announced", "RESERVED 1 5\r\nhello!\r\n"],
    ["a body that is shorter than announced", "RESERVED 1 5\r\nhell\r\nDELETED\r\n"],
    ["a body that ends with LF only", "RESERVED 1 5\r\nhello\n"],
    ["a body that ends with two LF", "RESERVED 1 5\r\nhello\n\n"],
    ["a body that ends with two CR", "RESERVED 1 5\r\nhello\r\r"],
    ["a body that ends with LF and CR", "RESERVED 1 5\r\nhello\n\r"],
    ["a body that ends with CR and something else", "RESERVED 1 5\r\nhello\rX"],
    ["an empty body that is not empty", "RESERVED 1 0\r\nx\r\n"],
    ["a line of 257 bytes", `${"x".repeat(255)}\r\n`],
    ["257 bytes without a line feed", "x".repeat(257)]
  ]

  for (const [what, stream] of malformed) {
    it(`${what} is malformed, and ends the decoder: ${JSON.stringify(stream.slice(0, 40))}`, () => {
      for (const pieces of [[bytes(`${stream}DELETED\r\n`)], oneByOne(bytes(`${stream}DELETED\r\n`))]) {
        assert.deepStrictEqual(decodeAll(pieces).map(({ _tag }) => _tag), ["Malformed"])
      }
    })
  }

  it("hostile input 5: a line has at most 256 bytes with its CRLF", () => {
    const tooLong = [{ _tag: "Malformed", description: "a line of more than 256 bytes" }]
    assert.deepStrictEqual(plain(repliesIn("x".repeat(256))), [])
    assert.deepStrictEqual(plain(repliesIn("x".repeat(257))), tooLong)
    assert.deepStrictEqual(plain(repliesIn(`${"x".repeat(255)}\r\n`)), tooLong)
    assert.notDeepEqual(plain(repliesIn(`${"x".repeat(254)}\r\n`)), tooLong)
    assert.strictEqual(repliesIn(`${"x".repeat(254)}\r\n`).length, 1)
  })

  it("hostile input 5: the longest line of a real server, a name of 200 bytes, is read", () => {
    const tube = "a".repeat(200)
    assert.deepStrictEqual(onlyReply(`USING ${tube}\r\n`), { _tag: "Using", tube })
  })

  it("hostile input 5: a job has at most the bytes the decoder was made for", () => {
    const small = (text: string) => plain(decodeAll([bytes(text)], 5))
    assert.deepStrictEqual(small("RESERVED 1 5\r\nhello\r\n"), [{ _tag: "Reserved", id: "1", body: "hello" }])
    assert.deepStrictEqual(small("RESERVED 1 6\r\nhello!\r\n"), [
      { _tag: "Malformed", description: "RESERVED 1 6 (more than the 5 bytes accepted)" }
    ])
    assert.deepStrictEqual(small("FOUND 1 6\r\nhello!\r\n"), [
      { _tag: "Malformed", description: "FOUND 1 6 (more than the 5 bytes accepted)" }
    ])
  })

  it("hostile input 5: statistics have at most sixteen MiB, whatever a job may have", () => {
    assert.deepStrictEqual(plain(decodeAll([bytes("OK 6\r\nhello!\r\n")], 5)), [{ _tag: "Ok", body: "hello!" }])
    assert.deepStrictEqual(plain(decodeAll([bytes("OK 16777216\r\n")])), [])
    assert.deepStrictEqual(onlyReply("OK 16777217\r\n"), {
      _tag: "Malformed",
      description: "OK 16777217 (more than the 16777216 bytes accepted)"
    })
  })

  it("hostile input 6: no bytes make it throw, and at most one malformed reply comes, last", () => {
    fc.assert(
      fc.property(hostile, places, (stream, places) => {
        const decoder = new ReplyDecoder(gibibyte)
        const replies: Array<Reply> = []
        for (const piece of cut(stream, places)) decoder.push(piece, (reply) => replies.push(reply))
        const first = replies.findIndex(isMalformed)
        assert.isTrue(first === -1 || first === replies.length - 1)
        if (first === -1) return
        decoder.push(bytes("DELETED\r\n"), () => assert.fail("a reply after a malformed one"))
        decoder.push(stream, () => assert.fail("a reply after a malformed one"))
      }),
      { numRuns: 1000 }
    )
  })

  it("hostile input 6: pure noise is no reply at all", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 257, maxLength: 600 }), (noise) => {
      assert.deepStrictEqual(decodeAll([noise]).map(({ _tag }) => _tag), ["Malformed"])
    }))
  })

  it("hostile input 7: what is not the first reply is never quoted, since it may be a piece of a job", () => {
    const secret = "my secret, in a body"
    const before = ["DELETED\r\n", "RESERVED 1 2\r\nhi\r\n", "FOUND 1 2\r\nhi\r\n", ok("---\n")]
    for (const first of before) {
      const [, second] = plain(repliesIn(`${first}${secret}\r\n`))
      assert.deepStrictEqual(second, {
        _tag: "Malformed",
        description: "a line of 20 bytes that is no reply of beanstalkd"
      })
    }
  })

  it("hostile input 7: not even what looks like a reply is quoted, when it has no word of beanstalkd", () => {
    assert.deepStrictEqual(plain(repliesIn("DELETED\r\nPASSWORD hunter2\r\n")), [
      { _tag: "Deleted" },
      { _tag: "Malformed", description: "a line of 16 bytes that is no reply of beanstalkd" }
    ])
  })

  it("hostile input 7: where a body does not end, nothing of it is quoted", () => {
    for (const stream of ["RESERVED 1 2\r\nmy secret\r\n", "RESERVED 1 2\r\nmy\rsecret", "FOUND 1 0\r\nsecret\r\n"]) {
      assert.deepStrictEqual(onlyReply(stream), {
        _tag: "Malformed",
        description: "a body that is not followed by CRLF"
      })
    }
  })

  it("what answers first, and is no beanstalkd, is quoted, in part and escaped", () => {
    assert.deepStrictEqual(onlyReply("-ERR unknown command \x1b[31m\r\n"), {
      _tag: "Malformed",
      description: "\"-ERR unknown command \\u001b[31m\""
    })
    assert.deepStrictEqual(onlyReply(`${"x".repeat(200)}\r\n`), {
      _tag: "Malformed",
      description: `"${"x".repeat(80)}"`
    })
  })

  it("a word of the protocol with numbers that do not belong to it is quoted wherever it stands", () => {
    for (const line of ["DELETED 7", "INSERTED 1 2", "BURIED 18446744073709551616", "RESERVED 1"]) {
      assert.deepStrictEqual(plain(repliesIn(`DELETED\r\n${line}\r\n`)), [
        { _tag: "Deleted" },
        { _tag: "Malformed", description: JSON.stringify(line) }
      ])
    }
  })

  it("hostile input 7: a word of the protocol with anything else behind it may be a piece of a job", () => {
    for (const line of ["INSERTED secret", "FOUND my secret", "USING -secret"]) {
      assert.deepStrictEqual(plain(repliesIn(`DELETED\r\n${line}\r\n`)), [
        { _tag: "Deleted" },
        { _tag: "Malformed", description: `a line of ${line.length} bytes that is no reply of beanstalkd` }
      ])
    }
  })
})

describe("an empty body", () => {
  it("has a buffer of its own: transferring it changes no other reply", () => {
    const decoder = new ReplyDecoder(gibibyte)
    const bodies: Array<Uint8Array> = []
    const keep = (reply: Reply) => {
      if (reply._tag === "Reserved") bodies.push(reply.body)
    }
    decoder.push(bytes("RESERVED 1 0\r\n\r\n"), keep)
    for (const body of bodies) structuredClone(body, { transfer: [body.buffer] })
    decoder.push(bytes("RESERVED 2 0\r\n\r\nRESERVED 3 2\r\nhi\r\n"), keep)
    assert.deepStrictEqual(bodies.slice(1).map(chars), ["", "hi"])
  })
})

describe("memory", () => {
  const inBuffers = () => process.memoryUsage().arrayBuffers

  it("hostile input 5: ten thousand headers that announce a gibibyte each allocate nothing", () => {
    const header = bytes("RESERVED 1 1073741824\r\n")
    const decoders = Array.from({ length: 10_000 }, () => new ReplyDecoder(gibibyte))
    const before = inBuffers()
    for (const decoder of decoders) decoder.push(header, () => assert.fail("no reply has arrived"))
    assert.isBelow(inBuffers() - before, 64 * 1024)
    assert.isTrue(decoders.every((decoder) => decoder.midway))
  })

  it("hostile input 5: what is kept of a body is at most twice what has arrived of it", () => {
    const decoder = new ReplyDecoder(gibibyte)
    decoder.push(bytes("RESERVED 1 1073741824\r\n"), () => assert.fail("no reply has arrived"))
    const piece = new Uint8Array(1024)
    const before = inBuffers()
    for (let arrived = 1; arrived <= 4096; arrived++) {
      decoder.push(piece, () => assert.fail("no reply has arrived"))
    }
    const kept = inBuffers() - before
    decoder.end()
    // Every buffer that was outgrown may still be there, and they are together no larger than the last.
    assert.isBelow(kept, 4 * 4096 * 1024 + 64 * 1024)
  })
})

describe("linearity", () => {
  const cpu = (work: () => void): number => {
    const before = process.cpuUsage()
    work()
    const { system, user } = process.cpuUsage(before)
    return system + user
  }

  /** The least processor time of several runs: noise only ever adds. */
  const best = (work: () => void): number => Math.min(...Array.from({ length: 4 }, () => cpu(work)))

  /** How many times more the large one costs, measured again while noise may be why it is too much. */
  const ratio = (small: () => void, large: () => void): number => {
    let least = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 6 && least > 5; attempt++) least = Math.min(least, best(large) / best(small))
    return least
  }

  const decode = (pieces: ReadonlyArray<Uint8Array>, expected: number) => () => {
    const decoder = new ReplyDecoder(gibibyte)
    let replies = 0
    for (const piece of pieces) decoder.push(piece, () => replies++)
    assert.strictEqual(replies, expected)
  }

  const pieces = (stream: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
    Array.from({ length: Math.ceil(stream.length / size) }, (_, i) => stream.subarray(i * size, (i + 1) * size))

  const job = (size: number): Uint8Array => bytes(`RESERVED 1 ${size}\r\n${"x".repeat(size)}\r\n`)
  const mebibyte = 1024 ** 2

  it("hostile input 5: a body of 4 MiB in pieces of 64 bytes costs at most five times what 1 MiB costs", () => {
    const small = decode(pieces(job(mebibyte), 64), 1)
    const large = decode(pieces(job(4 * mebibyte), 64), 1)
    assert.isAtMost(ratio(small, large), 5)
  })

  it("hostile input 5: a body of 512 KiB byte by byte costs at most five times what 128 KiB cost", () => {
    const small = decode(pieces(job(mebibyte / 8), 1), 1)
    const large = decode(pieces(job(mebibyte / 2), 1), 1)
    assert.isAtMost(ratio(small, large), 5)
  })

  it("hostile input 5: 400,000 replies in one piece cost at most five times what 100,000 cost", () => {
    const small = decode([bytes("DELETED\r\n".repeat(100_000))], 100_000)
    const large = decode([bytes("DELETED\r\n".repeat(400_000))], 400_000)
    assert.isAtMost(ratio(small, large), 5)
  })
})
