/** A worker whose client is closed is shut down then. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ServerRoom } from "../../src/internal/worker/serverRoom.ts"
import { clientTo } from "../support/clients.ts"
import * as Scripted from "../support/scripted.ts"
import { virtualTest } from "../support/scriptedWorkers.ts"
import { awaitJobEvent, inVirtualTime, jobEvents } from "../support/workers.ts"

const tube = Tube.text("work", { ttr: "9 seconds" })

/** A client that is closed by an Effect. */
const closableClient = Effect.gen(function*() {
  const scope = yield* Scope.make()
  const client = yield* Scope.extend(BeanstalkClient.make(), scope)
  return { client, close: Scope.close(scope, Exit.void) }
})

/** Runs an Effect, and succeeds with the errors that were logged. */
const errorsLoggedBy = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const errors: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    if (logLevel._tag === "Error") errors.push(String(message))
  })
  return Effect.as(Effect.provide(effect, Logger.add(logger)), errors)
}

const makeWorker = <E>(handler: Effect.Effect<unknown, E>, client: BeanstalkClient.Client) =>
  Effect.provideService(Worker.make(tube, () => handler), BeanstalkClient.BeanstalkClient, client)

describe("rule 29: a worker whose client is closed", () => {
  it.live("takes no more jobs, and its job is settled before the client is closed; an Error names its tube", () =>
    inVirtualTime(Effect.gen(function*() {
      const errors = yield* errorsLoggedBy(Effect.gen(function*() {
        const { client, close } = yield* closableClient
        const worker = yield* makeWorker(Effect.sleep("5 seconds"), client)
        const id = yield* tube.put("a job")
        yield* awaitJobEvent(id, "reserved")
        const next = yield* tube.put("next")
        yield* close
        assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
        assert.deepStrictEqual(yield* jobEvents(next), ["put"])
        assert.strictEqual((yield* worker.await).drained, 1)
      }))
      assert.strictEqual(errors.length, 1)
      assert.include(errors[0], "tube work")
    })))

  it.live("can use the client as long as its handlers run", () =>
    inVirtualTime(Effect.gen(function*() {
      const { client, close } = yield* closableClient
      const worker = yield* makeWorker(Effect.delay(client.put("other", "x"), "5 seconds"), client)
      yield* awaitJobEvent(yield* tube.put("a job"), "reserved")
      yield* close
      assert.strictEqual((yield* worker.stats).outcomes.Completed, 1)
    })))

  it.live("by mistake as soon as it is made dies with what to do, and is shut down", () =>
    inVirtualTime(Effect.gen(function*() {
      const exit = yield* Worker.make(tube, () => Effect.void).pipe(
        Effect.provide(BeanstalkClient.layer()),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit))
      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      assert.include(text, "tube work")
      assert.include(text, "Layer")
      const id = yield* tube.put("a job")
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(yield* jobEvents(id), ["put"])
    })))

  it.live("together with its own Scope is no error", () =>
    inVirtualTime(Effect.gen(function*() {
      const errors = yield* errorsLoggedBy(Effect.gen(function*() {
        const scope = yield* Scope.make(ExecutionStrategy.parallel)
        const client = yield* Scope.extend(BeanstalkClient.make(), scope)
        const worker = yield* Scope.extend(makeWorker(Effect.sleep("5 seconds"), client), scope)
        yield* awaitJobEvent(yield* tube.put("a job"), "reserved")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* worker.stats).outcomes.Completed, 1)
      }))
      assert.deepStrictEqual(errors, [])
    })))

  it.live("when the program around both is interrupted is no error", () =>
    inVirtualTime(Effect.gen(function*() {
      const errors = yield* errorsLoggedBy(Effect.gen(function*() {
        const running = yield* Worker.make(tube, () => Effect.sleep("5 seconds")).pipe(
          Effect.zipRight(Effect.never),
          Effect.provide(BeanstalkClient.layer()),
          Effect.scoped,
          Effect.fork
        )
        const id = yield* tube.put("a job")
        yield* awaitJobEvent(id, "reserved")
        yield* Fiber.interrupt(running)
        assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
      }))
      assert.deepStrictEqual(errors, [])
    })))

  it.live("after it was shut down is no error", () =>
    inVirtualTime(Effect.gen(function*() {
      const errors = yield* errorsLoggedBy(Effect.gen(function*() {
        const { client, close } = yield* closableClient
        const worker = yield* makeWorker(Effect.void, client)
        yield* worker.shutdown
        yield* close
      }))
      assert.deepStrictEqual(errors, [])
    })))
})

describe("rule 31: a server without room whose client is closed, as that of one that has left a cluster", () => {
  it.live("is probed no more, while the worker goes on", () =>
    inVirtualTime(Effect.gen(function*() {
      const { client, close } = yield* closableClient
      yield* close
      const room = new ServerRoom(client.dedicated, tube.name)
      yield* room.probe
      assert.isFalse(room.isFull)
    })))
})

describe("rule 29: a Stream of jobs whose client is closed", () => {
  const jobsOf = (client: BeanstalkClient.Client) =>
    Stream.provideService(Worker.jobs(tube), BeanstalkClient.BeanstalkClient, client)

  it.live("ends while it waits for a job", () =>
    inVirtualTime(Effect.gen(function*() {
      const { client, close } = yield* closableClient
      const running = yield* Effect.fork(Stream.runCount(jobsOf(client)))
      yield* Effect.sleep("1 second")
      yield* close
      assert.strictEqual(yield* Fiber.join(running), 0)
      assert.strictEqual(yield* Clock.currentTimeMillis, 1000)
      const id = yield* tube.put("a job")
      assert.deepStrictEqual(yield* jobEvents(id), ["put"])
    })))

  it.live("ends while it waits for a connection", () =>
    inVirtualTime(Effect.gen(function*() {
      const { inject } = yield* EmbeddedServer.EmbeddedServer
      yield* inject(EmbeddedServer.Fault.Refuse())
      const { client, close } = yield* closableClient
      const running = yield* Effect.fork(Stream.runCount(jobsOf(client)))
      yield* Effect.sleep("1 minute")
      yield* close
      assert.strictEqual(yield* Fiber.join(running), 0)
      assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
    })))

  it.live("ends when the job that it has is settled", () =>
    inVirtualTime(Effect.gen(function*() {
      const { client, close } = yield* closableClient
      const running = yield* jobsOf(client).pipe(
        Stream.tap(({ complete }) => Effect.delay(complete, "5 seconds")),
        Stream.runCount,
        Effect.fork
      )
      const id = yield* tube.put("a job")
      yield* awaitJobEvent(id, "reserved")
      const next = yield* tube.put("next")
      yield* close
      assert.strictEqual(yield* Fiber.join(running), 1)
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
      assert.deepStrictEqual(yield* jobEvents(next), ["put"])
    })))
})

describe("rule 4: a worker", () => {
  it.live("cannot start when its client is closed, or is being closed", () =>
    inVirtualTime(Effect.gen(function*() {
      const { client, close } = yield* closableClient
      yield* makeWorker(Effect.sleep("5 seconds"), client)
      yield* awaitJobEvent(yield* tube.put("a job"), "reserved")
      const closing = yield* Effect.fork(close)
      yield* Effect.sleep("1 second")
      const during = yield* Effect.flip(makeWorker(Effect.void, client))
      yield* Fiber.join(closing)
      const after = yield* Effect.flip(makeWorker(Effect.void, client))
      for (const error of [during, after]) {
        assert.strictEqual(error._tag, "WorkerStartError")
        assert.include(error.message, "the client is closed")
      }
    })))

  const connecting = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const clientScope = yield* Scope.make()
    const server = yield* Scripted.inMemory({ opening: Effect.never })
    const client = yield* Scope.extend(clientTo(server, { connectTimeout: "1 minute" }), clientScope)
    const starting = yield* Worker.make(tube, () => Effect.void, { onFirstConnect: "fail" }).pipe(
      Scope.extend(scope),
      Effect.provideService(BeanstalkClient.BeanstalkClient, client),
      Effect.flip,
      Effect.fork
    )
    yield* Effect.sleep("1 second")
    return { scope, clientScope, starting }
  })

  it.each(["scope", "clientScope"] as const)(
    "that waits for its first connection cannot start when its %s is closed",
    (which) =>
      virtualTest(Effect.gen(function*() {
        const { starting, ...scopes } = yield* connecting
        yield* Scope.close(scopes[which], Exit.void)
        assert.strictEqual((yield* Fiber.join(starting))._tag, "WorkerStartError")
        assert.isBelow(yield* Clock.currentTimeMillis, 1100)
      }))()
  )
})
