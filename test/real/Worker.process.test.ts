/** A process whose worker was shut down: it holds nothing, and ends by itself, whatever handler was left behind. */
import { assert, it } from "@effect/vitest"

import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { bundle } from "../support/bundled.ts"
import { eventually, openTo } from "../support/connections.ts"
import { describeOnOne } from "../support/servers.ts"

/** Runs the process to its end, and reads what it said. */
const runProcess = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const program = yield* bundle("test/fixtures/worker-process.ts")
    const ended = yield* Deferred.make<number | null>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, ...args])),
      (child) => Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
    )
    let said = ""
    child.stdout.on("data", (chunk) => said += chunk)
    child.stderr.on("data", (chunk) => said += chunk)
    child.on("close", (code) => Deferred.unsafeDone(ended, Effect.succeed(code)))
    return { code: yield* Deferred.await(ended), said }
  })

describeOnOne("rule 25: a process whose worker was shut down", {}, (kind) => {
  it.scopedLive.each(["interruptible", "uninterruptible"])(
    "holds nothing, and ends by itself: %s",
    (handler) =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const port = "port" in server.target ? server.target.port : 0
        const { code, said } = yield* runProcess(`${port}`, handler)
        assert.strictEqual(code, 0, said)
        const { after, before, disowned, interrupted } = JSON.parse(said.slice(said.lastIndexOf("{")))
        assert.deepStrictEqual(after, before)
        assert.deepStrictEqual([interrupted, disowned], handler === "uninterruptible" ? [[], ["1"]] : [["1"], []])
        const beanstalk = yield* openTo(server)
        const stats = yield* eventually(beanstalk.stats, ({ currentConnections }) => currentConnections === 1)
        assert.strictEqual(stats.currentJobsReserved, 0)
        assert.strictEqual((yield* beanstalk.statsJob("1")).releases, 0)
      })
  )
})
