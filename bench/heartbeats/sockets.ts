/** The floor of the heartbeats: a process with `count` raw sockets, each of which reserves a job and touches it. */
import { connect } from "node:net"
import { tube } from "../workload.ts"
import "./processorTime.ts"

const [port, count, everyMillis] = process.argv.slice(2).map(Number)

const hold = (): void => {
  const socket = connect({ host: "127.0.0.1", port: Number(port), noDelay: true })
  let before = ""
  const onReserved = (chunk: Buffer): void => {
    before += chunk.toString("latin1")
    const [, id] = /RESERVED (\d+) /.exec(before) ?? []
    if (id === undefined) return
    const touch = Buffer.from(`touch ${id}\r\n`, "latin1")
    socket.off("data", onReserved).on("data", () => {})
    setInterval(() => socket.write(touch), everyMillis)
  }
  socket.on("data", onReserved)
  socket.write(`watch ${tube}\r\nignore default\r\nreserve\r\n`)
}

for (let i = 0; i < Number(count); i++) hold()
