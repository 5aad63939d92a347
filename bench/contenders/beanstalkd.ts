/** The npm package beanstalkd: promises; one command at a time, the others wait in a queue inside the client. */
import beanstalkd from "beanstalkd"
import { sideBySide } from "../contender.ts"
import type { Connect, Session } from "../contender.ts"
import { priority, putBytes, ttr, tube } from "../workload.ts"

const body = Buffer.from(putBytes)

export const connect: Connect = async (port): Promise<Session> => {
  const client = new beanstalkd.default("127.0.0.1", port)
  await client.connect()
  await client.use(tube)
  await client.watch(tube)
  await client.ignore("default")
  return {
    put: (ledger, depth) =>
      sideBySide(depth, async () => {
        while (ledger.take()) ledger.inserted(await client.put(priority, 0, ttr, body))
      }),
    reserveDelete: (ledger, depth) =>
      sideBySide(depth, async () => {
        while (ledger.take()) {
          const [id, payload] = await client.reserve()
          ledger.reserved(id, payload)
          await client.delete(id)
          ledger.deleted()
        }
      }),
    close: async () => {
      await client.quit()
    }
  }
}
