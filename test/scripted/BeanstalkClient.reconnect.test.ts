/**
 * The shared connection of a client: when it opens, how it reconnects, its states and log lines, and the commands that wait
 * for it.
 */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, type BeanstalkError, Connector } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"
import * as Array from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as VirtualClock from "../../src/VirtualClock.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { acceptHandshake, clientTo, sameInstance, watchStates } from "../support/clients.ts"
import { eventually } from "../support/connections.ts"
import { chars, ok } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

const { State } = BeanstalkClient

/** Advances the clock, and runs what is due. */
const pass = (millis: number) => TestClock.adjust(millis).pipe(Effect.zipRight(Scripted.turn))

/** A server in memory that can refuse connections, and counts the attempts to connect. */
const unreliable = Effect.gen(function*() {
  const availability = { isUp: true, attempts: 0 }
  const server = yield* Scripted.inMemory({
    opening: Effect.suspend(() => {
      availability.attempts += 1
      return availability.isUp ? Effect.void : Effect.fail(Scripted.refused)
    })
  })
  return { ...server, availability }
})

const everySecond = Schedule.spaced("1 second")

/** A client that is connected to a scripted server, and the server's end of the connection. */
const connected = (options: BeanstalkClient.Options = { reconnect: everySecond }) =>
  Effect.gen(function*() {
    const server = yield* unreliable
    const client = yield* clientTo(server, options)
    const [, peer] = yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
    return { server, client, peer }
  })

/** What a state is, in words. */
const inWords = (state: BeanstalkClient.State): string =>
  State.$match(state, {
    Idle: () => "Idle",
    Connecting: ({ attempt }) => `Connecting ${attempt}`,
    Connected: ({ server }) => `Connected to ${server.id}`,
    Lost: ({ cause, reason }) => {
      const { _tag } = { _tag: "nothing else", ...Option.getOrUndefined(Option.liftPredicate(cause, isTagged)) }
      return `Lost (${_tag}): ${reason}`
    },
    Closed: () => "Closed"
  })

const isTagged = (u: unknown): u is { readonly _tag: string } => typeof u === "object" && u !== null && "_tag" in u

const failureOf = (fiber: Fiber.Fiber<unknown, BeanstalkError.BeanstalkError>) => Effect.flip(Fiber.join(fiber))

describe("a client that is not used", () => {
  it.scoped("opens no connection, and its state is Idle", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const client = yield* clientTo(server)
      const { states } = yield* watchStates(client)
      yield* pass(24 * 60 * 60 * 1000)
      assert.strictEqual(server.availability.attempts, 0)
      assert.deepStrictEqual(states, [State.Idle()])
    }))

  it.scopedLive("is built for an address where no server listens, without connecting", () =>
    Effect.gen(function*() {
      const proxy = yield* ChaosProxy.make({ connect: () => assert.fail("nobody was let in") })
      yield* proxy.refuse("RST")
      const built = yield* Layer.build(NodeBeanstalk.layerClient(proxy.target))
      const client = Context.get(built, BeanstalkClient.BeanstalkClient)
      assert.deepStrictEqual(yield* proxy.connections, [])
      yield* Effect.fork(client.ready)
      yield* eventually(proxy.connections, (connections) => connections.length >= 2)
    }))

  it.scoped("fails with InvalidArgument for every invalid option", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const impossible: ReadonlyArray<readonly [argument: string, options: BeanstalkClient.Options]> = [
        ["offlineTimeout", { offlineTimeout: -1 }],
        ["offlineTimeout", { offlineTimeout: "0 millis" }],
        ["connectTimeout", { connectTimeout: 0 }],
        ["replyTimeout", { replyTimeout: Number.NaN }],
        ["maxInFlight", { maxInFlight: 0 }],
        ["maxQueuedBytes", { maxQueuedBytes: 0.5 }],
        ["maxBodySize", { maxBodySize: -1 }]
      ]
      for (const [argument, options] of impossible) {
        const error = yield* Effect.flip(clientTo(server, options))
        assert.strictEqual(error.argument, argument)
      }
      assert.strictEqual(server.availability.attempts, 0)
    }))
})

describe("ready", () => {
  it.scoped("opens the shared connection, and succeeds with its server", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const client = yield* clientTo(server)
      const [info] = yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      assert.strictEqual(info.id, sameInstance)
      assert.deepStrictEqual(yield* client.ready, info)
      assert.strictEqual(server.availability.attempts, 1)
    }))

  it.scoped("opens one connection for a hundred fibers that wait for it", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const client = yield* clientTo(server)
      const fibers = yield* Scripted.start(Array.makeBy(100, () => client.ready))
      yield* acceptHandshake(server)
      const infos = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      assert.strictEqual(infos.length, 100)
      assert.strictEqual(server.availability.attempts, 1)
    }))
})

describe("changes", () => {
  it.scoped("emit the present state, and every later one in order, until the client is closed", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(clientTo(server, { reconnect: everySecond }), scope)
      const { fiber, states } = yield* watchStates(client)
      yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" }).pipe(
        Effect.flatMap(([, peer]) => Effect.zipRight(pass(5000), peer.reset))
      )
      server.availability.isUp = false
      yield* Effect.zipRight(Scripted.turn, pass(1000))
      yield* pass(1000)
      server.availability.isUp = true
      const [peer] = yield* Effect.all([acceptHandshake(server, "fedcba9876543210"), pass(1000)], {
        concurrency: "unbounded"
      })
      yield* Scripted.turn
      const late = yield* watchStates(client)
      yield* peer.hangUp
      yield* Scripted.turn
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(fiber)
      const refused = "Lost (ConnectFailed): Cannot connect to beanstalkd at memory:11300: connect ECONNREFUSED. " +
        "Check that it is running, and that the address is right."
      assert.deepStrictEqual(states.map(inWords), [
        "Idle",
        "Connecting 1",
        `Connected to ${sameInstance}`,
        "Lost (SocketError): read ECONNRESET",
        "Connecting 1",
        refused,
        "Connecting 2",
        refused,
        "Connecting 3",
        "Connected to fedcba9876543210",
        "Lost (nothing else): the server closed it",
        "Closed"
      ])
      const version = states.find(State.$is("Connected"))?.server.version
      assert.strictEqual(version, (/^version: "?(.*?)"?$/m.exec(Scripted.document) ?? [])[1])
      yield* Fiber.join(late.fiber)
      assert.deepStrictEqual(late.states.map(inWords), states.slice(-3).map(inWords))
    }))

  it.scoped("of a closed client emit Closed, and end", () =>
    Effect.gen(function*() {
      const client = yield* Effect.scoped(Effect.map(connected(), ({ client }) => client))
      const states = yield* Stream.runCollect(client.changes)
      assert.deepStrictEqual([...states], [State.Closed()])
    }))
})

describe("commands while there is no connection", () => {
  it.scoped("wait, a thousand of them, and are all sent on the next one", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected()
      yield* peer.hangUp
      yield* Scripted.turn
      const putting = yield* Scripted.start(Array.makeBy(1000, (i) => client.put(`tube-${i % 7}`, `${i}`)))
      yield* pass(900)
      assert.isTrue(yield* Scripted.isPending(putting[0]!))
      const [next] = yield* Effect.all([acceptHandshake(server), pass(100)], { concurrency: "unbounded" })
      yield* answerPuts(next, 1000)
      assert.deepStrictEqual([...new Set(yield* Scripted.endings(putting))], ["Success"])
      const puts = [...next.writes.join("").matchAll(/put 1024 0 60 \d+\r\n(\d+)\r\n/g)].map(([, body]) => Number(body))
      assert.deepStrictEqual(puts.toSorted((a, b) => a - b), Array.makeBy(1000, (i) => i))
      assert.strictEqual(server.availability.attempts, 2)
    }))

  it.scoped("fail after offlineTimeout, and not before, with the reason of the last failed attempt", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      server.availability.isUp = false
      const client = yield* clientTo(server, { offlineTimeout: "2500 millis", reconnect: everySecond })
      const fibers = yield* Scripted.start([client.put("t", "x"), client.stats, client.delete("1"), client.ready])
      yield* pass(2499)
      for (const fiber of fibers) assert.isTrue(yield* Scripted.isPending(fiber))
      yield* pass(1)
      for (const fiber of fibers) {
        const error = yield* failureOf(fiber)
        assert(error._tag === "ConnectFailed")
        assert.strictEqual(error.reason, "Unreachable")
        assert.include(error.message, "ECONNREFUSED")
      }
    }))

  it.scoped("wait 10 seconds by default, each from when it was given", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      server.availability.isUp = false
      const client = yield* clientTo(server)
      const [first] = yield* Scripted.start([client.put("t", "x")])
      yield* pass(9000)
      const [second] = yield* Scripted.start([client.put("t", "x")])
      yield* pass(999)
      assert.isTrue(yield* Scripted.isPending(first))
      yield* pass(1)
      assert.strictEqual((yield* failureOf(first))._tag, "ConnectFailed")
      yield* pass(8999)
      assert.isTrue(yield* Scripted.isPending(second))
      yield* pass(1)
      assert.strictEqual((yield* failureOf(second))._tag, "ConnectFailed")
    }))

  it.scoped("fail after offlineTimeout in an uninterruptible region, too", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      server.availability.isUp = false
      const client = yield* clientTo(server, { reconnect: everySecond, offlineTimeout: "2.5 seconds" })
      const fibers = yield* Scripted.start([
        Effect.uninterruptible(client.put("t", "hello")),
        Effect.uninterruptible(client.ready)
      ])
      yield* pass(2500)
      const exits = yield* Effect.forEach(fibers, (fiber: Fiber.Fiber<unknown, unknown>) => Fiber.poll(fiber))
      server.availability.isUp = true
      yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
      assert.deepStrictEqual(exits.flatMap(Option.toArray).map(Scripted.ending), ["ConnectFailed", "ConnectFailed"])
    }))

  it.scoped("fail with TimedOut when no attempt has ended", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory({ opening: Effect.never })
      const client = yield* clientTo(server, { offlineTimeout: "1 second" })
      const [ready] = yield* Scripted.start([client.ready])
      yield* pass(1000)
      const error = yield* Effect.flip(Fiber.join(ready))
      assert.strictEqual(error.reason, "TimedOut")
      assert.include(error.message, "within 1 second")
    }))

  it.scoped("fail with TimedOut when no attempt of this outage has ended, not with the reason of the outage before", () =>
    Effect.gen(function*() {
      let opening: Effect.Effect<void, typeof Scripted.refused> = Effect.fail(Scripted.refused)
      const server = yield* Scripted.inMemory({ opening: Effect.suspend(() => opening) })
      const client = yield* clientTo(server, { offlineTimeout: "1 second", reconnect: Schedule.stop })
      assert.strictEqual((yield* Effect.flip(client.ready)).reason, "Unreachable")
      opening = Effect.never
      const [ready] = yield* Scripted.start([client.ready])
      yield* pass(1000)
      assert.strictEqual((yield* Effect.flip(Fiber.join(ready))).reason, "TimedOut")
    }))

  it.scoped("are not sent when they are interrupted while they wait", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected()
      yield* peer.hangUp
      yield* Scripted.turn
      const [interrupted, waiting, another] = yield* Scripted.start([
        client.put("t", "interrupted"),
        client.put("t", "waiting"),
        client.delete("5")
      ])
      yield* Effect.zipRight(Scripted.turn, Fiber.interruptAll([interrupted, another]))
      const [next] = yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
      yield* next.expect("use t\r\nput 1024 0 60 7\r\nwaiting\r\n")
      yield* next.say("USING t\r\nINSERTED 1\r\n")
      assert.strictEqual(yield* Fiber.join(waiting), "1")
      yield* Scripted.turn
      assert.strictEqual(yield* next.rest, "")
    }))

  it.scoped("are not sent when they are interrupted in the moment in which the connection opens", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected()
      yield* peer.hangUp
      yield* Scripted.turn
      const [putting] = yield* Scripted.start([client.put("t", "x")])
      const [next] = yield* Effect.all([server.accept, pass(1000)], { concurrency: "unbounded" })
      yield* next.expect("stats\r\n")
      yield* next.say(Scripted.stats)
      yield* Fiber.interrupt(putting)
      yield* Scripted.turn
      assert.strictEqual(yield* next.rest, "")
      assert.strictEqual(server.availability.attempts, 2)
    }))

  it.scoped("are sent on the next connection when the first is lost in the moment in which it opens", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const client = yield* clientTo(server, { reconnect: everySecond })
      const [putting] = yield* Scripted.start([client.put("t", "x")])
      for (let i = 0; i < 3; i += 1) {
        const peer = yield* server.accept
        yield* peer.expect("stats\r\n")
        yield* Effect.sync(() => peer.sayNow(Scripted.stats))
        yield* peer.hangUp
        yield* pass(1000)
      }
      const peer = yield* acceptHandshake(server)
      yield* peer.expect("use t\r\nput 1024 0 60 1\r\nx\r\n")
      yield* peer.say("USING t\r\nINSERTED 1\r\n")
      assert.strictEqual(yield* Fiber.join(putting), "1")
    }))

  it.scoped("are sent on the next connection when the reply to the handshake is followed by an unexpected one", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const client = yield* clientTo(server, { reconnect: everySecond })
      const [putting] = yield* Scripted.start([client.put("t", "x")])
      const first = yield* server.accept
      yield* first.expect("stats\r\n")
      yield* first.say(`${Scripted.stats}USING t\r\n`)
      yield* pass(1000)
      const second = yield* acceptHandshake(server)
      yield* second.expect("use t\r\nput 1024 0 60 1\r\nx\r\n")
      yield* second.say("USING t\r\nINSERTED 1\r\n")
      assert.strictEqual(yield* Fiber.join(putting), "1")
      assert.deepStrictEqual(first.writes, ["stats\r\n"])
    }))
})

/** Replies to so many `put`s, and to the `use`s between them. */
const answerPuts = (peer: Scripted.Peer, count: number) =>
  Effect.gen(function*() {
    for (let put = 0; put < count;) {
      const [command, ...args] = (yield* peer.line).trim().split(" ")
      if (command === "use") {
        yield* peer.say(`USING ${args.join(" ")}\r\n`)
      } else {
        yield* peer.line
        yield* peer.say(`INSERTED ${put += 1}\r\n`)
      }
    }
  })

describe("the reconnect Schedule", () => {
  /** The times of a client's attempts to connect, in milliseconds. The server accepts only the attempts in `answers`. */
  const attemptsOf = (
    options: BeanstalkClient.Options,
    { answers = [], during, stay = 0 }: {
      readonly answers?: ReadonlyArray<number>
      readonly during: number
      /** After how many milliseconds the server closes a connection that it has accepted. */
      readonly stay?: number
    }
  ) =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const alive = yield* Scripted.inMemory()
      const connector = Layer.effect(
        Connector.Connector,
        Effect.map(Connector.Connector, ({ address, socket }) => ({
          address,
          socket: Effect.flatMap(
            Clock.currentTimeMillis,
            (now) => answers.includes(times.push(now)) ? socket : Effect.fail(Scripted.refused)
          )
        }))
      ).pipe(Layer.provide(alive.connector))
      yield* Effect.forkScoped(
        Effect.forever(Effect.flatMap(acceptHandshake(alive), (peer) => Effect.delay(peer.hangUp, stay)))
      )
      const client = yield* clientTo({ connector }, options)
      yield* Effect.either(client.ready)
      yield* Effect.delay(Effect.void, during)
      return times
    }).pipe(Effect.scoped, Effect.withRandom(Random.make("reconnect")))

  const gaps = (times: ReadonlyArray<number>) => times.slice(1).map((time, i) => time - times[i]!)

  it.live("by default delays by a random part of 50 ms, and of twice as long each time, up to 5 seconds", () =>
    Effect.gen(function*() {
      const times = yield* attemptsOf({}, { during: 60 * 60 * 1000 })
      assert.isAbove(times.length, 1200)
      const shares = gaps(times).map((gap, n) => gap / Math.min(50 * 2 ** n, 5000))
      // The clock has a resolution of a millisecond.
      assert.isAtMost(Math.max(...shares), 1.02)
      assert.isAbove(Math.max(...shares), 0.99)
      assert.isBelow(Math.min(...shares), 0.01)
      const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
      assert.isAbove(mean, 0.45)
      assert.isBelow(mean, 0.55)
    }).pipe(Effect.provide(VirtualClock.layer())))

  it.live("begins anew for each outage", () =>
    Effect.gen(function*() {
      const times = yield* attemptsOf(
        { reconnect: Schedule.exponential("1 second") },
        { answers: [4, 8, 9], stay: 5000, during: 60_000 }
      )
      // dprint-ignore
      assert.deepStrictEqual(gaps(times).slice(0, 12), [
        1000, 2000, 4000, // until it is let in, for five seconds,
        6000, 2000, 4000, 8000, // again,
        6000, // and again
        6000, 2000, 4000, 8000
      ])
    }).pipe(Effect.provide(VirtualClock.layer())))

  it.live("does not begin anew while the server only completes handshakes and closes the connection", () =>
    Effect.gen(function*() {
      const times = yield* attemptsOf(
        { reconnect: Schedule.exponential("1 second") },
        { answers: [1, 2, 3, 4, 5], stay: 100, during: 60_000 }
      )
      assert.deepStrictEqual(gaps(times).slice(0, 4), [1100, 2100, 4100, 8100])
    }).pipe(Effect.provide(VirtualClock.layer())))

  it.scoped("begins anew after a connection that has answered a command, however short it was", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const client = yield* clientTo(server, { reconnect: Schedule.exponential("1 second") })
      const [, first] = yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      const answered = (peer: Scripted.Peer) =>
        Effect.all(
          [client.listTubes, Effect.zipRight(peer.expect("list-tubes\r\n"), peer.say(ok("---\n- default\n")))],
          {
            concurrency: "unbounded"
          }
        )
      yield* Effect.iterate({ peer: first, round: 0 }, {
        while: ({ round }) => round < 4,
        body: ({ peer, round }) =>
          Effect.gen(function*() {
            yield* answered(peer)
            yield* Effect.zipRight(peer.hangUp, Scripted.turn)
            const [next] = yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
            return { peer: next, round: round + 1 }
          })
      })
      assert.strictEqual(server.availability.attempts, 5)
    }))

  it.live("gets what was lost as its input", () =>
    Effect.gen(function*() {
      const inputs: Array<string> = []
      const reconnect = Schedule.tapInput(
        Schedule.spaced("1 second"),
        (lost: BeanstalkClient.Lost) => Effect.sync(() => void inputs.push(inWords(lost).slice(0, 20)))
      )
      yield* attemptsOf({ reconnect }, { answers: [3], during: 10_000 })
      assert.deepStrictEqual(
        inputs.slice(0, 4),
        [
          "Lost (ConnectFailed):",
          "Lost (ConnectFailed):",
          "Lost (nothing else): t",
          "Lost (ConnectFailed):"
        ].map((words) => words.slice(0, 20))
      )
    }).pipe(Effect.provide(VirtualClock.layer())))

  it.scoped("that is done fails the waiting commands, and the next command connects again", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      server.availability.isUp = false
      const reconnect = Schedule.intersect(everySecond, Schedule.recurs(2))
      const client = yield* clientTo(server, { offlineTimeout: "1 hour", reconnect })
      const { states } = yield* watchStates(client)
      const fibers = yield* Scripted.start([client.put("t", "x"), client.stats])
      yield* pass(1999)
      assert.isTrue(yield* Scripted.isPending(fibers[0]))
      yield* pass(1)
      for (const fiber of fibers) assert.include((yield* failureOf(fiber)).message, "ECONNREFUSED")
      assert.deepStrictEqual(states.at(-1), State.Idle())
      yield* pass(60_000)
      assert.strictEqual(server.availability.attempts, 3)

      server.availability.isUp = true
      yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      yield* Scripted.turn
      assert.deepStrictEqual(states.slice(-3).map(inWords), ["Idle", "Connecting 1", `Connected to ${sameInstance}`])
    }))

  it.scoped("may be done with the first loss", () =>
    Effect.gen(function*() {
      const { client, peer, server } = yield* connected({ reconnect: Schedule.stop })
      yield* peer.hangUp
      yield* Scripted.turn
      const { states } = yield* watchStates(client)
      assert.deepStrictEqual(states, [State.Idle()])
      yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      assert.strictEqual(server.availability.attempts, 2)
    }))

  it.scoped("that throws counts as done", () =>
    Effect.gen(function*() {
      const broken = Schedule.delayedEffect(Schedule.forever, () => Effect.die(new Error("a broken schedule")))
      const { client, peer, server } = yield* connected({ reconnect: broken })
      yield* peer.hangUp
      yield* Scripted.turn
      yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      assert.strictEqual(server.availability.attempts, 2)
    }))
})

describe("a connector", () => {
  const broken: Readonly<Record<string, Effect.Effect<never>>> = {
    "throws": Effect.sync(() => {
      throw new Error("a broken connector")
    }),
    "is interrupted": Effect.interrupt,
    "throws and is interrupted": Effect.failCause(Cause.parallel(Cause.die("broken"), Cause.empty))
  }

  it.scoped.each(Object.entries(broken))(
    "that %s has failed to connect, and is tried again",
    ([, opening]) =>
      Effect.gen(function*() {
        const { client, peer, server } = yield* Effect.gen(function*() {
          const availability = { attempts: 0 }
          const alive = yield* Scripted.inMemory()
          const connector = Layer.effect(
            Connector.Connector,
            Effect.map(Connector.Connector, ({ address, socket }) => ({
              address,
              socket: Effect.suspend(() => (availability.attempts += 1) <= 2 ? opening : socket)
            }))
          ).pipe(Layer.provide(alive.connector))
          const client = yield* clientTo({ connector }, { reconnect: everySecond })
          const [ready] = yield* Scripted.start([client.ready])
          yield* pass(1000)
          yield* pass(1000)
          const peer = yield* acceptHandshake(alive)
          assert.strictEqual((yield* Fiber.join(ready)).id, sameInstance)
          return { client, peer, server: alive }
        })
        yield* peer.hangUp
        yield* Scripted.turn
        yield* Effect.all([client.ready, acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
      })
  )
})

describe("a closed client", () => {
  const uses: ReadonlyArray<(client: BeanstalkClient.Client) => Effect.Effect<unknown, BeanstalkError.BeanstalkError>> =
    [
      (client) => client.ready,
      (client) => client.put("t", "x"),
      (client) => client.stats,
      (client) => client.listTubes,
      (client) => client.peek("1"),
      (client) => client.delete("1"),
      (client) => client.kick("t", 1),
      (client) => client.pauseTube("t", 1000),
      (client) => Effect.scoped(client.lease),
      (client) => Effect.scoped(client.leaseWith({ watch: ["t"] })),
      (client) => client.purge("t"),
      (client) => client.move("t", "u")
    ]

  const isClosed = (error: BeanstalkError.BeanstalkError) =>
    assert.deepStrictEqual([error._tag, "reason" in error ? error.reason : undefined], ["ConnectFailed", "Closed"])

  it.scoped("fails every command at once, and opens no connection", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      for (const useBefore of [true, false]) {
        const client = yield* Effect.scoped(Effect.tap(clientTo(server), (client) =>
          useBefore
            ? Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
            : Effect.void))
        const { attempts } = server.availability
        for (const use of uses) isClosed(yield* Effect.flip(use(client)))
        assert.strictEqual(server.availability.attempts, attempts)
      }
    }))

  it.scoped("fails the commands that wait for a connection", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      server.availability.isUp = false
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(clientTo(server), scope)
      const fibers = yield* Scripted.start(uses.slice(0, 8).map((use) => use(client)))
      yield* pass(10)
      yield* Scope.close(scope, Exit.void)
      for (const fiber of fibers) isClosed(yield* failureOf(fiber))
    }))

  it.scoped("fails the commands that wait for a connection that is being opened, and closes that connection", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(clientTo(server), scope)
      const fibers = yield* Scripted.start(uses.slice(0, 8).map((use) => use(client)))
      const peer = yield* server.accept
      yield* Scope.close(scope, Exit.void)
      for (const fiber of fibers) isClosed(yield* failureOf(fiber))
      yield* peer.closed
      assert.deepStrictEqual(peer.writes.join(""), "stats\r\n")
    }))

  it.scoped("fails commands in flight: read-only and unwritten ones with ConnectFailed, others with the outcome Unknown", () =>
    Effect.gen(function*() {
      const server = yield* unreliable
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(clientTo(server, { maxInFlight: 4 }), scope)
      yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
      const fibers = yield* Scripted.start([
        client.delete("1"),
        client.put("t", "x"),
        client.stats,
        client.put("t", "never written"),
        client.peek("1")
      ])
      yield* Scripted.turn
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Scripted.endings(fibers), [
        "ConnectionLost Unknown",
        "ConnectionLost Unknown",
        "ConnectFailed",
        "ConnectFailed",
        "ConnectFailed"
      ])
      assert.strictEqual(server.availability.attempts, 1)
    }))
})

describe("the log", () => {
  /** The log lines, each with its level. */
  const collected = Effect.sync(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label}: ${String(message)}`))
    return { lines, logged: Layer.merge(Logger.replace(Logger.defaultLogger, logger), atDebug) }
  })

  const atDebug = Logger.minimumLogLevel(LogLevel.Debug)

  it.scoped("has the first loss of an outage at Warning, and its end at Info", () =>
    Effect.gen(function*() {
      const { lines, logged } = yield* collected
      yield* Effect.gen(function*() {
        const { peer, server } = yield* connected()
        for (const lost of [peer.hangUp, peer.reset]) {
          yield* pass(5000)
          server.availability.isUp = false
          yield* lost
          yield* Scripted.turn
          yield* pass(1000)
          yield* pass(1000)
          server.availability.isUp = true
          const [next] = yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
          yield* Scripted.turn
          yield* pass(5000)
          if (lost === peer.hangUp) yield* next.reset
          yield* Scripted.turn
        }
      }).pipe(Effect.provide(logged))
      const outage = [
        /^WARN: .*memory:11300 is lost/,
        /^DEBUG: Cannot connect/,
        /^DEBUG: Cannot connect/,
        /^INFO: Connected/
      ]
      const expected = [/^DEBUG: Connected to beanstalkd .* at memory:11300 \(instance/, ...outage, /^WARN/]
      assert.isAtLeast(lines.length, expected.length)
      expected.forEach((pattern, i) => assert.match(lines[i] ?? "", pattern))
    }))

  it.scoped("has one Warning and one Info for a server that only completes handshakes and closes the connection", () =>
    Effect.gen(function*() {
      const { lines, logged } = yield* collected
      yield* Effect.gen(function*() {
        const server = yield* unreliable
        const client = yield* clientTo(server, { reconnect: everySecond })
        const [, first] = yield* Effect.all([client.ready, acceptHandshake(server)], { concurrency: "unbounded" })
        yield* Effect.iterate({ peer: first, rounds: 0 }, {
          while: ({ rounds }) => rounds < 4,
          body: ({ peer, rounds }) =>
            Effect.gen(function*() {
              yield* Effect.zipRight(peer.hangUp, Scripted.turn)
              const [next] = yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
              yield* Scripted.turn
              return { peer: next, rounds: rounds + 1 }
            })
        })
      }).pipe(Effect.provide(logged))
      const loud = lines.filter((line) => !line.startsWith("DEBUG")).map((line) => line.split(":", 1)[0])
      assert.deepStrictEqual(loud, ["WARN", "INFO"])
    }))

  it.scoped("has one Warning for a server that is unavailable from the start", () =>
    Effect.gen(function*() {
      const { lines, logged } = yield* collected
      yield* Effect.gen(function*() {
        const server = yield* unreliable
        server.availability.isUp = false
        const client = yield* clientTo(server, { reconnect: everySecond })
        const [ready] = yield* Scripted.start([client.ready])
        yield* pass(5000)
        server.availability.isUp = true
        yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
        yield* Fiber.join(ready)
      }).pipe(Effect.provide(logged))
      const levels = lines.map((line) => line.split(":")[0])
      assert.deepStrictEqual(levels, ["WARN", "DEBUG", "DEBUG", "DEBUG", "DEBUG", "DEBUG", "INFO"])
    }))

  it.scoped("has no line above Debug for idle connections that come back at the first attempt", () =>
    Effect.gen(function*() {
      const { lines, logged } = yield* collected
      yield* Effect.gen(function*() {
        const { peer, server } = yield* connected()
        yield* Effect.iterate({ peer, rounds: 0 }, {
          while: ({ rounds }) => rounds < 10,
          body: ({ peer, rounds }) =>
            Effect.gen(function*() {
              yield* pass(30_000)
              yield* Effect.zipRight(rounds % 2 === 0 ? peer.hangUp : peer.reset, Scripted.turn)
              const [next] = yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
              yield* Scripted.turn
              return { peer: next, rounds: rounds + 1 }
            })
        })
      }).pipe(Effect.provide(logged))
      assert.strictEqual(lines.filter((line) => /^DEBUG: .* is lost/.test(line)).length, 10)
      assert.deepStrictEqual(lines.filter((line) => !line.startsWith("DEBUG")), [])
    }))

  it.scoped("has a Warning for a connection that is lost with a command", () =>
    Effect.gen(function*() {
      const { lines, logged } = yield* collected
      yield* Effect.gen(function*() {
        const { client, peer, server } = yield* connected()
        yield* pass(30_000)
        const [put] = yield* Scripted.start([client.put("t", "x")])
        yield* Scripted.turn
        yield* Effect.zipRight(peer.hangUp, Scripted.turn)
        yield* Effect.all([acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
        yield* Fiber.await(put)
        yield* Scripted.turn
      }).pipe(Effect.provide(logged))
      assert.deepStrictEqual(
        lines.filter((line) => !line.startsWith("DEBUG")).map((line) => line.split(":", 1)[0]),
        ["WARN", "INFO"]
      )
    }))

  it.scoped("hostile input 8: has what a server reports with its control characters escaped", () =>
    Effect.gen(function*() {
      const { lines, logged } = yield* collected
      const hostile = "\u001b[2J\u009b31m\u202e\u0007"
      const inUtf8 = chars(new TextEncoder().encode(hostile))
      const document = Scripted.document.replace(/^version: .*$/m, `version: "1.13${inUtf8}"`)
        .replace(/^id: .*$/m, `id: ${inUtf8}`)
      yield* Effect.gen(function*() {
        const server = yield* unreliable
        const client = yield* clientTo(server, { reconnect: everySecond })
        const [ready] = yield* Scripted.start([client.ready])
        const first = yield* server.accept
        yield* first.say(`${inUtf8}\r\n`)
        const [second] = yield* Effect.all([server.accept, pass(1000)], { concurrency: "unbounded" })
        yield* second.say(ok(document.replace(/^max-job-size: .*$/m, `max-job-size: ${inUtf8}`)))
        const [third] = yield* Effect.all([server.accept, pass(1000)], { concurrency: "unbounded" })
        yield* third.say(ok(document))
        assert.strictEqual((yield* Fiber.join(ready)).version, `1.13${hostile}`)
      }).pipe(Effect.provide(logged))
      assert.isAtLeast(lines.length, 3)
      assert.include(lines.at(-1), "1.13\\u001b[2J\\u009b31m\\u202e\\u0007")
      for (const line of lines) assert.notMatch(line, /[\p{Cc}\p{Cf}]/u)
    }))

  it.scoped("may throw without an effect on the client", () =>
    Effect.gen(function*() {
      const broken = Logger.make(() => {
        throw new Error("a broken logger")
      })
      yield* Effect.gen(function*() {
        const { client, peer, server } = yield* connected()
        yield* peer.hangUp
        yield* Scripted.turn
        yield* Effect.all([client.ready, acceptHandshake(server), pass(1000)], { concurrency: "unbounded" })
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, broken)))
    }))
})
