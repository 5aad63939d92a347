/** The documents of the stats and list commands, with all keys in order, in both versions. */
import { assert, describe, it } from "@effect/vitest"
import { startsAt, TestBroker, type TestClient } from "../support/broker.ts"

const document = (client: TestClient, command: string) => {
  const [, length, text = ""] = /^OK (\d+)\|([^]*)$/.exec(client.request(command)) ?? []
  assert.strictEqual(text.length, Number(length))
  return text
}

/** A server with one job in each state. */
const busy = (version: "1.12" | "1.13") => {
  const server = new TestBroker({ version, maxJobSize: 1234 })
  const [client, waiter, uploading] = server.clients(3)
  client!.request("use a")
  for (const delay of [0, 0, 0, 100, 0]) client!.put(10, delay, 30)
  client!.request("watch a", "reserve-job 1", "reserve-job 2", "bury 2 11")
  client!.request("reserve-job 5", "release 5 12 0", "reserve-job 5", "bury 5 13", "kick 1", "kick 1")
  waiter!.send("watch b\r\nignore default\r\nreserve\r\n")
  uploading!.send("put 1 2 3 4\r\nx")
  client!.request("pause-tube a 9")
  server.advance(2500)
  return { server, client: client! }
}

describe.each(["1.12", "1.13"] as const)("statistics of %s", (version) => {
  const q = version === "1.12" ? "" : "\""

  it("of the server", () => {
    const { client } = busy(version)
    assert.strictEqual(
      document(client, "stats"),
      `---
current-jobs-urgent: 3
current-jobs-ready: 3
current-jobs-reserved: 1
current-jobs-delayed: 1
current-jobs-buried: 0
cmd-put: 6
cmd-peek: 0
cmd-peek-ready: 0
cmd-peek-delayed: 0
cmd-peek-buried: 0
cmd-reserve: 1
cmd-reserve-with-timeout: 0
cmd-delete: 0
cmd-release: 1
cmd-use: 1
cmd-watch: 2
cmd-ignore: 1
cmd-bury: 2
cmd-kick: 2
cmd-touch: 0
cmd-stats: 1
cmd-stats-job: 0
cmd-stats-tube: 0
cmd-list-tubes: 0
cmd-list-tube-used: 0
cmd-list-tubes-watched: 0
cmd-pause-tube: 1
job-timeouts: 0
total-jobs: 5
max-job-size: 1234
current-tubes: 3
current-connections: 3
current-producers: 2
current-workers: 2
current-waiting: 1
total-connections: 3
pid: 7
version: "${version}"
rusage-utime: 0.000000
rusage-stime: 0.000000
uptime: 2
binlog-oldest-index: 0
binlog-current-index: 0
binlog-records-migrated: 0
binlog-records-written: 0
binlog-max-size: 10485760
draining: false
id: 0123456789abcdef
hostname: ${q}host${q}
os: ${q}os${q}
platform: ${q}platform${q}
`
    )
  })

  it("of a tube", () => {
    const { client } = busy(version)
    assert.strictEqual(
      document(client, "stats-tube a"),
      `---
name: ${q}a${q}
current-jobs-urgent: 3
current-jobs-ready: 3
current-jobs-reserved: 1
current-jobs-delayed: 1
current-jobs-buried: 0
total-jobs: 5
current-using: 1
current-watching: 1
current-waiting: 0
cmd-delete: 0
cmd-pause-tube: 1
pause: 9
pause-time-left: 6
`
    )
  })

  const job = (id: number, values: ReadonlyArray<string | number>) => {
    const [state, priority, age, delay, ttr, left, reserves, timeouts, releases, buries, kicks] = values
    return `---
id: ${id}
tube: ${q}a${q}
state: ${state}
pri: ${priority}
age: ${age}
delay: ${delay}
ttr: ${ttr}
time-left: ${left}
file: 0
reserves: ${reserves}
timeouts: ${timeouts}
releases: ${releases}
buries: ${buries}
kicks: ${kicks}
`
  }

  it("of jobs", () => {
    const { client, server } = busy(version)
    assert.strictEqual(document(client, "stats-job 1"), job(1, ["reserved", 10, 2, 0, 30, 27, 1, 0, 0, 0, 0]))
    assert.strictEqual(document(client, "stats-job 2"), job(2, ["ready", 11, 2, 0, 30, 0, 1, 0, 0, 1, 1]))
    assert.strictEqual(document(client, "stats-job 3"), job(3, ["ready", 10, 2, 0, 30, 0, 0, 0, 0, 0, 0]))
    assert.strictEqual(document(client, "stats-job 4"), job(4, ["delayed", 10, 2, 100, 30, 97, 0, 0, 0, 0, 0]))
    assert.strictEqual(document(client, "stats-job 5"), job(5, ["ready", 13, 2, 0, 30, 0, 2, 0, 1, 1, 1]))
    server.advance(30_000)
    assert.strictEqual(document(client, "stats-job 1"), job(1, ["ready", 10, 32, 0, 30, 0, 1, 1, 0, 0, 0]))
  })

  it("of a job that is being uploaded: its age begins with the command line", () => {
    const { client, server } = busy(version)
    assert.deepStrictEqual(client.stats("stats-job 6", "state", "age", "time-left"), ["invalid", "2", "0"])
    server.advance(500)
    assert.strictEqual(client.stat("stats-job 6", "age"), "3")
  })

  it("names in lists are not quoted", () => {
    const { client } = busy(version)
    assert.strictEqual(document(client, "list-tubes"), "---\n- default\n- a\n- b\n")
    assert.strictEqual(document(client, "list-tubes-watched"), "---\n- default\n- a\n")
  })
})

describe("a clock that is set back", () => {
  it("makes an age negative", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put()
    server.now = startsAt - 3_600_000
    assert.strictEqual(client.stat("stats-job 1", "age"), "-3600")
  })
})

describe("connections", () => {
  it("are counted as producers, workers and waiting, as long as they are open", () => {
    const server = new TestBroker()
    const [client, worker] = server.clients(2)
    const keys = ["current-connections", "current-producers", "current-workers", "current-waiting", "total-connections"]
    worker!.send("reserve\r\n")
    assert.deepStrictEqual(client!.stats("stats", ...keys), ["2", "0", "1", "1", "2"])
    client!.put()
    assert.deepStrictEqual(client!.stats("stats", ...keys), ["2", "1", "1", "0", "2"])
    worker!.request("reserve-with-timeout 0")
    worker!.put()
    assert.deepStrictEqual(client!.stats("stats", ...keys), ["2", "2", "1", "0", "2"])
    worker!.reset()
    assert.deepStrictEqual(client!.stats("stats", ...keys), ["1", "1", "0", "0", "2"])
  })
})
