/** jackd has no worker: a loop on each connection, as its README has it. */
import type { Employ } from "../contender.ts"
import { open } from "../contenders/jackd.ts"

export const employ: Employ = async (port, concurrency, ledger) => {
  const clients = await Promise.all(Array.from({ length: concurrency }, () => open(port)))
  return {
    working: Promise.all(clients.map(async (client) => {
      while (ledger.take()) {
        const job = await client.reserve()
        ledger.reserved(job.id, job.payload)
        await client.delete(job.id)
        ledger.deleted()
      }
    })),
    close: async () => {
      await Promise.all(clients.map((client) => client.quit()))
    }
  }
}
