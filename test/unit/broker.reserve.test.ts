/** Who gets which job, and when nobody does: §3 of the notes on what beanstalkd really does on the wire. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { TestBroker, type TestClient } from "../support/broker.ts"

/** A server with one that puts, and some that wait for jobs. */
const waiting = (count: number) => {
  const server = new TestBroker()
  const producer = server.connect()
  const waiters = server.clients(count)
  for (const waiter of waiters) waiter.says("reserve\r\n")
  return { server, producer, waiters }
}

/** The numbers, from 1, of those that hear of a job, in the order of the jobs. */
const served = (producer: TestClient, waiters: ReadonlyArray<TestClient>, jobs: number) =>
  Array.from({ length: jobs }, () => {
    producer.puts()
    return waiters.findIndex((waiter) => waiter.hears().startsWith("RESERVED")) + 1
  })

describe("§3.1 which job", () => {
  it("the most urgent, and of equal ones the oldest, in whatever order they became ready", () => {
    const client = new TestBroker().connect()
    client.puts(5)
    client.puts(3)
    client.puts(3)
    client.puts(4)
    const ids = Array.from({ length: 4 }, () => client.asks("reserve").split(" ")[1])
    assert.deepStrictEqual(ids, ["2", "3", "4", "1"])
  })

  it("one that was released goes before younger ones of its urgency", () => {
    const client = new TestBroker().connect()
    client.puts()
    client.puts()
    assert.strictEqual(client.asks("reserve", "release 1 0 0", "reserve"), "RESERVED 1 1|x|RELEASED|RESERVED 1 1|x")
  })

  it("of several tubes that are watched, the most urgent, whatever the order of watching", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.asks("use a")
    client.puts(2)
    client.asks("use b")
    client.puts(1)
    client.puts(2)
    client.asks("use c")
    client.puts(0)
    client.asks("watch a", "watch b")
    const ids = Array.from({ length: 3 }, () => client.asks("reserve").split(" ")[1])
    assert.deepStrictEqual(ids, ["2", "1", "3"])
    assert.strictEqual(client.asks("reserve-with-timeout 0"), "TIMED_OUT")
  })

  it("not of a tube that is paused", () => {
    const client = new TestBroker().connect()
    client.asks("use a")
    client.puts(0)
    client.asks("use b")
    client.puts(9)
    assert.strictEqual(client.asks("watch a", "watch b", "pause-tube a 1"), "WATCHING 2|WATCHING 3|PAUSED")
    assert.strictEqual(client.asks("reserve"), "RESERVED 2 1|x")
  })

  it("matching is job by job: kick hands them over in the order of kicking, and not by urgency", () => {
    const { producer, server, waiters: [waiter] } = waiting(1)
    const holder = server.connect()
    waiter!.vanishes()
    producer.puts(100)
    producer.puts(0)
    holder.asks("reserve-job 1", "bury 1 100", "reserve-job 2", "bury 2 0")
    const late = server.connect()
    late.says("reserve\r\n")
    assert.strictEqual(producer.asks("kick 2"), "KICKED 2")
    assert.strictEqual(late.hears(), "RESERVED 1 1|x")
  })

  it("of those due in one tick, the one that was due first, although less urgent", () => {
    const { producer, server, waiters: [waiter] } = waiting(1)
    producer.puts(0, 2)
    producer.puts(100, 1)
    server.pass(5000)
    assert.strictEqual(waiter!.hears(), "RESERVED 2 1|x")
  })

  it("of those due at the same time, the one of the tube that is listed first, and then the oldest", () => {
    const { producer, server, waiters: [waiter] } = waiting(0)
    assert.strictEqual(waiter, undefined)
    producer.asks("use a")
    producer.puts(0, 1)
    producer.asks("use b")
    const client = server.connect()
    producer.puts(0, 1)
    producer.asks("use default")
    producer.puts(9, 1)
    client.says("watch a\r\nwatch b\r\nreserve\r\n")
    server.pass(1000)
    assert.deepStrictEqual(server.events.slice(3), ["due 3 -", "reserved 3 2", "due 1 -", "due 2 -"])
  })

  it("of those that time out with one connection, the one that was due first", () => {
    const { producer, server, waiters: [waiter] } = waiting(1)
    const holder = server.connect()
    producer.asks("use other")
    producer.puts(0, 0, 3)
    producer.puts(9, 0, 2)
    holder.asks("reserve-job 1", "reserve-job 2")
    waiter!.vanishes()
    const late = server.connect()
    late.says("watch other\r\nreserve\r\n")
    server.pass(5000)
    assert.strictEqual(late.hears(), "WATCHING 2|RESERVED 2 1|x")
  })

  it("a connection's jobs are given back in the order in which they were reserved", () => {
    const { producer, server, waiters } = waiting(0)
    assert.strictEqual(waiters.length, 0)
    const [holder, late] = server.clients(2)
    producer.puts(0)
    producer.puts(9)
    producer.puts(5)
    holder!.asks("reserve-job 2", "reserve-job 3", "reserve-job 1", "touch 2")
    late!.says("reserve\r\n")
    server.events.length = 0
    holder!.closes()
    assert.deepStrictEqual(server.events, ["given-back 2 2", "reserved 2 3", "given-back 3 2", "given-back 1 2"])
    assert.strictEqual(late!.hears(), "RESERVED 2 1|x")
  })
})

describe("§3.2 which of those that wait", () => {
  it.each([
    [4, [1, 2, 4, 3]],
    [6, [1, 2, 3, 6, 5, 4]],
    [7, [1, 2, 3, 4, 6, 7, 5]]
  ])("%i are served in the order that was observed", (count, order) => {
    const { producer, waiters } = waiting(count)
    assert.deepStrictEqual(served(producer, waiters, count), order)
  })

  it("with A and B waiting, A is served, then C that came later, then B", () => {
    const { producer, server, waiters: [a, b] } = waiting(2)
    producer.puts()
    assert.strictEqual(a!.hears(), "RESERVED 1 1|x")
    const c = server.connect()
    c.says("reserve\r\n")
    producer.puts()
    assert.deepStrictEqual([b!.hears(), c.hears()], ["", "RESERVED 2 1|x"])
    producer.puts()
    assert.strictEqual(b!.hears(), "RESERVED 3 1|x")
  })

  it("whoever is served in one tube waits in no other", () => {
    const { producer, server, waiters: [first, second] } = waiting(0)
    assert.deepStrictEqual([first, second], [undefined, undefined])
    const [a, b] = server.clients(2)
    a!.says("watch a\r\nreserve\r\n")
    b!.says("watch a\r\nreserve\r\n")
    producer.puts()
    producer.asks("use a")
    producer.puts()
    assert.deepStrictEqual([a!.hears(), b!.hears()], ["WATCHING 2|RESERVED 1 1|x", "WATCHING 2|RESERVED 2 1|x"])
    assert.strictEqual(producer.stat("stats", "current-waiting"), "0")
    assert.strictEqual(producer.stat("stats-tube a", "current-waiting"), "0")
  })

  it("whoever leaves is served no more, and the last takes the place", () => {
    const { producer, waiters } = waiting(5)
    waiters[0]!.closes()
    waiters[2]!.vanishes()
    assert.deepStrictEqual(served(producer, waiters, 3), [5, 2, 4])
  })
})

describe("§3.3 DEADLINE_SOON", () => {
  const holding = (ttr: number) => {
    const server = new TestBroker()
    const client = server.connect()
    client.puts(0, 0, ttr)
    client.asks("reserve")
    return { server, client }
  }

  it("comes to one who waits a second before the deadline, to the millisecond", () => {
    const { client, server } = holding(10)
    client.says("reserve\r\n")
    server.pass(8999)
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(server.broker.nextTick, server.now + 1)
    server.pass(1)
    assert.strictEqual(client.hears(), "DEADLINE_SOON")
    assert.strictEqual(client.stat("stats-job 1", "state"), "reserved")
  })

  it("comes at once to one who asks within the last second, and not before", () => {
    const { client, server } = holding(10)
    server.pass(8999)
    assert.strictEqual(client.asks("reserve-with-timeout 0"), "TIMED_OUT")
    server.pass(1)
    assert.strictEqual(client.asks("reserve-with-timeout 0", "reserve"), "DEADLINE_SOON|DEADLINE_SOON")
  })

  it("comes for a job of a tube that is not watched, and by the smallest deadline of all", () => {
    const { client, server } = holding(10)
    client.asks("use a")
    client.puts(0, 0, 5)
    client.asks("reserve-job 2")
    client.says("reserve\r\n")
    server.passStepwise(3999)
    assert.strictEqual(client.hears(), "")
    server.pass(1)
    assert.strictEqual(client.hears(), "DEADLINE_SOON")
  })

  it("does not come when a job is ready: it is reserved", () => {
    const { client, server } = holding(2)
    server.pass(1500)
    client.puts()
    assert.strictEqual(client.asks("reserve"), "RESERVED 2 1|x")
  })

  it("comes although a job is ready in a tube that is paused", () => {
    const { client, server } = holding(2)
    client.puts()
    client.asks("pause-tube default 100")
    server.pass(1000)
    assert.strictEqual(client.asks("reserve"), "DEADLINE_SOON")
  })

  it("comes before TIMED_OUT", () => {
    const { client, server } = holding(4)
    client.says("reserve-with-timeout 3\r\n")
    server.pass(3000)
    assert.strictEqual(client.hears(), "DEADLINE_SOON")
    server.pass(500)
    assert.strictEqual(client.hears(), "")
  })

  it("comes to every reserve of one who holds a job of one second", () => {
    const { client } = holding(1)
    assert.strictEqual(client.asks("reserve", "reserve-with-timeout 5"), "DEADLINE_SOON|DEADLINE_SOON")
  })

  it("comes later when the job is touched", () => {
    const { client, server } = holding(10)
    server.pass(5000)
    client.asks("touch 1")
    client.says("reserve\r\n")
    server.passStepwise(8999)
    assert.strictEqual(client.hears(), "")
    server.pass(1)
    assert.strictEqual(client.hears(), "DEADLINE_SOON")
  })

  it("never comes to reserve-job", () => {
    const { client, server } = holding(1)
    client.puts()
    server.pass(500)
    assert.strictEqual(client.asks("reserve-job 2", "reserve-job 9"), "RESERVED 2 1|x|NOT_FOUND")
  })

  it("never comes for the jobs of others", () => {
    const { server } = holding(1)
    assert.strictEqual(server.connect().asks("reserve-with-timeout 0"), "TIMED_OUT")
  })
})

describe("§3.4 TIMED_OUT", () => {
  it("comes when the time is over, to the millisecond, and once", () => {
    const { server, waiters: [waiter] } = waiting(0)
    assert.strictEqual(waiter, undefined)
    const client = server.connect()
    client.says("reserve-with-timeout 3\r\n")
    server.pass(2999)
    assert.strictEqual(client.hears(), "")
    server.pass(1)
    assert.strictEqual(client.hears(), "TIMED_OUT")
    server.pass(3000)
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(server.broker.nextTick, Number.POSITIVE_INFINITY)
  })

  it("comes at once when the time is 0", () => {
    assert.strictEqual(new TestBroker().connect().asks("reserve-with-timeout 0"), "TIMED_OUT")
  })

  it("a delayed job that is due in the same tick wins", () => {
    const { producer, server } = waiting(0)
    producer.puts(0, 3)
    const client = server.connect()
    client.says("reserve-with-timeout 3\r\n")
    server.pass(3000)
    assert.strictEqual(client.hears(), "RESERVED 1 1|x")
  })

  it("a job of a tube whose pause is over in the same tick wins", () => {
    const { producer, server } = waiting(0)
    producer.puts()
    producer.asks("pause-tube default 3")
    const client = server.connect()
    client.says("reserve-with-timeout 3\r\n")
    server.pass(2999)
    assert.strictEqual(client.hears(), "")
    server.pass(1)
    assert.strictEqual(client.hears(), "RESERVED 1 1|x")
  })

  it.each([
    ["earlier", 4, "RESERVED 1 1|x"],
    ["later", 6, "TIMED_OUT"]
  ])("a job of another that times out in the same tick, but was due %s", (_, ttr, reply) => {
    const { producer, server } = waiting(0)
    const [holder, client] = server.clients(2)
    producer.puts(0, 0, ttr)
    holder!.asks("reserve")
    client!.says("reserve-with-timeout 5\r\n")
    server.pass(10_000)
    assert.strictEqual(client!.hears(), reply)
  })

  it("what is served in time leaves nothing behind", () => {
    const { producer, server } = waiting(0)
    const client = server.connect()
    client.says("reserve-with-timeout 3\r\n")
    producer.puts(0, 0, 100)
    assert.strictEqual(client.hears(), "RESERVED 1 1|x")
    server.passStepwise(50_000)
    assert.strictEqual(client.hears(), "")
    assert.strictEqual(server.broker.nextTick, server.now + 50_000)
  })
})

describe("§3.5 reserve-job", () => {
  it("takes a job that is ready, delayed or buried from any tube, watched or not, paused or not", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.asks("use a")
    client!.puts()
    client!.puts(0, 100)
    client!.puts()
    client!.asks("reserve-job 3", "bury 3 0", "pause-tube a 100")
    assert.strictEqual(
      other!.asks("reserve-job 1", "reserve-job 2", "reserve-job 3"),
      [
        "RESERVED 1 1|x",
        "RESERVED 2 1|x",
        "RESERVED 3 1|x"
      ].join("|")
    )
    assert.deepStrictEqual(
      other!.stats(
        "stats-tube a",
        "current-jobs-ready",
        "current-jobs-delayed",
        "current-jobs-buried",
        "current-jobs-reserved"
      ),
      ["0", "0", "0", "3"]
    )
  })

  it("does not take one that is reserved, by whomever, nor one that is unknown", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.puts()
    client!.asks("reserve")
    assert.strictEqual(client!.asks("reserve-job 1", "reserve-job 2", "reserve-job 0"), "NOT_FOUND|NOT_FOUND|NOT_FOUND")
    assert.strictEqual(other!.asks("reserve-job 1"), "NOT_FOUND")
  })

  it("makes a worker of a connection only when it finds a job", () => {
    const client = new TestBroker().connect()
    client.asks("reserve-job 1")
    assert.strictEqual(client.stat("stats", "current-workers"), "0")
    client.puts()
    client.asks("reserve-job 1")
    assert.strictEqual(client.stat("stats", "current-workers"), "1")
  })

  it("a job keeps its delay, but is ready when it is given back or times out", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.puts(0, 100)
    client!.asks("reserve-job 1")
    client!.closes()
    assert.deepStrictEqual(other!.stats("stats-job 1", "state", "delay", "time-left"), ["ready", "100", "0"])
  })
})

describe("§3 in any order", () => {
  it("every job is handed over once, and none while somebody waits for it", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("put" as const), priority: fc.nat(3), delay: fc.nat(2), tube: fc.nat(2) }),
      fc.record({ do: fc.constant("reserve" as const), who: fc.nat(5) }),
      fc.record({ do: fc.constant("delete" as const), who: fc.nat(5) }),
      fc.record({ do: fc.constant("pass" as const), millis: fc.nat(1500) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
        const server = new TestBroker()
        const producer = server.connect()
        const workers = server.clients(6)
        workers.forEach((worker, i) => worker.asks(`watch tube-${i % 3}`))
        const held = new Map<string, number>()
        const collect = () =>
          workers.forEach((worker, who) => {
            for (const [, id] of worker.hears().matchAll(/RESERVED (\d+)/g)) {
              assert.isFalse(held.has(id!), `job ${id} was handed over twice`)
              held.set(id!, who)
            }
          })
        for (const step of steps) {
          if (step.do === "put") {
            producer.asks(`use tube-${step.tube}`)
            producer.puts(step.priority, step.delay, 1_000_000)
          } else if (step.do === "reserve") {
            workers[step.who]!.says("reserve\r\n")
          } else if (step.do === "pass") {
            server.pass(step.millis)
          } else {
            const [id] = [...held].find(([, who]) => who === step.who && !workers[who]!.connection.client.isWaiting) ??
              []
            if (id !== undefined) {
              assert.strictEqual(workers[step.who]!.asks(`delete ${id}`).split("|")[0], "DELETED")
              held.delete(id)
            }
          }
          collect()
          for (let tube = 0; tube < 3; tube++) {
            const waiters = workers.filter(({ connection }, i) => connection.client.isWaiting && i % 3 === tube)
            const ready = /current-jobs-ready: (\d+)/.exec(producer.asks(`stats-tube tube-${tube}`))?.[1]
            if (waiters.length > 0) assert.strictEqual(ready, "0")
          }
          assert.strictEqual(producer.stat("stats", "current-jobs-reserved"), String(held.size))
        }
      }),
      { numRuns: 40 }
    )
  })
})
