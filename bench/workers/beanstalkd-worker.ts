/** The npm package beanstalkd-worker, on the npm package beanstalkd. It asks for `stats-job` before it runs a job. */
import BeanstalkdWorker from "beanstalkd-worker"
import type { Job } from "beanstalkd-worker"
import type { Employ } from "../contender.ts"
import { tube } from "../workload.ts"

export const employ: Employ = async (port, concurrency, ledger) => {
  const worker = new BeanstalkdWorker("127.0.0.1", port)
  worker.handle(
    tube,
    // Its `this` is the job.
    async function(this: Job, payload: string) {
      ledger.handled(this.id, payload)
    },
    { width: concurrency }
  )
  worker.start()
  return {
    // It tells nobody of its errors.
    working: new Promise(() => {}),
    close: async () => {
      await worker.stop()
    }
  }
}
