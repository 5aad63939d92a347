/** When delays, pauses and timeouts end; and defects of beanstalkd's timers that the broker does not have. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

const state = (server: TestBroker, id: number) => server.connect().stat(`stats-job ${id}`, "state")

describe("what is due", () => {
  it("a delay ends when it is due, and not before", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 5)
    assert.strictEqual(server.broker.nextTick, server.now + 5000)
    server.advance(4999)
    assert.strictEqual(state(server, 1), "delayed")
    server.advance(1)
    assert.strictEqual(state(server, 1), "ready")
  })

  it("what is due at the time of a command is done before the command", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 5)
    server.now += 5000
    assert.strictEqual(client.request("reserve-with-timeout 0"), "RESERVED 1 1|x")
  })

  it("a jump of the clock makes everything due at once", () => {
    const server = new TestBroker()
    const [client, holder] = server.clients(2)
    client!.put(0, 100)
    client!.put(0, 0, 200)
    holder!.request("reserve")
    client!.request("use a")
    client!.put()
    client!.request("pause-tube a 300")
    server.advance(3_600_000)
    assert.deepStrictEqual([state(server, 1), state(server, 2)], ["ready", "ready"])
    assert.strictEqual(client!.stat("stats-tube a", "pause"), "0")
    assert.strictEqual(server.broker.nextTick, Number.POSITIVE_INFINITY)
  })

  it("delays end before times to run that are due in the same tick", () => {
    const server = new TestBroker()
    const [client, holder, late] = server.clients(3)
    client!.put(0, 0, 5)
    client!.put(9, 5)
    holder!.request("reserve")
    late!.send("reserve\r\n")
    server.advance(5000)
    assert.strictEqual(late!.takeReplies(), "RESERVED 2 1|x")
    assert.strictEqual(state(server, 1), "ready")
  })

  it.each([2, 3, 4, 5])(
    "of %i connections whose jobs time out together, that with the last reservation is first",
    (count) => {
      const server = new TestBroker()
      const [client, ...holders] = server.clients(count + 1)
      for (let i = 0; i < count; i++) client!.put(0, 0, 5)
      holders.forEach((holder) => holder.request("reserve"))
      server.events.length = 0
      server.advance(5000)
      assert.strictEqual(server.events[0], `timed-out ${count} ${count + 1}`)
      assert.strictEqual(server.events.length, count)
      assert.strictEqual(client!.stat("stats", "job-timeouts"), String(count))
    }
  )

  it("jobs of one connection that time out together do so in the order in which they were reserved", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (let i = 0; i < 3; i++) client.put(0, 0, 5)
    client.request("reserve-job 2", "reserve-job 3", "reserve-job 1")
    server.events.length = 0
    server.advance(5000)
    assert.deepStrictEqual(server.events, ["timed-out 2 1", "timed-out 3 1", "timed-out 1 1"])
  })
})

describe("a time to run", () => {
  it("ends at its deadline, to the millisecond, although the client sends nothing (unlike in beanstalkd)", () => {
    const server = new TestBroker()
    const holders = server.clients(20)
    holders[0]!.request(...Array.from({ length: 20 }, () => "put 0 0 2 1\r\nx"))
    for (const holder of holders) {
      server.advance(7)
      holder.request("reserve")
    }
    server.events.length = 0
    for (let i = 0; i < 20; i++) {
      assert.strictEqual(server.broker.nextTick, server.now + (i === 0 ? 2000 - 19 * 7 : 7))
      server.advance(server.broker.nextTick - server.now)
      assert.strictEqual(server.events.length, i + 1)
    }
    assert.strictEqual(holders[0]!.stat("stats", "job-timeouts"), "20")
  })

  it("is extended by touch", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 0, 2)
    client.request("reserve")
    server.advance(1999)
    client.request("touch 1")
    server.advanceStepwise(1999)
    assert.strictEqual(state(server, 1), "reserved")
    server.advance(1)
    assert.strictEqual(state(server, 1), "ready")
  })

  it("ends for each of a client's jobs at its own deadline", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (const ttr of [9, 3, 6]) client.put(0, 0, ttr)
    client.request("reserve", "reserve", "reserve")
    server.events.length = 0
    server.advanceStepwise(10_000)
    assert.deepStrictEqual(server.events, ["timed-out 2 1", "timed-out 3 1", "timed-out 1 1"])
  })
})

describe("a client that waits in a reserve while its own job times out", () => {
  it("gets DEADLINE_SOON, and nothing else (unlike in beanstalkd)", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 0, 5)
    client.request("reserve")
    client.send("reserve\r\n")
    server.advance(100_000)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON")
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "reserves", "timeouts"), ["ready", "1", "1"])
    assert.strictEqual(client.request("reserve"), "RESERVED 1 1|x")
  })

  it("does not affect the replies to other waiting clients", () => {
    const server = new TestBroker()
    const [client, other] = server.clients(2)
    client!.put(0, 0, 5)
    client!.request("reserve")
    client!.send("reserve\r\n")
    other!.send("reserve\r\n")
    server.advance(100_000)
    assert.deepStrictEqual([client!.takeReplies(), other!.takeReplies()], ["DEADLINE_SOON", "RESERVED 1 1|x"])
  })
})

describe("a reserve-with-timeout that was answered with DEADLINE_SOON", () => {
  it("leaves no timeout behind, and the time to run ends at its deadline (unlike in beanstalkd)", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 0, 4)
    client.request("reserve")
    server.advance(2000)
    client.send("reserve-with-timeout 2\r\n")
    server.advance(1000)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON")
    client.request("touch 1")
    server.advanceStepwise(3999)
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(server.broker.nextTick, server.now + 1)
    server.advance(1)
    assert.strictEqual(state(server, 1), "ready")
    assert.strictEqual(client.takeReplies(), "")
  })
})
