import * as Effect from "effect/Effect"
import { BeanstalkClient, type Client } from "../../BeanstalkClient.ts"
import { WorkerStartError } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { Dedicated } from "../client/dedicated.ts"

/** What a worker has of its client. A copy of a client need not have it, whatever its type says. */
export const dedicatedOfClient = (tube: TubeName): Effect.Effect<Dedicated, WorkerStartError, BeanstalkClient> =>
  Effect.flatMap(BeanstalkClient, ({ dedicated }: Partial<Client>) =>
    dedicated === undefined
      ? cannotServe(
        tube,
        "is a copy that does not say whose server workers serve: add `dedicated: client.dedicated` to it"
      )
      : Effect.succeed(dedicated))

/** The same for what takes jobs from one server. */
export const oneServerOfClient = (tube: TubeName): Effect.Effect<Dedicated, WorkerStartError, BeanstalkClient> =>
  Effect.flatMap(dedicatedOfClient(tube), (dedicated) =>
    dedicated.shared === undefined
      ? cannotServe(
        tube,
        "is a cluster, and a Stream of jobs has one server: make one for each, with the client that `cluster.at` returns"
      )
      : Effect.succeed(dedicated))

const cannotServe = (tube: TubeName, reason: string) => new WorkerStartError({ tube, subject: "its client", reason })
