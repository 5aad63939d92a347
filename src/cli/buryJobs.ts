/** Buries jobs that are not reserved. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Client, JobToBury } from "../BeanstalkClient.ts"
import { inBatches, type OnProgress } from "./bulk.ts"
import { tallyOf } from "./tally.ts"

/** How many jobs are buried at a time, on a connection of their own. */
const batch = 256

export const buryJobs = (client: Client, jobs: ReadonlyArray<JobToBury>, onProgress: OnProgress) =>
  inBatches(jobs, batch, onProgress, (some) =>
    Effect.map(client.buryAll(some), (buried) => ({
      done: tallyOf(some.filter((_, index) => buried[index])),
      failure: Option.none<never>()
    })))
