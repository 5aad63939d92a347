/**
 * `purge` and `move` beside loops of one round trip at a time, on the real server, fresh for each: jobs per second by state.
 * A worker reserves from the tube meanwhile; nothing may be lost, and nothing handed to it that was not ready.
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

/** Does something to the first job until there is none, or there were enough to tell how fast it is. */
const oneByOne = (
  connection: Connection,
  state: State,
  deed: (id: string, body: Uint8Array) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function*() {
    let done = 0
    while (done < 4_000) {
      const job = yield* firstOf(connection, state)
      if (Option.isNone(job)) break
      yield* Effect.ignore(deed(job.value.id, job.value.body))
      done += 1
    }
    return done
  })

interface Entrant {
  readonly works: "all" | "some"
  readonly run: (
    client: Client,
    connection: Connection,
    state: State
  ) => Effect.Effect<number, unknown>
}

const entrants: Readonly<Record<string, Entrant>> = {
  "purge": {
    works: "all",
    run: (client, _, state) => Effect.map(client.purge(tube, { states: [state] }), (tally) => tally[state])
  },
  "peek, delete": {
    works: "some",
    run: (_, connection, state) => oneByOne(connection, state, connection.delete)
  },
  "move": {
    works: "all",
    run: (client, _, state) => Effect.map(client.move(tube, target, { states: [state] }), (tally) => tally[state])
  },
  "peek, stats-job, put, delete": {
    works: "some",
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

/** Takes a job now and then, and finishes it. */
const working = (worker: Connection, taken: { count: number; unready: number }, state: State) =>
  Effect.gen(function*() {
    const job = yield* worker.reserve
    taken.count += 1
    if (state !== "ready") taken.unready += 1
    yield* worker.delete(job.id)
  }).pipe(Effect.zipLeft(Effect.sleep("1 millis")), Effect.forever)

const measure = ({ run, works }: Entrant, state: State, port: number) =>
  Effect.gen(function*() {
    const connection = yield* BeanstalkConnection.BeanstalkConnection
    const client = yield* BeanstalkClient.BeanstalkClient
    yield* fill(connection, state, counts[state])
    const worker = yield* client.leaseWith({ watch: [tube] })
    const taken = { count: 0, unready: 0 }
    const before = performance.now()
    const done = yield* Effect.raceFirst(run(client, connection, state), working(worker, taken, state))
    const jobsPerSecond = done * 1000 / (performance.now() - before)
    if (taken.unready > 0) console.log(`  ${taken.unready} JOBS WERE HANDED OUT THAT WERE NOT READY`)
    if (works === "all") {
      const { currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved } = yield* connection.stats
      const there = currentJobsBuried + currentJobsDelayed + currentJobsReady + currentJobsReserved
      const { cmdDelete } = yield* Effect.orElseSucceed(connection.statsTube(tube), () => ({ cmdDelete: 0 }))
      const missing = counts[state] - done - taken.count
      // The worker may have been told of one job more than it counted.
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

const contests = Object.entries(entrants).flatMap(([name, entrant]) =>
  states.map((state) => ({ name, entrant, state }))
)

const results = new Map<string, Array<number>>()
for (let round = 0; round < rounds; round++) {
  for (const { entrant, name, state } of shuffled(contests, random)) {
    const server = await startServer()
    const key = `${name} ${state}`
    results.set(key, [...results.get(key) ?? [], await measure(entrant, state, server.port)])
    await server.stop()
  }
}

for (const [bulk, loop] of [["purge", "peek, delete"], ["move", "peek, stats-job, put, delete"]] as const) {
  console.log(`\n${bulk}, beside ${loop}, one round trip at a time; ${rounds} rounds`)
  for (const state of states) {
    const [ours = [], theirs = []] = [results.get(`${bulk} ${state}`), results.get(`${loop} ${state}`)]
    const { max, median, min } = spread(ours.map((speed, round) => speed / (theirs[round] ?? Number.NaN)))
    console.log(
      `  ${counts[state].toLocaleString("en").padStart(8)} ${state.padEnd(8)} ` +
        `${Math.round(spread(ours).median).toLocaleString("en").padStart(8)} jobs/s   ` +
        `${Math.round(spread(theirs).median).toLocaleString("en").padStart(7)} jobs/s   ` +
        `${median.toFixed(1)} x (${min.toFixed(1)}-${max.toFixed(1)})`
    )
  }
}
