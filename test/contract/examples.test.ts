import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Listening } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"

const url = ({ target }: Listening) =>
  "path" in target ? `unix:${target.path}` : `beanstalk://${target.host}:${target.port}`

/** Runs an example as its reader would, and succeeds with what it printed and how it ended. */
const run = (example: string, env: NodeJS.ProcessEnv, args: ReadonlyArray<string> = []) =>
  Effect.async<{ readonly code: number | null; readonly output: string }>((resume) => {
    const file = fileURLToPath(new URL(`../../scratchpad/${example}`, import.meta.url))
    const child = spawn(process.execPath, ["--import", "tsx", file, ...args], {
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      env: { ...process.env, ...env }
    })
    let output = ""
    child.stdout.on("data", (chunk) => output += String(chunk))
    child.stderr.on("data", (chunk) => output += String(chunk))
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describeListening("the examples", (kind) => {
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

  it.scopedLive("the main job puts aside what cannot be fetched", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("urls-to-fetch.ts", { BEANSTALKD_URL: url(server) }, ["no-url-at-all"])
      assert.strictEqual(code, 0, output)
      assert.include(output, "put 1 URLs")
      assert.include(output, "InvalidUrl")
    }))
})

describe("without any server", () => {
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
