/** Reads the statistics of a server's tubes again and again, without taking more than half of its time. */
import * as Arr from "effect/Array"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Client, ClientError } from "../../BeanstalkClient.ts"
import type { TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import type { QueueGauges } from "./gauges.ts"

export interface PollOptions {
  readonly client: Client
  readonly gauges: QueueGauges
  readonly matches: (tube: TubeName) => boolean
  readonly every: Duration.Duration
  readonly withAge: boolean
}

/** How many tubes are asked for at a time. beanstalkd looks a tube up among all: 256 of 10,000 take it some 20 ms. */
const batchSize = 256

/** How many jobs are peeked at at a time. */
const peeks = 64

/** Polls until it is interrupted. */
export const poll = ({ client, every, gauges, matches, withAge }: PollOptions): Effect.Effect<never> => {
  let known: ReadonlySet<TubeName> = new Set()

  const observe = (stats: TubeStats) =>
    Effect.map(withAge ? nextJobAge(client, stats) : Effect.succeed(undefined), (nextJobAge) => {
      gauges.setTube(stats.name, { stats, nextJobAge })
      return stats.name
    })

  const observeBatch = (tubes: ReadonlyArray<TubeName>) =>
    client.statsTubes(tubes).pipe(
      Effect.flatMap(Effect.forEach(observe, { concurrency: peeks })),
      leavingHalfOfTheTime
    )

  const round = Effect.gen(function*() {
    const { draining = false } = yield* client.stats
    gauges.setServer({ isUp: true, isDraining: draining })
    const tubes = (yield* client.listTubes).filter(matches)
    const seen = new Set((yield* Effect.forEach(Arr.chunksOf(tubes, batchSize), observeBatch)).flat())
    for (const tube of known) if (!seen.has(tube)) gauges.clearTube(tube)
    known = seen
  })

  return round.pipe(
    // The client logs that there is no connection.
    Effect.catchAll(() => Effect.sync(() => gauges.setServer({ isUp: false, isDraining: false }))),
    Effect.repeat(Schedule.fixed(every)),
    Effect.zipRight(Effect.never)
  )
}

/** After a batch, leaves the server alone for as long as the batch took. */
const leavingHalfOfTheTime = <A, E>(batch: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(Effect.timed(batch), ([took, result]) => Effect.delay(Effect.succeed(result), took))

/** The server counts the age of a job from its put: it was not ready before its delay was over. */
const nextJobAge = (client: Client, { currentJobsReady, name }: TubeStats): Effect.Effect<number, ClientError> => {
  if (currentJobsReady === 0) return Effect.succeed(0)
  return Effect.gen(function*() {
    const next = yield* client.peekReady(name)
    if (Option.isNone(next)) return 0
    const { age, delay } = yield* client.statsJob(next.value.id)
    return Math.max(0, age - delay)
  }).pipe(
    Effect.catchTag("JobNotFound", () => Effect.succeed(0)),
    Effect.catchTag("InvalidArgument", Effect.die)
  )
}
