/**
 * The embedded server beside the real one: its throughput with the same client, the memory and time of a million jobs, and the
 * real time that a virtual day takes.
 */
import { Clock, type Context, Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import { BeanstalkConnection, EmbeddedServer, VirtualClock } from "../dist/index.js"
import { NodeBeanstalk, NodeConnector, NodeEmbeddedServer } from "../dist/node/index.js"
import { depth, inFibers } from "./fibers.ts"
import { seeded, shuffled } from "./random.ts"
import { startServer } from "./server.ts"
import { spread } from "./statistics.ts"
import { priority, putBytes } from "./workload.ts"

const operations = 40_000
const rounds = Number(process.argv[2] ?? 7)
const random = seeded(Number(process.argv[3] ?? 1))

type Connection = Context.Tag.Service<BeanstalkConnection.BeanstalkConnection>

const put = (connection: Connection) => connection.put(putBytes, { priority, ttr: "1 hour" })

const reserveAndDelete = (connection: Connection) =>
  Effect.flatMap(connection.reserve, (job) => connection.delete(job.id))

/** Operations per second. */
const speed = <E, R>(count: number, operation: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function*() {
    const before = performance.now()
    yield* inFibers(count, () => operation)
    return count * 1000 / (performance.now() - before)
  })

const speeds = (connection: Connection, count: number) =>
  Effect.all({
    "put": speed(count, put(connection)),
    "reserve+delete": speed(count, reserveAndDelete(connection))
  })

const onServer = <E>(layer: Layer.Layer<BeanstalkConnection.BeanstalkConnection, E>, count = operations) => {
  const measured = Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (connection) => speeds(connection, count))
  return Effect.runPromise(Effect.provide(measured, Layer.fresh(layer)))
}

const whole = (value: number) => Math.round(value).toLocaleString("en")

const throughput = async () => {
  const real = await startServer()
  const scope = Effect.runSync(Scope.make())
  const { url } = await Effect.runPromise(Scope.extend(NodeEmbeddedServer.listen(), scope))
  const servers = {
    "real, TCP": NodeBeanstalk.layerConnection({ host: "127.0.0.1", port: real.port }),
    "embedded, in memory": Layer.provide(BeanstalkConnection.layer(), EmbeddedServer.layer()),
    "embedded, TCP in the same process": Layer.provide(BeanstalkConnection.layer(), NodeConnector.layerUrl(url))
  }
  const results = new Map<string, Array<Awaited<ReturnType<typeof onServer>>>>()
  for (const [, layer] of Object.entries(servers)) await onServer<unknown>(layer, operations / 4)
  for (let round = 0; round < rounds; round++) {
    for (const [name, layer] of shuffled(Object.entries(servers), random)) {
      results.set(name, [...results.get(name) ?? [], await onServer<unknown>(layer)])
    }
  }
  for (const workload of ["put", "reserve+delete"] as const) {
    const reference = results.get("real, TCP")!
    console.log(`\n${workload}, ${depth} fibers, ${rounds} rounds of ${operations}`)
    for (const [name, all] of results) {
      const ratio = spread(all.map((result, round) => result[workload] / reference[round]![workload]))
      const { median } = spread(all.map((result) => result[workload]))
      console.log(
        `  ${name.padEnd(36)} ${whole(median).padStart(9)} ops/s   ${ratio.median.toFixed(2)} x real ` +
          `(${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})`
      )
    }
  }
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await real.stop()
}

const few = 1_000
const many = 1_000_000

/** A connection to a server of its own that holds `count` ready jobs. */
const filled = async (count: number) => {
  const runtime = ManagedRuntime.make(
    Layer.provide(BeanstalkConnection.layer(), EmbeddedServer.layer({ journalSize: 0 }))
  )
  const connection = await runtime.runPromise(BeanstalkConnection.BeanstalkConnection)
  const filling = put(connection)
  await runtime.runPromise(inFibers(count, () => filling))
  return {
    speeds: () => runtime.runPromise(speeds(connection, operations / 2)),
    dispose: () => runtime.dispose()
  }
}

const settledMemory = () => {
  globalThis.gc?.()
  return process.memoryUsage().rss / 1024 ** 2
}

const aMillionJobs = async () => {
  const little = await filled(few)
  await little.speeds()
  const before = settledMemory()
  const much = await filled(many)
  const after = settledMemory()
  console.log(
    `\n${whole(many)} ready jobs of ${putBytes.length} bytes: ${whole(after - before)} MiB (${whole(after)} in all)`
  )
  const all = []
  for (let round = 0; round < rounds; round++) all.push({ little: await little.speeds(), much: await much.speeds() })
  for (const workload of ["put", "reserve+delete"] as const) {
    const { max, median, min } = spread(all.map(({ little, much }) => little[workload] / much[workload]))
    console.log(
      `  ${workload}: ${median.toFixed(2)} x the cost at ${whole(few)} (${min.toFixed(2)}-${max.toFixed(2)}), ` +
        `${whole(spread(all.map(({ much }) => much[workload])).median)} ops/s`
    )
  }
  await little.dispose()
  await much.dispose()
}

const virtualTime = () =>
  Effect.gen(function*() {
    const connection = yield* BeanstalkConnection.make()
    const delays = Array.from({ length: 1000 }, () => Math.ceil(random() * 86_400))
    const before = performance.now()
    yield* Effect.forEach(delays, (delay) => connection.put("job", { delay: `${delay} seconds` }), {
      concurrency: "unbounded",
      discard: true
    })
    const seen: Array<number> = []
    for (const _ of delays) {
      const job = yield* connection.reserve
      seen.push(yield* Clock.currentTimeMillis)
      yield* connection.delete(job.id)
    }
    const took = performance.now() - before
    const inOrder = delays.toSorted((a, b) => a - b).every((delay, index) => delay * 1000 === seen[index])
    console.log(
      `\n1,000 jobs delayed by up to a day, reserved and deleted: ${took.toFixed(0)} ms of real time, ` +
        `${inOrder ? "all at the right time" : "NOT AT THE RIGHT TIME"}`
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(EmbeddedServer.layer()),
    Effect.provide(VirtualClock.layer()),
    Effect.runPromise
  )

await virtualTime()
await virtualTime()
await throughput()
await aMillionJobs()
