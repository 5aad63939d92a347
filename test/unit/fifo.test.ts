/** The queue in a ring, compared with an array. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Fifo } from "../../src/internal/base/fifo.ts"

describe("Fifo", () => {
  it("has the same elements in the same order as an array", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 300, size: "max" }), (pushes) => {
        const fifo = new Fifo<{ readonly order: number }>()
        const array: Array<{ readonly order: number }> = []
        pushes.forEach((isPush, order) => {
          if (isPush) {
            fifo.push({ order })
            array.push({ order })
          } else {
            assert.deepStrictEqual(fifo.shift(), array.shift())
          }
          assert.strictEqual(fifo.length, array.length)
          assert.deepStrictEqual(fifo.head, array[0])
          const first = array[0]?.order ?? 0
          assert.strictEqual(fifo.every((element) => element.order >= first), true)
          assert.strictEqual(fifo.every((element) => element.order > first), array.length === 0)
        })
      })
    )
  })
})
