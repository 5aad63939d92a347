/** What flags and arguments are read from. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { escapeControls } from "../../src/cli/terminal/escape.ts"
import { tableLines } from "../../src/cli/terminal/table.ts"
import { thousands, timeSpan } from "../../src/cli/terminal/text.ts"
import { cut, width } from "../../src/cli/terminal/width.ts"
import { duration } from "../../src/cli/values/duration.ts"
import { listenAddress } from "../../src/cli/values/listenAddress.ts"
import { nearest } from "../../src/cli/values/nearest.ts"
import { count, priority } from "../../src/cli/values/number.ts"
import { serverUrl } from "../../src/cli/values/serverUrl.ts"
import { tubePattern } from "../../src/cli/values/tubePattern.ts"
import type { Value } from "../../src/cli/values/value.ts"

const read = <A>(value: Value<A>, text: string): A | undefined => Either.getOrUndefined(value.read(text))

describe("values", () => {
  it("of durations are seconds, or have units", () => {
    const seconds = (text: string) => {
      const value = read(duration, text)
      return value === undefined ? undefined : Duration.toSeconds(value)
    }
    assert.deepStrictEqual(
      ["0", "90", "90s", "5m", "2h30m", "7d", "500ms"].map(seconds),
      [0, 90, 90, 300, 9000, 604_800, 0.5]
    )
    assert.deepStrictEqual(["", "-1", "1.5h", "5 m", "m", "1y"].map(seconds), Array(6).fill(undefined))
  })

  it("of counts and priorities are whole numbers", () => {
    assert.deepStrictEqual(["0", "1000", "10k", "1M"].map((text) => read(count, text)), [0, 1000, 10_000, 1_000_000])
    assert.deepStrictEqual(
      ["", "-1", "1.5", "1m", "99999999999999999"].map((text) => read(count, text)),
      Array(5).fill(undefined)
    )
    assert.deepStrictEqual(["0", "4294967295", "4294967296"].map((text) => read(priority, text)), [
      0,
      4_294_967_295,
      undefined
    ])
  })

  it("of addresses to listen on are on this machine if they are a port", () => {
    assert.deepStrictEqual(
      ["11380", ":11380", "0.0.0.0:80", "[::1]:0", "queue.internal:1"].map((text) => read(listenAddress, text)),
      [
        { host: "127.0.0.1", port: 11380 },
        { host: "127.0.0.1", port: 11380 },
        { host: "0.0.0.0", port: 80 },
        { host: "::1", port: 0 },
        { host: "queue.internal", port: 1 }
      ]
    )
    assert.deepStrictEqual(
      ["", "x", "x:", "1:2:3", "::1", "127.0.0.1:65536", "http://x:1"].map((text) => read(listenAddress, text)),
      Array(7).fill(undefined)
    )
  })

  it("of tubes may be patterns", () => {
    const matches = (pattern: string, name: string) => read(tubePattern, pattern)?.matches(name)
    assert.isTrue(matches("images.*", "images.resize"))
    assert.isFalse(matches("images.*", "imagesXresize"))
    assert.isTrue(matches("job-?", "job-1"))
    assert.isTrue(matches("[a-c]x", "bx"))
    assert.isFalse(matches("[!a-c]x", "bx"))
    assert.isTrue(matches("a.b", "a.b"))
    assert.isFalse(matches("a.b", "axb"))
    assert.isTrue(matches("*.re*ze*", "images.resize.large"))
    assert.isFalse(matches("a*ab", "ab"))
    assert.isTrue(matches("[*]*", "**"))
    assert.isUndefined(read(tubePattern, "bad name"))
  })

  // Every split of the name among the stars would take years.
  it("of tubes may be patterns with many stars", () => {
    const matches = (name: string) => read(tubePattern, `${"*a".repeat(60)}b`)?.matches(name)
    assert.isFalse(matches("a".repeat(200)))
    assert.isTrue(matches(`${"a".repeat(199)}b`))
  })

  it("of servers are URLs, or host and port", () => {
    assert.strictEqual(read(serverUrl, "10.0.0.5:11300"), "beanstalk://10.0.0.5:11300")
    assert.strictEqual(read(serverUrl, "beanstalks://queue"), "beanstalks://queue")
    assert.strictEqual(read(serverUrl, "unix:/run/b.sock"), "unix:/run/b.sock")
    assert.isUndefined(read(serverUrl, "/run/b.sock"))
    assert.isUndefined(read(serverUrl, ""))
  })

  it("that are misspelt have a nearest one", () => {
    assert.strictEqual(nearest("emials", ["default", "emails", "images"]), "emails")
    assert.strictEqual(nearest("sttas", ["stats", "tubes"]), "stats")
    assert.isUndefined(nearest("urgent", ["priority", "delay", "ttr"]))
  })
})

describe("text", () => {
  it("for a terminal has no character that it obeys", () => {
    assert.strictEqual(
      escapeControls("a\u001b[2J\r\n\t\u009b\u202e\u{e0041}"),
      "a\\x1b[2J\\r\\n\\t\\x9b\\u202e\\u{e0041}"
    )
  })

  it("is as wide as a terminal shows it, and cut by that", () => {
    assert.deepStrictEqual(["abc", "日本", "e\u0301", "🙂"].map(width), [3, 4, 1, 2])
    assert.deepStrictEqual([cut("abcdef", 4), cut("日本語", 5), cut("abc", 3)], ["abc…", "日本…", "abc"])
  })

  it("has numbers and times for people", () => {
    assert.deepStrictEqual([0, 999, 1000, 9_812_077].map(thousands), ["0", "999", "1,000", "9,812,077"])
    assert.deepStrictEqual(
      [0, 60, 119, 252, 1680, 7260, 11_520, 1_051_200].map(timeSpan),
      ["0s", "60s", "119s", "4m 12s", "28m", "2h 01m", "3h 12m", "12d 4h"]
    )
  })

  it("in a table is aligned, and made to fit by its flexible columns", () => {
    const columns = [
      { title: "TUBE", cell: ({ tube }: { readonly tube: string; readonly ready: string }) => tube, isFlexible: true },
      { title: "READY", align: "right", cell: ({ ready }: { readonly ready: string }) => ready }
    ] as const
    const rows = [{ tube: "a-tube-with-a-long-name", ready: "7" }]
    assert.deepStrictEqual(tableLines(columns, rows), [
      "TUBE                     READY",
      "a-tube-with-a-long-name      7"
    ])
    assert.deepStrictEqual(tableLines(columns, rows, { columns: 20 }), ["TUBE           READY", "a-tube-with-…      7"])
    assert.deepStrictEqual(tableLines(columns, rows, { columns: 18 }), ["TUBE         READY", "a-tube-with…     7"])
  })
})
