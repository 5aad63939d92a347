/** What each command does to jobs and tubes. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker, type TestClient } from "../support/broker.ts"

type State = "ready" | "reserved" | "reserved by another" | "delayed" | "buried"

const states: ReadonlyArray<State> = ["ready", "reserved", "reserved by another", "delayed", "buried"]

/** Job 1 in a state, the client that tests it, and the other client, which may have reserved it. */
const jobThatIs = (state: State) => {
  const server = new TestBroker()
  const [client, other] = server.clients(2)
  client!.put(0, state === "delayed" ? 100 : 0)
  if (state === "reserved" || state === "buried") client!.request("reserve")
  if (state === "buried") client!.request("bury 1 0")
  if (state === "reserved by another") other!.request("reserve")
  return { server, client: client!, other: other! }
}

const table: ReadonlyArray<readonly [command: string, success: string, from: ReadonlyArray<State>]> = [
  ["delete 1", "DELETED", ["ready", "reserved", "delayed", "buried"]],
  ["release 1 0 0", "RELEASED", ["reserved"]],
  ["bury 1 0", "BURIED", ["reserved"]],
  ["touch 1", "TOUCHED", ["reserved"]],
  ["kick-job 1", "KICKED", ["delayed", "buried"]],
  ["reserve-job 1", "RESERVED 1 1|x", ["ready", "delayed", "buried"]],
  ["peek 1", "FOUND 1 1|x", states],
  ["peek-ready", "FOUND 1 1|x", ["ready"]],
  ["peek-delayed", "FOUND 1 1|x", ["delayed"]],
  ["peek-buried", "FOUND 1 1|x", ["buried"]]
]

describe("commands on jobs", () => {
  it.each(
    table.flatMap(([command, success, from]) =>
      states.map((state) => ({ command, state, reply: from.includes(state) ? success : "NOT_FOUND" }))
    )
  )("$command of a job that is $state: $reply", ({ command, reply, state }) => {
    const { client } = jobThatIs(state)
    assert.strictEqual(client.request(command), reply)
  })

  it("release sets the priority and the delay, and is counted", () => {
    const { client, server } = jobThatIs("reserved")
    assert.strictEqual(client.request("release 1 7 5"), "RELEASED")
    const keys = ["state", "pri", "delay", "time-left", "releases", "reserves"]
    assert.deepStrictEqual(client.stats("stats-job 1", ...keys), ["delayed", "7", "5", "5", "1", "1"])
    server.advance(4999)
    assert.strictEqual(client.stat("stats-job 1", "state"), "delayed")
    server.advance(1)
    assert.deepStrictEqual(client.stats("stats-job 1", ...keys), ["ready", "7", "5", "0", "1", "1"])
    client.request("reserve", "release 1 8 0")
    assert.deepStrictEqual(client.stats("stats-job 1", ...keys), ["ready", "8", "0", "0", "2", "2"])
  })

  it("bury sets the priority, is counted, and appends the job to the buried jobs", () => {
    const client = new TestBroker().connect()
    for (let i = 0; i < 3; i++) client.put()
    client.request("reserve", "reserve", "reserve", "bury 2 5", "bury 3 4", "bury 1 6")
    assert.deepStrictEqual(client.stats("stats-job 1", "pri", "buries", "time-left"), ["6", "1", "0"])
    const kicked = Array.from({ length: 3 }, () => {
      const id = /^FOUND (\d)/.exec(client.request("peek-buried"))?.[1]
      assert.strictEqual(client.request("kick 1"), "KICKED 1")
      assert.strictEqual(client.stat(`stats-job ${id}`, "state"), "ready")
      return id
    })
    assert.deepStrictEqual(kicked, ["2", "3", "1"])
  })

  it("touch restarts the time to run", () => {
    const { client, server } = jobThatIs("reserved")
    server.advance(59_000)
    assert.strictEqual(client.stat("stats-job 1", "time-left"), "1")
    assert.strictEqual(client.request("touch 1"), "TOUCHED")
    server.advance(59_999)
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "timeouts", "reserves"), ["reserved", "0", "1"])
    server.advance(1)
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "timeouts", "reserves"), ["ready", "1", "1"])
  })

  it("kick kicks buried jobs only; if there are none, delayed jobs, those that are due first", () => {
    const { client } = jobThatIs("buried")
    client.put(0, 50)
    client.put(0, 20)
    client.put(0, 20)
    assert.strictEqual(client.request("kick 10"), "KICKED 1")
    assert.strictEqual(client.request("peek-delayed"), "FOUND 3 1|x")
    assert.strictEqual(client.request("kick 1"), "KICKED 1")
    assert.strictEqual(client.request("peek-delayed"), "FOUND 4 1|x")
    assert.strictEqual(client.request("kick 10", "kick 10"), "KICKED 2|KICKED 0")
    const kept = client.stats("stats-job 2", "state", "kicks", "delay", "pri", "ttr")
    assert.deepStrictEqual(kept, ["ready", "1", "50", "0", "60"])
  })

  it("kick and peek-ready, peek-delayed and peek-buried concern the used tube; kick-job and peek any tube", () => {
    const { client, other } = jobThatIs("buried")
    other.request("use a")
    assert.strictEqual(
      other.request("kick 1", "peek-buried", "peek 1", "kick-job 1"),
      [
        "KICKED 0",
        "NOT_FOUND",
        "FOUND 1 1|x",
        "KICKED"
      ].join("|")
    )
    assert.strictEqual(client.request("peek-ready"), "FOUND 1 1|x")
  })

  it("peek-ready returns the most urgent job, also of a paused tube", () => {
    const client = new TestBroker().connect()
    client.put(5)
    client.put(3)
    client.request("pause-tube default 100")
    assert.strictEqual(client.request("peek-ready"), "FOUND 2 1|x")
  })

  it("a client whose job has timed out may delete it while it is ready, but do nothing else with it", () => {
    const { client, server } = jobThatIs("reserved")
    server.advance(60_000)
    assert.strictEqual(client.request("touch 1", "release 1 0 0", "bury 1 0"), "NOT_FOUND|NOT_FOUND|NOT_FOUND")
    assert.deepStrictEqual(client.stats("stats", "job-timeouts", "current-jobs-ready"), ["1", "1"])
    assert.strictEqual(client.request("delete 1"), "DELETED")
  })

  it("a client whose job has timed out cannot delete it while another client has reserved it", () => {
    const { client, other, server } = jobThatIs("reserved")
    server.advance(60_000)
    other.request("reserve")
    assert.strictEqual(client.request("delete 1"), "NOT_FOUND")
  })

  it("ready jobs with a priority below 1024 count as urgent", () => {
    const client = new TestBroker().connect()
    const urgent =
      () => [client.stat("stats", "current-jobs-urgent"), client.stat("stats-tube default", "current-jobs-urgent")]
    client.put(1023)
    client.put(1024)
    client.put(0, 100)
    assert.deepStrictEqual(urgent(), ["1", "1"])
    client.request("reserve")
    assert.deepStrictEqual(urgent(), ["0", "0"])
    client.request("release 1 2000 0")
    assert.deepStrictEqual(urgent(), ["0", "0"])
    client.request("kick 1")
    assert.deepStrictEqual(urgent(), ["1", "1"])
    client.request("delete 3")
    assert.deepStrictEqual(urgent(), ["0", "0"])
  })

  it("delete is counted for the tube", () => {
    const client = new TestBroker().connect()
    client.put()
    client.put(0, 10)
    client.request("delete 1", "delete 2", "delete 3")
    assert.deepStrictEqual(client.stats("stats-tube default", "cmd-delete", "total-jobs"), ["2", "2"])
  })

  it("events are emitted in order", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 1)
    server.advance(1000)
    client.request("reserve", "touch 1", "release 1 0 0", "reserve", "bury 1 0", "kick 1", "reserve")
    server.advance(60_000)
    client.request("reserve")
    client.close()
    const other = server.connect()
    other.request("delete 1")
    assert.deepStrictEqual(server.events, [
      "put 1 1",
      "due 1 -",
      "reserved 1 1",
      "touched 1 1",
      "released 1 1",
      "reserved 1 1",
      "buried 1 1",
      "kicked 1 1",
      "reserved 1 1",
      "timed-out 1 1",
      "reserved 1 1",
      "given-back 1 1",
      "deleted 1 2"
    ])
  })
})

describe("pause-tube", () => {
  const paused = () => {
    const server = new TestBroker()
    const [client, waiter] = server.clients(2)
    waiter!.send("reserve\r\n")
    assert.strictEqual(client!.request("pause-tube default 10"), "PAUSED")
    return { server, client: client!, waiter: waiter! }
  }

  const pause = (client: TestClient) => client.stats("stats-tube default", "pause", "pause-time-left", "cmd-pause-tube")

  it("fails for a tube that does not exist", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(client.request("pause-tube a 1", "stats-tube a"), "NOT_FOUND|NOT_FOUND")
  })

  it("keeps the jobs of the tube from being reserved until it is over, to the millisecond", () => {
    const { client, server, waiter } = paused()
    client.put()
    assert.deepStrictEqual(pause(client), ["10", "10", "1"])
    server.advance(9999)
    assert.strictEqual(waiter.takeReplies(), "")
    assert.deepStrictEqual(pause(client), ["10", "0", "1"])
    server.advance(1)
    assert.strictEqual(waiter.takeReplies(), "RESERVED 1 1|x")
    assert.deepStrictEqual(pause(client), ["0", "0", "1"])
  })

  it("does not affect other commands", () => {
    const { client } = paused()
    client.put()
    client.put(0, 10)
    assert.strictEqual(
      client.request("peek 1", "kick 1", "reserve-job 1", "release 1 0 0", "delete 1"),
      [
        "FOUND 1 1|x",
        "KICKED 1",
        "RESERVED 1 1|x",
        "RELEASED",
        "DELETED"
      ].join("|")
    )
  })

  it("does not keep a reserve from timing out", () => {
    const { server } = paused()
    const client = server.connect()
    client.put()
    client.send("reserve-with-timeout 5\r\n")
    server.advance(5000)
    assert.strictEqual(client.takeReplies(), "TIMED_OUT")
  })

  it("replaces an earlier pause, also a longer one", () => {
    const { client, server, waiter } = paused()
    client.put()
    client.request("pause-tube default 2")
    server.advance(1999)
    assert.strictEqual(waiter.takeReplies(), "")
    server.advance(1)
    assert.strictEqual(waiter.takeReplies(), "RESERVED 1 1|x")
    server.advance(10_000)
    assert.strictEqual(server.broker.nextTick, server.now - 12_000 + 2000 + 59_000 + 1000)
  })

  it("of 0 seconds ends a pause at once, and is counted", () => {
    const { client, waiter } = paused()
    client.put()
    assert.strictEqual(client.request("pause-tube default 0"), "PAUSED")
    assert.strictEqual(waiter.takeReplies(), "RESERVED 1 1|x")
    assert.deepStrictEqual(pause(client), ["0", "0", "2"])
  })

  it("ends when the tube is removed", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.request("use a", "pause-tube a 100", "use default", "use a")
    assert.strictEqual(client.stat("stats-tube a", "pause"), "0")
    assert.strictEqual(server.broker.nextTick, Number.POSITIVE_INFINITY)
  })
})

describe("tubes", () => {
  const tubes = (client: TestClient) => client.request("list-tubes").split("\n- ").slice(1).map((name) => name.trim())

  const watched = (client: TestClient) =>
    client.request("list-tubes-watched").split("\n- ").slice(1).map((name) => name.trim())

  it("a new connection uses and watches default", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(client.request("list-tube-used", "list-tubes-watched"), "USING default|OK 14|---\n- default\n")
  })

  it("are created by use and watch only", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(client.request("stats-tube a", "pause-tube b 1", "ignore c"), "NOT_FOUND|NOT_FOUND|WATCHING 1")
    assert.deepStrictEqual(tubes(client), ["default"])
    client.request("use a", "watch b")
    assert.deepStrictEqual(tubes(client), ["default", "a", "b"])
  })

  it("can be watched only once, and the last watched tube cannot be ignored", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(
      client.request("watch a", "watch a", "ignore b", "ignore default", "ignore a", "ignore b"),
      [
        "WATCHING 2",
        "WATCHING 2",
        "WATCHING 2",
        "WATCHING 1",
        "NOT_IGNORED",
        "WATCHING 1"
      ].join("|")
    )
    assert.deepStrictEqual(watched(client), ["a"])
  })

  it("in both lists the last tube takes the index of one that is ignored or removed", () => {
    const client = new TestBroker().connect()
    for (const name of "abcde") client.request(`watch ${name}`)
    client.request("ignore b")
    assert.deepStrictEqual(watched(client), ["default", "a", "e", "c", "d"])
    assert.deepStrictEqual(tubes(client), ["default", "a", "e", "c", "d"])
  })

  it("are removed in beanstalkd's order when a connection ends", () => {
    const [client, other] = new TestBroker().clients(2)
    for (const name of "abcd") client!.request(`watch ${name}`)
    for (const name of "efgh") other!.request(`watch ${name}`)
    client!.close()
    // d takes the index of default and is removed first, then c, b and a; each time the last tube of the list takes the index.
    assert.deepStrictEqual(tubes(other!), ["default", "e", "f", "g", "h"])
  })

  it("default exists even if no client uses or watches it", () => {
    const client = new TestBroker().connect()
    client.request("use a", "watch a", "ignore default")
    assert.deepStrictEqual(tubes(client), ["default", "a"])
    assert.deepStrictEqual(client.stats("stats-tube default", "current-using", "current-watching"), ["0", "0"])
  })

  it.each(states)("exist as long as they have a job that is %s, and then lose their statistics", (state) => {
    const [client, holder] = new TestBroker().clients(2)
    client!.request("use a")
    client!.put(0, state === "delayed" ? 100 : 0)
    client!.request("use default")
    if (state !== "ready" && state !== "delayed") holder!.request("reserve-job 1")
    if (state === "buried") holder!.request("bury 1 0")
    assert.strictEqual(client!.stat("stats-tube a", "total-jobs"), "1")
    assert.strictEqual(holder!.request("delete 1"), "DELETED")
    assert.strictEqual(client!.request("stats-tube a"), "NOT_FOUND")
    client!.request("use a")
    assert.deepStrictEqual(client!.stats("stats-tube a", "total-jobs", "cmd-delete"), ["0", "0"])
  })

  it("order jobs that are due at the same time by their index, also when that has changed", () => {
    const server = new TestBroker()
    const [client, waiter] = server.clients(2)
    for (const name of ["a", "b", "c", "d"]) {
      client!.request(`use ${name}`)
      client!.put(0, 10)
    }
    client!.request("use default", "delete 1")
    assert.deepStrictEqual(tubes(client!), ["default", "d", "b", "c"])
    client!.request("delete 2")
    assert.deepStrictEqual(tubes(client!), ["default", "d", "c"])
    waiter!.request("watch c", "watch d")
    server.events.length = 0
    server.advance(10_000)
    assert.deepStrictEqual(server.events, ["due 4 -", "due 3 -"])
  })

  it("count the clients that use them, watch them and wait for their jobs", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.request("use a", "watch a")
    other!.send("watch a\r\nreserve\r\n")
    const keys = ["current-using", "current-watching", "current-waiting"]
    assert.deepStrictEqual(client!.stats("stats-tube a", ...keys), ["1", "2", "1"])
    assert.deepStrictEqual(client!.stats("stats-tube default", ...keys), ["1", "2", "1"])
    other!.close()
    assert.deepStrictEqual(client!.stats("stats-tube a", ...keys), ["1", "1", "0"])
  })
})
