/** The numbers of many tubes, and how long their next jobs have waited. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Client, ClientError } from "../../BeanstalkClient.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import { nextJobAge } from "../../internal/queues/nextJobAge.ts"
import { leavingHalfOfTheTime } from "../../internal/queues/pace.ts"
import type { TubeStats } from "../../Stats.ts"

export interface TubeSample {
  readonly stats: TubeStats
  /** For how many seconds the next ready job has waited; `undefined` if none is ready, or nobody asked. */
  readonly nextAge: number | undefined
}

type Failure = ClientError | InvalidArgument

/** How many tubes are asked for at a time. beanstalkd looks a tube up among all: 1,024 of 1,024 take it 15 ms, of 10,000 some 90. */
const batchSize = 1024

/** Runs an Effect for the tubes, in batches, and leaves half of the time to the server between them. */
const inBatches = <A, B>(
  all: ReadonlyArray<A>,
  look: (batch: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<B>, Failure>
) => {
  const batches = Arr.chunksOf(all, batchSize)
  return Effect.map(
    Effect.forEach(
      batches,
      (batch, index) => index === batches.length - 1 ? look(batch) : leavingHalfOfTheTime(look(batch))
    ),
    Arr.flatten
  )
}

/** The statistics of tubes, without those that do not exist. */
export const statsOf = (
  client: Client,
  tubes: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<TubeStats>, Failure> => inBatches(tubes, client.statsTubes)

/** The same tubes, each with the age of its next job. */
export const withNextAges = (
  client: Client,
  tubes: ReadonlyArray<TubeStats>
): Effect.Effect<ReadonlyArray<TubeSample>, Failure> =>
  inBatches(tubes, (batch) =>
    Effect.forEach(
      batch,
      (stats) => Effect.map(nextJobAge(client, stats), (nextAge) => ({ stats, nextAge })),
      { concurrency: window }
    ))

/** The same tubes, of which nobody asks for the ages. */
export const withoutAges = (tubes: ReadonlyArray<TubeStats>): ReadonlyArray<TubeSample> =>
  tubes.map((stats) => ({ stats, nextAge: undefined }))

/** How many jobs are looked at at a time. */
const window = 64
