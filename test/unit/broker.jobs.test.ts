/** What commands do to jobs and tubes: §4 and §5 of the notes on what beanstalkd really does on the wire. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker, type TestClient } from "../support/broker.ts"

type State = "ready" | "reserved" | "reserved by another" | "delayed" | "buried"

const states: ReadonlyArray<State> = ["ready", "reserved", "reserved by another", "delayed", "buried"]

/** A job 1 in a state, and the one who may hold it. */
const jobThatIs = (state: State) => {
  const server = new TestBroker()
  const [client, other] = server.clients(2)
  client!.puts(0, state === "delayed" ? 100 : 0)
  if (state === "reserved" || state === "buried") client!.asks("reserve")
  if (state === "buried") client!.asks("bury 1 0")
  if (state === "reserved by another") other!.asks("reserve")
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

describe("§4 the commands", () => {
  it.each(
    table.flatMap(([command, success, from]) =>
      states.map((state) => ({ command, state, reply: from.includes(state) ? success : "NOT_FOUND" }))
    )
  )("$command of a job that is $state: $reply", ({ command, reply, state }) => {
    const { client } = jobThatIs(state)
    assert.strictEqual(client.asks(command), reply)
  })

  it("release sets priority and delay, and counts", () => {
    const { client, server } = jobThatIs("reserved")
    assert.strictEqual(client.asks("release 1 7 5"), "RELEASED")
    const keys = ["state", "pri", "delay", "time-left", "releases", "reserves"]
    assert.deepStrictEqual(client.stats("stats-job 1", ...keys), ["delayed", "7", "5", "5", "1", "1"])
    server.pass(4999)
    assert.strictEqual(client.stat("stats-job 1", "state"), "delayed")
    server.pass(1)
    assert.deepStrictEqual(client.stats("stats-job 1", ...keys), ["ready", "7", "5", "0", "1", "1"])
    client.asks("reserve", "release 1 8 0")
    assert.deepStrictEqual(client.stats("stats-job 1", ...keys), ["ready", "8", "0", "0", "2", "2"])
  })

  it("bury sets the priority, counts, and puts the job behind those that are buried already", () => {
    const client = new TestBroker().connect()
    for (let i = 0; i < 3; i++) client.puts()
    client.asks("reserve", "reserve", "reserve", "bury 2 5", "bury 3 4", "bury 1 6")
    assert.deepStrictEqual(client.stats("stats-job 1", "pri", "buries", "time-left"), ["6", "1", "0"])
    const kicked = Array.from({ length: 3 }, () => {
      const id = /^FOUND (\d)/.exec(client.asks("peek-buried"))?.[1]
      assert.strictEqual(client.asks("kick 1"), "KICKED 1")
      assert.strictEqual(client.stat(`stats-job ${id}`, "state"), "ready")
      return id
    })
    assert.deepStrictEqual(kicked, ["2", "3", "1"])
  })

  it("touch starts the time to run anew", () => {
    const { client, server } = jobThatIs("reserved")
    server.pass(59_000)
    assert.strictEqual(client.stat("stats-job 1", "time-left"), "1")
    assert.strictEqual(client.asks("touch 1"), "TOUCHED")
    server.pass(59_999)
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "timeouts", "reserves"), ["reserved", "0", "1"])
    server.pass(1)
    assert.deepStrictEqual(client.stats("stats-job 1", "state", "timeouts", "reserves"), ["ready", "1", "1"])
  })

  it("kick takes buried jobs only while there is one, and else delayed ones, the soonest first", () => {
    const { client } = jobThatIs("buried")
    client.puts(0, 50)
    client.puts(0, 20)
    client.puts(0, 20)
    assert.strictEqual(client.asks("kick 10"), "KICKED 1")
    assert.strictEqual(client.asks("peek-delayed"), "FOUND 3 1|x")
    assert.strictEqual(client.asks("kick 1"), "KICKED 1")
    assert.strictEqual(client.asks("peek-delayed"), "FOUND 4 1|x")
    assert.strictEqual(client.asks("kick 10", "kick 10"), "KICKED 2|KICKED 0")
    const kept = client.stats("stats-job 2", "state", "kicks", "delay", "pri", "ttr")
    assert.deepStrictEqual(kept, ["ready", "1", "50", "0", "60"])
  })

  it("kick and the peeks are for the tube that is used, kick-job and peek for any", () => {
    const { client, other } = jobThatIs("buried")
    other.asks("use a")
    assert.strictEqual(
      other.asks("kick 1", "peek-buried", "peek 1", "kick-job 1"),
      [
        "KICKED 0",
        "NOT_FOUND",
        "FOUND 1 1|x",
        "KICKED"
      ].join("|")
    )
    assert.strictEqual(client.asks("peek-ready"), "FOUND 1 1|x")
  })

  it("peek-ready shows the most urgent, paused or not", () => {
    const client = new TestBroker().connect()
    client.puts(5)
    client.puts(3)
    client.asks("pause-tube default 100")
    assert.strictEqual(client.asks("peek-ready"), "FOUND 2 1|x")
  })

  it("when the time to run is over, the holder has lost it, but may delete it while it is ready", () => {
    const { client, server } = jobThatIs("reserved")
    server.pass(60_000)
    assert.strictEqual(client.asks("touch 1", "release 1 0 0", "bury 1 0"), "NOT_FOUND|NOT_FOUND|NOT_FOUND")
    assert.deepStrictEqual(client.stats("stats", "job-timeouts", "current-jobs-ready"), ["1", "1"])
    assert.strictEqual(client.asks("delete 1"), "DELETED")
  })

  it("and when another has it then, delete does not find it", () => {
    const { client, other, server } = jobThatIs("reserved")
    server.pass(60_000)
    other.asks("reserve")
    assert.strictEqual(client.asks("delete 1"), "NOT_FOUND")
  })

  it("urgent are those that are ready, of a priority below 1024", () => {
    const client = new TestBroker().connect()
    const urgent =
      () => [client.stat("stats", "current-jobs-urgent"), client.stat("stats-tube default", "current-jobs-urgent")]
    client.puts(1023)
    client.puts(1024)
    client.puts(0, 100)
    assert.deepStrictEqual(urgent(), ["1", "1"])
    client.asks("reserve")
    assert.deepStrictEqual(urgent(), ["0", "0"])
    client.asks("release 1 2000 0")
    assert.deepStrictEqual(urgent(), ["0", "0"])
    client.asks("kick 1")
    assert.deepStrictEqual(urgent(), ["1", "1"])
    client.asks("delete 3")
    assert.deepStrictEqual(urgent(), ["0", "0"])
  })

  it("deleting counts for the tube", () => {
    const client = new TestBroker().connect()
    client.puts()
    client.puts(0, 10)
    client.asks("delete 1", "delete 2", "delete 3")
    assert.deepStrictEqual(client.stats("stats-tube default", "cmd-delete", "total-jobs"), ["2", "2"])
  })

  it("what happened is told in order", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 1)
    server.pass(1000)
    client.asks("reserve", "touch 1", "release 1 0 0", "reserve", "bury 1 0", "kick 1", "reserve")
    server.pass(60_000)
    client.asks("reserve")
    client.closes()
    const other = server.connect()
    other.asks("delete 1")
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

describe("§4 pause", () => {
  const paused = () => {
    const server = new TestBroker()
    const [client, waiter] = server.clients(2)
    waiter!.says("reserve\r\n")
    assert.strictEqual(client!.asks("pause-tube default 10"), "PAUSED")
    return { server, client: client!, waiter: waiter! }
  }

  const pause = (client: TestClient) => client.stats("stats-tube default", "pause", "pause-time-left", "cmd-pause-tube")

  it("is of a tube that is there, and makes none", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(client.asks("pause-tube a 1", "stats-tube a"), "NOT_FOUND|NOT_FOUND")
  })

  it("lets nobody reserve until it is over, to the millisecond", () => {
    const { client, server, waiter } = paused()
    client.puts()
    assert.deepStrictEqual(pause(client), ["10", "10", "1"])
    server.pass(9999)
    assert.strictEqual(waiter.hears(), "")
    assert.deepStrictEqual(pause(client), ["10", "0", "1"])
    server.pass(1)
    assert.strictEqual(waiter.hears(), "RESERVED 1 1|x")
    assert.deepStrictEqual(pause(client), ["0", "0", "1"])
  })

  it("hinders no other command", () => {
    const { client } = paused()
    client.puts()
    client.puts(0, 10)
    assert.strictEqual(
      client.asks("peek 1", "kick 1", "reserve-job 1", "release 1 0 0", "delete 1"),
      [
        "FOUND 1 1|x",
        "KICKED 1",
        "RESERVED 1 1|x",
        "RELEASED",
        "DELETED"
      ].join("|")
    )
  })

  it("a wait may time out meanwhile", () => {
    const { server } = paused()
    const client = server.connect()
    client.puts()
    client.says("reserve-with-timeout 5\r\n")
    server.pass(5000)
    assert.strictEqual(client.hears(), "TIMED_OUT")
  })

  it("a later one takes its place, a shorter one too", () => {
    const { client, server, waiter } = paused()
    client.puts()
    client.asks("pause-tube default 2")
    server.pass(1999)
    assert.strictEqual(waiter.hears(), "")
    server.pass(1)
    assert.strictEqual(waiter.hears(), "RESERVED 1 1|x")
    server.pass(10_000)
    assert.strictEqual(server.broker.nextTick, server.now - 12_000 + 2000 + 59_000 + 1000)
  })

  it("of 0 seconds ends it at once, and counts", () => {
    const { client, waiter } = paused()
    client.puts()
    assert.strictEqual(client.asks("pause-tube default 0"), "PAUSED")
    assert.strictEqual(waiter.hears(), "RESERVED 1 1|x")
    assert.deepStrictEqual(pause(client), ["0", "0", "2"])
  })

  it("goes with the tube", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.asks("use a", "pause-tube a 100", "use default", "use a")
    assert.strictEqual(client.stat("stats-tube a", "pause"), "0")
    assert.strictEqual(server.broker.nextTick, Number.POSITIVE_INFINITY)
  })
})

describe("§5 tubes", () => {
  const tubes = (client: TestClient) => client.asks("list-tubes").split("\n- ").slice(1).map((name) => name.trim())

  const watched = (client: TestClient) =>
    client.asks("list-tubes-watched").split("\n- ").slice(1).map((name) => name.trim())

  it("a new connection uses default, and watches default", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(client.asks("list-tube-used", "list-tubes-watched"), "USING default|OK 14|---\n- default\n")
  })

  it("come with use and watch only", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(client.asks("stats-tube a", "pause-tube b 1", "ignore c"), "NOT_FOUND|NOT_FOUND|WATCHING 1")
    assert.deepStrictEqual(tubes(client), ["default"])
    client.asks("use a", "watch b")
    assert.deepStrictEqual(tubes(client), ["default", "a", "b"])
  })

  it("watch twice is watch once, and the last cannot be ignored", () => {
    const client = new TestBroker().connect()
    assert.strictEqual(
      client.asks("watch a", "watch a", "ignore b", "ignore default", "ignore a", "ignore b"),
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

  it("the last takes the place of one that is ignored, or that goes", () => {
    const client = new TestBroker().connect()
    for (const name of "abcde") client.asks(`watch ${name}`)
    client.asks("ignore b")
    assert.deepStrictEqual(watched(client), ["default", "a", "e", "c", "d"])
    assert.deepStrictEqual(tubes(client), ["default", "a", "e", "c", "d"])
  })

  it("go in the order in which a connection's end lets them go", () => {
    const [client, other] = new TestBroker().clients(2)
    for (const name of "abcd") client!.asks(`watch ${name}`)
    for (const name of "efgh") other!.asks(`watch ${name}`)
    client!.closes()
    // d takes the place of default, and goes first: then c, b and a, and each time the last of all moves.
    assert.deepStrictEqual(tubes(other!), ["default", "e", "f", "g", "h"])
  })

  it("default stays when nobody uses or watches it", () => {
    const client = new TestBroker().connect()
    client.asks("use a", "watch a", "ignore default")
    assert.deepStrictEqual(tubes(client), ["default", "a"])
    assert.deepStrictEqual(client.stats("stats-tube default", "current-using", "current-watching"), ["0", "0"])
  })

  it.each(states)("stay as long as a job is in them that is %s, and lose everything when it goes", (state) => {
    const [client, holder] = new TestBroker().clients(2)
    client!.asks("use a")
    client!.puts(0, state === "delayed" ? 100 : 0)
    client!.asks("use default")
    if (state !== "ready" && state !== "delayed") holder!.asks("reserve-job 1")
    if (state === "buried") holder!.asks("bury 1 0")
    assert.strictEqual(client!.stat("stats-tube a", "total-jobs"), "1")
    assert.strictEqual(holder!.asks("delete 1"), "DELETED")
    assert.strictEqual(client!.asks("stats-tube a"), "NOT_FOUND")
    client!.asks("use a")
    assert.deepStrictEqual(client!.stats("stats-tube a", "total-jobs", "cmd-delete"), ["0", "0"])
  })

  it("keep their delayed jobs in order when they take another's place", () => {
    const server = new TestBroker()
    const [client, waiter] = server.clients(2)
    for (const name of ["a", "b", "c", "d"]) {
      client!.asks(`use ${name}`)
      client!.puts(0, 10)
    }
    client!.asks("use default", "delete 1")
    assert.deepStrictEqual(tubes(client!), ["default", "d", "b", "c"])
    client!.asks("delete 2")
    assert.deepStrictEqual(tubes(client!), ["default", "d", "c"])
    waiter!.asks("watch c", "watch d")
    server.events.length = 0
    server.pass(10_000)
    assert.deepStrictEqual(server.events, ["due 4 -", "due 3 -"])
  })

  it("count who uses, watches and waits", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.asks("use a", "watch a")
    other!.says("watch a\r\nreserve\r\n")
    const keys = ["current-using", "current-watching", "current-waiting"]
    assert.deepStrictEqual(client!.stats("stats-tube a", ...keys), ["1", "2", "1"])
    assert.deepStrictEqual(client!.stats("stats-tube default", ...keys), ["1", "2", "1"])
    other!.closes()
    assert.deepStrictEqual(client!.stats("stats-tube a", ...keys), ["1", "1", "0"])
  })
})
