/**
 * How soon a client reconnects: the real server is killed and started again after a pause, during which a put waits. Measured is
 * the time from when the port accepts connections again to when the put is acknowledged.
 */
import { Effect } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { BeanstalkClient } from "../dist/index.js"
import { NodeBeanstalk } from "../dist/node/index.js"
import { accepts, startServer } from "./server.ts"
import { spread } from "./statistics.ts"
import { putBytes, tube } from "./workload.ts"

const outages = Number(process.argv[2] ?? 20)
const pauseMillis = Number(process.argv[3] ?? 200)

/** When the port accepted a connection, by the monotonic clock. */
const whenOpen = async (port: number): Promise<number> => {
  while (!await accepts(port)) await sleep(1)
  return performance.now()
}

const outage = async (client: BeanstalkClient.Client, port: number) => {
  const stopped = performance.now()
  const putting = Effect.runPromise(client.put(tube, putBytes)).then(() => performance.now())
  await sleep(pauseMillis)
  const starting = startServer({ port })
  const opened = await whenOpen(port)
  const put = await putting
  return { down: opened - stopped, recovery: put - opened, server: await starting }
}

const program = Effect.gen(function*() {
  let server = yield* Effect.promise(() => startServer())
  const { port } = server
  const measured: Array<{ readonly down: number; readonly recovery: number }> = []
  const layer = NodeBeanstalk.layerClient({ host: "127.0.0.1", port })
  yield* Effect.gen(function*() {
    const client = yield* BeanstalkClient.BeanstalkClient
    for (let i = 0; i < outages; i++) {
      yield* client.put(tube, putBytes)
      yield* Effect.promise(() => server.stop("SIGKILL"))
      const { down, recovery, server: next } = yield* Effect.promise(() => outage(client, port))
      server = next
      measured.push({ down, recovery })
    }
  }).pipe(Effect.provide(layer))
  yield* Effect.promise(() => server.stop())
  const { max, median, min } = spread(measured.map(({ recovery }) => recovery))
  const values = measured.map(({ recovery }) => recovery.toFixed(0)).join(" ")
  console.log(`\n${outages} outages of ${spread(measured.map(({ down }) => down)).median.toFixed(0)} ms`)
  console.log(`  first put after the port is open: ${values} ms`)
  console.log(`  median ${median.toFixed(0)} ms (${min.toFixed(0)}-${max.toFixed(0)})`)
})

await Effect.runPromise(program)
