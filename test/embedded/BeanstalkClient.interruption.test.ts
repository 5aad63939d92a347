/**
 * A fiber that uses a client can be interrupted, and a client can be closed, at any step: no job stays reserved, nothing is
 * sent afterwards, no connection is left, and other fibers can use the client.
 */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connector } from "../../src/Connector.ts"
import { clientTo } from "../support/clients.ts"
import { openTo } from "../support/connections.ts"
import { sample, upTo } from "../support/edition.ts"
import * as Scripted from "../support/scripted.ts"
import { Stepping } from "../support/stepping.ts"

/** The steps before which to interrupt. */
const stepsOf = (nth: number) => sample(upTo(500), 12, nth)

type Client = BeanstalkClient.Client

const options: BeanstalkClient.Options = { reconnect: Schedule.spaced("1 millis") }

/** Never ends by itself. */
const busy = Effect.forever(Effect.yieldNow())

const uses: Readonly<Record<string, (client: Client) => Effect.Effect<unknown, unknown>>> = {
  put: (client) => client.put("t", "mine"),
  ready: (client) => client.ready,
  "lease and reserve": (client) =>
    Effect.scoped(Effect.flatMap(
      client.leaseWith({ tube: "u", watch: ["t"] }),
      (lease) => Effect.zipRight(lease.reserve, busy)
    ))
}

const start = Effect.map(EmbeddedServer.make(), ({ connector, server }) => ({
  server,
  connector: Layer.succeed(Connector, connector)
}))

type Started = Effect.Effect.Success<typeof start>

/** Runs an Effect, interrupts it after so many steps, and succeeds with whether it was still running. */
const interruptedAfter = (steps: number, self: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function*() {
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const scheduler = new Stepping(steps, () => fiber.unsafeInterruptAsFork(FiberId.none))
    const fiber = runFork(Effect.zipRight(Effect.ignore(self), busy), { scheduler, immediate: false })
    const exit = yield* Fiber.await(fiber)
    assert.isTrue(Exit.isInterrupted(exit), Scripted.ending(exit))
  })

const countOf = (server: EmbeddedServer.Server, event: EmbeddedServer.JobEvent) =>
  Effect.map(server.journal, (journal) => journal.filter((entry) => entry.event === event).length)

/** Waits for a condition that needs only some turns of the event loop. */
const settled = <A>(read: Effect.Effect<A>, condition: (value: A) => boolean, turns = 100): Effect.Effect<A> =>
  Effect.flatMap(read, (value) =>
    condition(value) ? Effect.succeed(value) : turns === 0
      ? Effect.dieMessage("it did not come to rest")
      : Effect.zipRight(Scripted.turn, settled(read, condition, turns - 1)))

/** Asserts that no job is reserved, and that only these connections are open. */
const holdsNothing = ({ server }: Started, connections: number, message: string) =>
  Effect.gen(function*() {
    yield* settled(server.connections, ({ length }) => length === connections)
    assert.strictEqual(yield* countOf(server, "reserved"), yield* countOf(server, "given-back"), message)
  })

/** The state of the client when the fiber is interrupted. */
const situations: Readonly<Record<string, (client: Client, started: Started) => Effect.Effect<unknown, unknown>>> = {
  "idle": () => Effect.void,
  "connected": (client) => client.ready,
  "lost": (client, { server }) => Effect.zipRight(client.ready, server.inject(EmbeddedServer.Fault.Cut()))
}

const cases = Object.entries(uses).flatMap(([name, use]) =>
  Object.entries(situations).map(([situation, prepare], nth) => ({
    name,
    use,
    situation,
    prepare,
    steps: stepsOf(name.length + 2 * nth)
  }))
)

describe("an interruption after any number of steps", () => {
  it.live.each(cases)("leaves no job reserved and no connection, and the client usable: $name, when it is $situation", (
    { prepare, steps, use }
  ) =>
    Effect.forEach(steps, (k) =>
      Effect.gen(function*() {
        const started = yield* start
        yield* Effect.scoped(
          Effect.flatMap(openTo(started), (other) => other.put("for whoever reserves", { tube: "t" }))
        )
        const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
        const client = yield* Scope.extend(clientTo(started, options), scope)
        yield* prepare(client, started)
        yield* interruptedAfter(k, use(client))
        yield* Scripted.turn
        const put = yield* countOf(started.server, "put")
        const last = yield* client.put("v", "another's")
        yield* holdsNothing(started, 1, `interrupted before step ${k}`)
        assert.strictEqual((yield* client.statsJob(last)).tube, "v")
        assert.strictEqual(yield* countOf(started.server, "put"), put + 1, `sent late, behind step ${k}`)
        yield* Scope.close(scope, Exit.void)
        yield* holdsNothing(started, 0, `interrupted before step ${k}`)
      }).pipe(Effect.scoped)))

  it.live.each(Object.entries(uses))(
    "of the client and of the fiber that uses it leaves no job reserved and no connection: %s",
    ([name, use]) =>
      Effect.forEach(stepsOf(name.length), (k) =>
        Effect.gen(function*() {
          const started = yield* start
          yield* Effect.scoped(
            Effect.flatMap(openTo(started), (other) => other.put("for whoever reserves", { tube: "t" }))
          )
          let client: Client | undefined
          const using = Effect.scoped(Effect.flatMap(clientTo(started, options), (made) => use(client = made)))
          yield* interruptedAfter(k, using)
          yield* holdsNothing(started, 0, `interrupted before step ${k}`)
          if (client === undefined) return
          // No state may follow `Closed`.
          const states = yield* Stream.runCollect(client.changes)
          assert.deepStrictEqual([...states], [BeanstalkClient.State.Closed()])
        }).pipe(Effect.scoped))
  )
})

describe("a client that is closed before any step", () => {
  it.live("ends its states with Closed, whatever it was doing", () =>
    Effect.forEach(sample(upTo(250), 40), (k) =>
      Effect.gen(function*() {
        const server = yield* Scripted.inMemory({
          opening: Effect.zipRight(Effect.yieldNow(), Effect.fail(Scripted.refused))
        })
        const scope = yield* Scope.make()
        const runFork = Runtime.runFork(yield* Effect.runtime<never>())
        const closed = Effect.unsafeMakeLatch()
        const scheduler = new Stepping(k, () => {
          runFork(Effect.zipRight(Scope.close(scope, Exit.void), closed.open), { scheduler })
        })
        const using = clientTo(server, { reconnect: Schedule.forever }).pipe(
          Effect.tap((client) => Effect.forkDaemon(client.ready)),
          Scope.extend(scope)
        )
        const client = yield* Fiber.join(runFork(using, { scheduler }))
        yield* closed.await
        yield* Scripted.turn
        const states = yield* Stream.runCollect(client.changes).pipe(Effect.timeoutOption("100 millis"))
        assert.deepStrictEqual(
          [...Option.getOrElse(states, () => [])],
          [BeanstalkClient.State.Closed()],
          `before step ${k}`
        )
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))))
})

describe("an interruption of a bulk operation", () => {
  it.live.each(["purge", "move"] as const)(
    "is told by the last progress, the batch on its way included: %s",
    (bulk) =>
      Effect.gen(function*() {
        const started = yield* start
        const client = yield* clientTo(started, options)
        yield* Stream.runDrain(client.putAll("t", Stream.map(Stream.range(1, 20), String)))
        let done = 0
        const bulkOptions: BeanstalkClient.BulkOptions = {
          states: ["ready"],
          onProgress: ({ ready }) =>
            Effect.sync(() => {
              done = ready
            })
        }
        const operation = bulk === "purge" ? client.purge("t", bulkOptions) : client.move("t", "u", bulkOptions)
        const fiber = yield* Effect.fork(operation)
        yield* Effect.repeat(Effect.yieldNow(), {
          until: () => countOf(started.server, "deleted").pipe(Effect.map((deleted) => deleted > 0))
        })
        assert.strictEqual(done, 0)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(done, 16)
        assert.strictEqual((yield* client.statsTube("t")).currentJobsReady, 4)
      }).pipe(Effect.scoped)
  )
})
