/**
 * What a fiber keeps for each connection that it opened: nothing. A fiber whose FiberRefs grow copies them with each fork, and
 * takes longer for each connection than for the one before.
 *
 * `EFFECT_BEANSTALK_STRESS=1` opens 100,000 connections of each kind, and prints the CPU time of each thousand.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  BeanstalkClient,
  BeanstalkConnection,
  Connector,
  EmbeddedServer,
  Tube,
  VirtualClock,
  Worker
} from "effect-beanstalk"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { amount, stress } from "../support/edition.ts"

const { Fault } = EmbeddedServer

const rounds = amount(100, 3000, 100_000)

/** How many values of FiberRefs the fiber keeps, the earlier ones included. */
const keptValues = Effect.map(
  Effect.getFiberRefs,
  ({ locals }) => Array.from(locals.values()).reduce((sum, { length }) => sum + length, 0)
)

/** Counts the rounds, and what the fiber keeps after each. */
const makeCounter = (name: string) => {
  const kept: Array<number> = []
  let startedAt = process.cpuUsage()
  return {
    count: Effect.gen(function*() {
      kept.push(yield* keptValues)
      if (!stress || kept.length % 1000 !== 0) return
      const { system, user } = process.cpuUsage(startedAt)
      startedAt = process.cpuUsage()
      yield* Console.log(`${name}, ${kept.length}: ${Math.round((system + user) / 1000)} ms for 1,000`)
    }),
    get rounds() {
      return kept.length
    },
    /** Asserts that no round of the second half left more behind than one of the first. */
    assertFlat: () => {
      const [first, second] = [kept.slice(0, rounds / 2), kept.slice(rounds / 2)]
      assert.isAtMost(Math.max(...second), Math.max(...first))
    }
  }
}

type Test = Effect.Effect<void, unknown, Scope.Scope>

const inVirtualTime = (test: Test) => () =>
  test.pipe(
    Effect.scoped,
    Effect.provide([Logger.remove(Logger.defaultLogger), VirtualClock.layer()]),
    Effect.runPromise
  )

/** A client whose attempts to connect are counted in the fiber that makes them. */
const reconnecting = (name: string) =>
  Effect.gen(function*() {
    const { connector, server } = yield* EmbeddedServer.make()
    const counter = makeCounter(name)
    const done = yield* Deferred.make<void>()
    const socket = Effect.gen(function*() {
      yield* counter.count
      if (counter.rounds === rounds) yield* Deferred.succeed(done, undefined)
      return yield* connector.socket
    })
    const client = yield* Effect.provideService(
      BeanstalkClient.make({ reconnect: Schedule.spaced("1 second"), offlineTimeout: "10000 days" }),
      Connector.Connector,
      { ...connector, socket }
    )
    return { client, server, counter, done }
  })

describe("R22: the fiber that keeps a client connected", () => {
  const faults: ReadonlyArray<readonly [how: string, fault: EmbeddedServer.Fault]> = [
    ["are refused", Fault.Refuse()],
    ["time out", Fault.Silence()],
    ["end in the handshake", Fault.CutAfterReply({ bytes: 10 })],
    ["are reset by the first request", Fault.CutAfterRequest({ bytes: 1 })]
  ]

  it.each(faults)("keeps nothing of attempts that %s", (how, fault) =>
    inVirtualTime(Effect.gen(function*() {
      const { client, counter, done, server } = yield* reconnecting(how)
      yield* server.inject(fault)
      yield* Effect.raceFirst(Effect.ignore(client.stats), Deferred.await(done))
      counter.assertFlat()
      assert.isAtLeast(counter.rounds, rounds)
    }))())

  it(
    "keeps nothing of connections that were lost",
    inVirtualTime(Effect.gen(function*() {
      const { client, counter, server } = yield* reconnecting("lost connections")
      while (counter.rounds < rounds) {
        yield* client.stats
        yield* server.inject(Fault.Cut())
      }
      counter.assertFlat()
    }))
  )
})

describe("R22: a fiber keeps nothing of", () => {
  const words = Tube.text("words", { ttr: "10 seconds" })

  const uses: ReadonlyArray<
    readonly [
      name: string,
      use: (client: BeanstalkClient.Client) => Effect.Effect<unknown, unknown, Connector.Connector>
    ]
  > = [
    ["leases", (client) => Effect.scoped(client.lease)],
    ["leases with a timeout", (client) => Effect.scoped(Effect.timeout(client.lease, "1 minute"))],
    ["leases with tubes", (client) => Effect.scoped(client.leaseWith({ tube: "one", watch: ["two", "three"] }))],
    ["purges", (client) => client.purge("tube")],
    ["moves", (client) => client.move("tube", "other")],
    ["putAlls", (client) => Stream.runDrain(client.putAll("tube", Stream.make("one", "two")))],
    ["connections", () => Effect.scoped(BeanstalkConnection.make())],
    ["clients", () => Effect.scoped(Effect.flatMap(BeanstalkClient.make(), (client) => client.stats))],
    ["Streams of jobs", (client) =>
      Effect.provideService(
        Effect.zipRight(
          words.put("word"),
          Stream.runDrain(Stream.take(Stream.tap(Worker.jobs(words), ({ complete }) => complete), 1))
        ),
        BeanstalkClient.BeanstalkClient,
        client
      )]
  ]

  it.each(uses)("%s", (name, use) =>
    inVirtualTime(Effect.gen(function*() {
      const { connector } = yield* EmbeddedServer.make()
      const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, connector)
      const counter = makeCounter(name)
      while (counter.rounds < rounds) {
        yield* Effect.provideService(use(client), Connector.Connector, connector)
        yield* counter.count
      }
      counter.assertFlat()
    }))())

  it(
    "attempts to connect that fail in one scope",
    inVirtualTime(Effect.gen(function*() {
      const { connector, server } = yield* EmbeddedServer.make()
      yield* server.inject(Fault.CutAfterReply({ bytes: 10 }))
      const counter = makeCounter("failed attempts")
      while (counter.rounds < rounds) {
        yield* Effect.flip(Effect.provideService(BeanstalkConnection.make(), Connector.Connector, connector))
        yield* counter.count
      }
      counter.assertFlat()
    }))
  )
})
