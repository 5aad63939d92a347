import * as Effect from "effect/Effect"
import { BeanstalkClient, type Client } from "../../BeanstalkClient.ts"
import { WorkerStartError } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { Dedicated } from "../client/dedicated.ts"

/** What a worker has of its client. A copy of a client need not have it, whatever its type says. */
export const dedicatedOfClient = (tube: TubeName): Effect.Effect<Dedicated, WorkerStartError, BeanstalkClient> =>
  Effect.flatMap(BeanstalkClient, ({ dedicated }: Partial<Client>) =>
    dedicated === undefined
      ? new WorkerStartError({
        tube,
        subject: "its client",
        reason: "is a copy that does not say whose server workers serve: add `dedicated: client.dedicated` to it"
      })
      : Effect.succeed(dedicated))
