/**
 * Random scripts, valid and hostile, played to a real beanstalkd and to the broker of the embedded server, which has to
 * answer alike.
 *
 * `EFFECT_BEANSTALK_FUZZ=<scripts>` plays that many, and says how it went. A difference is told with the seed of its script,
 * and `EFFECT_BEANSTALK_SEED` begins with that one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { findBeanstalkd } from "../support/beanstalkd.ts"
import { type Figures, run } from "../support/differential.ts"
import { canFreezeClock, frozenClock } from "../support/differentialPair.ts"
import { describeReal } from "../support/real.ts"

const asked = process.env["EFFECT_BEANSTALK_FUZZ"]

const seed = Number(process.env["EFFECT_BEANSTALK_SEED"] ?? 1)

/** How many scripts, of those that are played without being asked. */
const scripts = (usually: number) => asked === undefined ? usually : Math.ceil(Number(asked) * usually / 100)

const timeout = Duration.toMillis(asked === undefined ? "30 seconds" : "30 minutes")

const showsNoDifference = (name: string, { differences, ...figures }: Figures) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(differences, [])
    if (asked === undefined) return
    const { commands, left, scripts, seconds } = figures
    yield* Effect.log(
      `${name}: ${scripts} scripts, ${commands} commands, ${seconds.toFixed(1)} s, no differences, ` +
        `${left} scripts left since the real server would not survive them`
    )
  })

describeReal(`the broker and ${findBeanstalkd()}`, () => {
  it.live("answer alike when time does not matter", () =>
    Effect.flatMap(
      run({ seed, scripts: scripts(100), length: 60 }),
      (figures) => showsNoDifference("without time", figures)
    ), timeout)

  it.live("answer alike when bodies may not be long", () =>
    Effect.flatMap(
      Effect.zip(
        run({ seed, scripts: scripts(15), length: 60, maxJobSize: 10 }),
        run({ seed, scripts: scripts(10), length: 60, maxJobSize: 0 })
      ),
      ([few, none]) =>
        Effect.zip(showsNoDifference("10 bytes at most", few), showsNoDifference("no bytes at all", none))
    ), timeout)

  it.live("answer alike when draining begins", () =>
    Effect.flatMap(
      run({ seed, scripts: scripts(10), length: 60, drains: true }),
      (figures) => showsNoDifference("draining", figures)
    ), timeout)

  describe.runIf(canFreezeClock)("by a clock that is put forward by hand", () => {
    it.live("answer alike", () =>
      Effect.gen(function*() {
        const clock = yield* frozenClock
        const figures = yield* run({ seed, scripts: scripts(100), length: 80, clock })
        yield* showsNoDifference("with time", figures)
      }).pipe(Effect.scoped), timeout)
  })
})
