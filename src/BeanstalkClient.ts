/**
 * A client of one beanstalkd server, which opens the connections that it needs.
 *
 * Commands without a reservation share one connection, which opens on first use, and again when it is lost. They always name
 * the tube, so that no fiber acts on a tube that another fiber uses. A caller that reserves gets a connection of its own: see
 * {@link Client.lease}.
 *
 * **Example** (put a job)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   return yield* client.put("URLs-to-fetch", "http://example.org/", { ttr: "3 minutes" })
 * }).pipe(Effect.provide(NodeBeanstalk.layerClient({ url: "beanstalk://localhost" })))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as BeanstalkConnection from "./BeanstalkConnection.ts"
import * as BeanstalkError from "./BeanstalkError.ts"
import * as Protocol from "./BeanstalkProtocol.ts"
import { Connector } from "./Connector.ts"
import type { Health, Limits } from "./Health.ts"
import { withoutIterationMetadata } from "./internal/base/withoutIterationMetadata.ts"
import type * as Bulk from "./internal/client/bulk.ts"
import { buryAll, type JobToBury } from "./internal/client/buryAll.ts"
import * as ClientMetrics from "./internal/client/clientMetrics.ts"
import { type Lost, State } from "./internal/client/connectionState.ts"
import * as DedicatedConnections from "./internal/client/dedicated.ts"
import * as Jobs from "./internal/client/jobs.ts"
import type { ListedState, SearchProgress } from "./internal/client/jobSearch.ts"
import * as Many from "./internal/client/many.ts"
import * as Move from "./internal/client/move.ts"
import { purge } from "./internal/client/purge.ts"
import * as PutAll from "./internal/client/putAll.ts"
import { putCommand } from "./internal/client/putCommand.ts"
import { defaultReconnect } from "./internal/client/reconnect.ts"
import type * as Scan from "./internal/client/scan.ts"
import * as SharedConnection from "./internal/client/sharedConnection.ts"
import * as Workers from "./internal/client/workers.ts"
import * as Connect from "./internal/connection/connect.ts"
import { observedBy } from "./internal/connection/observer.ts"
import * as Commands from "./internal/protocol/commands.ts"
import * as Validate from "./internal/protocol/validate.ts"
import type { JobId, PeekedJob, TubeName } from "./Job.ts"
import type { JobStats, ServerInfo, ServerStats, TubeStats } from "./Stats.ts"

/**
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-beanstalk/BeanstalkClient"

/**
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = "~effect-beanstalk/BeanstalkClient"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

export { type Lost, State }

/**
 * Options of a client. Those of a connection hold for every connection that the client opens.
 *
 * **Example** (connect again every second, and let commands wait for a minute)
 *
 * ```ts
 * import { Schedule } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const options: BeanstalkClient.Options = {
 *   name: "billing",
 *   reconnect: Schedule.spaced("1 second"),
 *   offlineTimeout: "1 minute"
 * }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Connect.ConnectOptions {
  /**
   * When to connect again after the shared connection is lost, or could not be opened. The Schedule begins anew for each
   * outage; an outage ends with a connection that answers a command, or lives for 5 seconds. Its input is the state `Lost`.
   * When the Schedule is done, waiting commands fail, and the next command connects again. The connections of a `Worker` use
   * the Schedule as well.
   *
   * Default: at most 50 ms, then at most twice as long each time, up to 5 seconds, without end. A delay is a random part of
   * that time, so that the clients of a restarted server do not all connect at once.
   */
  readonly reconnect?: Schedule.Schedule<unknown, Lost> | undefined
  /** How long a command waits for a connection before it fails with `ConnectFailed`. Default: 10 seconds. */
  readonly offlineTimeout?: Duration.DurationInput | undefined
  /**
   * Whether `put`, `putAll` and `sink` of a `Tube` have a span `put <tube>`, of kind `client`, or `producer` if the tube has `trace`,
   * with which they have it in any case; and whether an attempt to connect, for which a span waits, has a span `beanstalkd.connect`.
   * Default: false.
   */
  readonly spans?: boolean | undefined
  /**
   * Whether the connections of the client are counted and its commands measured, in the metrics `messaging.client.…` of OpenTelemetry
   * and in `beanstalk.client.…`: see the page of the guide about telemetry. They get the tags that `Effect.tagMetrics` sets around the
   * client. Default: false.
   */
  readonly metrics?: boolean | undefined
}

/**
 * The errors with which every command of a client can fail.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientError = BeanstalkError.CommandError | BeanstalkError.ConnectFailed

/**
 * The errors of `purge` and `move`. `BulkStopped` stands for any error after the connection was opened, and counts the jobs
 * that were done.
 *
 * @category models
 * @since 0.1.0
 */
export type BulkError = BeanstalkError.InvalidArgument | BeanstalkError.ConnectFailed | BeanstalkError.BulkStopped

/**
 * How many jobs were purged or moved, by the state they were in.
 *
 * **Example** (how many jobs a purge deleted)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const purge = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   const { buried, delayed, ready } = yield* client.purge("mails")
 *   yield* Console.log(`deleted ${ready} ready, ${delayed} delayed and ${buried} buried jobs`)
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Tally {
  readonly ready: number
  readonly delayed: number
  readonly buried: number
}

/**
 * Options of `putAll`.
 *
 * **Example** (put the lines of a file, 64 at a time)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const putLines = (lines: Stream.Stream<string>) =>
 *   Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) =>
 *     Stream.runCount(client.putAll("lines", lines, { window: 64, priority: 100 })))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface PutAllOptions extends PutAll.PutAllOptions {}

/**
 * The states of a job that `purge` and `move` find: those in which it is not reserved.
 *
 * @category models
 * @since 0.1.0
 */
export type JobState = Scan.JobState

/**
 * Options of `purge` and `move`: jobs in which `states`, or with which `ids`, how many at most (`bound`), and what runs after every
 * batch (`onProgress`).
 *
 * **Example** (put a thousand buried jobs back, with new attempts, and tell how it goes)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const aside = { states: ["buried"], bound: 1000 } as const
 * const onProgress = ({ ready, buried }: BeanstalkClient.Tally) => Effect.log(`${ready + buried} jobs moved`)
 *
 * const putBack = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   yield* client.move("mails", "mails.aside", { ...aside, onProgress })
 *   yield* client.kick("mails.aside", 1000)
 *   yield* client.move("mails.aside", "mails", { states: ["ready"], onProgress })
 * })
 * ```
 *
 * **Example** (move the buried jobs only, and print how far it is)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const requeue = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) =>
 *   client.move("mails", "mails-to-check", {
 *     states: ["buried"],
 *     onProgress: (done) => Console.log(`${done.buried} jobs were moved`)
 *   }))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface BulkOptions extends Bulk.BulkOptions {}

/**
 * Options of `move`: those of `purge`, and the client of the server that the jobs are moved to (`into`).
 *
 * **Example** (move a tube to another server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { BeanstalkClient } from "effect-beanstalk"
 *
 * const moveTo = (client: BeanstalkClient.Client, into: BeanstalkClient.Client) =>
 *   Effect.map(client.move("mails", "mails", { into }), ({ buried, delayed, ready }) => ready + delayed + buried)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface MoveOptions extends Move.MoveOptions {
  readonly into?: Client | undefined
}

/**
 * Options of `jobs`: those of `jobsById`, and where the search begins (`newest`), how many ids it asks for at most (`reach`), how much
 * of the server's time it takes (`serverShare`), and what runs after every round (`onProgress`).
 *
 * @category models
 * @since 0.1.0
 */
export interface JobsOptions extends Jobs.JobsOptions {}

/**
 * Options of `jobsById`: jobs of which tubes (`tube`), in which `states`, which of these (`where`), and whether with their `bodies`.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobsByIdOptions extends Jobs.JobsByIdOptions {}

/**
 * The states in which `jobs` finds a job.
 *
 * @category models
 * @since 0.1.0
 */
export type { ListedState }

/**
 * How far `jobs` has come: ids that were asked for, jobs that were found, and jobs that the server counted at last.
 *
 * @category models
 * @since 0.1.0
 */
export type { SearchProgress }

/**
 * A job that `jobs` has found: its statistics, and its body if `bodies` is set.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListedJob extends Jobs.ListedJob {}

/**
 * A job that `jobs` has found, with its body.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListedJobWithBody extends Jobs.ListedJobWithBody {}

/**
 * What `jobs` can fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type JobsError = Jobs.JobsError

/**
 * A body for `putAll` with options of its own, in place of those of `putAll`, and a tube of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobToPut extends PutAll.JobToPut {}

/**
 * What `buryAll` must know of a job: its id, the priority that it is to have, its state, and how long it is still delayed, in seconds.
 * The statistics of a job have all of it.
 *
 * @category models
 * @since 0.1.0
 */
export type { JobToBury }

/**
 * How a command of `deleteAll` or `kickAll` has ended.
 *
 * @category models
 * @since 0.1.0
 */
export type JobExit = Many.JobExit

/**
 * Opens the connections of a `Worker`. Only {@link make} and the layers make one. Its members are internal, and may change
 * in any release.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dedicated extends DedicatedConnections.Dedicated {}

/**
 * A client of one server: one method for each command that needs no reservation.
 *
 * **Details**
 *
 * Every command can fail with a {@link ClientError}, and a command with arguments with `InvalidArgument` as well, before it is
 * sent. The other errors of a command are listed with it.
 *
 * A command waits while there is no connection, and fails with `ConnectFailed` after `offlineTimeout`. When the connection is
 * lost before a command is answered, the command is sent again on the next connection if it was not written yet, or only
 * reads (`peek…`, `stats…`, `listTubes`). Any other command (`put`, `delete`, `kick`, …) fails with `ConnectionLost` and the
 * outcome `Unknown`: the server may have carried it out, and carrying it out twice may do harm. A command that names a job
 * is not sent to another instance of beanstalkd, in which the id may be the id of another job.
 *
 * **Example** (reserve a job on a connection of its own, and read its statistics)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const one = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   const beanstalk = yield* client.leaseWith({ watch: ["mails"] })
 *   const job = yield* beanstalk.reserveWithTimeout("1 second")
 *   const { age, releases } = yield* client.statsJob(job.id)
 *   yield* Console.log(`job ${job.id} was put ${age} seconds ago, and released ${releases} times`)
 *   yield* beanstalk.delete(job.id)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends Inspectable.Inspectable, DedicatedConnections.HasDedicated {
  readonly [TypeId]: TypeId
  /** The name given in the options. */
  readonly name: string | undefined
  /** The address of the server, as its `Connector` gives it. */
  readonly address: string
  /** Whether tubes make spans: the option `spans`. */
  readonly spans: boolean
  /** Waits for the shared connection as a command does, and succeeds with what the server reports about itself. */
  readonly ready: Effect.Effect<ServerInfo, BeanstalkError.ConnectFailed>
  /** The present state of the shared connection, and every later one, until `Closed`. */
  readonly changes: Stream.Stream<State>
  /**
   * How the client does, without asking the server. `Degraded` if a command or a `Tube` has wanted the shared connection, and there has
   * been none for longer than `grace` since then. `Failed` if the client is closed, or the event loop was blocked for longer than
   * `lateness`. A client that is not used yet is healthy.
   */
  readonly health: (limits?: Limits) => Effect.Effect<Health>

  // reserving ---------------------------------------------------------------------------------------------------------

  /**
   * Opens another connection, for the commands of a reservation: `reserve`, `touch`, `release`, `bury`, … It uses and watches
   * `default`, and closes with its Scope. A failed attempt is not repeated.
   */
  readonly lease: Effect.Effect<BeanstalkConnection.Connection, BeanstalkError.ConnectFailed, Scope.Scope>
  /**
   * Opens another connection, as {@link Client.lease} does, with this name, and these tubes to use and watch from the start.
   * Fails with `InvalidArgument` if one of them is invalid.
   */
  readonly leaseWith: (
    options: Pick<BeanstalkConnection.Options, "name" | "tube" | "watch">
  ) => Effect.Effect<
    BeanstalkConnection.Connection,
    BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument,
    Scope.Scope
  >

  // producing ---------------------------------------------------------------------------------------------------------

  /** Puts a job into a tube, and succeeds with its id. See {@link BeanstalkConnection.Connection.put} for the errors. */
  readonly put: (
    tube: string,
    body: string | Uint8Array,
    options?: Protocol.JobOptions
  ) => Effect.Effect<JobId, BeanstalkError.PutError | BeanstalkError.ConnectFailed>
  /**
   * Puts every body of a stream into a tube, many at a time, and emits their ids in the same order. A {@link JobToPut} in place of a
   * body has options, and a tube, of its own.
   *
   * When a body fails, nothing more is written of the bodies behind it, on this connection and on the next. The stream then
   * emits the ids of the bodies in front of it, and fails with `PutAllStopped`, which accounts for every body, and has the ids of
   * those that were put behind it. So the ids that are emitted belong to the first bodies, one to each. A `PayloadError`
   * in place of a body counts as a body that failed. When the stream of bodies fails, the ids of all bodies before the error
   * are emitted first. When it is interrupted, it logs how many bodies were acknowledged.
   */
  readonly putAll: <E, R>(
    tube: string,
    bodies: Stream.Stream<string | Uint8Array | JobToPut | BeanstalkError.PayloadError, E, R>,
    options?: PutAllOptions
  ) => Stream.Stream<JobId, E | BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument, R>

  // inspecting --------------------------------------------------------------------------------------------------------

  /** Peeks at a job in any tube and state. Fails with `JobNotFound` if there is no such job. */
  readonly peek: (id: string) => Effect.Effect<PeekedJob, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /** Peeks at the job of a tube that would be reserved next; none if no job is ready. */
  readonly peekReady: (
    tube: string
  ) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** Peeks at the delayed job of a tube that becomes ready next; none if no job is delayed. */
  readonly peekDelayed: (
    tube: string
  ) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** Peeks at the job of a tube that was buried first; none if no job is buried. */
  readonly peekBuried: (
    tube: string
  ) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** The statistics of a job. Fails with `JobNotFound` if there is no such job. */
  readonly statsJob: (id: string) => Effect.Effect<JobStats, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /** The statistics of a tube. Fails with `TubeNotFound` if no connection uses or watches it and it holds no job. */
  readonly statsTube: (
    tube: string
  ) => Effect.Effect<TubeStats, BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed>
  /** The statistics of the server. */
  readonly stats: Effect.Effect<ServerStats, ClientError>
  /**
   * The statistics of many tubes, by default of all; tubes that do not exist are left out. No fiber is started for each, and at most
   * 1,024 commands are sent at a time. To find a tube, beanstalkd looks through all of them: the statistics of 1,000 tubes take it 15 ms,
   * those of 10,000 take it 900 ms.
   */
  readonly statsTubes: (
    tubes?: Iterable<string>
  ) => Effect.Effect<ReadonlyArray<TubeStats>, ClientError | BeanstalkError.InvalidArgument>
  /** The names of all tubes. */
  readonly listTubes: Effect.Effect<ReadonlyArray<TubeName>, ClientError>
  /**
   * Finds jobs in any state, newest first, on a connection of its own, and emits each once. Nothing is reserved.
   *
   * **Details**
   *
   * beanstalkd has no command that lists jobs, and none that tells the newest id. So a job with the longest delay is put into the tube
   * `effect-beanstalk/newest`, and deleted, to learn the newest id. From there downwards the statistics of 1,024 ids at a time are asked
   * for, until as many jobs are found as the server counts. A server in drain mode refuses the put (`Draining`); with `newest` nothing
   * is put. An id takes the server 10 µs, whether it has such a job or not. After each round nothing is asked for as long as the round
   * took; `serverShare` changes that.
   *
   * A job that is in one of the states all the while is found; one that comes or goes meanwhile may be. If the server counts more jobs
   * than were found once `reach` ids were asked for, the stream emits these, and then fails with `ReachExceeded`. While jobs come and go
   * too fast to compare the counts, the stream ends once it has asked for twice as many ids as were issued since the oldest job found.
   *
   * **Example** (the buried jobs of a tube that are older than a day)
   *
   * ```ts
   * import { Stream } from "effect"
   * import type { BeanstalkClient } from "effect-beanstalk"
   *
   * const oldOnes = (client: BeanstalkClient.Client) =>
   *   client.jobs({ tube: "mails", states: ["buried"], bodies: true }).pipe(
   *     Stream.filter(({ stats }) => stats.age > 24 * 60 * 60),
   *     Stream.map(({ body, stats }) => `${stats.id}: ${body.length} bytes`)
   *   )
   * ```
   */
  readonly jobs: Jobs.ListJobs
  /**
   * Looks jobs up by their ids, on a connection of its own, and emits those that exist, in the order of the ids. Nothing is reserved.
   * The ids of a chunk of the stream are looked up together, 1,024 at a time. Fails with `InvalidArgument` at an invalid id.
   */
  readonly jobsById: Jobs.ListJobsById

  // administering -----------------------------------------------------------------------------------------------------

  /**
   * Deletes a job that is ready, delayed or buried. Fails with `JobNotFound` if there is no such job, or if it is reserved: only
   * the connection that has reserved a job can delete it.
   */
  readonly delete: (id: string) => Effect.Effect<void, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /**
   * Deletes many jobs, and succeeds with how each command ended, in the order of the ids. No fiber is started for each, and at most
   * 1,024 commands are sent at a time. Fails with `InvalidArgument` if an id is invalid, before anything is sent.
   */
  readonly deleteAll: (
    ids: Iterable<string>
  ) => Effect.Effect<ReadonlyArray<JobExit>, BeanstalkError.InvalidArgument>
  /** Makes many jobs ready, as `kickJob` does, and succeeds with how each command ended, as `deleteAll` does. */
  readonly kickAll: (
    ids: Iterable<string>
  ) => Effect.Effect<ReadonlyArray<JobExit>, BeanstalkError.InvalidArgument>
  /**
   * Buries jobs that are ready or delayed, and succeeds with whether each was buried, in their order: a job that is reserved, or does
   * not exist, was not. Needs beanstalkd 1.12 or later.
   *
   * **Details**
   *
   * beanstalkd buries only a job that is reserved. So each is reserved first, on a connection that is opened for every 256 of them. If
   * that connection is lost meanwhile, no delayed job becomes ready: see {@link Client.move}.
   */
  readonly buryAll: (
    jobs: Iterable<JobToBury>
  ) => Effect.Effect<ReadonlyArray<boolean>, BeanstalkError.PutError | BeanstalkError.ConnectFailed>
  /**
   * Makes up to `bound` buried jobs of a tube ready, in the order in which they were buried; if no job is buried, delayed ones,
   * those that would be ready next first. Succeeds with their number.
   */
  readonly kick: (
    tube: string,
    bound: number
  ) => Effect.Effect<number, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** Makes one job ready, in any tube. Fails with `JobNotFound` if it is neither buried nor delayed. */
  readonly kickJob: (id: string) => Effect.Effect<void, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /**
   * Pauses a tube: its jobs are not reserved for this long. Whole seconds, rounded up; zero ends a pause. Fails with
   * `TubeNotFound` if no connection uses or watches the tube and it holds no job.
   */
  readonly pauseTube: (
    tube: string,
    duration: Duration.DurationInput
  ) => Effect.Effect<void, BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed>
  /**
   * Deletes the jobs of a tube, on a connection of its own, and succeeds with their numbers. Reserved jobs stay.
   *
   * **Details**
   *
   * beanstalkd has no command that lists jobs. Ready jobs are reserved and deleted, up to 256 in a round trip. Delayed and
   * buried jobs are found by peeking, and by reading the statistics of the ids that follow. None of them becomes ready
   * meanwhile. With `ids` no job is reserved: those jobs are looked up and deleted by their ids.
   *
   * When it fails with `BulkStopped`, or is interrupted, the jobs that it had reserved and not deleted are ready again. An interruption
   * logs how many jobs were deleted.
   */
  readonly purge: (
    tube: string,
    options?: BulkOptions
  ) => Effect.Effect<Tally, BulkError>
  /**
   * Moves the jobs of a tube to another, on the same server or on that of the client `into`, and succeeds with their numbers. Reserved
   * jobs stay. A job keeps its priority and its time to run, and is ready, buried, or delayed for as long as before, or up to a second
   * longer. It gets a new id, and its statistics begin anew.
   *
   * **Details**
   *
   * A copy is put before the original is deleted, so that no job is lost. If the connection is lost in between, the jobs of
   * the batch, up to 256, are in both tubes. If another client reserves an original meanwhile, that one stays, and its copy
   * is deleted.
   *
   * Moving buried jobs needs beanstalkd 1.12 or later, which buries only what is reserved, and makes that ready when its
   * connection is lost. So a copy is put with the longest delay, 136 years, and is reserved and buried by commands that the
   * server executes only once all of them have arrived, on a connection that is opened for each batch. If a connection is lost
   * on the way, the originals are still buried, and copies may be left that are delayed: delete those that `peekDelayed` shows,
   * and move again. A copy can become ready only if the connection is reset in the very moment in which the server executes
   * these commands, or by a proxy that passes on a part of them and then ends the connection in an orderly way.
   *
   * Buried jobs whose ids are far apart are looked up first, as {@link Client.jobs} does, so that they are moved many at a time: a job
   * is put into the tube `effect-beanstalk/newest` for it, and deleted. Where the server refuses that, or has more than 256 ids for each
   * of these jobs, some are moved one by one, which takes longer.
   */
  readonly move: (
    from: string,
    to: string,
    options?: MoveOptions
  ) => Effect.Effect<Tally, BulkError>
}

/**
 * The client as a service.
 *
 * **Example** (wait until the server answers, and list its tubes)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   const { version } = yield* client.ready
 *   yield* Console.log(`beanstalkd ${version} has the tubes ${(yield* client.listTubes).join(", ")}`)
 * })
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export class BeanstalkClient extends Context.Tag("effect-beanstalk/BeanstalkClient")<BeanstalkClient, Client>() {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a client that closes with its Scope. It does not connect yet: the shared connection opens on first use, or with
 * {@link Client.ready}. Fails with `InvalidArgument` if an option is invalid.
 *
 * When its Scope closes, workers of the client that still run are shut down first, and an Error is logged: make workers in a Scope
 * that closes before.
 *
 * **Example** (two servers in one program)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const clientOf = (host: string) => Effect.provide(BeanstalkClient.make(), NodeConnector.layer({ host }))
 *
 * const program = Effect.gen(function*() {
 *   const [first, second] = yield* Effect.all([clientOf("queue-1"), clientOf("queue-2")])
 *   yield* Effect.orElse(first.put("mails", "hello"), () => second.put("mails", "hello"))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<Client, BeanstalkError.InvalidArgument, Connector | Scope.Scope> =>
  Effect.gen(function*() {
    const settings = Validate.attempt(() => ({
      ...Connect.checkOptions(options),
      offlineTimeout: Validate.positiveDuration("connect", "offlineTimeout", options.offlineTimeout ?? "10 seconds"),
      reconnect: options.reconnect ?? defaultReconnect
    }))
    if (settings instanceof BeanstalkError.InvalidArgument) return yield* settings
    const connector = yield* Connector
    const metrics = options.metrics === true ? yield* ClientMetrics.make(connector.address) : undefined
    const shared = yield* SharedConnection.make({ ...settings, metrics })
    // Its workers are shut down before the shared connection closes: their handlers use it.
    const workers = yield* Workers.make(connector.address)
    const dedicated = DedicatedConnections.make({ ...settings, metrics, workers }, connector, shared)
    return client({ options, connector, shared, dedicated })
  }).pipe(withoutIterationMetadata)

/**
 * The client as a Layer. Keep the result in a constant: every call makes a Layer, and with it a client, of its own. Provide it to
 * the whole program: workers are shut down when their client closes.
 *
 * **Example** (a client over a connector of your choice)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const BeanstalkLive = BeanstalkClient.layer({ name: "billing" }).pipe(
 *   Layer.provide(NodeConnector.layerUnix({ path: "/run/beanstalkd.sock" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<BeanstalkClient, BeanstalkError.InvalidArgument, Connector> =>
  Layer.scoped(BeanstalkClient, make(options))

/**
 * The client as a Layer, with options from `Config`.
 *
 * **Example** (the name of the client comes from the environment)
 *
 * ```ts
 * import { Config, Layer } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const BeanstalkLive = BeanstalkClient.layerConfig({ name: Config.string("SERVICE_NAME") }).pipe(
 *   Layer.provide(NodeConnector.layerEnv)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<BeanstalkClient, BeanstalkError.InvalidArgument | ConfigError.ConfigError, Connector> =>
  Layer.scoped(BeanstalkClient, Effect.flatMap(Config.unwrap(options), make))

// ---------------------------------------------------------------------------------------------------------------------
// the client
// ---------------------------------------------------------------------------------------------------------------------

const client = ({ connector, dedicated, options, shared }: {
  readonly options: Options
  readonly connector: Context.Tag.Service<Connector>
  readonly shared: SharedConnection.SharedConnection
  readonly dedicated: Dedicated
}): Client => {
  const { address } = connector
  const { changes, health, send, server: ready, submitOne, unlessClosed } = shared
  const sendValid = <A, Failure>(command: Protocol.Command<A, Failure> | BeanstalkError.InvalidArgument) =>
    command._tag === "Command" ? send(command) : command
  const lease = (own: Pick<BeanstalkConnection.Options, "name" | "tube" | "watch"> = {}) =>
    Effect.zipRight(
      unlessClosed,
      Effect.provideService(
        BeanstalkConnection.make({ ...options, ...own, name: own.name ?? options.name }),
        Connector,
        connector
      ).pipe(observedBy(dedicated.metrics?.observe("lease")))
    )

  return DedicatedConnections.withDedicated<Omit<Client, "dedicated">>(dedicated, {
    ...Inspectable.BaseProto,
    [TypeId]: TypeId,
    toJSON: () => ({ _id: "effect-beanstalk/BeanstalkClient", name: options.name, address }),
    name: options.name,
    address,
    spans: options.spans ?? false,
    ready,
    changes,
    health,

    // The options are valid: `make` has checked them.
    lease: Effect.catchTag(lease(), "InvalidArgument", Effect.die),
    leaseWith: lease,

    put: (tube, body, options) => sendValid(putCommand(tube, body, options)),
    putAll: (tube, bodies, options) => PutAll.putAll(bodies, tube, options, { address, submit: submitOne }),

    peek: (id) => sendValid(Protocol.peek(id)),
    peekReady: (tube) => sendValid(Protocol.peekReady({ tube })),
    peekDelayed: (tube) => sendValid(Protocol.peekDelayed({ tube })),
    peekBuried: (tube) => sendValid(Protocol.peekBuried({ tube })),
    statsJob: (id) => sendValid(Protocol.statsJob(id)),
    statsTube: (tube) => sendValid(Protocol.statsTube(tube)),
    stats: send(Protocol.stats),
    statsTubes: (tubes) => Many.statsTubes(shared, tubes),
    listTubes: send(Protocol.listTubes),
    jobs: Jobs.makeListJobs(dedicated),
    jobsById: Jobs.makeListJobsById(dedicated),

    delete: (id) => sendValid(Protocol.deleteJob(id)),
    deleteAll: (ids) => Many.forJobs(shared, "delete", Commands.deleteJob, ids),
    kickAll: (ids) => Many.forJobs(shared, "kick-job", Commands.kickJob, ids),
    buryAll: (jobs) => buryAll(dedicated, ready, jobs),
    kick: (tube, bound) => sendValid(Protocol.kick(bound, { tube })),
    kickJob: (id) => sendValid(Protocol.kickJob(id)),
    pauseTube: (tube, duration) => sendValid(Protocol.pauseTube(tube, duration)),
    purge: (tube, options) => purge(dedicated, tube, options),
    move: (from, to, options) => Move.move(dedicated, from, to, options)
  })
}
