/**
 * The client and the typed tube beside 256 fibers that put on a bare connection, in interleaved rounds, each with a fresh
 * beanstalkd.
 */
import { Effect, Schema, Stream } from "effect"
import { BeanstalkClient, BeanstalkConnection, Tube } from "../dist/index.js"
import { NodeBeanstalk } from "../dist/node/index.js"
import { inFibers } from "./fibers.ts"
import { seeded, shuffled } from "./random.ts"
import { startServer } from "./server.ts"
import { spread } from "./statistics.ts"
import { priority, putBytes, tube } from "./workload.ts"

const rounds = Number(process.argv[2] ?? 7)
const count = Number(process.argv[3] ?? 100_000)
const random = seeded(Number(process.argv[4] ?? 1))

const options = { priority, ttr: "1 hour" } as const
const inTube = { ...options, tube } as const

const Page = Tube.make(tube, {
  payload: Schema.Struct({ url: Schema.String, depth: Schema.Number }),
  ...options
})
const page = { url: `http://example.org/${"x".repeat(60)}`, depth: 3 }

const numbers = Stream.range(1, count)

const onConnection =
  (program: Effect.Effect<unknown, unknown, BeanstalkConnection.BeanstalkConnection>) => (port: number) =>
    Effect.provide(program, NodeBeanstalk.layerConnection({ port }))

const onClient = (program: Effect.Effect<unknown, unknown, BeanstalkClient.BeanstalkClient>) => (port: number) =>
  Effect.provide(program, NodeBeanstalk.layerClient({ port }))

const ways = {
  "connection.put, 256 fibers": onConnection(
    Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (it) => inFibers(count, () => it.put(putBytes, inTube)))
  ),
  "client.put, 256 fibers": onClient(
    Effect.flatMap(BeanstalkClient.BeanstalkClient, (it) => inFibers(count, () => it.put(tube, putBytes, options)))
  ),
  "client.putAll": onClient(
    Effect.flatMap(
      BeanstalkClient.BeanstalkClient,
      (it) => Stream.runDrain(it.putAll(tube, Stream.map(numbers, () => putBytes), options))
    )
  ),
  "Tube.put, 256 fibers": onClient(inFibers(count, () => Page.put(page))),
  "Tube.putAll": onClient(Stream.runDrain(Page.putAll(Stream.map(numbers, () => page)))),
  "Tube.sink": onClient(Stream.run(Stream.map(numbers, () => page), Page.sink()))
}

const reference = "connection.put, 256 fibers"

const speed = async (run: (port: number) => Effect.Effect<unknown, unknown>) => {
  const server = await startServer()
  globalThis.gc?.()
  const heapBefore = process.memoryUsage().heapUsed
  let heapMost = 0
  const watch = setInterval(() => {
    globalThis.gc?.()
    heapMost = Math.max(heapMost, process.memoryUsage().heapUsed)
  }, 250)
  const before = performance.now()
  await Effect.runPromise(run(server.port))
  const opsPerSecond = count * 1000 / (performance.now() - before)
  clearInterval(watch)
  await server.stop()
  return { opsPerSecond, heapGrowth: (heapMost - heapBefore) / 1024 ** 2 }
}

const results = new Map<string, Array<Awaited<ReturnType<typeof speed>>>>()
for (let round = 0; round <= rounds; round++) {
  for (const [name, run] of shuffled(Object.entries(ways), random)) {
    const result = await speed(run)
    // The first round warms up.
    if (round > 0) results.set(name, [...results.get(name) ?? [], result])
  }
}

console.log(`\nput of ${count.toLocaleString("en")} bodies, ${rounds} rounds`)
for (const name of Object.keys(ways)) {
  const all = results.get(name) ?? []
  const ratio = spread(
    all.map(({ opsPerSecond }, round) => opsPerSecond / results.get(reference)![round]!.opsPerSecond)
  )
  const growth = Math.max(...all.map(({ heapGrowth }) => heapGrowth))
  console.log(
    `  ${name.padEnd(28)} ${
      Math.round(spread(all.map((it) => it.opsPerSecond)).median).toLocaleString("en").padStart(9)
    } ops/s ` +
      `  ${ratio.median.toFixed(2)} x (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})   heap +${
        growth.toFixed(1)
      } MiB at most`
  )
}
