/** fivebeans: callbacks, pipelined, one socket write for each command. */
import fivebeans from "fivebeans"
import type { Client } from "fivebeans"
import { once } from "node:events"
import type { Connect, Session } from "../contender.ts"
import type { Ledger } from "../ledger.ts"
import { priority, putBytes, ttr, tube } from "../workload.ts"

// Made once: fivebeans copies any other body into a Buffer for every put.
const body = Buffer.from(putBytes)

const answer = (command: (callback: (error: unknown) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    command((error) => error === null || error === undefined ? resolve() : reject(new Error(String(error))))
  })

/** Runs `depth` callback loops; each ends by calling its `done`, with an error if there was one. */
const sideBySide = (depth: number, loop: (done: (error?: unknown) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    let running = depth
    const done = (error?: unknown): void => {
      if (error !== null && error !== undefined) reject(new Error(String(error)))
      else if (--running === 0) resolve()
    }
    for (let i = 0; i < depth; i++) loop(done)
  })

const put = (client: Client, ledger: Ledger, depth: number): Promise<void> =>
  sideBySide(depth, (done) => {
    const onInserted = (error: unknown, id: string): void => {
      if (error !== null) return done(error)
      ledger.inserted(id)
      next()
    }
    const next = (): void => ledger.take() ? client.put(priority, 0, ttr, body, onInserted) : done()
    next()
  })

const reserveDelete = (client: Client, ledger: Ledger, depth: number): Promise<void> =>
  sideBySide(depth, (done) => {
    const onReserved = (error: unknown, id: string, payload: Buffer): void => {
      if (error !== null) return done(error)
      ledger.reserved(id, payload)
      client.destroy(id, onDeleted)
    }
    const onDeleted = (error: unknown): void => {
      if (error !== null) return done(error)
      ledger.deleted()
      next()
    }
    const next = (): void => ledger.take() ? client.reserve(onReserved) : done()
    next()
  })

export const connect: Connect = async (port): Promise<Session> => {
  const client = new fivebeans.client("127.0.0.1", port)
  const connected = once(client, "connect")
  client.connect()
  await connected
  await answer((callback) => client.use(tube, callback))
  await answer((callback) => client.watch(tube, callback))
  await answer((callback) => client.ignore("default", callback))
  return {
    put: (ledger, depth) => put(client, ledger, depth),
    reserveDelete: (ledger, depth) => reserveDelete(client, ledger, depth),
    close: async () => client.end()
  }
}
