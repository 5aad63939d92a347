/** The worker of fivebeans has one connection and one job at a time, so several are started. Its bodies are JSON. */
import fivebeans from "fivebeans"
import type { Worker } from "fivebeans"
import type { StartWorker, WorkerRun } from "../contender.ts"
import { tube } from "../workload.ts"

const makeWorker = ({ ledger, port, waits }: WorkerRun, number: number): Worker => {
  // To a handler with three parameters, fivebeans also passes the id.
  const work = (id: string, payload: string, done: (action: "success") => void): void => {
    ledger.reserved(id, payload)
    if (waits) setImmediate(done, "success")
    else done("success")
  }
  const worker = new fivebeans.worker({
    id: `worker-${number}`,
    host: "127.0.0.1",
    port,
    handlers: { [tube]: { type: tube, work } },
    ignoreDefault: true
  })
  return worker.on("job.deleted", ledger.deleted)
}

const failureOf = (worker: Worker): Promise<never> =>
  new Promise((_, reject) => {
    worker.on("error", reject)
    worker.on("warning", ({ message, error }) => reject(new Error(`${message}: ${error}`)))
  })

const started = (worker: Worker): Promise<void> =>
  new Promise((resolve) => {
    worker.once("started", resolve)
    worker.start([tube])
  })

export const startWorker: StartWorker = async (run) => {
  const workers = Array.from({ length: run.concurrency }, (_, number) => makeWorker(run, number))
  const working = Promise.race(workers.map(failureOf))
  await Promise.race([working, Promise.all(workers.map(started))])
  return {
    working,
    // Its own `stop` waits until the pending reserve times out.
    close: async () => {
      for (const worker of workers) worker.client.end()
    }
  }
}
