/** jackd: promises, pipelined. It is given text, because it turns bytes into JSON. */
import JackdClient from "jackd"
import { sideBySide } from "../contender.ts"
import type { Connect, Session } from "../contender.ts"
import { priority, putText, ttr, tube } from "../workload.ts"

const options = { priority, ttr }

/** A connection that uses and watches the bench's tube. */
export const open = async (port: number): Promise<JackdClient> => {
  const client = new JackdClient()
  await client.connect({ host: "127.0.0.1", port })
  await client.use(tube)
  await client.watch(tube)
  await client.ignore("default")
  return client
}

export const connect: Connect = async (port): Promise<Session> => {
  const client = await open(port)
  return {
    put: (ledger, depth) =>
      sideBySide(depth, async () => {
        while (ledger.take()) ledger.inserted(await client.put(putText, options))
      }),
    reserveDelete: (ledger, depth) =>
      sideBySide(depth, async () => {
        while (ledger.take()) {
          const job = await client.reserve()
          ledger.reserved(job.id, job.payload)
          await client.delete(job.id)
          ledger.deleted()
        }
      }),
    close: () => client.quit()
  }
}
