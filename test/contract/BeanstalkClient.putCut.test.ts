/**
 * A put whose connection is cut at any byte of the request and the reply: it always ends, with the id or with the outcome
 * `Unknown`, and the server never stores a second job.
 */
import { assert, layer } from "@effect/vitest"
import { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, openTo } from "../support/connections.ts"
import { full, sample, stress } from "../support/edition.ts"
import { type Listening, ListeningBeanstalkd } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"

/** In milliseconds. A busy machine may need it. */
const timeout = 600_000

interface Cut {
  readonly way: ChaosProxy.Way
  readonly ending: ChaosProxy.Ending
  /** After so many bytes, counted from the first byte of the put. */
  readonly at: number
}

/** The result of a put: the id of the job, or the outcome `Unknown`. */
type Told = { readonly id: string } | "Unknown"

interface Case {
  readonly tube: string
  readonly bodies: ReadonlyArray<string>
  readonly cut: Cut
  readonly told: ReadonlyArray<Told>
  /** The ids in the replies that reached the client. */
  readonly acknowledged: ReadonlyArray<string>
}

let tubes = 0

/** All of the same length, so that a byte has the same offset in every request. */
const nextTube = Effect.sync(() => `cut-${`${tubes += 1}`.padStart(6, "0")}`)

/** Longer than any test, so that no put ends by a timeout. */
const longTimeouts: BeanstalkClient.Options = { replyTimeout: "1 hour", offlineTimeout: "1 hour" }

const putAll = (client: BeanstalkClient.Client, tube: string, bodies: ReadonlyArray<string>) => {
  const put = (body: string): Effect.Effect<Told> =>
    client.put(tube, body).pipe(
      Effect.map((id): Told => ({ id })),
      Effect.catchIf(
        (error) => error._tag === "ConnectionLost" && error.outcome === "Unknown",
        () => Effect.succeed<Told>("Unknown")
      ),
      // A put that was not sent is sent again by the client, so that only these two results are left.
      Effect.orDie
    )
  return Effect.all(bodies.map(put), { concurrency: "unbounded" })
}

const passed = ({ passed, seen }: ChaosProxy.Traffic) => seen.subarray(0, passed).toString()

const idsIn = (replies: string) => [...replies.matchAll(/INSERTED (\d+)\r\n/g)].map(([, id]) => id)

/** The number of bytes of a request and its replies, without those of the handshake. */
const lengthsOf = (server: Listening, bodies: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const proxy = yield* ChaosProxy.make(server, { record: true })
    const client = yield* clientTo(proxy, longTimeouts)
    yield* client.ready
    const handshake = yield* only(proxy)
    yield* putAll(client, yield* nextTube, bodies)
    const all = yield* only(proxy)
    return {
      toServer: all.toServer.seen.length - handshake.toServer.seen.length,
      toClient: all.toClient.seen.length - handshake.toClient.seen.length
    }
  }).pipe(Effect.scoped)

const only = (proxy: ChaosProxy.ChaosProxy) =>
  Effect.flatMap(proxy.connections, ([first]) => Effect.orDie(Effect.fromNullable(first)))

/** Puts through a connection that is cut; later connections are not. */
const putAndCut = (server: Listening, { bodies, cut, marker }: Pick<Case, "bodies" | "cut"> & { marker: string }) =>
  Effect.gen(function*() {
    const tube = yield* nextTube
    const proxy = yield* ChaosProxy.make(server, { record: true })
    const client = yield* clientTo(proxy, longTimeouts)
    yield* client.ready
    const { [cut.way]: handshake } = yield* only(proxy)
    const wasCut = Stream.runHead(Stream.filter(client.changes, BeanstalkClient.State.$is("Lost")))
    yield* Effect.forkScoped(Effect.zipRight(wasCut, proxy.heal))
    yield* proxy.set({ cutAfter: { bytes: handshake.seen.length + cut.at, ending: cut.ending } }, cut.way)
    const told = yield* putAll(client, tube, bodies)
    // The next connection is counted from zero.
    assert.strictEqual(yield* Effect.flatMap(client.peek(marker), (job) => job.text()), "marker")
    const acknowledged = (yield* proxy.connections).flatMap(({ toClient }) => idsIn(passed(toClient)))
    return { tube, bodies, cut, told, acknowledged }
  }).pipe(
    Effect.scoped,
    // Without the log lines of hundreds of losses.
    Logger.withMinimumLogLevel(LogLevel.None),
    Effect.timeoutFail({ duration: "1 minute", onTimeout: () => new Error(`it hangs: ${JSON.stringify(cut)}`) }),
    Effect.orDie
  )

/** The bodies of all jobs of these tubes, by tube and id. */
const jobsIn = (server: Listening, tubes: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const beanstalk = yield* openTo(server, { watch: tubes })
    const jobs = new Map(tubes.map((tube) => [tube, new Map<string, string>()]))
    const take = Effect.gen(function*() {
      const job = yield* beanstalk.reserveWithTimeout(0)
      const [{ tube }, body] = yield* Effect.all([beanstalk.statsJob(job.id), job.text()], { concurrency: "unbounded" })
      jobs.get(tube)?.set(job.id, body)
      yield* beanstalk.delete(job.id)
    })
    yield* Effect.catchTag(Effect.forever(take), "TimedOut", () => Effect.void)
    return jobs
  }).pipe(Effect.scoped)

/** Asserts the promises for one case. */
const check = ({ acknowledged, bodies, cut, told }: Case, jobs: ReadonlyMap<string, string>) => {
  const where = `cut ${JSON.stringify(cut)}`
  const found = [...jobs.values()]
  assert.strictEqual(new Set(found).size, found.length, `${where}: a job is there twice`)
  assert.includeMembers([...bodies], found, `${where}: a job is there that nobody has put`)
  const ids = told.flatMap((told) => told === "Unknown" ? [] : [told.id])
  assert.sameMembers(ids, [...acknowledged], `${where}: what was acknowledged, and what was told`)
  told.forEach((told, index) => {
    if (told !== "Unknown") assert.strictEqual(jobs.get(told.id), bodies[index], `${where}: an acknowledged job`)
  })
}

interface Figures {
  told: number
  unknownAndThere: number
  unknownAndNot: number
}

/** Cuts puts of these bodies at these offsets, each on its own connection, and reads the jobs that were stored. */
const cutEverywhere = (
  bodies: ReadonlyArray<string>,
  ending: ChaosProxy.Ending,
  placesOf: (length: number) => ReadonlyArray<number>
) =>
  Effect.gen(function*() {
    const server = yield* ListeningBeanstalkd
    const observer = yield* openTo(server)
    const marker = yield* observer.put("marker", { tube: "markers" })
    const lengths = yield* lengthsOf(server, bodies)
    const cuts = (["toServer", "toClient"] as const).flatMap((way) =>
      placesOf(lengths[way]).map((at) => ({ way, ending, at }))
    )
    const cases = yield* Effect.forEach(cuts, (cut) => putAndCut(server, { bodies, cut, marker }), { concurrency: 16 })
    // Once the server has read all that was cut, it stores no further job.
    yield* eventually(observer.stats, ({ currentConnections }) => currentConnections === 1)
    const figures: Figures = { told: 0, unknownAndThere: 0, unknownAndNot: 0 }
    const jobsOf = yield* jobsIn(server, cases.map(({ tube }) => tube))
    for (const one of cases) {
      const jobs = jobsOf.get(one.tube) ?? new Map<string, string>()
      check(one, jobs)
      const told = one.told.filter((told) => told !== "Unknown").length
      figures.told += told
      figures.unknownAndThere += jobs.size - told
      figures.unknownAndNot += bodies.length - jobs.size
    }
    // Every kind of result occurred; otherwise the test would prove nothing.
    assert.isAbove(Math.min(figures.told, figures.unknownAndThere, figures.unknownAndNot), 0)
    if (stress) yield* Effect.logInfo(`${cases.length} cuts with a ${ending}: ${JSON.stringify(figures)}`)
  })

/** Also after the last byte: an id may have more digits than the one that was measured. */
const everyByte = (length: number) => Array.from({ length: length + 4 }, (_, at) => at)

/** The first and the last bytes, and some in between. */
const manyBytes = (length: number) => {
  const step = Math.max(1, Math.floor(length / 8))
  return everyByte(length).filter((at) => at < 3 || at > length - 5 || at % step === 0)
}

const small = ["hello"]

const large = ["x".repeat(60_000)]

const several = Array.from({ length: 8 }, (_, index) => `body ${index}`)

describeListening("a put that is cut", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })((it) => {
    for (const ending of ["FIN", "RST"] as const) {
      it.scoped(
        `at any byte with a ${ending} ends with an id or as Unknown, and stores one job at most`,
        () => cutEverywhere(small, ending, (length) => sample(everyByte(length), 14)),
        timeout
      )

      it.scoped(
        `with a large body and a ${ending} ends, and stores one job at most`,
        () => cutEverywhere(large, ending, (length) => sample(manyBytes(length), 8)),
        timeout
      )

      it.scoped(
        `with a ${ending} among others in flight ends, each of them, and stores one job at most`,
        () => cutEverywhere(several, ending, full ? everyByte : (length) => sample(manyBytes(length), 8)),
        timeout
      )
    }
  })
})
