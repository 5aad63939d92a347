/** node-beanstalk has no worker: a loop on each connection, as in its README. */
import { turnOfEventLoop } from "../contender.ts"
import type { StartWorker } from "../contender.ts"
import { open } from "../contenders/node-beanstalk.ts"

const reserveSeconds = 10

export const startWorker: StartWorker = async ({ concurrency, ledger, port, waits }) => {
  const clients = await Promise.all(Array.from({ length: concurrency }, () => open(port)))
  return {
    working: Promise.all(clients.map(async (client) => {
      while (ledger.take()) {
        const job = await client.reserveWithTimeout(reserveSeconds)
        if (job === null) throw new Error("reserve gave no job")
        ledger.reserved(job.id, job.payload)
        if (waits) await turnOfEventLoop()
        if (!(await client.delete(job.id))) throw new Error(`delete did not find job ${job.id}`)
        ledger.deleted()
      }
    })),
    close: async () => {
      await Promise.all(clients.map((client) => client.disconnect()))
    }
  }
}
