/**
 * A worker whose event loop is blocked: its timers are late, it reads and writes nothing, and its leases run out at the server.
 *
 * `EFFECT_BEANSTALK_STRESS=1` blocks the event loop at many more moments.
 */
import { assert, describe, it } from "@effect/vitest"
import { Tube, Worker } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
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
    sleep: (duration) => Effect.zipRight(clock.sleep(duration), running.await)
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
