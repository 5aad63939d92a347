/**
 * A worker whose event loop is blocked: its timers are late, it reads and writes nothing, and its leases run out at the server.
 *
 * `EFFECT_BEANSTALK_STRESS=1` blocks the event loop at many more moments.
 */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { stress } from "../support/edition.ts"
import { awaitJobEvent, collectEvents, inVirtualTime, jobEvents } from "../support/workers.ts"

const ttr = 3000

const tube = Tube.text("work", { ttr })

/** A Clock whose sleeps do not end while it is stalled, although its time moves. */
const stallable = Effect.gen(function*() {
  const clock = yield* Effect.clock
  const running = yield* Effect.makeLatch(true)
  const stalling: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanos: clock.currentTimeNanos,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    // In a fiber of its own: the one that sleeps must not resume in between.
    sleep: (duration) =>
      Effect.async((resume) => {
        const sleeping = Effect.runFork(Effect.zipRight(clock.sleep(duration), running.await))
        sleeping.addObserver(() => resume(Effect.void))
        return Fiber.interrupt(sleeping)
      })
  }
  const stall = (duration: Duration.Duration) =>
    Effect.zipRight(running.close, Effect.zipRight(clock.sleep(duration), running.open))
  return { stalling, stall }
})

/** The events of a job of 15 s if the worker is stalled for `length`, beginning `after` the job was reserved, in milliseconds. */
const stalledFor = (length: number, after: number) =>
  Effect.gen(function*() {
    const { stall, stalling } = yield* stallable
    const id = yield* tube.put("a job")
    const clock = yield* Effect.clock
    const worker = yield* Effect.withClock(Worker.make(tube, () => clock.sleep(Duration.millis(15_000))), stalling)
    const { atLeast, tags } = yield* collectEvents(worker)
    yield* awaitJobEvent(id, "reserved")
    yield* Clock.sleep(Duration.millis(after))
    yield* stall(Duration.millis(length))
    yield* atLeast(1)
    return { tags: yield* tags, history: yield* jobEvents(id) }
  })

/** When stalls begin after the job was reserved, in milliseconds: before its `stats-job`, and between its touches. */
const moments = stress ? Array.range(0, 40).map((n) => n * 50) : [0, 250, 310, 800, 899, 901, 1000, 1400, 1900]

describe("R8: heartbeats", () => {
  it.each([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])(
    "keep a lease while the event loop stalls for %d of its time to run",
    (part) =>
      Effect.runPromise(Effect.forEach(moments, (after) =>
        Effect.gen(function*() {
          const { history, tags } = yield* inVirtualTime(stalledFor(part * ttr, after))
          assert.deepStrictEqual(tags, ["Completed"], `stalled after ${after} ms`)
          assert.deepStrictEqual(Array.dedupe(history), ["put", "reserved", "touched", "deleted"])
        }), { discard: true }))
  )
})

describe("rule 15: a lease that may have run out while the event loop stalled", () => {
  it.each([0.7, 0.8, 0.9, 1, 1.5, 3])(
    "is lost if the server has timed the job out: after a stall of %d of its time to run",
    (part) =>
      Effect.runPromise(Effect.forEach(moments, (after) =>
        Effect.gen(function*() {
          const { history, tags } = yield* inVirtualTime(stalledFor(part * ttr, after))
          const ranOut = history.includes("timed-out")
          if (ranOut || tags.includes("LeaseLost")) {
            assert.strictEqual(tags[0], "LeaseLost", `stalled after ${after} ms`)
          } else assert.deepStrictEqual(tags, ["Completed"], `stalled after ${after} ms`)
          if (part > 1) {
            assert.isTrue(ranOut)
          }
        }), { discard: true }))
  )
})

/**
 * What the first run of a job has done by the end, and its event, if the event loop stalls for `length` milliseconds from the
 * moment that the job was reserved.
 */
const firstRunAfterStall = (
  options: Pick<Worker.Options<string, never>, "heartbeat" | "onLeaseLost">,
  length: number,
  steps: (job: Worker.Job, log: (step: string) => Effect.Effect<void>) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function*() {
    const { stall, stalling } = yield* stallable
    const id = yield* tube.put("a job")
    const log: Array<string> = []
    let runs = 0
    const worker = yield* Worker.make(tube, (_, job) => {
      runs += 1
      return runs > 1 ? Effect.void : Effect.exit(steps(job, (step) => Effect.sync(() => void log.push(step))))
    }, options).pipe(Effect.withClock(stalling))
    const { atLeast, tags } = yield* collectEvents(worker)
    yield* awaitJobEvent(id, "reserved")
    yield* stall(Duration.millis(length))
    yield* Effect.raceFirst(atLeast(2), Clock.sleep("5 minutes"))
    return { log, tags: yield* tags }
  })

describe("rule 15: a lease that is over when the event loop resumes", () => {
  /** In milliseconds after the job was reserved. The deadlines of the worker are among them. */
  const wakings = stress
    ? Array.range(1, 499).map((n) => n * 10)
    : [1, 200, 299, 301, 750, 1000, 1999, 2500, 2999, 3500, 4999]

  it.each([true, false])(
    "is lost before the handler's sleep ends, with heartbeat: %s",
    (heartbeat) =>
      Effect.runPromise(Effect.forEach(wakings, (waking) =>
        Effect.gen(function*() {
          const { log, tags } = yield* inVirtualTime(
            firstRunAfterStall({ heartbeat }, 5000, (_, log) => Effect.zipRight(Effect.sleep(waking), log("slept")))
          )
          assert.deepStrictEqual(log, [], `the handler slept for ${waking} ms`)
          assert.deepStrictEqual(tags, ["LeaseLost", "Completed"], `the handler slept for ${waking} ms`)
        }), { discard: true }))
  )

  it.each([true, false])(
    "fails leaseLost before the handler's sleep ends, with heartbeat: %s",
    (heartbeat) =>
      Effect.runPromise(Effect.forEach(wakings, (waking) =>
        Effect.gen(function*() {
          const race = (job: Worker.Job, log: (step: string) => Effect.Effect<void>) =>
            Effect.raceFirst(Effect.tapError(job.leaseLost, ({ _tag }) => log(_tag)), Effect.sleep(waking)).pipe(
              Effect.zipRight(log("slept"))
            )
          const { log } = yield* inVirtualTime(
            firstRunAfterStall({ heartbeat, onLeaseLost: "continue" }, 5000, race)
          )
          assert.deepStrictEqual(log, ["LeaseLost"], `the handler slept for ${waking} ms`)
        }), { discard: true }))
  )

  /** Each runs an Effect in a child fiber, or below one, of the handler. */
  const nestings: Record<string, (work: Effect.Effect<void>) => Effect.Effect<unknown, unknown, Scope.Scope>> = {
    "a timeout": (work) => Effect.timeout(work, "1 hour"),
    "a timeout in a timeout": (work) => work.pipe(Effect.timeout("1 hour"), Effect.timeout("1 hour")),
    "ten timeouts": (work) =>
      Array.range(1, 10).reduce<Effect.Effect<unknown, unknown>>((inner) => Effect.timeout(inner, "1 hour"), work),
    "Effect.all": (work) => Effect.all([work, Effect.never], { concurrency: "unbounded" }),
    "Effect.all in Effect.all": (work) =>
      Effect.all([Effect.all([Effect.never, work], { concurrency: 2 }), Effect.never], { concurrency: "unbounded" }),
    "Effect.race": (work) => Effect.race(Effect.race(work, Effect.never), Effect.never),
    "a fork that is joined": (work) => Effect.flatMap(Effect.fork(Effect.timeout(work, "1 hour")), Fiber.join),
    "a fork that is not joined": (work) => Effect.zipRight(Effect.fork(work), Effect.never),
    "forkScoped": (work) => Effect.zipRight(Effect.forkScoped(Effect.timeout(work, "1 hour")), Effect.never),
    "a FiberSet": (work) =>
      Effect.flatMap(FiberSet.make(), (fibers) => Effect.zipRight(FiberSet.run(fibers, work), Effect.never)),
    "a Stream": (work) =>
      Stream.make(1, 2).pipe(
        Stream.mapEffect(() => work, { concurrency: 2 }),
        Stream.buffer({ capacity: 4 }),
        Stream.runDrain
      ),
    "a higher priority": (work) => Effect.timeout(Effect.withSchedulingPriority(work, -1), "1 hour")
  }

  it.each(Object.keys(nestings))(
    "is lost before any fiber of the handler resumes: %s",
    (nesting) =>
      Effect.runPromise(Effect.forEach([1, 301, 1000, 2999, 4999], (waking) =>
        Effect.gen(function*() {
          const { log, tags } = yield* inVirtualTime(firstRunAfterStall(
            {},
            5000,
            (_, log) => Effect.scoped(nestings[nesting]!(Effect.zipRight(Effect.sleep(waking), log("slept"))))
          ))
          assert.deepStrictEqual(log, [], `the handler slept for ${waking} ms`)
          assert.deepStrictEqual(tags, ["LeaseLost", "Completed"], `the handler slept for ${waking} ms`)
        }), { discard: true }))
  )

  it("is lost for touch, stats and leaseLost, before the event loop has turned", () =>
    Effect.runPromise(inVirtualTime(Effect.gen(function*() {
      const clock = yield* Effect.clock
      let blocked = 0n
      const blocking: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanos: clock.currentTimeNanos,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos() + blocked,
        sleep: (duration) => clock.sleep(duration)
      }
      const answers = yield* Deferred.make<ReadonlyArray<string>>()
      yield* tube.put("a job")
      yield* Worker.make(tube, (_, job) =>
        Effect.gen(function*() {
          yield* job.stats
          blocked = 5_000_000_000n
          const asked = yield* Effect.forEach([job.stats, job.touch, job.leaseLost], (ask) =>
            Effect.match(ask, { onFailure: ({ _tag }) => _tag, onSuccess: () => "held" }))
          yield* Deferred.succeed(answers, asked)
        }), { onLeaseLost: "continue" }).pipe(Effect.withClock(blocking))
      assert.deepStrictEqual(yield* Deferred.await(answers), ["LeaseLost", "LeaseLost", "LeaseLost"])
    }))))

  it.each([-1, 0, 1, 2])(
    "is lost by a reply that tells of it, before the handler's sleep ends: %d ms after that reply",
    (after) =>
      Effect.runPromise(inVirtualTime(Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const client = yield* BeanstalkClient.BeanstalkClient
        const log: Array<string> = []
        // The worker takes it to have the three seconds of its tube until the reply to its `stats-job`, sent after 300 ms, arrives.
        yield* client.put(tube.name, "a job", { ttr: "1 second" })
        const worker = yield* Worker.make(tube, (_, job) =>
          Effect.gen(function*() {
            yield* server.inject(EmbeddedServer.Fault.Delay({ duration: "900 millis" }))
            yield* Effect.sleep("400 millis")
            yield* Effect.raceFirst(
              Effect.tapError(job.leaseLost, () => Effect.sync(() => log.push("lost"))),
              Effect.sleep(800 + after)
            )
            log.push("slept")
          }), { onLeaseLost: "continue" })
        const { atLeast } = yield* collectEvents(worker)
        yield* atLeast(1)
        assert.deepStrictEqual(log, after < 0 ? ["slept"] : ["lost"])
      })))
  )
})
