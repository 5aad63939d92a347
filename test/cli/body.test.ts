/** How bodies are shown to people. */
import { assert, describe, it } from "@effect/vitest"
import { bodyLines } from "../../src/cli/body.ts"

describe("a body", () => {
  it("that is JSON is indented in a terminal, unless hardly anything but indents would be seen", () => {
    const shown = (body: string) =>
      bodyLines(new TextEncoder().encode(body), { isTerminal: true, printableLines: (text) => text })
    assert.strictEqual(shown(`{"a":[1]}`), `{\n  "a": [\n    1\n  ]\n}`)
    const deep = `${"[".repeat(500)}${"1,".repeat(1000)}1${"]".repeat(500)}`
    assert.strictEqual(shown(deep), deep)
  })
})
