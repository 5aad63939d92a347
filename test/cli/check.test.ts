/** `beanstalk check`: what monitoring systems read of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { count } from "../../src/cli/values/number.ts"
import { thresholds } from "../../src/cli/values/thresholds.ts"
import { at } from "../support/cli.ts"
import { listen, openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

/** The form of the output of monitoring plugins: a line, with performance data. */
const form =
  /^BEANSTALKD (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+)(?: \| ('?[^=' ]+'?=-?[\d.]+(?:s|ms)?(?:;[\d.]*:?)*(?: |(?=\n)))+)?\n$/

const states = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]

const check = (server: Parameters<typeof at>[0], flags: string) =>
  Effect.map(at(server, `check ${flags}`), ({ code, stderr, stdout }) => {
    const [, state = "", message = ""] = form.exec(stdout) ?? []
    assert.strictEqual(states.indexOf(state), code, stdout)
    assert.strictEqual(stderr, "")
    return { state, message, data: stdout.trimEnd().split(" | ")[1]?.split(" ") ?? [] }
  })

describe("thresholds", () => {
  it("are two numbers, of which one may be missing, in the order in which it gets worse", () => {
    const read = (text: string, bad: "above" | "below" = "above") =>
      Either.getOrUndefined(thresholds(count, bad).read(text))
    assert.deepStrictEqual(read("10:1k"), { warning: 10, critical: 1000 })
    assert.deepStrictEqual(read(":0"), { warning: undefined, critical: 0 })
    assert.deepStrictEqual(read("5:"), { warning: 5, critical: undefined })
    assert.deepStrictEqual(read("2:1", "below"), { warning: 2, critical: 1 })
    assert.deepStrictEqual(["", ":", "5", "2:1", "a:b", "1:2:3"].map((text) => read(text)), Array(6).fill(undefined))
    assert.isUndefined(read("1:2", "below"))
  })
})

describeListening("beanstalk check", ({ start }) => {
  it.scopedLive("is bad above a threshold, or below that of workers, and not at it", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server, { watch: ["emails"] })
      yield* connection.put("x", { tube: "emails" })
      yield* connection.put("x", { tube: "emails", delay: "1 hour" })
      const state = (flags: string) => Effect.map(check(server, `emails ${flags}`), ({ state }) => state)
      assert.strictEqual(yield* state("--ready 1:1 --delayed 1:1 --min-workers 1:1 --age 1m:1h --buried 0:0"), "OK")
      assert.strictEqual(yield* state("--ready 0:1"), "WARNING")
      assert.strictEqual(yield* state("--ready 0:0"), "CRITICAL")
      assert.strictEqual(yield* state("--delayed :0"), "CRITICAL")
      assert.strictEqual(yield* state("--min-workers 2:1"), "WARNING")
      assert.strictEqual(yield* state("--min-workers :2"), "CRITICAL")
      // It does not count itself.
      assert.strictEqual(yield* Effect.map(check(server, "default --min-workers 1:"), ({ state }) => state), "WARNING")
    }))

  it.scopedLive("tells the worst first, and charts all that it has checked", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      for (const tube of ["a", "b", "b", "c;(1)", "__proto__"]) yield* connection.put("x", { tube })
      const { data, message, state } = yield* check(server, "a b 'c*' __proto__ nothing --ready 0:1 --min-workers 1:")
      assert.strictEqual(state, "CRITICAL")
      assert.match(message, /^b: 2 ready \(> 1\); 0 workers \(< 1\); a: 1 ready \(> 0\); 0 workers \(< 1\); c;\(1\): /)
      assert.include(message, "; __proto__: 1 ready (> 0); 0 workers (< 1); nothing: 0 workers (< 1)")
      assert.deepStrictEqual(data.slice(0, 2), ["a_ready=1;0;1", "a_workers=0;1:"])
      assert.include(data, "'c;(1)_ready'=1;0;1")
    }))

  it.scopedLive("keeps short however many tubes have a problem", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      for (let tube = 100; tube < 200; tube++) yield* connection.put("x", { tube: `t${tube}` })
      const { data, message } = yield* check(server, "'t*' --ready 0:")
      assert.match(message, /^(t1\d\d: 1 ready \(> 0\); ){5}and 95 more tubes$/)
      assert.strictEqual(data.length, 51)
      assert.match(data.at(-1) ?? "", /^rtt=/)
    }))

  it.scopedLive("warns of drain mode if it is asked to", () =>
    Effect.gen(function*() {
      const server = yield* start()
      yield* openTo(server)
      yield* server.drain
      const plain = yield* check(server, "")
      assert.strictEqual(plain.state, "OK")
      assert.include(plain.message, "drain mode")
      assert.strictEqual((yield* check(server, "--draining")).state, "WARNING")
    }))

  it.scopedLive("has all that it measured in JSON", () =>
    Effect.gen(function*() {
      const server = yield* start()
      yield* Effect.flatMap(openTo(server), (connection) => connection.put("x", { tube: "emails" }))
      const { code, stdout } = yield* at(server, "check emails --ready 0: --json")
      const { measures, message, status } = JSON.parse(stdout)
      assert.deepStrictEqual([code, status, message], [1, "WARNING", "emails: 1 ready (> 0)"])
      assert.deepStrictEqual(measures[0], {
        tube: "emails",
        check: "ready",
        value: 1,
        warning: 0,
        critical: null,
        status
      })
      assert.strictEqual(measures[1].check, "rtt")
    }))
})

describe("beanstalk check", () => {
  it.scopedLive("is critical where the server says nothing, or what no beanstalkd says", () =>
    Effect.gen(function*() {
      const silent = yield* listen(() => undefined)
      const { message, state } = yield* check({ target: silent }, "--timeout 50ms")
      assert.deepStrictEqual([state, message.includes("did not answer")], ["CRITICAL", true])
      const lying = yield* listen((socket) => void socket.write("OK 20\r\n|BEANSTALKD OK - |\n\r\n"))
      assert.strictEqual((yield* check({ target: lying }, "")).state, "CRITICAL")
    }))
})
