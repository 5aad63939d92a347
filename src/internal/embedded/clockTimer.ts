/** Calls back when a time has come, by Effect's Clock. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

export interface ClockTimer {
  /** In milliseconds since 1970, as fine as the Clock is. */
  readonly now: () => number
  /** Rings at this time at the latest; later times change nothing. */
  readonly set: (at: number) => void
}

/** The longest time that a timer of JavaScript can be set to. */
const longestSleep = 2 ** 31 - 1

export const make = Effect.fnUntraced(function*(onRing: () => void) {
  const clock = yield* Effect.clock
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  let ringsAt = Number.POSITIVE_INFINITY
  let sleeping: Fiber.RuntimeFiber<void> | undefined
  let isOver = false

  const beginning = clock.unsafeCurrentTimeMillis()
  const beginningNanos = clock.unsafeCurrentTimeNanos()
  // The nanoseconds do not follow a wall clock that is set. Only their difference fits a number.
  const now = () => beginning + Number(clock.unsafeCurrentTimeNanos() - beginningNanos) / 1e6

  const silence = () => {
    sleeping?.unsafeInterruptAsFork(FiberId.none)
    sleeping = undefined
    ringsAt = Number.POSITIVE_INFINITY
  }

  const ring = Effect.sync(() => {
    sleeping = undefined
    ringsAt = Number.POSITIVE_INFINITY
    onRing()
  })

  const set = (at: number) => {
    if (isOver || at >= ringsAt) return
    silence()
    ringsAt = at
    const left = Math.min(Math.max(Math.ceil(at - now()), 0), longestSleep)
    sleeping = runFork(Effect.andThen(clock.sleep(Duration.millis(left)), ring))
  }

  // Connections may come to their ends later than this: a timer that is set then would never be cleared.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOver = true
      silence()
    })
  )
  const alarm: ClockTimer = { now, set }
  return alarm
})
