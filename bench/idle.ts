/**
 * What an idle worker with many lanes costs: the sockets it keeps after a burst of jobs, and the commands it sends, by the
 * counters of the real server.
 */
import { Effect } from "effect"
import { BeanstalkConnection, type Stats, Tube, Worker } from "../dist/index.js"
import { NodeBeanstalk } from "../dist/node/index.js"
import { inFibers } from "./fibers.ts"
import { startServer } from "./server.ts"
import { putBytes, tube } from "./workload.ts"

const minutes = Number(process.argv[2] ?? 2)
const concurrency = Number(process.argv[3] ?? 100)
const burst = concurrency * 20

/** Seconds after which a worker has closed the lanes that it no longer needs. */
const settling = 60
const sampleSeconds = 30

const bodies = Tube.bytes(tube)

const commandsIn = (stats: Stats.ServerStats): number =>
  Object.entries(stats).reduce((sum, [key, value]) => key.startsWith("cmd") ? sum + Number(value) : sum, 0)

/** The open sockets, and the commands sent so far, without those of the connection that sends `stats`. */
const sample = (sent: { count: number }) =>
  Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (own) =>
    Effect.map(own.stats, (stats) => {
      sent.count += 1
      return {
        sockets: stats.currentConnections - 1,
        lanes: stats.currentWorkers,
        deleted: stats.cmdDelete,
        commands: commandsIn(stats) - sent.count
      }
    }))

const program = Effect.gen(function*() {
  const own = yield* BeanstalkConnection.BeanstalkConnection
  const counted = sample({ count: 0 })
  yield* Worker.make(bodies, () => Effect.sleep("20 millis"), { concurrency })
  // Not by the worker's client, which is to open only the sockets that the worker needs.
  yield* inFibers(burst, () => own.put(putBytes, { tube }))
  const most = yield* counted.pipe(
    Effect.zipLeft(Effect.sleep("10 millis")),
    Effect.repeat({ until: ({ deleted }) => deleted === burst })
  )
  console.log(`\nconcurrency ${concurrency}, after a burst of ${burst.toLocaleString("en")} jobs`)
  console.log(`  ${"0".padStart(4)} s   ${most.sockets} sockets, ${most.lanes} of them lanes`)
  const samples = [most]
  for (let second = sampleSeconds; second <= settling + minutes * 60; second += sampleSeconds) {
    yield* Effect.sleep(`${sampleSeconds} seconds`)
    const now = yield* counted
    const sent = now.commands - (samples.at(-1)?.commands ?? 0)
    samples.push(now)
    console.log(
      `  ${String(second).padStart(4)} s   ${now.sockets} sockets, ${now.lanes} of them lanes; ${sent} commands`
    )
  }
  const idle = samples.slice(settling / sampleSeconds)
  const sent = (idle.at(-1)?.commands ?? NaN) - (idle[0]?.commands ?? NaN)
  const sockets = Math.max(...idle.map((it) => it.sockets))
  console.log(
    `  idle for ${minutes} minutes: ${sockets} sockets at most, ${(sent / minutes).toFixed(1)} commands a minute`
  )
}).pipe(Effect.scoped)

const server = await startServer()
await program.pipe(
  Effect.provide(NodeBeanstalk.layerClient({ host: "127.0.0.1", port: server.port })),
  Effect.provide(NodeBeanstalk.layerConnection({ host: "127.0.0.1", port: server.port })),
  Effect.runPromise
)
await server.stop()
