/** How clients and workers say how they do. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, Health, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"

const mails = Tube.text("mails")

const withServer = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  test.pipe(
    Effect.scoped,
    Effect.provide(BeanstalkClient.layer()),
    Effect.provide(EmbeddedServer.layer()),
    Effect.provide(VirtualClock.layer())
  )

/** No connection is open from now on, and none can be opened, until the server is healed. */
const outage = Effect.gen(function*() {
  const server = yield* EmbeddedServer.EmbeddedServer
  yield* server.inject(EmbeddedServer.Fault.Refuse())
  yield* server.inject(EmbeddedServer.Fault.Cut())
})

/** A Clock whose monotonic time jumps when `block` is called, as it seems to a program whose event loop was blocked. */
const blockable = (clock: Clock.Clock) => {
  let blocked = 0n
  const blockedClock: Clock.Clock = {
    ...clock,
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    currentTimeNanos: Effect.map(clock.currentTimeNanos, (nanos) => nanos + blocked),
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos() + blocked,
    currentTimeMillis: clock.currentTimeMillis,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
    sleep: (duration) => clock.sleep(duration)
  }
  const block = (duration: Duration.DurationInput) =>
    Effect.sync(() => {
      blocked += BigInt(Duration.toMillis(duration)) * 1_000_000n
    })
  return { clock: blockedClock, block }
}

const tagOf = Effect.map(({ _tag }: Health.Health) => _tag)

describe("the health of a client", () => {
  it.effect("is Healthy before it is used, and while it is connected", () =>
    withServer(Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      yield* outage
      yield* Effect.sleep("1 hour")
      assert.deepStrictEqual(yield* client.health(), Health.Healthy())
    })))

  it.effect("is Degraded once there was no connection for longer than the grace, since it was lost", () =>
    withServer(Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* client.ready
      const lostAt = yield* Clock.currentTimeMillis
      yield* outage
      yield* Effect.sleep("29 seconds")
      assert.strictEqual(yield* tagOf(client.health()), "Healthy")
      assert.strictEqual(yield* tagOf(client.health({ grace: "10 seconds" })), "Degraded")
      yield* Effect.sleep("2 seconds")
      const health = yield* client.health()
      assert(Health.is("Degraded")(health))
      assert.approximately(DateTime.toEpochMillis(health.since), lostAt, 100)
      assert.include(health.reason, "memory")
      yield* server.heal
      yield* client.ready
      assert.strictEqual(yield* tagOf(client.health({ grace: 0 })), "Healthy")
    })))

  it.effect("is Healthy again once the reconnect Schedule is done: no connection is wanted before the next command", () =>
    Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* client.ready
      yield* outage
      yield* Effect.sleep("31 seconds")
      assert.strictEqual(yield* tagOf(client.health()), "Degraded")
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(yield* client.health(), Health.Healthy())
      yield* server.heal
      yield* client.stats
      assert.deepStrictEqual(yield* client.health(), Health.Healthy())
    }).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer({ reconnect: Schedule.upTo(Schedule.spaced("10 seconds"), "40 seconds") })),
      Effect.provide(EmbeddedServer.layer()),
      Effect.provide(VirtualClock.layer())
    ))

  it.effect("is Failed when the client is closed", () =>
    withServer(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(BeanstalkClient.make(), scope)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* tagOf(client.health()), "Failed")
    })))
})

describe("the health of a worker", () => {
  it.effect("is Degraded until the worker is connected for the first time, and Healthy then", () =>
    withServer(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* outage
      const worker = yield* Worker.make(mails, () => Effect.void)
      yield* Effect.sleep("1 second")
      assert.strictEqual(yield* tagOf(worker.health()), "Degraded")
      yield* server.heal
      yield* Effect.sleep("10 seconds")
      assert.deepStrictEqual(yield* worker.health(), Health.Healthy())
    })))

  it.effect("is Degraded once all its lanes were without a connection for longer than the grace, since the last was lost", () =>
    withServer(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const worker = yield* Worker.make(mails, () => Effect.never, { concurrency: 2 })
      yield* mails.put("hello")
      yield* Effect.sleep("1 second")
      assert.strictEqual((yield* worker.stats).lanes, 2)
      const lostAt = yield* Clock.currentTimeMillis
      yield* outage
      yield* Effect.sleep("29 seconds")
      assert.strictEqual(yield* tagOf(worker.health()), "Healthy")
      yield* Effect.sleep("2 seconds")
      const health = yield* worker.health()
      assert(Health.is("Degraded")(health))
      assert.approximately(DateTime.toEpochMillis(health.since), lostAt, 100)
      yield* server.heal
      yield* Effect.sleep("10 seconds")
      assert.strictEqual(yield* tagOf(worker.health({ grace: 0 })), "Healthy")
    })))

  it.effect("is Healthy while the worker is told to take no jobs", () =>
    withServer(Effect.gen(function*() {
      const worker = yield* Worker.make(mails, () => Effect.void)
      yield* Effect.sleep("1 second")
      yield* worker.quiet
      yield* Effect.sleep("1 hour")
      assert.strictEqual((yield* worker.stats).lanes, 0)
      assert.strictEqual(yield* tagOf(worker.health()), "Healthy")
    })))

  it.effect("is Degraded as soon as the worker is shut down, and Failed when it is closed", () =>
    withServer(Effect.gen(function*() {
      const done = yield* Deferred.make<void>()
      const worker = yield* Worker.make(mails, () => Deferred.await(done))
      yield* mails.put("hello")
      yield* Effect.sleep("1 second")
      const closing = yield* Effect.fork(worker.shutdown)
      yield* Effect.yieldNow()
      const health = yield* worker.health()
      assert(Health.is("Degraded")(health))
      assert.include(health.reason, "shut down")
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(closing)
      assert.strictEqual(yield* tagOf(worker.health()), "Failed")
    })))

  it.effect("is Failed after the event loop was blocked for longer than the lateness, for as long again", () =>
    Effect.gen(function*() {
      const { block, clock } = blockable(yield* Effect.clock)
      yield* Effect.withClock(
        Effect.scoped(Effect.gen(function*() {
          const worker = yield* Worker.make(mails, () => Effect.void)
          yield* Effect.sleep("5 seconds")
          assert.strictEqual(yield* tagOf(worker.health()), "Healthy")
          yield* Effect.sleep("5 seconds")
          yield* block("40 seconds")
          const health = yield* worker.health()
          assert(Health.is("Failed")(health))
          assert.include(health.reason, "40 seconds")
          assert.strictEqual(yield* tagOf(worker.health({ lateness: "1 minute" })), "Healthy")
          yield* Effect.sleep("35 seconds")
          assert.strictEqual(yield* tagOf(worker.health()), "Failed")
          yield* Effect.sleep("6 seconds")
          assert.strictEqual(yield* tagOf(worker.health()), "Healthy")
        })),
        clock
      )
    }).pipe(
      Effect.provide(BeanstalkClient.layer()),
      Effect.provide(EmbeddedServer.layer()),
      Effect.provide(VirtualClock.layer())
    ))
})

describe("the worst of several healths", () => {
  const [healthy, failed] = [Health.Healthy(), Health.Failed({ reason: "closed" })]
  const degraded = Health.Degraded({ since: DateTime.unsafeMake(0), reason: "away" })

  it("is the one that is Failed, or else Degraded, or else Healthy", () => {
    assert.strictEqual(Health.worst([healthy, degraded, failed]), failed)
    assert.strictEqual(Health.worst([healthy, degraded]), degraded)
    assert.deepStrictEqual(Health.worst([healthy]), healthy)
    assert.deepStrictEqual(Health.worst([]), healthy)
  })
})
