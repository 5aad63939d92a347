/** Which client gets which job, and when a reserve ends without a job. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { TestBroker, type TestClient } from "../support/broker.ts"

/** A server with a producer, and clients that wait for jobs. */
const waiting = (count: number) => {
  const server = new TestBroker()
  const producer = server.connect()
  const waiters = server.clients(count)
  for (const waiter of waiters) waiter.send("reserve\r\n")
  return { server, producer, waiters }
}

/** The numbers, from 1, of the clients that get the jobs, in the order of the jobs. */
const served = (producer: TestClient, waiters: ReadonlyArray<TestClient>, jobs: number) =>
  Array.from({ length: jobs }, () => {
    producer.put()
    return waiters.findIndex((waiter) => waiter.takeReplies().startsWith("RESERVED")) + 1
  })

describe("which job is reserved", () => {
  it("the most urgent, and of equal priority the one with the lowest id, in whatever order they became ready", () => {
    const client = new TestBroker().connect()
    client.put(5)
    client.put(3)
    client.put(3)
    client.put(4)
    const ids = Array.from({ length: 4 }, () => client.request("reserve").split(" ")[1])
    assert.deepStrictEqual(ids, ["2", "3", "4", "1"])
  })

  it("a released job before younger jobs of its priority", () => {
    const client = new TestBroker().connect()
    client.put()
    client.put()
    assert.strictEqual(client.request("reserve", "release 1 0 0", "reserve"), "RESERVED 1 1|x|RELEASED|RESERVED 1 1|x")
  })

  it("the most urgent of all watched tubes, in whatever order they are watched", () => {
    const server = new TestBroker()
    const client = server.connect()
    client.request("use a")
    client.put(2)
    client.request("use b")
    client.put(1)
    client.put(2)
    client.request("use c")
    client.put(0)
    client.request("watch a", "watch b")
    const ids = Array.from({ length: 3 }, () => client.request("reserve").split(" ")[1])
    assert.deepStrictEqual(ids, ["2", "1", "3"])
    assert.strictEqual(client.request("reserve-with-timeout 0"), "TIMED_OUT")
  })

  it("none of a paused tube", () => {
    const client = new TestBroker().connect()
    client.request("use a")
    client.put(0)
    client.request("use b")
    client.put(9)
    assert.strictEqual(client.request("watch a", "watch b", "pause-tube a 1"), "WATCHING 2|WATCHING 3|PAUSED")
    assert.strictEqual(client.request("reserve"), "RESERVED 2 1|x")
  })

  it("each job is offered as soon as it is ready: kick serves waiting clients in the order of kicking, not of priority", () => {
    const { producer, server, waiters: [waiter] } = waiting(1)
    const holder = server.connect()
    waiter!.reset()
    producer.put(100)
    producer.put(0)
    holder.request("reserve-job 1", "bury 1 100", "reserve-job 2", "bury 2 0")
    const late = server.connect()
    late.send("reserve\r\n")
    assert.strictEqual(producer.request("kick 2"), "KICKED 2")
    assert.strictEqual(late.takeReplies(), "RESERVED 1 1|x")
  })

  it("of jobs that become due in one tick, the one that was due first, even if it is less urgent", () => {
    const { producer, server, waiters: [waiter] } = waiting(1)
    producer.put(0, 2)
    producer.put(100, 1)
    server.advance(5000)
    assert.strictEqual(waiter!.takeReplies(), "RESERVED 2 1|x")
  })

  it("of jobs that are due at the same time, the one whose tube is listed first, and then the one with the lowest id", () => {
    const { producer, server, waiters: [waiter] } = waiting(0)
    assert.strictEqual(waiter, undefined)
    producer.request("use a")
    producer.put(0, 1)
    producer.request("use b")
    const client = server.connect()
    producer.put(0, 1)
    producer.request("use default")
    producer.put(9, 1)
    client.send("watch a\r\nwatch b\r\nreserve\r\n")
    server.advance(1000)
    assert.deepStrictEqual(server.events.slice(3), ["due 3 -", "reserved 3 2", "due 1 -", "due 2 -"])
  })

  it("of one connection's jobs that time out in one tick, the one whose deadline is first", () => {
    const { producer, server, waiters: [waiter] } = waiting(1)
    const holder = server.connect()
    producer.request("use other")
    producer.put(0, 0, 3)
    producer.put(9, 0, 2)
    holder.request("reserve-job 1", "reserve-job 2")
    waiter!.reset()
    const late = server.connect()
    late.send("watch other\r\nreserve\r\n")
    server.advance(5000)
    assert.strictEqual(late.takeReplies(), "WATCHING 2|RESERVED 2 1|x")
  })

  it("a closed connection's jobs are given back in the order in which they were reserved", () => {
    const { producer, server, waiters } = waiting(0)
    assert.strictEqual(waiters.length, 0)
    const [holder, late] = server.clients(2)
    producer.put(0)
    producer.put(9)
    producer.put(5)
    holder!.request("reserve-job 2", "reserve-job 3", "reserve-job 1", "touch 2")
    late!.send("reserve\r\n")
    server.events.length = 0
    holder!.close()
    assert.deepStrictEqual(server.events, ["given-back 2 2", "reserved 2 3", "given-back 3 2", "given-back 1 2"])
    assert.strictEqual(late!.takeReplies(), "RESERVED 2 1|x")
  })
})

describe("which waiting client is served", () => {
  it.each([
    [4, [1, 2, 4, 3]],
    [6, [1, 2, 3, 6, 5, 4]],
    [7, [1, 2, 3, 4, 6, 7, 5]]
  ])("%i clients are served in the order that was observed with beanstalkd", (count, order) => {
    const { producer, waiters } = waiting(count)
    assert.deepStrictEqual(served(producer, waiters, count), order)
  })

  it("of A and B, A is served; then C, which began to wait later; then B", () => {
    const { producer, server, waiters: [a, b] } = waiting(2)
    producer.put()
    assert.strictEqual(a!.takeReplies(), "RESERVED 1 1|x")
    const c = server.connect()
    c.send("reserve\r\n")
    producer.put()
    assert.deepStrictEqual([b!.takeReplies(), c.takeReplies()], ["", "RESERVED 2 1|x"])
    producer.put()
    assert.strictEqual(b!.takeReplies(), "RESERVED 3 1|x")
  })

  it("a client that was served does not wait for jobs of its other tubes any more", () => {
    const { producer, server, waiters: [first, second] } = waiting(0)
    assert.deepStrictEqual([first, second], [undefined, undefined])
    const [a, b] = server.clients(2)
    a!.send("watch a\r\nreserve\r\n")
    b!.send("watch a\r\nreserve\r\n")
    producer.put()
    producer.request("use a")
    producer.put()
    assert.deepStrictEqual([a!.takeReplies(), b!.takeReplies()], [
      "WATCHING 2|RESERVED 1 1|x",
      "WATCHING 2|RESERVED 2 1|x"
    ])
    assert.strictEqual(producer.stat("stats", "current-waiting"), "0")
    assert.strictEqual(producer.stat("stats-tube a", "current-waiting"), "0")
  })

  it("the last waiting client takes the index of one that leaves", () => {
    const { producer, waiters } = waiting(5)
    waiters[0]!.close()
    waiters[2]!.reset()
    assert.deepStrictEqual(served(producer, waiters, 3), [5, 2, 4])
  })
})

describe("DEADLINE_SOON", () => {
  const holding = (ttr: number) => {
    const server = new TestBroker()
    const client = server.connect()
    client.put(0, 0, ttr)
    client.request("reserve")
    return { server, client }
  }

  it("is sent to a waiting client a second before the deadline of its job, to the millisecond", () => {
    const { client, server } = holding(10)
    client.send("reserve\r\n")
    server.advance(8999)
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(server.broker.nextTick, server.now + 1)
    server.advance(1)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON")
    assert.strictEqual(client.stat("stats-job 1", "state"), "reserved")
  })

  it("is sent at once when the reserve is within the last second, and not before", () => {
    const { client, server } = holding(10)
    server.advance(8999)
    assert.strictEqual(client.request("reserve-with-timeout 0"), "TIMED_OUT")
    server.advance(1)
    assert.strictEqual(client.request("reserve-with-timeout 0", "reserve"), "DEADLINE_SOON|DEADLINE_SOON")
  })

  it("is sent for the job with the first deadline, also of a tube that is not watched", () => {
    const { client, server } = holding(10)
    client.request("use a")
    client.put(0, 0, 5)
    client.request("reserve-job 2")
    client.send("reserve\r\n")
    server.advanceStepwise(3999)
    assert.strictEqual(client.takeReplies(), "")
    server.advance(1)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON")
  })

  it("is not sent when a job is ready, which is reserved instead", () => {
    const { client, server } = holding(2)
    server.advance(1500)
    client.put()
    assert.strictEqual(client.request("reserve"), "RESERVED 2 1|x")
  })

  it("is sent although a job is ready in a paused tube", () => {
    const { client, server } = holding(2)
    client.put()
    client.request("pause-tube default 100")
    server.advance(1000)
    assert.strictEqual(client.request("reserve"), "DEADLINE_SOON")
  })

  it("has precedence over TIMED_OUT", () => {
    const { client, server } = holding(4)
    client.send("reserve-with-timeout 3\r\n")
    server.advance(3000)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON")
    server.advance(500)
    assert.strictEqual(client.takeReplies(), "")
  })

  it("answers every reserve of a client that holds a job with a time to run of one second", () => {
    const { client } = holding(1)
    assert.strictEqual(client.request("reserve", "reserve-with-timeout 5"), "DEADLINE_SOON|DEADLINE_SOON")
  })

  it("is sent later when the job is touched", () => {
    const { client, server } = holding(10)
    server.advance(5000)
    client.request("touch 1")
    client.send("reserve\r\n")
    server.advanceStepwise(8999)
    assert.strictEqual(client.takeReplies(), "")
    server.advance(1)
    assert.strictEqual(client.takeReplies(), "DEADLINE_SOON")
  })

  it("never answers reserve-job", () => {
    const { client, server } = holding(1)
    client.put()
    server.advance(500)
    assert.strictEqual(client.request("reserve-job 2", "reserve-job 9"), "RESERVED 2 1|x|NOT_FOUND")
  })

  it("is never sent for the jobs of other clients", () => {
    const { server } = holding(1)
    assert.strictEqual(server.connect().request("reserve-with-timeout 0"), "TIMED_OUT")
  })
})

describe("TIMED_OUT", () => {
  it("is sent when the timeout is over, to the millisecond, and once", () => {
    const { server, waiters: [waiter] } = waiting(0)
    assert.strictEqual(waiter, undefined)
    const client = server.connect()
    client.send("reserve-with-timeout 3\r\n")
    server.advance(2999)
    assert.strictEqual(client.takeReplies(), "")
    server.advance(1)
    assert.strictEqual(client.takeReplies(), "TIMED_OUT")
    server.advance(3000)
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(server.broker.nextTick, Number.POSITIVE_INFINITY)
  })

  it("is sent at once when the timeout is 0", () => {
    assert.strictEqual(new TestBroker().connect().request("reserve-with-timeout 0"), "TIMED_OUT")
  })

  it("is not sent when a delayed job is due in the same tick", () => {
    const { producer, server } = waiting(0)
    producer.put(0, 3)
    const client = server.connect()
    client.send("reserve-with-timeout 3\r\n")
    server.advance(3000)
    assert.strictEqual(client.takeReplies(), "RESERVED 1 1|x")
  })

  it("is not sent when the pause of a tube with a ready job is over in the same tick", () => {
    const { producer, server } = waiting(0)
    producer.put()
    producer.request("pause-tube default 3")
    const client = server.connect()
    client.send("reserve-with-timeout 3\r\n")
    server.advance(2999)
    assert.strictEqual(client.takeReplies(), "")
    server.advance(1)
    assert.strictEqual(client.takeReplies(), "RESERVED 1 1|x")
  })

  it.each([
    ["earlier", 4, "RESERVED 1 1|x"],
    ["later", 6, "TIMED_OUT"]
  ])(
    "when a job of another client times out in the same tick, and its deadline was %s than the timeout",
    (_, ttr, reply) => {
      const { producer, server } = waiting(0)
      const [holder, client] = server.clients(2)
      producer.put(0, 0, ttr)
      holder!.request("reserve")
      client!.send("reserve-with-timeout 5\r\n")
      server.advance(10_000)
      assert.strictEqual(client!.takeReplies(), reply)
    }
  )

  it("is not sent after the reserve has been answered with a job", () => {
    const { producer, server } = waiting(0)
    const client = server.connect()
    client.send("reserve-with-timeout 3\r\n")
    producer.put(0, 0, 100)
    assert.strictEqual(client.takeReplies(), "RESERVED 1 1|x")
    server.advanceStepwise(50_000)
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(server.broker.nextTick, server.now + 50_000)
  })
})

describe("reserve-job", () => {
  it("reserves a ready, delayed or buried job of any tube, watched or not, paused or not", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.request("use a")
    client!.put()
    client!.put(0, 100)
    client!.put()
    client!.request("reserve-job 3", "bury 3 0", "pause-tube a 100")
    assert.strictEqual(
      other!.request("reserve-job 1", "reserve-job 2", "reserve-job 3"),
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

  it("does not reserve a job that is reserved, by any client, or does not exist", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.put()
    client!.request("reserve")
    assert.strictEqual(
      client!.request("reserve-job 1", "reserve-job 2", "reserve-job 0"),
      "NOT_FOUND|NOT_FOUND|NOT_FOUND"
    )
    assert.strictEqual(other!.request("reserve-job 1"), "NOT_FOUND")
  })

  it("counts the connection as a worker only if it finds the job", () => {
    const client = new TestBroker().connect()
    client.request("reserve-job 1")
    assert.strictEqual(client.stat("stats", "current-workers"), "0")
    client.put()
    client.request("reserve-job 1")
    assert.strictEqual(client.stat("stats", "current-workers"), "1")
  })

  it("keeps the delay of the job, which is ready when it is given back or times out", () => {
    const [client, other] = new TestBroker().clients(2)
    client!.put(0, 100)
    client!.request("reserve-job 1")
    client!.close()
    assert.deepStrictEqual(other!.stats("stats-job 1", "state", "delay", "time-left"), ["ready", "100", "0"])
  })
})

describe("in any order of commands", () => {
  it("every job is reserved once at a time, and no job is ready while a client waits for it", () => {
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
        workers.forEach((worker, i) => worker.request(`watch tube-${i % 3}`))
        const held = new Map<string, number>()
        const collect = () =>
          workers.forEach((worker, who) => {
            for (const [, id] of worker.takeReplies().matchAll(/RESERVED (\d+)/g)) {
              assert.isFalse(held.has(id!), `job ${id} was reserved twice at a time`)
              held.set(id!, who)
            }
          })
        for (const step of steps) {
          if (step.do === "put") {
            producer.request(`use tube-${step.tube}`)
            producer.put(step.priority, step.delay, 1_000_000)
          } else if (step.do === "reserve") {
            workers[step.who]!.send("reserve\r\n")
          } else if (step.do === "pass") {
            server.advance(step.millis)
          } else {
            const [id] = [...held].find(([, who]) => who === step.who && !workers[who]!.connection.client.isWaiting) ??
              []
            if (id !== undefined) {
              assert.strictEqual(workers[step.who]!.request(`delete ${id}`).split("|")[0], "DELETED")
              held.delete(id)
            }
          }
          collect()
          for (let tube = 0; tube < 3; tube++) {
            const waiters = workers.filter(({ connection }, i) => connection.client.isWaiting && i % 3 === tube)
            const ready = /current-jobs-ready: (\d+)/.exec(producer.request(`stats-tube tube-${tube}`))?.[1]
            if (waiters.length > 0) assert.strictEqual(ready, "0")
          }
          assert.strictEqual(producer.stat("stats", "current-jobs-reserved"), String(held.size))
        }
      }),
      { numRuns: 40 }
    )
  })
})
