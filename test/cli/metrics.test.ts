/** `beanstalk metrics`: what it tells, and how it is served. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import { textOf } from "../../src/cli/metrics/family.ts"
import * as GoneTubes from "../../src/cli/metrics/goneTubes.ts"
import { labelOf, rule } from "../../src/cli/metrics/relabel.ts"
import * as SharedRound from "../../src/cli/metrics/sharedRound.ts"
import * as Targets from "../../src/cli/metrics/targets.ts"
import { tubeFamilies } from "../../src/cli/metrics/tubeFamilies.ts"
import { make as makeServer } from "../../src/cli/server/server.ts"
import { at, startAt } from "../support/cli.ts"
import { eventually, listen, openTo } from "../support/connections.ts"
import { ok } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"
import { describeListening, describeOnOne } from "../support/servers.ts"
import { tubeStats } from "../support/stats.ts"

/** The values of a text of metrics, by name and labels. Each line must be one. */
const valuesIn = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text.split("\n").filter((line) => line !== "" && !line.startsWith("# ")).map((line) => {
      const [, series = "", value] = /^([a-z_]+(?:\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)$/.exec(line) ?? []
      assert.isFalse(Number.isNaN(Number(value ?? "none")), line)
      return [series, Number(value)]
    })
  )

const rules = (...texts: ReadonlyArray<string>) => texts.map((text) => Either.getOrThrow(rule.read(text)))

describe("metrics", () => {
  it("are escaped as Prometheus reads them", () => {
    const labels = { version: `1"2\\3\n4` }
    const text = textOf([{ name: "x", type: "gauge", help: "An x.", samples: [{ labels, value: 1.5 }] }])
    assert.strictEqual(text, `# HELP x An x.\n# TYPE x gauge\nx{version="1\\"2\\\\3\\n4"} 1.5\n`)
  })

  it("have the labels that the rules give, one after another", () => {
    const given = rules("s/^user-\\d+/user-*/", "s#/#_#g", "s/(a)(b)/$2$1/", "s|x\\|y|\\||")
    assert.deepStrictEqual(["user-17", "a/b/c", "cab", "x|y"].map((name) => labelOf(given, name)), [
      "user-*",
      "a_b_c",
      "cba",
      "|"
    ])
  })

  it("take no rule that a name could keep busy", () => {
    // With backtracking this takes longer than anybody lives.
    assert.strictEqual(labelOf(rules("s/^(a+)+$/all/"), `${"a".repeat(199)}!`), `${"a".repeat(199)}!`)
    for (const text of ["s/(a)\\1/b/", "s/(?=a)b/c/", "s/(/x/", "s/a/b", "s//b/", "a/b/c/", "s/a/b/c/"]) {
      assert.isTrue(Either.isLeft(rule.read(text)), text)
    }
  })

  it("of many tubes with one label never fall when one of these was made anew, whatever it has counted since", () => {
    const users = (...counts: ReadonlyArray<readonly [totalJobs: number, cmdDelete: number]>) =>
      counts.map(([totalJobs, cmdDelete], index) => ({
        label: "user",
        stats: tubeStats(`user-${index}`, { totalJobs, cmdDelete }),
        nextAge: undefined
      }))
    const rounds = [users([10, 10], [5, 0]), users([12, 2], [5, 0]), users([12, 3]), users([20, 1], [1, 1])]
    let memory = GoneTubes.empty
    const told = rounds.map((tubes) => {
      memory = GoneTubes.remember(memory, tubes)
      return tubeFamilies(tubes, GoneTubes.goneOf(memory)).flatMap(({ samples, type }) =>
        type === "counter" ? samples.map(({ value }) => value) : []
      )
    })
    assert.deepStrictEqual(told, [[15, 10], [27, 12], [27, 13], [48, 15]])
  })

  it.effect("are asked for in one round by all who come meanwhile, and for as long after as it took", () =>
    Effect.gen(function*() {
      const rounds = yield* Ref.make(0)
      const { ask } = yield* SharedRound.make(Effect.delay(Ref.updateAndGet(rounds, (count) => count + 1), "2 seconds"))
      const first = yield* Effect.fork(ask)
      const second = yield* Effect.fork(ask)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(second), 1)
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(yield* ask, 1)
      yield* TestClock.adjust("1 millis")
      const next = yield* Effect.fork(ask)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(next), 2)
    }).pipe(Effect.scoped))

  it.effect("are asked of so many servers at a time, and then of no more until one has answered", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<string>()
      const ask = yield* Targets.make(({ url }) => () => url.endsWith(":1") ? Deferred.await(answer) : Effect.never)
      const askOf = (port: number) =>
        Effect.flatMap(makeServer(`beanstalk://queue:${port}`, { timeout: "1 second" }), ask)
      yield* Effect.forEach(Array.from({ length: 64 }, (_, index) => index + 1), (port) => Effect.fork(askOf(port)))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Option.isNone(yield* askOf(65)))
      yield* Deferred.succeed(answer, "the metrics")
      assert.deepStrictEqual(yield* askOf(1), Option.some("the metrics"))
      yield* TestClock.adjust("1 second")
      yield* Effect.fork(askOf(65))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Option.isNone(yield* askOf(1)))
    }).pipe(Effect.scoped))
})

describeListening("beanstalk metrics", ({ start }) => {
  it.scopedLive("tells the numbers of the server and of its tubes", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server, { watch: ["emails"] })
      yield* connection.put("x", { tube: "emails" })
      yield* connection.put("x", { tube: "emails", delay: "1 hour" })
      yield* connection.put("x", { tube: "emails" })
      yield* connection.delete((yield* connection.reserve).id)
      yield* connection.pauseTube("emails", "1 hour")
      const { code, stdout } = yield* at(server, "metrics")
      assert.strictEqual(code, 0)
      const values = valuesIn(stdout)
      const expected = {
        beanstalkd_up: 1,
        beanstalkd_draining: 0,
        "beanstalkd_jobs{state=\"ready\"}": 1,
        "beanstalkd_jobs{state=\"delayed\"}": 1,
        beanstalkd_jobs_total: 3,
        "beanstalkd_commands_total{command=\"put\"}": 3,
        "beanstalkd_connections{role=\"worker\"}": 1,
        beanstalkd_binlog_files: 0,
        beanstalkd_tubes_left_out: 0,
        "beanstalkd_tube_jobs{tube=\"emails\",state=\"ready\"}": 1,
        "beanstalkd_tube_jobs{tube=\"emails\",state=\"delayed\"}": 1,
        "beanstalkd_tube_jobs_total{tube=\"emails\"}": 3,
        "beanstalkd_tube_deletes_total{tube=\"emails\"}": 1,
        "beanstalkd_tube_connections{tube=\"emails\",role=\"watching\"}": 1,
        "beanstalkd_tube_next_job_age_seconds{tube=\"default\"}": 0
      }
      assert.containsSubset(Object.fromEntries(values), expected)
      assert.isAbove(values.get("beanstalkd_tube_paused_seconds{tube=\"emails\"}") ?? 0, 3590)
      assert.notInclude(stdout, "instance=")
      // Each name is told of once, before its values.
      const names = [...stdout.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name)
      assert.strictEqual(new Set(names).size, names.length)
    }))

  it.scopedLive("has each metric that the guide names, and no other", () =>
    Effect.gen(function*() {
      const { stdout } = yield* at(yield* start(), "metrics")
      const guide = readFileSync(new URL("../../docs/guide/telemetry.md", import.meta.url), "utf8")
      const named = new Set(guide.match(/\bbeanstalkd_[a-z_]+/g))
      assert.sameMembers([...stdout.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name), [...named])
    }))

  it.scopedLive("leaves tubes out, and sums those that have one label", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      for (const tube of ["user-1", "user-2", "emails"]) yield* connection.put("x", { tube })
      const tubesIn = (stdout: string) =>
        [...valuesIn(stdout)].flatMap(([series, value]) => {
          const [, tube] = /^beanstalkd_tube_jobs\{tube="(.*)",state="ready"\}$/.exec(series) ?? []
          return tube === undefined ? [] : [[tube, value]]
        })
      const told = (flags: string) => Effect.map(at(server, `metrics ${flags}`), ({ stdout }) => tubesIn(stdout))
      assert.deepStrictEqual(yield* told("--tubes emails,user-?"), [["emails", 1], ["user-1", 1], ["user-2", 1]])
      assert.deepStrictEqual(yield* told("--max-tubes 2"), [["default", 0], ["emails", 1]])
      assert.deepStrictEqual(yield* told("--no-tubes"), [])
      assert.deepStrictEqual(yield* told("--relabel s/-\\d/-x/ --max-tubes 3"), [
        ["default", 0],
        ["emails", 1],
        ["user-x", 2]
      ])
    }))
})

describe("beanstalk metrics", () => {
  it.scopedLive("writes nothing of a server that a terminal obeys, and all of it into a pipe", () =>
    Effect.gen(function*() {
      const stats = ok(Scripted.document.replace(/version: .*/, `version: "1.12\u001b[31m"`))
      const target = yield* listen((socket) => socket.on("data", () => socket.write(stats)))
      const told = (terminal: boolean) =>
        Effect.map(
          at({ target }, "metrics --no-tubes", { terminal }),
          ({ stdout }) => /version="([^"]*)"/.exec(stdout)?.[1]
        )
      assert.deepStrictEqual([yield* told(true), yield* told(false)], ["1.12\\x1b[31m", "1.12\u001b[31m"])
    }))

  it.scopedLive("tells that the server does not answer", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* at({ target: { host: "127.0.0.1", port: 1 } }, "metrics")
      assert.strictEqual(code, 3)
      assert.include(stdout, "\nbeanstalkd_up 0\n")
      assert.match(stderr, /^beanstalk: cannot reach beanstalkd at 127\.0\.0\.1:1: connection refused\./)
    }))
})

describeOnOne("beanstalk metrics --listen", {}, ({ start }) => {
  const get = (url: string, init?: RequestInit) =>
    Effect.promise(async (signal) => {
      const response = await fetch(url, { ...init, signal })
      return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
    })

  /** What is answered to the first line of a request. */
  const exchange = (port: number, line: string) =>
    Effect.async<string>((resume) => {
      let answer = ""
      const socket = Net.connect(port, "127.0.0.1", () =>
        socket.write(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`))
      socket.on("data", (chunk) =>
        answer += chunk.toString()).on("close", () =>
          resume(Effect.succeed(answer)))
      return Effect.sync(() => socket.destroy())
    })

  const serve = (server: Parameters<typeof startAt>[0], flags = "") =>
    Effect.gen(function*() {
      const running = yield* startAt(server, `metrics --listen 0 ${flags}`)
      const said = yield* eventually(Effect.sync(() => running.stdout.text), (text) => text.includes("\n"))
      const [, url = ""] = / at (http:\/\/127\.0\.0\.1:\d+)\/metrics\.\n$/.exec(said) ?? []
      return { running, url }
    })

  it.scopedLive("answers what Prometheus asks, and nothing else", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const { running, url } = yield* serve(server)
      const { status, text, type } = yield* get(`${url}/metrics`)
      assert.deepStrictEqual([status, type], [200, "text/plain; version=0.0.4; charset=utf-8"])
      assert.strictEqual(valuesIn(text).get("beanstalkd_up"), 1)
      assert.strictEqual((yield* get(`${url}/healthz`)).text, "ok\n")
      assert.strictEqual((yield* get(`${url}/other`)).status, 404)
      assert.strictEqual((yield* get(`${url}/metrics`, { method: "POST" })).status, 405)
      assert.strictEqual((yield* get(`${url}/metrics`, { method: "HEAD" })).text, "")
      const { port } = new URL(url)
      const said = (request: string) => Effect.map(exchange(Number(port), request), (answer) => answer.split("\r\n"))
      assert.include(yield* said("DELETE /metrics"), "allow: GET, HEAD")
      assert.include(yield* said(`GET http://queue.internal:1/healthz`), "HTTP/1.1 200 OK")
      assert.include(yield* said("GET nowhere"), "HTTP/1.1 400 Bad Request")
      yield* running.interrupt
      assert.instanceOf(yield* Effect.promise(() => fetch(`${url}/healthz`).catch((error) => error)), Error)
    }))

  it.scopedLive("probes other servers, but no file of this machine and nothing that is no address", () =>
    Effect.gen(function*() {
      const [server, other] = [yield* start(), yield* start()]
      yield* Effect.flatMap(openTo(other), (connection) => connection.put("x", { tube: "elsewhere" }))
      const { url } = yield* serve(server)
      const probe = (target: string) => get(`${url}/probe?target=${encodeURIComponent(target)}`)
      const address = "port" in other.target ? `${other.target.host}:${other.target.port}` : ""
      assert.include((yield* probe(address)).text, "tube=\"elsewhere\"")
      assert.include((yield* probe("127.0.0.1:1")).text, "\nbeanstalkd_up 0\n")
      for (const target of ["", "unix:/run/x.sock", "http://127.0.0.1/", "a b", "x:99999", "beanstalk://u:p@h/?q#f"]) {
        assert.strictEqual((yield* probe(target)).status, 400, target)
      }
      assert.strictEqual((yield* get(`${url}/probe`)).status, 400)
    }))

  it.scopedLive("forgets a tube that is gone, and counts on what many tubes with one label had counted", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      const { url } = yield* serve(server, "--relabel s/-\\d+/-x/")
      const [id] = yield* Effect.all([
        connection.put("x", { tube: "user-1" }),
        connection.put("x", { tube: "user-2" }),
        connection.put("x", { tube: "emails" })
      ])
      const counted = Effect.map(get(`${url}/metrics`), ({ text }) => {
        const values = valuesIn(text)
        const totalOf = (tube: string) => values.get(`beanstalkd_tube_jobs_total{tube="${tube}"}`)
        return [totalOf("user-x"), totalOf("emails")]
      })
      yield* eventually(counted, ([users]) => users === 2)
      yield* connection.delete(id)
      yield* connection.put("x", { tube: "user-2" })
      yield* eventually(counted, ([users]) => users === 3)
      yield* connection.delete("3")
      assert.deepStrictEqual(yield* eventually(counted, ([, emails]) => emails === undefined), [3, undefined])
    }))

  it.scopedLive("does not let a server that says nothing hold up another", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const asked = yield* Deferred.make<void>()
      const silent = yield* listen(() => Deferred.unsafeDone(asked, Effect.void))
      const { running, url } = yield* serve(server, "--timeout 1h")
      const probe = yield* Effect.fork(get(`${url}/probe?target=127.0.0.1:${silent.port}`))
      yield* Deferred.await(asked)
      assert.strictEqual((yield* get(`${url}/metrics`)).status, 200)
      yield* Fiber.interrupt(probe)
      // It ends although a round is running.
      yield* running.interrupt
    }))

  it.scopedLive("logs why a server that can be reached has no metrics", () =>
    Effect.gen(function*() {
      const stats = ok(Scripted.document.replace(/cmd-touch: .*\n/, ""))
      const target = yield* listen((socket) => socket.on("data", () => socket.write(stats)))
      const { running, url } = yield* serve({ target }, "-v")
      assert.include((yield* get(`${url}/metrics`)).text, "\nbeanstalkd_up 0\n")
      assert.include(running.stderr.text, `There are no metrics of 127.0.0.1:${target.port}: `)
      assert.include(running.stderr.text, "cmd-touch: (missing)")
      yield* running.interrupt
    }))

  it.scopedLive("answers of its own server, however many others it is asked for that say nothing", () =>
    Effect.gen(function*() {
      const server = yield* start()
      let asked = 0
      const silent = yield* listen(() => void (asked += 1))
      const { running, url } = yield* serve(server, "--timeout 1h")
      // The address of one server can be written in many ways.
      const targets = Array.from({ length: 64 }, (_, zeros) => `127.0.0.1:${"0".repeat(zeros)}${silent.port}`)
      yield* Effect.forEach(targets, (target) => Effect.fork(get(`${url}/probe?target=${target}`)))
      yield* eventually(Effect.sync(() => asked), (count) => count === 64)
      assert.strictEqual((yield* get(`${url}/probe?target=127.0.0.2:${silent.port}`)).status, 503)
      assert.strictEqual((yield* get(`${url}/metrics`)).status, 200)
      yield* running.interrupt
    }))

  it.scopedLive("tells that it cannot listen", () =>
    Effect.gen(function*() {
      const taken = yield* listen(() => undefined)
      const { code, stderr } = yield* at(yield* start(), `metrics --listen 127.0.0.1:${taken.port}`)
      assert.strictEqual(code, 2)
      assert.strictEqual(stderr, `beanstalk: cannot listen on 127.0.0.1:${taken.port}: address already in use.\n`)
    }))
})
