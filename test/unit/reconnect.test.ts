/** The Schedule of a reconnect loop: it begins anew for each outage. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import { type Lost, State } from "../../src/internal/client/connectionState.ts"
import { type Disconnected, perOutage } from "../../src/internal/client/reconnect.ts"
import * as VirtualClock from "../../src/VirtualClock.ts"

const after = (wasHealthy: boolean, reason = "lost"): Disconnected => ({
  lost: State.Lost({ reason }),
  wasHealthy,
  wasIdle: false
})

/** The delays, in seconds, with which these losses are followed by another attempt; the last attempt succeeds. */
const delaysOf = (losses: ReadonlyArray<Disconnected>, schedule: Schedule.Schedule<unknown, Lost>) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const lost = losses[times.push(now) - 1]
      return lost === undefined ? Effect.void : Effect.fail(lost)
    })
    const exit = yield* Effect.exit(Effect.retry(attempt, perOutage(schedule)))
    const delays = times.slice(1).map((time, i) => Duration.toSeconds(Duration.millis(time - (times[i] ?? 0))))
    return { delays, exit }
  }).pipe(Effect.provide(VirtualClock.layer()))

const exponential = Schedule.exponential("1 second")

describe("perOutage", () => {
  it.live("goes on with the Schedule while no session was healthy", () =>
    Effect.gen(function*() {
      const { delays } = yield* delaysOf([false, false, false, false].map((healthy) => after(healthy)), exponential)
      assert.deepStrictEqual(delays, [1, 2, 4, 8])
    }))

  it.live("begins the Schedule anew after a session that was healthy", () =>
    Effect.gen(function*() {
      const losses = [false, false, true, false, false, true, true].map((healthy) => after(healthy))
      const { delays } = yield* delaysOf(losses, exponential)
      assert.deepStrictEqual(delays, [1, 2, 1, 2, 4, 1, 1])
    }))

  it.live("is done when the Schedule is, counted from the last session that was healthy", () =>
    Effect.gen(function*() {
      const twice = Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(2))
      const losses = [after(false), after(true), after(false), after(false, "the last")]
      const { delays, exit } = yield* delaysOf(losses, twice)
      assert.deepStrictEqual(delays, [1, 1, 1])
      assert.deepStrictEqual(exit, Exit.fail(after(false, "the last")))
    }))

  it.live("gives the Schedule what was lost as its input", () =>
    Effect.gen(function*() {
      const inputs: Array<string> = []
      const collecting = Schedule.tapInput(
        exponential,
        (lost: Lost) => Effect.sync(() => void inputs.push(lost.reason))
      )
      yield* delaysOf([after(false, "first"), after(true, "second")], collecting)
      assert.deepStrictEqual(inputs, ["first", "second"])
    }))
})
