import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import { ProtocolViolation } from "../../src/BeanstalkError.ts"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import type { PendingCommand } from "../../src/internal/connection/pendingCommand.ts"
import { batchOf } from "../../src/internal/protocol/command.ts"
import { describeExit, peek, PipelineHarness, put, reserveWithin, touch } from "../support/pipelineHarness.ts"
import { bytes, valid } from "../support/replies.ts"

describe("a pipeline", () => {
  it("writes all queued commands in one piece, and settles each with its reply", () => {
    const harness = new PipelineHarness()
    harness.send(put("one"))
    harness.send(touch("2"))
    harness.send(peek("3"))
    assert.strictEqual(harness.written(), "put 1024 0 60 3\r\none\r\ntouch 2\r\npeek 3\r\n")
    harness.receive("INSERTED 1\r\nTOUCHED\r\nFOUND 3 5\r\nthree\r\n")
    assert.deepStrictEqual(harness.settled, ["put 1024 0 60 3: 1", "touch 2: done", "peek 3: job 3: three"])
    harness.assertOpen()
  })

  it("settles a command when the last byte of its reply has arrived, and not before", () => {
    const harness = new PipelineHarness()
    harness.send(peek("3"))
    harness.send(touch("2"))
    harness.written()
    for (const character of "FOUND 3 5\r\nthree\r\nTOUCHED\r") harness.receive(character)
    assert.deepStrictEqual(harness.settled, ["peek 3: job 3: three"])
    harness.receive("\n")
    assert.deepStrictEqual(harness.settled, ["peek 3: job 3: three", "touch 2: done"])
    harness.assertOpen()
  })

  it("writes each command once, and nothing when the queue is empty", () => {
    const harness = new PipelineHarness()
    assert.isUndefined(harness.pipeline.takeBatch())
    harness.send(touch("1"))
    assert.strictEqual(harness.written(), "touch 1\r\n")
    assert.isUndefined(harness.pipeline.takeBatch())
  })

  it("calls onWritable for each queued command", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"))
    harness.send(touch("2"))
    assert.strictEqual(harness.writable, 2)
  })

  it("fails only the command that gets an error which any command can get", () => {
    const harness = new PipelineHarness()
    for (const id of ["1", "2", "3", "4", "5", "6"]) harness.send(touch(id))
    harness.written()
    harness.receive("OUT_OF_MEMORY\r\nINTERNAL_ERROR\r\nBAD_FORMAT\r\nUNKNOWN_COMMAND\r\nNOT_FOUND\r\nTOUCHED\r\n")
    assert.deepStrictEqual(harness.settled, [
      "touch 1: OutOfMemory",
      "touch 2: InternalError",
      "touch 3: BadFormat",
      "touch 4: UnknownCommand",
      "touch 5: JobNotFound 5",
      "touch 6: done"
    ])
    harness.assertOpen()
  })

  it("ends at an unexpected word: its command fails with ProtocolViolation, all others with ConnectionLost", () => {
    const harness = new PipelineHarness({ maxInFlight: 3 })
    for (const id of ["1", "2", "3", "4"]) harness.send(touch(id))
    harness.written()
    harness.receive("TOUCHED\r\nDELETED\r\nTOUCHED\r\n")
    const reason = "replies cannot be matched to commands after the reply to touch"
    assert.deepStrictEqual(harness.settled, [
      "touch 1: done",
      "touch 2: ProtocolViolation",
      `touch 3: ConnectionLost Unknown: ${reason}`,
      `touch 4: ConnectionLost NotSent: ${reason}`
    ])
    assert.strictEqual(harness.ending, reason)
    const [, violation] = harness.exits
    assert.strictEqual(
      harness.endings[0]?.cause,
      violation?._tag === "Failure" ? Cause.squash(violation.cause) : undefined
    )
  })

  it("reports a protocol violation with the five exchanges before it, the oldest first, with the size of each body", () => {
    const violationAfter = (commands: ReadonlyArray<Protocol.Command<unknown, unknown>>, replies: string) => {
      const harness = new PipelineHarness()
      for (const command of [...commands, touch("9")]) harness.send(command)
      harness.written()
      harness.receive(`${replies}DELETED\r\n`)
      const last = harness.exits.at(-1)
      assert(last?._tag === "Failure")
      const error = Cause.squash(last.cause)
      assert(error instanceof ProtocolViolation)
      return error
    }
    const none = violationAfter([], "")
    assert.deepStrictEqual(none.exchanges, [])
    assert.notInclude(none.message, "before it")

    const some = violationAfter(
      [put("secret"), Protocol.reserve, peek("3"), touch("4")],
      "INSERTED 1\r\nRESERVED 2 6\r\nsecret\r\nFOUND 3 6\r\nsecret\r\nNOT_FOUND\r\n"
    )
    const exchanges = [
      "put 1024 0 60 6 -> INSERTED 1",
      "reserve -> RESERVED (6 bytes)",
      "peek 3 -> FOUND (6 bytes)",
      "touch 4 -> NOT_FOUND"
    ]
    assert.deepStrictEqual(some.exchanges, exchanges)
    assert.include(some.message, `The exchanges before it: ${exchanges.join("; ")}.`)

    const ids = Array.from({ length: 23 }, (_, index) => `${index}`)
    assert.deepStrictEqual(
      violationAfter(ids.map(touch), "TOUCHED\r\n".repeat(ids.length)).exchanges,
      ids.slice(-5).map((id) => `touch ${id} -> TOUCHED`)
    )
  })

  for (const reply of ["BAD_FORMAT", "UNKNOWN_COMMAND", "EXPECTED_CRLF"]) {
    it(`ends when a put is answered ${reply}: the server may read the body as commands`, () => {
      const harness = new PipelineHarness()
      harness.send(put("delete 1"))
      harness.send(touch("2"))
      harness.written()
      harness.receive(`${reply}\r\n`)
      assert.strictEqual(harness.ending, "replies cannot be matched to commands after the reply to put")
      assert.strictEqual(harness.exits.length, 2)
      assert.match(harness.settled[1] ?? "", /^touch 2: ConnectionLost Unknown/)
    })
  }

  for (const reply of ["JOB_TOO_BIG", "DRAINING", "OUT_OF_MEMORY", "INTERNAL_ERROR", "BURIED 1"]) {
    it(`fails only the put that is answered ${reply}`, () => {
      const harness = new PipelineHarness()
      harness.send(put("body"))
      harness.send(touch("2"))
      harness.written()
      harness.receive(`${reply}\r\nTOUCHED\r\n`)
      assert.strictEqual(harness.settled[1], "touch 2: done")
      harness.assertOpen()
    })
  }

  for (const unrequested of ["TOUCHED\r\n", "T", "RESERVED 1 1073741824\r\n", "\n", "\0"]) {
    it(`ends at ${JSON.stringify(unrequested)} while no command is in flight`, () => {
      const harness = new PipelineHarness()
      harness.receive(unrequested)
      assert.strictEqual(harness.ending, "the server sent a reply that no command is waiting for")
    })

    it(`ends at ${JSON.stringify(unrequested)} after the last reply, and settles that reply`, () => {
      const harness = new PipelineHarness()
      harness.send(touch("1"))
      harness.written()
      harness.receive(`TOUCHED\r\n${unrequested}`)
      assert.deepStrictEqual(harness.settled, ["touch 1: done"])
      assert.strictEqual(harness.ending, "the server sent a reply that no command is waiting for")
    })
  }

  it("ends at a reply while the only command is queued, but not written", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"))
    harness.receive("TOUCHED\r\n")
    assert.deepStrictEqual(harness.settled, [
      "touch 1: ConnectionLost NotSent: the server sent a reply that no command is waiting for"
    ])
  })

  it("ignores an empty chunk, whether or not a command is in flight", () => {
    const harness = new PipelineHarness()
    harness.receive("")
    harness.send(touch("1"))
    harness.receive("")
    harness.written()
    harness.receive("")
    harness.receive("TOUCHED\r\n")
    harness.receive("")
    assert.deepStrictEqual(harness.settled, ["touch 1: done"])
    harness.assertOpen()
  })

  it("accepts a command that is submitted while another is settled", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"), () => harness.send(touch("2")))
    harness.written()
    harness.receive("TOUCHED\r\n")
    assert.strictEqual(harness.written(), "touch 2\r\n")
    harness.receive("TOUCHED\r\n")
    assert.deepStrictEqual(harness.settled, ["touch 1: done", "touch 2: done"])
    harness.assertOpen()
  })
})

describe("limits", () => {
  it("has at most maxInFlight commands in flight, and writes the next after each reply", () => {
    const harness = new PipelineHarness({ maxInFlight: 2 })
    for (const id of ["1", "2", "3", "4"]) harness.send(touch(id))
    assert.strictEqual(harness.written(), "touch 1\r\ntouch 2\r\n")
    assert.strictEqual(harness.written(), "")
    const before = harness.writable
    harness.receive("TOUCHED\r\n")
    assert.isAbove(harness.writable, before)
    assert.strictEqual(harness.written(), "touch 3\r\n")
    harness.receive("TOUCHED\r\nTOUCHED\r\n")
    assert.strictEqual(harness.written(), "touch 4\r\n")
  })

  it("has at most maxQueuedBytes in flight, and writes the next command after each reply", () => {
    const request = "put 1024 0 60 100\r\n".length + 102
    const harness = new PipelineHarness({ maxQueuedBytes: 2 * request })
    const body = "x".repeat(100)
    for (let i = 0; i < 4; i++) harness.send(put(body))
    assert.strictEqual(harness.written().length, 2 * request)
    assert.strictEqual(harness.written(), "")
    harness.receive("INSERTED 1\r\n")
    assert.strictEqual(harness.written().length, request)
    harness.receive("INSERTED 2\r\nINSERTED 3\r\n")
    assert.strictEqual(harness.written().length, request)
  })

  it("writes a request larger than maxQueuedBytes alone", () => {
    const harness = new PipelineHarness({ maxQueuedBytes: 50 })
    harness.send(touch("1"))
    harness.send(put("x".repeat(1000)))
    harness.send(touch("2"))
    assert.strictEqual(harness.written(), "touch 1\r\n")
    harness.receive("TOUCHED\r\n")
    assert.match(harness.written(), /^put 1024 0 60 1000\r\nx{1000}\r\n$/)
    harness.receive("INSERTED 1\r\n")
    assert.strictEqual(harness.written(), "touch 2\r\n")
  })

  it("writes nothing past a request that waits for room", () => {
    const harness = new PipelineHarness({ maxQueuedBytes: 50 })
    harness.send(touch("1"))
    const large = harness.send(put("x".repeat(1000)))
    harness.send(touch("2"))
    harness.written()
    assert.strictEqual(harness.written(), "")
    harness.pipeline.cancel(large)
    assert.strictEqual(harness.written(), "touch 2\r\n")
  })

  it("counts the commands and bytes in flight correctly over many rounds", () => {
    const harness = new PipelineHarness({ maxInFlight: 3, maxQueuedBytes: 100 })
    for (let round = 0; round < 1000; round++) {
      harness.send(put("x", round % 2 === 0 ? "a" : "b"))
      harness.send(touch("1"))
      assert.match(harness.written(), /^use [ab]\r\nput 1024 0 60 1\r\nx\r\ntouch 1\r\n$/)
      harness.receive(`USING ${round % 2 === 0 ? "a" : "b"}\r\nINSERTED 1\r\nTOUCHED\r\n`)
    }
    harness.assertOpen()
  })
})

describe("cancel", () => {
  it("drops a command that is not written", () => {
    const harness = new PipelineHarness()
    const first = harness.send(touch("1"))
    harness.send(touch("2"))
    const last = harness.send(touch("3"))
    harness.pipeline.cancel(first)
    harness.pipeline.cancel(last)
    harness.pipeline.cancel(last)
    assert.strictEqual(harness.written(), "touch 2\r\n")
    harness.receive("TOUCHED\r\n")
    assert.deepStrictEqual(harness.settled, ["touch 2: done"])
    harness.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(harness.settled, ["touch 2: done"])
  })

  it("drops a reserve that is not written", () => {
    const harness = new PipelineHarness()
    harness.pipeline.cancel(harness.send(Protocol.reserve))
    assert.strictEqual(harness.written(), "")
    harness.assertOpen()
  })

  it("drops the reply to a command that is written, and settles the others with theirs", () => {
    const harness = new PipelineHarness()
    harness.send(peek("1"))
    const taken = harness.send(peek("2"))
    harness.send(peek("3"))
    harness.written()
    harness.pipeline.cancel(taken)
    harness.pipeline.cancel(taken)
    harness.receive("FOUND 1 3\r\none\r\nFOUND 2 3\r\ntwo\r\nFOUND 3 5\r\nthree\r\n")
    assert.deepStrictEqual(harness.settled, ["peek 1: job 1: one", "peek 3: job 3: three"])
    harness.assertOpen()
  })

  it("does not settle a cancelled command when the pipeline ends", () => {
    const harness = new PipelineHarness()
    const taken = harness.send(touch("1"))
    harness.written()
    harness.pipeline.cancel(taken)
    harness.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(harness.settled, [])
  })

  it("ends when the reply to a cancelled command violates the protocol", () => {
    const harness = new PipelineHarness()
    const taken = harness.send(touch("1"))
    harness.send(touch("2"))
    harness.written()
    harness.pipeline.cancel(taken)
    harness.receive("DELETED\r\n")
    assert.deepStrictEqual(harness.settled, [
      "touch 2: ConnectionLost Unknown: replies cannot be matched to commands after the reply to touch"
    ])
  })

  for (const reserve of [Protocol.reserve, reserveWithin(5)]) {
    const { name } = reserve
    it(`ends when a blocking ${name} is cancelled`, () => {
      const harness = new PipelineHarness()
      const entry = harness.send(reserve)
      harness.send(touch("1"))
      harness.written()
      harness.pipeline.cancel(entry)
      const reason = `a ${name} was interrupted while it was waiting for a job`
      assert.deepStrictEqual(harness.settled, [`touch 1: ConnectionLost Unknown: ${reason}`])
      assert.strictEqual(harness.ending, reason)
    })
  }

  const nonBlocking: ReadonlyArray<Protocol.Command<unknown, unknown>> = [
    reserveWithin(0),
    valid(Protocol.reserveJob("7"))
  ]

  for (const reserve of nonBlocking) {
    const { name } = reserve
    it(`ends when a cancelled ${name} that does not wait gets a job, so that the server makes it ready again`, () => {
      const harness = new PipelineHarness()
      const entry = harness.send(reserve)
      harness.send(touch("1"))
      harness.written()
      harness.pipeline.cancel(entry)
      harness.assertOpen()
      harness.receive("RESERVED 7 1\r\nx\r\n")
      const reason = `a ${name} that was interrupted has reserved a job`
      assert.deepStrictEqual(harness.settled, [`touch 1: ConnectionLost Unknown: ${reason}`])
      assert.strictEqual(harness.ending, reason)
    })

    it(`goes on when a cancelled ${name} that does not wait gets no job`, () => {
      const harness = new PipelineHarness()
      const entry = harness.send(reserve)
      harness.send(touch("1"))
      harness.written()
      harness.pipeline.cancel(entry)
      harness.receive(name === "reserve-job" ? "NOT_FOUND\r\nTOUCHED\r\n" : "TIMED_OUT\r\nTOUCHED\r\n")
      assert.deepStrictEqual(harness.settled, ["touch 1: done"])
      harness.assertOpen()
    })
  }

  for (const reserve of [...nonBlocking, Protocol.reserve, reserveWithin(5)]) {
    it(`ends when ${reserve.line} is cancelled after it got a job`, () => {
      const harness = new PipelineHarness()
      const entry = harness.send(reserve)
      harness.written()
      harness.receive("RESERVED 7 1\r\nx\r\n")
      harness.assertOpen()
      harness.pipeline.cancel(entry)
      assert.strictEqual(harness.ending, `a ${reserve.name} that was interrupted has reserved a job`)
    })
  }

  it("gives a job back when its reserve is cancelled while it is settled", () => {
    const harness = new PipelineHarness()
    const entry: PendingCommand = harness.send(Protocol.reserve, () => harness.pipeline.cancel(entry))
    harness.written()
    harness.receive("RESERVED 7 1\r\nx\r\n")
    assert.strictEqual(harness.ending, "a reserve that was interrupted has reserved a job")
  })

  it("does nothing for a command that is settled without a job", () => {
    const harness = new PipelineHarness()
    const entries = [harness.send(touch("1")), harness.send(peek("2")), harness.send(reserveWithin(0))]
    harness.written()
    harness.receive("TOUCHED\r\nFOUND 2 1\r\nx\r\nDEADLINE_SOON\r\n")
    for (const entry of entries) harness.pipeline.cancel(entry)
    assert.strictEqual(harness.settled.length, 3)
    harness.assertOpen()
  })
})

describe("a batch", () => {
  const reserves = { _tag: "Batch", length: 3, at: () => reserveWithin(0) } as const

  it("is settled reply by reply, with the index of each command", () => {
    const harness = new PipelineHarness()
    const settled: Array<string> = []
    harness.pipeline.submitAll(
      batchOf(["1", "2", "3"], peek),
      (exit, index) => settled.push(`${index}: ${describeExit(exit)}`)
    )
    harness.send(touch("4"))
    assert.strictEqual(harness.written(), "peek 1\r\npeek 2\r\npeek 3\r\ntouch 4\r\n")
    harness.receive("FOUND 1 3\r\none\r\nNOT_FOUND\r\nFOUND 3 5\r\nth")
    assert.deepStrictEqual(settled, ["0: job 1: one", "1: JobNotFound 2"])
    harness.receive("ree\r\nTOUCHED\r\n")
    assert.deepStrictEqual(settled.slice(2), ["2: job 3: three"])
    assert.deepStrictEqual(harness.settled, ["touch 4: done"])
    harness.assertOpen()
  })

  it("selects the tubes of its commands, and none is settled with the reply of another", () => {
    const harness = new PipelineHarness()
    const settled: Array<string> = []
    harness.pipeline.submitAll(
      batchOf([put("a", "one"), put("b", "two")], (command) => command),
      (exit, index) => settled.push(`${index}: ${describeExit(exit)}`)
    )
    assert.strictEqual(
      harness.written(),
      "use one\r\nput 1024 0 60 1\r\na\r\nuse two\r\nput 1024 0 60 1\r\nb\r\n"
    )
    harness.receive("USING one\r\nINSERTED 1\r\nUSING two\r\nINSERTED 2\r\n")
    assert.deepStrictEqual(settled, ["0: 1", "1: 2"])
  })

  it("a body that is larger than the server's limit fails alone", () => {
    const harness = new PipelineHarness()
    harness.pipeline.maxJobSize = 2
    const settled: Array<string> = []
    harness.pipeline.submitAll(
      batchOf(["a", "bcd", "e"], (body) => put(body)),
      (exit, index) => settled.push(`${index}: ${describeExit(exit)}`)
    )
    assert.deepStrictEqual(settled, ["1: JobTooBig"])
    harness.written()
    harness.receive("INSERTED 1\r\nINSERTED 2\r\n")
    assert.deepStrictEqual(settled.slice(1), ["0: 1", "2: 2"])
  })

  it("of which one has a job is given back with it when it is cancelled", () => {
    for (const answered of ["TIMED_OUT\r\nRESERVED 7 1\r\nx\r\n", "RESERVED 7 1\r\nx\r\nTIMED_OUT\r\nTIMED_OUT\r\n"]) {
      const harness = new PipelineHarness()
      const [entry] = harness.pipeline.submitAll(reserves, () => {})
      assert(entry !== undefined)
      harness.written()
      harness.receive(answered)
      harness.assertOpen()
      harness.pipeline.cancel(entry)
      assert.strictEqual(harness.ending, "a reserve-with-timeout that was interrupted has reserved a job")
    }
  })

  it("that is cancelled half written is written no further, and its replies are dropped", () => {
    const harness = new PipelineHarness({ maxInFlight: 2 })
    const [entry] = harness.pipeline.submitAll(reserves, () => assert.fail("it was cancelled"))
    assert(entry !== undefined)
    harness.send(touch("1"))
    harness.written()
    harness.pipeline.cancel(entry)
    harness.receive("TIMED_OUT\r\nTIMED_OUT\r\n")
    assert.strictEqual(harness.written(), "touch 1\r\n")
    harness.assertOpen()
  })

  it("that is cancelled while the first of its commands is lost is lost no further", () => {
    const harness = new PipelineHarness()
    const settled: Array<number> = []
    const [entry] = harness.pipeline.submitAll(reserves, (_, index) => {
      settled.push(index)
      if (entry !== undefined) harness.pipeline.cancel(entry)
    })
    harness.send(touch("1"))
    harness.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(settled, [0])
    assert.deepStrictEqual(harness.settled, ["touch 1: ConnectionLost NotSent: enough"])
  })
})

describe("the end", () => {
  it("fails each command once, with its outcome", () => {
    const harness = new PipelineHarness({ maxInFlight: 1 })
    harness.send(touch("1"))
    harness.send(touch("2"))
    harness.written()
    const cause = new Error("read ECONNRESET")
    harness.pipeline.end({ reason: "read ECONNRESET", cause })
    assert.deepStrictEqual(harness.settled, [
      "touch 1: ConnectionLost Unknown: read ECONNRESET",
      "touch 2: ConnectionLost NotSent: read ECONNRESET"
    ])
    const [lost] = harness.exits
    const error: unknown = lost?._tag === "Failure" ? Cause.squash(lost.cause) : undefined
    assert.isTrue(error instanceof Error && error.cause === cause)
    assert.deepStrictEqual(harness.endings, [{ reason: "read ECONNRESET", cause }])
  })

  it("happens once, whatever is called after it", () => {
    const harness = new PipelineHarness()
    const entry = harness.send(Protocol.reserve)
    harness.written()
    harness.pipeline.end({ reason: "the first" })
    harness.pipeline.end({ reason: "the second" })
    harness.pipeline.cancel(entry)
    harness.pipeline.closed()
    harness.pipeline.expire()
    harness.receive("RESERVED 7 1\r\nx\r\nTOUCHED\r\n")
    assert.isUndefined(harness.pipeline.takeBatch())
    assert.deepStrictEqual(harness.settled, ["reserve: ConnectionLost Unknown: the first"])
    assert.strictEqual(harness.ending, "the first")
  })

  it("fails a later command at once, as NotSent", () => {
    const harness = new PipelineHarness()
    harness.pipeline.end({ reason: "it was closed" })
    const entry = harness.send(touch("1"))
    assert.deepStrictEqual(harness.settled, ["touch 1: ConnectionLost NotSent: it was closed"])
    harness.pipeline.cancel(entry)
    assert.strictEqual(harness.written(), "")
    assert.strictEqual(harness.ending, "it was closed")
  })

  it("fails a command at once that is submitted while another is failed", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"), () => harness.send(touch("2"), () => harness.pipeline.end({ reason: "again" })))
    harness.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(
      harness.settled,
      [
        "touch 2: ConnectionLost NotSent: enough",
        "touch 1: ConnectionLost NotSent: enough"
      ].toReversed()
    )
    assert.strictEqual(harness.ending, "enough")
  })

  it("drops the replies that follow in the same chunk", () => {
    const traced: Array<string> = []
    const harness = new PipelineHarness({ trace: (line) => void traced.push(line) })
    harness.send(touch("1"), () => harness.pipeline.end({ reason: "enough" }))
    harness.send(touch("2"))
    harness.written()
    harness.receive("TOUCHED\r\nTOUCHED\r\n")
    assert.deepStrictEqual(harness.settled, ["touch 1: done", "touch 2: ConnectionLost Unknown: enough"])
    assert.deepStrictEqual(traced, ["> touch 1", "> touch 2", "< TOUCHED"])
  })

  it("happens when the server closes the connection", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"))
    harness.written()
    harness.receive("TOUC")
    harness.pipeline.closed()
    assert.deepStrictEqual(harness.settled, ["touch 1: ConnectionLost Unknown: the server closed it"])
    assert.strictEqual(harness.ending, "the server closed it")
  })
})

describe("quit", () => {
  it("succeeds when the server closes the connection", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"))
    harness.send(Protocol.quit)
    assert.strictEqual(harness.written(), "touch 1\r\nquit\r\n")
    harness.receive("TOUCHED\r\n")
    harness.pipeline.closed()
    assert.deepStrictEqual(harness.settled, ["touch 1: done", "quit: done"])
    assert.strictEqual(harness.ending, "the server closed it")
  })

  it("lets no command be written after it", () => {
    const harness = new PipelineHarness()
    harness.send(Protocol.quit)
    harness.send(touch("1"))
    assert.strictEqual(harness.written(), "quit\r\n")
    harness.send(touch("2"))
    assert.strictEqual(harness.written(), "")
    harness.pipeline.closed()
    assert.deepStrictEqual(harness.settled, [
      "quit: done",
      "touch 1: ConnectionLost NotSent: the server closed it",
      "touch 2: ConnectionLost NotSent: the server closed it"
    ])
  })

  it("fails when the connection closes while earlier commands are unanswered", () => {
    const harness = new PipelineHarness()
    harness.send(touch("1"))
    harness.send(Protocol.quit)
    harness.written()
    harness.pipeline.closed()
    assert.deepStrictEqual(harness.settled, [
      "touch 1: ConnectionLost Unknown: the server closed it",
      "quit: ConnectionLost Unknown: the server closed it"
    ])
  })

  it("has a deadline like any other command", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(Protocol.quit)
    harness.written()
    harness.time = 100
    harness.pipeline.expire()
    assert.strictEqual(harness.ending, "the server has not answered quit for 0.1 seconds")
  })

  it("can be cancelled before it is written", () => {
    const harness = new PipelineHarness()
    harness.pipeline.cancel(harness.send(Protocol.quit))
    harness.send(touch("1"))
    assert.strictEqual(harness.written(), "touch 1\r\n")
  })

  for (const reply of ["OUT_OF_MEMORY", "INTERNAL_ERROR", "BAD_FORMAT", "UNKNOWN_COMMAND", "NOT_FOUND"]) {
    it(`ends the pipeline when it is answered ${reply}: the commands after it would wait for ever`, () => {
      const harness = new PipelineHarness()
      harness.send(Protocol.quit)
      harness.send(touch("1"))
      harness.written()
      harness.receive(`${reply}\r\n`)
      assert.strictEqual(harness.ending, "replies cannot be matched to commands after the reply to quit")
      assert.strictEqual(harness.exits.length, 2)
    })
  }
})

describe("a body that changes its length", () => {
  const transfer = (body: Uint8Array) => void structuredClone(body, { transfer: [body.buffer] })

  it("hostile input 3: a body whose buffer was transferred before it was written fails, and nothing is sent", () => {
    const harness = new PipelineHarness()
    const body = bytes("hello")
    harness.send(valid(Protocol.put(body, { tube: "mail" })))
    transfer(body)
    assert.isUndefined(harness.pipeline.takeBatch())
    assert.deepStrictEqual(harness.settled, [
      "put 1024 0 60 5: Defect: put: the body changed its length before it was written"
    ])
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.assertOpen()
  })

  it("hostile input 3: the commands before and after such a put are written without it", () => {
    const harness = new PipelineHarness()
    const body = bytes("hello")
    harness.send(touch("1"))
    const refused = harness.send(valid(Protocol.put(body, { tube: "mail" })))
    harness.send(put("x"))
    transfer(body)
    assert.strictEqual(harness.written(), "touch 1\r\nput 1024 0 60 1\r\nx\r\n")
    harness.pipeline.cancel(refused)
    harness.receive("TOUCHED\r\nINSERTED 1\r\n")
    assert.deepStrictEqual(harness.settled.slice(1), ["touch 1: done", "put 1024 0 60 1: 1"])
    harness.assertOpen()
  })

  it("a body whose buffer is transferred after it was written has been sent", () => {
    const harness = new PipelineHarness()
    const body = bytes("hello")
    harness.send(valid(Protocol.put(body)))
    assert.strictEqual(harness.written(), "put 1024 0 60 5\r\nhello\r\n")
    transfer(body)
    harness.receive("INSERTED 1\r\n")
    assert.deepStrictEqual(harness.settled, ["put 1024 0 60 5: 1"])
  })
})

describe("trace", () => {
  it("gets every request and reply, with the size of each body", () => {
    const traced: Array<string> = []
    const harness = new PipelineHarness({ trace: (line) => void traced.push(line) })
    harness.send(put("secret", "mail"))
    harness.send(peek("1"))
    harness.send(Protocol.quit)
    harness.written()
    harness.receive("USING mail\r\nINSERTED 1\r\nFOUND 1 6\r\nsecret\r\n")
    harness.pipeline.closed()
    assert.deepStrictEqual(traced, [
      "> use mail",
      "> put 1024 0 60 6 (6 bytes)",
      "> peek 1",
      "> quit",
      "< USING mail",
      "< INSERTED 1",
      "< FOUND 1 (6 bytes)",
      "< CLOSED"
    ])
  })
})
