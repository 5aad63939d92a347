import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import fc from "fast-check"
import { runInNewContext } from "node:vm"
import { InvalidArgument } from "../../src/BeanstalkError.ts"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import * as Validate from "../../src/internal/protocol/validate.ts"
import { bytes, chars, untyped } from "../support/replies.ts"

type Made = Protocol.Command<unknown, unknown> | InvalidArgument

/** What untyped code passes where it passes nothing. */
const nothing = untyped("{}").nothing

const refusal = (made: Made): InvalidArgument => {
  if (made instanceof InvalidArgument) return made
  return assert.fail(`${JSON.stringify(made.line)} was not refused`)
}

const refuses = (made: Made, command: string, argument: string): void => {
  const refused = refusal(made)
  assert.deepStrictEqual([refused._tag, refused.command, refused.argument], ["InvalidArgument", command, argument])
  assert.match(refused.message, new RegExp(`^${command}: ${argument} must (be|have) [^]+, but (is|has) [^]+\\.$`))
}

const accepts = (made: Made): void => {
  assert.strictEqual(made._tag, "Command")
}

/** Every command that takes the name of a tube, made with one. */
const withTube: Readonly<Record<string, (tube: string) => Made>> = {
  put: (tube) => Protocol.put("body", { tube }),
  use: Protocol.use,
  watch: Protocol.watch,
  ignore: Protocol.ignore,
  "peek-ready": (tube) => Protocol.peekReady({ tube }),
  "peek-delayed": (tube) => Protocol.peekDelayed({ tube }),
  "peek-buried": (tube) => Protocol.peekBuried({ tube }),
  kick: (tube) => Protocol.kick(1, { tube }),
  "stats-tube": Protocol.statsTube,
  "pause-tube": (tube) => Protocol.pauseTube(tube, 0)
}

/** Every command that takes the id of a job, made with one. */
const withId: Readonly<Record<string, (id: string) => Made>> = {
  "reserve-job": Protocol.reserveJob,
  delete: Protocol.deleteJob,
  touch: Protocol.touch,
  release: (id) => Protocol.release(id, { priority: 0 }),
  bury: (id) => Protocol.bury(id, 0),
  peek: Protocol.peek,
  "kick-job": Protocol.kickJob,
  "stats-job": Protocol.statsJob
}

/** Every argument that is a number of 32 bits. */
const withNumber: ReadonlyArray<readonly [command: string, argument: string, make: (number: number) => Made]> = [
  ["put", "priority", (priority) => Protocol.put("body", { priority })],
  ["release", "priority", (priority) => Protocol.release("1", { priority })],
  ["bury", "priority", (priority) => Protocol.bury("1", priority)],
  ["kick", "bound", (bound) => Protocol.kick(bound)]
]

/** Every argument that is a duration, and the most seconds it may have. */
const withDuration: ReadonlyArray<
  readonly [command: string, argument: string, most: number, make: (duration: Duration.DurationInput) => Made]
> = [
  ["put", "delay", 4294967295, (delay) => Protocol.put("body", { delay })],
  ["put", "ttr", 4294967295, (ttr) => Protocol.put("body", { ttr })],
  ["release", "delay", 4294967295, (delay) => Protocol.release("1", { priority: 0, delay })],
  ["pause-tube", "duration", 4294967295, (duration) => Protocol.pauseTube("mail", duration)],
  ["reserve-with-timeout", "timeout", 2147483647, Protocol.reserveWithTimeout]
]

describe("names of tubes", () => {
  const impossible: ReadonlyArray<readonly [what: string, name: string]> = [
    ["nothing in it", ""],
    ["a CR", "a\rb"],
    ["an LF", "a\nb"],
    ["CRLF and a command", "a\r\ndelete 5\r\n"],
    ["a trailing CR", "mail\r"],
    ["a trailing LF", "mail\n"],
    ["a trailing CRLF", "mail\r\n"],
    ["a leading LF", "\nmail"],
    ["NUL", "a\0b"],
    ["a trailing NUL", "mail\0"],
    ["U+0085, the next line", "a\u0085b"],
    ["a trailing U+0085", "mail\u0085"],
    ["U+2028, the line separator", "a\u2028b"],
    ["a trailing U+2028", "mail\u2028"],
    ["U+2029, the paragraph separator", "mail\u2029"],
    ["a pair of surrogates", "a😀"],
    ["a lone high surrogate", "a\ud83d"],
    ["a lone low surrogate", "\ude00a"],
    ["a byte order mark", "\ufeffmail"],
    ["a letter with an accent", "é"],
    ["a letter that looks like another", "mаil"],
    ["a digit of another script", "١"],
    ["a character whose lower byte is LF", "a\u010ab"],
    ["a space", "a b"],
    ["a leading space", " mail"],
    ["a trailing space", "mail "],
    ["a tab", "a\tb"],
    ["DEL", "a\x7f"],
    ["a leading -", "-mail"],
    ["nothing but -", "-"],
    ["201 bytes", "a".repeat(201)],
    ["a million bytes", "a".repeat(1_000_000)],
    ...Array.from("!\"#%&'*,:<=>?@[\\]^`{|}~", (character) => [character, `a${character}`] satisfies [string, string])
  ]

  for (const [what, name] of impossible) {
    it(`hostile input 1: a name with ${what} is refused by every command`, () => {
      for (const [command, make] of Object.entries(withTube)) refuses(make(name), command, "tube")
    })
  }

  const possible: ReadonlyArray<readonly [what: string, name: string]> = [
    ["one character", "a"],
    ["200 bytes", "a".repeat(200)],
    ["every character there may be", "09AZaz+/;.$_()-"],
    ["a trailing -", "mail-"],
    ["only digits", "123"],
    ["nothing but punctuation", "+/;.$_()"]
  ]

  for (const [what, name] of possible) {
    it(`hostile input 1: a name with ${what} is accepted by every command`, () => {
      for (const make of Object.values(withTube)) accepts(make(name))
    })
  }

  it("hostile input 1: what is no text at all is refused as a name", () => {
    for (const json of ["null", "true", "1", "[]", "{}", "[\"mail\"]"]) {
      for (const [command, make] of Object.entries(withTube)) refuses(make(untyped(json)), command, "tube")
    }
  })

  it("hostile input 1: a command is made of any text exactly if it is a name", () => {
    const anything = fc.oneof(fc.fullUnicodeString(), fc.string16bits(), fc.stringMatching(/^[-a(;$]{1,3}\s?$/))
    fc.assert(fc.property(anything, (name) => {
      const isName = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}$/.test(name)
      for (const make of Object.values(withTube)) assert.strictEqual(make(name)._tag === "Command", isName)
    }))
  })
})

describe("ids of jobs", () => {
  const impossible: ReadonlyArray<string> = [
    "",
    " ",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "0x1",
    "1n",
    " 1",
    "1 ",
    "1\n",
    "1\r\n",
    "1\r\ndelete 2",
    "1\0",
    "1\u2028",
    "1\u0085",
    "١",
    "１",
    "one",
    "NaN",
    "Infinity",
    "18446744073709551616",
    "99999999999999999999",
    "100000000000000000000",
    "000000000000000000001",
    "0".repeat(21),
    `${"0".repeat(19)}123`,
    `${"0".repeat(30)}1`,
    `${"0".repeat(1_000_000)}1`
  ]

  for (const id of impossible) {
    it(`hostile input 2: ${JSON.stringify(id.slice(0, 30))} (${id.length} characters) is no id for any command`, () => {
      for (const [command, make] of Object.entries(withId)) refuses(make(id), command, "id")
    })
  }

  it("hostile input 2: a number is no id, since it may have been rounded", () => {
    for (const json of ["1", "18446744073709551615", "null", "[\"1\"]", "{}"]) {
      for (const [command, make] of Object.entries(withId)) refuses(make(untyped(json)), command, "id")
    }
  })

  for (
    const [id, written] of [
      ["0", "0"],
      ["1", "1"],
      ["007", "7"],
      ["00000000000000000000", "0"],
      ["00000000000000000001", "1"],
      ["9007199254740993", "9007199254740993"],
      ["18446744073709551615", "18446744073709551615"]
    ] satisfies ReadonlyArray<[string, string]>
  ) {
    it(`hostile input 2: ${id} is an id, and written as ${written}`, () => {
      for (const [command, make] of Object.entries(withId)) {
        const made = make(id)
        assert.match(made._tag === "Command" ? made.line : "", new RegExp(`^${command} ${written}( 0| 0 0)?$`))
      }
    })
  }

  it("hostile input 2: every unsigned number of 64 bits is an id, and none beyond", () => {
    fc.assert(fc.property(fc.bigUint({ max: 2n ** 66n }), (id) => {
      assert.strictEqual(Protocol.deleteJob(`${id}`)._tag === "Command", id < 2n ** 64n)
    }))
  })
})

describe("numbers", () => {
  const impossible = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -1,
    -0.5,
    0.5,
    1.5,
    4294967295.5,
    4294967296,
    2 ** 53,
    1e21,
    Number.MIN_VALUE
  ]

  for (const number of impossible) {
    it(`hostile input 2: ${number} is no number for any command`, () => {
      for (const [command, argument, make] of withNumber) refuses(make(number), command, argument)
    })
  }

  for (const json of ["\"10\"", "\"1\\r\\ndelete 5\"", "\"\"", "true", "[]", "[1]", "{}"]) {
    it(`hostile input 2: ${json} is no number for any command`, () => {
      for (const [command, argument, make] of withNumber) refuses(make(untyped(json)), command, argument)
    })
  }

  it("hostile input 2: a number that is missing is refused where there is no default", () => {
    for (const missing of [nothing, null]) {
      refuses(Protocol.release("1", { priority: untyped(JSON.stringify(missing ?? null)) }), "release", "priority")
    }
    refuses(Protocol.release("1", untyped("{}")), "release", "priority")
    refuses(Protocol.bury("1", nothing), "bury", "priority")
    refuses(Protocol.kick(nothing), "kick", "bound")
  })

  it("hostile input 2: null is no number, not even where there is a default", () => {
    refuses(Protocol.put("body", untyped("{\"priority\":null}")), "put", "priority")
  })

  for (const number of [0, 1, 1023, 1024, 4294967295]) {
    it(`hostile input 2: ${number} is a number for every command`, () => {
      for (const [, , make] of withNumber) accepts(make(number))
    })
  }
})

describe("durations", () => {
  const impossible: ReadonlyArray<readonly [what: string, duration: Duration.DurationInput]> = [
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    ["-1", -1],
    ["-0.001", -0.001],
    ["-1n", -1n],
    ["\"-1 seconds\"", "-1 seconds"],
    ["[-1, 0]", [-1, 0]],
    ["[0, -1]", [0, -1]],
    ["[NaN, 0]", [Number.NaN, 0]],
    ["[Infinity, 0]", [Number.POSITIVE_INFINITY, 0]],
    ["a Duration without end", Duration.infinity],
    ["2^32 seconds", "4294967296 seconds"],
    ["2^32 - 1 seconds and one millisecond", 4294967295001],
    ["a thousand years", Duration.days(365_000)],
    ["1e300 milliseconds", 1e300]
  ]

  for (const [what, duration] of impossible) {
    it(`hostile input 2: ${what} is no duration for any command`, () => {
      for (const [command, argument, , make] of withDuration) refuses(make(duration), command, argument)
    })
  }

  const impossibleJson = [
    "\"5\"",
    "\"5 parsecs\"",
    "\"1e3 seconds\"",
    "\" -5 seconds\"",
    "\"5 seconds\\r\\n\"",
    "\"Infinity\"",
    "\"\"",
    "true",
    "null",
    "[]",
    "[1]",
    "[1,2,3]",
    "[\"1\",\"2\"]",
    "{}",
    "{\"seconds\":5}"
  ]

  for (const json of impossibleJson) {
    it(`hostile input 2: ${json} is no duration for any command`, () => {
      for (const [command, argument, , make] of withDuration) refuses(make(untyped(json)), command, argument)
    })
  }

  it("hostile input 2: a timeout has at most 2^31 - 1 seconds, beyond which 1.12 waits for ever", () => {
    accepts(Protocol.reserveWithTimeout("2147483647 seconds"))
    refuses(Protocol.reserveWithTimeout("2147483648 seconds"), "reserve-with-timeout", "timeout")
    refuses(Protocol.reserveWithTimeout(2147483647001), "reserve-with-timeout", "timeout")
  })

  it("hostile input 2: a timeout that is missing is refused", () => {
    refuses(Protocol.reserveWithTimeout(nothing), "reserve-with-timeout", "timeout")
    refuses(Protocol.pauseTube("mail", nothing), "pause-tube", "duration")
  })

  const unitless: ReadonlyArray<readonly [duration: Duration.DurationInput, written: string]> = [
    [60, "60 seconds"],
    [1, "1 seconds"],
    [999.5, "999.5 seconds"],
    [60n, "60 seconds"],
    [999_999_999n, "999999999 seconds"]
  ]

  for (const [duration, written] of unitless) {
    it(`${written} without the unit are refused by every command, which tells how to write them`, () => {
      for (const [command, argument, , make] of withDuration) {
        refuses(make(duration), command, argument)
        assert.include(refusal(make(duration)).message, `write "${written}"`)
      }
    })
  }

  it("what is less than a second and has a unit, or is nothing, or is a second or more, is accepted by every command", () => {
    const durations: ReadonlyArray<Duration.DurationInput> = [
      0,
      0n,
      1000,
      1_000_000_000n,
      "60 millis",
      "1 nanos",
      [0, 60],
      Duration.millis(60)
    ]
    for (const duration of durations) for (const [, , , make] of withDuration) accepts(make(duration))
  })

  it("every duration from a second to the most is accepted, and is never shortened", () => {
    for (const [, , most, make] of withDuration) {
      fc.assert(fc.property(fc.integer({ min: 1000, max: most * 1000 }), (millis) => {
        const made = make(millis)
        const written = made._tag === "Command" ? made.line.split(" ").map(Number) : []
        assert.include(written, Math.ceil(millis / 1000))
      }))
    }
  })
})

describe("bodies", () => {
  it("hostile input 3: the length is that of the bytes, not of the text", () => {
    const made = Protocol.put("é€😀")
    assert.strictEqual(made._tag === "Command" ? made.line : "", "put 1024 0 60 9")
  })

  for (const json of ["null", "1", "true", "[104,105]", "{}", "{\"length\":5}", "{\"0\":104,\"length\":1}"]) {
    it(`hostile input 3: ${json} is neither text nor bytes`, () => {
      refuses(Protocol.put(untyped(json)), "put", "body")
    })
  }

  it("hostile input 3: nothing at all is neither text nor bytes", () => {
    refuses(Protocol.put(nothing), "put", "body")
  })

  it("hostile input 3: a body of 2^32 bytes is refused, since the server cannot count them", () => {
    const immense = Object.defineProperty(new Uint8Array(0), "length", { value: 4294967296 })
    refuses(Protocol.put(immense), "put", "body")
  })

  it("hostile input 7: what is refused because of something else does not tell the body", () => {
    const refused = refusal(Protocol.put("secret", { priority: -1 }))
    assert.notInclude(`${String(refused)} ${JSON.stringify(refused)} ${refused.stack}`, "secret")
  })

  it("hostile input 7: a body of the wrong type is not shown either", () => {
    const refused = refusal(Protocol.put(untyped("{\"secret\":\"secret\"}")))
    assert.notInclude(`${String(refused)} ${JSON.stringify(refused)} ${refused.stack}`, "secret")
  })
})

describe("injection", () => {
  const body = "pause-tube default 9"

  const headers: ReadonlyArray<readonly [argument: string, options: string]> = [
    ["priority", "{\"priority\":-1}"],
    ["priority", "{\"priority\":1.5}"],
    ["priority", "{\"priority\":4294967296}"],
    ["priority", "{\"priority\":\"x\"}"],
    ["delay", "{\"delay\":\"1.5\"}"],
    ["delay", "{\"delay\":-1}"],
    ["delay", "{\"delay\":\"1 0 0\"}"],
    ["ttr", "{\"ttr\":\"-1 seconds\"}"],
    ["ttr", "{\"ttr\":{}}"],
    ["tube", "{\"tube\":\"a\\r\\npause-tube default 9\"}"]
  ]

  for (const [argument, options] of headers) {
    it(`hostile input: a put with ${options}, whose body the server would execute, is refused`, () => {
      refuses(Protocol.put(body, untyped(options)), "put", argument)
    })
  }

  it("hostile input: a line feed in an argument cannot start another command", () => {
    refuses(Protocol.use("default\r\ndelete 1"), "use", "tube")
    refuses(Protocol.deleteJob("1\r\ndelete 2"), "delete", "id")
    refuses(Protocol.kick(untyped("\"1\\r\\ndelete 2\"")), "kick", "bound")
    refuses(Protocol.pauseTube("default", untyped("\"1 second\\r\\ndelete 2\"")), "pause-tube", "duration")
  })

  it("hostile input 4: whatever is passed, a line has only printable ASCII, and at most 224 bytes with its CRLF", () => {
    const json = fc.oneof(
      fc.json({ maxDepth: 1 }),
      fc.double().map((number) => JSON.stringify(number)),
      fc.nat().map((number) => JSON.stringify(`${number} seconds`)),
      fc.fullUnicodeString().map((text) => JSON.stringify(text)),
      fc.constantFrom("\"1\"", "\"mail\"", "\"a\\r\\nb\"", "4294967295", "-0")
    )
    fc.assert(
      fc.property(json, json, json, json, (a, b, c, d) => {
        const made: ReadonlyArray<Made> = [
          Protocol.put(untyped(a), { tube: untyped(b), priority: untyped(c), delay: untyped(d), ttr: untyped(a) }),
          Protocol.use(untyped(a)),
          Protocol.reserveWithTimeout(untyped(a)),
          Protocol.reserveJob(untyped(a)),
          Protocol.deleteJob(untyped(a)),
          Protocol.release(untyped(a), { priority: untyped(b), delay: untyped(c) }),
          Protocol.bury(untyped(a), untyped(b)),
          Protocol.touch(untyped(a)),
          Protocol.watch(untyped(a)),
          Protocol.ignore(untyped(a)),
          Protocol.peek(untyped(a)),
          Protocol.peekReady({ tube: untyped(a) }),
          Protocol.peekDelayed({ tube: untyped(a) }),
          Protocol.peekBuried({ tube: untyped(a) }),
          Protocol.kick(untyped(a), { tube: untyped(b) }),
          Protocol.kickJob(untyped(a)),
          Protocol.statsJob(untyped(a)),
          Protocol.statsTube(untyped(a)),
          Protocol.pauseTube(untyped(a), untyped(b))
        ]
        for (const command of made) {
          if (command._tag === "InvalidArgument") continue
          assert.match(command.line, /^[\x20-\x7e]{1,222}$/)
          const [line, ...rest] = chars(Protocol.encode([command])).split("\r\n")
          assert.strictEqual(line, command.line)
          assert.strictEqual(rest.join("\r\n"), command.body === undefined ? "" : `${chars(command.body)}\r\n`)
        }
      }),
      { numRuns: 300 }
    )
  })

  it("hostile input 4: a name that came around the check is stopped by the encoder", () => {
    for (const name of ["a\r\nquit", "é", "a".repeat(219), "a\0"]) {
      assert.throws(() => Protocol.encode([Protocol.select(untyped(JSON.stringify(name)))]), /invalid request line/)
    }
  })
})

describe("bytes", () => {
  it("of another realm are bytes, and a view of something else is none", () => {
    const foreign: Uint8Array = runInNewContext("new Uint8Array([104, 105])")
    assert.isFalse(foreign instanceof Uint8Array)
    const put = Protocol.put(foreign)
    assert.strictEqual(
      put._tag === "Command" ? chars(Protocol.encode([put])) : put.message,
      "put 1024 0 60 2\r\nhi\r\n"
    )
    const view: Uint8Array = runInNewContext("new DataView(new ArrayBuffer(2))")
    assert.strictEqual(Protocol.put(view)._tag, "InvalidArgument")
  })
})

describe("what a refusal tells", () => {
  const messages: ReadonlyArray<readonly [Made, message: string]> = [
    [
      Protocol.use("a b"),
      "use: tube must be 1 to 200 of the characters A-Z a-z 0-9 - + / ; . $ _ ( ) and not begin with -, but is \"a b\"."
    ],
    [Protocol.kick(-1), "kick: bound must be an integer from 0 to 4294967295, but is -1."],
    [Protocol.kick(untyped("\"1\"")), "kick: bound must be an integer from 0 to 4294967295, but is \"1\"."],
    [Protocol.kick(untyped("null")), "kick: bound must be an integer from 0 to 4294967295, but is null."],
    [Protocol.kick(untyped("{}")), "kick: bound must be an integer from 0 to 4294967295, but is an object."],
    [
      Protocol.deleteJob("x"),
      "delete: id must be the decimal digits of an unsigned 64-bit integer, as text, but is \"x\"."
    ],
    [
      Protocol.reserveWithTimeout(-1),
      "reserve-with-timeout: timeout must be a duration from 0 to 2147483647 seconds, but is -1."
    ],
    [Protocol.put(untyped("1")), "put: body must be text or bytes, but is number."]
  ]

  for (const [made, message] of messages) {
    it(message, () => {
      assert.strictEqual(refusal(made).message, message)
    })
  }

  it("a Duration is shown as one, not as an object", () => {
    const { message } = refusal(Protocol.reserveWithTimeout(Duration.days(50_000)))
    assert.match(message, /50000d/)
  })

  it("a message is one line without control characters, whatever it is about", () => {
    for (const character of ["\r", "\n", "\0", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\ud83d"]) {
      for (const make of [...Object.values(withTube), ...Object.values(withId)]) {
        assert.notMatch(refusal(make(`1${character}2`)).message, /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u)
      }
    }
  })

  it("a value of any length makes a message of a bounded one", () => {
    for (const make of [...Object.values(withTube), ...Object.values(withId)]) {
      assert.isBelow(refusal(make("\r".repeat(1_000_000))).message.length, 300)
    }
  })
})

describe("a timeout", () => {
  const refused = (check: () => unknown): unknown => Validate.attempt(check)

  it("is longer than zero, and may be infinite", () => {
    assert.strictEqual(Validate.positiveDuration("connect", "timeout", "5 seconds"), 5000)
    assert.strictEqual(Validate.positiveDuration("connect", "timeout", 1), 1)
    assert.strictEqual(Validate.positiveDuration("connect", "timeout", Duration.infinity), Number.POSITIVE_INFINITY)
    const impossible: ReadonlyArray<Duration.DurationInput> = [0, -1, Number.NaN, 0n, "0 seconds", Duration.zero]
    for (const duration of impossible) {
      assert.instanceOf(refused(() => Validate.positiveDuration("connect", "timeout", duration)), InvalidArgument)
    }
  })
})

describe("limits", () => {
  it("are integers above zero", () => {
    assert.strictEqual(Validate.positiveInteger("connect", "maxInFlight", 1), 1)
    for (const number of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, untyped("\"1\"")]) {
      const refused = Validate.attempt(() => Validate.positiveInteger("connect", "maxInFlight", number))
      assert.instanceOf(refused, InvalidArgument)
    }
  })
})

describe("checks", () => {
  it("only turn refusals into values: what else is thrown goes on", () => {
    const bug = new Error("a bug")
    assert.throws(() =>
      Validate.attempt(() => {
        throw bug
      }), bug)
  })

  it("leave the bytes of a body where they are", () => {
    const body = bytes("hello")
    assert.strictEqual(Validate.body("put", body), body)
  })
})
