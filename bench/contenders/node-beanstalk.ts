/**
 * node-beanstalk: promises; one command at a time, the others wait in a queue inside the client. Bodies pass as bytes
 * through a serializer that does nothing, the only way to avoid JSON.
 */
import { Client } from "node-beanstalk"
import { sideBySide } from "../contender.ts"
import type { Connect, Session } from "../contender.ts"
import { priority, putBytes, ttr, tube } from "../workload.ts"

const body = Buffer.from(putBytes)
const serializer = { serialize: (data: Buffer): Buffer => data, deserialize: (data: Buffer): Buffer => data }

/** A connection that uses and watches the bench's tube. */
export const open = async (port: number) => {
  const client = new Client({ host: "127.0.0.1", port, serializer })
  await client.connect()
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
        while (ledger.take()) ledger.inserted((await client.put(body, ttr, priority)).id)
      }),
    reserveDelete: (ledger, depth) =>
      sideBySide(depth, async () => {
        while (ledger.take()) {
          const job = await client.reserve()
          if (job === null) throw new Error("reserve gave no job")
          ledger.reserved(job.id, job.payload)
          if (!(await client.delete(job.id))) throw new Error(`delete did not find job ${job.id}`)
          ledger.deleted()
        }
      }),
    close: () => client.disconnect()
  }
}
