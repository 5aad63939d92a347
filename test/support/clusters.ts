/** Clusters of embedded servers, in virtual time. */
import { BeanstalkCluster, EmbeddedServer, VirtualClock } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { unlogged } from "./workers.ts"

export interface ClusterTest {
  readonly cluster: BeanstalkCluster.Cluster
  readonly servers: ReadonlyArray<EmbeddedServer.Server>
}

/** Runs a test on a cluster of embedded servers, with the numbers 1, 2, …, in virtual time. */
export const onCluster = <A, E, R>(
  test: (context: ClusterTest) => Effect.Effect<A, E, R>,
  { servers = 3, ...options }: Partial<EmbeddedServer.ClusterOptions> = {}
) =>
  Effect.all({ cluster: BeanstalkCluster.BeanstalkCluster, servers: EmbeddedServer.EmbeddedServers }).pipe(
    Effect.flatMap(test),
    Effect.scoped,
    Effect.provide(EmbeddedServer.layerCluster({ servers, ...options })),
    Effect.provide(unlogged),
    Effect.provide(VirtualClock.layer()),
    // The Clock of the Layer would stay set in the calling fiber: it is provided to a fiber of its own.
    Effect.fork,
    Effect.flatMap(Fiber.await),
    Effect.flatten
  )

/** How many jobs each server has. */
export const jobCounts = (servers: ReadonlyArray<EmbeddedServer.Server>) =>
  Effect.forEach(servers, ({ jobs }) => Effect.map(jobs, ({ length }) => length))
