import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { openTo } from "../support/connections.ts"
import type { Listening } from "../support/server.ts"
import { describeOnOne } from "../support/servers.ts"

const url = ({ target }: Listening) =>
  "path" in target ? `unix:${target.path}` : `beanstalk://${target.host}:${target.port}`

const start = (example: string, env: NodeJS.ProcessEnv, args: ReadonlyArray<string> = []) =>
  spawn(
    process.execPath,
    ["--import", "tsx", fileURLToPath(new URL(`../../scratchpad/${example}`, import.meta.url)), ...args],
    { cwd: fileURLToPath(new URL("../../", import.meta.url)), env: { ...process.env, ...env } }
  )

/** Runs an example as its reader would, and succeeds with what it printed and how it ended. */
const run = (example: string, env: NodeJS.ProcessEnv, args: ReadonlyArray<string> = []) =>
  Effect.async<{ readonly code: number | null; readonly output: string }>((resume) => {
    const child = start(example, env, args)
    let output = ""
    child.stdout.on("data", (chunk) => output += String(chunk))
    child.stderr.on("data", (chunk) => output += String(chunk))
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Starts an example that serves until the scope closes, and succeeds with where it listens. */
const serve = (example: string, env: NodeJS.ProcessEnv) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly address: string; readonly child: ChildProcess }>((resume) => {
        const child = start(example, env)
        let output = ""
        child.stdout.on("data", (chunk) => {
          output += String(chunk)
          const [address] = /http:\/\/[\d.:]+/.exec(output) ?? []
          if (address !== undefined) resume(Effect.succeed({ address, child }))
        })
        child.once("close", () => resume(Effect.dieMessage(`it ended: ${output}`)))
      }),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    ({ address }) => ({ address })
  )

/** Each is a process that takes seconds to start, and waits for nothing but itself. */
const sideBySide = { concurrent: true, timeout: 120_000 }

describeOnOne("the examples", sideBySide, (kind) => {
  it.scopedLive("a job put by one is fetched by the next, and then there is nothing to do", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const env = { BEANSTALKD_URL: url(server) }
      assert.deepStrictEqual(yield* run("one-connection.ts", env), { code: 0, output: "put job 1\n" })
      const fetching = yield* run("scoped-block.ts", env)
      assert.deepStrictEqual(fetching, { code: 0, output: "fetching http://example.org/\n" })
      assert.deepStrictEqual(yield* run("scoped-block.ts", env), { code: 0, output: "nothing to do\n" })
    }))

  it.scopedLive("errors are handled by their names", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("handling-errors.ts", { BEANSTALKD_URL: url(server) })
      assert.strictEqual(code, 0, output)
      assert.include(output, "deleted: true")
      assert.include(output, "put: tube must be")
    }))

  it.scopedLive("the worker loop ends when there is nothing to do", () =>
    Effect.gen(function*() {
      const server = yield* kind.start({ unix: true })
      const ending = yield* run("worker-loop.ts", { BEANSTALKD_URL: url(server) })
      assert.deepStrictEqual(ending, { code: 0, output: "nothing to do\n" })
    }))

  it.scopedLive("a typed tube puts, peeks and purges", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("typed-tube.ts", { BEANSTALKD_URL: url(server) })
      assert.strictEqual(code, 0, output)
      assert.match(output, /^beanstalkd [\w.]+\nput job 1\nnext is http:\/\/example.org\/\npurged 1\n$/)
    }))

  it.scopedLive("a web request puts a job, and hears what that came to", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { address } = yield* serve("web-request.ts", { BEANSTALKD_URL: url(server), PORT: "0" })
      const post = (page: unknown) =>
        Effect.promise(() =>
          fetch(`${address}/pages`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(page)
          })
        )
      const accepted = yield* post({ url: "http://example.org/" })
      assert.strictEqual(accepted.status, 202)
      assert.deepStrictEqual(yield* Effect.promise(() => accepted.json()), { job: "1" })
      assert.strictEqual((yield* post({ url: 1 })).status, 400)
      assert.strictEqual((yield* post({ url: "x".repeat(65_536) })).status, 413)

      const beanstalk = yield* openTo(server, { watch: ["URLs-to-fetch"] })
      const job = yield* beanstalk.reserveWithTimeout(0)
      assert.strictEqual(yield* job.text(), "{\"url\":\"http://example.org/\"}")

      yield* server.drain
      assert.strictEqual((yield* post({ url: "http://example.org/" })).status, 503)
      yield* server.kill
      assert.strictEqual((yield* post({ url: "http://example.org/" })).status, 503)
    }))

  it.scopedLive("every line of a file becomes a job", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const folder = yield* temporaryFolder
      const file = join(folder, "lines.txt")
      writeFileSync(file, Array.from({ length: 5000 }, (_, line) => `line ${line + 1}\n`).join(""))
      const env = { BEANSTALKD_URL: url(server) }
      assert.deepStrictEqual(yield* run("bulk-import.ts", env, [file]), {
        code: 0,
        output: "put 5000 jobs into imported\n"
      })

      writeFileSync(file, `short\n${"x".repeat(70_000)}\nshort\n`)
      const { code, output } = yield* run("bulk-import.ts", env, [file])
      assert.strictEqual(code, 1, output)
      assert.match(output, /^line 2: put: a body of 70000 bytes/m)
      const [, next = ""] = /^put \d jobs into imported; go on with line (\d)$/m.exec(output) ?? []
      assert.include(["3", "4"], next)
      assert.deepStrictEqual(yield* run("bulk-import.ts", env, [file, "3"]), {
        code: 0,
        output: "put 1 jobs into imported\n"
      })
    }))

  it.scopedLive("what one server cannot take goes to the other", () =>
    Effect.gen(function*() {
      const primary = yield* kind.start()
      const secondary = yield* kind.start()
      const puts = run("two-servers.ts", {}, [url(primary), url(secondary)])
      assert.match((yield* puts).output, /^put job 1 at .*\n$/)
      yield* primary.drain
      assert.match((yield* puts).output, /^Draining: turning to .*\nput job 1 at .*\n$/)
      yield* primary.kill
      const { code, output } = yield* puts
      assert.strictEqual(code, 0)
      assert.match(output, /ConnectFailed: turning to .*\nput job 2 at .*\n$/)
    }))

  it.scopedLive("the main job puts aside what cannot be fetched", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("urls-to-fetch.ts", { BEANSTALKD_URL: url(server) }, ["no-url-at-all"])
      assert.strictEqual(code, 0, output)
      assert.include(output, "put 1 URLs")
      assert.include(output, "InvalidUrl")
    }))
})

describe("without any server", sideBySide, () => {
  it.live("the main job fetches every page and ends by itself", () =>
    Effect.gen(function*() {
      const { code, output } = yield* run("urls-to-fetch.ts", { BEANSTALKD_URL: undefined })
      assert.strictEqual(code, 0, output)
      const [, jobs] = /put (\d+) URLs/.exec(output) ?? []
      assert.strictEqual(output.match(/: 200 {2}/g)?.length, Number(jobs), output)
      assert.strictEqual(output.match(/nothing arrived for a second/g)?.length, 3, output)
    }))

  it.live("seven hours and an outage pass in a moment", () =>
    Effect.gen(function*() {
      const { code, output } = yield* run("hours-in-a-moment.ts", {})
      assert.strictEqual(code, 0, output)
      const events = ["put", "reserved", "released", "due", "reserved", "released", "due", "reserved", "released"]
      assert.deepStrictEqual(
        output.trim().split("\n").map((line) => /job 1 (.*)$/.exec(line)?.[1]),
        [...events, "due", "reserved", "deleted"]
      )
      assert.match(output, /^7h \d+m.*deleted$/m)
    }))
})
