/** `Worker.jobs` of this project, from its build: one Stream for each unit of concurrency, with a connection of its own. */
import { Effect, Fiber, ManagedRuntime, Stream } from "effect"
import { Tube, Worker } from "../../dist/index.js"
import { NodeBeanstalk } from "../../dist/node/index.js"
import type { StartWorker } from "../contender.ts"
import { tube } from "../workload.ts"
import { turnOfEventLoop } from "./turn.ts"

const bodies = Tube.bytes(tube)

export const startWorker: StartWorker = async ({ concurrency, ledger, port, waits }) => {
  const stream = Stream.runForEach(Worker.jobs(bodies), (job) => {
    const handled = Effect.zipRight(Effect.sync(() => ledger.handled(job.id, job.payload)), job.complete)
    return waits ? Effect.zipRight(turnOfEventLoop, handled) : handled
  })
  const streams = Effect.replicateEffect(stream, concurrency, { concurrency: "unbounded", discard: true })
  const runtime = ManagedRuntime.make(NodeBeanstalk.layerClient({ host: "127.0.0.1", port }))
  await runtime.runtime()
  const fiber = runtime.runFork(streams)
  return {
    working: runtime.runPromise(Fiber.join(fiber)),
    close: async () => {
      await Effect.runPromise(Fiber.interrupt(fiber))
      await runtime.dispose()
    }
  }
}
