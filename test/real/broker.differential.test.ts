/**
 * Random scripts, valid and hostile, sent to a real beanstalkd and to the broker of the embedded server. Their replies have to be
 * equal.
 *
 * `EFFECT_BEANSTALK_FUZZ=<scripts>` runs that many, and logs figures. A difference is reported with the seed of its script, and
 * `EFFECT_BEANSTALK_SEED` starts with that seed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { findBeanstalkd } from "../support/beanstalkd.ts"
import { type Figures, run } from "../support/differential.ts"
import { canFreezeClock, frozenClock, type Pair, type Peer, second, startPair } from "../support/differentialPair.ts"
import { amount, seedOr } from "../support/edition.ts"
import { describeReal } from "../support/real.ts"

const fuzz = process.env["EFFECT_BEANSTALK_FUZZ"]

const seed = seedOr(1)

/** The number of scripts of each of the two main kinds. */
const scripts = Number(fuzz ?? amount(15, 40))

const timeout = Duration.toMillis(fuzz === undefined ? "2 minutes" : "30 minutes")

const showsNoDifference = (name: string, { differences, ...figures }: Figures) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(differences, [])
    if (fuzz === undefined) return
    const { commands, incomparable, scripts, seconds } = figures
    yield* Effect.log(
      `${name}: ${scripts} scripts, ${commands} commands, ${seconds.toFixed(1)} s, no differences, ` +
        `${incomparable} scripts ended early because of defects of the real server`
    )
  })

/** A script in real time, in which the replies that are expected at a time are waited for. */
const threeSeconds = async (pair: Pair) => {
  const send = (peer: Peer, text: string) => pair.send(peer, Buffer.from(text))
  const put = (delay: number, ttr: number, priority = 0) => `put ${priority} ${delay} ${ttr} 0\r\n\r\n`
  const open = async (count: number, text: string) => {
    const peers: Array<Peer> = []
    for (let i = 0; i < count; i++) {
      const peer = await pair.open(text.slice(0, 1) + i)
      await send(peer, `use ${text}\r\nwatch ${text}\r\nignore default\r\n`)
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
  for (const worker of waiting) await send(worker, "reserve\r\n")
  await send(producer, `use held\r\n${put(0, 2)}use kept\r\n${put(0, 3)}use due\r\n`)
  await send(holder!, "reserve-with-timeout 0\r\n")
  await send(careful!, "reserve\r\n")
  // Jobs are due in another order than that of their priorities.
  for (let i = 0; i < 6; i++) await send(producer, put(2, 1000, 6 - i))
  for (let i = 0; i < 6; i++) await send(producer, put(1, 1000, i))
  await send(producer, `use paused\r\npause-tube paused 2\r\n${put(0, 1000, 2)}${put(0, 1000, 1)}${put(0, 1000, 1)}`)
  for (const worker of paused) await send(worker, "reserve-with-timeout 3\r\n")
  for (const worker of impatient.slice(0, 3)) await send(worker, "reserve-with-timeout 1\r\n")
  for (const worker of impatient.slice(3)) await send(worker, "reserve-with-timeout 3\r\n")
  await send(careful!, "reserve\r\n")
  for (let seconds = 1; seconds <= 3; seconds++) await pair.advance(start + seconds * second)
  // The real server may not have noticed that a job has timed out, until its holder sends something.
  for (const worker of [holder!, careful!]) await send(worker, "list-tube-used\r\n")
  await send(next!, "reserve-with-timeout 0\r\nreserve-with-timeout 0\r\n")
  await send(next!, "stats-job 1\r\nstats-job 2\r\nstats-tube due\r\nstats-tube paused\r\nstats\r\n")
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
          await pair.send(holder, Buffer.from("put 1 0 10 0\r\n\r\nput 0 0 10 0\r\n\r\nreserve\r\nreserve\r\n"))
          const waiting = await pair.open("waiting")
          await pair.send(waiting, Buffer.from("reserve\r\n"))
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
