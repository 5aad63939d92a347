/**
 * Random scripts, valid and hostile, sent to a real beanstalkd and to the broker of the embedded server. Their replies have to be
 * equal.
 *
 * `EFFECT_BEANSTALK_FUZZ=<scripts>` plays that many, and says how it went. A difference is told with the seed of its script,
 * and `EFFECT_BEANSTALK_SEED` begins with that one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { findBeanstalkd } from "../support/beanstalkd.ts"
import { type Figures, run } from "../support/differential.ts"
import { canFreezeClock, frozenClock, type Pair, type Peer, second, startPair } from "../support/differentialPair.ts"
import { describeReal } from "../support/real.ts"

const asked = process.env["EFFECT_BEANSTALK_FUZZ"]

const seed = Number(process.env["EFFECT_BEANSTALK_SEED"] ?? 1)

/** How many scripts there are of each of the two main kinds. */
const scripts = Number(asked ?? 40)

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

/** Here the real server has no other clock than ours: what is expected of it at a time is waited for. */
const threeSeconds = async (pair: Pair) => {
  const say = (peer: Peer, text: string) => pair.say(peer, Buffer.from(text))
  const put = (delay: number, ttr: number, priority = 0) => `put ${priority} ${delay} ${ttr} 0\r\n\r\n`
  const open = async (count: number, text: string) => {
    const peers: Array<Peer> = []
    for (let i = 0; i < count; i++) {
      const peer = await pair.open(text.slice(0, 1) + i)
      await say(peer, `use ${text}\r\nwatch ${text}\r\nignore default\r\n`)
      peers.push(peer)
    }
    return peers
  }
  const start = pair.now
  const producer = await pair.open("producer")
  const waiting = await open(12, "due")
  const paused = await open(6, "paused")
  const [holder, next] = await open(2, "held")
  const [careful] = await open(1, "kept")
  const impatient = await open(6, "nothing")
  for (const worker of waiting) await say(worker, "reserve\r\n")
  await say(producer, `use held\r\n${put(0, 2)}use kept\r\n${put(0, 3)}use due\r\n`)
  await say(holder!, "reserve-with-timeout 0\r\n")
  await say(careful!, "reserve\r\n")
  // Jobs that are due one behind the other go to those who wait in an odd order; the more urgent is not the sooner.
  for (let i = 0; i < 6; i++) await say(producer, put(2, 1000, 6 - i))
  for (let i = 0; i < 6; i++) await say(producer, put(1, 1000, i))
  await say(producer, `use paused\r\npause-tube paused 2\r\n${put(0, 1000, 2)}${put(0, 1000, 1)}${put(0, 1000, 1)}`)
  for (const worker of paused) await say(worker, "reserve-with-timeout 3\r\n")
  for (const worker of impatient.slice(0, 3)) await say(worker, "reserve-with-timeout 1\r\n")
  for (const worker of impatient.slice(3)) await say(worker, "reserve-with-timeout 3\r\n")
  await say(careful!, "reserve\r\n")
  for (let seconds = 1; seconds <= 3; seconds++) await pair.advance(start + seconds * second)
  // The real server may have overlooked the end of a job, until its holder says something.
  for (const worker of [holder!, careful!]) await say(worker, "list-tube-used\r\n")
  await say(next!, "reserve-with-timeout 0\r\nreserve-with-timeout 0\r\n")
  await say(next!, "stats-job 1\r\nstats-job 2\r\nstats-tube due\r\nstats-tube paused\r\nstats\r\n")
}

describeReal(`the broker and ${findBeanstalkd()}`, () => {
  it.live("reply equally when time does not matter", () =>
    Effect.flatMap(
      run({ seed, scripts, length: 60 }),
      (figures) => showsNoDifference("without time", figures)
    ), timeout)

  it.live("reply equally with a small maximum job size", () =>
    Effect.flatMap(
      Effect.zip(
        run({ seed, scripts: Math.ceil(scripts / 6), length: 60, maxJobSize: 10 }),
        run({ seed, scripts: Math.ceil(scripts / 10), length: 60, maxJobSize: 0 })
      ),
      ([few, none]) =>
        Effect.zip(showsNoDifference("10 bytes at most", few), showsNoDifference("no bytes at all", none))
    ), timeout)

  it.live("reply equally in drain mode", () =>
    Effect.flatMap(
      run({ seed, scripts: Math.ceil(scripts / 10), length: 60, drains: true }),
      (figures) => showsNoDifference("draining", figures)
    ), timeout)

  it.live("cause the same events in the same order when time passes", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({})
      yield* Effect.promise(() => threeSeconds(pair))
    }).pipe(Effect.scoped))

  describe.runIf(canFreezeClock)("with a clock that the test sets", () => {
    it.live("give jobs that time out together back in the order in which they were reserved", () =>
      Effect.gen(function*() {
        const pair = yield* startPair({ clock: yield* frozenClock })
        yield* Effect.promise(async () => {
          const holder = await pair.open("holder")
          await pair.say(holder, Buffer.from("put 1 0 10 0\r\n\r\nput 0 0 10 0\r\n\r\nreserve\r\nreserve\r\n"))
          const waiting = await pair.open("waiting")
          await pair.say(waiting, Buffer.from("reserve\r\n"))
          await pair.advance(pair.now + 11 * second)
        })
      }).pipe(Effect.scoped))

    it.live("reply equally", () =>
      Effect.gen(function*() {
        const clock = yield* frozenClock
        const figures = yield* run({ seed, scripts, length: 80, clock })
        yield* showsNoDifference("with time", figures)
      }).pipe(Effect.scoped), timeout)
  })
})
