/** Reads the statistics of a server's tubes again and again, without taking more than half of its time. */
import * as Arr from "effect/Array"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Client } from "../../BeanstalkClient.ts"
import type { TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import * as AtOnce from "../base/atOnce.ts"
import type { QueueGauges } from "./gauges.ts"
import { nextJobAge } from "./nextJobAge.ts"
import { leavingHalfOfTheTime } from "./pace.ts"

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

  const ageOf = (stats: TubeStats) => Effect.map(nextJobAge(client, stats), (age = 0) => age)

  const observe = (stats: TubeStats) =>
    Effect.map(withAge ? ageOf(stats) : Effect.succeed(undefined), (nextJobAge) => {
      gauges.setTube(stats.name, { stats, nextJobAge })
      return stats.name
    })

  const observeBatch = (tubes: ReadonlyArray<TubeName>) =>
    client.statsTubes(tubes).pipe(
      Effect.flatMap((all) => Effect.forEach(Arr.chunksOf(all, peeks), (some) => AtOnce.forEach(some, observe))),
      Effect.map((names) => names.flat()),
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
