/** An Effect from a callback: when it cancels what it has started. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { fromCallback } from "../../src/internal/base/fromCallback.ts"

type Settle = (exit: Exit.Exit<string, string>) => void

/** Something with a callback, and how often it was started and cancelled. */
const operation = (onStart: (settle: Settle) => void = () => {}) => {
  const calls: { started: number; cancelled: number; settle: Settle } = { started: 0, cancelled: 0, settle: () => {} }
  const effect = fromCallback<string, string>((settle) => {
    calls.started += 1
    calls.settle = settle
    onStart(settle)
    return () => {
      calls.cancelled += 1
    }
  })
  return { calls, effect }
}

describe("fromCallback", () => {
  it.effect("succeeds with the result, and cancels nothing", () =>
    Effect.gen(function*() {
      const { calls, effect } = operation()
      const fiber = yield* Effect.fork(effect)
      yield* Effect.yieldNow()
      calls.settle(Exit.succeed("result"))
      assert.strictEqual(yield* Fiber.join(fiber), "result")
      assert.deepInclude(calls, { started: 1, cancelled: 0 })
    }))

  it.effect("succeeds when it is called back before start returns", () =>
    Effect.gen(function*() {
      const { effect } = operation((settle) => settle(Exit.succeed("at once")))
      assert.strictEqual(yield* effect, "at once")
    }))

  it.effect("starts once for each run", () =>
    Effect.gen(function*() {
      const { calls, effect } = operation((settle) => settle(Exit.succeed("at once")))
      yield* Effect.zipRight(effect, effect)
      assert.strictEqual(calls.started, 2)
    }))

  it.effect("fails as the callback does", () =>
    Effect.gen(function*() {
      const { effect } = operation((settle) => settle(Exit.fail("failure")))
      assert.deepStrictEqual(yield* Effect.exit(effect), Exit.fail("failure"))
    }))

  it.effect("cancels when it is interrupted while it waits", () =>
    Effect.gen(function*() {
      const { calls, effect } = operation()
      const fiber = yield* Effect.fork(effect)
      yield* Effect.yieldNow()
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.strictEqual(calls.cancelled, 1)
    }))

  it.effect("cancels when it is interrupted after the callback, before the fiber has run again", () =>
    Effect.gen(function*() {
      const { calls, effect } = operation()
      const fiber = yield* Effect.fork(effect)
      yield* Effect.yieldNow()
      fiber.unsafeInterruptAsFork(fiber.id())
      calls.settle(Exit.succeed("dropped"))
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.strictEqual(calls.cancelled, 1)
    }))

  it.effect("waits for the callback in an uninterruptible region", () =>
    Effect.gen(function*() {
      const { calls, effect } = operation()
      const results: Array<string> = []
      const fiber = yield* Effect.fork(Effect.uninterruptible(Effect.map(effect, (result) => results.push(result))))
      yield* Effect.yieldNow()
      fiber.unsafeInterruptAsFork(fiber.id())
      yield* Effect.yieldNow()
      assert.isNull(fiber.unsafePoll())
      calls.settle(Exit.succeed("result"))
      yield* Fiber.await(fiber)
      assert.deepStrictEqual(results, ["result"])
      assert.strictEqual(calls.cancelled, 0)
    }))
})
