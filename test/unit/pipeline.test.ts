import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import fc from "fast-check"
import { ProtocolViolation } from "../../src/BeanstalkError.ts"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import { type Ending, type Entry, Pipeline, type PipelineOptions } from "../../src/internal/connection/pipeline.ts"
import { PeekedJob, ReservedJob } from "../../src/Job.ts"
import { bytes, chars, gibibyte, valid } from "../support/replies.ts"

/** A value in a few words. */
const shown = (value: unknown): string => {
  if (value === undefined) return "done"
  if (Option.isOption(value)) return Option.isSome(value) ? shown(value.value) : "none"
  if (value instanceof ReservedJob || value instanceof PeekedJob) return `job ${value.id}: ${chars(value.body)}`
  return String(value)
}

/** How a command ended, in a few words. */
const told = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return shown(exit.value)
  const error = Cause.squash(exit.cause)
  if (!(error instanceof Error)) return "no error"
  if (Cause.isDie(exit.cause)) return `Defect: ${error.message}`
  if ("outcome" in error && "reason" in error) return `${error.name} ${error.outcome}: ${error.reason}`
  return "id" in error ? `${error.name} ${error.id}` : error.name
}

/** A pipeline, with everything it does written down. */
class Bench {
  readonly pipeline: Pipeline
  time = 0
  /** What each command was told, in the order it happened. */
  readonly heard: Array<string> = []
  readonly exits: Array<Exit.Exit<unknown, unknown>> = []
  readonly endings: Array<Ending> = []
  writable = 0
  nearer = 0

  constructor(options: Partial<PipelineOptions> = {}) {
    this.pipeline = new Pipeline({
      address: "queue:11300",
      replyTimeout: 10_000,
      maxInFlight: 4096,
      maxQueuedBytes: 16 * 1024 * 1024,
      maxBodySize: gibibyte,
      now: () => this.time,
      onWritable: () => void this.writable++,
      onDeadline: () => void this.nearer++,
      onEnd: (ending) => void this.endings.push(ending),
      trace: undefined,
      ...options
    })
  }

  send<A, E>(command: Protocol.Command<A, E>, then?: () => void): Entry {
    return this.pipeline.submit(command, (exit) => {
      this.exits.push(exit)
      this.heard.push(`${command.line}: ${told(exit)}`)
      then?.()
    })
  }

  /** What may be written now. */
  written(): string {
    const batch = this.pipeline.takeBatch()
    return batch === undefined ? "" : chars(batch)
  }

  receive(text: string): void {
    this.pipeline.receive(bytes(text))
  }

  /** Why it ended, which it did once. */
  get ending(): string {
    assert.strictEqual(this.endings.length, 1)
    return this.endings[0]?.reason ?? ""
  }

  lives(): void {
    assert.deepStrictEqual(this.endings, [])
  }
}

const put = (body: string, tube?: string) => valid(Protocol.put(body, { tube }))
const use = (tube: string) => valid(Protocol.use(tube))
const touch = (id: string) => valid(Protocol.touch(id))
const peek = (id: string) => valid(Protocol.peek(id))
const reserveWithin = (seconds: number) => valid(Protocol.reserveWithTimeout(seconds * 1000))

describe("matching", () => {
  it("everything that is queued leaves in one piece, and each reply goes to its command", () => {
    const bench = new Bench()
    bench.send(put("one"))
    bench.send(touch("2"))
    bench.send(peek("3"))
    assert.strictEqual(bench.written(), "put 1024 0 60 3\r\none\r\ntouch 2\r\npeek 3\r\n")
    bench.receive("INSERTED 1\r\nTOUCHED\r\nFOUND 3 5\r\nthree\r\n")
    assert.deepStrictEqual(bench.heard, ["put 1024 0 60 3: 1", "touch 2: done", "peek 3: job 3: three"])
    bench.lives()
  })

  it("each reply is told as soon as its last byte is there, and not before", () => {
    const bench = new Bench()
    bench.send(peek("3"))
    bench.send(touch("2"))
    bench.written()
    for (const character of "FOUND 3 5\r\nthree\r\nTOUCHED\r") bench.receive(character)
    assert.deepStrictEqual(bench.heard, ["peek 3: job 3: three"])
    bench.receive("\n")
    assert.deepStrictEqual(bench.heard, ["peek 3: job 3: three", "touch 2: done"])
    bench.lives()
  })

  it("nothing is written twice, and nothing where there is nothing", () => {
    const bench = new Bench()
    assert.isUndefined(bench.pipeline.takeBatch())
    bench.send(touch("1"))
    assert.strictEqual(bench.written(), "touch 1\r\n")
    assert.isUndefined(bench.pipeline.takeBatch())
  })

  it("a command that is queued is worth a write", () => {
    const bench = new Bench()
    bench.send(touch("1"))
    bench.send(touch("2"))
    assert.strictEqual(bench.writable, 2)
  })

  it("an error that any command may get harms no other", () => {
    const bench = new Bench()
    for (const id of ["1", "2", "3", "4", "5", "6"]) bench.send(touch(id))
    bench.written()
    bench.receive("OUT_OF_MEMORY\r\nINTERNAL_ERROR\r\nBAD_FORMAT\r\nUNKNOWN_COMMAND\r\nNOT_FOUND\r\nTOUCHED\r\n")
    assert.deepStrictEqual(bench.heard, [
      "touch 1: OutOfMemory",
      "touch 2: InternalError",
      "touch 3: BadFormat",
      "touch 4: UnknownCommand",
      "touch 5: JobNotFound 5",
      "touch 6: done"
    ])
    bench.lives()
  })

  it("a wrong word ends it: its command is told of the violation, all others of the loss", () => {
    const bench = new Bench({ maxInFlight: 3 })
    for (const id of ["1", "2", "3", "4"]) bench.send(touch(id))
    bench.written()
    bench.receive("TOUCHED\r\nDELETED\r\nTOUCHED\r\n")
    const reason = "replies cannot be matched to commands after the reply to touch"
    assert.deepStrictEqual(bench.heard, [
      "touch 1: done",
      "touch 2: ProtocolViolation",
      `touch 3: ConnectionLost Unknown: ${reason}`,
      `touch 4: ConnectionLost NotSent: ${reason}`
    ])
    assert.strictEqual(bench.ending, reason)
    const [, violation] = bench.exits
    assert.strictEqual(
      bench.endings[0]?.cause,
      violation?._tag === "Failure" ? Cause.squash(violation.cause) : undefined
    )
  })

  it("a protocol violation has the last five exchanges before it, the oldest first, with the size of each body", () => {
    const violationAfter = (commands: ReadonlyArray<Protocol.Command<unknown, unknown>>, replies: string) => {
      const bench = new Bench()
      for (const command of [...commands, touch("9")]) bench.send(command)
      bench.written()
      bench.receive(`${replies}DELETED\r\n`)
      const last = bench.exits.at(-1)
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
    it(`a put that is answered ${reply} ends it, since the server may go on to execute the body`, () => {
      const bench = new Bench()
      bench.send(put("delete 1"))
      bench.send(touch("2"))
      bench.written()
      bench.receive(`${reply}\r\n`)
      assert.strictEqual(bench.ending, "replies cannot be matched to commands after the reply to put")
      assert.strictEqual(bench.exits.length, 2)
      assert.match(bench.heard[1] ?? "", /^touch 2: ConnectionLost Unknown/)
    })
  }

  for (const reply of ["JOB_TOO_BIG", "DRAINING", "OUT_OF_MEMORY", "INTERNAL_ERROR", "BURIED 1"]) {
    it(`a put that is answered ${reply} harms no other`, () => {
      const bench = new Bench()
      bench.send(put("body"))
      bench.send(touch("2"))
      bench.written()
      bench.receive(`${reply}\r\nTOUCHED\r\n`)
      assert.strictEqual(bench.heard[1], "touch 2: done")
      bench.lives()
    })
  }

  for (const unasked of ["TOUCHED\r\n", "T", "RESERVED 1 1073741824\r\n", "\n", "\0"]) {
    it(`${JSON.stringify(unasked)} that nobody asked for ends it`, () => {
      const bench = new Bench()
      bench.receive(unasked)
      assert.strictEqual(bench.ending, "the server sent a reply that no command is waiting for")
    })

    it(`${JSON.stringify(unasked)} behind the last reply ends it, and the reply counts`, () => {
      const bench = new Bench()
      bench.send(touch("1"))
      bench.written()
      bench.receive(`TOUCHED\r\n${unasked}`)
      assert.deepStrictEqual(bench.heard, ["touch 1: done"])
      assert.strictEqual(bench.ending, "the server sent a reply that no command is waiting for")
    })
  }

  it("a reply to what is queued, but not written, is a reply nobody asked for", () => {
    const bench = new Bench()
    bench.send(touch("1"))
    bench.receive("TOUCHED\r\n")
    assert.deepStrictEqual(bench.heard, [
      "touch 1: ConnectionLost NotSent: the server sent a reply that no command is waiting for"
    ])
  })

  it("an empty piece means nothing, whether something was asked or not", () => {
    const bench = new Bench()
    bench.receive("")
    bench.send(touch("1"))
    bench.receive("")
    bench.written()
    bench.receive("")
    bench.receive("TOUCHED\r\n")
    bench.receive("")
    assert.deepStrictEqual(bench.heard, ["touch 1: done"])
    bench.lives()
  })

  it("whoever is told may send at once", () => {
    const bench = new Bench()
    bench.send(touch("1"), () => bench.send(touch("2")))
    bench.written()
    bench.receive("TOUCHED\r\n")
    assert.strictEqual(bench.written(), "touch 2\r\n")
    bench.receive("TOUCHED\r\n")
    assert.deepStrictEqual(bench.heard, ["touch 1: done", "touch 2: done"])
    bench.lives()
  })
})

describe("tubes", () => {
  const useThenPut = (tube: string) => `use ${tube}\r\nput 1024 0 60 1\r\nx\r\n`
  const justPut = "put 1024 0 60 1\r\nx\r\n"

  it("a put into another tube leaves in one piece with the use before it", () => {
    const bench = new Bench()
    bench.send(put("x", "mail"))
    assert.strictEqual(bench.written(), useThenPut("mail"))
    bench.receive("USING mail\r\nINSERTED 1\r\n")
    assert.deepStrictEqual(bench.heard, ["put 1024 0 60 1: 1"])
    bench.lives()
  })

  it("a tube that is selected already is not selected again", () => {
    const bench = new Bench()
    bench.send(put("x", "default"))
    bench.send(put("x", "mail"))
    bench.send(put("x", "mail"))
    assert.strictEqual(bench.written(), `${justPut}${useThenPut("mail")}${justPut}`)
    bench.receive("INSERTED 1\r\nUSING mail\r\nINSERTED 2\r\nINSERTED 3\r\n")
    bench.send(put("x", "mail"))
    assert.strictEqual(bench.written(), justPut)
  })

  it("a put without a tube goes to the tube in use, not to that of the put before it", () => {
    const bench = new Bench()
    bench.send(put("x", "mail"))
    bench.send(put("x"))
    assert.strictEqual(bench.written(), `${useThenPut("mail")}${useThenPut("default")}`)
  })

  it("a put without a tube goes to the tube that was asked for by use", () => {
    const bench = new Bench()
    bench.send(use("mine"))
    assert.strictEqual(bench.written(), "use mine\r\n")
    bench.receive("USING mine\r\n")
    bench.send(put("x"))
    bench.send(put("x", "mail"))
    bench.send(put("x"))
    assert.strictEqual(bench.written(), `${justPut}${useThenPut("mail")}${useThenPut("mine")}`)
    bench.receive("INSERTED 1\r\nUSING mail\r\nINSERTED 2\r\nUSING mine\r\nINSERTED 3\r\n")
    assert.deepStrictEqual(bench.heard[0], "use mine: mine")
    assert.strictEqual(bench.heard.length, 4)
    bench.lives()
  })

  it("while a use is not answered, a put behind it selects the same tube for itself", () => {
    const bench = new Bench()
    bench.send(use("mine"))
    bench.send(put("x"))
    bench.send(put("x"))
    assert.strictEqual(bench.written(), `use mine\r\n${useThenPut("mine")}${justPut}`)
    bench.receive("USING mine\r\nUSING mine\r\nINSERTED 1\r\nINSERTED 2\r\n")
    assert.deepStrictEqual(bench.heard, ["use mine: mine", "put 1024 0 60 1: 1", "put 1024 0 60 1: 2"])
    bench.lives()
  })

  it("whether a use is needed is decided when a command is written, not when it is sent", () => {
    const bench = new Bench({ maxInFlight: 1 })
    bench.send(touch("1"))
    const first = bench.send(put("x", "mail"))
    bench.send(put("x", "mail"))
    assert.strictEqual(bench.written(), "touch 1\r\n")
    bench.pipeline.cancel(first)
    bench.receive("TOUCHED\r\n")
    assert.strictEqual(bench.written(), useThenPut("mail"))
  })

  const ofTube: ReadonlyArray<Protocol.Command<unknown, unknown>> = [
    valid(Protocol.peekReady({ tube: "mail" })),
    valid(Protocol.peekDelayed({ tube: "mail" })),
    valid(Protocol.peekBuried({ tube: "mail" })),
    valid(Protocol.kick(7, { tube: "mail" }))
  ]

  for (const made of ofTube) {
    const { line } = made
    it(`${line} selects its tube, and leaves that of others alone`, () => {
      const bench = new Bench()
      bench.send(made)
      bench.send(put("x"))
      assert.strictEqual(bench.written(), `use mail\r\n${line}\r\n${useThenPut("default")}`)
    })
  }

  it("list-tube-used answers with the tube in use, whatever was selected in between", () => {
    const bench = new Bench()
    bench.send(put("x", "mail"))
    bench.send(Protocol.listTubeUsed)
    assert.strictEqual(bench.written(), `${useThenPut("mail")}use default\r\nlist-tube-used\r\n`)
    bench.receive("USING mail\r\nINSERTED 1\r\nUSING default\r\nUSING default\r\n")
    assert.deepStrictEqual(bench.heard, ["put 1024 0 60 1: 1", "list-tube-used: default"])
  })

  it("commands that have nothing to do with a tube select none", () => {
    const bench = new Bench()
    bench.send(put("x", "mail"))
    bench.send(touch("1"))
    bench.send(Protocol.stats)
    assert.strictEqual(bench.written(), `${useThenPut("mail")}touch 1\r\nstats\r\n`)
  })

  for (const [reply, means] of [["OUT_OF_MEMORY", "OutOfMemory"], ["USING other", "ProtocolViolation"]]) {
    it(`a use that was put before a command and is answered ${reply} ends it`, () => {
      const bench = new Bench()
      bench.send(put("x", "mail"))
      bench.send(touch("1"))
      bench.written()
      bench.send(touch("2"))
      bench.receive(`${reply}\r\nINSERTED 1\r\nTOUCHED\r\n`)
      const reason = "the server did not accept the use of tube mail"
      assert.deepStrictEqual(bench.heard, [
        `put 1024 0 60 1: ConnectionLost Unknown: ${reason}`,
        `touch 1: ConnectionLost Unknown: ${reason}`,
        `touch 2: ConnectionLost NotSent: ${reason}`
      ])
      assert.strictEqual(bench.ending, reason)
      assert.strictEqual(shown(bench.endings[0]?.cause).split(":")[0], means)
    })
  }

  it("a use that is refused leaves the tube in use as it was", () => {
    const bench = new Bench()
    bench.send(use("mine"))
    bench.written()
    bench.receive("OUT_OF_MEMORY\r\n")
    bench.send(put("x"))
    assert.strictEqual(bench.written(), useThenPut("default"))
    assert.deepStrictEqual(bench.heard, ["use mine: OutOfMemory"])
    bench.lives()
  })

  it("a use that is refused leaves the tube in use, not one that was selected for a command", () => {
    const bench = new Bench()
    bench.send(put("x", "mail"))
    bench.send(use("mine"))
    bench.written()
    bench.receive("USING mail\r\nINSERTED 1\r\nOUT_OF_MEMORY\r\n")
    bench.send(put("x"))
    assert.strictEqual(bench.written(), useThenPut("default"))
  })

  it("a use that is refused behind an accepted one leaves that", () => {
    const bench = new Bench()
    bench.send(use("mine"))
    bench.send(use("yours"))
    bench.written()
    bench.receive("USING mine\r\nOUT_OF_MEMORY\r\n")
    bench.send(put("x"))
    assert.strictEqual(bench.written(), useThenPut("mine"))
  })

  it("a use that is accepted behind a refused one counts", () => {
    const bench = new Bench()
    bench.send(use("mine"))
    bench.send(use("yours"))
    bench.written()
    bench.receive("OUT_OF_MEMORY\r\nUSING yours\r\n")
    bench.send(put("x"))
    assert.strictEqual(bench.written(), justPut)
  })

  it("of two uses that are refused, neither counts", () => {
    const bench = new Bench()
    bench.send(use("mine"))
    bench.send(use("yours"))
    bench.written()
    bench.receive("OUT_OF_MEMORY\r\nOUT_OF_MEMORY\r\n")
    bench.send(put("x"))
    assert.strictEqual(bench.written(), useThenPut("default"))
  })

  it("of any uses, the last that was accepted counts", () => {
    const uses = fc.array(
      fc.record({ tube: fc.constantFrom("a", "b", "c"), accepted: fc.boolean(), answer: fc.boolean() }),
      { maxLength: 12 }
    )
    fc.assert(fc.property(uses, (uses) => {
      const bench = new Bench()
      let replies = ""
      for (const { accepted, answer, tube } of uses) {
        bench.send(use(tube))
        bench.written()
        replies += accepted ? `USING ${tube}\r\n` : "OUT_OF_MEMORY\r\n"
        if (!answer) continue
        bench.receive(replies)
        replies = ""
      }
      if (replies !== "") bench.receive(replies)
      bench.send(put("x"))
      const expected = uses.findLast(({ accepted }) => accepted)?.tube ?? "default"
      const last = uses.at(-1)
      assert.strictEqual(
        bench.written(),
        last === undefined || last.accepted ? justPut : useThenPut(expected)
      )
      bench.lives()
    }))
  })

  it("a use that was taken back before it was written does not count", () => {
    const bench = new Bench()
    bench.pipeline.cancel(bench.send(use("mine")))
    bench.send(put("x"))
    assert.strictEqual(bench.written(), justPut)
  })

  it("a use that was taken back too late counts, since the server has it", () => {
    const bench = new Bench()
    const entry = bench.send(use("mine"))
    bench.written()
    bench.pipeline.cancel(entry)
    bench.receive("USING mine\r\n")
    bench.send(put("x"))
    assert.strictEqual(bench.written(), justPut)
    assert.deepStrictEqual(bench.heard, [])
  })
})

describe("limits", () => {
  it("no more commands are written than may be unanswered, and the next with each reply", () => {
    const bench = new Bench({ maxInFlight: 2 })
    for (const id of ["1", "2", "3", "4"]) bench.send(touch(id))
    assert.strictEqual(bench.written(), "touch 1\r\ntouch 2\r\n")
    assert.strictEqual(bench.written(), "")
    const before = bench.writable
    bench.receive("TOUCHED\r\n")
    assert.isAbove(bench.writable, before)
    assert.strictEqual(bench.written(), "touch 3\r\n")
    bench.receive("TOUCHED\r\nTOUCHED\r\n")
    assert.strictEqual(bench.written(), "touch 4\r\n")
  })

  it("no more bytes are written than may be unanswered, and the next with each reply", () => {
    const request = "put 1024 0 60 100\r\n".length + 102
    const bench = new Bench({ maxQueuedBytes: 2 * request })
    const body = "x".repeat(100)
    for (let i = 0; i < 4; i++) bench.send(put(body))
    assert.strictEqual(bench.written().length, 2 * request)
    assert.strictEqual(bench.written(), "")
    bench.receive("INSERTED 1\r\n")
    assert.strictEqual(bench.written().length, request)
    bench.receive("INSERTED 2\r\nINSERTED 3\r\n")
    assert.strictEqual(bench.written().length, request)
  })

  it("a request that is larger than all may be goes alone", () => {
    const bench = new Bench({ maxQueuedBytes: 50 })
    bench.send(touch("1"))
    bench.send(put("x".repeat(1000)))
    bench.send(touch("2"))
    assert.strictEqual(bench.written(), "touch 1\r\n")
    bench.receive("TOUCHED\r\n")
    assert.match(bench.written(), /^put 1024 0 60 1000\r\nx{1000}\r\n$/)
    bench.receive("INSERTED 1\r\n")
    assert.strictEqual(bench.written(), "touch 2\r\n")
  })

  it("nothing overtakes a request that waits for room", () => {
    const bench = new Bench({ maxQueuedBytes: 50 })
    bench.send(touch("1"))
    const large = bench.send(put("x".repeat(1000)))
    bench.send(touch("2"))
    bench.written()
    assert.strictEqual(bench.written(), "")
    bench.pipeline.cancel(large)
    assert.strictEqual(bench.written(), "touch 2\r\n")
  })

  it("room is kept count of for ever", () => {
    const bench = new Bench({ maxInFlight: 3, maxQueuedBytes: 100 })
    for (let round = 0; round < 1000; round++) {
      bench.send(put("x", round % 2 === 0 ? "a" : "b"))
      bench.send(touch("1"))
      assert.match(bench.written(), /^use [ab]\r\nput 1024 0 60 1\r\nx\r\ntouch 1\r\n$/)
      bench.receive(`USING ${round % 2 === 0 ? "a" : "b"}\r\nINSERTED 1\r\nTOUCHED\r\n`)
    }
    bench.lives()
  })
})

describe("taking back", () => {
  it("what is not written is forgotten", () => {
    const bench = new Bench()
    const first = bench.send(touch("1"))
    bench.send(touch("2"))
    const last = bench.send(touch("3"))
    bench.pipeline.cancel(first)
    bench.pipeline.cancel(last)
    bench.pipeline.cancel(last)
    assert.strictEqual(bench.written(), "touch 2\r\n")
    bench.receive("TOUCHED\r\n")
    assert.deepStrictEqual(bench.heard, ["touch 2: done"])
    bench.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(bench.heard, ["touch 2: done"])
  })

  it("a reserve that is not written is forgotten", () => {
    const bench = new Bench()
    bench.pipeline.cancel(bench.send(Protocol.reserve))
    assert.strictEqual(bench.written(), "")
    bench.lives()
  })

  it("what is written runs its course unheard, and every other reply goes where it belongs", () => {
    const bench = new Bench()
    bench.send(peek("1"))
    const taken = bench.send(peek("2"))
    bench.send(peek("3"))
    bench.written()
    bench.pipeline.cancel(taken)
    bench.pipeline.cancel(taken)
    bench.receive("FOUND 1 3\r\none\r\nFOUND 2 3\r\ntwo\r\nFOUND 3 5\r\nthree\r\n")
    assert.deepStrictEqual(bench.heard, ["peek 1: job 1: one", "peek 3: job 3: three"])
    bench.lives()
  })

  it("what was taken back is not told of the end either", () => {
    const bench = new Bench()
    const taken = bench.send(touch("1"))
    bench.written()
    bench.pipeline.cancel(taken)
    bench.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(bench.heard, [])
  })

  it("what was taken back and then makes no sense still ends it", () => {
    const bench = new Bench()
    const taken = bench.send(touch("1"))
    bench.send(touch("2"))
    bench.written()
    bench.pipeline.cancel(taken)
    bench.receive("DELETED\r\n")
    assert.deepStrictEqual(bench.heard, [
      "touch 2: ConnectionLost Unknown: replies cannot be matched to commands after the reply to touch"
    ])
  })

  for (const reserve of [Protocol.reserve, reserveWithin(5)]) {
    const { name } = reserve
    it(`a waiting ${name} can only be taken back by ending it`, () => {
      const bench = new Bench()
      const entry = bench.send(reserve)
      bench.send(touch("1"))
      bench.written()
      bench.pipeline.cancel(entry)
      const reason = `a ${name} was interrupted while it was waiting for a job`
      assert.deepStrictEqual(bench.heard, [`touch 1: ConnectionLost Unknown: ${reason}`])
      assert.strictEqual(bench.ending, reason)
    })
  }

  const impatient: ReadonlyArray<Protocol.Command<unknown, unknown>> = [
    reserveWithin(0),
    valid(Protocol.reserveJob("7"))
  ]

  for (const reserve of impatient) {
    const { name } = reserve
    it(`a ${name} that does not wait, taken back, ends it only when a job comes: that must go back`, () => {
      const bench = new Bench()
      const entry = bench.send(reserve)
      bench.send(touch("1"))
      bench.written()
      bench.pipeline.cancel(entry)
      bench.lives()
      bench.receive("RESERVED 7 1\r\nx\r\n")
      const reason = `a ${name} that was interrupted has reserved a job`
      assert.deepStrictEqual(bench.heard, [`touch 1: ConnectionLost Unknown: ${reason}`])
      assert.strictEqual(bench.ending, reason)
    })

    it(`a ${name} that does not wait, taken back, is harmless when no job comes`, () => {
      const bench = new Bench()
      const entry = bench.send(reserve)
      bench.send(touch("1"))
      bench.written()
      bench.pipeline.cancel(entry)
      bench.receive(name === "reserve-job" ? "NOT_FOUND\r\nTOUCHED\r\n" : "TIMED_OUT\r\nTOUCHED\r\n")
      assert.deepStrictEqual(bench.heard, ["touch 1: done"])
      bench.lives()
    })
  }

  for (const reserve of [...impatient, Protocol.reserve, reserveWithin(5)]) {
    it(`a job that came to ${reserve.line} just before it was taken back must go back`, () => {
      const bench = new Bench()
      const entry = bench.send(reserve)
      bench.written()
      bench.receive("RESERVED 7 1\r\nx\r\n")
      bench.lives()
      bench.pipeline.cancel(entry)
      assert.strictEqual(bench.ending, `a ${reserve.name} that was interrupted has reserved a job`)
    })
  }

  it("whoever takes a reserve back while being told of its job gives it back", () => {
    const bench = new Bench()
    const entry: Entry = bench.send(Protocol.reserve, () => bench.pipeline.cancel(entry))
    bench.written()
    bench.receive("RESERVED 7 1\r\nx\r\n")
    assert.strictEqual(bench.ending, "a reserve that was interrupted has reserved a job")
  })

  it("what is settled without a job is settled", () => {
    const bench = new Bench()
    const entries = [bench.send(touch("1")), bench.send(peek("2")), bench.send(reserveWithin(0))]
    bench.written()
    bench.receive("TOUCHED\r\nFOUND 2 1\r\nx\r\nDEADLINE_SOON\r\n")
    for (const entry of entries) bench.pipeline.cancel(entry)
    assert.strictEqual(bench.heard.length, 3)
    bench.lives()
  })
})

describe("deadlines", () => {
  it("there is none while nothing is unanswered", () => {
    const bench = new Bench()
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.send(touch("1"))
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.time = 1e9
    bench.pipeline.expire()
    bench.lives()
  })

  it("it is that of the oldest command, and starts when that is written", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.time = 1000
    bench.send(touch("1"))
    bench.time = 2000
    bench.written()
    assert.strictEqual(bench.nearer, 1)
    assert.strictEqual(bench.pipeline.deadline(), 2100)
    bench.time = 2050
    bench.send(touch("2"))
    bench.written()
    assert.strictEqual(bench.pipeline.deadline(), 2100)
  })

  it("it starts again with every reply, and not with a part of one", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(touch("1"))
    bench.send(touch("2"))
    bench.written()
    bench.time = 50
    bench.receive("TOUCH")
    assert.strictEqual(bench.pipeline.deadline(), 100)
    bench.time = 60
    const before = bench.nearer
    bench.receive("ED\r\nTOUC")
    assert.strictEqual(bench.nearer, before + 1)
    assert.strictEqual(bench.pipeline.deadline(), 160)
    bench.time = 70
    bench.receive("HED\r\n")
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.time = 1000
    bench.send(touch("3"))
    bench.written()
    assert.strictEqual(bench.pipeline.deadline(), 1100)
  })

  it("it is met one millisecond before, and missed at the time itself", () => {
    const bench = new Bench({ replyTimeout: 10_000 })
    bench.send(touch("1"))
    bench.send(touch("2"))
    bench.written()
    bench.send(touch("3"))
    bench.time = 9_999
    bench.pipeline.expire()
    bench.lives()
    bench.time = 10_000
    bench.pipeline.expire()
    const reason = "the server has not answered touch for 10 seconds"
    assert.deepStrictEqual(bench.heard, [
      `touch 1: ConnectionLost Unknown: ${reason}`,
      `touch 2: ConnectionLost Unknown: ${reason}`,
      `touch 3: ConnectionLost NotSent: ${reason}`
    ])
    assert.strictEqual(bench.ending, reason)
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
  })

  it("a reserve may wait for ever", () => {
    const bench = new Bench()
    bench.send(Protocol.reserve)
    bench.written()
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.time = 1e12
    bench.pipeline.expire()
    bench.lives()
  })

  it("a reserve with a timeout may take that and a second more", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(reserveWithin(5))
    bench.written()
    assert.strictEqual(bench.pipeline.deadline(), 6000)
  })

  it("a reserve that does not wait is like any other command", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(reserveWithin(0))
    bench.written()
    assert.strictEqual(bench.pipeline.deadline(), 100)
  })

  it("what stands behind a reserve has its own deadline only from then on", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(Protocol.reserve)
    bench.send(touch("1"))
    bench.written()
    bench.time = 5000
    bench.receive("RESERVED 7 1\r\nx\r\n")
    assert.strictEqual(bench.pipeline.deadline(), 5100)
  })

  it("what was taken back must be answered in time all the same", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.pipeline.cancel(bench.send(touch("0")))
    const entry = bench.send(touch("1"))
    bench.written()
    bench.pipeline.cancel(entry)
    assert.strictEqual(bench.pipeline.deadline(), 100)
  })
})

describe("a reply that has begun", () => {
  it("must come to its end within the reply timeout, even where the server may take its time to begin", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(Protocol.reserve)
    bench.written()
    bench.time = 5000
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.receive("RESERVED 1 5\r\nab")
    assert.strictEqual(bench.pipeline.deadline(), 5100)
    bench.time = 5099
    bench.receive("c")
    assert.strictEqual(bench.pipeline.deadline(), 5100)
    bench.time = 5100
    bench.pipeline.expire()
    assert.strictEqual(bench.ending, "the server has not answered reserve for 5.1 seconds")
  })

  it("leaves the next command its own time once it has ended", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(Protocol.reserve)
    bench.written()
    bench.time = 50
    bench.receive("RESERVED 1 2\r\nab")
    bench.time = 90
    bench.receive("\r\n")
    bench.send(Protocol.reserve)
    bench.written()
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.lives()
  })
})

describe("the end", () => {
  it("is told once to each, with what became of it", () => {
    const bench = new Bench({ maxInFlight: 1 })
    bench.send(touch("1"))
    bench.send(touch("2"))
    bench.written()
    const cause = new Error("read ECONNRESET")
    bench.pipeline.end({ reason: "read ECONNRESET", cause })
    assert.deepStrictEqual(bench.heard, [
      "touch 1: ConnectionLost Unknown: read ECONNRESET",
      "touch 2: ConnectionLost NotSent: read ECONNRESET"
    ])
    const [lost] = bench.exits
    const error: unknown = lost?._tag === "Failure" ? Cause.squash(lost.cause) : undefined
    assert.isTrue(error instanceof Error && error.cause === cause)
    assert.deepStrictEqual(bench.endings, [{ reason: "read ECONNRESET", cause }])
  })

  it("comes once, whatever else happens", () => {
    const bench = new Bench()
    const entry = bench.send(Protocol.reserve)
    bench.written()
    bench.pipeline.end({ reason: "the first" })
    bench.pipeline.end({ reason: "the second" })
    bench.pipeline.cancel(entry)
    bench.pipeline.closed()
    bench.pipeline.expire()
    bench.receive("RESERVED 7 1\r\nx\r\nTOUCHED\r\n")
    assert.isUndefined(bench.pipeline.takeBatch())
    assert.deepStrictEqual(bench.heard, ["reserve: ConnectionLost Unknown: the first"])
    assert.strictEqual(bench.ending, "the first")
  })

  it("what comes behind it is refused at once, and was not sent", () => {
    const bench = new Bench()
    bench.pipeline.end({ reason: "it was closed" })
    const entry = bench.send(touch("1"))
    assert.deepStrictEqual(bench.heard, ["touch 1: ConnectionLost NotSent: it was closed"])
    bench.pipeline.cancel(entry)
    assert.strictEqual(bench.written(), "")
    assert.strictEqual(bench.ending, "it was closed")
  })

  it("what is sent by those who are told of it is refused at once, too", () => {
    const bench = new Bench()
    bench.send(touch("1"), () => bench.send(touch("2"), () => bench.pipeline.end({ reason: "again" })))
    bench.pipeline.end({ reason: "enough" })
    assert.deepStrictEqual(
      bench.heard,
      [
        "touch 2: ConnectionLost NotSent: enough",
        "touch 1: ConnectionLost NotSent: enough"
      ].toReversed()
    )
    assert.strictEqual(bench.ending, "enough")
  })

  it("of the replies in the piece at hand, none behind it is told, or even seen", () => {
    const traced: Array<string> = []
    const bench = new Bench({ trace: (line) => void traced.push(line) })
    bench.send(touch("1"), () => bench.pipeline.end({ reason: "enough" }))
    bench.send(touch("2"))
    bench.written()
    bench.receive("TOUCHED\r\nTOUCHED\r\n")
    assert.deepStrictEqual(bench.heard, ["touch 1: done", "touch 2: ConnectionLost Unknown: enough"])
    assert.deepStrictEqual(traced, ["> touch 1", "> touch 2", "< TOUCHED"])
  })

  it("comes when the server closes the connection", () => {
    const bench = new Bench()
    bench.send(touch("1"))
    bench.written()
    bench.receive("TOUC")
    bench.pipeline.closed()
    assert.deepStrictEqual(bench.heard, ["touch 1: ConnectionLost Unknown: the server closed it"])
    assert.strictEqual(bench.ending, "the server closed it")
  })
})

describe("quit", () => {
  it("is answered by the end of the connection", () => {
    const bench = new Bench()
    bench.send(touch("1"))
    bench.send(Protocol.quit)
    assert.strictEqual(bench.written(), "touch 1\r\nquit\r\n")
    bench.receive("TOUCHED\r\n")
    bench.pipeline.closed()
    assert.deepStrictEqual(bench.heard, ["touch 1: done", "quit: done"])
    assert.strictEqual(bench.ending, "the server closed it")
  })

  it("lets nothing be written behind it", () => {
    const bench = new Bench()
    bench.send(Protocol.quit)
    bench.send(touch("1"))
    assert.strictEqual(bench.written(), "quit\r\n")
    bench.send(touch("2"))
    assert.strictEqual(bench.written(), "")
    bench.pipeline.closed()
    assert.deepStrictEqual(bench.heard, [
      "quit: done",
      "touch 1: ConnectionLost NotSent: the server closed it",
      "touch 2: ConnectionLost NotSent: the server closed it"
    ])
  })

  it("is lost when the connection closes before those in front of it are answered", () => {
    const bench = new Bench()
    bench.send(touch("1"))
    bench.send(Protocol.quit)
    bench.written()
    bench.pipeline.closed()
    assert.deepStrictEqual(bench.heard, [
      "touch 1: ConnectionLost Unknown: the server closed it",
      "quit: ConnectionLost Unknown: the server closed it"
    ])
  })

  it("has a deadline like any other command", () => {
    const bench = new Bench({ replyTimeout: 100 })
    bench.send(Protocol.quit)
    bench.written()
    bench.time = 100
    bench.pipeline.expire()
    assert.strictEqual(bench.ending, "the server has not answered quit for 0.1 seconds")
  })

  it("that is not written yet can be taken back", () => {
    const bench = new Bench()
    bench.pipeline.cancel(bench.send(Protocol.quit))
    bench.send(touch("1"))
    assert.strictEqual(bench.written(), "touch 1\r\n")
  })

  for (const reply of ["OUT_OF_MEMORY", "INTERNAL_ERROR", "BAD_FORMAT", "UNKNOWN_COMMAND", "NOT_FOUND"]) {
    it(`that is answered ${reply} ends it: whoever waits behind it must not wait for ever`, () => {
      const bench = new Bench()
      bench.send(Protocol.quit)
      bench.send(touch("1"))
      bench.written()
      bench.receive(`${reply}\r\n`)
      assert.strictEqual(bench.ending, "replies cannot be matched to commands after the reply to quit")
      assert.strictEqual(bench.exits.length, 2)
    })
  }
})

describe("bodies", () => {
  const transfer = (body: Uint8Array) => void structuredClone(body, { transfer: [body.buffer] })

  it("hostile input 3: one whose buffer was transferred before it was written is refused, and nothing is sent", () => {
    const bench = new Bench()
    const body = bytes("hello")
    bench.send(valid(Protocol.put(body, { tube: "mail" })))
    transfer(body)
    assert.isUndefined(bench.pipeline.takeBatch())
    assert.deepStrictEqual(bench.heard, [
      "put 1024 0 60 5: Defect: put: the body changed its length before it was written"
    ])
    assert.strictEqual(bench.pipeline.deadline(), Number.POSITIVE_INFINITY)
    bench.lives()
  })

  it("hostile input 3: those before and behind such a one leave as if it had not been there", () => {
    const bench = new Bench()
    const body = bytes("hello")
    bench.send(touch("1"))
    const refused = bench.send(valid(Protocol.put(body, { tube: "mail" })))
    bench.send(put("x"))
    transfer(body)
    assert.strictEqual(bench.written(), "touch 1\r\nput 1024 0 60 1\r\nx\r\n")
    bench.pipeline.cancel(refused)
    bench.receive("TOUCHED\r\nINSERTED 1\r\n")
    assert.deepStrictEqual(bench.heard.slice(1), ["touch 1: done", "put 1024 0 60 1: 1"])
    bench.lives()
  })

  it("one whose buffer was transferred after it was written has been sent", () => {
    const bench = new Bench()
    const body = bytes("hello")
    bench.send(valid(Protocol.put(body)))
    assert.strictEqual(bench.written(), "put 1024 0 60 5\r\nhello\r\n")
    transfer(body)
    bench.receive("INSERTED 1\r\n")
    assert.deepStrictEqual(bench.heard, ["put 1024 0 60 5: 1"])
  })
})

describe("tracing", () => {
  it("sees every command and every reply, and of a body the size", () => {
    const traced: Array<string> = []
    const bench = new Bench({ trace: (line) => void traced.push(line) })
    bench.send(put("secret", "mail"))
    bench.send(peek("1"))
    bench.send(Protocol.quit)
    bench.written()
    bench.receive("USING mail\r\nINSERTED 1\r\nFOUND 1 6\r\nsecret\r\n")
    bench.pipeline.closed()
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

// ---------------------------------------------------------------------------------------------------------------------
// anything at once
// ---------------------------------------------------------------------------------------------------------------------

/** A body that tells which job it is of, and looks like replies. */
const markedBody = (mark: number): string => `TOUCHED\r\n${mark}\r\n`

/** A server that answers every command with what only that command can have asked for. */
class Server {
  /** What it has said, and how much of that has been heard. */
  private said = ""
  private heard = 0
  /** Where each reply ends in what was said. */
  private readonly ends: Array<number> = []
  private tube = "default"
  /** The marks of the commands that came, and the tubes they acted on. */
  readonly acted: Array<readonly [mark: number, tube: string]> = []

  take(requests: string): void {
    let rest = requests
    while (rest !== "") {
      const end = rest.indexOf("\r\n")
      const [command, argument = "", , , size] = rest.slice(0, end).split(" ")
      rest = rest.slice(end + 2)
      switch (command) {
        case "use":
          this.tube = argument
          this.say(`USING ${argument}`)
          break
        case "put": {
          const body = rest.slice(0, Number(size))
          assert.strictEqual(rest.slice(Number(size), Number(size) + 2), "\r\n")
          rest = rest.slice(Number(size) + 2)
          this.act(Number(/\d+/.exec(body)?.[0]), (mark) => `INSERTED ${mark}`)
          break
        }
        case "kick":
          this.act(Number(argument), (mark) => `KICKED ${mark}`)
          break
        case "peek":
          this.act(Number(argument), (mark) => `FOUND ${mark} ${markedBody(mark).length}\r\n${markedBody(mark)}`)
          break
        case "touch":
          this.act(Number(argument), () => "NOT_FOUND")
          break
        default:
          assert.fail(`${command} was not sent`)
      }
    }
  }

  /** The next bytes of what was said. */
  speak(count: number): string {
    const next = this.said.slice(this.heard, this.heard + count)
    this.heard += next.length
    return next
  }

  get unanswered(): number {
    return this.ends.filter((end) => end > this.heard).length
  }

  get silent(): boolean {
    return this.heard === this.said.length
  }

  private act(mark: number, reply: (mark: number) => string): void {
    this.acted.push([mark, this.tube])
    this.say(reply(mark))
  }

  private say(reply: string): void {
    this.said += `${reply}\r\n`
    this.ends.push(this.said.length)
  }
}

type Kind = "put" | "kick" | "peek" | "touch" | "use"

type Step =
  | { readonly step: "send"; readonly kind: Kind; readonly tube: string | undefined }
  | { readonly step: "cancel"; readonly which: number }
  | { readonly step: "write" }
  | { readonly step: "hear"; readonly bytes: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constant<"send">("send"),
      kind: fc.constantFrom<Kind>("put", "kick", "peek", "touch", "use"),
      tube: fc.constantFrom(undefined, "default", "a", "b")
    })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant<"cancel">("cancel"), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant<"write">("write") }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant<"hear">("hear"), bytes: fc.integer({ min: 1, max: 60 }) }) }
)

interface Sent {
  readonly mark: number
  readonly entry: Entry
  /** The tube it names, or selects. */
  readonly tube: string | undefined
  readonly selects: boolean
  /** What it must be told when it is answered. */
  readonly answer: string
  readonly told: Array<string>
  cancelled: boolean
}

/** A pipeline and a server, and what everybody must be told. */
class Model {
  readonly bench: Bench
  readonly server = new Server()
  readonly sent: Array<Sent> = []
  private queue: Array<Sent> = []
  private tubeInUse = "default"
  private checked = 0
  private readonly maxInFlight: number

  constructor(maxInFlight: number, maxQueuedBytes: number) {
    this.maxInFlight = maxInFlight
    this.bench = new Bench({ maxInFlight, maxQueuedBytes })
  }

  perform(step: Step): void {
    switch (step.step) {
      case "send":
        return this.send(step.kind, step.tube)
      case "cancel": {
        const sent = this.sent[step.which % Math.max(1, this.sent.length)]
        return sent === undefined ? undefined : this.cancel(sent)
      }
      case "write":
        return this.write()
      case "hear": {
        const next = this.server.speak(step.bytes)
        return next === "" ? undefined : this.bench.receive(next)
      }
    }
  }

  private send(kind: Kind, tube: string | undefined): void {
    const mark = this.sent.length
    switch (kind) {
      case "put":
        return this.submit(put(`${mark}\r\ntouch 1\r\n`, tube), mark, tube, `${mark}`)
      case "kick":
        return this.submit(valid(Protocol.kick(mark, { tube })), mark, tube, `${mark}`)
      case "peek":
        return this.submit(peek(`${mark}`), mark, undefined, `job ${mark}: ${markedBody(mark)}`)
      case "touch":
        return this.submit(touch(`${mark}`), mark, undefined, `JobNotFound ${mark}`)
      case "use":
        return this.submit(use(tube ?? "c"), mark, tube ?? "c", tube ?? "c")
    }
  }

  private submit<A, E>(command: Protocol.Command<A, E>, mark: number, tube: string | undefined, answer: string): void {
    const heard: Array<string> = []
    const entry = this.bench.pipeline.submit(command, (exit) => heard.push(told(exit)))
    const sent = { mark, entry, tube, selects: command.name === "use", answer, told: heard, cancelled: false }
    this.sent.push(sent)
    this.queue.push(sent)
  }

  private cancel(sent: Sent): void {
    if (sent.entry.state === "Queued") this.queue = this.queue.filter((queued) => queued !== sent)
    if (sent.entry.state !== "Settled") sent.cancelled = true
    this.bench.pipeline.cancel(sent.entry)
  }

  private write(): void {
    this.server.take(this.bench.written())
    // A use that was put before a command counts on top.
    assert.isAtMost(this.server.unanswered, this.maxInFlight + 1)
    for (const [mark, tube] of this.server.acted.slice(this.checked)) {
      let next = this.queue.shift()
      while (next?.selects === true) {
        this.tubeInUse = next.tube ?? ""
        next = this.queue.shift()
      }
      assert.strictEqual(next?.mark, mark, "commands are written in the order they were sent in")
      if (next !== undefined && /^\d+$/.test(next.answer)) assert.strictEqual(tube, next.tube ?? this.tubeInUse)
    }
    this.checked = this.server.acted.length
  }

  /** Writes and hears until there is nothing left. */
  drain(): void {
    do {
      this.write()
      const rest = this.server.speak(Number.POSITIVE_INFINITY)
      if (rest !== "") this.bench.receive(rest)
    } while (this.sent.some(({ entry }) => entry.state === "Queued") || !this.server.silent)
  }
}

describe("anything at once", () => {
  const steps = fc.array(step, { maxLength: 120 })
  const maxInFlight = fc.integer({ min: 1, max: 8 })
  const maxQueuedBytes = fc.constantFrom(1, 40, 100, 1_000_000)

  it("each command is told once, what was meant for it, in the tube it was meant for", () => {
    fc.assert(
      fc.property(steps, maxInFlight, maxQueuedBytes, (steps, maxInFlight, maxQueuedBytes) => {
        const model = new Model(maxInFlight, maxQueuedBytes)
        for (const step of steps) model.perform(step)
        model.drain()
        model.bench.lives()
        for (const { answer, cancelled, told } of model.sent) assert.deepStrictEqual(told, cancelled ? [] : [answer])
      }),
      { numRuns: 500 }
    )
  })

  it("when it ends in the middle of it, each is told once what became of it", () => {
    fc.assert(
      fc.property(steps, maxInFlight, maxQueuedBytes, (steps, maxInFlight, maxQueuedBytes) => {
        const model = new Model(maxInFlight, maxQueuedBytes)
        for (const step of steps) model.perform(step)
        const states = model.sent.map(({ entry }) => entry.state)
        model.bench.pipeline.end({ reason: "enough" })
        model.bench.pipeline.closed()
        assert.strictEqual(model.bench.ending, "enough")
        const ends: Partial<Record<Entry["state"], string>> = {
          Queued: "ConnectionLost NotSent: enough",
          InFlight: "ConnectionLost Unknown: enough"
        }
        for (const [index, { answer, cancelled, told }] of model.sent.entries()) {
          const state = states[index] ?? "Settled"
          assert.deepStrictEqual(told, cancelled ? [] : [ends[state] ?? answer])
        }
      }),
      { numRuns: 300 }
    )
  })

  it("whatever a server says, each is told exactly once, and nothing is thrown", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map(chars),
      fc.constantFrom(
        "TOUCHED\r\n",
        "NOT_FOUND\r\n",
        "INSERTED 1\r\n",
        "USING a\r\n",
        "RESERVED 1 1\r\nx\r\n",
        "OK 9\r\n"
      )
    )
    fc.assert(
      fc.property(steps, fc.array(noise, { maxLength: 5 }), (steps, noise) => {
        const model = new Model(4, 1000)
        for (const step of steps) if (step.step !== "hear") model.perform(step)
        for (const piece of noise) model.bench.receive(piece)
        model.bench.pipeline.end({ reason: "enough" })
        for (const { cancelled, told } of model.sent) assert.strictEqual(told.length, cancelled ? 0 : 1)
        assert.strictEqual(model.bench.endings.length, 1)
      }),
      { numRuns: 300 }
    )
  })
})
