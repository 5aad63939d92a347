/** What happens by itself, and when: §7 of the notes on what beanstalkd does, and where a broker should not do as it does. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

const state = (server: TestBroker, id: number) => server.connect().stat(`stats-job ${id}`, "state")

describe("§7 boundaries", () => {
  it("a delay is over at its time, and not before", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 5)
    assert.strictEqual(server.broker.nextTick, server.now + 5000)
    server.pass(4999)
    assert.strictEqual(state(server, 1), "delayed")
    server.pass(1)
    assert.strictEqual(state(server, 1), "ready")
  })

  it("a command at the very time of something finds it done", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 5)
    server.now += 5000
    assert.strictEqual(client.asks("reserve-with-timeout 0"), "RESERVED 1 1|x")
  })

  it("a step of the clock makes everything due that lies in it", () => {
    const server = new TestBroker()
    const [client, holder] = server.clients(2)
    client!.puts(0, 100)
    client!.puts(0, 0, 200)
    holder!.asks("reserve")
    client!.asks("use a")
    client!.puts()
    client!.asks("pause-tube a 300")
    server.pass(3_600_000)
    assert.deepStrictEqual([state(server, 1), state(server, 2)], ["ready", "ready"])
    assert.strictEqual(client!.stat("stats-tube a", "pause"), "0")
    assert.strictEqual(server.broker.nextTick, Number.POSITIVE_INFINITY)
  })

  it("delays come before timeouts to run, and those before nobody waits", () => {
    const server = new TestBroker()
    const [client, holder, late] = server.clients(3)
    client!.puts(0, 0, 5)
    client!.puts(9, 5)
    holder!.asks("reserve")
    late!.says("reserve\r\n")
    server.pass(5000)
    assert.strictEqual(late!.hears(), "RESERVED 2 1|x")
    assert.strictEqual(state(server, 1), "ready")
  })

  it.each([2, 3, 4, 5])("of %i connections whose jobs run out together, the latest comes first", (count) => {
    const server = new TestBroker()
    const [client, ...holders] = server.clients(count + 1)
    for (let i = 0; i < count; i++) client!.puts(0, 0, 5)
    holders.forEach((holder) => holder.asks("reserve"))
    server.events.length = 0
    server.pass(5000)
    assert.strictEqual(server.events[0], `timed-out ${count} ${count + 1}`)
    assert.strictEqual(server.events.length, count)
    assert.strictEqual(client!.stat("stats", "job-timeouts"), String(count))
  })

  it("of one connection's jobs that run out together, they come in the order in which they were reserved", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (let i = 0; i < 3; i++) client.puts(0, 0, 5)
    client.asks("reserve-job 2", "reserve-job 3", "reserve-job 1")
    server.events.length = 0
    server.pass(5000)
    assert.deepStrictEqual(server.events, ["timed-out 2 1", "timed-out 3 1", "timed-out 1 1"])
  })
})

describe("§7.1 the end of a time to run", () => {
  it("is at its deadline, to the millisecond, although the holder is silent (unlike beanstalkd)", () => {
    const server = new TestBroker()
    const holders = server.clients(20)
    holders[0]!.asks(...Array.from({ length: 20 }, () => "put 0 0 2 1\r\nx"))
    for (const holder of holders) {
      server.pass(7)
      holder.asks("reserve")
    }
    server.events.length = 0
    for (let i = 0; i < 20; i++) {
      assert.strictEqual(server.broker.nextTick, server.now + (i === 0 ? 2000 - 19 * 7 : 7))
      server.pass(server.broker.nextTick - server.now)
      assert.strictEqual(server.events.length, i + 1)
    }
    assert.strictEqual(holders[0]!.stat("stats", "job-timeouts"), "20")
  })

  it("comes later by a touch, and not before that", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 0, 2)
    client.asks("reserve")
    server.pass(1999)
    client.asks("touch 1")
    server.passStepwise(1999)
    assert.strictEqual(state(server, 1), "reserved")
    server.pass(1)
    assert.strictEqual(state(server, 1), "ready")
  })

  it("is that of each job when one holds several", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (const ttr of [9, 3, 6]) client.puts(0, 0, ttr)
    client.asks("reserve", "reserve", "reserve")
    server.events.length = 0
    server.passStepwise(10_000)
    assert.deepStrictEqual(server.events, ["timed-out 2 1", "timed-out 3 1", "timed-out 1 1"])
  })
})

describe("§7.2 one who waits while the own job runs out", () => {
  it("is told DEADLINE_SOON, and gets nothing else (unlike beanstalkd)", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 0, 5)
    client.asks("reserve")
    client.says("reserve\r\n")
    server.pass(100_000)
    assert.strictEqual(client.hears(), "DEADLINE_SOON")
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "reserves", "timeouts"), ["ready", "1", "1"])
    assert.strictEqual(client.asks("reserve"), "RESERVED 1 1|x")
  })

  it("takes nothing from others who wait: they are told what they get", () => {
    const server = new TestBroker()
    const [client, other] = server.clients(2)
    client!.puts(0, 0, 5)
    client!.asks("reserve")
    client!.says("reserve\r\n")
    other!.says("reserve\r\n")
    server.pass(100_000)
    assert.deepStrictEqual([client!.hears(), other!.hears()], ["DEADLINE_SOON", "RESERVED 1 1|x"])
  })
})

describe("§7.3 a reserve-with-timeout that was answered with DEADLINE_SOON", () => {
  it("leaves no timeout behind, and the time to run ends (unlike beanstalkd)", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 0, 4)
    client.asks("reserve")
    server.pass(2000)
    client.says("reserve-with-timeout 2\r\n")
    server.pass(1000)
    assert.strictEqual(client.hears(), "DEADLINE_SOON")
    client.asks("touch 1")
    server.passStepwise(3999)
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(server.broker.nextTick, server.now + 1)
    server.pass(1)
    assert.strictEqual(state(server, 1), "ready")
    assert.strictEqual(client.hears(), "")
  })
})
