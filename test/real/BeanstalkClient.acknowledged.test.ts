/**
 * A job that was acknowledged is stored, however often the server is killed.
 *
 * `EFFECT_BEANSTALK_STRESS=1` kills it 20 times, and prints figures.
 */
import { assert, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { clientTo } from "../support/clients.ts"
import { eventually } from "../support/connections.ts"
import { stress } from "../support/edition.ts"
import { drain, produce, tally } from "../support/producing.ts"
import { describeReal } from "../support/real.ts"
import { startRestartable } from "../support/restartable.ts"

const restarts = stress ? 20 : 3

const tube = "acknowledged"

/**
 * Jobs of 60,000 bytes that keep beanstalkd from compacting its binlog: with many files that are nearly empty it moves jobs
 * from the oldest, and now and then loses the last job of a file in which it was killed.
 */
const ballast = stress ? 2000 : 600

/** How many more puts must be acknowledged between two kills. */
const atLeast = 500

describeReal("an acknowledged job", () => {
  it.scopedLive(
    "is stored after the server was killed again and again while producers put jobs",
    () =>
      Effect.gen(function*() {
        const server = yield* startRestartable
        const client = yield* clientTo(server)
        yield* Stream.runDrain(
          client.putAll("ballast", Stream.take(Stream.repeatValue(new Uint8Array(60_000)), ballast))
        )
        const { ledger, stop } = yield* produce(client, { fibers: 64, tube })
        for (let kills = 0; kills < restarts; kills++) {
          const before = ledger.acknowledged.size
          yield* eventually(Effect.sync(() => ledger.acknowledged.size), (size) => size >= before + atLeast)
          yield* server.kill
          yield* server.revive
        }
        yield* stop
        // Only jobs in the binlog count.
        yield* server.kill
        yield* server.revive
        const found = tally(yield* drain(server, tube))
        assert.deepStrictEqual([...ledger.acknowledged].filter((key) => !found.has(key)), [])
        const tooMany = [...found].filter(([key, count]) => count > ledger.most(key))
        assert.deepStrictEqual(tooMany, [], "a job is there more often than its producer can explain")
        if (stress) {
          const duplicates = [...found.values()].reduce((sum, count) => sum + count - 1, 0)
          yield* Console.log(
            `${restarts} kills: ${ledger.acknowledged.size} acknowledged and found, ${ledger.unknownOutcomes} outcomes unknown, ` +
              `${duplicates} jobs twice`
          )
        }
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    300_000
  )
})
