/** Buries jobs that are not reserved, by their ids. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { ConnectFailed, PutError } from "../../BeanstalkError.ts"
import type { JobStats, ServerInfo } from "../../Stats.ts"
import { maxBatch } from "./batchSize.ts"
import { buryUnreserved } from "./buryUnreserved.ts"
import type { Dedicated } from "./dedicated.ts"
import { delaySecondsFor } from "./delays.ts"

/** What must be known of a job to bury it. */
export type JobToBury = Pick<JobStats, "id" | "pri" | "state" | "timeLeft">

export const buryAll = (
  dedicated: Dedicated,
  server: Effect.Effect<ServerInfo, ConnectFailed>,
  jobs: Iterable<JobToBury>
): Effect.Effect<ReadonlyArray<boolean>, PutError | ConnectFailed> =>
  Effect.flatMap(server, (instance) =>
    Effect.map(
      Effect.forEach(
        Arr.chunksOf(jobs, maxBatch),
        (batch) =>
          buryUnreserved(
            dedicated,
            instance,
            batch.map(({ id, pri, state, timeLeft }) => ({
              id,
              priority: pri,
              delaySeconds: state === "delayed" ? delaySecondsFor(timeLeft) : 0
            }))
          )
      ),
      Arr.flatten
    ))
