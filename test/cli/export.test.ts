/** `beanstalk export` and `beanstalk import`. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { essence, everyJob, putJobs, scattered, type Wanted } from "../support/bulk.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { at, startAt } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "beanstalk-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const encoder = new TextEncoder()

const bodies = [
  "",
  "\r\n",
  "\n",
  "\u0000\u0007\u001b[2J",
  "{\"a\": 1}",
  "é\u2028\ud83d\ude00",
  Uint8Array.from({ length: 256 }, (_, byte) => byte),
  new Uint8Array(65_535).fill(0xfe)
]

const records = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text.split("\n").slice(0, -1).map((line) => JSON.parse(line))

describeListening("beanstalk export and import", ({ start }) => {
  const started = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server)
    const run = (line: string, stdin = "") => at(server, line, { stdin })
    return { server, connection, run }
  })

  it.scopedLive("carry every job to another server: body, tube, priority, time to run, state and delay", () =>
    Effect.gen(function*() {
      const from = yield* started
      const to = yield* started
      const wanted = [
        ...scattered(["here", "there"], 60),
        ...bodies.map((body, priority): Wanted => ({
          tube: "here",
          state: "buried",
          body,
          priority,
          ttr: priority + 1
        }))
      ]
      yield* putJobs(from.connection, wanted)
      const { code, stdout } = yield* from.run("export")
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* to.run("import", stdout)).code, 0)
      const [before, after] = yield* Effect.all([everyJob(from.connection), everyJob(to.connection)])
      assert.lengthOf(before, wanted.length)
      assert.deepStrictEqual(after.map(essence), before.map(essence))
      for (const [index, job] of before.entries()) {
        if (job.state === "delayed") assert.approximately(after[index]?.timeLeft ?? 0, job.timeLeft, 3)
      }
    }))

  it.scopedLive("write and read files, some jobs, and into one tube", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      const path = join(yield* folder, "jobs.jsonl")
      yield* putJobs(connection, [
        { tube: "emails", state: "buried", body: "a" },
        { tube: "emails", state: "ready", body: "b" },
        { tube: "other", state: "ready", body: "c" }
      ])
      const exported = yield* run(`export emails --match a -o ${path}`)
      assert.deepStrictEqual([exported.code, exported.stdout], [0, ""])
      assert.match(exported.stderr, /^1 job was exported in /)
      assert.deepInclude(records(readFileSync(path, "utf8"))[0], { id: "1", body: "a", state: "buried" })
      assert.match((yield* run(`import ${path} --tube copy`)).stdout, /^copy: 1 buried job put in /)
      const copies = (yield* everyJob(connection)).filter(({ tube }) => tube === "copy")
      assert.deepStrictEqual(copies.map(({ state }) => state), ["buried"])
      const before = readFileSync(path, "utf8")
      assert.strictEqual((yield* run(`export emails --match zzz -o ${path}`)).code, 1)
      assert.strictEqual((yield* run(`export emails -u 127.0.0.1:1 -o ${path}`)).code, 3)
      assert.strictEqual(readFileSync(path, "utf8"), before)
      assert.strictEqual((yield* run("export nowhere")).code, 1)
      assert.strictEqual((yield* run("export -o /nowhere/x")).code, 2)
      assert.strictEqual((yield* run("import /nowhere/x")).code, 2)
      const exceeded = yield* run("export emails --reach 1")
      assert.strictEqual(exceeded.code, 4)
      assert.include(exceeded.stderr, "look further with --reach 10.")
    }))

  it.scopedLive("import needs only a body and a tube, and says which line is no record", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      assert.match((yield* run("import", `{"tube":"emails","body":"x"}`)).stdout, /^emails: 1 ready job put in /)
      const { delay, pri, ttr, tube } = yield* connection.statsJob("1")
      assert.deepStrictEqual([tube, pri, ttr, delay], ["emails", 1024, 60, 0])
      for (
        const line of [
          "x",
          "1",
          "{}",
          `{"body":"x"}`,
          `{"tube":"a b","body":"x"}`,
          `{"tube":"a","body":7}`,
          `{"tube":"a","body":"x","state":"gone"}`,
          `{"tube":"a","body":"x","pri":-1}`,
          `{"tube":"a","body":"x","ttr":1.5}`,
          `{"tube":"a","body":"x","time_left":4294967296}`
        ]
      ) {
        const { code, stderr } = yield* run("import", `${line}\n`)
        assert.strictEqual(code, 2, line)
        assert.include(stderr, "line 1 is no record of a job: ", line)
      }
      assert.strictEqual((yield* connection.stats).totalJobs, 1)
      const good = `{"tube":"emails","body":"y"}\n`
      const failed = yield* run(
        "import --skip 2 --json",
        `x\nx\n${good}${`{"tube":"emails","body":"${"z".repeat(70_000)}"}\n`}`
      )
      assert.strictEqual(failed.code, 4)
      assert.include(failed.stderr, "Go on with --skip 3.")
      assert.deepInclude(records(failed.stdout)[0], { tube: "emails", ready: 1, stopped: "error" })
    }))

  it.scopedLive("import tells where to go on when it is interrupted, and has buried what it has put", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const input = yield* Queue.unbounded<Uint8Array>()
      const running = yield* startAt(server, "import --json --yes", { stdin: Stream.fromQueue(input) })
      const line = `{"tube":"emails","body":"x","state":"buried","pri":3}\n`
      yield* Queue.offer(input, encoder.encode(line.repeat(3).slice(0, -5)))
      yield* eventually(connection.stats, ({ currentJobsBuried }) => currentJobsBuried === 2)
      yield* running.interrupt
      assert.strictEqual(running.stderr.text, "Interrupted after 2 jobs were put. Go on with --skip 2.\n")
      assert.deepInclude(records(running.stdout.text)[0], { tube: "emails", buried: 2, stopped: "interrupted" })
      assert.deepInclude(yield* connection.statsJob("1"), { state: "buried", pri: 3 })
    }))

  it.scopedLive("import from a pipe that stays open says why it puts nothing yet", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const input = yield* Queue.unbounded<Uint8Array>()
      const running = yield* startAt(server, "import", { stdin: Stream.fromQueue(input) })
      yield* Queue.offer(input, encoder.encode(`{"tube":"emails","body":"x"}\n`))
      yield* eventually(
        Effect.sync(() => running.stderr.text),
        (text) => /^Nothing is put until the input ends .* With --yes each job is put as it is read\.\n$/.test(text)
      )
      yield* Queue.shutdown(input)
      assert.strictEqual((yield* connection.stats).totalJobs, 0)
    }))

  it.scopedLive("import takes a job whose time was over when it was exported", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      for (const state of ["reserved", "delayed", "ready"]) {
        const { code, stderr } = yield* run(
          "import",
          `{"tube":"emails","body":"x","state":"${state}","time_left":-2}\n`
        )
        assert.strictEqual(code, 0, stderr)
      }
      assert.deepInclude(yield* connection.statsJob("2"), { delay: 1 })
    }))

  it.scopedLive("import counts a tube of any name, and puts no body that it cannot read", () =>
    Effect.gen(function*() {
      const { connection, run, server } = yield* started
      assert.match((yield* run("import", `{"tube":"__proto__","body":"x"}\n`)).stdout, /^__proto__: 1 ready job put/)
      const { totalJobs } = yield* connection.stats
      assert.strictEqual((yield* run("import", `{"tube":"emails","body_base64":"!!!"}\n`)).code, 2)
      // An incomplete end, and half of a surrogate pair, which stands for a byte in the JSON of Python.
      for (const body of [`"body_base64":"aGVsb"`, `"body":"a\\udcff"`]) {
        const { code, stderr } = yield* run("import", `{"tube":"emails",${body}}\n`)
        assert.strictEqual(code, 2, body)
        assert.include(stderr, "it has no body, or one that is no text, or no base64", body)
      }
      const notUtf8 = Buffer.from(`{"tube":"emails","body":"\xff"}\n`, "latin1")
      assert.strictEqual((yield* at(server, "import", { stdin: Stream.make(notUtf8) })).code, 2)
      assert.strictEqual((yield* connection.stats).totalJobs, totalJobs)
    }))

  it.scopedLive("import goes on where a lost connection stopped it, and loses no job", () =>
    Effect.gen(function*() {
      const { connection, run, server } = yield* started
      const lines = Array.from({ length: 3000 }, (_, index) => `{"tube":"emails","body":"${index}"}\n`).join("")
      const proxy = yield* ChaosProxy.make(server, { cutAfter: { bytes: 60_000, ending: "RST" } })
      const stopped = yield* at(proxy, "import --yes", { stdin: lines })
      assert.strictEqual(stopped.code, 4)
      const [, skip] = /Go on with --skip (\d+)\./.exec(stopped.stderr) ?? []
      assert.strictEqual((yield* run(`import --skip ${skip} --yes`, lines)).code, 0)
      const put = (yield* everyJob(connection)).map(({ body }) => Number(body))
      assert.deepStrictEqual(
        [...new Set(put)].toSorted((a, b) => a - b),
        Array.from({ length: 3000 }, (_, index) => index)
      )
      assert.isAtMost(put.length, 3000 + 1024)
    }))

  it.scopedLive.each(["export here", "take here --all", "take here --all --bury"])(
    "counts all that it has written when it is interrupted meanwhile: %s",
    (command) =>
      Effect.gen(function*() {
        const { connection, server } = yield* started
        yield* putJobs(
          connection,
          Array.from({ length: 100 }, (_, index): Wanted => ({ tube: "here", state: "ready", body: `${index}` }))
        )
        const written = yield* Effect.makeLatch()
        const running = yield* startAt(server, command, { afterWrite: written.await })
        yield* eventually(Effect.sync(() => running.stdout.text), (text) => text.includes("\n"))
        const stopping = yield* Effect.fork(running.interrupt)
        yield* Effect.yieldNow()
        yield* written.open
        yield* Fiber.join(stopping)
        const [, count] = /^Interrupted after (\d+) jobs? w\w+ \w+\.\n$/.exec(running.stderr.text) ?? []
        const lines = running.stdout.text.split("\n").length - 1
        assert.strictEqual(Number(count), lines)
        assert.isBelow(lines, 100)
        if (command !== "export here") {
          yield* eventually(connection.statsTube("here"), ({ currentJobsReady }) => currentJobsReady === 100 - lines)
        }
      })
  )

  it.scopedLive("export ends quietly when its reader has enough", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      yield* putJobs(connection, scattered(["here"], 20))
      const { code, stderr } = yield* at(server, "export", { closesAfter: 0 })
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.deepStrictEqual((yield* everyJob(connection)).length, 20)
    }))
})
