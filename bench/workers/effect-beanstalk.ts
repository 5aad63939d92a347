/** The worker of this project as it is published, plain or with spans and metrics. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { Tube, Worker } from "../../dist/index.js"
import { NodeBeanstalk } from "../../dist/node/index.js"
import type { Employ } from "../contender.ts"
import { tube } from "../workload.ts"

const bodies = Tube.bytes(tube)

const employWith =
  (options: { readonly spans?: true; readonly metrics?: true }): Employ => async (port, concurrency, ledger) => {
    const worker = Worker.make(bodies, (body, job) => Effect.sync(() => ledger.handled(job.id, body)), {
      concurrency,
      ...options
    })
    const client = NodeBeanstalk.layerClient({ host: "127.0.0.1", port })
    const runtime = ManagedRuntime.make(Layer.provide(Layer.scopedDiscard(worker), client))
    await runtime.runtime()
    return {
      // It survives what breaks.
      working: new Promise(() => {}),
      close: () => runtime.dispose()
    }
  }

export const employ = employWith({})

export const employObserved = employWith({ spans: true, metrics: true })
