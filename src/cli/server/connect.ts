/** How a command connects to its servers: to several as to one. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as BeanstalkClient from "../../BeanstalkClient.ts"
import type { Connection } from "../../BeanstalkConnection.ts"
import type { Failure } from "../failures.ts"
import type { Output } from "../terminal/output.ts"
import type { Server } from "./server.ts"
import { addresses, Servers, type Several, theServer } from "./servers.ts"
import { failIfAny, tell } from "./tellFailures.ts"

type Connecting<A> = Effect.Effect<A, Failure, Servers | Output | Scope.Scope>

const oneOrSeveral = <A>(
  one: (server: Server) => Connecting<A>,
  several: (servers: Several) => Connecting<A>
): Connecting<A> => Effect.flatMap(Servers, (servers) => servers.length === 1 ? one(servers[0]) : several(servers))

const cluster = (servers: Several, own: BeanstalkClient.Options = {}) =>
  Effect.flatMap(
    Effect.zip(Effect.promise(() => import("./cluster.ts")), addresses("and")),
    ([{ connect }, name]) => connect(servers, { ...servers[0].options, ...own, name })
  )

const clusterOfAll = (servers: Several) =>
  Effect.flatMap(
    cluster(servers, { reconnect: Schedule.stop }),
    ({ cluster, failures }) => Effect.as(failIfAny(failures), cluster)
  )

const clusterOfAny = (servers: Several) =>
  Effect.flatMap(
    cluster(servers),
    ({ cluster, failures }) =>
      Effect.as(failures.length === servers.length ? failIfAny(failures) : tell(failures), cluster)
  )

/**
 * A connected client of the servers of a command: of several, a cluster. Fails, before anything is done, if one of them cannot be
 * reached.
 */
export const theClient: Connecting<BeanstalkClient.Client> = oneOrSeveral(({ connect }) => connect, clusterOfAll)

/**
 * A client for a command that any of the servers can serve. Of several that cannot be reached it is said, and they are used once they
 * are there. Fails if none can be reached.
 */
export const anyClient: Connecting<BeanstalkClient.Client> = oneOrSeveral(({ connect }) => connect, clusterOfAny)

/** The same for a command that runs until it is interrupted. */
export const lastingClient: Connecting<BeanstalkClient.Client> = oneOrSeveral(
  ({ stayConnected }) => stayConnected,
  clusterOfAny
)

/** A client for a command about jobs that are named: of several servers, only those of the jobs must be there. */
export const clientById: Connecting<BeanstalkClient.Client> = oneOrSeveral(
  ({ connect }) => connect,
  (servers) => Effect.map(cluster(servers, { reconnect: Schedule.stop }), ({ cluster }) => cluster)
)

/** A connection to the server of a command that is for one. */
export const theConnection: Connecting<Connection> = Effect.flatMap(theServer, ({ open }) => open)

/** A connection to each server. Fails if one of them cannot be reached. */
export const connections: Connecting<ReadonlyArray<Connection>> = Effect.flatMap(
  Servers,
  (servers) => Effect.forEach(servers, ({ open }) => open, { concurrency: "unbounded" })
)

/** Connections to those servers that can be reached, as {@link anyClient} has it. */
export const anyConnections: Connecting<ReadonlyArray<Connection>> = Effect.gen(function*() {
  const opened = yield* Effect.forEach(yield* Servers, ({ open }) => Effect.either(open), {
    concurrency: "unbounded"
  })
  const [failures, connections] = Arr.separate(opened)
  yield* connections.length === 0 ? failIfAny(failures) : tell(failures)
  return connections
})

/** Fails if one of several servers cannot be reached any more. */
export const allThere: Connecting<void> = oneOrSeveral(
  () => Effect.void,
  () => Effect.scoped(Effect.asVoid(connections))
)
