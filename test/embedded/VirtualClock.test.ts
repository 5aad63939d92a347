/** Virtual time stands still while a fiber can run, and then jumps to the end of the next sleep. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection, EmbeddedServer, VirtualClock } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Scripted from "../support/scripted.ts"

const virtually = <A, E>(effect: Effect.Effect<A, E>, options?: VirtualClock.Options) =>
  Effect.provide(effect, VirtualClock.layer(options))

const now = Clock.currentTimeMillis

const sleep = Clock.sleep

/** The times at which many sleeps end, in the order of their ends. */
const wakings = (durations: ReadonlyArray<Duration.DurationInput>) =>
  Effect.gen(function*() {
    const woken: Array<readonly [sleeper: number, at: number]> = []
    yield* Effect.forEach(
      durations,
      (duration, sleeper) =>
        Effect.tap(Effect.zipRight(sleep(duration), now), (at) => Effect.sync(() => woken.push([sleeper, at]))),
      { concurrency: "unbounded" }
    )
    return woken
  })

/** Turns of the event loop in which no fiber runs. */
const quiet = (turns: number) =>
  Effect.async<void>((resume) => {
    const next = (left: number): unknown => left === 0 ? resume(Effect.void) : setImmediate(() => next(left - 1))
    next(turns)
  })

const day = 86_400_000

describe("VirtualClock", () => {
  it.live("starts at 0, or at `startsAt`", () =>
    Effect.gen(function*() {
      const times = Effect.all([
        now,
        Clock.currentTimeNanos,
        Effect.map(Effect.clock, (clock) => clock.unsafeCurrentTimeMillis())
      ])
      assert.deepStrictEqual(yield* virtually(times), [0, 0n, 0])
      const startsAt = 1_700_000_000_000
      assert.deepStrictEqual(yield* virtually(times, { startsAt }), [startsAt, BigInt(startsAt) * 1_000_000n, startsAt])
    }))

  it.live("ends sleeps at the right time, in the right order", () =>
    Effect.gen(function*() {
      const woken = yield* virtually(wakings([5 * day, 3, 1000, 4, "1 day"]))
      assert.deepStrictEqual(woken, [[1, 3], [3, 4], [2, 1000], [4, day], [0, 5 * day]])
    }))

  it.live("ends sleeps of the same time in the order in which they began", () =>
    Effect.gen(function*() {
      const durations = Array.from({ length: 100 }, (_, i) => 10 - (i % 10))
      const woken = yield* virtually(wakings(durations))
      const expected = durations.map((at, sleeper) => [sleeper, at] as const).toSorted((a, b) => a[1] - b[1])
      assert.deepStrictEqual(woken, expected)
    }))

  it.live("ends sleeps that begin one after the other and are ever longer", () =>
    Effect.gen(function*() {
      const times = yield* virtually(
        Effect.forEach([1, 10, 100, 1000], (millis) => Effect.zipRight(sleep(millis), now))
      )
      assert.deepStrictEqual(times, [1, 11, 111, 1111])
    }))

  it.live("does not jump to the end of a sleep that was interrupted", () =>
    Effect.gen(function*() {
      const at = yield* virtually(Effect.gen(function*() {
        const fiber = yield* Effect.fork(sleep("1 hour"))
        const other = yield* Effect.fork(sleep("30 minutes"))
        yield* sleep("1 minute")
        yield* Fiber.interrupt(fiber)
        yield* Fiber.join(other)
        yield* quiet(20)
        assert.strictEqual(yield* now, 1_800_000)
        yield* sleep("2 hours")
        return yield* now
      }))
      assert.strictEqual(at, 9_000_000)
    }))

  it.live("times out to the millisecond", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const late = yield* Effect.timeoutOption(Effect.as(sleep(1001), "late"), 1000)
        const between = yield* now
        const early = yield* Effect.timeoutOption(Effect.as(sleep(999), "early"), 1000)
        return [Option.getOrNull(late), between, Option.getOrNull(early), yield* now]
      })
      assert.deepStrictEqual(yield* virtually(program), [null, 1000, "early", 1999])
    }))

  it.live("runs schedules to the millisecond", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const times = yield* Ref.make<ReadonlyArray<number>>([])
        const note = Effect.flatMap(now, (at) => Ref.update(times, (before) => [...before, at]))
        yield* Effect.repeat(note, Schedule.spaced("1 hour").pipe(Schedule.intersect(Schedule.recurs(3))))
        yield* Effect.repeat(note, Schedule.exponential(100).pipe(Schedule.intersect(Schedule.recurs(3))))
        return yield* Ref.get(times)
      })
      const hour = 3_600_000
      const later = [0, 100, 300, 700].map((after) => 3 * hour + after)
      assert.deepStrictEqual(yield* virtually(program), [0, hour, 2 * hour, 3 * hour, ...later])
    }))

  it.live("stands still while commands are answered in memory", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const beanstalk = yield* BeanstalkConnection.make()
        const sleeping = yield* Effect.fork(sleep(1))
        for (let i = 0; i < 500; i++) yield* beanstalk.put("x")
        assert.isNull(sleeping.unsafePoll())
        return yield* now
      }).pipe(Effect.scoped, Effect.provide(EmbeddedServer.layer()))
      assert.strictEqual(yield* virtually(program), 0)
    }))

  it.live("stands still while a fiber yields thousands of times", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const sleeping = yield* Effect.fork(sleep(1))
        for (let i = 0; i < 20_000; i++) yield* Effect.yieldNow()
        assert.isNull(sleeping.unsafePoll())
        return yield* now
      })
      assert.strictEqual(yield* virtually(program), 0)
    }))

  it.live("stands still while a fiber waits for a turn of the event loop now and then", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const sleeping = yield* Effect.fork(sleep(1))
        for (let i = 0; i < 100; i++) yield* quiet(1 + i % 2)
        assert.isNull(sleeping.unsafePoll())
        return yield* now
      })
      assert.strictEqual(yield* virtually(program), 0)
    }))

  it.live("a sleep of 0 yields to other fibers, and takes no time", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const order: Array<string> = []
        const other = yield* Effect.fork(Effect.zipRight(Effect.yieldNow(), Effect.sync(() => order.push("other"))))
        yield* sleep(0)
        order.push("sleeper")
        yield* Fiber.join(other)
        return [order, yield* now]
      })
      assert.deepStrictEqual(yield* virtually(program), [["other", "sleeper"], 0])
    }))

  it.live("does not jump to the end of an endless sleep, which can be interrupted", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const endless = yield* Effect.fork(sleep(Number.POSITIVE_INFINITY))
        yield* sleep("1 hour")
        yield* quiet(20)
        assert.isNull(endless.unsafePoll())
        const at = yield* now
        yield* Fiber.interrupt(endless)
        yield* sleep("1 hour")
        return [at, yield* now]
      })
      assert.deepStrictEqual(yield* virtually(program), [3_600_000, 7_200_000])
    }))

  it.live("keeps no process running after the end of the program", () =>
    Effect.gen(function*() {
      const immediates = Effect.sync(() =>
        process.getActiveResourcesInfo().filter((name) => name === "Immediate").length
      )
      const before = yield* immediates
      yield* virtually(sleep("1 hour"))
      yield* virtually(Effect.timeout(Effect.never, "1 hour").pipe(Effect.ignore))
      yield* Effect.repeatN(Scripted.turn, 10)
      assert.strictEqual(yield* immediates, before)
    }))

  it.live("two clocks are independent", () =>
    Effect.gen(function*() {
      const both = yield* Effect.all([
        virtually(Effect.zipRight(sleep("1 hour"), now)),
        virtually(Effect.zipRight(sleep("1 minute"), now))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(both, [3_600_000, 60_000])
    }))

  it.live("a program with a seeded Random does the same each time", () =>
    Effect.gen(function*() {
      const worker = (beanstalk: BeanstalkConnection.Connection) =>
        Effect.forever(
          Effect.gen(function*() {
            const { id } = yield* beanstalk.reserve
            yield* sleep(yield* Random.nextIntBetween(0, 3000))
            const dice = yield* Random.nextIntBetween(0, 4)
            if (dice === 0) yield* beanstalk.release(id, { priority: 0, delay: "2 seconds" })
            else if (dice === 1) yield* beanstalk.bury(id, 0)
            else yield* beanstalk.delete(id)
          }).pipe(Effect.ignore)
        )
      const program = (seed: string) =>
        Effect.gen(function*() {
          const connections = yield* Effect.replicateEffect(BeanstalkConnection.make(), 5)
          const [producer, ...workers] = connections
          yield* Effect.forEach(workers, (beanstalk) => Effect.forkScoped(worker(beanstalk)))
          for (let i = 0; i < 50; i++) {
            yield* producer!.put("x", { ttr: "2 seconds" })
            yield* sleep(yield* Random.nextIntBetween(0, 500))
          }
          yield* sleep("1 minute")
          return yield* Effect.flatMap(EmbeddedServer.EmbeddedServer, ({ journal }) => journal)
        }).pipe(Effect.scoped, Effect.provide(EmbeddedServer.layer()), Effect.withRandom(Random.make(seed)), virtually)
      const journal = yield* program("a")
      assert.isAbove(journal.length, 100)
      assert.deepStrictEqual(yield* program("a"), journal)
      assert.notDeepEqual(yield* program("b"), journal)
    }))
})
