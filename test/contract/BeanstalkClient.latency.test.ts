/**
 * The puts of many fibers share round trips.
 *
 * `EFFECT_BEANSTALK_STRESS=1` measures it longer, and prints figures.
 */
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { clientTo } from "../support/clients.ts"
import { stress } from "../support/edition.ts"
import { ListeningBeanstalkd } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"

/** How often to measure: a busy machine may disturb some of the measurements. */
const rounds = 10

const isEnough = (ratio: number) => ratio >= 20

const together = 1000

const alone = 10

/** Milliseconds a put. */
const timeOf = <E>(put: Effect.Effect<unknown, E>, count: number, concurrency: 1 | "unbounded") =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(
      Effect.replicateEffect(put, count, { concurrency, discard: true }),
      () => (performance.now() - start) / count
    )
  })

describeListening("with 20 milliseconds each way", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })((it) => {
    it.scoped("1,000 puts at once are many times faster than one at a time", () =>
      Effect.gen(function*() {
        const client = yield* clientTo(
          yield* ChaosProxy.make(yield* ListeningBeanstalkd, { latency: "20 millis" })
        )
        const put = client.put("latency", "x".repeat(100))
        yield* timeOf(put, together, "unbounded")
        const ratios: Array<number> = []
        for (let round = 0; round < rounds; round++) {
          if (!stress && ratios.some(isEnough)) break
          const one = yield* timeOf(put, alone, 1)
          const many = yield* timeOf(put, together, "unbounded")
          ratios.push(one / many)
        }
        if (stress) yield* Console.log(`times faster: ${ratios.map((ratio) => ratio.toFixed(0)).join(" ")}`)
        assert.isTrue(ratios.some(isEnough), `times faster: ${ratios.join(" ")}`)
      }))
  })
})
