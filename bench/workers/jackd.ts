/** jackd has no worker: a loop on each connection, as in its README. */
import { turnOfEventLoop } from "../contender.ts"
import type { StartWorker } from "../contender.ts"
import { open } from "../contenders/jackd.ts"

export const startWorker: StartWorker = async ({ concurrency, ledger, port, waits }) => {
  const clients = await Promise.all(Array.from({ length: concurrency }, () => open(port)))
  return {
    working: Promise.all(clients.map(async (client) => {
      while (ledger.take()) {
        const job = await client.reserve()
        ledger.reserved(job.id, job.payload)
        if (waits) await turnOfEventLoop()
        await client.delete(job.id)
        ledger.deleted()
      }
    })),
    close: async () => {
      await Promise.all(clients.map((client) => client.quit()))
    }
  }
}
