/** The order in which waiting clients are served, compared with the algorithm of beanstalkd's `ms.c`. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Waiters } from "../../src/internal/broker/waiters.ts"

/** `ms_append`, `ms_remove` and `ms_take` of ms.c. */
class Ms {
  readonly items: Array<number> = []
  last = 0

  append(item: number) {
    this.items.push(item)
  }

  private deleteAt(place: number) {
    const end = this.items.length - 1
    this.items[place] = this.items[end]!
    this.items.length = end
  }

  remove(item: number) {
    for (let i = 0; i < this.items.length; i++) {
      if (this.items[i] === item) return this.deleteAt(i)
    }
  }

  take() {
    if (this.items.length === 0) return undefined
    this.last %= this.items.length
    const item = this.items[this.last]
    this.deleteAt(this.last)
    this.last += 1
    return item
  }
}

const taken = (count: number) => {
  const waiters = new Waiters<number>()
  for (let i = 1; i <= count; i++) waiters.add(i)
  return Array.from({ length: count }, () => waiters.take())
}

describe("Waiters", () => {
  it.each([
    [4, [1, 2, 4, 3]],
    [6, [1, 2, 3, 6, 5, 4]],
    [7, [1, 2, 3, 4, 6, 7, 5]]
  ])("%i of them are served in the order that was observed with beanstalkd", (count, order) => {
    assert.deepStrictEqual(taken(count), order)
  })

  it("one that was added later may be served earlier", () => {
    const waiters = new Waiters<string>()
    waiters.add("A")
    waiters.add("B")
    assert.strictEqual(waiters.take(), "A")
    waiters.add("C")
    assert.deepStrictEqual([waiters.take(), waiters.take(), waiters.take()], ["C", "B", undefined])
  })

  it("are served in the order of ms.c, whatever is added and removed", () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.constant("add" as const) },
      { weight: 2, arbitrary: fc.constant("take" as const) },
      { weight: 1, arbitrary: fc.nat(30) }
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const waiters = new Waiters<number>()
        const ms = new Ms()
        let next = 0
        for (const step of steps) {
          if (step === "add") {
            waiters.add(next)
            ms.append(next)
            next += 1
          } else if (step === "take") {
            assert.strictEqual(waiters.take(), ms.take())
          } else {
            waiters.remove(step)
            ms.remove(step)
          }
          assert.strictEqual(waiters.size, ms.items.length)
        }
      }),
      { numRuns: 100 }
    )
  })
})
