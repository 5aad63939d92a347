import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import { describeValue, PipelineHarness, put, touch, use } from "../support/pipelineHarness.ts"
import { valid } from "../support/replies.ts"

describe("tube selection", () => {
  const useThenPut = (tube: string) => `use ${tube}\r\nput 1024 0 60 1\r\nx\r\n`
  const justPut = "put 1024 0 60 1\r\nx\r\n"

  it("writes a use in front of a put into another tube, in one piece", () => {
    const harness = new PipelineHarness()
    harness.send(put("x", "mail"))
    assert.strictEqual(harness.written(), useThenPut("mail"))
    harness.receive("USING mail\r\nINSERTED 1\r\n")
    assert.deepStrictEqual(harness.settled, ["put 1024 0 60 1: 1"])
    harness.assertOpen()
  })

  it("does not select a tube that is selected already", () => {
    const harness = new PipelineHarness()
    harness.send(put("x", "default"))
    harness.send(put("x", "mail"))
    harness.send(put("x", "mail"))
    assert.strictEqual(harness.written(), `${justPut}${useThenPut("mail")}${justPut}`)
    harness.receive("INSERTED 1\r\nUSING mail\r\nINSERTED 2\r\nINSERTED 3\r\n")
    harness.send(put("x", "mail"))
    assert.strictEqual(harness.written(), justPut)
  })

  it("puts a job without a tube into the tube in use, not into that of the put before it", () => {
    const harness = new PipelineHarness()
    harness.send(put("x", "mail"))
    harness.send(put("x"))
    assert.strictEqual(harness.written(), `${useThenPut("mail")}${useThenPut("default")}`)
  })

  it("puts a job without a tube into the tube of the caller's use", () => {
    const harness = new PipelineHarness()
    harness.send(use("mine"))
    assert.strictEqual(harness.written(), "use mine\r\n")
    harness.receive("USING mine\r\n")
    harness.send(put("x"))
    harness.send(put("x", "mail"))
    harness.send(put("x"))
    assert.strictEqual(harness.written(), `${justPut}${useThenPut("mail")}${useThenPut("mine")}`)
    harness.receive("INSERTED 1\r\nUSING mail\r\nINSERTED 2\r\nUSING mine\r\nINSERTED 3\r\n")
    assert.deepStrictEqual(harness.settled[0], "use mine: mine")
    assert.strictEqual(harness.settled.length, 4)
    harness.assertOpen()
  })

  it("selects the tube again for a put while the caller's use is unanswered", () => {
    const harness = new PipelineHarness()
    harness.send(use("mine"))
    harness.send(put("x"))
    harness.send(put("x"))
    assert.strictEqual(harness.written(), `use mine\r\n${useThenPut("mine")}${justPut}`)
    harness.receive("USING mine\r\nUSING mine\r\nINSERTED 1\r\nINSERTED 2\r\n")
    assert.deepStrictEqual(harness.settled, ["use mine: mine", "put 1024 0 60 1: 1", "put 1024 0 60 1: 2"])
    harness.assertOpen()
  })

  it("decides whether a use is needed when a command is written, not when it is submitted", () => {
    const harness = new PipelineHarness({ maxInFlight: 1 })
    harness.send(touch("1"))
    const first = harness.send(put("x", "mail"))
    harness.send(put("x", "mail"))
    assert.strictEqual(harness.written(), "touch 1\r\n")
    harness.pipeline.cancel(first)
    harness.receive("TOUCHED\r\n")
    assert.strictEqual(harness.written(), useThenPut("mail"))
  })

  const ofTube: ReadonlyArray<Protocol.Command<unknown, unknown>> = [
    valid(Protocol.peekReady({ tube: "mail" })),
    valid(Protocol.peekDelayed({ tube: "mail" })),
    valid(Protocol.peekBuried({ tube: "mail" })),
    valid(Protocol.kick(7, { tube: "mail" }))
  ]

  for (const made of ofTube) {
    const { line } = made
    it(`selects the tube of ${line}, and then that of the next command`, () => {
      const harness = new PipelineHarness()
      harness.send(made)
      harness.send(put("x"))
      assert.strictEqual(harness.written(), `use mail\r\n${line}\r\n${useThenPut("default")}`)
    })
  }

  it("selects the tube in use for list-tube-used", () => {
    const harness = new PipelineHarness()
    harness.send(put("x", "mail"))
    harness.send(Protocol.listTubeUsed)
    assert.strictEqual(harness.written(), `${useThenPut("mail")}use default\r\nlist-tube-used\r\n`)
    harness.receive("USING mail\r\nINSERTED 1\r\nUSING default\r\nUSING default\r\n")
    assert.deepStrictEqual(harness.settled, ["put 1024 0 60 1: 1", "list-tube-used: default"])
  })

  it("selects no tube for commands that depend on none", () => {
    const harness = new PipelineHarness()
    harness.send(put("x", "mail"))
    harness.send(touch("1"))
    harness.send(Protocol.stats)
    assert.strictEqual(harness.written(), `${useThenPut("mail")}touch 1\r\nstats\r\n`)
  })

  for (const [reply, error] of [["OUT_OF_MEMORY", "OutOfMemory"], ["USING other", "ProtocolViolation"]]) {
    it(`ends when a use in front of a command is answered ${reply}`, () => {
      const harness = new PipelineHarness()
      harness.send(put("x", "mail"))
      harness.send(touch("1"))
      harness.written()
      harness.send(touch("2"))
      harness.receive(`${reply}\r\nINSERTED 1\r\nTOUCHED\r\n`)
      const reason = "the server did not accept the use of tube mail"
      assert.deepStrictEqual(harness.settled, [
        `put 1024 0 60 1: ConnectionLost Unknown: ${reason}`,
        `touch 1: ConnectionLost Unknown: ${reason}`,
        `touch 2: ConnectionLost NotSent: ${reason}`
      ])
      assert.strictEqual(harness.ending, reason)
      assert.strictEqual(describeValue(harness.endings[0]?.cause).split(":")[0], error)
    })
  }

  it("keeps the tube in use when a use is refused", () => {
    const harness = new PipelineHarness()
    harness.send(use("mine"))
    harness.written()
    harness.receive("OUT_OF_MEMORY\r\n")
    harness.send(put("x"))
    assert.strictEqual(harness.written(), useThenPut("default"))
    assert.deepStrictEqual(harness.settled, ["use mine: OutOfMemory"])
    harness.assertOpen()
  })

  it("returns to the tube in use, not to one selected for a command, when a use is refused", () => {
    const harness = new PipelineHarness()
    harness.send(put("x", "mail"))
    harness.send(use("mine"))
    harness.written()
    harness.receive("USING mail\r\nINSERTED 1\r\nOUT_OF_MEMORY\r\n")
    harness.send(put("x"))
    assert.strictEqual(harness.written(), useThenPut("default"))
  })

  it("keeps the tube of an accepted use when the use after it is refused", () => {
    const harness = new PipelineHarness()
    harness.send(use("mine"))
    harness.send(use("yours"))
    harness.written()
    harness.receive("USING mine\r\nOUT_OF_MEMORY\r\n")
    harness.send(put("x"))
    assert.strictEqual(harness.written(), useThenPut("mine"))
  })

  it("takes the tube of an accepted use after a refused one", () => {
    const harness = new PipelineHarness()
    harness.send(use("mine"))
    harness.send(use("yours"))
    harness.written()
    harness.receive("OUT_OF_MEMORY\r\nUSING yours\r\n")
    harness.send(put("x"))
    assert.strictEqual(harness.written(), justPut)
  })

  it("keeps the tube in use when two uses are refused", () => {
    const harness = new PipelineHarness()
    harness.send(use("mine"))
    harness.send(use("yours"))
    harness.written()
    harness.receive("OUT_OF_MEMORY\r\nOUT_OF_MEMORY\r\n")
    harness.send(put("x"))
    assert.strictEqual(harness.written(), useThenPut("default"))
  })

  it("takes the tube of the last accepted use, whichever of them are refused", () => {
    const uses = fc.array(
      fc.record({ tube: fc.constantFrom("a", "b", "c"), accepted: fc.boolean(), answer: fc.boolean() }),
      { maxLength: 12 }
    )
    fc.assert(fc.property(uses, (uses) => {
      const harness = new PipelineHarness()
      let replies = ""
      for (const { accepted, answer, tube } of uses) {
        harness.send(use(tube))
        harness.written()
        replies += accepted ? `USING ${tube}\r\n` : "OUT_OF_MEMORY\r\n"
        if (!answer) continue
        harness.receive(replies)
        replies = ""
      }
      if (replies !== "") harness.receive(replies)
      harness.send(put("x"))
      const expected = uses.findLast(({ accepted }) => accepted)?.tube ?? "default"
      const last = uses.at(-1)
      assert.strictEqual(
        harness.written(),
        last === undefined || last.accepted ? justPut : useThenPut(expected)
      )
      harness.assertOpen()
    }))
  })

  it("ignores a use that was cancelled before it was written", () => {
    const harness = new PipelineHarness()
    harness.pipeline.cancel(harness.send(use("mine")))
    harness.send(put("x"))
    assert.strictEqual(harness.written(), justPut)
  })

  it("takes the tube of a use that was cancelled after it was written", () => {
    const harness = new PipelineHarness()
    const entry = harness.send(use("mine"))
    harness.written()
    harness.pipeline.cancel(entry)
    harness.receive("USING mine\r\n")
    harness.send(put("x"))
    assert.strictEqual(harness.written(), justPut)
    assert.deepStrictEqual(harness.settled, [])
  })
})
