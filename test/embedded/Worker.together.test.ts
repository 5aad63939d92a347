/** The workers of one client are shut down together, however a program composes them, and at the latest with their client. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, type BeanstalkError, type Connector, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { awaitJobEvent, inVirtualTime, jobEvents } from "../support/workers.ts"

type Client = BeanstalkClient.BeanstalkClient

const tubes = ["a", "b", "c"].map((name) => Tube.text(name, { ttr: "9 seconds" }))

const client = BeanstalkClient.layer()

/** Layers that are merged are built in fibers that end with the build. */
const clientAmongOthers = Layer.merge(client, Layer.effectDiscard(Effect.void))

/** The parts that a program is composed of. */
interface Parts {
  readonly make: ReadonlyArray<Effect.Effect<Worker.Worker, never, Client | Scope.Scope>>
  readonly run: ReadonlyArray<Effect.Effect<never, never, Client>>
  readonly layer: ReadonlyArray<Layer.Layer<never, never, Client>>
}

const partsOf = (handler: Effect.Effect<unknown>): Parts => ({
  make: tubes.map((tube) => Effect.orDie(Worker.make(tube, () => handler))),
  run: tubes.map((tube) => Effect.orDie(Worker.run(tube, () => handler))),
  layer: tubes.map((tube) => Layer.orDie(Worker.layer(tube, () => handler)))
})

/** Starts a program, and succeeds with what closes it. */
type Start = Effect.Effect<Effect.Effect<unknown>, never, Connector.Connector>

const compose = (
  name: string,
  start: (parts: Parts) => Effect.Effect<Effect.Effect<unknown>, unknown, Connector.Connector>
) => ({ name, start: (parts: Parts): Start => Effect.orDie(start(parts)) })

/** A program that ends when its fiber is interrupted, as by a signal. */
const main = (
  name: string,
  program: (parts: Parts) => Effect.Effect<unknown, unknown, Client>,
  services = clientAmongOthers
) => compose(name, (parts) => Effect.map(Effect.forkDaemon(Effect.provide(program(parts), services)), Fiber.interrupt))

/** A Layer that is built in a Scope, which is closed. */
const built = (name: string, layer: (parts: Parts) => Layer.Layer<never, unknown, Client>) =>
  compose(name, (parts) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(Layer.provide(layer(parts), client), scope)
      return Scope.close(scope, Exit.void)
    }))

const compositions = [
  main(
    "make twice in a Scope",
    ({ make: [a, b, c] }) => Effect.scoped(Effect.zipRight(Effect.zipRight(a!, Effect.zipRight(b!, c!)), Effect.never))
  ),
  main(
    "Effect.all of make, side by side",
    ({ make }) => Effect.scoped(Effect.zipRight(Effect.all(make, { concurrency: "unbounded" }), Effect.never))
  ),
  main("Effect.all of run", ({ run }) => Effect.all(run, { concurrency: "unbounded" })),
  main("nested Scopes", ({ make }) =>
    make.reduce<Effect.Effect<unknown, never, Client>>(
      (inner, make) => Effect.scoped(Effect.zipRight(make, inner)),
      Effect.never
    )),
  main("nested Effect.provide", ({ layer }) =>
    layer.reduce<Effect.Effect<unknown, never, Client>>(
      (inner, layer) => Effect.provide(inner, layer),
      Effect.never
    )),
  main(
    "Effect.provide of several around Effect.provide",
    ({ layer: [a, b, c] }) => Effect.never.pipe(Effect.provide(a!), Effect.provide(Layer.mergeAll(b!, c!))),
    client
  ),
  main(
    "Worker.run in a forked fiber, and another",
    ({ run: [a, b, c] }) => Effect.zipRight(Effect.fork(a!), Effect.zipRight(Effect.fork(b!), c!))
  ),
  main(
    "Worker.run in fibers forked into a Scope",
    ({ run }) => Effect.scoped(Effect.zipRight(Effect.forEach(run, Effect.forkScoped), Effect.never))
  ),
  main(
    "Worker.run in a FiberSet",
    ({ run }) =>
      Effect.scoped(Effect.flatMap(FiberSet.make(), (set) =>
        Effect.zipRight(
          Effect.forEach(run, (run) => FiberSet.run(set, run)),
          Effect.never
        )))
  ),
  main("Layer.launch of Layer.mergeAll", ({ layer: [a, b, c] }) => Layer.launch(Layer.mergeAll(a!, b!, c!))),
  main(
    "Layer.launch of Layer.provideMerge",
    ({ layer: [a, b, c] }) => Layer.launch(a!.pipe(Layer.provideMerge(b!), Layer.provideMerge(c!)))
  ),
  built("Layer.mergeAll in a Scope that is closed", ({ layer: [a, b, c] }) => Layer.mergeAll(a!, b!, c!)),
  built(
    "Layer.provideMerge in a Scope that is closed",
    ({ layer: [a, b, c] }) => a!.pipe(Layer.provideMerge(b!), Layer.provideMerge(c!))
  ),
  built("Layer.provideMerge of Layer.mergeAll", ({ layer: [a, b, c] }) => Layer.provideMerge(Layer.merge(a!, b!), c!)),
  built("Layer.scopedDiscard of makes", ({ make }) => Layer.scopedDiscard(Effect.all(make))),
  built(
    "Layer.scopedDiscard that provide each other",
    ({ make: [a, b, c] }) =>
      Layer.scopedDiscard(a!).pipe(Layer.provide(Layer.scopedDiscard(b!)), Layer.provide(Layer.scopedDiscard(c!)))
  ),
  built(
    "Layer.scopedDiscard of Worker.run in a forked fiber",
    ({ run: [a, b, c] }) =>
      Layer.scopedDiscard(Effect.forkScoped(a!)).pipe(
        Layer.provideMerge(Layer.scopedDiscard(Effect.forkScoped(b!))),
        Layer.provideMerge(Layer.scopedDiscard(Effect.forkScoped(c!)))
      )
  ),
  compose("ManagedRuntime.dispose", ({ layer: [a, b, c] }) =>
    Effect.gen(function*() {
      const context = yield* Effect.context<Connector.Connector>()
      const workers = a!.pipe(Layer.provideMerge(b!), Layer.provideMerge(c!))
      const runtime = ManagedRuntime.make(
        workers.pipe(
          Layer.provide(client),
          Layer.provide(Layer.succeedContext(context)),
          Layer.provide(Layer.setClock(yield* Effect.clock))
        )
      )
      yield* runtime.runtimeEffect
      // Layer.setClock sets the Clock back in the fiber that closes it.
      return Effect.flatMap(Effect.fork(runtime.disposeEffect), Fiber.await)
    })),
  compose("Worker.make in Scopes within the Scope of the client", ({ make }) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(BeanstalkClient.make(), scope)
      yield* Effect.forEach(make, (make) =>
        Effect.flatMap(Scope.fork(scope, ExecutionStrategy.sequential), (inner) =>
          make.pipe(
            Scope.extend(inner),
            Effect.provideService(BeanstalkClient.BeanstalkClient, client)
          )))
      return Scope.close(scope, Exit.void)
    })),
  compose("Worker.make in a Scope that stays open, when the client is closed", ({ make }) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const clientScope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(client, clientScope)
      yield* Effect.all(make).pipe(Scope.extend(scope), Effect.provide(context))
      return Scope.close(clientScope, Exit.void)
    }))
]

const handlers = [
  { name: "that is uninterruptible", handler: Effect.uninterruptible(Effect.sleep("1 hour")), within: 29_000 },
  { name: "of 20 s", handler: Effect.sleep("20 seconds"), within: 20_000 }
]

const simulated = <A, E>(test: Effect.Effect<A, E, Connector.Connector | EmbeddedServer.EmbeddedServer | Client>) =>
  inVirtualTime(Effect.timeout(test, "2 hours"))

/** Closes a program, and asserts that no job is reserved meanwhile, and that it is closed in time. */
const closesWithin = (close: Effect.Effect<unknown>, within: number) =>
  Effect.gen(function*() {
    const closing = yield* Effect.fork(Effect.timed(close))
    // An idle connection that closes may cross a job, which the server then gives back.
    yield* Effect.sleep(10)
    const next = yield* Effect.forEach(tubes, (tube) => tube.put("next"))
    const [took] = yield* Fiber.join(closing)
    assert.isAtMost(Duration.toMillis(took), within + 10)
    yield* Effect.sleep("1 minute")
    for (const id of next) assert.deepStrictEqual(yield* jobEvents(id), ["put"])
    const { connections } = yield* EmbeddedServer.EmbeddedServer
    const watched = (yield* connections).flatMap(({ watches }) => watches)
    assert.deepStrictEqual(Array.intersection(watched, tubes.map(({ name }) => name)), [])
  })

describe.each(handlers)("R9 and rule 28: workers with a handler $name", ({ handler, within }) => {
  it.each(compositions)(
    "take no job when the program begins to end, and are closed side by side: $name",
    ({ start }) =>
      Effect.runPromise(simulated(Effect.gen(function*() {
        const close = yield* start(partsOf(handler))
        const ids = yield* Effect.forEach(tubes, (tube) => tube.put("a job"))
        yield* Effect.forEach(ids, (id) => awaitJobEvent(id, "reserved"))
        yield* closesWithin(close, within)
      })))
  )
})

/** A worker of a tube in a Scope of its own, made as by the build of a Layer. */
const makeIn = (memoMap: Layer.MemoMap, [tube, handler, options]: Parameters<typeof Worker.make<string, never>>) =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const worker = yield* Worker.make(tube, handler, options).pipe(
      Scope.extend(scope),
      Effect.provideService(Layer.CurrentMemoMap, memoMap)
    )
    return { worker, close: Scope.close(scope, Exit.void) }
  })

const [tubeA, tubeB] = [tubes[0]!, tubes[1]!]

const beginJob = (tube: Tube.Tube<string>) => Effect.tap(tube.put("a job"), (id) => awaitJobEvent(id, "reserved"))

/** Puts a job, and succeeds with whether it is reserved within 100 ms. */
const isTaking = (tube: Tube.Tube<string>) =>
  Effect.gen(function*() {
    const id = yield* tube.put("is it taken?")
    yield* Effect.sleep(100)
    return (yield* jobEvents(id)).includes("reserved")
  })

/** Workers a and b that one build has made. The Scope of a is closed at this moment, in which a has a job of 3 seconds. */
const closeFirst = (handler: Effect.Effect<unknown> = Effect.void) =>
  Effect.gen(function*() {
    const memoMap = yield* Layer.makeMemoMap
    const a = yield* makeIn(memoMap, [tubeA, () => Effect.sleep("3 seconds")])
    const b = yield* makeIn(memoMap, [tubeB, () => handler])
    yield* beginJob(tubeA)
    if (handler !== Effect.void) yield* beginJob(tubeB)
    const closing = yield* Effect.fork(a.close)
    yield* Effect.sleep(10)
    return { memoMap, b, closing }
  })

describe("rule 28: a worker whose Scope alone is closed", () => {
  it(
    "does not keep the others from taking jobs",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const running = yield* Effect.fork(Worker.run(tubeA, () => Effect.sleep("3 seconds")))
        yield* Worker.make(tubeB, () => Effect.void)
        yield* beginJob(tubeA)
        const closing = yield* Effect.fork(Fiber.interrupt(running))
        yield* Effect.sleep(100)
        assert.isTrue(yield* isTaking(tubeB))
        yield* Fiber.join(closing)
      }))))
  )

  it(
    "does not keep the others from taking jobs, if no Layer made them, and each has a Scope of its own",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
        yield* Worker.make(tubeB, () => Effect.void)
        yield* Scope.extend(Worker.make(tubeA, () => Effect.sleep("3 seconds")), scope)
        yield* beginJob(tubeA)
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* Effect.sleep(10)
        assert.isTrue(yield* isTaking(tubeB))
        yield* Fiber.join(closing)
      }))))
  )

  it(
    "does not keep those of the same build from taking jobs, if it is run by Worker.run under a Scope that is open",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const memoMap = yield* Layer.makeMemoMap
        yield* makeIn(memoMap, [tubeB, () => Effect.void])
        const running = yield* Worker.run(tubeA, () => Effect.sleep("3 seconds")).pipe(
          Effect.provideService(Layer.CurrentMemoMap, memoMap),
          Effect.fork
        )
        yield* beginJob(tubeA)
        yield* Effect.fork(Fiber.interrupt(running))
        yield* Effect.sleep(10)
        assert.isTrue(yield* isTaking(tubeB))
      }))))
  )

  it(
    "pauses those of the same build for 5 seconds after it is closed, and no later one does",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const { closing, memoMap } = yield* closeFirst()
        const id = yield* tubeB.put("during the pause")
        yield* Fiber.join(closing)
        yield* Effect.sleep("4900 millis")
        assert.deepStrictEqual(yield* jobEvents(id), ["put"])
        yield* awaitJobEvent(id, "deleted")
        const another = yield* makeIn(memoMap, [tubeA, () => Effect.sleep("3 seconds")])
        yield* beginJob(tubeA)
        yield* Effect.fork(another.close)
        yield* Effect.sleep(10)
        assert.isTrue(yield* isTaking(tubeB))
      }))))
  )
})

describe("rule 28: a worker that is paused", () => {
  it(
    "stays quiet after the pause if it was made quiet",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const { b, closing } = yield* closeFirst()
        yield* b.worker.quiet
        yield* Fiber.join(closing)
        yield* Effect.sleep("1 minute")
        assert.isFalse(yield* isTaking(tubeB))
        yield* b.worker.resume
        assert.isTrue(yield* isTaking(tubeB))
      }))))
  )

  it(
    "takes no jobs before the pause is over if it is resumed",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const { b } = yield* closeFirst()
        yield* b.worker.quiet
        yield* b.worker.resume
        assert.isFalse(yield* isTaking(tubeB))
        yield* Effect.sleep("8 seconds")
        assert.isTrue(yield* isTaking(tubeB))
      }))))
  )

  it(
    "is paused until 5 seconds after the last of those that it is paused for is closed",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const memoMap = yield* Layer.makeMemoMap
        const first = yield* makeIn(memoMap, [tubeA, () => Effect.void])
        const second = yield* makeIn(memoMap, [tubes[2]!, () => Effect.sleep("20 seconds")])
        yield* makeIn(memoMap, [tubeB, () => Effect.void])
        yield* beginJob(tubes[2]!)
        yield* first.close
        const closing = yield* Effect.fork(second.close)
        yield* Effect.sleep("10 seconds")
        assert.isFalse(yield* isTaking(tubeB))
        yield* Fiber.join(closing)
        yield* Effect.sleep("4 seconds")
        assert.isFalse(yield* isTaking(tubeB))
        yield* Effect.sleep("1 second")
        assert.isTrue(yield* isTaking(tubeB))
      }))))
  )

  it(
    "counts its shutdownTimeout from the beginning of the pause when it is shut down, and what it drained",
    () =>
      Effect.runPromise(simulated(Effect.scoped(Effect.gen(function*() {
        const { b, closing } = yield* closeFirst(Effect.never)
        yield* Fiber.join(closing)
        const { duration, interrupted } = yield* b.worker.shutdown
        assert.closeTo(Duration.toMillis(duration), 25_000, 5)
        assert.strictEqual(interrupted.length, 1)
      }))))
  )

  it(
    "gives its handlers half of what is left, when the one before it has taken all of its time",
    () =>
      Effect.runPromise(simulated(Effect.gen(function*() {
        const uninterruptible = Effect.uninterruptible(Effect.sleep("1 hour"))
        const cleansUp = Effect.onInterrupt(Effect.never, () => Effect.sleep("400 millis"))
        const made = yield* Deferred.make<Worker.Worker, BeanstalkError.WorkerStartError>()
        const workers = Worker.layer(tubeA, () => uninterruptible).pipe(
          Layer.provideMerge(Layer.scopedDiscard(Effect.intoDeferred(Worker.make(tubeB, () => cleansUp), made))),
          Layer.provideMerge(Worker.layer(tubes[2]!, () => uninterruptible))
        )
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(workers, scope)
        const [, id] = yield* Effect.forEach(tubes, beginJob)
        const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
        assert.isAtMost(Duration.toMillis(took), 29_000)
        const { interrupted } = yield* Effect.flatMap(Deferred.await(made), (worker) => worker.await)
        assert.deepStrictEqual(interrupted, [id])
      })))
  )

  it(
    "gives its handlers the time that the longer shutdownTimeout of the other leaves",
    () =>
      Effect.runPromise(simulated(Effect.gen(function*() {
        const cleansUp = Effect.onInterrupt(Effect.never, () => Effect.sleep("2 seconds"))
        const workers = Layer.provideMerge(
          Worker.layer(tubeA, () => Effect.never, { shutdownTimeout: "1 minute" }),
          Worker.layer(tubeB, () => cleansUp, { shutdownTimeout: "5 seconds" })
        )
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(workers, scope)
        const ids = yield* Effect.forEach([tubeA, tubeB], beginJob)
        const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
        assert.closeTo(Duration.toMillis(took), 62_000, 10)
        for (const id of ids) assert.strictEqual((yield* jobEvents(id)).at(-1), "given-back")
      })))
  )
})
