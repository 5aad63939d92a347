/** `Worker.make` of this project, from its build; plain, or with spans and metrics. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { Tube, Worker } from "../../dist/index.js"
import { NodeBeanstalk } from "../../dist/node/index.js"
import type { StartWorker } from "../contender.ts"
import { tube } from "../workload.ts"
import { turnOfEventLoop } from "./turn.ts"

const bodies = Tube.bytes(tube)

const startWith =
  (options: { readonly spans?: true; readonly metrics?: true }): StartWorker =>
  async ({ concurrency, ledger, port, waits }) => {
    const worker = Worker.make(
      bodies,
      (body, job) => {
        const handled = Effect.sync(() => ledger.handled(job.id, body))
        return waits ? Effect.zipRight(turnOfEventLoop, handled) : handled
      },
      { concurrency, ...options }
    )
    const client = NodeBeanstalk.layerClient({ host: "127.0.0.1", port })
    const runtime = ManagedRuntime.make(Layer.provide(Layer.scopedDiscard(worker), client))
    await runtime.runtime()
    return {
      // It never fails: it reconnects, and retries.
      working: new Promise(() => {}),
      close: () => runtime.dispose()
    }
  }

export const startWorker = startWith({})

export const startObservedWorker = startWith({ spans: true, metrics: true })
