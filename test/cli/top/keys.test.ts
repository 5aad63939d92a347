/** Keys, out of what a terminal sends for them. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import fc from "fast-check"
import { type Key, keysOf, parse, parseLast } from "../../../src/cli/top/keys.ts"

const nameOf = (key: Key) => key._tag === "Named" ? key.name : key.character

const names = (text: string) => parse(text).keys.map(nameOf)

describe("keys", () => {
  it("are told by the sequences of xterm, the Linux console and rxvt, with modifiers and without", () => {
    assert.deepStrictEqual(names("\u001b[A\u001bOB\u001b[1;5C\u001b[D"), ["up", "down", "right", "left"])
    assert.deepStrictEqual(names("\u001b[H\u001bOF\u001b[1~\u001b[8~"), ["home", "end", "home", "end"])
    assert.deepStrictEqual(names("\u001b[5~\u001b[6;2~\u001b[3~\u001b[Z"), [
      "page up",
      "page down",
      "delete",
      "backtab"
    ])
    assert.deepStrictEqual(names("\r\n\t\b\u007f\u0003\u001a\f\u0015"), [
      "enter",
      "enter",
      "tab",
      "backspace",
      "backspace",
      "ctrl-c",
      "ctrl-z",
      "ctrl-l",
      "ctrl-u"
    ])
    assert.deepStrictEqual(names("aé😀/"), ["a", "é", "😀", "/"])
  })

  it("that are unknown type nothing", () => {
    assert.deepStrictEqual(names("\u001b[200~\u001bx\u001b[?1;2c\u001bOP\u0007\u0000"), [])
    assert.strictEqual(parse("\u001b[200~\u001bx").rest, "")
  })

  it("of a sequence that is broken off do not swallow Ctrl-C, or the sequence after it", () => {
    assert.deepStrictEqual(names("\u001b[1;\u0003"), ["ctrl-c"])
    assert.deepStrictEqual(names("\u001b[\u001b[A"), ["up"])
    assert.deepStrictEqual(names("\u001b\u001b[A"), ["escape", "up"])
    assert.include(names(`\u001b[${"1".repeat(1000)}q`), "q")
  })

  it("do not depend on where what is sent is split", () => {
    const pieces = ["a", "\u001b[A", "\u001b[1;5B", "\u001bOH", "\u001b[6~", "\r", "😀", "\u001bx"]
    fc.assert(fc.property(fc.array(fc.constantFrom(...pieces)), fc.array(fc.nat(40)), (sent, cuts) => {
      const text = sent.join("")
      const split = [...cuts.filter((cut) => cut < text.length), 0, text.length].toSorted((a, b) => a - b)
      let rest = ""
      const keys = split.slice(1).flatMap((end, index) => {
        const parsed = parse(rest + text.slice(split[index], end))
        rest = parsed.rest
        return parsed.keys
      })
      // A character of two halves may be split by this test, but is not where bytes are decoded.
      if (!split.some((at) => /[\udc00-\udfff]/.test(text[at] ?? ""))) assert.deepStrictEqual(keys, parse(text).keys)
    }))
  })

  it("Escape is what nothing follows", () => {
    assert.deepStrictEqual(parseLast("\u001b").map(nameOf), ["escape"])
    assert.deepStrictEqual(parseLast("\u001b[1;"), [])
  })

  it.effect("come one by one; Escape alone after a moment, and characters whole", () =>
    Effect.gen(function*() {
      const sent = yield* Queue.unbounded<Uint8Array>()
      const seen: Array<string> = []
      const fiber = yield* keysOf(Stream.fromQueue(sent)).pipe(
        Stream.runForEach((key) => Effect.sync(() => void seen.push(nameOf(key)))),
        Effect.fork
      )
      const send = (bytes: ReadonlyArray<number>) =>
        Effect.zipRight(Queue.offer(sent, new Uint8Array(bytes)), TestClock.adjust("1 millis"))
      yield* send([0x1b])
      yield* send([0x5b])
      yield* send([0x41])
      assert.deepStrictEqual(seen, ["up"])
      yield* send([0xc3])
      yield* send([0xa9])
      assert.deepStrictEqual(seen, ["up", "é"])
      yield* send([0x1b])
      yield* TestClock.adjust("45 millis")
      assert.deepStrictEqual(seen, ["up", "é"])
      yield* TestClock.adjust("5 millis")
      assert.deepStrictEqual(seen, ["up", "é", "escape"])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("end with the input", () =>
    Effect.gen(function*() {
      const keys = yield* Stream.runCollect(keysOf(Stream.make(new Uint8Array([0x61, 0x1b]))))
      assert.deepStrictEqual(Chunk.toReadonlyArray(keys).map(nameOf), ["a", "escape"])
    }))
})
