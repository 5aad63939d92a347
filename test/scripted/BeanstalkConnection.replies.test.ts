/** A connection to servers that send unexpected replies, no replies, or replies in pieces. */
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection, Connector } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Supervisor from "effect/Supervisor"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { inspect } from "node:util"
import { amount, upTo } from "../support/edition.ts"
import { ok } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"
import { statsJobReply } from "../support/scriptedWorkers.ts"

type Connection = BeanstalkConnection.Connection
type Command = (connection: Connection) => Effect.Effect<unknown, unknown>

/** A body that must not appear in any error. */
const secret = "hunter2 swordfish"
const secrets = /hunter2|swordfish/i

/** An error in every form in which it can be printed or logged. */
const everythingOf = (error: unknown) =>
  [inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error), String(error)].join("\n")

const put = `put 1024 0 60 1\r\nx\r\n`

describe("an unexpected reply ends the connection", () => {
  const job = `FOUND 7 ${secret.length}\r\n${secret}`
  const surprises: ReadonlyArray<readonly [what: string, command: Command, request: string, reply: string]> = [
    ["another command's word", (_) => _.delete("7"), "delete 7", "TOUCHED\r\n"],
    ["a word nobody knows", (_) => _.delete("7"), "delete 7", "REMOVED\r\n"],
    ["a word in lower case", (_) => _.delete("7"), "delete 7", "deleted\r\n"],
    ["a word with a space behind it", (_) => _.delete("7"), "delete 7", "DELETED \r\n"],
    ["an empty line", (_) => _.delete("7"), "delete 7", "\r\n"],
    ["a line with a NUL", (_) => _.delete("7"), "delete 7", "DELETED\0\r\n"],
    ["a line that ends with a line feed only", (_) => _.delete("7"), "delete 7", "DELETED\n"],
    ["a line that ends with two carriage returns", (_) => _.delete("7"), "delete 7", "DELETED\r\r\n"],
    ["a space where the carriage return should be", (_) => _.delete("7"), "delete 7", "DELETED \n"],
    ["a line that has no end within 256 bytes", (_) => _.delete("7"), "delete 7", "D".repeat(257)],
    ["a document where a word is due", (_) => _.delete("7"), "delete 7", "OK 2\r\nhi\r\n"],
    ["a job where a word is due", (_) => _.delete("7"), "delete 7", `${job}\r\n`],
    ["a number of kicked jobs for one job", (_) => _.kickJob("7"), "kick-job 7", "KICKED 1\r\n"],
    ["no number of kicked jobs for many", (_) => _.kick(9), "kick 9", "KICKED\r\n"],
    ["a negative number", (_) => _.kick(9), "kick 9", "KICKED -1\r\n"],
    ["a number of eleven digits", (_) => _.watch("t"), "watch t", "WATCHING 10000000000\r\n"],
    ["no number of watched tubes", (_) => _.watch("t"), "watch t", "WATCHING\r\n"],
    ["no id for a job that was put", (_) => _.put("x"), put.slice(0, -2), "INSERTED\r\n"],
    ["an id that is none", (_) => _.put("x"), put.slice(0, -2), "INSERTED 1x\r\n"],
    ["an id of more than 64 bits", (_) => _.put("x"), put.slice(0, -2), "INSERTED 18446744073709551616\r\n"],
    ["no id for a job that was buried", (_) => _.put("x"), put.slice(0, -2), "BURIED\r\n"],
    ["another tube than asked for", (_) => _.use("t"), "use t", "USING default\r\n"],
    ["a tube that can be none", (_) => _.listTubeUsed, "list-tube-used", "USING -t\r\n"],
    ["another job than looked for", (_) => _.peek("8"), "peek 8", `${job}\r\n`],
    ["another job's statistics", (_) => _.statsJob("8"), "stats-job 8", statsJobReply(7)],
    ["another job than reserved", (_) => _.reserveJob("8"), "reserve-job 8", "RESERVED 7 0\r\n\r\n"],
    ["a reserved job where one was looked for", (_) => _.peek("7"), "peek 7", "RESERVED 7 0\r\n\r\n"],
    ["a found job where one was reserved", (_) => _.reserveWithTimeout(0), "reserve-with-timeout 0", `${job}\r\n`],
    ["TIMED_OUT where nothing can time out", (_) => _.reserve, "reserve", "TIMED_OUT\r\n"],
    ["DEADLINE_SOON where it cannot be", (_) => _.reserveJob("7"), "reserve-job 7", "DEADLINE_SOON\r\n"],
    ["a body that is longer than announced", (_) => _.peek("7"), "peek 7", `FOUND 7 9\r\n${secret}\r\n`],
    ["a body without its CRLF", (_) => _.peek("7"), "peek 7", `${job}\n\n`],
    ["a body with half a CRLF", (_) => _.peek("7"), "peek 7", `${job}\rX`],
    [
      "a body that is shorter than announced",
      (_) => _.peek("7"),
      "peek 7",
      `FOUND 7 ${secret.length + 2}\r\n${secret}\r\nDELETED\r\n`
    ],
    ["a body larger than accepted", (_) => _.peek("7"), "peek 7", "FOUND 7 1025\r\n"],
    ["a body of gigabytes", (_) => _.peek("7"), "peek 7", "FOUND 7 9999999999\r\n"],
    ["a body of more bytes than a number can count", (_) => _.peek("7"), "peek 7", `FOUND 7 ${"9".repeat(30)}\r\n`],
    ["a job without a size", (_) => _.peek("7"), "peek 7", "FOUND 7\r\n"],
    ["a job with a negative size", (_) => _.peek("7"), "peek 7", "FOUND 7 -1\r\n"],
    ["a job with a size and more", (_) => _.peek("7"), "peek 7", "FOUND 7 1 1\r\nx\r\n"],
    ["statistics of more than 16 MiB", (_) => _.stats, "stats", `OK ${16 * 1024 * 1024 + 1}\r\n`],
    ["statistics without a size", (_) => _.stats, "stats", "OK\r\n"],
    ["statistics that are none", (_) => _.stats, "stats", ok("hello")],
    ["a list of tubes with something else in it", (_) => _.listTubes, "list-tubes", ok("---\n- a\n* b\n")],
    ["statistics of a tube that is none", (_) => _.statsTube("t"), "stats-tube t", Scripted.stats],
    ["an answer to goodbye", (_) => _.peekReady(), "peek-ready", "TIMED_OUT\r\n"]
  ]

  it.scoped.each(surprises)("%s", ([, command, request, reply]) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 2, maxBodySize: 1024 })
      const fibers = yield* Scripted.start([command(connection), connection.touch("1"), connection.touch("2")])
      yield* peer.expect(`${request}\r\ntouch 1\r\n`)
      yield* peer.say(reply)
      assert.deepStrictEqual(yield* Scripted.endings(fibers), [
        "ProtocolViolation",
        "ConnectionLost Unknown",
        "ConnectionLost NotSent"
      ])
      assert.strictEqual(Scripted.ending(yield* Effect.exit(connection.listTubes)), "ConnectionLost NotSent")
      yield* peer.closed
      assert.strictEqual(yield* peer.rest, "")
      for (const fiber of fibers) {
        assert.notMatch(everythingOf(yield* Effect.flip(Fiber.join(fiber))), secrets)
      }
    }))

  it.scoped("the violation quotes the line, and the other commands fail with their outcome", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 2 })
      const [first, second, third] = yield* Scripted.start([
        connection.delete("1"),
        connection.delete("2"),
        connection.delete("3")
      ])
      yield* peer.expect("delete 1\r\ndelete 2\r\n")
      yield* peer.say("TOUCHED\r\n")
      const violation = yield* Effect.flip(Fiber.join(first))
      assert.include(violation.message, "TOUCHED")
      const unknown = yield* Effect.flip(Fiber.join(second))
      assert.include(unknown.message, "delete")
      assert.include(unknown.message, "memory:11300")
      assert.include(unknown.message, "unknown")
      assert.include((yield* Effect.flip(Fiber.join(third))).message, "not sent")
    }))

  /** After a size that is too small, the rest of the body is read as reply lines. */
  it.scoped.each([secret, "TOKEN hunter2", "HUNTER2", "Hunter2".repeat(40)])(
    "the rest of a body longer than announced is not quoted: %s",
    (rest) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const [peeking] = yield* Scripted.start([connection.peek("7")])
        const [touching] = yield* Scripted.start([connection.touch("1")])
        yield* peer.expect("peek 7\r\ntouch 1\r\n")
        yield* peer.say(`FOUND 7 5\r\nlines\r\n${rest}\r\n`)
        assert.strictEqual((yield* Fiber.join(peeking)).body.length, 5)
        const error = yield* Effect.flip(Fiber.join(touching))
        assert.strictEqual(error._tag, "ProtocolViolation")
        assert.notMatch(everythingOf(error), secrets)
      })
  )
})

describe("a reply without a command ends the connection", () => {
  it.scoped.each(["DELETED\r\n", "D", "\r\n", "\0"])("while it is idle: %j", (unasked) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      yield* peer.say(unasked)
      yield* peer.closed
      assert.strictEqual(Scripted.ending(yield* Effect.exit(connection.listTubes)), "ConnectionLost NotSent")
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scoped.each(["DELETED\r\n", "D", "\r\n"])("after the last reply: %j", (unasked) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 1 })
      const fibers = yield* Scripted.start([connection.delete("1"), connection.delete("2")])
      yield* peer.expect("delete 1\r\n")
      yield* peer.say(`DELETED\r\n${unasked}`)
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["Success", "ConnectionLost NotSent"])
      yield* peer.closed
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scoped("while a reserve blocks: no other reply is taken for its job", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.reserve])
      yield* peer.expect("reserve\r\n")
      yield* peer.say("INSERTED 1\r\n")
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["ProtocolViolation"])
      yield* peer.closed
    }))
})

describe("a list of tubes", () => {
  it.scoped("of more than 16 MiB is read, and the commands behind it get their replies", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const listing = yield* Scripted.start([connection.listTubes, connection.listTubesWatched])
      const [touching] = yield* Scripted.start([connection.touch("1")])
      yield* peer.expect("list-tubes\r\nlist-tubes-watched\r\ntouch 1\r\n")
      const names = upTo(82_999).map((index) => `${index}`.padStart(200, "x"))
      const list = Buffer.from(ok(`---\n- ${names.join("\n- ")}\n`))
      assert.isAbove(list.length, 16 * 1024 * 1024)
      const size = 1024 * 1024
      for (const reply of [list, list]) {
        for (let offset = 0; offset < list.length; offset += size) peer.sendNow(reply.subarray(offset, offset + size))
      }
      yield* peer.say("TOUCHED\r\n")
      for (const fiber of listing) {
        const found = yield* Fiber.join(fiber)
        assert.strictEqual(found.length, names.length)
        assert.isTrue(found.every((name, index) => name === names[index]))
      }
      yield* Fiber.join(touching)
    }))
})

describe("an error of the server", () => {
  const commands: ReadonlyArray<readonly [request: string, command: Command]> = [
    ["delete 7", (_) => _.delete("7")],
    ["reserve", (_) => _.reserve],
    ["reserve-with-timeout 0", (_) => _.reserveWithTimeout(0)],
    ["watch t", (_) => _.watch("t")],
    ["ignore t", (_) => _.ignore("t")],
    ["peek-ready", (_) => _.peekReady()],
    ["kick 1", (_) => _.kick(1)],
    ["stats", (_) => _.stats],
    ["list-tubes", (_) => _.listTubes],
    ["pause-tube t 1", (_) => _.pauseTube("t", "1 second")],
    ["release 7 1 0", (_) => _.release("7", { priority: 1 })],
    ["use t", (_) => _.use("t")]
  ]
  const errors = [
    ["OUT_OF_MEMORY", "OutOfMemory"],
    ["INTERNAL_ERROR", "InternalError"],
    ["BAD_FORMAT", "BadFormat"],
    ["UNKNOWN_COMMAND", "UnknownCommand"]
  ] as const

  it.scoped.each(errors)("fails the command that gets it, and no other: %s", ([word, tag]) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      for (const [request, command] of commands) {
        const [before, asking, behind] = yield* Scripted.start([
          connection.watch("a"),
          command(connection),
          connection.watch("b")
        ])
        yield* peer.expect(`watch a\r\n${request}\r\nwatch b\r\n`)
        yield* peer.say(`WATCHING 1111\r\n${word}\r\nWATCHING 2222\r\n`)
        assert.strictEqual(yield* Fiber.join(before), 1111)
        assert.deepStrictEqual(yield* Scripted.endings([asking]), [tag])
        assert.strictEqual(yield* Fiber.join(behind), 2222, `the replies have shifted behind ${request}`)
      }
      assert.isFalse(peer.isClosed)
    }))

  it.scoped.each([
    ["EXPECTED_CRLF", "ExpectedCRLF"],
    ["BAD_FORMAT", "BadFormat"],
    ["UNKNOWN_COMMAND", "UnknownCommand"]
  ])(
    "closes the connection if it answers a put, whose body the server may read as commands: %s",
    ([word, tag]) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open({ maxInFlight: 2 })
        const fibers = yield* Scripted.start([
          connection.put("x"),
          connection.touch("1"),
          connection.touch("2")
        ])
        yield* peer.expect(`${put}touch 1\r\n`)
        yield* peer.say(`${word}\r\nTOUCHED\r\n`)
        assert.deepStrictEqual(yield* Scripted.endings(fibers), [
          tag!,
          "ConnectionLost Unknown",
          "ConnectionLost NotSent"
        ])
        yield* peer.closed
        assert.strictEqual(yield* peer.rest, "")
      })
  )

  it.scoped.each([
    ["OUT_OF_MEMORY", "OutOfMemory"],
    ["INTERNAL_ERROR", "InternalError"],
    ["JOB_TOO_BIG", "JobTooBig"],
    ["DRAINING", "Draining"],
    ["BURIED 9", "Buried"]
  ])("leaves the connection open behind a put that was read to its end: %s", ([word, tag]) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.put("x"), connection.put("x")])
      yield* peer.expect(`${put}${put}`)
      yield* peer.say(`${word}\r\nINSERTED 2\r\n`)
      assert.deepStrictEqual(yield* Scripted.endings(fibers), [tag!, "Success"])
      assert.isFalse(peer.isClosed)
    }))
})

describe("a command that names a tube", () => {
  it.scoped("is written with a use in one write, unless the server has selected that tube already", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const first = yield* Scripted.start([connection.put("x", { tube: "a" })])
      yield* peer.expect(`use a\r\n${put}`)
      assert.deepStrictEqual(peer.writes.slice(1), [`use a\r\n${put}`])
      yield* peer.say("USING a\r\nINSERTED 1\r\n")
      const second = yield* Scripted.start([connection.put("x", { tube: "a" }), connection.put("x", { tube: "b" })])
      yield* peer.expect(`${put}use b\r\n${put}`)
      yield* peer.say("INSERTED 2\r\nUSING b\r\nINSERTED 3\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([...first, ...second]), ["Success", "Success", "Success"])
    }))

  it.scoped("does not change the tube of commands that name none", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([
        connection.put("x", { tube: "a" }),
        connection.peekReady(),
        connection.kick(1, { tube: "a" }),
        connection.listTubeUsed,
        connection.peekBuried({ tube: "a" }),
        connection.peekDelayed()
      ])
      yield* peer.expect(
        `use a\r\n${put}use default\r\npeek-ready\r\nuse a\r\nkick 1\r\nuse default\r\nlist-tube-used\r\n` +
          `use a\r\npeek-buried\r\nuse default\r\npeek-delayed\r\n`
      )
      assert.lengthOf(peer.writes, 2)
      yield* peer.say(
        "USING a\r\nINSERTED 1\r\nUSING default\r\nNOT_FOUND\r\nUSING a\r\nKICKED 1\r\nUSING default\r\nUSING default\r\n" +
          "USING a\r\nNOT_FOUND\r\nUSING default\r\nNOT_FOUND\r\n"
      )
      assert.deepStrictEqual(yield* Scripted.endings(fibers), fibers.map(() => "Success"))
    }))

  it.scoped.each(["OUT_OF_MEMORY\r\n", "USING b\r\n", "BAD_FORMAT\r\n"])(
    "ends the connection when its use is refused: %j",
    (refusal) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open({ maxInFlight: 3 })
        const fibers = yield* Scripted.start([
          connection.put("x", { tube: "a" }),
          connection.touch("1"),
          connection.touch("2")
        ])
        yield* peer.expect(`use a\r\n${put}touch 1\r\n`)
        yield* peer.say(`${refusal}INSERTED 1\r\n`)
        const [putting, ...others] = yield* Scripted.endings(fibers)
        assert.strictEqual(putting, "ConnectionLost Unknown")
        assert.deepStrictEqual(others, ["ConnectionLost Unknown", "ConnectionLost NotSent"])
        assert.include((yield* Effect.flip(Fiber.join(fibers[0]))).message, "did not accept the use of tube a")
        yield* peer.closed
      })
  )

  it.scoped("a put after an unanswered use selects the tube again, since that use may be refused", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.use("a"), connection.put("x"), connection.put("x")])
      yield* peer.expect(`use a\r\nuse a\r\n${put}${put}`)
      yield* peer.say("OUT_OF_MEMORY\r\nUSING a\r\nINSERTED 1\r\nINSERTED 2\r\n")
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["OutOfMemory", "Success", "Success"])
      yield* Scripted.start([connection.put("x")])
      yield* peer.expect(`use default\r\n${put}`)
    }))

  it.scoped("a put after an answered use selects nothing", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [using] = yield* Scripted.start([connection.use("a")])
      yield* peer.expect("use a\r\n")
      yield* peer.say("USING a\r\n")
      yield* Fiber.join(using)
      yield* Scripted.start([connection.put("x"), connection.put("x", { tube: "a" })])
      yield* peer.expect(`${put}${put}`)
    }))

  it.scoped("a caller's use that is refused leaves the tube in use as it was", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [using] = yield* Scripted.start([connection.use("a")])
      yield* peer.expect("use a\r\n")
      yield* peer.say("OUT_OF_MEMORY\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([using]), ["OutOfMemory"])
      yield* Scripted.start([connection.put("x")])
      yield* peer.expect(`use default\r\n${put}`)
    }))

  it.scoped("two uses in flight that are both refused leave the tube in use as it was", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const using = yield* Scripted.start([connection.use("a"), connection.use("b")])
      yield* peer.expect("use a\r\nuse b\r\n")
      yield* peer.say("OUT_OF_MEMORY\r\nOUT_OF_MEMORY\r\n")
      assert.deepStrictEqual(yield* Scripted.endings(using), ["OutOfMemory", "OutOfMemory"])
      yield* Scripted.start([connection.put("x")])
      yield* peer.expect(`use default\r\n${put}`)
    }))

  it.scoped("two uses in flight of which the second is refused leave the tube of the first in use", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const using = yield* Scripted.start([connection.use("a"), connection.use("b")])
      yield* peer.expect("use a\r\nuse b\r\n")
      yield* peer.say("USING a\r\nOUT_OF_MEMORY\r\n")
      assert.deepStrictEqual(yield* Scripted.endings(using), ["Success", "OutOfMemory"])
      yield* Scripted.start([connection.put("x")])
      yield* peer.expect(`use a\r\n${put}`)
    }))

  /** A use, a put into a named tube, or a put into the tube in use. */
  const step = fc.oneof(
    fc.record({ use: fc.constantFrom("a", "b", "c") }),
    fc.record({ put: fc.constantFrom("a", "b", "c", undefined), interrupted: fc.boolean() })
  )

  it.live("every job is put into its own tube, whatever other fibers use, and whenever they are answered", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 30 }),
          fc.integer({ min: 1, max: 8 }),
          (steps, maxInFlight) => Effect.runPromise(Effect.scoped(tubesAreKept(steps, maxInFlight)))
        ),
        { numRuns: amount(50, 150) }
      )
    ))

  type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

  const tubesAreKept = (steps: ReadonlyArray<Step>, maxInFlight: number) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight })
      let inUse = "default"
      const meant = new Map<string, string>()
      const commands: Array<Effect.Effect<unknown, unknown>> = []
      for (const [i, step] of steps.entries()) {
        if ("use" in step) {
          inUse = step.use
          commands.push(connection.use(step.use))
        } else {
          meant.set(`job ${i}`, step.put ?? inUse)
          commands.push(connection.put(`job ${i}`, { tube: step.put }))
        }
      }
      let selected = "default"
      const found = new Map<string, string>()
      yield* Effect.fork(Effect.forever(Effect.flatMap(peer.line, (line) => {
        const [word, tube] = line.trimEnd().split(" ")
        if (word === "use") {
          selected = tube!
          return peer.say(`USING ${selected}\r\n`)
        }
        return Effect.flatMap(peer.line, (body) => {
          found.set(body.trimEnd(), selected)
          return peer.say("INSERTED 1\r\n")
        })
      })))
      const fibers = yield* Scripted.start(commands)
      const isInterrupted = (step: Step) => "interrupted" in step && step.interrupted
      yield* Effect.forEach(fibers.filter((_, i) => isInterrupted(steps[i]!)), Fiber.interruptFork)
      const endings = yield* Scripted.endings(fibers)
      for (const [i, step] of steps.entries()) {
        assert.include(isInterrupted(step) ? ["Success", "Interrupted"] : ["Success"], endings[i])
      }
      for (const [job, tube] of found) assert.strictEqual(tube, meant.get(job), `the tube of ${job}`)
    })
})

describe.each(Scripted.waysToWrite)("writing $writing", (writing) => {
  it.scoped("the commands of 256 fibers in one tick leave in one write, and each fiber gets its own reply", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open(writing)
      const numbers = Array.range(1, 256)
      const fibers = yield* Scripted.start(numbers.map((n) => connection.kick(n)))
      const requests = numbers.map((n) => `kick ${n}\r\n`).join("")
      yield* peer.expect(requests)
      assert.deepStrictEqual(peer.writes.slice(1), [requests])
      yield* peer.say(numbers.map((n) => `KICKED ${n}\r\n`).join(""))
      assert.deepStrictEqual(yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber)), numbers)
    }))

  it.scoped("a body over the server's limit fails with JobTooBig before a byte is written", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open(writing)
      const error = yield* Effect.flip(connection.put(new Uint8Array(65_536)))
      assert.strictEqual(error._tag, "JobTooBig")
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
    }))

  it.scoped("a body that changes its length before it is written is never written", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ ...writing, maxInFlight: 1 })
      const body = new Uint8Array(8)
      const fibers = yield* Scripted.start([connection.touch("1"), connection.put(body), connection.touch("2")])
      yield* peer.expect("touch 1\r\n")
      structuredClone(body, { transfer: [body.buffer] })
      yield* peer.say("TOUCHED\r\n")
      yield* peer.expect("touch 2\r\n")
      yield* peer.say("TOUCHED\r\n")
      const [first, second, third] = yield* Scripted.endings(fibers)
      assert.include(second!, "the body changed its length")
      assert.deepStrictEqual([first, third], ["Success", "Success"])
    }))
})

describe.each(Scripted.waysToWrite)("back-pressure, writing $writing", (writing) => {
  it.scoped("at most maxInFlight commands are in flight", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ ...writing, maxInFlight: 4 })
      const fibers = yield* Scripted.start(Array.range(1, 10).map((n) => connection.kick(n)))
      yield* peer.expect("kick 1\r\nkick 2\r\nkick 3\r\nkick 4\r\n")
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
      yield* peer.say("KICKED 1\r\n")
      yield* peer.expect("kick 5\r\n")
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
      yield* peer.say("KICKED 2\r\nKICKED 3\r\nKICKED 4\r\nKICKED 5\r\n")
      yield* peer.expect("kick 6\r\nkick 7\r\nkick 8\r\nkick 9\r\n")
      yield* peer.say("KICKED 6\r\nKICKED 7\r\nKICKED 8\r\nKICKED 9\r\n")
      yield* peer.expect("kick 10\r\n")
      yield* peer.say("KICKED 10\r\n")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber)), Array.range(1, 10))
    }))

  it.scoped("at most maxQueuedBytes are in flight, but always one command", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ ...writing, maxQueuedBytes: 2 * put.length + 1 })
      const large = "y".repeat(200)
      const fibers = yield* Scripted.start([
        connection.put("x"),
        connection.put("x"),
        connection.put("x"),
        connection.put(large),
        connection.put("x")
      ])
      yield* peer.expect(`${put}${put}`)
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
      yield* peer.say("INSERTED 1\r\n")
      yield* peer.expect(put)
      yield* peer.say("INSERTED 2\r\n")
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "", "a larger one does not go while another is on its way")
      yield* peer.say("INSERTED 3\r\n")
      yield* peer.expect(`put 1024 0 60 200\r\n${large}\r\n`)
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "", "nothing goes beside a larger one")
      yield* peer.say("INSERTED 4\r\n")
      yield* peer.expect(put)
      yield* peer.say("INSERTED 5\r\n")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber)), ["1", "2", "3", "4", "5"])
    }))

  it.scoped("at most maxQueuedBytes are written to a server that stops reading", () =>
    Effect.gen(function*() {
      const putting = `put 1024 0 60 970\r\n${"z".repeat(970)}\r\n`
      const [connection, peer] = yield* Scripted.open({ ...writing, maxQueuedBytes: 10 * putting.length })
      yield* peer.stopReading
      const fibers = yield* Scripted.start(Array.range(1, 1000).map(() => connection.put("z".repeat(970))))
      yield* peer.expect(putting.repeat(10))
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
      yield* Effect.forEach(fibers.slice(500), Fiber.interrupt)
      yield* TestClock.adjust("10 seconds")
      const endings = yield* Scripted.endings(fibers)
      const count = (ending: string) => endings.filter((each) => each === ending).length
      assert.deepStrictEqual(
        [count("ConnectionLost Unknown"), count("ConnectionLost NotSent"), count("Interrupted")],
        [10, 490, 500]
      )
      yield* peer.closed
      assert.strictEqual(yield* peer.rest, "")
    }))
})

describe("a full send buffer of the kernel", () => {
  it.scopedLive("stops the writing, and bounds the memory", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const [connection, peer] = yield* Scripted.connect(server, { maxQueuedBytes: 8 * 1024 * 1024 })
      yield* peer.stopReading
      const body = new Uint8Array(65_000)
      const before = process.memoryUsage().arrayBuffers
      const fibers = yield* Scripted.start(Array.range(1, 4000).map(() => connection.put(body)))
      yield* Scripted.turn
      yield* Scripted.turn
      assert.isBelow(process.memoryUsage().arrayBuffers - before, 32 * 1024 * 1024, "of 248 MiB to send")
      yield* Fiber.interruptAll(fibers)
      assert.isFalse(peer.isClosed)
    }))
})

describe("a server", () => {
  const lost = ["ConnectionLost Unknown", "ConnectionLost Unknown", "ConnectionLost NotSent"]

  it.scoped("that closes the connection fails every command in flight, and every later one", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 2 })
      const fibers = yield* Scripted.start([connection.reserve, connection.touch("1"), connection.touch("2")])
      yield* peer.expect("reserve\r\ntouch 1\r\n")
      yield* peer.hangUp
      assert.deepStrictEqual(yield* Scripted.endings(fibers), lost)
      assert.strictEqual(Scripted.ending(yield* Effect.exit(connection.listTubes)), "ConnectionLost NotSent")
    }))

  it.scoped("that closes the connection in the middle of a body fails its command", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.reserve])
      yield* peer.expect("reserve\r\n")
      yield* peer.say(`RESERVED 7 100\r\n${secret}`)
      yield* peer.hangUp
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["ConnectionLost Unknown"])
    }))

  it.scopedLive.each(["hangUp", "reset"] as const)(
    "on a real socket that closes or resets it leaves no error uncaught, idle or busy: %s",
    (way) =>
      Effect.gen(function*() {
        const server = yield* Scripted.onLoopback
        const [idle, idlePeer] = yield* Scripted.connect(server)
        yield* idlePeer[way]
        // No command was in flight: the next one fails.
        yield* Effect.exit(idle.listTubes).pipe(
          Effect.repeat({ until: (exit) => Scripted.ending(exit) === "ConnectionLost NotSent" })
        )
        const [busy, busyPeer] = yield* Scripted.connect(server, { maxInFlight: 2 })
        const fibers = yield* Scripted.start([busy.reserve, busy.touch("1"), busy.touch("2")])
        yield* busyPeer.expect("reserve\r\ntouch 1\r\n")
        yield* busyPeer.say(`RESERVED 7 100\r\n${secret}`)
        yield* busyPeer[way]
        assert.deepStrictEqual(yield* Scripted.endings(fibers), lost)
        assert.notInclude(everythingOf(yield* Effect.flip(Fiber.join(fibers[0]))), "hunter2")
        yield* busyPeer.closed
      })
  )

  it.scoped("that can be read from, but not written to, fails every command in flight", () =>
    Effect.gen(function*() {
      let isBroken = false
      const broken = Effect.fail(new Socket.SocketGenericError({ reason: "Write", cause: new Error("write EPIPE") }))
      const server = yield* Scripted.inMemory({ writing: "through an Effect" })
      const connector = Layer.map(server.connector, (context) => {
        const { address, socket } = Context.get(context, Connector.Connector)
        const breaking = Effect.map(socket, (socket) => ({
          ...socket,
          writer: Effect.map(
            socket.writer,
            (write) => (chunk: Parameters<typeof write>[0]) => isBroken ? broken : write(chunk)
          )
        }))
        return Context.make(Connector.Connector, { address, socket: breaking })
      })
      const [connection, peer] = yield* Scripted.connect({ ...server, connector })
      isBroken = true
      const [reserving] = yield* Scripted.start([connection.reserve])
      assert.include((yield* Effect.flip(Fiber.join(reserving))).message, "write EPIPE")
      yield* peer.closed
    }))

  it.scopedLive("that closes its half of the connection has the other half closed as well", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const [connection, peer] = yield* Scripted.connect(server)
      yield* peer.hangUp
      yield* peer.closed
      assert.strictEqual(Scripted.ending(yield* Effect.exit(connection.listTubes)), "ConnectionLost NotSent")
    }))

  it.scoped("that is cut off at any byte fails exactly the commands that it has not answered", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const ids = ["1", "22", "333"]
      const said = ids.map((id) => `INSERTED ${id}\r\n`)
      for (let at = 0; at <= said.join("").length; at += 1) {
        const [connection, peer] = yield* Scripted.connect(server)
        const fibers = yield* Scripted.start(ids.map((id) => connection.put(id)))
        yield* peer.expect(ids.map((id) => `put 1024 0 60 ${id.length}\r\n${id}\r\n`).join(""))
        yield* peer.say(said.join("").slice(0, at))
        yield* peer.hangUp
        const acknowledged = ids.filter((_, i) => said.slice(0, i + 1).join("").length <= at)
        assert.deepStrictEqual(
          yield* Effect.forEach(fibers, (fiber) => Effect.either(Fiber.join(fiber))).pipe(
            Effect.map(Array.getRights)
          ),
          acknowledged
        )
        assert.deepStrictEqual(
          yield* Scripted.endings(fibers.slice(acknowledged.length)),
          ids.slice(acknowledged.length).map(() => "ConnectionLost Unknown")
        )
      }
    }))
})

describe("the end of the scope", () => {
  /** How many of these the process has open. */
  const resources = (kind: string) => process.getActiveResourcesInfo().filter((each) => each === kind).length

  it.scoped("fails every command in flight, and leaves no fiber", () =>
    Effect.gen(function*() {
      const supervisor = yield* Supervisor.track
      const ends = yield* Effect.gen(function*() {
        const scope = yield* Scope.make()
        const [connection, peer] = yield* Scope.extend(Scripted.open({ maxInFlight: 2 }), scope)
        const fibers = yield* Scripted.start([
          connection.reserveWithTimeout("1 hour"),
          connection.touch("1"),
          connection.touch("2")
        ])
        yield* peer.expect("reserve-with-timeout 3600\r\ntouch 1\r\n")
        assert.isAbove((yield* supervisor.value).length, fibers.length)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(peer.isClosed)
        assert.strictEqual(Scripted.ending(yield* Effect.exit(connection.listTubes)), "ConnectionLost NotSent")
        return yield* Scripted.endings(fibers)
      }).pipe(Effect.supervised(supervisor))
      assert.deepStrictEqual(ends, [
        "ConnectionLost Unknown",
        "ConnectionLost Unknown",
        "ConnectionLost NotSent"
      ])
      assert.lengthOf(yield* supervisor.value, 0)
    }))

  it.scopedLive("leaves no socket and no timer in the process", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const timers = resources("Timeout")
      yield* Effect.scoped(Effect.gen(function*() {
        for (let i = 0; i < 5; i += 1) {
          const [connection, peer] = yield* Scripted.connect(server, { replyTimeout: "1 hour" })
          yield* Scripted.start([connection.touch("1"), connection.reserve])
          yield* peer.expect("touch 1\r\nreserve\r\n")
        }
        assert.isAtLeast(resources("TCPSocketWrap"), 10)
        assert.isAtLeast(resources("Timeout"), 5)
      }))
      yield* Effect.repeat(Scripted.turn, {
        until: () => resources("TCPSocketWrap") === 0 && resources("Timeout") <= timers
      })
    }))

  it.scoped("of a Layer closes its one connection", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const layer = Layer.provide(BeanstalkConnection.layer({ name: "shared" }), server.connector)
      const [name, peer] = yield* Effect.all([
        Effect.provide(Effect.map(BeanstalkConnection.BeanstalkConnection, (connection) => connection.name), layer),
        Effect.tap(server.accept, (peer) => Effect.zipRight(peer.expect("stats\r\n"), peer.say(Scripted.stats)))
      ], { concurrency: "unbounded" })
      assert.strictEqual(name, "shared")
      assert.isTrue(peer.isClosed)
    }))
})

describe("quit", () => {
  it.scoped("succeeds once the server has closed the connection", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.touch("1"), connection.quit])
      yield* peer.expect("touch 1\r\nquit\r\n")
      yield* peer.say("TOUCHED\r\n")
      assert.isTrue(yield* Scripted.isPending(fibers[1]))
      yield* peer.hangUp
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["Success", "Success"])
    }))

  it.scoped("lets no command be sent after it", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.quit, connection.touch("1"), connection.put("x", { tube: "a" })])
      yield* peer.expect("quit\r\n")
      const later = yield* Scripted.start([connection.touch("2")])
      yield* Scripted.turn
      assert.strictEqual(yield* peer.rest, "")
      yield* peer.hangUp
      assert.deepStrictEqual(yield* Scripted.endings([...fibers, ...later]), [
        "Success",
        "ConnectionLost NotSent",
        "ConnectionLost NotSent",
        "ConnectionLost NotSent"
      ])
    }))

  it.scoped("fails with ConnectionLost after replyTimeout when the server does not close", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ replyTimeout: "2 seconds" })
      const [quitting] = yield* Scripted.start([connection.quit])
      yield* peer.expect("quit\r\n")
      yield* TestClock.adjust(1999)
      assert.isTrue(yield* Scripted.isPending(quitting))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Scripted.endings([quitting]), ["ConnectionLost Unknown"])
      yield* peer.closed
    }))

  it.scoped("fails with ConnectionLost when the server replies to it, or leaves an earlier command unanswered", () =>
    Effect.gen(function*() {
      const [talkative, talking] = yield* Scripted.open()
      const answered = yield* Scripted.start([talkative.quit])
      yield* talking.expect("quit\r\n")
      yield* talking.say("BYE\r\n")
      const [connection, peer] = yield* Scripted.open()
      const cut = yield* Scripted.start([connection.touch("1"), connection.quit])
      yield* peer.expect("touch 1\r\nquit\r\n")
      yield* peer.hangUp
      assert.deepStrictEqual(yield* Scripted.endings([...answered, ...cut]), [
        "ConnectionLost Unknown",
        "ConnectionLost Unknown",
        "ConnectionLost Unknown"
      ])
    }))

  it.scopedLive("succeeds on a real socket", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const [connection, peer] = yield* Scripted.connect(server)
      const fibers = yield* Scripted.start([connection.quit])
      yield* peer.expect("quit\r\n")
      yield* peer.hangUp
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["Success"])
    }))
})

describe("replies in pieces", () => {
  /** A body that looks like replies, with every kind of line end. */
  const tricky = "RESERVED 1 5\r\nhello\r\n\r\r\n\nDELETED\r\n"

  const session: ReadonlyArray<readonly [command: Command, request: string, reply: string, answer: unknown]> = [
    [(_) => _.put(""), "put 1024 0 60 0\r\n", "INSERTED 18446744073709551615\r\n", "18446744073709551615"],
    [
      (_) => Effect.map(_.reserveWithTimeout(0), ({ body }) => Buffer.from(body).toString("latin1")),
      "reserve-with-timeout 0",
      `RESERVED 1 ${tricky.length}\r\n${tricky}\r\n`,
      tricky
    ],
    [(_) => Effect.map(_.peek("2"), ({ body }) => body.length), "peek 2", "FOUND 2 0\r\n\r\n", 0],
    [
      (_) => Effect.flip(_.delete("3")).pipe(Effect.map(({ _tag }) => _tag)),
      "delete 3",
      "NOT_FOUND\r\n",
      "JobNotFound"
    ],
    [(_) => _.watch("t"), "watch t", "WATCHING 2\r\n", 2],
    [(_) => _.kick(9), "kick 9", "KICKED 5\r\n", 5],
    [(_) => Effect.map(_.stats, ({ maxJobSize }) => maxJobSize), "stats", Scripted.stats, 65535],
    [(_) => _.listTubes, "list-tubes", ok("---\n- default\n- 12e4\n"), ["default", "12e4"]],
    [(_) => Effect.flip(_.put("x")).pipe(Effect.map(({ _tag }) => _tag)), put.slice(0, -2), "BURIED 9\r\n", "Buried"],
    [(_) => _.delete("1"), "delete 1", "DELETED\r\n", undefined],
    [(_) => _.use("t"), "use t", "USING t\r\n", "t"]
  ]

  it.scoped.each([1, 2, 3, 5, 7, 16, 64, 1000, 1_000_000])(
    "of %i bytes are decoded alike",
    (size) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const fibers = yield* Scripted.start(session.map(([command]) => command(connection)))
        yield* peer.expect(session.map(([, request]) => `${request}\r\n`).join(""))
        yield* peer.say(session.map(([, , reply]) => reply).join(""), size)
        const answers = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
        assert.deepStrictEqual(answers, session.map(([, , , answer]) => answer))
        yield* Scripted.turn
        assert.isFalse(peer.isClosed)
      })
  )

  it.scopedLive("of one byte are decoded alike over a real socket", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.onLoopback
      const [connection, peer] = yield* Scripted.connect(server)
      const fibers = yield* Scripted.start(session.map(([command]) => command(connection)))
      yield* peer.expect(session.map(([, request]) => `${request}\r\n`).join(""))
      yield* peer.say(session.map(([, , reply]) => reply).join(""), 1)
      const answers = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(answers, session.map(([, , , answer]) => answer))
    }))

  it.scoped("a body is complete only with the CRLF after it", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.peek("1"), connection.peek("2"), connection.touch("3")])
      yield* peer.expect("peek 1\r\npeek 2\r\ntouch 3\r\n")
      yield* peer.say("FOUND 1 0\r\n")
      assert.isTrue(yield* Scripted.isPending(fibers[0]))
      yield* peer.say("\r")
      yield* peer.say("\nFOUND 2 5\r\nhello")
      assert.isTrue(yield* Scripted.isPending(fibers[1]))
      yield* peer.say("\r\nTOUCHED\r\n")
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["Success", "Success", "Success"])
    }))

  it.scoped("of two connections do not mix", () =>
    Effect.gen(function*() {
      const [first, firstPeer] = yield* Scripted.open()
      const [second, secondPeer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([first.peek("1"), second.peek("2")])
      yield* firstPeer.expect("peek 1\r\n")
      yield* secondPeer.expect("peek 2\r\n")
      const replies = ["FOUND 1 6\r\nfirst!\r\n", "FOUND 2 7\r\nsecond!\r\n"] as const
      for (let i = 0; i < replies[1].length; i += 1) {
        yield* firstPeer.say(replies[0].slice(i, i + 1))
        yield* secondPeer.say(replies[1].slice(i, i + 1))
      }
      const bodies = yield* Effect.forEach(fibers, (fiber) => Effect.flatMap(Fiber.join(fiber), (job) => job.text()))
      assert.deepStrictEqual(bodies, ["first!", "second!"])
    }))

  it.scoped("later replies do not change the body of a job", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [first, second] = yield* Scripted.start([connection.peek("1"), connection.peek("2")])
      yield* peer.expect("peek 1\r\npeek 2\r\n")
      yield* peer.say("FOUND 1 5\r\nfirst\r\n", 3)
      const job = yield* Fiber.join(first)
      yield* peer.say("FOUND 2 5\r\nother\r\n", 3)
      yield* Fiber.join(second)
      assert.strictEqual(yield* job.text(), "first")
    }))
})
