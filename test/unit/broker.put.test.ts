/** How the broker accepts new jobs, and what it does when it has no memory. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"
import { amount } from "../support/edition.ts"

const fresh = () => new TestBroker().connect()

describe("put", () => {
  it("accepts an empty body, and one that contains a CRLF", () => {
    const client = fresh()
    assert.strictEqual(client.request("put 0 0 1 0", ""), "INSERTED 1")
    assert.strictEqual(client.request("put 0 0 1 4", "a\r\nb"), "INSERTED 2")
    assert.strictEqual(client.request("peek 1"), "FOUND 1 0|")
    assert.strictEqual(client.request("peek 2"), "FOUND 2 4|a|b")
  })

  it("accepts a body of the maximum size, and refuses a larger one after it has been received", () => {
    const client = new TestBroker({ maxJobSize: 5 }).connect()
    assert.strictEqual(client.request("put 0 0 1 5", "12345"), "INSERTED 1")
    assert.strictEqual(client.request("put 0 0 1 6"), "")
    client.send("123456\r")
    assert.strictEqual(client.takeReplies(), "")
    client.send("\n")
    assert.strictEqual(client.takeReplies(), "JOB_TOO_BIG")
    assert.strictEqual(client.request("list-tube-used"), "USING default")
  })

  it("has a maximum of 65,535 bytes by default", () => {
    const client = fresh()
    assert.strictEqual(client.request("put 0 0 1 65535", "x".repeat(65_535)), "INSERTED 1")
    assert.strictEqual(client.request("put 0 0 1 65536", "x".repeat(65_536)), "JOB_TOO_BIG")
  })

  it("of a body that is too big skips exactly size+2 bytes, and does not consume an id or count a producer", () => {
    const client = new TestBroker({ maxJobSize: 1 }).connect()
    assert.strictEqual(client.request("put 0 0 1 2", "abXYlist-tube-used"), "JOB_TOO_BIG|USING default")
    assert.strictEqual(client.stat("stats", "current-producers"), "0")
    assert.strictEqual(client.request("put 0 0 1 1", "a"), "INSERTED 1")
    assert.strictEqual(client.stat("stats", "current-producers"), "1")
  })

  it("checks the size before it checks what follows the size", () => {
    const client = new TestBroker({ maxJobSize: 1 }).connect()
    assert.strictEqual(client.request("put 0 0 1 2 junk", "ab"), "JOB_TOO_BIG")
    assert.strictEqual(client.request("put 0 0 1 1 junk", "list-tube-used"), "BAD_FORMAT|USING default")
  })

  it("skips a body of 4 GiB and a byte, without keeping it in memory", () => {
    const client = fresh()
    client.send("put 0 0 1 4294967295\r\n")
    const chunk = "x".repeat(2 ** 20)
    for (let i = 0; i < amount(2, 16); i++) client.send(chunk)
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(client.connection.backlog, 0)
  })

  it("that is answered with BAD_FORMAT has no body: what follows is executed as commands", () => {
    const client = fresh()
    client.put()
    assert.strictEqual(
      client.request("put 0 0 1 x", "foo", "delete 1", "delete 1"),
      [
        "BAD_FORMAT",
        "UNKNOWN_COMMAND",
        "DELETED",
        "NOT_FOUND"
      ].join("|")
    )
    assert.strictEqual(client.request("put 0 0 1 4294967296", "foo"), "BAD_FORMAT|UNKNOWN_COMMAND")
  })

  it.each([
    ["a byte too long", "abc", "EXPECTED_CRLF|UNKNOWN_COMMAND"],
    ["two bytes too long", "abcd", "EXPECTED_CRLF|UNKNOWN_COMMAND|USING default"]
  ])("a body that is %s is answered with EXPECTED_CRLF, and the rest is executed as commands", (_, body, replies) => {
    const client = fresh()
    assert.strictEqual(client.request("put 0 0 1 2", body, "list-tube-used"), replies)
    assert.strictEqual(client.request("put 0 0 1 1", "x"), "INSERTED 2")
    assert.strictEqual(client.request("stats-job 1"), "NOT_FOUND")
  })

  it("a body that is too short consumes the beginning of the next command", () => {
    const client = fresh()
    assert.strictEqual(
      client.request("put 0 0 1 2", "a", "delete 1", "list-tube-used"),
      [
        "EXPECTED_CRLF",
        "UNKNOWN_COMMAND",
        "USING default"
      ].join("|")
    )
  })

  it("stores the next commands as a body if its size ends at one of their CRLFs", () => {
    const client = fresh()
    assert.strictEqual(client.request("put 0 0 1 11", "a", "delete 1", "list-tube-used"), "INSERTED 1|USING default")
    assert.strictEqual(client.request("peek 1"), "FOUND 1 11|a|delete 1")
  })

  it("in drain mode is refused after the body; EXPECTED_CRLF and JOB_TOO_BIG have precedence; ids are consumed", () => {
    const server = new TestBroker({ maxJobSize: 5 })
    const [client, other] = server.clients(2)
    client!.send("put 0 0 1 1\r\n")
    server.drain()
    client!.send("x\r\n")
    assert.strictEqual(client!.takeReplies(), "DRAINING")
    assert.strictEqual(client!.request("put 0 0 1 1", "xy"), "EXPECTED_CRLF")
    assert.strictEqual(client!.request("is behind the LF that is left"), "UNKNOWN_COMMAND")
    assert.strictEqual(client!.request("put 0 0 1 6", "123456"), "JOB_TOO_BIG")
    assert.strictEqual(server.broker.store.create(other!.connection.client, 0, 0, 1).id, 3)
    assert.strictEqual(client!.stat("stats", "draining"), "true")
    assert.deepStrictEqual(client!.stats("stats", "total-jobs", "cmd-put"), ["0", "3"])
  })

  it("in drain mode, all other commands work, even release", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put()
    client.request("reserve")
    server.drain()
    assert.strictEqual(
      client.request("release 1 0 0", "reserve", "bury 1 0", "kick 1", "delete 1"),
      [
        "RELEASED",
        "RESERVED 1 1|x",
        "BURIED",
        "KICKED 1",
        "DELETED"
      ].join("|")
    )
  })

  it("makes a time to run of 0 one second, and accepts the largest numbers", () => {
    const client = fresh()
    client.request("put 4294967295 4294967295 4294967295 1", "x", "put 0 0 0 1", "x")
    assert.deepStrictEqual(client.stats("stats-job 1", "pri", "delay", "ttr", "time-left", "state"), [
      "4294967295",
      "4294967295",
      "4294967295",
      "4294967295",
      "delayed"
    ])
    assert.strictEqual(client.stat("stats-job 2", "ttr"), "1")
  })

  it("consumes an id when the command line is received, even if the body never is", () => {
    const [first, second, third] = new TestBroker().clients(3)
    first!.send("put 0 0 1 1\r\n")
    second!.send("put 0 0 1 1\r\n")
    third!.send("put 0 0 1 1\r\n")
    second!.send("b\r\n")
    first!.send("a\r\n")
    assert.deepStrictEqual([first!.takeReplies(), second!.takeReplies()], ["INSERTED 1", "INSERTED 2"])
    third!.reset()
    assert.strictEqual(first!.put(), "INSERTED 4")
    assert.strictEqual(first!.request("stats-job 3"), "NOT_FOUND")
  })

  it("puts the job into the tube that was used when the command line was received", () => {
    const client = fresh()
    assert.strictEqual(client.request("use a", "put 0 0 1 1", "x", "use b"), "USING a|INSERTED 1|USING b")
    assert.strictEqual(client.stat("stats-job 1", "tube"), "\"a\"")
  })

  it("of which half is received makes an `invalid` job, which no command finds (unlike beanstalkd, whose peek does)", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.request("use a")
    client!.send("put 5 6 7 10\r\nhalf")
    assert.deepStrictEqual(other!.stats("stats-job 1", "state", "pri", "delay", "ttr", "time-left"), [
      "invalid",
      "5",
      "6",
      "7",
      "0"
    ])
    const commands = ["delete", "kick-job", "reserve-job", "touch", "peek"]
    for (const command of commands) assert.strictEqual(other!.request(`${command} 1`), "NOT_FOUND", command)
    assert.deepStrictEqual(
      other!.stats("stats", "current-jobs-ready", "current-jobs-delayed", "total-jobs", "current-producers"),
      ["0", "0", "0", "1"]
    )
    client!.reset()
    assert.strictEqual(other!.request("stats-job 1"), "NOT_FOUND")
    assert.strictEqual(other!.request("stats-tube a"), "NOT_FOUND")
    assert.deepStrictEqual(other!.stats("stats", "current-producers", "current-connections"), ["0", "1"])
  })

  it("counts a connection as a producer once, when the command line is received", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.put()
    client!.send("put 0 0 1 1\r\n")
    assert.strictEqual(other!.stat("stats", "current-producers"), "1")
  })

  it.each([1, 2, 3, 7])("accepts a body that is received in chunks of %i bytes", (size) => {
    const client = fresh()
    const whole = "put 0 0 1 20\r\n01234567890123456789\r\nlist-tube-used\r\n"
    for (let at = 0; at < whole.length; at += size) client.send(whole.slice(at, at + size))
    assert.strictEqual(client.takeReplies(), "INSERTED 1|USING default")
    assert.strictEqual(client.request("peek 1"), "FOUND 1 20|01234567890123456789")
  })
})

describe("without memory", () => {
  it("for jobs, put is answered with OUT_OF_MEMORY after the body; no id is consumed, and the producer is counted", () => {
    const server = new TestBroker()
    const client = server.connect()
    server.memory = "none"
    assert.strictEqual(client.request("put 0 0 1 2"), "")
    assert.strictEqual(client.request("ab", "list-tube-used"), "OUT_OF_MEMORY|USING default")
    assert.strictEqual(client.stat("stats", "current-producers"), "1")
    server.memory = "enough"
    assert.strictEqual(client.put(), "INSERTED 1")
  })

  it("for queues, put buries the job, and is counted", () => {
    const server = new TestBroker()
    const client = server.connect()
    server.memory = "none-for-queues"
    assert.strictEqual(client.put(), "BURIED 1")
    assert.strictEqual(client.put(0, 5), "BURIED 2")
    assert.deepStrictEqual(client.stats("stats-job 2", "state", "buries"), ["buried", "1"])
    assert.deepStrictEqual(client.stats("stats", "total-jobs", "current-jobs-buried"), ["2", "2"])
    assert.deepStrictEqual(server.events, ["buried 1 1", "buried 2 1"])
  })

  it("for queues, release buries the job and is answered with BURIED", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put()
    client.request("reserve")
    server.memory = "none-for-queues"
    assert.strictEqual(client.request("release 1 9 5"), "BURIED")
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "pri", "delay", "releases", "buries"), [
      "buried",
      "9",
      "5",
      "1",
      "1"
    ])
    assert.strictEqual(client.request("release 1 0 0"), "NOT_FOUND")
  })

  it("for queues, kick buries the jobs again, and kick-job is answered with NOT_FOUND", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put()
    client.request("reserve", "bury 1 0")
    client.put(0, 100)
    server.memory = "none-for-queues"
    assert.strictEqual(client.request("kick 1"), "KICKED 1")
    assert.strictEqual(client.request("kick-job 1"), "NOT_FOUND")
    assert.strictEqual(client.request("kick-job 2"), "NOT_FOUND")
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "kicks", "buries"), ["buried", "2", "3"])
    assert.deepStrictEqual(client.stats("stats-job 2", "state", "kicks"), ["buried", "1"])
    server.memory = "enough"
    assert.strictEqual(client.request("kick 9"), "KICKED 2")
  })

  it("for queues, jobs that are given back, time out or become due are buried", () => {
    const server = new TestBroker()
    const [client, other] = server.clients(2)
    client!.put(0, 0, 5)
    client!.put(0, 0, 5)
    client!.put(0, 3)
    client!.request("reserve")
    other!.request("reserve")
    server.memory = "none-for-queues"
    client!.close()
    server.advanceStepwise(5000)
    const states = ["1", "2", "3"].map((id) => other!.stat(`stats-job ${id}`, "state"))
    assert.deepStrictEqual(states, ["buried", "buried", "buried"])
    assert.strictEqual(other!.stat("stats-tube default", "current-jobs-buried"), "3")
  })
})
