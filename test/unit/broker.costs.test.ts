/** What many tubes cost, in looks at them. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

/** Counts how often something is looked at. */
class Looks {
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

describe("many tubes", () => {
  it("whose pause ends when their jobs are due are not all looked at for each of the jobs", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (const tube of tubes) client.asks(`use ${tube}`, "put 0 5 60 1", "x", `pause-tube ${tube} 5`)
    const looks = new Looks()
    for (const { waiters } of server.broker.store.tubes.list) looks.at(waiters, "size", 0)
    server.pass(5000)
    assert.strictEqual(client.stat("stats", "current-jobs-ready"), String(tubes.length))
    assert.isBelow(looks.count, 5 * tubes.length)
  })

  it("are not told apart by their names when one is ignored", () => {
    const server = new TestBroker()
    const client = server.connect()
    for (const tube of tubes) client.asks(`watch ${tube}`)
    const looks = new Looks()
    for (const tube of server.broker.store.tubes.list) looks.at(tube, "name", tube.name)
    for (const tube of tubes.toReversed()) client.asks(`ignore ${tube}`)
    assert.strictEqual(client.asks("ignore default"), "NOT_IGNORED")
    assert.isBelow(looks.count, 5 * tubes.length)
  })
})
