import * as Effect from "effect/Effect"
import { BeanstalkClient, type Client } from "../../BeanstalkClient.ts"
import { WorkerStartError } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { Dedicated } from "../client/dedicated.ts"

/** What a worker has of its client. A copy of a client need not have it, whatever its type says. */
export const dedicatedOfClient = (tube: TubeName): Effect.Effect<Dedicated, WorkerStartError, BeanstalkClient> =>
  Effect.flatMap(BeanstalkClient, ({ dedicated }: Partial<Client>) => {
    if (dedicated === undefined) {
      return cannotServe(
        tube,
        "is a copy that does not say whose server workers serve: add `dedicated: client.dedicated` to it"
      )
    }
    if (dedicated.shared === undefined) {
      return cannotServe(
        tube,
        "is a cluster, and a worker takes jobs from one server: start one for each, with the client that `cluster.at` returns"
      )
    }
    return Effect.succeed(dedicated)
  })

const cannotServe = (tube: TubeName, reason: string) => new WorkerStartError({ tube, subject: "its client", reason })
