import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as BeanstalkError from "../../src/BeanstalkError.ts"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import { JobId, TubeName } from "../../src/Job.ts"
import * as Worker from "../../src/Worker.ts"
import * as WorkerTest from "../../src/WorkerTest.ts"
import { replyIn, valid } from "../support/replies.ts"

const id = Schema.decodeSync(JobId)("18446744073709551615")
const tube = Schema.decodeSync(TubeName)("mail")
const address = "queue:11300"
const origin = { command: "put", address }

interface Case {
  readonly error: BeanstalkError.BeanstalkError
  /** What the message must tell. */
  readonly tells: ReadonlyArray<string>
  readonly server?: true
  readonly connection?: true
  readonly retryable?: true
  readonly bug?: true
}

const cases: ReadonlyArray<Case> = [
  {
    error: new BeanstalkError.OutOfMemory(origin),
    tells: ["put", address, "memory", "later"],
    server: true,
    retryable: true
  },
  {
    error: new BeanstalkError.InternalError(origin),
    tells: ["put", address, "bug of the server", "stored is unknown"],
    server: true
  },
  ...["release", "bury"].flatMap((command) =>
    [BeanstalkError.OutOfMemory, BeanstalkError.InternalError].map((Refused): Case => ({
      error: new Refused({ command, address }),
      tells: [command, address, "not reserved by this connection any more", "in no queue", "restarted"],
      server: true
    }))
  ),
  {
    error: new BeanstalkError.InternalError({ command: "delete", address }),
    tells: ["delete", address, "is deleted", "may be there again when the server is restarted"],
    server: true
  },
  ...["use", "watch", "stats", "list-tubes", "peek-ready"].map((command): Case => ({
    error: new BeanstalkError.OutOfMemory({ command, address }),
    tells: [command, address, "out of memory", "Retry later"],
    server: true,
    retryable: true
  })),
  { error: new BeanstalkError.BadFormat(origin), tells: ["put", address, "report"], server: true, bug: true },
  {
    error: new BeanstalkError.UnknownCommand(origin),
    tells: ["put", address, "older", "Upgrade"],
    server: true,
    bug: true
  },
  {
    error: new BeanstalkError.ExpectedCRLF(origin),
    tells: ["put", address, "not stored", "closed", "report"],
    bug: true
  },
  {
    error: new BeanstalkError.JobTooBig({ ...origin, size: 70000 }),
    tells: ["put", address, "70000 bytes", "accepts.", "-z"]
  },
  {
    error: new BeanstalkError.JobTooBig({ ...origin, size: 70000, limit: 65535 }),
    tells: ["put", address, "70000 bytes", "accepts (65535)", "-z"]
  },
  { error: new BeanstalkError.Draining(origin), tells: ["put", address, "drain", "another server"], retryable: true },
  { error: new BeanstalkError.Buried({ ...origin, id }), tells: ["put", address, id, "stored", "kicked"] },
  {
    error: new BeanstalkError.JobNotFound({ command: "touch", address, id }),
    tells: ["touch", address, id, "time to run"]
  },
  {
    error: new BeanstalkError.TubeNotFound({ command: "stats-tube", address, tube }),
    tells: ["stats-tube", address, tube, "exists only while"]
  },
  {
    error: new BeanstalkError.NotIgnored({ command: "ignore", address, tube }),
    tells: ["ignore", address, tube, "Watch another"]
  },
  {
    error: new BeanstalkError.TimedOut({ command: "reserve-with-timeout", address }),
    tells: ["reserve-with-timeout", address, "no job", "timeout", "Reserve again"],
    retryable: true
  },
  {
    error: new BeanstalkError.DeadlineSoon({ command: "reserve", address }),
    tells: ["reserve", address, "less than a second", "Touch"]
  },
  {
    error: new BeanstalkError.InvalidArgument({ command: "put", argument: "ttr", reason: "must be better" }),
    tells: ["put: ttr must be better."],
    bug: true
  },
  {
    error: new BeanstalkError.ConnectFailed({ address, reason: "Unreachable", detail: "connection refused" }),
    tells: [address, "Cannot connect", "connection refused", "Check that it is running"],
    connection: true,
    retryable: true
  },
  {
    error: new BeanstalkError.ConnectFailed({ address, reason: "TimedOut", detail: "5 seconds are over" }),
    tells: [address, "did not answer", "5 seconds are over", "overloaded"],
    connection: true,
    retryable: true
  },
  {
    error: new BeanstalkError.ConnectFailed({ address, reason: "Handshake", detail: "HTTP/1.1 400 Bad Request" }),
    tells: [address, "did not answer as a healthy beanstalkd", "HTTP/1.1 400 Bad Request"],
    connection: true,
    retryable: true
  },
  {
    error: new BeanstalkError.ConnectionLost({ ...origin, outcome: "NotSent", reason: "the server closed it" }),
    tells: ["put", address, "the server closed it", "not sent", "safe to send it again"],
    connection: true,
    retryable: true
  },
  {
    error: new BeanstalkError.ConnectionLost({ ...origin, outcome: "Unknown", reason: "the server closed it" }),
    tells: ["put", address, "the server closed it", "unknown"],
    connection: true
  },
  ...["delete", "kick-job", "reserve-job"].map((command): Case => ({
    error: new BeanstalkError.ConnectionLost({ command, address, outcome: "NotSent", reason: "closed" }),
    tells: [command, address, "closed", "only to the same server process"],
    connection: true
  })),
  ...["touch", "release", "bury"].map((command): Case => ({
    error: new BeanstalkError.ConnectionLost({ command, address, outcome: "NotSent", reason: "closed" }),
    tells: [command, address, "closed", "cannot be sent on another connection"],
    connection: true
  })),
  {
    error: new BeanstalkError.ProtocolViolation({ ...origin, reply: "FOUND 1 (5 bytes)" }),
    tells: ["put", address, "FOUND 1 (5 bytes)", "closed", "report"],
    connection: true,
    bug: true
  },
  {
    error: new BeanstalkError.InvalidText({ id, encoding: "utf-8", reason: "NotText" }),
    tells: [id, "utf-8", "job.body", "replace"]
  },
  {
    error: new BeanstalkError.InvalidText({ id, encoding: "utf-9", reason: "UnknownEncoding" }),
    tells: [id, "\"utf-9\"", "TextDecoder"]
  },
  {
    error: new BeanstalkError.ConnectFailed({ address, reason: "Closed", detail: "the client is closed" }),
    tells: [address, "the client is closed", "scope"],
    connection: true
  },
  {
    error: new BeanstalkError.PutAllStopped({
      address,
      tube,
      acknowledged: 12,
      sent: 15,
      failures: [
        { index: 12, error: new BeanstalkError.Draining(origin) },
        { index: 13, error: new BeanstalkError.Draining(origin) }
      ],
      behind: []
    }),
    tells: [address, tube, "body 12", "drain mode", "bodies sent after it, 1 failed too", "index 15"]
  },
  {
    error: new BeanstalkError.BulkStopped({
      command: "move",
      address,
      tube,
      done: { ready: 3, delayed: 4, buried: 5 },
      cause: new BeanstalkError.Draining(origin)
    }),
    tells: ["move", address, tube, "3 ready", "4 delayed", "5 buried", "drain mode"]
  },
  {
    error: new BeanstalkError.ReachExceeded({ address, found: 35, counted: 37, asked: 1000 }),
    tells: [address, "35 of 37", "1000 ids", "`reach`"]
  },
  {
    error: new BeanstalkError.PayloadError({
      tube,
      direction: "decode",
      id,
      issues: [{ path: ".url", expected: "string" }, { path: "[*]", expected: "number" }]
    }),
    tells: [tube, id, "Schema", "string at .url; number at [*]"]
  },
  {
    error: new BeanstalkError.PayloadError({ tube, direction: "encode", issues: [{ path: "", expected: "string" }] }),
    tells: [tube, "expected string"]
  },
  {
    error: new BeanstalkError.LeaseLost({ id, tube, address, reason: "it ran out of time" }),
    tells: [id, tube, address, "it ran out of time", "run again"]
  },
  {
    error: new BeanstalkError.WorkerStartError({ tube, subject: "concurrency", reason: "must be above zero" }),
    tells: [tube, "concurrency must be above zero"]
  }
]

/** Every tag there is: this does not compile when one is missing, or one too many. */
const tags: Readonly<Record<BeanstalkError.BeanstalkError["_tag"], true>> = {
  OutOfMemory: true,
  InternalError: true,
  BadFormat: true,
  UnknownCommand: true,
  ExpectedCRLF: true,
  JobTooBig: true,
  Draining: true,
  Buried: true,
  JobNotFound: true,
  TubeNotFound: true,
  NotIgnored: true,
  TimedOut: true,
  DeadlineSoon: true,
  InvalidArgument: true,
  ConnectFailed: true,
  ConnectionLost: true,
  ProtocolViolation: true,
  InvalidText: true,
  PutAllStopped: true,
  BulkStopped: true,
  ReachExceeded: true,
  PayloadError: true,
  LeaseLost: true,
  WorkerStartError: true
}

const strangers: ReadonlyArray<unknown> = [
  undefined,
  null,
  0,
  "OutOfMemory",
  {},
  { _tag: "OutOfMemory", command: "put", address },
  { _tag: "ConnectionLost", outcome: "NotSent" },
  new Error("OutOfMemory"),
  new Cause.TimeoutException(),
  Cause.fail(new BeanstalkError.OutOfMemory(origin))
]

const nameOf = ({ error }: Case): string =>
  `${error._tag}${"command" in error && error.command !== "put" ? ` of ${error.command}` : ""}${
    "outcome" in error ? ` (${error.outcome})` : ""
  }${"limit" in error ? " (with a limit)" : ""}` +
  ("reason" in error && error._tag !== "InvalidArgument" ? ` (${error.reason})` : "")

describe("errors", () => {
  for (const example of cases) {
    const { error, tells } = example

    it(`${nameOf(example)} tells what happened, where, and what to do`, () => {
      for (const told of tells) assert.include(error.message, told)
      assert.match(error.message, /[.?]$/)
      assert.notInclude(error.message, "undefined")
      for (const text of [String(error), Cause.pretty(Cause.fail(error)), inspect(error)]) {
        assert.include(text, error._tag)
        assert.include(text, error.message)
      }
    })

    it(`${nameOf(example)} is told apart by the guards`, () => {
      assert.isTrue(BeanstalkError.isBeanstalkError(error))
      assert.strictEqual(BeanstalkError.isServerError(error), example.server ?? false)
      assert.strictEqual(BeanstalkError.isConnectionError(error), example.connection ?? false)
      assert.strictEqual(BeanstalkError.isRetryable(error), example.retryable ?? false)
      assert.strictEqual(BeanstalkError.isBug(error), example.bug ?? false)
    })

    it(`${nameOf(example)} is an Error with its tag for a name, and the mark of this library`, () => {
      assert.instanceOf(error, Error)
      assert.strictEqual(error.name, error._tag)
      assert.strictEqual(error[BeanstalkError.TypeId], BeanstalkError.TypeId)
    })
  }

  it("there is a case here for every tag of the union, and none besides", () => {
    assert.deepStrictEqual(
      [...new Set<string>(cases.map(({ error }) => error._tag))].toSorted(),
      Object.keys(tags).toSorted()
    )
  })

  it("there is a case here for every class that the module exports", () => {
    const classes = Object.entries(BeanstalkError).flatMap(([name, value]) =>
      String(value).startsWith("class ") ? [name] : []
    )
    assert.deepStrictEqual(classes.toSorted(), Object.keys(tags).toSorted())
  })

  it("what is none of ours is none for any guard, even when it has one of our tags", () => {
    for (const stranger of strangers) {
      assert.isFalse(BeanstalkError.isBeanstalkError(stranger))
      assert.isFalse(BeanstalkError.isServerError(stranger))
      assert.isFalse(BeanstalkError.isConnectionError(stranger))
      assert.isFalse(BeanstalkError.isRetryable(stranger))
      assert.isFalse(BeanstalkError.isBug(stranger))
    }
  })

  it("only a put that was refused for lack of memory says that nothing was stored", () => {
    for (const command of ["put", "release", "bury", "delete", "use", "reserve"]) {
      const { message } = new BeanstalkError.OutOfMemory({ command, address })
      assert.strictEqual(message.includes("Nothing was stored"), command === "put")
      assert.strictEqual(message.includes("Retry later"), command !== "release" && command !== "bury")
    }
  })

  it("can be sent again after OUT_OF_MEMORY if they change no job that exists", () => {
    const isRetryable = (command: string) =>
      BeanstalkError.isRetryable(new BeanstalkError.OutOfMemory({ command, address }))
    for (const command of ["put", "use", "watch", "stats", "peek", "list-tubes"]) assert.isTrue(isRetryable(command))
    for (const command of ["release", "bury", "delete", "touch", "kick-job"]) assert.isFalse(isRetryable(command))
  })

  it("a job that is not found has a hint that fits the command", () => {
    const hints = {
      touch: "time to run",
      release: "time to run",
      bury: "time to run",
      delete: "another connection has reserved it",
      "reserve-job": "already reserved",
      "kick-job": "neither buried nor delayed, or the server has no room in its binlog",
      peek: "deleted, or never existed",
      "stats-job": "deleted, or never existed"
    }
    for (const [command, hint] of Object.entries(hints)) {
      assert.include(new BeanstalkError.JobNotFound({ command, address, id }).message, hint)
    }
  })

  it("a command that an old server lacks is told with the release that has it", () => {
    const releases = { touch: "1.2", "pause-tube": "1.4.3", "kick-job": "1.8", "reserve-job": "1.12" }
    for (const [command, release] of Object.entries(releases)) {
      for (const refused of [BeanstalkError.UnknownCommand, BeanstalkError.BadFormat]) {
        assert.include(new refused({ command, address }).message, `beanstalkd ${release} or later`)
      }
    }
    assert.notInclude(new BeanstalkError.UnknownCommand({ command: "put", address }).message, "or later")
  })

  it("two errors are equal when they tell the same", () => {
    assert.isTrue(
      Equal.equals(new BeanstalkError.Buried({ ...origin, id }), new BeanstalkError.Buried({ ...origin, id }))
    )
    assert.isFalse(Equal.equals(new BeanstalkError.OutOfMemory(origin), new BeanstalkError.InternalError(origin)))
  })

  it.effect("are failures to yield, and are caught by their tags", () =>
    Effect.gen(function*() {
      const failing: Effect.Effect<never, BeanstalkError.PutError> = new BeanstalkError.Buried({ ...origin, id })
      assert.strictEqual(yield* Effect.catchTag(failing, "Buried", (buried) => Effect.succeed(buried.id)), id)
    }))

  it("carry the cause they were given, for those who print it", () => {
    const cause = new Error("read ECONNRESET")
    const lost = new BeanstalkError.ConnectionLost({ ...origin, outcome: "Unknown", reason: "read ECONNRESET", cause })
    assert.strictEqual(lost.cause, cause)
    assert.include(inspect(lost), "[cause]")
    const failed = new BeanstalkError.ConnectFailed({ address, reason: "Unreachable", detail: "refused", cause })
    assert.strictEqual(failed.cause, cause)
  })
})

describe("the text of an error", () => {
  const thrower = {
    toString: () => {
      throw new Error("no text")
    }
  }

  const hostile: ReadonlyArray<unknown> = [
    undefined,
    null,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    "",
    "soon",
    Symbol("s"),
    Object.create(null),
    thrower,
    [thrower],
    [null],
    {},
    () => 1
  ]

  /** An error of this class, whatever the types of its fields are. */
  const withFields = (error: Error, fields: object): Error =>
    Object.assign(Object.create(Object.getPrototypeOf(error)), error, fields)

  const orders = [
    new Worker.RetryAfter({ delay: "1 minute", reason: "x" }),
    new Worker.Bury({ reason: "x" }),
    new Worker.Discard({ reason: "x" })
  ]

  const all: ReadonlyArray<Error> = [
    ...cases.map(({ error }) => error),
    ...orders,
    new WorkerTest.EventNotEmitted({ tube, events: [] }),
    new WorkerTest.NotDrained({ tube, within: Duration.minutes(1), jobs: [], events: [] })
  ]

  it("is written whatever the fields of the error are", () => {
    for (const error of all) {
      for (const field of Object.keys(error).filter((key) => key !== "_tag")) {
        for (const value of hostile) {
          const odd = withFields(error, { [field]: value })
          for (const text of [odd.message, odd.toString(), Cause.pretty(Cause.fail(odd))]) assert.isString(text)
          assert.doesNotThrow(() => JSON.stringify(odd))
        }
      }
    }
  })

  it("tells a delay that is no duration", () => {
    const retryAfter = (delay: unknown) => withFields(new Worker.RetryAfter({ delay: 0 }), { delay })
    assert.include(retryAfter("1 minute").message, "in 1m.")
    assert.include(retryAfter(Number.POSITIVE_INFINITY).message, "in Infinity.")
    for (const delay of ["soon", undefined, null, {}, Symbol("s")]) {
      assert.include(retryAfter(delay).message, "after a delay that is no duration.")
      assert.include(JSON.stringify(retryAfter(delay)), `"delay":null`)
    }
    // JSON does not have a bigint.
    assert.include(JSON.stringify(retryAfter(5n)), `"delay":{"_id":"Duration"`)
  })
})

describe("bodies in errors", () => {
  const secret = "my secret"

  /** A reply that cannot be meant, and whatever else may hold a body when a command fails. */
  const replies = [
    `RESERVED 7 9\r\n${secret}\r\n`,
    `FOUND 7 9\r\n${secret}\r\n`,
    `OK 9\r\n${"-".repeat(9)}\r\n`,
    `RESERVED 7 2\r\n${secret}\r\n`,
    "JOB_TOO_BIG\r\n",
    "BURIED 7\r\n",
    "EXPECTED_CRLF\r\n",
    "BAD_FORMAT\r\n",
    "DRAINING\r\n"
  ]

  it("hostile input 7: no way of printing a failure shows a body that was put, or one that came", () => {
    const commands: ReadonlyArray<Protocol.Command<unknown, unknown>> = [
      valid(Protocol.put(secret)),
      valid(Protocol.deleteJob("7")),
      Protocol.stats
    ]
    for (const command of commands) {
      for (const reply of replies) {
        const decoded = command.decode(replyIn(reply), address)
        if (decoded._tag === "Success") return assert.fail(`${command.name} succeeded`)
        const { error } = decoded
        const shown = [
          String(error),
          JSON.stringify(error),
          inspect(error, { depth: 10, showHidden: true }),
          Cause.pretty(Cause.fail(error)),
          Cause.pretty(Cause.fail(error), { renderErrorCause: true }),
          Cause.pretty(Cause.die(error)),
          inspect(Cause.fail(error), { depth: 10 }),
          JSON.stringify(Cause.fail(error))
        ]
        for (const text of shown) {
          assert.notInclude(text, secret)
          assert.notMatch(text, /109[^]{1,12}121[^]{1,12}32|6d 79 20/)
          assert.notInclude(text, btoa(secret))
        }
      }
    }
  })
})
