/**
 * `purge` and `move` beside loops of one round trip at a time, on the real server, fresh for each: jobs per second by state.
 * A worker reserves from the tube meanwhile; no job may be lost, and the worker may reserve only ready jobs.
 */
import { type Context, Effect, Option } from "effect"
import { BeanstalkClient, BeanstalkConnection } from "../dist/index.js"
import { NodeBeanstalk } from "../dist/node/index.js"
import { inFibers } from "./fibers.ts"
import { seeded, shuffled } from "./random.ts"
import { startServer } from "./server.ts"
import { spread } from "./statistics.ts"
import { priority, putBytes } from "./workload.ts"

type Connection = Context.Tag.Service<BeanstalkConnection.BeanstalkConnection>
type Client = Context.Tag.Service<BeanstalkClient.BeanstalkClient>

const rounds = Number(process.argv[2] ?? 5)
const scale = Number(process.argv[3] ?? 1)
const random = seeded(Number(process.argv[4] ?? 1))

const tube = "from"
const target = "to"
const counts = { ready: 100_000 * scale, delayed: 10_000 * scale, buried: 10_000 * scale } as const
type State = keyof typeof counts
const states: ReadonlyArray<State> = ["ready", "delayed", "buried"]

const fill = (connection: Connection, state: State, count: number) => {
  const put = connection.put(putBytes, { tube, priority, ttr: "1 hour", delay: state === "ready" ? 0 : "1 hour" })
  const bury = (id: string) => Effect.zipRight(connection.reserveJob(id), connection.bury(id, priority))
  const putOne = state === "buried" ? Effect.flatMap(put, bury) : put
  return inFibers(count, () => putOne)
}

const firstOf = (connection: Connection, state: State) => {
  switch (state) {
    case "ready":
      return connection.peekReady({ tube })
    case "delayed":
      return connection.peekDelayed({ tube })
    case "buried":
      return connection.peekBuried({ tube })
  }
}

/** Handles the first job until there is none, or until there were enough to measure the speed. */
const oneByOne = (
  connection: Connection,
  state: State,
  handle: (id: string, body: Uint8Array) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function*() {
    let done = 0
    while (done < 4_000) {
      const job = yield* firstOf(connection, state)
      if (Option.isNone(job)) break
      yield* Effect.ignore(handle(job.value.id, job.value.body))
      done += 1
    }
    return done
  })

interface Way {
  /** Whether it handles every job, or only enough of them to measure its speed. */
  readonly handles: "all" | "some"
  readonly run: (
    client: Client,
    connection: Connection,
    state: State
  ) => Effect.Effect<number, unknown>
}

const ways: Readonly<Record<string, Way>> = {
  "purge": {
    handles: "all",
    run: (client, _, state) => Effect.map(client.purge(tube, { states: [state] }), (tally) => tally[state])
  },
  "peek, delete": {
    handles: "some",
    run: (_, connection, state) => oneByOne(connection, state, connection.delete)
  },
  "move": {
    handles: "all",
    run: (client, _, state) => Effect.map(client.move(tube, target, { states: [state] }), (tally) => tally[state])
  },
  "peek, stats-job, put, delete": {
    handles: "some",
    run: (_, connection, state) =>
      oneByOne(connection, state, (id, body) =>
        Effect.gen(function*() {
          const { pri, timeLeft, ttr } = yield* connection.statsJob(id)
          yield* connection.put(body, {
            tube: target,
            priority: pri,
            ttr: `${ttr} seconds`,
            delay: `${timeLeft} seconds`
          })
          yield* connection.delete(id)
        }))
  }
}

/** A worker that reserves a job every millisecond, and deletes it. */
const reserving = (worker: Connection, taken: { count: number; unready: number }, state: State) =>
  Effect.gen(function*() {
    const job = yield* worker.reserve
    taken.count += 1
    if (state !== "ready") taken.unready += 1
    yield* worker.delete(job.id)
  }).pipe(Effect.zipLeft(Effect.sleep("1 millis")), Effect.forever)

const measure = ({ handles, run }: Way, state: State, port: number) =>
  Effect.gen(function*() {
    const connection = yield* BeanstalkConnection.BeanstalkConnection
    const client = yield* BeanstalkClient.BeanstalkClient
    yield* fill(connection, state, counts[state])
    const worker = yield* client.leaseWith({ watch: [tube] })
    const taken = { count: 0, unready: 0 }
    const before = performance.now()
    const done = yield* Effect.raceFirst(run(client, connection, state), reserving(worker, taken, state))
    const jobsPerSecond = done * 1000 / (performance.now() - before)
    if (taken.unready > 0) console.log(`  ${taken.unready} JOBS WERE RESERVED THAT WERE NOT READY`)
    if (handles === "all") {
      const { currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved } = yield* connection.stats
      const there = currentJobsBuried + currentJobsDelayed + currentJobsReady + currentJobsReserved
      const { cmdDelete } = yield* Effect.orElseSucceed(connection.statsTube(tube), () => ({ cmdDelete: 0 }))
      const missing = counts[state] - done - taken.count
      // The server may have sent the worker one job more than it counted.
      if (missing < 0 || missing > 1) {
        console.log(`  ${missing} JOBS ARE MISSING (${there} there, ${cmdDelete} deleted)`)
      }
    }
    return jobsPerSecond
  }).pipe(
    Effect.scoped,
    Effect.provide(NodeBeanstalk.layerConnection({ port })),
    Effect.provide(NodeBeanstalk.layerClient({ port })),
    Effect.runPromise
  )

const cells = Object.entries(ways).flatMap(([name, way]) => states.map((state) => ({ name, way, state })))

const results = new Map<string, Array<number>>()
for (let round = 0; round < rounds; round++) {
  for (const { name, state, way } of shuffled(cells, random)) {
    const server = await startServer()
    const key = `${name} ${state}`
    results.set(key, [...results.get(key) ?? [], await measure(way, state, server.port)])
    await server.stop()
  }
}

for (const [bulk, loop] of [["purge", "peek, delete"], ["move", "peek, stats-job, put, delete"]] as const) {
  console.log(`\n${bulk}, beside ${loop}, one round trip at a time; ${rounds} rounds`)
  for (const state of states) {
    const [bulkSpeeds = [], loopSpeeds = []] = [results.get(`${bulk} ${state}`), results.get(`${loop} ${state}`)]
    const { max, median, min } = spread(bulkSpeeds.map((speed, round) => speed / (loopSpeeds[round] ?? Number.NaN)))
    console.log(
      `  ${counts[state].toLocaleString("en").padStart(8)} ${state.padEnd(8)} ` +
        `${Math.round(spread(bulkSpeeds).median).toLocaleString("en").padStart(8)} jobs/s   ` +
        `${Math.round(spread(loopSpeeds).median).toLocaleString("en").padStart(7)} jobs/s   ` +
        `${median.toFixed(1)} x (${min.toFixed(1)}-${max.toFixed(1)})`
    )
  }
}
