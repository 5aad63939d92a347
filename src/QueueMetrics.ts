/**
 * The depth of queues as metrics: how many jobs each tube of a server has, in which state, how long the next one has been waiting, and
 * how many workers there are.
 *
 * One process polls a server and updates the metrics; sixteen that all do are sixteen times the load, and the same numbers. So run it
 * in a program of its own, or in one that runs once. On a cluster, make one for each server, with the client that `at` returns: the sum
 * over those servers that answer becomes smaller when one does not, which a counter must not.
 *
 * **Metrics**
 *
 * - `beanstalk.tube.jobs`, by `beanstalk.job.state`: `ready`, `reserved`, `delayed` or `buried`
 * - `beanstalk.tube.waiting` and `beanstalk.tube.workers`: connections that wait for a job, and that watch the tube
 * - `beanstalk.tube.paused`: for how many seconds the tube is paused still
 * - `beanstalk.tube.next_job.age`: for how many seconds the next job has been ready, with the option `age`
 * - `beanstalk.tube.puts` and `beanstalk.tube.deletes`: counters of the server, since it made the tube
 * - `beanstalk.server.up` and `beanstalk.server.draining`: 1 or 0
 *
 * They are tagged with `messaging.system`, `server.address`, `server.port`, and with the tube as `messaging.destination.name`. A tube that
 * does not exist any more stays, with zeros: Effect's registry of metrics forgets none.
 *
 * **Example** (a program that does nothing else)
 *
 * ```ts
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { QueueMetrics } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * QueueMetrics.layer({ tubes: ["emails", "images.*"], every: "15 seconds", age: true }).pipe(
 *   Layer.provide(NodeBeanstalk.layerClientEnv),
 *   Layer.launch,
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { BeanstalkClient } from "./BeanstalkClient.ts"
import { InvalidArgument } from "./BeanstalkError.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Gauges from "./internal/queues/gauges.ts"
import { poll } from "./internal/queues/poll.ts"
import { regexOfGlob } from "./internal/values/glob.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The tubes, by their names or by patterns: `*` is any text, `?` one character, `[a-c]` one of several. Each tube makes eleven series:
   * do not match tubes without end, as with one for each user.
   */
  readonly tubes: ReadonlyArray<string>
  /**
   * How often they are read. It takes longer where the server needs more than half of this time to answer: after each 256 tubes it is left
   * alone for as long as they took. Default: 15 seconds.
   */
  readonly every?: Duration.DurationInput | undefined
  /**
   * Whether the age of the next job is measured. It takes two more commands for each tube with a ready job, one of which copies its body.
   * Default: false.
   */
  readonly age?: boolean | undefined
}

/**
 * Updates the metrics in the background until the Scope closes. Fails with `InvalidArgument` for a pattern that is none, and if `every`
 * is not above zero.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { age = false, every = "15 seconds", tubes }: Options
): Effect.Effect<void, InvalidArgument, BeanstalkClient | Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* BeanstalkClient
    const patterns = yield* Effect.forEach(tubes, patternOf)
    const interval = Validate.attempt(() => Validate.positiveDuration("QueueMetrics", "every", every))
    if (interval instanceof InvalidArgument) return yield* interval
    const polling = poll({
      client,
      gauges: Gauges.make(client.address, yield* FiberRef.get(FiberRef.currentMetricLabels)),
      matches: (tube) => patterns.some((pattern) => pattern.test(tube)),
      every: Duration.millis(interval),
      withAge: age
    })
    yield* Effect.forkScoped(Effect.interruptible(polling))
  })

const patternOf = (tube: string): Effect.Effect<RegExp, InvalidArgument> =>
  Effect.try({
    try: () => regexOfGlob(tube),
    catch: () =>
      new InvalidArgument({
        command: "QueueMetrics",
        argument: "tubes",
        reason: "must be names or patterns, in which * is any text, ? one character and [a-c] one of several"
      })
  })

/**
 * Updates the metrics in the background, as {@link make} does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, InvalidArgument, BeanstalkClient> =>
  Layer.scopedDiscard(make(options))
