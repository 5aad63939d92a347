/**
 * The cost of the touches of a thousand running jobs, and their lateness: a worker beside as many raw sockets that touch at the
 * same intervals, each in a process of its own. The server is the embedded one, whose journal records when a touch arrived.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { BeanstalkConnection, type EmbeddedServer } from "../dist/index.js"
import { NodeBeanstalk, NodeEmbeddedServer } from "../dist/node/index.js"
import { killOnExit } from "./processes.ts"
import { seeded, shuffled } from "./random.ts"
import { quantile, spread } from "./statistics.ts"
import { putBytes, tube } from "./workload.ts"

const seconds = Number(process.argv[2] ?? 60)
const rounds = Number(process.argv[3] ?? 1)
const jobs = Number(process.argv[4] ?? 1000)
const random = seeded(Number(process.argv[5] ?? 1))

const ttr = 30
const touchEvery = ttr * 1000 / 3

type Holder = "sockets" | "worker"
const holders: ReadonlyArray<Holder> = ["sockets", "worker"]

interface Measured {
  readonly cpuMicros: number
  readonly touches: number
  /** Of each touch, in milliseconds; negative when it was early. */
  readonly lateness: ReadonlyArray<number>
  readonly lost: number
}

const start = (holder: Holder, port: number): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(`./heartbeats/${holder}.ts`, import.meta.url))
      const child = fork(path, [port, jobs, touchEvery].map(String), {
        execArgv: ["--import", import.meta.resolve("tsx")]
      })
      killOnExit(child)
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const ended = (child: ChildProcess) =>
  Effect.async<never, Error>((resume) => {
    child.once("exit", (code) => resume(Effect.fail(new Error(`the process that holds the jobs ended with ${code}`))))
  })

const processorTime = (child: ChildProcess) =>
  Effect.promise(async () => {
    const answer = once(child, "message")
    child.send("cpuUsage")
    const [micros] = await answer
    return Number(micros)
  })

/** Puts the jobs evenly over the time between two touches, so that the touches are spread evenly too. */
const putAll = Effect.flatMap(
  BeanstalkConnection.BeanstalkConnection,
  (connection) =>
    connection.put(putBytes, { tube, ttr: `${ttr} seconds` }).pipe(
      Effect.zipLeft(Effect.sleep(touchEvery / jobs)),
      Effect.repeatN(jobs - 1)
    )
)

const countOf = (journal: ReadonlyArray<EmbeddedServer.JournalEntry>, event: EmbeddedServer.JobEvent) =>
  journal.filter((entry) => entry.event === event).length

const allReserved = (server: EmbeddedServer.Server) =>
  Effect.map(server.journal, (journal) => countOf(journal, "reserved") === jobs).pipe(
    Effect.zipLeft(Effect.sleep("100 millis")),
    Effect.repeat({ until: (all) => all })
  )

/** A touch is due one interval after the last one, or after the job was reserved. */
const latenessIn = (journal: ReadonlyArray<EmbeddedServer.JournalEntry>) => {
  const last = new Map<string, number>()
  const lateness: Array<number> = []
  for (const { at, event, id } of journal) {
    const before = last.get(id)
    if (event === "touched" && before !== undefined) lateness.push(at - before - touchEvery)
    if (event === "touched" || event === "reserved") last.set(id, at)
  }
  return lateness
}

const observe = (child: ChildProcess, server: NodeEmbeddedServer.Listening) =>
  Effect.gen(function*() {
    yield* Effect.provide(putAll, NodeBeanstalk.layerConnection({ url: server.url }))
    yield* allReserved(server)
    // The commands that a worker sends when it has reserved a job are not measured.
    yield* Effect.sleep("2 seconds")
    const touchesBefore = countOf(yield* server.journal, "touched")
    const before = yield* processorTime(child)
    yield* Effect.sleep(`${seconds} seconds`)
    const cpuMicros = (yield* processorTime(child)) - before
    const journal = yield* server.journal
    return {
      cpuMicros,
      touches: countOf(journal, "touched") - touchesBefore,
      lateness: latenessIn(journal),
      lost: countOf(journal, "timed-out") + countOf(journal, "given-back")
    }
  })

const measure = (holder: Holder): Effect.Effect<Measured, unknown> =>
  Effect.gen(function*() {
    const server = yield* NodeEmbeddedServer.listen({ journalSize: jobs * (10 + seconds) })
    const child = yield* start(holder, Number(new URL(server.url).port))
    return yield* Effect.raceFirst(observe(child, server), ended(child))
  }).pipe(Effect.scoped)

const results: Record<Holder, Array<Measured>> = { sockets: [], worker: [] }
for (let round = 0; round < rounds; round++) {
  for (const holder of shuffled(holders, random)) results[holder].push(await Effect.runPromise(measure(holder)))
}

console.log(`\n${jobs.toLocaleString("en")} running jobs, ttr ${ttr} s, ${rounds} x ${seconds} s`)
for (const holder of holders) {
  const all = results[holder]
  const cpu = spread(all.map(({ cpuMicros }) => cpuMicros / 1000 / seconds)).median
  const perTouch = spread(all.map(({ cpuMicros, touches }) => cpuMicros / touches)).median
  const lateness = all.flatMap((it) => it.lateness)
  const at = (share: number) => quantile(lateness, share).toFixed(0)
  console.log(
    `  ${holder.padEnd(8)} ${cpu.toFixed(1)} ms of CPU a second, ${perTouch.toFixed(0)} µs a touch;   ` +
      `touches late by ${at(0.5)} ms (p50), ${at(0.99)} ms (p99), ${at(1)} ms (most), ${at(0)} ms (least);   ` +
      `${all.reduce((sum, { lost }) => sum + lost, 0)} leases lost`
  )
}
const ratio = spread(
  results.worker.map(({ cpuMicros }, round) => cpuMicros / (results.sockets[round]?.cpuMicros ?? NaN))
)
console.log(
  `  CPU of the worker to that of the sockets: ${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${
    ratio.max.toFixed(2)
  })`
)
