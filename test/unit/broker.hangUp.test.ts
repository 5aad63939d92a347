/** Which commands are executed after a reserve that waits, and after the client has half-closed, closed or reset the connection. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

const withJob = () => {
  const server = new TestBroker()
  const [client, other] = server.clients(2)
  other!.request("use elsewhere")
  other!.put()
  return { server, client: client!, other: other! }
}

describe("commands sent after a reserve that waits", () => {
  it("are executed when the reserve is answered, and not before", () => {
    const { client, other } = withJob()
    assert.strictEqual(client.request("reserve", "delete 1", "list-tube-used"), "")
    assert.strictEqual(other.stat("stats-job 1", "state"), "ready")
    other.request("use default")
    other.put()
    assert.strictEqual(client.takeReplies(), "RESERVED 2 1|x|DELETED|USING default")
  })

  it("may end the reserves of other clients, whose commands are executed then", () => {
    const server = new TestBroker()
    const [producer, ...chain] = server.clients(4)
    chain.forEach((client, i) => client.send(`watch t${i}\r\nignore default\r\nuse t${(i + 1) % 3}\r\nreserve\r\n`))
    chain.forEach((client) => client.send("put 0 0 60 1\r\nx\r\nreserve\r\n"))
    chain.forEach((client) => client.takeReplies())
    producer!.request("use t1")
    producer!.put()
    assert.deepStrictEqual(chain.map((client) => client.takeReplies()), [
      "RESERVED 3 1|x|INSERTED 4",
      "RESERVED 1 1|x|INSERTED 2|RESERVED 4 1|x",
      "RESERVED 2 1|x|INSERTED 3"
    ])
  })

  it("are executed after TIMED_OUT and DEADLINE_SOON, too", () => {
    const { client, server } = withJob()
    client.request("reserve-with-timeout 1", "reserve-job 1", "reserve", "list-tube-used")
    server.advance(1000)
    assert.strictEqual(client.takeReplies(), "TIMED_OUT|RESERVED 1 1|x")
    server.advance(59_000)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON|USING default")
  })
})

describe("half-close", () => {
  it("all commands are executed and answered, and then the connection is closed", () => {
    const { client, server } = withJob()
    client.isReading = false
    client.send("list-tube-used\r\n".repeat(3))
    client.halfClose()
    assert.isFalse(client.isClosed)
    client.resumeReading()
    assert.isTrue(client.isClosed)
    assert.strictEqual(server.connect().stat("stats", "current-connections"), "2")
  })

  it("answers a waiting reserve with TIMED_OUT, and executes the commands after it", () => {
    const { client, other } = withJob()
    client.send("reserve\r\ndelete 1\r\n")
    assert.strictEqual(client.halfClose(), "TIMED_OUT|DELETED")
    assert.isTrue(client.isClosed)
    assert.strictEqual(other.stat("stats", "current-waiting"), "0")
  })

  it("a later reserve is answered with TIMED_OUT at once; a job that it reserves is given back", () => {
    const { client, other } = withJob()
    client.send("reserve\r\nwatch elsewhere\r\nreserve\r\nreserve\r\n")
    assert.strictEqual(client.halfClose(), "TIMED_OUT|WATCHING 2|RESERVED 1 1|x|TIMED_OUT")
    assert.deepStrictEqual(other.stats("stats-job 1", "state", "reserves", "releases", "timeouts"), [
      "ready",
      "1",
      "0",
      "0"
    ])
  })

  it("within a line or a body closes the connection", () => {
    const { client, other, server } = withJob()
    client.send("list-tube-u")
    assert.strictEqual(client.halfClose(), "")
    assert.isTrue(client.isClosed)
    const uploading = server.connect()
    uploading.send("put 0 0 1 10\r\n123")
    uploading.halfClose()
    assert.isTrue(uploading.isClosed)
    assert.strictEqual(other.request("stats-job 2"), "NOT_FOUND")
    const refused = server.connect()
    refused.send("put 0 0 1 99999999\r\n123")
    assert.strictEqual(refused.halfClose(), "")
    assert.isTrue(refused.isClosed)
  })
})

describe("close", () => {
  it("executes one command after a waiting reserve: writing its reply fails", () => {
    const server = new TestBroker()
    const [client, other] = server.clients(2)
    for (let i = 0; i < 3; i++) other!.put(0, 1000)
    client!.send("reserve\r\ndelete 1\r\ndelete 2\r\ndelete 3\r\n")
    assert.match(client!.close(), /^TIMED_OUT/)
    assert.strictEqual(other!.stat("stats", "current-jobs-delayed"), "2")
    assert.isTrue(client!.isClosed)
  })

  it("executes that command also when it was received later than the reserve", () => {
    const { client, other } = withJob()
    client.send("reserve\r\n")
    client.send("delete 1\r\n")
    assert.match(client.close(), /^TIMED_OUT/)
    assert.strictEqual(other.request("stats-job 1"), "NOT_FOUND")
  })

  it("has no effect when it is repeated", () => {
    const { client, other } = withJob()
    client.close()
    client.close()
    client.reset()
    client.send("list-tube-used\r\n")
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(other.stat("stats", "current-connections"), "1")
  })
})

describe("reset and quit", () => {
  it("reset executes no further command", () => {
    const { client, other } = withJob()
    client.send("reserve\r\ndelete 1\r\n")
    client.reset()
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(other.stat("stats-job 1", "state"), "ready")
  })

  it("quit discards the commands after it, and gives back reserved jobs", () => {
    const { client, other } = withJob()
    assert.strictEqual(client.request("reserve-job 1", "quit", "delete 1"), "RESERVED 1 1|x")
    assert.isTrue(client.isClosed)
    assert.deepStrictEqual(other.stats("stats-job 1", "state", "releases", "timeouts", "reserves"), [
      "ready",
      "0",
      "0",
      "1"
    ])
    assert.deepStrictEqual(other.stats("stats", "current-connections", "total-connections", "current-workers"), [
      "1",
      "2",
      "0"
    ])
  })

  it("a client that waits in a reserve does not get the jobs that it gives back", () => {
    const { client, server } = withJob()
    client.send("watch elsewhere\r\nreserve\r\nreserve\r\n")
    server.events.length = 0
    client.reset()
    assert.deepStrictEqual(server.events, ["given-back 1 1"])
  })
})

describe("a client that does not read", () => {
  it("gets no further replies until it reads again", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.isReading = false
    client.request("list-tube-used")
    assert.strictEqual(client.request("list-tube-used"), "")
    assert.strictEqual(client.connection.backlog, 16)
    assert.strictEqual(client.resumeReading(), "USING default")
    assert.strictEqual(client.connection.backlog, 0)
  })

  it("gets some 64 KiB at most", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.request("put 0 0 1 20000", "x".repeat(20_000))
    client.isReading = false
    client.send("peek 1\r\n".repeat(100))
    assert.isBelow(client.takeReplies().length, 100_000)
    assert.strictEqual(client.connection.backlog, 8 * 96)
  })
})
