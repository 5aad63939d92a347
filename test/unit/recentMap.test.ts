import { assert, describe, it } from "@effect/vitest"
import { RecentMap } from "../../src/internal/base/recentMap.ts"

describe("a RecentMap", () => {
  it("has the value that was set last for a key", () => {
    const map = new RecentMap<string, number>(2)
    map.set("a", 1)
    map.set("a", 2)
    assert.strictEqual(map.get("a"), 2)
    assert.isUndefined(map.get("b"))
  })

  it("forgets the key that was set least recently when there are more than its capacity", () => {
    const map = new RecentMap<string, number>(2)
    map.set("a", 1)
    map.set("b", 2)
    map.set("a", 3)
    map.set("c", 4)
    assert.deepStrictEqual(["a", "b", "c"].map((key) => map.get(key)), [3, undefined, 4])
  })
})
