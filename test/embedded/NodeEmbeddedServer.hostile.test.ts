/**
 * Hostile clients: afterwards the server still works, its counters are right, and it has kept no memory.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs all of it at full size, and prints figures.
 */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeConnector, NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Caller } from "../support/caller.ts"
import { eventually } from "../support/connections.ts"
import { stress } from "../support/edition.ts"
import { Random } from "../support/random.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** Bytes that are still allocated after a garbage collection. */
const held = Effect.sync(() => {
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
})

const mebibyte = 2 ** 20

/** Does something to a server, and checks that it works afterwards, and has allocated no more than so many bytes. */
const survives = (
  harm: (server: NodeEmbeddedServer.Listening, healthy: BeanstalkConnection.Connection) => Effect.Effect<number>,
  most = 8 * mebibyte
) =>
  Effect.gen(function*() {
    const server = yield* NodeEmbeddedServer.listen({ journalSize: 0 })
    const healthy = yield* Effect.provide(BeanstalkConnection.make(), NodeConnector.layerUrl(server.url))
    const before = yield* held
    const startedAt = performance.now()
    const amount = yield* harm(server, healthy)
    const took = performance.now() - startedAt
    const stats = yield* eventually(healthy.stats, (stats) => stats.currentConnections === 1)
    assert.strictEqual((yield* server.connections).length, 1)
    assert.deepStrictEqual([stats.currentWaiting, stats.currentWorkers, stats.currentJobsReserved], [0, 0, 0])
    assert.strictEqual(stats.currentTubes, (yield* healthy.listTubes).length)
    const tubes = yield* Effect.forEach(yield* healthy.listTubes, healthy.statsTube)
    const sum = (count: (tube: typeof tubes[number]) => number) => tubes.reduce((sum, tube) => sum + count(tube), 0)
    assert.strictEqual(sum((tube) => tube.currentJobsReady), stats.currentJobsReady)
    assert.strictEqual(sum((tube) => tube.currentJobsDelayed), stats.currentJobsDelayed)
    assert.strictEqual(sum((tube) => tube.currentJobsBuried), stats.currentJobsBuried)
    assert.strictEqual(sum((tube) => tube.currentUsing), 1)
    assert.strictEqual(sum((tube) => tube.currentWatching), 1)
    const id = yield* healthy.put("healthy", { tube: "healthy" })
    assert.strictEqual((yield* healthy.reserveJob(id)).id, id)
    yield* healthy.delete(id)
    // Array buffers are freed some time after the garbage collection.
    const grown = yield* eventually(Effect.map(held, (now) => now - before), (grown) => grown < most)
    if (stress) {
      const megabytes = (grown / mebibyte).toFixed(1)
      yield* Effect.logInfo(`${amount} in ${took.toFixed(0)} ms, ${megabytes} MiB held`)
    }
  }).pipe(Effect.scoped)

const long = (size: number) => "x".repeat(size)

const hostile = [
  "foo\rbar\r\n",
  "list-tube-used\r\r\n",
  "list-tube-used\n",
  "delete 1\0\r\n",
  "\0\0\0\0\r\n",
  "\xff\xfe\xfd\r\n",
  "\r\n",
  "\r\r\r\r\n\n\n",
  " reserve\r\n",
  "RESERVE\r\n",
  ...[222, 223, 224, 225, 449, 673, 100_000].map((size) => `${long(size)}\r\n`),
  `${long(223)}\r`,
  long(100_000),
  "put\r\nput \r\nput 0 0 1 x\r\ndelete 1\r\n",
  "put 0 0 1 4294967296\r\nx\r\n",
  "put 0 0 1 4294967295\r\nx\r\n",
  "put 0 0 1 65536\r\nx\r\n",
  "put 0 0 1 3\r\nabcdef\r\n",
  "put 0 0 1 3\r\na",
  "put -1 0 1 1\r\nx\r\n",
  `put ${"9".repeat(200)} 0 1 1\r\nx\r\n`,
  `delete ${"9".repeat(200)}\r\n`,
  "delete 18446744073709551616\r\nreserve-job -1\r\nkick -1\r\nkick 99999999999999999999\r\n",
  "reserve-with-timeout -1\r\nreserve-with-timeout 99999999999999999999\r\n",
  "reserve\r\nquit\r\n",
  `use ${long(201)}\r\nwatch -a\r\nuse a b\r\n`,
  "pause-tube default 0\r\npause-tubedefault 0\r\npause-tube -a 1\r\n",
  "ignore default\r\nignore a\r\n",
  "stats-job\r\nstats-tube\r\nstats \r\nlist-tube-used \r\n",
  "quit foo\r\nput 0 0 1 1\r\nx\r\n",
  "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
]

const ways = ["half-close", "close", "reset"] as const

const leaves = (caller: Caller, way: typeof ways[number]) => {
  if (way === "half-close") return Effect.zipRight(caller.halfClose, caller.ended)
  return way === "reset" ? caller.reset : Effect.sync(() => caller.socket.destroy())
}

describe("a hostile client", () => {
  it.live.each(ways)(
    "sends any line, and disconnects by %s",
    (way) =>
      survives(({ url }, healthy) =>
        Effect.gen(function*() {
          yield* Effect.forEach(hostile, (line) =>
            Effect.gen(function*() {
              const caller = yield* Caller.open(url)
              yield* caller.send(line)
              yield* healthy.listTubeUsed
              yield* leaves(caller, way)
            }).pipe(Effect.scoped), { concurrency: 4 })
          return hostile.length
        }).pipe(Effect.orDie)
      )
  )

  /** Random bytes, with commands and fragments of commands among them. */
  const noise = (random: Random, size: number): Uint8Array => {
    const words = [
      "put 0 0 1 5\r\n",
      "reserve-with-timeout 0\r\n",
      "use a\r\n",
      "watch b\r\n",
      "delete 1\r\n",
      "\r\n",
      "kick 9\r\n"
    ]
    const bytes = new Uint8Array(size)
    for (let i = 0; i < size; i++) bytes[i] = random.between(0, 255)
    for (let i = 0; i < size / 100; i++) {
      const word = random.pick(words)
      const at = random.between(0, Math.max(0, size - word.length))
      for (let j = 0; j < word.length && at + j < size; j++) bytes[at + j] = word.charCodeAt(j)
    }
    return bytes
  }

  it.live("sends random bytes on several connections", () =>
    survives(({ url }, healthy) =>
      Effect.gen(function*() {
        const total = stress ? 100_000_000 : 1_000_000
        const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
        yield* Effect.forEach(seeds, (seed) =>
          Effect.gen(function*() {
            const random = new Random(seed)
            for (let sent = 0; sent < total / seeds.length;) {
              const caller = yield* Caller.open(url)
              for (let chunks = random.between(1, 20); chunks > 0 && !caller.isClosed; chunks--) {
                const chunk = noise(random, random.between(1, 3000))
                sent += chunk.length
                yield* caller.send(chunk)
                if (random.chance(1 / 3)) yield* healthy.listTubeUsed
              }
              yield* leaves(caller, random.pick(ways))
            }
          }).pipe(Effect.scoped), { concurrency: "unbounded" })
        // The random commands may have put jobs.
        yield* Effect.forEach(yield* healthy.listTubes, (tube) =>
          Effect.zipRight(
            Effect.repeatN(healthy.kick(1_000_000, { tube }), 1),
            Effect.ignore(Effect.forever(Effect.flatMap(
              Effect.flatten(healthy.peekReady({ tube })),
              ({ id }) => healthy.delete(id)
            )))
          ))
        return total
      }).pipe(Effect.orDie)
    ), 300_000)

  it.live(
    "announces a body of 4 GiB, and sends it slowly",
    () =>
      survives(({ url }, healthy) =>
        Effect.gen(function*() {
          const caller = yield* Caller.open(url)
          yield* caller.send("put 0 0 1 4294967295\r\n")
          const rounds = stress ? 65_536 : 64
          const chunk = new Uint8Array(65_536)
          for (let round = 0; round < rounds; round++) {
            yield* caller.send(chunk)
            if (caller.socket.writableNeedDrain) yield* caller.until(() => !caller.socket.writableNeedDrain)
            if (round % 100 === 0) yield* healthy.listTubeUsed
          }
          assert.isAtMost(caller.received.length, "JOB_TOO_BIG\r\n".length)
          yield* caller.reset
          return rounds * chunk.length
        }).pipe(Effect.scoped, Effect.orDie)
      ),
    300_000
  )

  it.live("opens connections, and drops them", () =>
    survives(({ url }, healthy) =>
      Effect.gen(function*() {
        const count = stress ? 10_000 : 500
        yield* Effect.forEach(
          Array.from({ length: count }, (_, i) => i),
          (i) =>
            Effect.gen(function*() {
              const caller = yield* Caller.open(url)
              if (i % 2 === 0) yield* caller.send("reserve\r\n")
              if (i % 100 === 0) yield* healthy.listTubeUsed
              yield* leaves(caller, ways[i % 3]!)
            }).pipe(Effect.scoped),
          { concurrency: 200 }
        )
        return count
      }).pipe(Effect.orDie)
    ), 300_000)

  it.live("begins to put, and disconnects", () =>
    survives(({ url }, healthy) =>
      Effect.gen(function*() {
        const count = stress ? 10_000 : 100
        const half = `use u\r\nput 0 0 1 60000\r\n${long(30_000)}`
        yield* Effect.forEach(
          Array.from({ length: count }, (_, i) => i),
          (i) =>
            Effect.gen(function*() {
              const caller = yield* Caller.open(url)
              yield* caller.send(half)
              yield* caller.take("USING u\r\n".length)
              if (i % 100 === 0) yield* healthy.listTubeUsed
              yield* leaves(caller, ways[i % 3]!)
            }).pipe(Effect.scoped),
          { concurrency: 50 }
        )
        assert.strictEqual(
          (yield* eventually(healthy.stats, (stats) => stats.currentConnections === 1)).currentTubes,
          1
        )
        return count
      }).pipe(Effect.orDie)
    ), 300_000)

  it.live("sends byte by byte after a reserve", () =>
    survives(({ url }, healthy) =>
      Effect.gen(function*() {
        const count = stress ? 200_000 : 20_000
        const caller = yield* Caller.open(url)
        yield* caller.send("watch w\r\nreserve\r\n")
        for (let i = 0; i < count; i++) {
          yield* caller.send("touch 9\r\n".charAt(i % 9))
          if (i % 50 === 0) yield* healthy.listTubeUsed
        }
        yield* healthy.put("x", { tube: "w" })
        const replies = `WATCHING 2\r\nRESERVED 1 1\r\nx\r\n${"NOT_FOUND\r\n".repeat(Math.floor(count / 9))}`
        assert.strictEqual(yield* caller.take(replies.length), replies)
        yield* caller.reset
        yield* eventually(healthy.stats, (stats) => stats.currentJobsReady === 1)
        yield* healthy.delete("1")
        return count
      }).pipe(Effect.scoped, Effect.orDie)
    ), 300_000)
})
