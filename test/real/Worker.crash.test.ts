/** A job that kills its workers is buried after `maxDisconnects`, and the other jobs are completed. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { bundle } from "../support/bundled.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, newTube } from "../support/connections.ts"
import { describeOnOne } from "../support/servers.ts"

const good = 100

/** Runs the program until it ends, and returns the signal that ended it. It is killed if the caller is interrupted. */
const runProgram = (program: string, port: number, tube: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => spawn(process.execPath, [program, `${port}`, tube], { stdio: "ignore" })),
    (child) =>
      Effect.async<ChildProcess["signalCode"]>((resume) => {
        child.once("exit", (_, signal) => resume(Effect.succeed(signal)))
      }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

describeOnOne("a worker that is killed by a job", {}, (kind) => {
  it.scopedLive("is started again until the job is buried, and completes the other jobs", () =>
    Effect.gen(function*() {
      const program = yield* bundle("test/fixtures/crashing-worker.ts")
      const server = yield* kind.start()
      const tube = yield* newTube
      const client = yield* clientTo(server)
      const port = "port" in server.target ? server.target.port : 0
      const deadly = yield* client.put(tube, "deadly", { priority: 0 })
      yield* Effect.replicateEffect(client.put(tube, "good"), good)
      // A worker that ended otherwise than by the job would have another signal, or none.
      const deaths = yield* Effect.replicateEffect(runProgram(program, port, tube), 3)
      assert.deepStrictEqual(deaths, ["SIGKILL", "SIGKILL", "SIGKILL"])
      yield* Effect.forkScoped(runProgram(program, port, tube))
      const stats = yield* eventually(
        Effect.orDie(client.statsTube(tube)),
        ({ cmdDelete, currentJobsBuried }) => cmdDelete === good && currentJobsBuried === 1
      )
      assert.strictEqual(stats.currentJobsReady, 0)
      const { buries, releases, reserves, state, timeouts } = yield* client.statsJob(deadly)
      // The fourth worker reserved it, read its stats, and buried it without running it.
      assert.deepStrictEqual(
        { state, reserves, buries, releases, timeouts },
        { state: "buried", reserves: 4, buries: 1, releases: 0, timeouts: 0 }
      )
    }))
})
