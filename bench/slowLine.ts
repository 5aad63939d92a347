/**
 * A proxy between a client and the server at a port, with a latency of one millisecond each way. All bytes that are due leave in
 * one write, so that the proxy costs little besides the latency.
 */
import { connect, createServer, type Socket } from "node:net"

const port = Number(process.argv[2])
const latency = 1

const delay = (from: Socket, to: Socket): void => {
  const inTransit: Array<{ readonly due: number; readonly bytes: Buffer }> = []
  const arrive = (): void => {
    const now = performance.now()
    const arrived = inTransit.findIndex(({ due }) => due > now)
    const due = inTransit.splice(0, arrived === -1 ? inTransit.length : arrived)
    if (due.length > 0) to.write(Buffer.concat(due.map(({ bytes }) => bytes)))
    if (inTransit.length > 0) setTimeout(arrive, latency)
  }
  from.setNoDelay(true)
  from.on("data", (bytes) => {
    if (inTransit.length === 0) setTimeout(arrive, latency)
    inTransit.push({ due: performance.now() + latency, bytes })
  })
  from.on("close", () => to.destroy())
}

const line = createServer((client) => {
  const server = connect({ host: "127.0.0.1", port })
  delay(client, server)
  delay(server, client)
})

line.listen(0, "127.0.0.1", () => {
  const address = line.address()
  console.log(typeof address === "object" ? address?.port : address)
})
