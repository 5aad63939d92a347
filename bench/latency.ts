/**
 * How many times faster 1,000 puts are at once than one at a time, over a line with a latency of one millisecond each way. The
 * line is a process of its own, so that its CPU time is not that of the client.
 */
import { Effect, Stream } from "effect"
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
const warmup = 10

const server = await startServer()
const line = spawn(process.execPath, ["--import", "tsx", "bench/slowLine.ts", String(server.port)], {
  stdio: ["ignore", "pipe", "inherit"]
})
killOnExit(line)
const [port] = await once(line.stdout, "data")

/** Milliseconds per operation, of `count` operations. */
const timeOf = <E, R>(all: Effect.Effect<unknown, E, R>, count: number) =>
  Effect.suspend(() => {
    const before = performance.now()
    return Effect.map(all, () => (performance.now() - before) / count)
  })

const results = await Effect.gen(function*() {
  const client = yield* BeanstalkClient.BeanstalkClient
  const put = Effect.suspend(() => client.put(tube, putBytes))
  const bodies = Stream.map(Stream.range(1, together), () => putBytes)
  // The cost of a thousand concurrent puts depends on how they are started.
  const ways: Record<string, Effect.Effect<unknown, unknown>> = {
    "putAll": Stream.runDrain(client.putAll(tube, bodies)),
    "1,000 programs": Effect.promise(() => Promise.all(Array.from({ length: together }, () => Effect.runPromise(put)))),
    "Effect.forEach, unbounded": Effect.replicateEffect(put, together, { concurrency: "unbounded", discard: true })
  }
  const results = new Map<string, Array<number>>()
  for (let round = -warmup; round < rounds; round++) {
    const one = yield* timeOf(Effect.replicateEffect(put, alone, { discard: true }), alone)
    for (const [name, way] of Object.entries(ways)) {
      const ratio = one / (yield* timeOf(way, together))
      if (round >= 0) results.set(name, [...results.get(name) ?? [], ratio])
    }
  }
  return results
}).pipe(Effect.provide(NodeBeanstalk.layerClient({ port: Number(String(port)) })), Effect.runPromise)

for (const [name, ratios] of results) {
  const { max, median, min } = spread(ratios)
  console.log(`${name.padEnd(28)} ${median.toFixed(0)} x one at a time (${min.toFixed(0)}-${max.toFixed(0)})`)
}
line.kill()
await server.stop()
