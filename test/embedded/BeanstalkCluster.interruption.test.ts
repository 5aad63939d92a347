/** What asks several servers, or tubes, at once ends when it is interrupted, however early. */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkClient, type BeanstalkCluster, QueueMetrics } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import { connectAll, onCluster } from "../support/clusters.ts"
import { sample, upTo } from "../support/edition.ts"
import { Stepping } from "../support/stepping.ts"

/** Never ends by itself. */
const busy = Effect.forever(Effect.yieldNow())

/** Ids of jobs of two servers. */
const ids = [1, 2].map((server) => `${BigInt(server) * 2n ** 48n + 1n}`)

interface Use {
  /** The steps in which it begins. */
  readonly steps: ReadonlyArray<number>
  readonly run: (cluster: BeanstalkCluster.Cluster) => Effect.Effect<unknown, unknown, BeanstalkClient.BeanstalkClient>
}

const uses: Readonly<Record<string, Use>> = {
  stats: { steps: upTo(10), run: (cluster) => cluster.stats },
  kickAll: { steps: upTo(10), run: (cluster) => cluster.kickAll(ids) },
  purge: { steps: upTo(10), run: (cluster) => cluster.purge("t") },
  jobs: { steps: sample(upTo(120), 10), run: (cluster) => Stream.runDrain(cluster.jobs({ tube: "t" })) },
  QueueMetrics: {
    steps: upTo(20),
    run: () => Effect.scoped(Effect.zipRight(QueueMetrics.make({ tubes: ["t"], age: true }), busy))
  }
}

describe("an interruption after any number of steps", () => {
  it.live.each(Object.entries(uses))(
    "ends it: %s",
    ([, { run, steps }]) =>
      onCluster(({ cluster }) =>
        Effect.gen(function*() {
          yield* Effect.replicateEffect(cluster.put("t", "hello"), 6)
          yield* connectAll(cluster)
          const runFork = Runtime.runFork(yield* Effect.runtime<BeanstalkClient.BeanstalkClient>())
          for (const length of [10, 11, 12, 13]) {
            for (const k of steps) {
              const scheduler = new Stepping(k, () => fiber.unsafeInterruptAsFork(FiberId.none), length)
              const fiber = runFork(Effect.zipRight(Effect.ignore(run(cluster)), busy), { scheduler, immediate: false })
              const ended = yield* Effect.timeoutOption(Fiber.await(fiber), "1 hour")
              assert.isTrue(Option.isSome(ended), `it hangs before step ${k} of ${length}`)
            }
          }
        })
      )
  )
})
