/** node-beanstalk has no worker: a loop on each connection, as its README has it. */
import type { Employ } from "../contender.ts"
import { open } from "../contenders/node-beanstalk.ts"

const reserveSeconds = 10

export const employ: Employ = async (port, concurrency, ledger) => {
  const clients = await Promise.all(Array.from({ length: concurrency }, () => open(port)))
  return {
    working: Promise.all(clients.map(async (client) => {
      while (ledger.take()) {
        const job = await client.reserveWithTimeout(reserveSeconds)
        if (job === null) throw new Error("reserve gave no job")
        ledger.reserved(job.id, job.payload)
        if (!(await client.delete(job.id))) throw new Error(`delete did not find job ${job.id}`)
        ledger.deleted()
      }
    })),
    close: async () => {
      await Promise.all(clients.map((client) => client.disconnect()))
    }
  }
}
