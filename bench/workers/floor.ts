/**
 * The floor: as many raw sockets, each of which answers a job with its `delete` and the next reserve, in one write. It copies
 * the id, and counts the deleted jobs.
 */
import type { Socket } from "node:net"
import type { StartWorker, WorkerRun } from "../contender.ts"
import { afterReserved, afterSize, deletedLength, deletePrefix, letterR, open, space } from "../contenders/floor.ts"

const reserveCommand = Buffer.from("reserve-with-timeout 30\r\n", "latin1")
const commandSuffix = Buffer.concat([Buffer.from("\r\n", "latin1"), reserveCommand])

/** Deletes the job whose id stands at this place of the data, and reserves the next. */
const deleteAndReserve = (socket: Socket, data: Buffer, start: number, end: number): void => {
  const command = Buffer.allocUnsafe(deletePrefix.length + end - start + commandSuffix.length)
  deletePrefix.copy(command)
  data.copy(command, deletePrefix.length, start, end)
  commandSuffix.copy(command, deletePrefix.length + end - start)
  socket.write(command)
}

const lane = (socket: Socket, { ledger, waits }: WorkerRun): void => {
  let rest: Buffer | undefined
  socket.on("data", (chunk) => {
    const data = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (at < data.length) {
      if (data[at] === letterR) {
        const endOfId = data.indexOf(space, at + afterReserved)
        if (endOfId === -1 || endOfId + afterSize > data.length) break
        if (waits) setImmediate(deleteAndReserve, socket, data, at + afterReserved, endOfId)
        else deleteAndReserve(socket, data, at + afterReserved, endOfId)
        at = endOfId + afterSize
      } else {
        if (at + deletedLength > data.length) break
        at += deletedLength
        ledger.answeredMany(1)
      }
    }
    rest = at === data.length ? undefined : data.subarray(at)
  })
  socket.write(reserveCommand)
}

export const startWorker: StartWorker = async (run) => {
  const sockets = await Promise.all(Array.from({ length: run.concurrency }, () => open(run.port)))
  for (const socket of sockets) lane(socket, run)
  const working = Promise.all(sockets.map((socket) => new Promise((_, reject) => socket.once("error", reject))))
  return {
    working,
    close: async () => {
      for (const socket of sockets) socket.destroy()
    }
  }
}
