/** The commands that look. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { at, beanstalk } from "../support/cli.ts"
import { openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

describeListening("beanstalk", ({ start }) => {
  const started = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server)
    return { server, connection, run: (line: string, terminal = false) => at(server, line, { terminal }) }
  })

  it.scopedLive("stats shows the server on one screen", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("x", { priority: 5 })
      yield* connection.put("x", { delay: "1 minute" })
      const { code, stderr, stdout } = yield* run("stats")
      assert.deepStrictEqual([code, stderr], [0, ""])
      const [title, jobs, ...rest] = stdout.trimEnd().split("\n")
      assert.match(title ?? "", /^beanstalkd 1\.1\d at 127\.0\.0\.1:\d+, up \d+s, accepting jobs$/)
      assert.strictEqual(jobs, "jobs      1 ready (1 urgent) · 0 reserved · 1 delayed · 0 buried")
      assert.match(
        rest.join("\n"),
        /^since up {2}2 jobs put · 0 timeouts +clients {2}\d: .*\nbinlog +off.* 65,535 bytes$/
      )
    }))

  it.scopedLive("stats fits into 80 columns of a terminal", () =>
    Effect.gen(function*() {
      const { run } = yield* started
      const { stdout } = yield* run("stats", true)
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80 + "\u001b[1m\u001b[22m".length)
    }))

  it.scopedLive("stats --json has every key of the protocol", () =>
    Effect.gen(function*() {
      const { run } = yield* started
      const record = JSON.parse((yield* run("stats --json")).stdout)
      assert.containsAllKeys(record, [
        "current_jobs_urgent",
        "cmd_reserve_with_timeout",
        "rusage_utime",
        "id",
        "draining"
      ])
      assert.strictEqual(record.max_job_size, 65_535)
    }))

  it.scopedLive("tubes lists the tubes, some or all, with the age of the next job", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("x", { tube: "emails" })
      yield* connection.put("x", { tube: "images.resize", delay: "1 minute" })
      const names = (stdout: string) => stdout.trim().split("\n").slice(1).map((line) => line.split(" ")[0])
      assert.deepStrictEqual(names((yield* run("tubes")).stdout), ["default", "emails", "images.resize"])
      assert.deepStrictEqual(names((yield* run("tubes --nonempty --sort delayed")).stdout), ["images.resize", "emails"])
      assert.deepStrictEqual(names((yield* run("tubes 'im*'")).stdout), ["images.resize"])
      const { stdout } = yield* run("tubes --age emails")
      assert.match(stdout, /NEXT AGE/)
      assert.match(stdout, /^emails +1 +0 +0 +0 +0 +0 +\ds +-$/m)
      const missing = yield* run("tubes emials")
      assert.deepStrictEqual([missing.code, missing.stdout], [1, ""])
      assert.match(missing.stderr, /^beanstalk: there is no tube emials on 127.0.0.1:\d+\. Did you mean emails\?\n$/)
    }))

  it.scopedLive("tubes --age fits into 80 columns of a terminal, for how long a tube is paused included", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("x", { tube: "images.resize" })
      yield* connection.pauseTube("images.resize", "5 hours")
      const { stdout } = yield* run("tubes images.resize --age --color never", true)
      assert.match(stdout, /^images\.resize +1 +0 +0 +0 +0 +0 +\ds 4h left$/m)
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80)
    }))

  it.scopedLive("job shows statistics and body, raw, decoded or as a record", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      const id = yield* connection.put(`{"to":"a@example.org"}`, { tube: "emails", priority: 7 })
      assert.include((yield* run(`job ${id}`)).stdout, `job ${id} of emails: ready\npriority  7 `)
      assert.include((yield* run(`job ${id}`, true)).stdout, `{\n  "to": "a@example.org"\n}`)
      assert.strictEqual((yield* run(`job ${id} --raw`)).stdout, `{"to":"a@example.org"}`)
      const record = JSON.parse((yield* run(`job ${id} --json`)).stdout)
      assert.deepInclude(record, { id, tube: "emails", pri: 7, time_left: 0, body: `{"to":"a@example.org"}` })
      const binary = yield* connection.put(new Uint8Array([255, 0]))
      assert.include((yield* run(`job ${binary} --json`)).stdout, `"body_base64":"/wA="`)
      const base64 = yield* connection.put("aGVsbG8=")
      assert.strictEqual((yield* run(`job ${base64} --raw --decode base64`)).stdout, "hello")
      const some = yield* run(`job 999 ${id}`)
      assert.strictEqual(some.code, 0)
      assert.include(some.stderr, "999")
      assert.strictEqual((yield* run("job 999")).code, 1)
    }))

  it.scopedLive("peek writes the body of the next job, byte for byte", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("a\r\nb\u001b[31m", { tube: "t" })
      assert.strictEqual((yield* run("peek t")).stdout, "a\r\nb\u001b[31m")
      assert.strictEqual((yield* run("peek t", true)).stdout, "a\\r\nb\\x1b[31m\n")
      assert.strictEqual((yield* run("peek t --state buried")).code, 1)
    }))

  it.scopedLive("several servers have a column, or a key, of their own; one that is not there does not hide the others", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* started, yield* started]
      const url = ({ server: { target } }: typeof one) => "port" in target ? `${target.host}:${target.port}` : ""
      const both = yield* beanstalk(["tubes", "-u", url(one), "--url", url(two)])
      assert.match(both.stdout, new RegExp(`^SERVER +TUBE.*\n${url(one)} +default.*\n${url(two)} +default`))
      const half = yield* beanstalk(["tubes", "-u", `${url(one)},127.0.0.1:1`, "--json"])
      assert.strictEqual(half.code, 3)
      assert.strictEqual(JSON.parse(half.stdout).url, `beanstalk://${url(one)}`)
      assert.strictEqual(JSON.parse(half.stderr).error.tag, "ConnectFailed")
    }))
})

describe("beanstalk", () => {
  it.effect("says of every server that is not there the same", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* beanstalk(["stats", "-u", "127.0.0.1:1,127.0.0.1:2"])
      assert.strictEqual(code, 3)
      const said = (port: number) =>
        `beanstalk: cannot reach beanstalkd at 127.0.0.1:${port}: connection refused. Is it running, and is the address right?\n`
      assert.strictEqual(stderr, said(2) + said(1))
    }))

  it.effect("help takes the flags of every command, before or behind the command that it is about", () =>
    Effect.gen(function*() {
      const help = yield* beanstalk(["help"])
      assert.match(help.stdout, /^Looks into a beanstalkd/)
      assert.deepStrictEqual(yield* beanstalk(["help", "--color", "never"]), help)
      const stats = yield* beanstalk(["stats", "--help"])
      for (const line of ["help stats --color never", "help --color never stats", "--color never help stats"]) {
        assert.deepStrictEqual(yield* beanstalk(line.split(" ")), stats, line)
      }
      const wrong = yield* beanstalk(["help", "--colour", "never"])
      assert.strictEqual(wrong.code, 2)
      assert.include(wrong.stderr, "unknown option '--colour'. Did you mean --color?")
    }))

  it.effect("says at once that no server is there", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* beanstalk(["stats", "-u", "127.0.0.1:1"])
      assert.deepStrictEqual([code, stdout], [3, ""])
      assert.strictEqual(
        stderr,
        "beanstalk: cannot reach beanstalkd at 127.0.0.1:1: connection refused. Is it running, and is the address right?\n"
      )
    }))
})
