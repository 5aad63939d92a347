/**
 * Producers and consumers, while connections are cut and the server is killed: every job that was acknowledged is completed
 * or still stored.
 *
 * `EFFECT_BEANSTALK_STRESS=1` goes on for a minute, and prints figures.
 */
import { assert, it } from "@effect/vitest"
import type { BeanstalkClient } from "effect-beanstalk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { clientTo } from "../support/clients.ts"
import { eventually, openTo } from "../support/connections.ts"
import { seed, stress } from "../support/edition.ts"
import { drain, produce, tally } from "../support/producing.ts"
import { Random } from "../support/random.ts"
import { describeReal } from "../support/real.ts"
import { startRestartable } from "../support/restartable.ts"

const duration = stress ? "60 seconds" : "2 seconds"

const betweenCuts = "200 millis"

const betweenKills = stress ? "4 seconds" : "700 millis"

const producers = 64

const consumers = 4

/** How many jobs a consumer holds at a time. */
const inHand = 8

const tube = "soak"

/** A job counts as completed as soon as it may have been deleted: no consumer reserves it again then. */
const consume = (client: BeanstalkClient.Client, completed: Array<string>) =>
  Effect.gen(function*() {
    const lease = yield* client.leaseWith({ watch: [tube] })
    const complete = Effect.gen(function*() {
      const job = yield* lease.reserveWithTimeout("1 second")
      const key = yield* job.text()
      const isMaybeDeleted = lease.delete(job.id).pipe(
        Effect.as(true),
        Effect.catchTags({
          ConnectionLost: ({ outcome }) => Effect.succeed(outcome === "Unknown"),
          // Its time to run was over, and another consumer has it.
          JobNotFound: () => Effect.succeed(false)
        })
      )
      const remember = (isIt: boolean) => void (isIt && completed.push(key))
      // An interruption in between would lose the record of the deletion.
      yield* Effect.uninterruptible(Effect.map(isMaybeDeleted, remember))
    })
    const completing = Effect.forever(Effect.catchTag(complete, "TimedOut", () => Effect.void))
    return yield* Effect.replicateEffect(completing, inHand, { concurrency: "unbounded" })
  }).pipe(
    Effect.scoped,
    Effect.catchTags({ ConnectionLost: () => Effect.void, ConnectFailed: () => Effect.void }),
    Effect.repeat(Schedule.spaced("10 millis")),
    Effect.orDie
  )

describeReal("an acknowledged job", () => {
  it.scopedLive(
    "is completed or still stored, while connections are cut and the server is killed",
    () =>
      Effect.gen(function*() {
        const random = new Random(seed)
        const server = yield* startRestartable
        const proxy = yield* ChaosProxy.make(server, { seed })
        const client = yield* clientTo(proxy)
        const completed: Array<string> = []
        const { ledger, stop } = yield* produce(client, { fibers: producers, tube })
        const consuming = yield* Effect.fork(
          Effect.replicateEffect(consume(client, completed), consumers, { concurrency: "unbounded" })
        )

        let cuts = 0
        let kills = 0
        const cut = Effect.suspend(() => {
          cuts += 1
          return proxy.cut(random.pick(["FIN", "RST"]))
        })
        const kill = Effect.suspend(() => {
          kills += 1
          return Effect.zipRight(server.kill, server.revive)
        })
        yield* Effect.all([
          Effect.schedule(cut, Schedule.upTo(Schedule.jittered(Schedule.spaced(betweenCuts)), duration)),
          Effect.schedule(kill, Schedule.upTo(Schedule.jittered(Schedule.spaced(betweenKills)), duration))
        ], { concurrency: "unbounded" })

        yield* stop
        yield* Fiber.interrupt(consuming)
        const observer = yield* openTo(server)
        yield* eventually(observer.stats, ({ currentJobsReserved }) => currentJobsReserved === 0)
        const left = yield* drain(server, tube)

        const times = tally([...completed, ...left])
        assert.deepStrictEqual([...ledger.acknowledged].filter((key) => !times.has(key)), [])
        assert.isAbove(Math.min(cuts, kills, ledger.unknownOutcomes, completed.length), 0)
        if (stress) {
          const percent = (count: number) => `${(count / ledger.acknowledged.size * 100).toFixed(2)} %`
          const again = completed.length + left.length - times.size
          const doubles = [...times.keys()].filter((key) => ledger.unknown.has(key) && (times.get(key) ?? 0) > 1).length
          yield* Console.log(
            `seed ${seed}, ${cuts} cuts, ${kills} kills: ${ledger.acknowledged.size} keys acknowledged, ` +
              `${completed.length} jobs completed, ${left.length} still there, none missing; ` +
              `${ledger.unknownOutcomes} puts Unknown (${percent(ledger.unknownOutcomes)}); ` +
              `${again} jobs more than keys (${percent(again)}), ${doubles} of these keys were put again after Unknown`
          )
        }
      }).pipe(
        Logger.withMinimumLogLevel(LogLevel.Error)
      ),
    180_000
  )
})
