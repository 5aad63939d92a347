/** `beanstalk jobs`, and the flags that select jobs. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { putJobs, type Wanted } from "../support/bulk.ts"
import { at } from "../support/cli.ts"
import { openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

const hostile = "\u001b]0;owned\u0007\u001b[2J\u202e{\"user\":7}\n"

const wanted: ReadonlyArray<Wanted> = [
  { tube: "emails", state: "ready", body: "{\"user\":1}" },
  { tube: "emails", state: "buried", body: "{\"user\":2}" },
  { tube: "emails", state: "buried", body: hostile },
  { tube: "emails", state: "delayed", body: "é" },
  { tube: "other", state: "buried", body: Uint8Array.of(255, 0, 13, 10) }
]

describeListening("beanstalk jobs", ({ start }) => {
  const started = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server)
    yield* putJobs(connection, wanted)
    const run = (line: string, options: { readonly stdin?: string; readonly terminal?: boolean } = {}) =>
      at(server, line, options)
    const ids = (line: string, options: { readonly stdin?: string } = {}) =>
      Effect.map(run(`jobs ${line} --ids`, options), ({ code, stdout }) => [code, ...stdout.split("\n").slice(0, -1)])
    return { server, connection, run, ids }
  })

  it.scopedLive("selects by tube, state, body, age, id and number", () =>
    Effect.gen(function*() {
      const { connection, ids } = yield* started
      yield* connection.reserveJob("1")
      assert.deepStrictEqual(yield* ids(""), [0, "5", "4", "3", "2", "1"])
      assert.deepStrictEqual(yield* ids("emails"), [0, "4", "3", "2", "1"])
      assert.deepStrictEqual(yield* ids("'e*' other --state buried"), [0, "5", "3", "2"])
      assert.deepStrictEqual(yield* ids("emails --state delayed --state reserved"), [0, "4", "1"])
      assert.deepStrictEqual(yield* ids("emails --state delayed,reserved"), [0, "4", "1"])
      assert.deepStrictEqual(yield* ids("--match '\"user\":[27]'"), [0, "3", "2"])
      assert.deepStrictEqual(yield* ids("--match ^é$"), [0, "4"])
      assert.deepStrictEqual(yield* ids("--older-than 0"), [0, "5", "4", "3", "2", "1"])
      assert.deepStrictEqual(yield* ids("--older-than 1h"), [1])
      assert.deepStrictEqual(yield* ids("emails --limit 2"), [0, "4", "3"])
      assert.deepStrictEqual(yield* ids("emails --ids-from -", { stdin: "2\n77\n5\n\n4" }), [0, "2", "4"])
      assert.deepStrictEqual(yield* ids("--ids-from - --state buried", { stdin: "2\n5\n4\n" }), [0, "2", "5"])
      assert.deepStrictEqual(yield* ids("--ids-from - --match user", { stdin: "2\n5\n4\n" }), [0, "2"])
      assert.deepStrictEqual(yield* ids("--ids-from -", { stdin: "x\n" }), [2])
      assert.deepStrictEqual(yield* ids("emials"), [1])
      assert.deepStrictEqual(yield* ids("emails --state burried"), [2])
      assert.deepStrictEqual(yield* ids("--match ("), [2])
    }))

  it.scopedLive("writes a table for people, and everything as JSON", () =>
    Effect.gen(function*() {
      const { run } = yield* started
      const { stderr, stdout } = yield* run("jobs emails --state buried --match user --color never", { terminal: true })
      const lines = stdout.split("\n")
      assert.match(lines[0] ?? "", /ID +STATE +PRI +AGE +TTR +RESERVES +RELEASES +SIZE +BODY/)
      assert.match(lines[2] ?? "", /^2 +buried +1024 +\d+s +60s +1 +0 +10 {2}\{"user":2\}$/)
      assert.match(
        stderr,
        /^2 of 2 match\. All 2 buried jobs of emails were found, among \d+ ids, in [\d.]+ m?s\.\n$/
      )
      const records = (yield* run("jobs --json")).stdout.trim().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        records.map(({ body, body_base64, id, state, tube }) => [id, tube, state, body ?? body_base64]),
        [
          ["5", "other", "buried", "/wANCg=="],
          ["4", "emails", "delayed", "é"],
          ["3", "emails", "buried", hostile],
          ["2", "emails", "buried", "{\"user\":2}"],
          ["1", "emails", "ready", "{\"user\":1}"]
        ]
      )
      const none = yield* run("jobs other --state ready")
      assert.match(none.stderr, /^beanstalk: no ready job of tube other on \S+\.\n$/)
      const [bare] = (yield* run("jobs --json --no-body --limit 1")).stdout.split("\n")
      assert.notProperty(JSON.parse(bare ?? ""), "body")
      assert.notInclude((yield* run("jobs --no-body", { terminal: true })).stdout, "BODY")
    }))

  it.scopedLive("shows bodies to a terminal without what a terminal obeys, and cut to its width", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put(`\u001b[2J${"x".repeat(60_000)}`, { tube: "emails" })
      const { stdout } = yield* run("jobs --color never", { terminal: true })
      assert.notMatch(stdout.replaceAll("\n", ""), /[\p{Cc}\p{Cf}]/u)
      assert.include(stdout, "\\x1b[2J")
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80)
      assert.include((yield* run("jobs emails")).stdout, hostile)
    }))

  it.scopedLive("looks at several servers, one failure does not hide the others", () =>
    Effect.gen(function*() {
      const { run, server } = yield* started
      const other = yield* start()
      const url = ({ target }: typeof server) => "port" in target ? `127.0.0.1:${target.port}` : ""
      const { code, stdout } = yield* run(`jobs --ids -u ${url(server)},${url(other)}`)
      const own = stdout.trim().split("\n").map((id) => `${BigInt.asUintN(48, BigInt(id))}`)
      assert.deepStrictEqual([code, ...own], [0, "5", "4", "3", "2", "1"])
      const piped = yield* run(`jobs --ids-from - -u ${url(server)},${url(other)}`, { stdin: "5\n" })
      assert.deepStrictEqual([piped.code, piped.stdout], [2, ""])
      assert.include(piped.stderr, "standard input can be read once")
      const broken = yield* run(`jobs --json --limit 1 -u ${url(server)} -u 127.0.0.1:1`)
      assert.strictEqual(broken.code, 3)
      assert.deepInclude(JSON.parse(broken.stdout), {
        id: stdout.split("\n")[0],
        url: `beanstalk://${url(server)}`
      })
    }))

  it.scopedLive("says how to go on when not all were found, and where to begin when nothing can be put", () =>
    Effect.gen(function*() {
      const { connection, ids, run, server } = yield* started
      const exceeded = yield* run("jobs emails --reach 3")
      assert.strictEqual(exceeded.code, 4)
      assert.include(exceeded.stderr, "of 4 jobs among the newest 3 ids; look further with --reach 30.")
      yield* server.drain
      const refused = yield* run("jobs emails")
      assert.strictEqual(refused.code, 5)
      assert.include(refused.stderr, "--to")
      const { totalJobs } = yield* connection.stats
      assert.deepStrictEqual(yield* ids("--to 100 --full-speed"), [0, "5", "4", "3", "2", "1"])
      assert.deepStrictEqual(yield* ids("emails --to 4"), [0, "4", "3", "2", "1"])
      assert.match((yield* run("jobs --to 4 --ids")).stderr, /^4 of \d+ jobs were found, among 4 ids/)
      assert.strictEqual((yield* connection.stats).totalJobs, totalJobs)
    }))

  it.scopedLive("ends quietly when its reader has enough, and changes nothing", () =>
    Effect.gen(function*() {
      const { connection, run, server } = yield* started
      const before = (yield* run("jobs --json --no-body")).stdout
      const { code, stderr } = yield* at(server, "jobs", { closesAfter: 0 })
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.strictEqual(
        (yield* run("jobs --json --no-body")).stdout.replace(/"(age|time_left)":\d+/g, ""),
        before.replace(/"(age|time_left)":\d+/g, "")
      )
      assert.strictEqual((yield* connection.stats).currentJobsReserved, 0)
    }))
})
