/** The heap, compared with a sorted array. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Heap, type Positioned } from "../../src/internal/base/heap.ts"

interface Element extends Positioned {
  readonly key: number
  readonly order: number
}

const before = (a: Element, b: Element) => a.key === b.key ? a.order < b.order : a.key < b.key

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("insert" as const), key: fc.integer({ min: 0, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("shift" as const) }) }
)

describe("Heap", () => {
  it("has the same elements in the same order as a sorted array", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const heap = new Heap<Element>(before)
        const sorted: Array<Element> = []
        steps.forEach((step, order) => {
          if (step.do === "insert") {
            const element = { key: step.key, order, position: -1 }
            heap.insert(element)
            sorted.push(element)
            sorted.sort((a, b) => before(a, b) ? -1 : 1)
          } else if (step.do === "shift") {
            const expected = sorted.shift()
            assert.strictEqual(heap.shift(), expected)
            if (expected !== undefined) assert.strictEqual(expected.position, -1)
          } else if (sorted.length > 0) {
            const [element] = sorted.splice(step.which % sorted.length, 1)
            heap.remove(element!)
            assert.strictEqual(element!.position, -1)
          }
          assert.strictEqual(heap.head, sorted[0])
          assert.strictEqual(heap.size, sorted.length)
          const standing = [...heap]
          assert.isTrue(standing.every((element, index) => element.position === index))
          assert.strictEqual(new Set(standing).size, sorted.length)
        })
        assert.deepStrictEqual(Array.from(sorted, () => heap.shift()), sorted)
        assert.strictEqual(heap.shift(), undefined)
      }),
      { numRuns: 60 }
    )
  })

  it("moves the last up when it takes the place of one from another branch", () => {
    const heap = new Heap<Element>(before)
    const elements = [0, 50, 1, 60, 70, 2, 3, 61, 62, 71, 72, 4].map((key, order) => ({ key, order, position: -1 }))
    elements.forEach((element) => heap.insert(element))
    heap.remove(elements[7]!)
    assert.strictEqual(elements[11]!.position, 1)
    const keys: Array<number> = []
    for (let next = heap.shift(); next !== undefined; next = heap.shift()) keys.push(next.key)
    assert.deepStrictEqual(keys, [0, 1, 2, 3, 4, 50, 60, 62, 70, 71, 72])
  })
})
