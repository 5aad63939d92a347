/** A job that kills its workers is buried in the end, and what waits behind it is done. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { bundle } from "../support/bundled.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, newTube } from "../support/connections.ts"
import { describeOnOne } from "../support/servers.ts"

const good = 100

/** Runs until it dies, or nobody waits for it any more. The signal that ended it. */
const lifeOf = (program: string, port: number, tube: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => spawn(process.execPath, [program, `${port}`, tube], { stdio: "ignore" })),
    (child) =>
      Effect.async<ChildProcess["signalCode"]>((resume) => {
        child.once("exit", (_, signal) => resume(Effect.succeed(signal)))
      }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

describeOnOne("A worker that is killed by a job", { timeout: 120_000 }, (kind) => {
  it.scopedLive("is started again until the job is buried, and the others are done", () =>
    Effect.gen(function*() {
      const program = yield* bundle("test/fixtures/crashing-worker.ts")
      const server = yield* kind.start()
      const tube = yield* newTube
      const client = yield* clientTo(server)
      const port = "port" in server.target ? server.target.port : 0
      const deadly = yield* client.put(tube, "deadly", { priority: 0 })
      yield* Effect.replicateEffect(client.put(tube, "good"), good)
      // Whoever died of it too early, or too late, would not be one of these.
      const deaths = yield* Effect.replicateEffect(lifeOf(program, port, tube), 3)
      assert.deepStrictEqual(deaths, ["SIGKILL", "SIGKILL", "SIGKILL"])
      yield* Effect.forkScoped(lifeOf(program, port, tube))
      const stats = yield* eventually(
        Effect.orDie(client.statsTube(tube)),
        ({ cmdDelete, currentJobsBuried }) => cmdDelete === good && currentJobsBuried === 1
      )
      assert.strictEqual(stats.currentJobsReady, 0)
      const { buries, releases, reserves, state, timeouts } = yield* client.statsJob(deadly)
      // The fourth has only looked at what it has been through.
      assert.deepStrictEqual(
        { state, reserves, buries, releases, timeouts },
        { state: "buried", reserves: 4, buries: 1, releases: 0, timeouts: 0 }
      )
    }))
})
