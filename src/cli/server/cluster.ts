/** Several servers as one client. It is a module of its own, so that a command for one server does not load clusters. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ClientError } from "../../BeanstalkClient.ts"
import * as BeanstalkCluster from "../../BeanstalkCluster.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import { WrongUsage } from "../failures.ts"
import type { Server } from "./server.ts"

/** A cluster, and why some of its servers cannot be reached. */
export interface Connected {
  readonly cluster: BeanstalkCluster.Cluster
  readonly failures: ReadonlyArray<ClientError>
}

/** Connects to all servers. Fails if two of them are one. */
export const connect = (
  servers: ReadonlyArray<Server>,
  options: BeanstalkCluster.Options
): Effect.Effect<Connected, InvalidArgument | WrongUsage, Scope.Scope> =>
  Effect.gen(function*() {
    const cluster = yield* BeanstalkCluster.make(
      servers.map(({ connector, number }) => ({ id: number, connector: Layer.succeed(Connector, connector) })),
      options
    )
    const failures: Array<ClientError> = []
    const addresses = new Map<string, string>()
    for (const { member: { address }, stats } of yield* cluster.statsAll) {
      if (Exit.isFailure(stats)) {
        failures.push(...Option.toArray(Cause.failureOption(stats.cause)))
        continue
      }
      const twin = addresses.get(stats.value.id)
      if (twin !== undefined) return yield* new WrongUsage({ message: `${twin} and ${address} are the same server.` })
      addresses.set(stats.value.id, address)
    }
    return { cluster, failures }
  })
