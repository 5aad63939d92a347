import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import { PipelineHarness, reserveWithin, touch } from "../support/pipelineHarness.ts"

describe("the deadline", () => {
  it("is none while no command is in flight", () => {
    const harness = new PipelineHarness()
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.send(touch("1"))
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.time = 1e9
    harness.pipeline.expire()
    harness.assertOpen()
  })

  it("is that of the oldest command, and starts when that is written", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.time = 1000
    harness.send(touch("1"))
    harness.time = 2000
    harness.written()
    assert.strictEqual(harness.deadlineChanges, 1)
    assert.strictEqual(harness.pipeline.deadline(), 2100)
    harness.time = 2050
    harness.send(touch("2"))
    harness.written()
    assert.strictEqual(harness.pipeline.deadline(), 2100)
  })

  it("starts again with every reply, but not with a part of one", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(touch("1"))
    harness.send(touch("2"))
    harness.written()
    harness.time = 50
    harness.receive("TOUCH")
    assert.strictEqual(harness.pipeline.deadline(), 100)
    harness.time = 60
    const before = harness.deadlineChanges
    harness.receive("ED\r\nTOUC")
    assert.strictEqual(harness.deadlineChanges, before + 1)
    assert.strictEqual(harness.pipeline.deadline(), 160)
    harness.time = 70
    harness.receive("HED\r\n")
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.time = 1000
    harness.send(touch("3"))
    harness.written()
    assert.strictEqual(harness.pipeline.deadline(), 1100)
  })

  it("expires at its time, and not a millisecond before", () => {
    const harness = new PipelineHarness({ replyTimeout: 10_000 })
    harness.send(touch("1"))
    harness.send(touch("2"))
    harness.written()
    harness.send(touch("3"))
    harness.time = 9_999
    harness.pipeline.expire()
    harness.assertOpen()
    harness.time = 10_000
    harness.pipeline.expire()
    const reason = "the server has not answered touch for 10 seconds"
    assert.deepStrictEqual(harness.settled, [
      `touch 1: ConnectionLost Unknown: ${reason}`,
      `touch 2: ConnectionLost Unknown: ${reason}`,
      `touch 3: ConnectionLost NotSent: ${reason}`
    ])
    assert.strictEqual(harness.ending, reason)
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
  })

  it("is none for a plain reserve", () => {
    const harness = new PipelineHarness()
    harness.send(Protocol.reserve)
    harness.written()
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.time = 1e12
    harness.pipeline.expire()
    harness.assertOpen()
  })

  it("is one second later than the timeout of a reserve", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(reserveWithin(5))
    harness.written()
    assert.strictEqual(harness.pipeline.deadline(), 6000)
  })

  it("is the reply timeout for a reserve that does not wait", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(reserveWithin(0))
    harness.written()
    assert.strictEqual(harness.pipeline.deadline(), 100)
  })

  it("starts for the command after a reserve when the reserve is answered", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(Protocol.reserve)
    harness.send(touch("1"))
    harness.written()
    harness.time = 5000
    harness.receive("RESERVED 7 1\r\nx\r\n")
    assert.strictEqual(harness.pipeline.deadline(), 5100)
  })

  it("also holds for a cancelled command", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.pipeline.cancel(harness.send(touch("0")))
    const entry = harness.send(touch("1"))
    harness.written()
    harness.pipeline.cancel(entry)
    assert.strictEqual(harness.pipeline.deadline(), 100)
  })
})

describe("a reply that has begun", () => {
  it("must end within the reply timeout, although its command may block for longer", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(Protocol.reserve)
    harness.written()
    harness.time = 5000
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.receive("RESERVED 1 5\r\nab")
    assert.strictEqual(harness.pipeline.deadline(), 5100)
    harness.time = 5099
    harness.receive("c")
    assert.strictEqual(harness.pipeline.deadline(), 5100)
    harness.time = 5100
    harness.pipeline.expire()
    assert.strictEqual(harness.ending, "the server has not answered reserve for 5.1 seconds")
  })

  it("does not shorten the time of the next command", () => {
    const harness = new PipelineHarness({ replyTimeout: 100 })
    harness.send(Protocol.reserve)
    harness.written()
    harness.time = 50
    harness.receive("RESERVED 1 2\r\nab")
    harness.time = 90
    harness.receive("\r\n")
    harness.send(Protocol.reserve)
    harness.written()
    assert.strictEqual(harness.pipeline.deadline(), Number.POSITIVE_INFINITY)
    harness.assertOpen()
  })
})
