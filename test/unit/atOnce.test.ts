/** Effects that run at once: how they end together, and that they end however early they are interrupted. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as AtOnce from "../../src/internal/base/atOnce.ts"
import { upTo } from "../support/edition.ts"
import { turn } from "../support/scripted.ts"
import { Stepping } from "../support/stepping.ts"

/** Effects that do not end by themselves, and how many of them run. */
const endless = () => {
  const count = { running: 0 }
  const run = Effect.acquireUseRelease(
    Effect.sync(() => count.running += 1),
    () => Effect.never,
    // Its end takes a while.
    () => Effect.zipRight(Effect.yieldNow(), Effect.sync(() => count.running -= 1))
  )
  return { count, run }
}

describe("forEach", () => {
  it.effect("runs all at once, and succeeds with the results in the order of the items", () =>
    Effect.gen(function*() {
      const last = yield* Deferred.make<number>()
      const waiting = (item: number) =>
        item === 3 ? Effect.as(Deferred.succeed(last, 3), item) : Effect.as(Deferred.await(last), item)
      assert.deepStrictEqual(yield* AtOnce.forEach([1, 2, 3], waiting), [1, 2, 3])
      assert.deepStrictEqual(yield* AtOnce.forEach([], waiting), [])
    }))

  it.effect("fails with the error of one, when the others have ended", () =>
    Effect.gen(function*() {
      const { count, run } = endless()
      const some = [Effect.zipRight(Effect.yieldNow(), Effect.fail("error")), run, run]
      assert.deepStrictEqual(yield* Effect.either(AtOnce.forEach(some, (one) => one)), Either.left("error"))
      assert.strictEqual(count.running, 0)
    }))
})

describe("both", () => {
  it.effect("succeeds with both results, of which each waits for the other", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* Deferred.make<string>(), yield* Deferred.make<number>()]
      const results = yield* AtOnce.both(
        Effect.zipRight(Deferred.succeed(one, "one"), Deferred.await(other)),
        Effect.zipRight(Deferred.succeed(other, 2), Deferred.await(one))
      )
      assert.deepStrictEqual(results, [2, "one"])
    }))
})

describe("raceFirst", () => {
  it.effect("ends as the first does, when the other has ended", () =>
    Effect.gen(function*() {
      const { count, run } = endless()
      const first = Effect.zipRight(Effect.yieldNow(), Effect.succeed("first"))
      assert.strictEqual(yield* AtOnce.raceFirst(first, run), "first")
      assert.strictEqual(yield* AtOnce.raceFirst(run, first), "first")
      assert.deepStrictEqual(yield* Effect.either(AtOnce.raceFirst(run, Effect.fail("error"))), Either.left("error"))
      assert.strictEqual(count.running, 0)
    }))
})

/** Behind so many others, so that the steps of its fiber begin and end elsewhere in it. */
const behind = <A, E, R>(count: number, self: Effect.Effect<A, E, R>) =>
  upTo(count).reduce((others) => Effect.zipRight(Effect.void, others), self)

describe("an interruption", () => {
  const { count, run } = endless()
  const cases = {
    forEach: AtOnce.forEach([run, run, run], (one) => one),
    both: AtOnce.both(run, run),
    raceFirst: AtOnce.raceFirst(run, run)
  }

  it.live.each(Object.entries(cases))(
    "after any number of steps ends all that has begun: %s",
    ([, self]) =>
      Effect.gen(function*() {
        const runFork = Runtime.runFork(yield* Effect.runtime<never>())
        for (const length of upTo(20).slice(10)) {
          for (const steps of upTo(60)) {
            const scheduler = new Stepping(steps, () => fiber.unsafeInterruptAsFork(FiberId.none), length)
            const fiber = runFork(Effect.zipRight(behind(steps % 8, self), Effect.never), {
              scheduler,
              immediate: false
            })
            // Turns of the event loop go on until all steps are made.
            yield* turn
            if (scheduler.steps <= steps) fiber.unsafeInterruptAsFork(FiberId.none)
            yield* Effect.zipRight(turn, turn)
            const exit = Option.getOrUndefined(yield* Fiber.poll(fiber))
            assert(exit !== undefined && Exit.isInterrupted(exit), `it hangs before step ${steps} of ${length}`)
            assert.strictEqual(count.running, 0, `something runs on before step ${steps} of ${length}`)
          }
        }
      })
  )

  it.effect("waits in an uninterruptible region until all have ended", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      let ended = 0
      const ending = Effect.zipRight(Deferred.await(end), Effect.sync(() => ended += 1))
      const fiber = yield* Effect.fork(Effect.uninterruptible(AtOnce.both(ending, ending)))
      yield* Effect.yieldNow()
      yield* Fiber.interruptFork(fiber)
      yield* Effect.yieldNow()
      yield* Deferred.succeed(end, undefined)
      yield* Fiber.await(fiber)
      assert.strictEqual(ended, 2)
    }))
})
