/** The npm package beanstalkd-worker, on the npm package beanstalkd. It sends `stats-job` before it runs a job. */
import BeanstalkdWorker from "beanstalkd-worker"
import type { Job } from "beanstalkd-worker"
import { turnOfEventLoop } from "../contender.ts"
import type { StartWorker } from "../contender.ts"
import { tube } from "../workload.ts"

export const startWorker: StartWorker = async ({ concurrency, ledger, port, waits }) => {
  const worker = new BeanstalkdWorker("127.0.0.1", port)
  worker.handle(
    tube,
    // It calls the handler with the job as `this`.
    async function(this: Job, payload: string) {
      if (waits) await turnOfEventLoop()
      ledger.handled(this.id, payload)
    },
    { width: concurrency }
  )
  worker.start()
  return {
    // It does not report its errors.
    working: new Promise(() => {}),
    close: async () => {
      await worker.stop()
    }
  }
}
