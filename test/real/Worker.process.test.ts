/** A process whose worker was shut down holds no resource of it, and ends by itself, even if the worker abandoned a handler. */
import { assert, it } from "@effect/vitest"

import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { bundle } from "../support/bundled.ts"
import { eventually, openTo } from "../support/connections.ts"
import { describeOnOne } from "../support/servers.ts"

/** Runs the program to its end. Returns its exit code and its output. */
const runProcess = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const program = yield* bundle("test/fixtures/worker-process.ts")
    const ended = yield* Deferred.make<number | null>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, ...args])),
      (child) => Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
    )
    let output = ""
    child.stdout.on("data", (chunk) => output += chunk)
    child.stderr.on("data", (chunk) => output += chunk)
    child.on("close", (code) => Deferred.unsafeDone(ended, Effect.succeed(code)))
    return { code: yield* Deferred.await(ended), output }
  })

describeOnOne("rule 25: a process whose worker was shut down", {}, (kind) => {
  it.scopedLive.each(["interruptible", "uninterruptible"])(
    "holds no resource of the worker, and ends by itself: with a handler that is %s",
    (handler) =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const port = "port" in server.target ? server.target.port : 0
        const { code, output } = yield* runProcess(`${port}`, handler)
        assert.strictEqual(code, 0, output)
        const { after, before, interrupted, orphaned } = JSON.parse(output.slice(output.lastIndexOf("{")))
        assert.deepStrictEqual(after, before)
        assert.deepStrictEqual([interrupted, orphaned], handler === "uninterruptible" ? [[], ["1"]] : [["1"], []])
        const beanstalk = yield* openTo(server)
        const stats = yield* eventually(beanstalk.stats, ({ currentConnections }) => currentConnections === 1)
        assert.strictEqual(stats.currentJobsReserved, 0)
        assert.strictEqual((yield* beanstalk.statsJob("1")).releases, 0)
      })
  )
})
