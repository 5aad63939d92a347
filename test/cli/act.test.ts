/** The commands that put jobs, and act on them. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { at, startAt } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

const encoder = new TextEncoder()

describeListening("beanstalk", ({ start }) => {
  const started = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server)
    const run = (line: string, stdin?: string, terminal = false) =>
      at(server, line, { terminal, ...stdin === undefined ? {} : { stdin } })
    return { server, connection, run }
  })

  it.scopedLive("put refuses an unknown flag, and puts nothing", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      for (const flag of ["--urgent", "--u", "--urgent=", "--urgent=x", "-z", "--prioritty 3"]) {
        const { code, stderr, stdout } = yield* run(`put emails ${flag}`)
        assert.deepStrictEqual([code, stdout], [2, ""], flag)
        assert.include(stderr, flag.split(/[= ]/)[0] ?? "", flag)
      }
      assert.include((yield* run("put emails --prioritty 3")).stderr, "Did you mean --priority?")
      assert.strictEqual((yield* connection.stats).totalJobs, 0)
      assert.strictEqual((yield* run("put emails -- --urgent")).code, 0)
      assert.strictEqual((yield* run("peek emails")).stdout, "--urgent")
    }))

  it.scopedLive("delete - that comes to a line that is no id says how many jobs were deleted before", () =>
    Effect.gen(function*() {
      const { run } = yield* started
      yield* run("put emails --lines -q", "a\nb\n")
      const others = Array.from({ length: 1500 }, (_, index) => `${index + 1}\n`).join("")
      const { code, stderr } = yield* run("delete - --yes", `${others}x\n`)
      assert.strictEqual(code, 4)
      assert.match(stderr, /"x" is no id of a job.* 2 jobs were deleted\.\n$/)
      assert.strictEqual((yield* run("delete -", "x\n")).code, 2)
    }))

  it.scopedLive("put takes the body from the argument or from all of standard input, with the options given", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      const { stdout } = yield* run("put emails hello -p 5 --delay 1h --ttr 90")
      const { delay, pri, ttr, tube } = yield* connection.statsJob(stdout.trim())
      assert.deepStrictEqual([tube, pri, delay, ttr], ["emails", 5, 3600, 90])
      assert.deepStrictEqual(JSON.parse((yield* run("put emails --json", "a\r\nb\n")).stdout), {
        id: "2",
        tube: "emails"
      })
      assert.strictEqual((yield* run("job 2 --raw")).stdout, "a\r\nb\n")
      assert.deepStrictEqual(yield* run("put emails x -q", undefined, true), { code: 0, stdout: "", stderr: "" })
    }))

  it.scopedLive("put - reads standard input, and a dash behind -- is a dash", () =>
    Effect.gen(function*() {
      const { run } = yield* started
      assert.strictEqual((yield* run("put emails -", "from input")).stdout, "1\n")
      assert.strictEqual((yield* run("put emails -- -", "not read")).stdout, "2\n")
      assert.strictEqual((yield* run("put -- emails -", "not read")).stdout, "3\n")
      assert.strictEqual((yield* run("job 1 2 3 --raw")).stdout, "from input--")
    }))

  it.scopedLive("put --lines puts each line, and says where to go on when it stops", () =>
    Effect.gen(function*() {
      const { run } = yield* started
      assert.strictEqual((yield* run("put q --lines", "a\n\nc")).stdout, "1\n2\n3\n")
      assert.strictEqual((yield* run("job 3 --raw")).stdout, "c")
      assert.strictEqual((yield* run("put q --lines --skip 2", "a\nb\nc\nd\n")).stdout, "4\n5\n")
      const stopped = yield* run("put q --lines", `a\n${"x".repeat(70_000)}\nc\n`)
      assert.deepStrictEqual([stopped.code, stopped.stdout], [4, "6\n"])
      assert.match(stopped.stderr, /^beanstalk: line 2 was not put: .* 1 job was put\. Go on with --skip 1\.\n$/)
      assert.strictEqual((yield* run("put q --lines", `${"x".repeat(70_000)}\n`)).code, 5)
    }))

  it.scopedLive("put --lines puts a line as soon as it is read, and an interruption tells how many were put", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const input = yield* Queue.unbounded<Uint8Array>()
      const running = yield* startAt(server, "put q --lines", { stdin: Stream.fromQueue(input) })
      yield* Queue.offer(input, encoder.encode("a\nb\nunfini"))
      yield* eventually(connection.stats, ({ totalJobs }) => totalJobs === 2)
      yield* eventually(Effect.sync(() => running.stdout.text), (text) => text === "1\n2\n")
      yield* running.interrupt
      assert.strictEqual(running.stderr.text, "Interrupted after 2 jobs were put. Go on with --skip 2.\n")
      assert.strictEqual((yield* connection.stats).totalJobs, 2)
    }))

  it.scopedLive("an input without end is not read to its end", () =>
    Effect.gen(function*() {
      const { server } = yield* started
      const stdin = Stream.forever(Stream.make(encoder.encode("0".repeat(1024))))
      const ends = (line: string) =>
        Effect.map(at(server, line, { stdin }), ({ code, stderr }) => [code, stderr] as const)
      for (const line of ["put q", "put q --lines"]) {
        const [code, stderr] = yield* ends(line)
        assert.strictEqual(code, 5)
        assert.match(
          stderr,
          /^beanstalk: JOB_TOO_BIG: (the body|a line) has more than the 65,535 bytes that beanstalkd at /
        )
      }
      for (const line of ["delete -", "jobs --ids-from -", "import"]) {
        const [code, stderr] = yield* ends(line)
        assert.strictEqual(code, 2)
        assert.match(stderr, /a line of more than [\d,]+ bytes is no /)
      }
    }))

  it.scopedLive("delete and kick-job act on the ids given, or read", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      for (const delay of [0, 0, 0, "1 hour", "1 hour"] as const) yield* connection.put("x", { delay })
      assert.strictEqual((yield* run("delete 1")).stdout, "1 job deleted.\n")
      assert.strictEqual((yield* run("delete 1")).code, 1)
      assert.strictEqual((yield* run("delete - 3 --json", "2\n99\n")).stdout, `{"deleted":2,"missing":1}\n`)
      assert.strictEqual((yield* run("kick-job 4 99")).stdout, "1 job kicked. 1 was not there.\n")
      assert.strictEqual((yield* run("delete 4 --dry-run")).stdout, "1 job would be deleted.\n")
      assert.strictEqual((yield* run("kick-job 4 --dry-run")).code, 1)
      yield* connection.reserveJob("4")
      assert.strictEqual((yield* run("delete 4 5 --dry-run")).stdout, "1 job would be deleted. 1 was not there.\n")
      yield* connection.release("4", { priority: 1024 })
      assert.deepInclude(yield* connection.stats, { currentJobsReady: 1, currentJobsDelayed: 1 })
      assert.strictEqual((yield* run("delete -", "x\n")).code, 2)
    }))

  it.scopedLive("acts on more than 1,000 jobs ask, and without a terminal want --yes", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("x")
      const ids = Array.from({ length: 1001 }, (_, index) => `${index + 1}\n`).join("")
      const asked = yield* run("delete -", ids)
      assert.deepStrictEqual([asked.code, asked.stdout], [2, ""])
      assert.include(asked.stderr, "add --yes")
      assert.strictEqual((yield* connection.stats).currentJobsReady, 1)
      assert.strictEqual((yield* run("delete - --yes", ids)).stdout, "1 job deleted. 1,000 were not there.\n")
    }))

  it.scopedLive("kick makes buried jobs ready, all or some", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      for (let count = 0; count < 3; count++) {
        yield* connection.put("x", { tube: "emails" })
        yield* connection.watch("emails")
        const { id } = yield* connection.reserve
        yield* connection.bury(id, 0)
      }
      assert.match((yield* run("kick emails --limit 1")).stdout, /^emails: 1 buried job kicked in [\d.]+ m?s\.\n$/)
      assert.strictEqual((yield* run("kick emails -n")).stdout, "emails: 2 buried jobs would be kicked.\n")
      const record = JSON.parse((yield* run("kick 'em*' --json")).stdout)
      assert.deepInclude(record, { tube: "emails", ready: 0, delayed: 0, buried: 2, stopped: null })
      assert.strictEqual((yield* run("kick emails")).code, 1)
    }))

  it.scopedLive("pause and resume say who waits", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("x", { tube: "emails" })
      assert.strictEqual(
        (yield* run("pause emails 5m")).stdout,
        "emails: paused for 5m; no worker waits for its jobs.\n"
      )
      assert.include((yield* run("tubes emails")).stdout, " left")
      assert.strictEqual((yield* run("resume 'em*' --json")).stdout, `{"tube":"emails","pause":0,"waiting":0}\n`)
      assert.strictEqual((yield* run("pause emials 5m")).code, 1)
    }))
})
