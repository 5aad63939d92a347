/** What is done of that which was said behind a reserve, and by those who go: §3.6 and §3.7 of the notes on what beanstalkd does. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

const withJob = () => {
  const server = new TestBroker()
  const [client, other] = server.clients(2)
  other!.asks("use elsewhere")
  other!.puts()
  return { server, client: client!, other: other! }
}

describe("§3.6 behind a reserve that waits", () => {
  it("nothing is done until it is answered, and then everything", () => {
    const { client, other } = withJob()
    assert.strictEqual(client.asks("reserve", "delete 1", "list-tube-used"), "")
    assert.strictEqual(other.stat("stats-job 1", "state"), "ready")
    other.asks("use default")
    other.puts()
    assert.strictEqual(client.hears(), "RESERVED 2 1|x|DELETED|USING default")
  })

  it("what is done then may be an answer to others, and so on", () => {
    const server = new TestBroker()
    const [producer, ...chain] = server.clients(4)
    chain.forEach((client, i) => client.says(`watch t${i}\r\nignore default\r\nuse t${(i + 1) % 3}\r\nreserve\r\n`))
    chain.forEach((client) => client.says("put 0 0 60 1\r\nx\r\nreserve\r\n"))
    chain.forEach((client) => client.hears())
    producer!.asks("use t1")
    producer!.puts()
    assert.deepStrictEqual(chain.map((client) => client.hears()), [
      "RESERVED 3 1|x|INSERTED 4",
      "RESERVED 1 1|x|INSERTED 2|RESERVED 4 1|x",
      "RESERVED 2 1|x|INSERTED 3"
    ])
  })

  it("TIMED_OUT and DEADLINE_SOON are answers too", () => {
    const { client, server } = withJob()
    client.asks("reserve-with-timeout 1", "reserve-job 1", "reserve", "list-tube-used")
    server.pass(1000)
    assert.strictEqual(client.hears(), "TIMED_OUT|RESERVED 1 1|x")
    server.pass(59_000)
    assert.strictEqual(client.hears(), "DEADLINE_SOON|USING default")
  })
})

describe("§3.7 half-close", () => {
  it("everything that was said is done and answered, and then the connection is closed", () => {
    const { client, server } = withJob()
    client.isReading = false
    client.says("list-tube-used\r\n".repeat(3))
    client.halfCloses()
    assert.isFalse(client.isClosed)
    client.readsAgain()
    assert.isTrue(client.isClosed)
    assert.strictEqual(server.connect().stat("stats", "current-connections"), "2")
  })

  it("ends a wait with TIMED_OUT, and does what was said behind it", () => {
    const { client, other } = withJob()
    client.says("reserve\r\ndelete 1\r\n")
    assert.strictEqual(client.halfCloses(), "TIMED_OUT|DELETED")
    assert.isTrue(client.isClosed)
    assert.strictEqual(other.stat("stats", "current-waiting"), "0")
  })

  it("a reserve behind it is TIMED_OUT at once, but a job that is ready is reserved, and then given back", () => {
    const { client, other } = withJob()
    client.says("reserve\r\nwatch elsewhere\r\nreserve\r\nreserve\r\n")
    assert.strictEqual(client.halfCloses(), "TIMED_OUT|WATCHING 2|RESERVED 1 1|x|TIMED_OUT")
    assert.deepStrictEqual(other.stats("stats-job 1", "state", "reserves", "releases", "timeouts"), [
      "ready",
      "1",
      "0",
      "0"
    ])
  })

  it("in the middle of a line or a body closes the connection", () => {
    const { client, other, server } = withJob()
    client.says("list-tube-u")
    assert.strictEqual(client.halfCloses(), "")
    assert.isTrue(client.isClosed)
    const uploading = server.connect()
    uploading.says("put 0 0 1 10\r\n123")
    uploading.halfCloses()
    assert.isTrue(uploading.isClosed)
    assert.strictEqual(other.asks("stats-job 2"), "NOT_FOUND")
    const refused = server.connect()
    refused.says("put 0 0 1 99999999\r\n123")
    assert.strictEqual(refused.halfCloses(), "")
    assert.isTrue(refused.isClosed)
  })
})

describe("§3.7 full close", () => {
  it("does of what was behind the reserve the first, whose reply finds the connection broken, and no more", () => {
    const server = new TestBroker()
    const [client, other] = server.clients(2)
    for (let i = 0; i < 3; i++) other!.puts(0, 1000)
    client!.says("reserve\r\ndelete 1\r\ndelete 2\r\ndelete 3\r\n")
    assert.match(client!.closes(), /^TIMED_OUT/)
    assert.strictEqual(other!.stat("stats", "current-jobs-delayed"), "2")
    assert.isTrue(client!.isClosed)
  })

  it("does not matter when that came", () => {
    const { client, other } = withJob()
    client.says("reserve\r\n")
    client.says("delete 1\r\n")
    assert.match(client.closes(), /^TIMED_OUT/)
    assert.strictEqual(other.asks("stats-job 1"), "NOT_FOUND")
  })

  it("a second one changes nothing", () => {
    const { client, other } = withJob()
    client.closes()
    client.closes()
    client.vanishes()
    client.says("list-tube-used\r\n")
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(other.stat("stats", "current-connections"), "1")
  })
})

describe("§3.7 gone without a word, or by quit", () => {
  it("nothing more is done", () => {
    const { client, other } = withJob()
    client.says("reserve\r\ndelete 1\r\n")
    client.vanishes()
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(other.stat("stats-job 1", "state"), "ready")
  })

  it("quit drops what was said behind it, and gives back what was held", () => {
    const { client, other } = withJob()
    assert.strictEqual(client.asks("reserve-job 1", "quit", "delete 1"), "RESERVED 1 1|x")
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

  it("one who waits with jobs does not get them back", () => {
    const { client, server } = withJob()
    client.says("watch elsewhere\r\nreserve\r\nreserve\r\n")
    server.events.length = 0
    client.vanishes()
    assert.deepStrictEqual(server.events, ["given-back 1 1"])
  })
})

describe("one who does not read", () => {
  it("is not answered further until it reads again", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.isReading = false
    client.asks("list-tube-used")
    assert.strictEqual(client.asks("list-tube-used"), "")
    assert.strictEqual(client.connection.backlog, 16)
    assert.strictEqual(client.readsAgain(), "USING default")
    assert.strictEqual(client.connection.backlog, 0)
  })

  it("gets at most some 64 KiB in a row", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.asks("put 0 0 1 20000", "x".repeat(20_000))
    client.isReading = false
    client.says("peek 1\r\n".repeat(100))
    assert.isBelow(client.hears().length, 100_000)
    assert.strictEqual(client.connection.backlog, 8 * 96)
  })
})
