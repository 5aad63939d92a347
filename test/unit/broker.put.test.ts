/** How a broker takes new jobs, by §2 of the notes on what beanstalkd really does on the wire, and what it does without memory. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

const fresh = () => new TestBroker().connect()

describe("§2 put", () => {
  it("takes an empty body, and one with a CRLF in it", () => {
    const client = fresh()
    assert.strictEqual(client.asks("put 0 0 1 0", ""), "INSERTED 1")
    assert.strictEqual(client.asks("put 0 0 1 4", "a\r\nb"), "INSERTED 2")
    assert.strictEqual(client.asks("peek 1"), "FOUND 1 0|")
    assert.strictEqual(client.asks("peek 2"), "FOUND 2 4|a|b")
  })

  it("takes a body of the limit, and refuses one of a byte more when it has been read", () => {
    const client = new TestBroker({ maxJobSize: 5 }).connect()
    assert.strictEqual(client.asks("put 0 0 1 5", "12345"), "INSERTED 1")
    assert.strictEqual(client.asks("put 0 0 1 6"), "")
    client.says("123456\r")
    assert.strictEqual(client.hears(), "")
    client.says("\n")
    assert.strictEqual(client.hears(), "JOB_TOO_BIG")
    assert.strictEqual(client.asks("list-tube-used"), "USING default")
  })

  it("has a limit of 65,535 bytes by itself", () => {
    const client = fresh()
    assert.strictEqual(client.asks("put 0 0 1 65535", "x".repeat(65_535)), "INSERTED 1")
    assert.strictEqual(client.asks("put 0 0 1 65536", "x".repeat(65_536)), "JOB_TOO_BIG")
  })

  it("of a body that is too big: exactly size+2 bytes go, no id does, and nobody becomes a producer", () => {
    const client = new TestBroker({ maxJobSize: 1 }).connect()
    assert.strictEqual(client.asks("put 0 0 1 2", "abXYlist-tube-used"), "JOB_TOO_BIG|USING default")
    assert.strictEqual(client.stat("stats", "current-producers"), "0")
    assert.strictEqual(client.asks("put 0 0 1 1", "a"), "INSERTED 1")
    assert.strictEqual(client.stat("stats", "current-producers"), "1")
  })

  it("looks at the size before it looks at what follows", () => {
    const client = new TestBroker({ maxJobSize: 1 }).connect()
    assert.strictEqual(client.asks("put 0 0 1 2 junk", "ab"), "JOB_TOO_BIG")
    assert.strictEqual(client.asks("put 0 0 1 1 junk", "list-tube-used"), "BAD_FORMAT|USING default")
  })

  it("swallows 4 GiB and a byte when that is announced, and holds nothing of it", () => {
    const client = fresh()
    client.says("put 0 0 1 4294967295\r\n")
    const chunk = "x".repeat(2 ** 20)
    for (let i = 0; i < 16; i++) client.says(chunk)
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(client.connection.backlog, 0)
  })

  it("BAD_FORMAT consumes no body: it is read as commands", () => {
    const client = fresh()
    client.puts()
    assert.strictEqual(
      client.asks("put 0 0 1 x", "foo", "delete 1", "delete 1"),
      [
        "BAD_FORMAT",
        "UNKNOWN_COMMAND",
        "DELETED",
        "NOT_FOUND"
      ].join("|")
    )
    assert.strictEqual(client.asks("put 0 0 1 4294967296", "foo"), "BAD_FORMAT|UNKNOWN_COMMAND")
  })

  it.each([
    ["a byte too long", "abc", "EXPECTED_CRLF|UNKNOWN_COMMAND"],
    ["two bytes too long", "abcd", "EXPECTED_CRLF|UNKNOWN_COMMAND|USING default"]
  ])("a body that is %s is EXPECTED_CRLF, and the rest is read as commands", (_, body, replies) => {
    const client = fresh()
    assert.strictEqual(client.asks("put 0 0 1 2", body, "list-tube-used"), replies)
    assert.strictEqual(client.asks("put 0 0 1 1", "x"), "INSERTED 2")
    assert.strictEqual(client.asks("stats-job 1"), "NOT_FOUND")
  })

  it("a body that is too short takes from the command behind it", () => {
    const client = fresh()
    assert.strictEqual(
      client.asks("put 0 0 1 2", "a", "delete 1", "list-tube-used"),
      [
        "EXPECTED_CRLF",
        "UNKNOWN_COMMAND",
        "USING default"
      ].join("|")
    )
  })

  it("stores the commands behind it when the length ends on a CRLF of theirs", () => {
    const client = fresh()
    assert.strictEqual(client.asks("put 0 0 1 11", "a", "delete 1", "list-tube-used"), "INSERTED 1|USING default")
    assert.strictEqual(client.asks("peek 1"), "FOUND 1 11|a|delete 1")
  })

  it("while draining is refused when it has been read; a bad end and a bad size win; ids are consumed", () => {
    const server = new TestBroker({ maxJobSize: 5 })
    const [client, other] = server.clients(2)
    client!.says("put 0 0 1 1\r\n")
    server.drain()
    client!.says("x\r\n")
    assert.strictEqual(client!.hears(), "DRAINING")
    assert.strictEqual(client!.asks("put 0 0 1 1", "xy"), "EXPECTED_CRLF")
    assert.strictEqual(client!.asks("is behind the LF that is left"), "UNKNOWN_COMMAND")
    assert.strictEqual(client!.asks("put 0 0 1 6", "123456"), "JOB_TOO_BIG")
    assert.strictEqual(server.broker.store.create(other!.connection.client, 0, 0, 1).id, 3)
    assert.strictEqual(client!.stat("stats", "draining"), "true")
    assert.deepStrictEqual(client!.stats("stats", "total-jobs", "cmd-put"), ["0", "3"])
  })

  it("while draining, everything else works, release included", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts()
    client.asks("reserve")
    server.drain()
    assert.strictEqual(
      client.asks("release 1 0 0", "reserve", "bury 1 0", "kick 1", "delete 1"),
      [
        "RELEASED",
        "RESERVED 1 1|x",
        "BURIED",
        "KICKED 1",
        "DELETED"
      ].join("|")
    )
  })

  it("gives a time to run of 0 a second, and takes the largest numbers", () => {
    const client = fresh()
    client.asks("put 4294967295 4294967295 4294967295 1", "x", "put 0 0 0 1", "x")
    assert.deepStrictEqual(client.stats("stats-job 1", "pri", "delay", "ttr", "time-left", "state"), [
      "4294967295",
      "4294967295",
      "4294967295",
      "4294967295",
      "delayed"
    ])
    assert.strictEqual(client.stat("stats-job 2", "ttr"), "1")
  })

  it("ids are taken when the header is read, and go with a body that is not finished", () => {
    const [first, second, third] = new TestBroker().clients(3)
    first!.says("put 0 0 1 1\r\n")
    second!.says("put 0 0 1 1\r\n")
    third!.says("put 0 0 1 1\r\n")
    second!.says("b\r\n")
    first!.says("a\r\n")
    assert.deepStrictEqual([first!.hears(), second!.hears()], ["INSERTED 1", "INSERTED 2"])
    third!.vanishes()
    assert.strictEqual(first!.puts(), "INSERTED 4")
    assert.strictEqual(first!.asks("stats-job 3"), "NOT_FOUND")
  })

  it("goes into the tube that was used when the header was read", () => {
    const client = fresh()
    assert.strictEqual(client.asks("use a", "put 0 0 1 1", "x", "use b"), "USING a|INSERTED 1|USING b")
    assert.strictEqual(client.stat("stats-job 1", "tube"), "\"a\"")
  })

  it("of which half has come is `invalid`, holds its tube, and can be neither had nor deleted (§7: nor peeked at)", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.asks("use a")
    client!.says("put 5 6 7 10\r\nhalf")
    assert.deepStrictEqual(other!.stats("stats-job 1", "state", "pri", "delay", "ttr", "time-left"), [
      "invalid",
      "5",
      "6",
      "7",
      "0"
    ])
    const commands = ["delete", "kick-job", "reserve-job", "touch", "peek"]
    for (const command of commands) assert.strictEqual(other!.asks(`${command} 1`), "NOT_FOUND", command)
    assert.deepStrictEqual(
      other!.stats("stats", "current-jobs-ready", "current-jobs-delayed", "total-jobs", "current-producers"),
      ["0", "0", "0", "1"]
    )
    client!.vanishes()
    assert.strictEqual(other!.asks("stats-job 1"), "NOT_FOUND")
    assert.strictEqual(other!.asks("stats-tube a"), "NOT_FOUND")
    assert.deepStrictEqual(other!.stats("stats", "current-producers", "current-connections"), ["0", "1"])
  })

  it("makes a producer of a connection once, at the header", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.puts()
    client!.says("put 0 0 1 1\r\n")
    assert.strictEqual(other!.stat("stats", "current-producers"), "1")
  })

  it.each([1, 2, 3, 7])("reads a body that comes in pieces of %i bytes", (size) => {
    const client = fresh()
    const whole = "put 0 0 1 20\r\n01234567890123456789\r\nlist-tube-used\r\n"
    for (let at = 0; at < whole.length; at += size) client.says(whole.slice(at, at + size))
    assert.strictEqual(client.hears(), "INSERTED 1|USING default")
    assert.strictEqual(client.asks("peek 1"), "FOUND 1 20|01234567890123456789")
  })
})

describe("§2 without memory", () => {
  it("for jobs, a put is OUT_OF_MEMORY when its body was read; no id is consumed, the producer counts", () => {
    const server = new TestBroker()
    const client = server.connect()
    server.memory = "none"
    assert.strictEqual(client.asks("put 0 0 1 2"), "")
    assert.strictEqual(client.asks("ab", "list-tube-used"), "OUT_OF_MEMORY|USING default")
    assert.strictEqual(client.stat("stats", "current-producers"), "1")
    server.memory = "enough"
    assert.strictEqual(client.puts(), "INSERTED 1")
  })

  it("for queues, what is put is buried, and counts as put", () => {
    const server = new TestBroker()
    const client = server.connect()
    server.memory = "none-for-queues"
    assert.strictEqual(client.puts(), "BURIED 1")
    assert.strictEqual(client.puts(0, 5), "BURIED 2")
    assert.deepStrictEqual(client.stats("stats-job 2", "state", "buries"), ["buried", "1"])
    assert.deepStrictEqual(client.stats("stats", "total-jobs", "current-jobs-buried"), ["2", "2"])
    assert.deepStrictEqual(server.events, ["buried 1 1", "buried 2 1"])
  })

  it("for queues, what is released is buried: BURIED", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts()
    client.asks("reserve")
    server.memory = "none-for-queues"
    assert.strictEqual(client.asks("release 1 9 5"), "BURIED")
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "pri", "delay", "releases", "buries"), [
      "buried",
      "9",
      "5",
      "1",
      "1"
    ])
    assert.strictEqual(client.asks("release 1 0 0"), "NOT_FOUND")
  })

  it("for queues, what is kicked is buried again, and kick-job finds nothing", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts()
    client.asks("reserve", "bury 1 0")
    client.puts(0, 100)
    server.memory = "none-for-queues"
    assert.strictEqual(client.asks("kick 1"), "KICKED 1")
    assert.strictEqual(client.asks("kick-job 1"), "NOT_FOUND")
    assert.strictEqual(client.asks("kick-job 2"), "NOT_FOUND")
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "kicks", "buries"), ["buried", "2", "3"])
    assert.deepStrictEqual(client.stats("stats-job 2", "state", "kicks"), ["buried", "1"])
    server.memory = "enough"
    assert.strictEqual(client.asks("kick 9"), "KICKED 2")
  })

  it("for queues, what is given back or times out is buried, and so is what becomes due", () => {
    const server = new TestBroker()
    const [client, other] = server.clients(2)
    client!.puts(0, 0, 5)
    client!.puts(0, 0, 5)
    client!.puts(0, 3)
    client!.asks("reserve")
    other!.asks("reserve")
    server.memory = "none-for-queues"
    client!.closes()
    server.passStepwise(5000)
    const states = ["1", "2", "3"].map((id) => other!.stat(`stats-job ${id}`, "state"))
    assert.deepStrictEqual(states, ["buried", "buried", "buried"])
    assert.strictEqual(other!.stat("stats-tube default", "current-jobs-buried"), "3")
  })
})
