/**
 * The floor: what Node and beanstalkd can do without parsing, matching, validating or reporting. It handles no errors and is
 * no client. All replies of one chunk are answered by one write.
 */
import { once } from "node:events"
import { connect as connectSocket } from "node:net"
import type { Socket } from "node:net"
import type { Connect, Session } from "../contender.ts"
import type { Ledger } from "../ledger.ts"
import { bodySize, priority, putText, ttr, tube } from "../workload.ts"

export const letterR = 0x52
export const space = 0x20
const newline = 0x0a
export const afterReserved = "RESERVED ".length
export const afterSize = ` ${bodySize}\r\n`.length + bodySize + 2
export const deletedLength = "DELETED\r\n".length
export const deletePrefix = Buffer.from("delete ", "latin1")
const reserveCommand = Buffer.from("reserve\r\n", "latin1")
const putCommand = Buffer.from(`put ${priority} 0 ${ttr} ${bodySize}\r\n${putText}\r\n`, "latin1")

/** Longer than any command of the pair: `delete`, twenty digits, CRLF. */
const commandBound = 32

const repeat = (command: Buffer, times: number): Buffer => Buffer.concat(Array.from({ length: times }, () => command))

const countReplies = (chunk: Buffer): number => {
  let replies = 0
  for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, at + 1)) replies++
  return replies
}

/** Handles the data of the socket until `done` is called. */
const listen = (socket: Socket, start: (done: () => void) => (chunk: Buffer) => void): Promise<void> =>
  new Promise((resolve) => {
    const onData = start(() => {
      socket.off("data", onData)
      resolve()
    })
    socket.on("data", onData)
  })

const put = (socket: Socket, ledger: Ledger, depth: number): Promise<void> => {
  const block = repeat(putCommand, depth)
  let unsent = ledger.operations
  const send = (count: number): void => {
    const now = Math.min(count, unsent)
    unsent -= now
    if (now > 0) socket.write(block.subarray(0, now * putCommand.length))
  }
  const done = listen(socket, (finish) => (chunk) => {
    const replies = countReplies(chunk)
    ledger.answeredMany(replies)
    send(replies)
    if (ledger.answered === ledger.operations) finish()
  })
  send(depth)
  return done
}

const reserveDelete = (socket: Socket, ledger: Ledger, depth: number): Promise<void> => {
  let unsent = ledger.operations
  let rest: Buffer | undefined
  const done = listen(socket, (finish) => (chunk) => {
    const data = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    const commands = Buffer.allocUnsafe((Math.floor(data.length / deletedLength) + 1) * commandBound)
    let written = 0
    let at = 0
    let deleted = 0
    while (at < data.length) {
      if (data[at] === letterR) {
        const endOfId = data.indexOf(space, at + afterReserved)
        if (endOfId === -1 || endOfId + afterSize > data.length) break
        written += deletePrefix.copy(commands, written)
        written += data.copy(commands, written, at + afterReserved, endOfId)
        commands[written++] = 0x0d
        commands[written++] = newline
        at = endOfId + afterSize
      } else {
        if (at + deletedLength > data.length) break
        at += deletedLength
        deleted++
        if (unsent > 0) {
          unsent--
          written += reserveCommand.copy(commands, written)
        }
      }
    }
    rest = at === data.length ? undefined : data.subarray(at)
    if (written > 0) socket.write(commands.subarray(0, written))
    ledger.answeredMany(deleted)
    if (ledger.answered === ledger.operations) finish()
  })
  const first = Math.min(depth, unsent)
  unsent -= first
  socket.write(repeat(reserveCommand, first))
  return done
}

/** A socket that uses and watches the bench's tube. */
export const open = async (port: number): Promise<Socket> => {
  const socket = connectSocket({ host: "127.0.0.1", port, noDelay: true })
  await once(socket, "connect")
  let lines = 0
  const ready = listen(socket, (finish) => (chunk) => {
    lines += countReplies(chunk)
    if (lines === 3) finish()
  })
  socket.write(`use ${tube}\r\nwatch ${tube}\r\nignore default\r\n`)
  await ready
  return socket
}

export const connect: Connect = async (port): Promise<Session> => {
  const socket = await open(port)
  return {
    put: (ledger, depth) => put(socket, ledger, depth),
    reserveDelete: (ledger, depth) => reserveDelete(socket, ledger, depth),
    close: async () => {
      socket.destroy()
    }
  }
}
