/** Clusters of embedded servers, in virtual time. */
import { BeanstalkCluster, Connector, EmbeddedServer, type Job, VirtualClock } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
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

/** Embedded servers, with the numbers 1, 2, …, and their entries for the list of a cluster. */
export const makeServers = (count: number) =>
  Effect.map(
    Effect.replicateEffect(EmbeddedServer.make(), count),
    (made) =>
      made.map(({ connector, server }, index) => ({
        server,
        entry: {
          id: index + 1,
          connector: Layer.succeed(Connector.Connector, { ...connector, address: `memory-${index + 1}` })
        }
      }))
  )

/** All servers connected. */
export const connectAll = ({ servers }: BeanstalkCluster.Cluster) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("1 second"), servers), {
    until: (all) => all.every(({ state }) => state._tag === "Connected")
  })

export const statusOf = ({ servers }: BeanstalkCluster.Cluster, id: number) =>
  Effect.map(servers, (all) => all.find((member) => member.id === id)?.status)

/** How many jobs each server has. */
export const jobCounts = (servers: ReadonlyArray<EmbeddedServer.Server>) =>
  Effect.forEach(servers, ({ jobs }) => Effect.map(jobs, ({ length }) => length))

/** The jobs that are reserved at each server, with its own ids. */
export const held = (servers: ReadonlyArray<EmbeddedServer.Server>) =>
  Effect.forEach(servers, ({ connections }) => Effect.map(connections, (all) => all.flatMap(({ holds }) => holds)))

/** Puts jobs on each server of the cluster, by its own client. The bodies are the number of the server, and a number from 0. */
export const putOnEach = (cluster: BeanstalkCluster.Cluster, tube: Job.TubeName, count = 1) =>
  Effect.flatMap(
    cluster.servers,
    (servers) =>
      Effect.forEach(servers, ({ id }) =>
        Effect.forEach(
          Array.from({ length: count }, (_, index) => `${id}-${index}`),
          (body) => Option.getOrThrow(cluster.at(id)).put(tube, body)
        ))
  )
