/** fivebeans' own worker, which has one connection and one job at a time: as many of them. Its bodies are JSON. */
import fivebeans from "fivebeans"
import type { Worker } from "fivebeans"
import type { Employ } from "../contender.ts"
import type { Ledger } from "../ledger.ts"
import { tube } from "../workload.ts"

const workerTo = (port: number, number: number, ledger: Ledger): Worker => {
  // With three parameters, fivebeans hands the id over too.
  const work = (id: string, payload: string, done: (action: "success") => void): void => {
    ledger.reserved(id, payload)
    done("success")
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

export const employ: Employ = async (port, concurrency, ledger) => {
  const workers = Array.from({ length: concurrency }, (_, number) => workerTo(port, number, ledger))
  const working = Promise.race(workers.map(failureOf))
  await Promise.race([working, Promise.all(workers.map(started))])
  return {
    working,
    // Told to stop, it would first wait until its reserve times out.
    close: async () => {
      for (const worker of workers) worker.client.end()
    }
  }
}
