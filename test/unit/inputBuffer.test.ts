/** How received bytes are cut into lines and bodies, independently of the chunks in which they are received. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { InputBuffer } from "../../src/internal/broker/inputBuffer.ts"
import { bytes, chars, cut } from "../support/replies.ts"

/** Reads everything that can be read: lines, and after a line `bN` a body of N bytes. */
class Reader {
  readonly input = new InputBuffer()
  readonly read: Array<string> = []
  private body = 0

  push(chunk: Uint8Array) {
    this.input.push(chunk)
    while (this.step());
  }

  private step(): boolean {
    if (this.body > 0) {
      const piece = this.input.read(this.body)
      for (const byte of piece) this.read.push(`byte ${byte}`)
      this.body -= piece.length
      return piece.length > 0
    }
    const line = this.input.readLine()
    if (line === undefined) return false
    const text = line === "overlong" ? "(overlong)" : line.rest
    this.read.push(text)
    this.body = Number(/^b(\d{1,3})$/.exec(text)?.[1] ?? 0)
    return true
  }
}

const readAll = (pieces: Iterable<Uint8Array>) => {
  const reader = new Reader()
  for (const piece of pieces) reader.push(piece)
  return { read: reader.read, left: reader.input.length }
}

const text = (size: number) => "x".repeat(size)

const part = fc.oneof(
  fc.constantFrom("\r\n", "\r", "\n", "\r\r\n", "\0", "a\r\n", "b3\r\n", "b250\r\n", "b300\r\n", "\r\n\r\n"),
  fc.integer({ min: 215, max: 230 }).map(text),
  fc.integer({ min: 440, max: 455 }).map((size) => `${text(size)}\r\n`),
  fc.string({ maxLength: 20 }).map((any) => chars(bytes(any.replaceAll(/[^\0-\xff]/g, "?"))))
)

const stream = fc.array(part, { maxLength: 30, size: "max" }).map((parts) => bytes(parts.join("")))

describe("InputBuffer", () => {
  it("reads the same in whatever chunks the bytes are pushed", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(2000)), (whole, places) => {
        const expected = readAll([whole])
        assert.deepStrictEqual(readAll(cut(whole, places)), expected)
        assert.deepStrictEqual(readAll(Array.from(whole, (byte) => Uint8Array.of(byte))), expected)
      }),
      { numRuns: 60 }
    )
  })

  it.each([1, 2, 3, 221, 222])("a line of %i bytes and its CRLF is read", (size) => {
    assert.deepStrictEqual(readAll([bytes(`${text(size)}\r\nnext\r\n`)]), { read: [text(size), "next"], left: 0 })
  })

  it.each([223, 224, 225, 446, 447, 448, 670, 671])(
    "a line of %i bytes is too long, and the next line is read",
    (size) => {
      const whole = bytes(`${text(size)}\r\nnext\r\nlast\r\n`)
      const expected = { read: ["(overlong)", "next", "last"], left: 0 }
      assert.deepStrictEqual(readAll([whole]), expected)
      assert.deepStrictEqual(readAll(Array.from(whole, (byte) => Uint8Array.of(byte))), expected)
    }
  )

  it("reads bytes that were pushed one by one in linear time", () => {
    const line = bytes("touch 1\r\n")
    const lines = 20_000
    const input = new InputBuffer()
    for (let i = 0; i < lines; i++) for (const byte of line) input.push(Uint8Array.of(byte))
    let read = 0
    while (input.readLine() !== undefined) read += 1
    // In quadratic time the test would time out.
    assert.strictEqual(read, lines)
  })

  it("ends a line only at the first CR of the buffer", () => {
    const reader = new Reader()
    reader.push(bytes("foo\rbar\r\nnext\r\n"))
    assert.deepStrictEqual(reader.read, [])
    reader.push(bytes(`${text(224)}\r\nnext\r\n`))
    assert.deepStrictEqual(reader.read, ["(overlong)", "next"])
  })

  it("counts the bytes that have not been read", () => {
    const input = new InputBuffer()
    input.push(bytes("abc\r\ndefgh"))
    input.push(new Uint8Array(0))
    assert.strictEqual(input.length, 10)
    readLine(input)
    assert.strictEqual(input.length, 5)
    assert.strictEqual(chars(input.read(3)), "def")
    assert.strictEqual(input.length, 2)
    assert.strictEqual(chars(input.read(10)), "gh")
    assert.strictEqual(input.read(10).length, 0)
  })
})

const readLine = (input: InputBuffer): string => {
  const line = input.readLine()
  if (line === undefined || line === "overlong") throw new Error("a line was expected")
  return line.rest
}
