/**
 * Clients do not all connect at once to a server that is available again.
 *
 * `EFFECT_BEANSTALK_STRESS=1` takes more seeds, and real time too, and prints how the connects are distributed.
 */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, VirtualClock } from "effect-beanstalk"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as Net from "node:net"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { clientTo } from "../support/clients.ts"
import { stress } from "../support/edition.ts"
import { type Server, targetOf } from "../support/server.ts"

const count = 200

const outage = "2 seconds"

const bucket = 100

/** The number of connects in each 100 ms since then. */
const histogram = (times: ReadonlyArray<number>, since: number): ReadonlyArray<number> => {
  const buckets: Array<number> = []
  for (const time of times) {
    const index = Math.floor((time - since) / bucket)
    while (buckets.length <= index) buckets.push(0)
    buckets[index] = (buckets[index] ?? 0) + 1
  }
  return buckets
}

const isSpread = (buckets: ReadonlyArray<number>) => {
  const all = buckets.reduce((sum, count) => sum + count, 0)
  assert.isAtLeast(all, count, "not every client reconnected")
  assert.isAtMost(Math.max(...buckets) / all, 0.25, `connects in each ${bucket} ms: ${buckets.join(" ")}`)
}

/** Makes the server of the clients unavailable, and available again. */
interface Availability {
  readonly stop: Effect.Effect<void>
  readonly restore: Effect.Effect<void>
}

/** Waits until a client has lost its connection: later puts wait for the next one. */
const untilLost = ({ changes }: BeanstalkClient.Client) =>
  Stream.runHead(Stream.filter(changes, (state) => !BeanstalkClient.State.$is("Connected")(state)))

/** Connects all clients, makes the server unavailable for a while, and waits until each has put the job it was given meanwhile. */
const putDuringOutage = (server: Pick<Server, "connector">, availability: Availability, now: Effect.Effect<number>) =>
  Effect.gen(function*() {
    const clients = yield* Effect.replicateEffect(clientTo(server), count)
    yield* Effect.forEach(clients, (client) => client.ready, { concurrency: "unbounded", discard: true })
    yield* availability.stop
    yield* Effect.forEach(clients, untilLost, { concurrency: "unbounded", discard: true })
    const puts = yield* Effect.fork(
      Effect.forEach(clients, (client) => client.put("stampede", ""), { concurrency: "unbounded", discard: true })
    )
    const restoredAt = yield* Effect.delay(Effect.zipLeft(now, availability.restore), outage)
    yield* Fiber.join(puts)
    return restoredAt
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

/** The connects of 200 clients after an outage, in virtual time. */
const inVirtualTime = (seed: number) =>
  Effect.gen(function*() {
    const { connector, server } = yield* EmbeddedServer.make()
    const times: Array<number> = []
    const noting = Layer.succeed(Connector.Connector, {
      ...connector,
      socket: Effect.tap(connector.socket, () => Effect.map(Clock.currentTimeMillis, (at) => times.push(at)))
    })
    const availability = {
      stop: Effect.zipRight(server.inject(EmbeddedServer.Fault.Refuse()), server.inject(EmbeddedServer.Fault.Cut())),
      restore: server.heal
    }
    const restoredAt = yield* putDuringOutage({ connector: noting }, availability, Clock.currentTimeMillis)
    return histogram(times.filter((at) => at >= restoredAt), restoredAt)
  }).pipe(
    Effect.scoped,
    Effect.withRandom(Random.make(seed)),
    Effect.provide(VirtualClock.layer())
  )

describe("200 clients after an outage of 2 seconds", () => {
  it.live.each(stress ? [1, 2, 3, 4, 5] : [1])(
    "reconnect at different times, with the random seed %i",
    (seed) => Effect.map(inVirtualTime(seed), isSpread)
  )

  if (stress) {
    it.live("reconnect at different times, in real time", () =>
      Effect.gen(function*() {
        const { url } = yield* Effect.orDie(NodeEmbeddedServer.listen())
        const proxy = yield* ChaosProxy.make({ connect: () => Net.connect(targetOf(url)) })
        const availability = { stop: proxy.close, restore: proxy.reopen }
        const restoredAt = yield* putDuringOutage(proxy, availability, Effect.sync(() => performance.now()))
        const times = (yield* proxy.connections).map(({ madeAt }) => madeAt).filter((at) => at >= restoredAt)
        const buckets = histogram(times, restoredAt)
        yield* Console.log(`connects in each ${bucket} ms: ${buckets.join(" ")}`)
        isSpread(buckets)
      }).pipe(Effect.scoped))
  }
})
