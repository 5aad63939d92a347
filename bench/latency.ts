/**
 * How many times faster 1,000 puts are at once than one at a time, when each way takes a millisecond. The way is a process
 * of its own, since it is no part of what is measured.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { BeanstalkClient } from "../dist/index.js"
import { NodeBeanstalk } from "../dist/node/index.js"
import { killOnExit } from "./processes.ts"
import { startServer } from "./server.ts"
import { spread } from "./statistics.ts"
import { putBytes, tube } from "./workload.ts"

const rounds = Number(process.argv[2] ?? 15)
const together = 1000
const alone = 100

const server = await startServer()
const line = spawn(process.execPath, ["--import", "tsx", "bench/slowLine.ts", String(server.port)], {
  stdio: ["ignore", "pipe", "inherit"]
})
killOnExit(line)
const [port] = await once(line.stdout, "data")

/** Milliseconds a put. */
const timeOf = <E>(put: Effect.Effect<unknown, E>, count: number, concurrency: 1 | "unbounded") =>
  Effect.suspend(() => {
    const before = performance.now()
    return Effect.map(
      Effect.replicateEffect(put, count, { concurrency, discard: true }),
      () => (performance.now() - before) / count
    )
  })

const ratios = await Effect.gen(function*() {
  const client = yield* BeanstalkClient.BeanstalkClient
  const put = Effect.suspend(() => client.put(tube, putBytes))
  for (let round = 0; round < 20; round++) yield* timeOf(put, together, "unbounded")
  const ratios: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const one = yield* timeOf(put, alone, 1)
    const many = yield* timeOf(put, together, "unbounded")
    ratios.push(one / many)
    console.log(
      `one at a time ${one.toFixed(2)} ms, ${together} at once ${(many * together).toFixed(1)} ms: ${
        (one / many).toFixed(0)
      } x`
    )
  }
  return ratios
}).pipe(Effect.provide(NodeBeanstalk.layerClient({ port: Number(String(port)) })), Effect.runPromise)

const { max, median, min } = spread(ratios)
console.log(`median ${median.toFixed(0)} x (${min.toFixed(0)}-${max.toFixed(0)})`)
line.kill()
await server.stop()
