/** How often tubes are inspected when there are many. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

/** Counts how often properties are read. */
class Reads {
  count = 0

  at<A>(object: object, key: string, value: A): void {
    const get = (): A => {
      this.count += 1
      return value
    }
    Object.defineProperty(object, key, { get })
  }
}

const tubes = Array.from({ length: 300 }, (_, i) => `t${i}`)

describe("with many tubes", () => {
  it("not all tubes are inspected for each job that is due at the end of a pause", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (const tube of tubes) client.request(`use ${tube}`, "put 0 5 60 1", "x", `pause-tube ${tube} 5`)
    const reads = new Reads()
    for (const { waiters } of server.broker.store.tubes.list) reads.at(waiters, "size", 0)
    server.advance(5000)
    assert.strictEqual(client.stat("stats", "current-jobs-ready"), String(tubes.length))
    assert.isBelow(reads.count, 5 * tubes.length)
  })

  it("ignore does not compare the names of all tubes", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (const tube of tubes) client.request(`watch ${tube}`)
    const reads = new Reads()
    for (const tube of server.broker.store.tubes.list) reads.at(tube, "name", tube.name)
    for (const tube of tubes.toReversed()) client.request(`ignore ${tube}`)
    assert.strictEqual(client.request("ignore default"), "NOT_IGNORED")
    assert.isBelow(reads.count, 5 * tubes.length)
  })
})
