/**
 * A process of its own that stands between a client and the server at a port, and takes a millisecond each way. Whatever is
 * due leaves in one piece, as on a real line, so that it costs little besides the time.
 */
import { connect, createServer, type Socket } from "node:net"

const port = Number(process.argv[2])
const latency = 1

const delay = (from: Socket, to: Socket): void => {
  const underway: Array<{ readonly due: number; readonly bytes: Buffer }> = []
  const arrive = (): void => {
    const now = performance.now()
    const arrived = underway.findIndex(({ due }) => due > now)
    const due = underway.splice(0, arrived === -1 ? underway.length : arrived)
    if (due.length > 0) to.write(Buffer.concat(due.map(({ bytes }) => bytes)))
    if (underway.length > 0) setTimeout(arrive, latency)
  }
  from.setNoDelay(true)
  from.on("data", (bytes) => {
    if (underway.length === 0) setTimeout(arrive, latency)
    underway.push({ due: performance.now() + latency, bytes })
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
