/**
 * Several beanstalkd servers behind one client: jobs are spread over them, and what is asked is asked of all.
 *
 * A cluster is a `BeanstalkClient.Client`, so that a program that was written for one server works on many. `NodeCluster` in
 * `effect-beanstalk/node` makes one of URLs.
 *
 * **Details**
 *
 * A job lives on one server, and nothing is replicated: the jobs of a server that is down wait for its return. The ids of jobs are
 * qualified: server × 2⁴⁸ + the id on that server, so that a command that names a job finds its server. There is no order of jobs
 * across servers.
 *
 * A `put` goes to a server that is connected, and neither draining, full nor silent. If that server has certainly not stored the job, it
 * goes to another one. If that is not certain, it fails as with one server: no job is put twice.
 *
 * | at the server | then |
 * | --- | --- |
 * | `ConnectFailed`, or `ConnectionLost` and `NotSent` | the next server |
 * | `Draining` | the next; this one gets no jobs for 30 seconds |
 * | `OutOfMemory` | the next; this one gets no jobs for 2 seconds, after each further time twice as long, up to 30 seconds |
 * | `JobTooBig` | a server with a larger limit; if there is none, it fails with the largest limit |
 * | any other error | it fails |
 *
 * When every server was tried, it fails with the last error. While no server is available it waits, for `offlineTimeout` at most: also
 * while some have refused it, and the others cannot be reached. A server that takes jobs again meanwhile is then tried again.
 * `putAll` goes on to the next server in the first two cases only.
 *
 * A command that names a job is sent to the server of that job, and waits for its connection as with one server. One about a tube, or
 * all tubes, goes to all servers that are not down, and the answers are added:
 *
 * - `stats`, `statsTube`, `statsTubes`: the counts are added. The addresses of servers that did not answer are in `unknown`, under
 *   `cluster-not-answered`.
 * - `listTubes`: the tubes of all servers that answer.
 * - `peekReady`, `peekDelayed`, `peekBuried`: a job of any server.
 * - `kick`: one server after the other, until as many jobs as asked for are kicked. Delayed jobs only if none is buried on any server. It
 *   fails if one of them fails that could be reached, since that one may have kicked some.
 * - `pauseTube`: on all servers. It fails if one of them fails, unless that does not know the tube.
 * - `purge`, `move`, `jobs`: on all servers at once; with `bound`, `purge` and `move` take one after the other. If one fails, the others
 *   finish. `move` leaves a job on its server, unless `into` is given.
 * - `lease`, `leaseWith`, `ready`: a server that takes jobs.
 *
 * A `Worker` takes jobs from all servers: its `concurrency` is that of all together. While as many jobs run as may, those that came from
 * other servers are held, one from each at most, with heartbeats. `Worker.jobs` does the same, with one job at a time.
 *
 * **Example** (a cluster of three servers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkCluster } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const ClusterLive = BeanstalkCluster.layer([
 *   { id: 1, connector: NodeConnector.layer({ host: "queue-1" }) },
 *   { id: 2, connector: NodeConnector.layer({ host: "queue-2" }) },
 *   { id: 3, connector: NodeConnector.layer({ host: "queue-3" }), weight: 2 }
 * ])
 *
 * const program = Effect.gen(function*() {
 *   const cluster = yield* BeanstalkCluster.BeanstalkCluster
 *   const id = yield* cluster.put("mails", "hello")
 *   yield* cluster.delete(id)
 * }).pipe(Effect.provide(ClusterLive))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as BeanstalkClient from "./BeanstalkClient.ts"
import type * as BeanstalkError from "./BeanstalkError.ts"
import { withDedicated } from "./internal/client/dedicated.ts"
import * as ClusterInternal from "./internal/cluster/cluster.ts"
import type { MemberEvent } from "./internal/cluster/events.ts"
import type { Member, Status } from "./internal/cluster/member.ts"
import type { Strategy } from "./internal/cluster/members.ts"
import type { Server } from "./internal/cluster/membership.ts"
import { ownId, serverOf } from "./internal/values/qualifiedId.ts"
import { isJobId, type JobId } from "./Job.ts"
import type { ServerStats } from "./Stats.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

export type { Member, MemberEvent, Server, Status, Strategy }

/**
 * Options of a cluster, and of the clients of its servers. `offlineTimeout` is also how long a `put` waits while no server is available.
 *
 * **Example** (a primary, and others that stand by)
 *
 * ```ts
 * import type { BeanstalkCluster } from "effect-beanstalk"
 *
 * const options: BeanstalkCluster.Options = { strategy: "first", suspectAfter: "2 seconds" }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ClusterInternal.Options {}

/**
 * A client of several servers. See the description of the module for what its methods do.
 *
 * **Example** (what each server says of itself)
 *
 * ```ts
 * import { Console, Effect, Exit } from "effect"
 * import { BeanstalkCluster } from "effect-beanstalk"
 *
 * const program = Effect.gen(function*() {
 *   const cluster = yield* BeanstalkCluster.BeanstalkCluster
 *   for (const { member, stats } of yield* cluster.statsAll) {
 *     const jobs = Exit.isSuccess(stats) ? `${stats.value.currentJobsReady} jobs are ready` : "no answer"
 *     yield* Console.log(`${member.id} ${member.address} ${member.status}: ${jobs}`)
 *   }
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Cluster extends BeanstalkClient.Client {
  /** The servers as they are at this moment, in the order of the list. Those that are leaving come last. */
  readonly servers: Effect.Effect<ReadonlyArray<Member>>
  /** Every change of a server from now on, until the cluster is closed. */
  readonly memberChanges: Stream.Stream<MemberEvent>
  /** The client of one server, whose ids are those of that server. None if the cluster has no server with this number. */
  readonly at: (server: number) => Option.Option<BeanstalkClient.Client>
  /** The statistics of each server, or why it did not answer. */
  readonly statsAll: Effect.Effect<
    ReadonlyArray<{ readonly member: Member; readonly stats: Exit.Exit<ServerStats, BeanstalkClient.ClientError> }>
  >
  /** The server of a job, and its id there. None if the text is no id. The server need not be in the cluster. */
  readonly locate: (id: string) => Option.Option<{ readonly server: number; readonly id: JobId }>
}

/**
 * The cluster as a service.
 *
 * **Example** (log what becomes of the servers)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { BeanstalkCluster } from "effect-beanstalk"
 *
 * const logChanges = Effect.gen(function*() {
 *   const cluster = yield* BeanstalkCluster.BeanstalkCluster
 *   yield* Stream.runForEach(cluster.memberChanges, ({ _tag, member }) =>
 *     Effect.log(`${_tag}: ${member.address} is ${member.status}`))
 * })
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export class BeanstalkCluster extends Context.Tag("effect-beanstalk/BeanstalkCluster")<BeanstalkCluster, Cluster>() {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a cluster that closes with its Scope. It does not connect yet, and does not wait for any server.
 *
 * With a Stream of lists, each list replaces the one before: new servers are added, and those that are missing are given
 * `leaveTimeout` to be worked empty. The number of a server stays with its address: a server at another address needs another number
 * until that one has left. A list that is invalid is logged as an error, and the cluster stays as it is.
 *
 * Fails with `InvalidArgument` if an option is invalid, or two servers of the list have the same number.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  servers: ReadonlyArray<Server> | Stream.Stream<ReadonlyArray<Server>>,
  options: Options = {}
): Effect.Effect<Cluster, BeanstalkError.InvalidArgument, Scope.Scope> =>
  Effect.map(
    ClusterInternal.make(servers, options),
    ({ address, changes, commands, dedicated, health, memberChanges, members }) => {
      const cluster: Omit<Cluster, "dedicated"> = {
        ...Inspectable.BaseProto,
        [BeanstalkClient.TypeId]: BeanstalkClient.TypeId,
        toJSON: () => ({
          _id: "effect-beanstalk/BeanstalkCluster",
          name: options.name,
          servers: members.all.map(({ snapshot: { address, id, status } }) => ({ id, address, status }))
        }),
        name: options.name,
        address,
        spans: options.spans ?? false,
        changes,
        health,
        ...commands,
        memberChanges,
        servers: Effect.sync(() => members.all.map(({ snapshot }) => snapshot)),
        at: (server) => Option.map(Option.fromNullable(members.get(server)), ({ ownClient }) => ownClient),
        statsAll: ClusterInternal.statsAll(members),
        locate: (id) => isJobId(id) ? Option.some({ server: serverOf(id), id: ownId(id) }) : Option.none()
      }
      return withDedicated(dedicated, cluster)
    }
  )

/**
 * The cluster as a Layer, as itself and as the client of the program. Keep the result in a constant: every call makes a Layer, and with
 * it a cluster, of its own.
 *
 * **Example** (a list that changes while the program runs)
 *
 * ```ts
 * import { Effect, Schedule, Stream } from "effect"
 * import { BeanstalkCluster } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * declare const readHosts: Effect.Effect<ReadonlyArray<{ readonly number: number; readonly host: string }>>
 *
 * const servers = Stream.repeatEffectWithSchedule(readHosts, Schedule.spaced("30 seconds")).pipe(
 *   Stream.map((hosts) =>
 *     hosts.map(({ host, number }) => ({ id: number, connector: NodeConnector.layer({ host }) }))
 *   )
 * )
 *
 * const ClusterLive = BeanstalkCluster.layer(servers)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  servers: ReadonlyArray<Server> | Stream.Stream<ReadonlyArray<Server>>,
  options?: Options
): Layer.Layer<BeanstalkCluster | BeanstalkClient.BeanstalkClient, BeanstalkError.InvalidArgument> =>
  Layer.scopedContext(
    Effect.map(
      make(servers, options),
      (cluster) => Context.make(BeanstalkCluster, cluster).pipe(Context.add(BeanstalkClient.BeanstalkClient, cluster))
    )
  )
