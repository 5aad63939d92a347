import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import fc from "fast-check"
import type { InvalidArgument } from "../../src/BeanstalkError.ts"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import { PeekedJob, ReservedJob } from "../../src/Job.ts"
import * as Stats from "../../src/Stats.ts"
import { bytes, chars, cut, decodeAll, ok, recordings, replyIn, valid } from "../support/replies.ts"

type AnyCommand = Protocol.Command<unknown, unknown>

const wire = (made: AnyCommand): string => chars(Protocol.encode([made]))

const largestId = "18446744073709551615"
const longestTube = `${"a".repeat(199)}-`

// ---------------------------------------------------------------------------------------------------------------------
// requests
// ---------------------------------------------------------------------------------------------------------------------

describe("requests", () => {
  const goldens: ReadonlyArray<readonly [what: string, made: AnyCommand, bytes: string]> = [
    ["put takes its defaults", valid(Protocol.put("hello")), "put 1024 0 60 5\r\nhello\r\n"],
    [
      "put takes its options",
      valid(Protocol.put("hello", { priority: 10, delay: "5 seconds", ttr: "3 minutes", tube: "mail" })),
      "put 10 5 180 5\r\nhello\r\n"
    ],
    [
      "put takes options that are undefined",
      valid(Protocol.put("x", {
        priority: undefined,
        delay: undefined,
        ttr: undefined,
        tube: undefined
      })),
      "put 1024 0 60 1\r\nx\r\n"
    ],
    ["put takes an empty body", valid(Protocol.put("")), "put 1024 0 60 0\r\n\r\n"],
    ["put takes an empty body of bytes", valid(Protocol.put(new Uint8Array(0))), "put 1024 0 60 0\r\n\r\n"],
    ["put takes CRLF in a body", valid(Protocol.put("\r\n")), "put 1024 0 60 2\r\n\r\n\r\n"],
    [
      "put takes a command as a body",
      valid(Protocol.put("x\r\ndelete 5\r\n")),
      "put 1024 0 60 13\r\nx\r\ndelete 5\r\n\r\n"
    ],
    [
      "put counts bytes, not characters",
      valid(Protocol.put("é€😀")),
      "put 1024 0 60 9\r\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\r\n"
    ],
    ["put sends bytes as they are", valid(Protocol.put(bytes("\x00\xff\r"))), "put 1024 0 60 3\r\n\x00\xff\r\r\n"],
    [
      "put sends a Buffer as its bytes, not as JSON",
      valid(Protocol.put(Buffer.from("buffer"))),
      "put 1024 0 60 6\r\nbuffer\r\n"
    ],
    [
      "put sends the part of a buffer that a view shows",
      valid(Protocol.put(bytes("0123456789").subarray(3, 6))),
      "put 1024 0 60 3\r\n345\r\n"
    ],
    [
      "put takes the largest numbers",
      valid(Protocol.put("", { priority: 4294967295, delay: "4294967295 seconds", ttr: "4294967295 seconds" })),
      "put 4294967295 4294967295 4294967295 0\r\n\r\n"
    ],
    [
      "put takes the smallest numbers",
      valid(Protocol.put("", { priority: 0, delay: 0, ttr: 0 })),
      "put 0 0 0 0\r\n\r\n"
    ],
    ["put writes minus zero as zero", valid(Protocol.put("", { priority: -0, delay: -0 })), "put 0 0 60 0\r\n\r\n"],
    ["use", valid(Protocol.use("mail")), "use mail\r\n"],
    ["use takes the longest name", valid(Protocol.use(longestTube)), `use ${longestTube}\r\n`],
    ["use takes every character", valid(Protocol.use("aZ09+/;.$_()-")), "use aZ09+/;.$_()-\r\n"],
    ["reserve", Protocol.reserve, "reserve\r\n"],
    ["reserve-with-timeout", valid(Protocol.reserveWithTimeout("3 minutes")), "reserve-with-timeout 180\r\n"],
    ["reserve-with-timeout of nothing", valid(Protocol.reserveWithTimeout(0)), "reserve-with-timeout 0\r\n"],
    [
      "reserve-with-timeout takes 2^31 - 1 seconds",
      valid(Protocol.reserveWithTimeout("2147483647 seconds")),
      "reserve-with-timeout 2147483647\r\n"
    ],
    ["reserve-job", valid(Protocol.reserveJob("7")), "reserve-job 7\r\n"],
    ["reserve-job takes twenty digits", valid(Protocol.reserveJob(largestId)), `reserve-job ${largestId}\r\n`],
    ["delete", valid(Protocol.deleteJob("7")), "delete 7\r\n"],
    ["delete takes twenty digits", valid(Protocol.deleteJob(largestId)), `delete ${largestId}\r\n`],
    ["delete takes id 0", valid(Protocol.deleteJob("0")), "delete 0\r\n"],
    ["delete writes an id without leading zeros", valid(Protocol.deleteJob("00000000000000000007")), "delete 7\r\n"],
    ["release", valid(Protocol.release("7", { priority: 10 })), "release 7 10 0\r\n"],
    [
      "release takes the largest numbers",
      valid(Protocol.release(largestId, { priority: 4294967295, delay: "4294967295 seconds" })),
      `release ${largestId} 4294967295 4294967295\r\n`
    ],
    ["bury", valid(Protocol.bury("7", 10)), "bury 7 10\r\n"],
    ["bury takes the largest numbers", valid(Protocol.bury(largestId, 4294967295)), `bury ${largestId} 4294967295\r\n`],
    ["touch", valid(Protocol.touch("7")), "touch 7\r\n"],
    ["watch", valid(Protocol.watch("mail")), "watch mail\r\n"],
    ["watch takes the longest name", valid(Protocol.watch(longestTube)), `watch ${longestTube}\r\n`],
    ["ignore", valid(Protocol.ignore("default")), "ignore default\r\n"],
    ["peek", valid(Protocol.peek("7")), "peek 7\r\n"],
    ["peek-ready", valid(Protocol.peekReady()), "peek-ready\r\n"],
    ["peek-delayed", valid(Protocol.peekDelayed()), "peek-delayed\r\n"],
    ["peek-buried", valid(Protocol.peekBuried({ tube: "mail" })), "peek-buried\r\n"],
    ["kick", valid(Protocol.kick(10)), "kick 10\r\n"],
    ["kick of nothing", valid(Protocol.kick(0)), "kick 0\r\n"],
    ["kick takes the largest number", valid(Protocol.kick(4294967295, { tube: "mail" })), "kick 4294967295\r\n"],
    ["kick-job", valid(Protocol.kickJob("7")), "kick-job 7\r\n"],
    ["stats-job", valid(Protocol.statsJob("7")), "stats-job 7\r\n"],
    ["stats-tube", valid(Protocol.statsTube("mail")), "stats-tube mail\r\n"],
    ["stats", Protocol.stats, "stats\r\n"],
    ["list-tubes", Protocol.listTubes, "list-tubes\r\n"],
    ["list-tube-used", Protocol.listTubeUsed, "list-tube-used\r\n"],
    ["list-tubes-watched", Protocol.listTubesWatched, "list-tubes-watched\r\n"],
    ["quit", Protocol.quit, "quit\r\n"],
    ["pause-tube", valid(Protocol.pauseTube("mail", "1 hour")), "pause-tube mail 3600\r\n"],
    ["pause-tube of nothing ends a pause", valid(Protocol.pauseTube("mail", 0)), "pause-tube mail 0\r\n"],
    [
      "pause-tube with everything at its longest has the 224 bytes that the server reads",
      valid(Protocol.pauseTube(longestTube, "4294967295 seconds")),
      `pause-tube ${longestTube} 4294967295\r\n`
    ]
  ]

  for (const [what, made, expected] of goldens) {
    it(`${what}: ${JSON.stringify(expected.length > 60 ? `${expected.slice(0, 60)}…` : expected)}`, () => {
      assert.strictEqual(wire(made), expected)
      assert.strictEqual(made.size, expected.length)
      assert.isTrue(expected.startsWith(made.name))
      assert.isAtMost(made.line.length + 2, 224)
    })
  }

  it("covers every command of the protocol", () => {
    assert.deepStrictEqual([...new Set(goldens.map(([, made]) => made.name))].toSorted(), [
      "bury",
      "delete",
      "ignore",
      "kick",
      "kick-job",
      "list-tube-used",
      "list-tubes",
      "list-tubes-watched",
      "pause-tube",
      "peek",
      "peek-buried",
      "peek-delayed",
      "peek-ready",
      "put",
      "quit",
      "release",
      "reserve",
      "reserve-job",
      "reserve-with-timeout",
      "stats",
      "stats-job",
      "stats-tube",
      "touch",
      "use",
      "watch"
    ])
  })

  const durations: ReadonlyArray<readonly [Duration.DurationInput, seconds: number]> = [
    [0, 0],
    [1000, 1],
    [1001, 2],
    [1100, 2],
    [0n, 0],
    [1_000_000_000n, 1],
    [1_000_000_001n, 2],
    ["1 nano", 1],
    ["1 milli", 1],
    ["1.1 seconds", 2],
    ["1 second", 1],
    ["3 minutes", 180],
    ["2.01 minutes", 121],
    ["4.35 minutes", 261],
    ["1 week", 604_800],
    [[2, 0], 2],
    [[2, 1], 3],
    [Duration.zero, 0],
    [Duration.millis(1), 1],
    [Duration.minutes(3), 180],
    [Duration.nanos(2_000_000_001n), 3],
    [Duration.seconds(4294967295), 4294967295]
  ]

  for (const [duration, seconds] of durations) {
    const shown = typeof duration === "bigint" ? `${duration}n` : JSON.stringify(duration)
    it(`a duration of ${shown} is ${seconds} whole seconds, rounded up`, () => {
      assert.strictEqual(wire(valid(Protocol.put("", { delay: duration }))), `put 1024 ${seconds} 60 0\r\n\r\n`)
      assert.strictEqual(wire(valid(Protocol.put("", { ttr: duration }))), `put 1024 0 ${seconds} 0\r\n\r\n`)
      assert.strictEqual(
        wire(valid(Protocol.release("7", { priority: 1, delay: duration }))),
        `release 7 1 ${seconds}\r\n`
      )
      assert.strictEqual(wire(valid(Protocol.pauseTube("mail", duration))), `pause-tube mail ${seconds}\r\n`)
    })
  }

  for (const [duration, seconds] of durations.slice(0, -1)) {
    const shown = typeof duration === "bigint" ? `${duration}n` : JSON.stringify(duration)
    it(`a reserve with a timeout of ${shown} waits for ${seconds} whole seconds, rounded up`, () => {
      const made = valid(Protocol.reserveWithTimeout(duration))
      assert.strictEqual(wire(made), `reserve-with-timeout ${seconds}\r\n`)
      assert.strictEqual(made.blocksFor, seconds)
    })
  }

  it("several requests leave as one piece, one behind the other", () => {
    const requests = [valid(Protocol.use("mail")), valid(Protocol.put("a\r\nb")), Protocol.stats]
    assert.strictEqual(chars(Protocol.encode(requests)), "use mail\r\nput 1024 0 60 4\r\na\r\nb\r\nstats\r\n")
  })

  it("no requests are no bytes", () => {
    assert.strictEqual(Protocol.encode([]).length, 0)
  })

  it("the body is read when the request is written, not before", () => {
    const body = bytes("before")
    const made = valid(Protocol.put(body))
    body.set(bytes("behind"))
    assert.strictEqual(wire(made), "put 1024 0 60 6\r\nbehind\r\n")
  })

  it("hostile input 3: a body whose buffer was transferred is no longer intact", () => {
    const body = bytes("hello")
    const made = valid(Protocol.put(body))
    assert.isTrue(Protocol.isIntact(made))
    structuredClone(body, { transfer: [body.buffer] })
    assert.isFalse(Protocol.isIntact(made))
  })

  it("what a person is shown of a request is its line, and of a body the size", () => {
    assert.strictEqual(Protocol.describeRequest(valid(Protocol.put("secret"))), "put 1024 0 60 6 (6 bytes)")
    assert.strictEqual(Protocol.describeRequest(Protocol.reserve), "reserve")
  })

  const relations = (made: ReadonlyArray<AnyCommand | InvalidArgument>): ReadonlyArray<string> =>
    made.map((made) => {
      const { name, tube } = valid(made)
      return "name" in tube ? `${name}: ${tube._tag} ${tube.name}` : `${name}: ${tube._tag}`
    })

  it("commands that are given a tube act on that one", () => {
    const tube = "mail"
    assert.deepStrictEqual(
      relations([
        Protocol.put("", { tube }),
        Protocol.peekReady({ tube }),
        Protocol.peekDelayed({ tube }),
        Protocol.peekBuried({ tube }),
        Protocol.kick(1, { tube })
      ]),
      [
        "put: Named mail",
        "peek-ready: Named mail",
        "peek-delayed: Named mail",
        "peek-buried: Named mail",
        "kick: Named mail"
      ]
    )
  })

  it("commands that are given no tube act on the one in use", () => {
    assert.deepStrictEqual(
      relations([
        Protocol.put(""),
        Protocol.peekReady(),
        Protocol.peekDelayed({}),
        Protocol.peekBuried({ tube: undefined }),
        Protocol.kick(1),
        Protocol.listTubeUsed
      ]),
      [
        "put: InUse",
        "peek-ready: InUse",
        "peek-delayed: InUse",
        "peek-buried: InUse",
        "kick: InUse",
        "list-tube-used: InUse"
      ]
    )
  })

  it("only use selects a tube, and other commands have nothing to do with the one in use", () => {
    assert.deepStrictEqual(
      relations([
        Protocol.use("mail"),
        Protocol.watch("mail"),
        Protocol.ignore("mail"),
        Protocol.statsTube("mail"),
        Protocol.pauseTube("mail", 0),
        Protocol.deleteJob("1"),
        Protocol.reserve,
        Protocol.stats,
        Protocol.quit
      ]),
      [
        "use: Selects mail",
        "watch: None",
        "ignore: None",
        "stats-tube: None",
        "pause-tube: None",
        "delete: None",
        "reserve: None",
        "stats: None",
        "quit: None"
      ]
    )
  })

  it("only reserves hand over a job, and only waiting ones wait", () => {
    const made = goldens.map(([, made]) => made)
    assert.deepStrictEqual(
      [...new Set(made.filter((made) => made.reserves).map((made) => made.name))],
      ["reserve", "reserve-with-timeout", "reserve-job"]
    )
    assert.deepStrictEqual(
      made.filter((made) => made.blocksFor > 0).map((made) => [made.name, made.blocksFor]),
      [
        ["reserve", Number.POSITIVE_INFINITY],
        ["reserve-with-timeout", 180],
        ["reserve-with-timeout", 2147483647]
      ]
    )
  })

  it("every put can be read back by the rules of the server, whatever is in it", () => {
    const u32 = fc.integer({ min: 0, max: 4294967295 })
    fc.assert(fc.property(u32, u32, u32, fc.uint8Array({ maxLength: 300 }), (priority, delay, ttr, body) => {
      const options = { priority, delay: Duration.seconds(delay), ttr: Duration.seconds(ttr) }
      const text = wire(valid(Protocol.put(body, options)))
      const end = text.indexOf("\r\n")
      const size = Number(text.slice(0, end).split(" ")[4])
      assert.strictEqual(text.slice(0, end), `put ${priority} ${delay} ${ttr} ${body.length}`)
      assert.strictEqual(text.slice(end + 2, end + 2 + size), chars(body))
      assert.strictEqual(text.slice(end + 2 + size), "\r\n")
    }))
  })

  it("every text can be put and read back", () => {
    fc.assert(fc.property(fc.fullUnicodeString(), (text) => {
      const encoded = Protocol.encode([valid(Protocol.put(text))])
      const start = encoded.indexOf(10) + 1
      assert.strictEqual(new TextDecoder("utf-8", { ignoreBOM: true }).decode(encoded.subarray(start, -2)), text)
    }))
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// replies
// ---------------------------------------------------------------------------------------------------------------------

const jobDocument = [
  "---",
  "id: 7",
  "tube: mail",
  "state: ready",
  ...["pri", "age", "delay", "ttr", "time-left", "file", "reserves", "timeouts", "releases", "buries", "kicks"]
    .map((key, index) => `${key}: ${index}`),
  ""
].join("\n")

const [, exchanges] = recordings[0] ?? ["", []]

const recordedReply = (request: string): string => exchanges.find(([asked]) => asked === `${request}\r\n`)?.[1] ?? ""

const jobReply = ok(jobDocument)
const tubeReply = recordedReply("stats-tube 123")
const serverReply = recordedReply("stats")
const listReply = ok("---\n- default\n- mail\n")

/** Every reply of the protocol, and how a person is told of it. */
const everyReply: ReadonlyArray<readonly [wire: string, description: string]> = [
  ["INSERTED 7\r\n", "INSERTED 7"],
  ["BURIED 7\r\n", "BURIED 7"],
  ["BURIED\r\n", "BURIED"],
  ["USING mail\r\n", "USING mail"],
  ["USING other\r\n", "USING other"],
  ["WATCHING 2\r\n", "WATCHING 2"],
  ["NOT_IGNORED\r\n", "NOT_IGNORED"],
  ["RESERVED 7 6\r\nsecret\r\n", "RESERVED 7 (6 bytes)"],
  ["RESERVED 8 6\r\nsecret\r\n", "RESERVED 8 (6 bytes)"],
  ["FOUND 7 6\r\nsecret\r\n", "FOUND 7 (6 bytes)"],
  ["FOUND 8 6\r\nsecret\r\n", "FOUND 8 (6 bytes)"],
  ["DELETED\r\n", "DELETED"],
  ["RELEASED\r\n", "RELEASED"],
  ["TOUCHED\r\n", "TOUCHED"],
  ["KICKED\r\n", "KICKED"],
  ["KICKED 3\r\n", "KICKED 3"],
  ["PAUSED\r\n", "PAUSED"],
  ["NOT_FOUND\r\n", "NOT_FOUND"],
  ["TIMED_OUT\r\n", "TIMED_OUT"],
  ["DEADLINE_SOON\r\n", "DEADLINE_SOON"],
  ["EXPECTED_CRLF\r\n", "EXPECTED_CRLF"],
  ["JOB_TOO_BIG\r\n", "JOB_TOO_BIG"],
  ["DRAINING\r\n", "DRAINING"],
  ["OUT_OF_MEMORY\r\n", "OUT_OF_MEMORY"],
  ["INTERNAL_ERROR\r\n", "INTERNAL_ERROR"],
  ["BAD_FORMAT\r\n", "BAD_FORMAT"],
  ["UNKNOWN_COMMAND\r\n", "UNKNOWN_COMMAND"],
  ["HELLO\r\n", "\"HELLO\""],
  [jobReply, `OK (${jobDocument.length} bytes)`],
  [tubeReply, "OK (264 bytes)"],
  [serverReply, "OK (958 bytes)"],
  [listReply, "OK (21 bytes)"]
]

type Meaning =
  | { readonly value: unknown }
  | { readonly error: { readonly _tag: string }; readonly fatal: boolean }

/** A value as data, so that it can be compared to what is written here. */
const plain = (value: unknown): unknown => {
  if (Option.isOption(value)) return Option.isSome(value) ? { some: plain(value.value) } : "none"
  if (value instanceof ReservedJob) return { reserved: value.id, body: chars(value.body) }
  if (value instanceof PeekedJob) return { peeked: value.id, body: chars(value.body) }
  if (value instanceof Stats.JobStats) return `statistics of job ${value.id}`
  if (value instanceof Stats.TubeStats) return `statistics of tube ${value.name}`
  if (value instanceof Stats.ServerStats) return `statistics of beanstalkd ${value.version}`
  return value
}

const meaning = (made: AnyCommand, reply: Protocol.Reply): Meaning => {
  const decoded = made.decode(reply, "queue:11300")
  if (decoded._tag === "Success") return { value: plain(decoded.value) }
  const error: unknown = decoded.error
  if (!(error instanceof Error) || !("_tag" in error) || typeof error._tag !== "string") throw new Error("no error")
  return { error: { ...error, _tag: error._tag }, fatal: decoded.fatal }
}

const succeeds = (value: unknown): Meaning => ({ value })

type Failure = (command: string) => Meaning

const fails = (_tag: string, fields: object = {}): Failure => (command) => ({
  error: { _tag, command, address: "queue:11300", ...fields },
  fatal: false
})

const failsFatally = (_tag: string, fields: object = {}): Failure => (command) => ({
  error: { _tag, command, address: "queue:11300", ...fields },
  fatal: true
})

/** What any command may be answered. */
const toAny: Readonly<Record<string, Failure>> = {
  "OUT_OF_MEMORY\r\n": fails("OutOfMemory"),
  "INTERNAL_ERROR\r\n": fails("InternalError"),
  "BAD_FORMAT\r\n": fails("BadFormat"),
  "UNKNOWN_COMMAND\r\n": fails("UnknownCommand")
}

const reserved = succeeds({ reserved: "7", body: "secret" })
const jobNotFound = { "NOT_FOUND\r\n": fails("JobNotFound", { id: "7" }) }
const tubeNotFound = { "NOT_FOUND\r\n": fails("TubeNotFound", { tube: "mail" }) }
const unreadable = (line: string) => failsFatally("ProtocolViolation", { reply: `cannot read ${JSON.stringify(line)}` })

/** What particular commands may be answered, with the documents they cannot read. Every other reply is a violation. */
const answers: ReadonlyArray<readonly [AnyCommand, Readonly<Record<string, Meaning | Failure>>]> = [
  [valid(Protocol.put("secret")), {
    "INSERTED 7\r\n": succeeds("7"),
    "BURIED 7\r\n": fails("Buried", { id: "7" }),
    "JOB_TOO_BIG\r\n": fails("JobTooBig", { size: 6, limit: undefined }),
    "DRAINING\r\n": fails("Draining"),
    "EXPECTED_CRLF\r\n": failsFatally("ExpectedCRLF"),
    "BAD_FORMAT\r\n": failsFatally("BadFormat"),
    "UNKNOWN_COMMAND\r\n": failsFatally("UnknownCommand")
  }],
  [valid(Protocol.use("mail")), { "USING mail\r\n": succeeds("mail") }],
  [Protocol.reserve, {
    "RESERVED 7 6\r\nsecret\r\n": reserved,
    "RESERVED 8 6\r\nsecret\r\n": succeeds({ reserved: "8", body: "secret" }),
    "DEADLINE_SOON\r\n": fails("DeadlineSoon")
  }],
  [valid(Protocol.reserveWithTimeout(0)), {
    "RESERVED 7 6\r\nsecret\r\n": reserved,
    "RESERVED 8 6\r\nsecret\r\n": succeeds({ reserved: "8", body: "secret" }),
    "DEADLINE_SOON\r\n": fails("DeadlineSoon"),
    "TIMED_OUT\r\n": fails("TimedOut")
  }],
  [valid(Protocol.reserveJob("7")), { "RESERVED 7 6\r\nsecret\r\n": reserved, ...jobNotFound }],
  [valid(Protocol.deleteJob("7")), { "DELETED\r\n": succeeds(undefined), ...jobNotFound }],
  [valid(Protocol.release("7", { priority: 1 })), {
    "RELEASED\r\n": succeeds(undefined),
    "BURIED\r\n": fails("Buried", { id: "7" }),
    ...jobNotFound
  }],
  [valid(Protocol.bury("7", 1)), { "BURIED\r\n": succeeds(undefined), ...jobNotFound }],
  [valid(Protocol.touch("7")), { "TOUCHED\r\n": succeeds(undefined), ...jobNotFound }],
  [valid(Protocol.watch("mail")), { "WATCHING 2\r\n": succeeds(2) }],
  [valid(Protocol.ignore("mail")), {
    "WATCHING 2\r\n": succeeds(2),
    "NOT_IGNORED\r\n": fails("NotIgnored", { tube: "mail" })
  }],
  [valid(Protocol.peek("7")), {
    "FOUND 7 6\r\nsecret\r\n": succeeds({ peeked: "7", body: "secret" }),
    ...jobNotFound
  }],
  ...[Protocol.peekReady(), Protocol.peekDelayed(), Protocol.peekBuried()].map((made) =>
    [valid<AnyCommand>(made), {
      "FOUND 7 6\r\nsecret\r\n": succeeds({ some: { peeked: "7", body: "secret" } }),
      "FOUND 8 6\r\nsecret\r\n": succeeds({ some: { peeked: "8", body: "secret" } }),
      "NOT_FOUND\r\n": succeeds("none")
    }] satisfies [AnyCommand, object]
  ),
  [valid(Protocol.kick(10)), { "KICKED 3\r\n": succeeds(3) }],
  [valid(Protocol.kickJob("7")), { "KICKED\r\n": succeeds(undefined), ...jobNotFound }],
  [valid(Protocol.statsJob("7")), {
    [jobReply]: succeeds("statistics of job 7"),
    [tubeReply]: unreadable("id: (missing)"),
    [serverReply]: unreadable(/^id: .*/m.exec(serverReply)?.[0] ?? ""),
    [listReply]: unreadable("- default"),
    ...jobNotFound
  }],
  [valid(Protocol.statsTube("mail")), {
    [tubeReply]: succeeds("statistics of tube 123"),
    [jobReply]: unreadable("name: (missing)"),
    [serverReply]: unreadable("name: (missing)"),
    [listReply]: unreadable("- default"),
    ...tubeNotFound
  }],
  [Protocol.stats, {
    [serverReply]: succeeds("statistics of beanstalkd 1.12"),
    [jobReply]: unreadable("current-jobs-urgent: (missing)"),
    [tubeReply]: unreadable("cmd-put: (missing)"),
    [listReply]: unreadable("- default")
  }],
  ...[Protocol.listTubes, Protocol.listTubesWatched].map((made) =>
    [made, {
      [listReply]: succeeds(["default", "mail"]),
      [jobReply]: unreadable("id: 7"),
      [tubeReply]: unreadable("name: 123"),
      [serverReply]: unreadable("current-jobs-urgent: 2")
    }] satisfies [AnyCommand, object]
  ),
  [Protocol.listTubeUsed, { "USING mail\r\n": succeeds("mail"), "USING other\r\n": succeeds("other") }],
  [valid(Protocol.pauseTube("mail", 0)), { "PAUSED\r\n": succeeds(undefined), ...tubeNotFound }]
]

describe("replies", () => {
  for (const [made, own] of answers) {
    it(`${made.name} takes each reply for what it means to it, and any other for a fatal violation`, () => {
      for (const [reply, description] of everyReply) {
        const expected = own[reply] ?? toAny[reply] ?? failsFatally("ProtocolViolation", { reply: description })
        assert.deepStrictEqual(
          meaning(made, replyIn(reply)),
          typeof expected === "function" ? expected(made.name) : expected,
          `${made.name} answered ${description}`
        )
      }
      assert.deepStrictEqual(
        meaning(made, { _tag: "Closed" }),
        failsFatally("ProtocolViolation", { reply: "CLOSED" })(made.name)
      )
    })
  }

  it("quit has no reply but the end of the connection: any other is a fatal violation", () => {
    assert.deepStrictEqual(meaning(Protocol.quit, { _tag: "Closed" }), succeeds(undefined))
    for (const [reply, description] of everyReply) {
      assert.deepStrictEqual(
        meaning(Protocol.quit, replyIn(reply)),
        failsFatally("ProtocolViolation", { reply: description })("quit"),
        description
      )
    }
  })

  it("covers every command of the protocol", () => {
    assert.strictEqual(new Set([...answers.map(([made]) => made.name), "quit"]).size, 25)
  })

  it("BURIED is a failure of put, a failure of release, and the success of bury", () => {
    assert.deepStrictEqual(
      meaning(valid(Protocol.put("")), replyIn("BURIED 9\r\n")),
      fails("Buried", { id: "9" })("put")
    )
    assert.deepStrictEqual(
      meaning(valid(Protocol.release("9", { priority: 0 })), replyIn("BURIED\r\n")),
      fails("Buried", { id: "9" })("release")
    )
    assert.deepStrictEqual(meaning(valid(Protocol.bury("9", 0)), replyIn("BURIED\r\n")), succeeds(undefined))
  })

  it("a job asked for with leading zeros is recognised in the reply", () => {
    assert.deepStrictEqual(
      meaning(valid(Protocol.reserveJob("007")), replyIn("RESERVED 7 6\r\nsecret\r\n")),
      reserved
    )
    assert.deepStrictEqual(
      meaning(valid(Protocol.peek("00000000000000000000")), replyIn("FOUND 0 0\r\n\r\n")),
      succeeds({ peeked: "0", body: "" })
    )
  })

  it("JOB_TOO_BIG tells the size that was announced, even when the body's buffer was transferred since", () => {
    const body = bytes("hello")
    const made = valid(Protocol.put(body))
    structuredClone(body, { transfer: [body.buffer] })
    assert.deepStrictEqual(
      meaning(made, replyIn("JOB_TOO_BIG\r\n")),
      fails("JobTooBig", { size: 5, limit: undefined })("put")
    )
  })

  it("hostile input 7: no failure of any command tells what is in a body", () => {
    for (const [made] of answers) {
      for (const [reply] of everyReply) {
        const decoded = made.decode(replyIn(reply), "queue:11300")
        if (decoded._tag === "Success") continue
        const error: unknown = decoded.error
        assert.notInclude(`${String(error)} ${JSON.stringify(error)}`, "secret")
      }
    }
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// recorded sessions
// ---------------------------------------------------------------------------------------------------------------------

describe("recorded sessions", () => {
  for (const [version, exchanges] of recordings) {
    it(`every request recorded with ${version} that can be made is made in the same bytes`, () => {
      const recorded = new Set(exchanges.map(([request]) => request))
      const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const made: ReadonlyArray<AnyCommand> = [
        Protocol.listTubeUsed,
        Protocol.listTubes,
        valid(Protocol.use("123")),
        valid(Protocol.put("", { priority: 0 })),
        valid(Protocol.put("\r\n", { priority: 1 })),
        valid(Protocol.put("RESERVED 1 5\r\nhello\r\n", { priority: 2 })),
        valid(Protocol.put(everyByte, { priority: 3, delay: "100 seconds" })),
        valid(Protocol.put("café", { priority: 4294967295, ttr: "4294967295 seconds" })),
        valid(Protocol.put("x".repeat(1001), { priority: 0 })),
        valid(Protocol.peek("1")),
        valid(Protocol.peek(largestId)),
        valid(Protocol.peekReady()),
        valid(Protocol.peekDelayed()),
        valid(Protocol.peekBuried()),
        valid(Protocol.watch("123")),
        valid(Protocol.watch("(a)+b/c;d.e$f_g-")),
        Protocol.listTubesWatched,
        valid(Protocol.ignore("default")),
        valid(Protocol.statsJob("4")),
        Protocol.reserve,
        valid(Protocol.touch("1")),
        valid(Protocol.release("1", { priority: 10, delay: "100 seconds" })),
        valid(Protocol.reserveJob("2")),
        valid(Protocol.bury("2", 5)),
        valid(Protocol.kickJob("2")),
        valid(Protocol.kick(10)),
        valid(Protocol.reserveWithTimeout(0)),
        valid(Protocol.deleteJob("1")),
        valid(Protocol.pauseTube("nowhere", "100 seconds")),
        valid(Protocol.statsTube("nowhere")),
        valid(Protocol.put("short-lived", { priority: 0, ttr: "1 second" })),
        Protocol.stats
      ]
      for (const command of made) assert.isTrue(recorded.has(wire(command)), command.line)
    })

    it(`every reply of ${version} means to its command what the server meant`, () => {
      const meanings: ReadonlyArray<readonly [AnyCommand, unknown]> = [
        [Protocol.listTubeUsed, "default"],
        [Protocol.listTubes, ["default"]],
        [Protocol.listTubesWatched, ["default", "123", "null", "true", "(a)+b/c;d.e$f_g-"]],
        [valid(Protocol.use("123")), "123"],
        [valid(Protocol.put("", { priority: 0 })), "1"],
        [valid(Protocol.put("x".repeat(1001), { priority: 0 })), "JobTooBig"],
        [valid(Protocol.peek("1")), { peeked: "1", body: "" }],
        [valid(Protocol.peek(largestId)), "JobNotFound"],
        [valid(Protocol.peekReady()), { some: { peeked: "1", body: "" } }],
        [valid(Protocol.peekBuried()), "none"],
        [valid(Protocol.watch("null")), 3],
        [valid(Protocol.ignore("default")), 4],
        [valid(Protocol.ignore("123")), "NotIgnored"],
        [valid(Protocol.statsJob("4")), "statistics of job 4"],
        [valid(Protocol.statsTube("123")), "statistics of tube 123"],
        [valid(Protocol.statsTube("nowhere")), "TubeNotFound"],
        [Protocol.reserve, { reserved: "1", body: "" }],
        [valid(Protocol.reserveJob("2")), { reserved: "2", body: "\r\n" }],
        [valid(Protocol.reserveWithTimeout(0)), { reserved: "3", body: "RESERVED 1 5\r\nhello\r\n" }],
        [valid(Protocol.touch("1")), undefined],
        [valid(Protocol.release("1", { priority: 10, delay: "100 seconds" })), undefined],
        [valid(Protocol.bury("2", 5)), undefined],
        [valid(Protocol.kickJob("2")), undefined],
        [valid(Protocol.kick(10)), 2],
        [valid(Protocol.deleteJob("1")), undefined],
        [valid(Protocol.pauseTube("123", "100 seconds")), undefined],
        [valid(Protocol.pauseTube("nowhere", "100 seconds")), "TubeNotFound"],
        [valid(Protocol.put("late", { priority: 0 })), "Draining"]
      ]
      for (const [made, expected] of meanings) {
        const reply = exchanges.find(([request]) => request === wire(made))?.[1] ?? ""
        const means = meaning(made, replyIn(reply))
        assert.deepStrictEqual("value" in means ? means.value : means.error._tag, expected, made.line)
      }
    })

    it(`no recorded reply of ${version} is malformed`, () => {
      for (const [request, reply] of exchanges) {
        const tags = decodeAll(cut(bytes(reply), [1, 2, 3])).map(({ _tag }) => _tag)
        assert.isAtLeast(tags.length, 1, request)
        assert.notInclude(tags, "Malformed", request)
      }
    })
  }
})
