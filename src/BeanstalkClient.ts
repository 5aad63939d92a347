/**
 * One beanstalkd as a program sees it: many connections, of which nobody has to think.
 *
 * What needs no reservation goes over one shared connection, which opens on first use and comes back by itself when it is
 * lost. The tube is always named, so nothing is ever put where somebody else happened to be. What reserves gets a
 * connection of its own, a {@link Client.lease | lease}.
 *
 * **Example** (put a job, whatever the server is doing)
 *
 * ```ts
 * Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   return yield* client.put("URLs-to-fetch", "http://example.org/", { ttr: "3 minutes" })
 * }).pipe(Effect.provide(NodeBeanstalk.layerClient({ url: "beanstalk://localhost" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as BeanstalkConnection from "./BeanstalkConnection.ts"
import * as BeanstalkError from "./BeanstalkError.ts"
import * as Protocol from "./BeanstalkProtocol.ts"
import { Connector } from "./Connector.ts"
import * as Bulk from "./internal/client/bulk.ts"
import * as ConnectionState from "./internal/client/connectionState.ts"
import * as DedicatedConnections from "./internal/client/dedicated.ts"
import * as PutAll from "./internal/client/putAll.ts"
import * as SharedConnection from "./internal/client/sharedConnection.ts"
import * as Connect from "./internal/connection/connect.ts"
import * as Commands from "./internal/protocol/commands.ts"
import { checkJobOptions } from "./internal/protocol/jobOptions.ts"
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

/**
 * What a client may be told. What is not about reconnecting holds for each of its connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Connect.ConnectOptions {
  /**
   * When to try again once the shared connection is lost or cannot be made, from the beginning for each outage: one is over
   * when a connection has answered something, or lived for five seconds. Its input is what was lost. When it is done, the
   * client is idle until it is needed again.
   *
   * Default: after 50 ms at most, then twice as long each time up to 5 seconds, without end, and each time a random part of
   * it, so that many clients do not meet a server at once that has been restarted.
   */
  readonly reconnect?: Schedule.Schedule<unknown, Lost> | undefined
  /** How long commands wait for a connection before they fail with `ConnectFailed`. Default: 10 seconds. */
  readonly offlineTimeout?: Duration.DurationInput | undefined
}

/**
 * What the shared connection of a client is doing.
 *
 * - `Idle`: it has not been needed yet, or `reconnect` was done.
 * - `Connecting`: an attempt is being made, the first since it was idle or lost, or a later one.
 * - `Connected`: with this version, and this instance, of beanstalkd. Another instance at the same address has other jobs.
 * - `Lost`: the connection ended, or the attempt failed, in which case the cause is a `ConnectFailed`.
 * - `Closed`: the scope of the client is closed.
 *
 * @category models
 * @since 0.1.0
 */
export type State = Data.TaggedEnum<{
  Idle: {}
  Connecting: { readonly attempt: number }
  Connected: { readonly server: ServerInfo }
  Lost: BeanstalkConnection.Ending
  Closed: {}
}>

/**
 * Constructors and matchers of {@link State}.
 *
 * @category models
 * @since 0.1.0
 */
export const State: Data.TaggedEnum.Constructor<State> = ConnectionState.State

/**
 * The state in which a connection was lost, or could not be made.
 *
 * @category models
 * @since 0.1.0
 */
export type Lost = Data.TaggedEnum.Value<State, "Lost">

/**
 * What a command can fail with that is sent by a client, whatever it is.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientError = BeanstalkError.CommandError | BeanstalkError.ConnectFailed

/**
 * What `purge` and `move` can fail with: `BulkStopped` once they have begun.
 *
 * @category models
 * @since 0.1.0
 */
export type BulkError = BeanstalkError.InvalidArgument | BeanstalkError.ConnectFailed | BeanstalkError.BulkStopped

/**
 * How many jobs were dealt with, by the state they were in.
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
 * What `putAll` may be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface PutAllOptions extends PutAll.PutAllOptions {}

/**
 * What `purge` and `move` may be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface BulkOptions extends Bulk.BulkOptions {}

/**
 * Opens the connections of workers. Only {@link make} and the layers make one; its members are internal, and may change in
 * any release.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dedicated extends DedicatedConnections.Dedicated {}

/**
 * A beanstalkd.
 *
 * **Details**
 *
 * Every command can fail with a {@link ClientError}. `ConnectFailed` means that there was no connection for `offlineTimeout`.
 * When the connection dies under a command, what was never written is sent on the next one, and so is what only looks
 * (`peek…`, `stats…`, `listTubes`). A `put`, `delete`, `kick`, … that was written fails with `ConnectionLost` and the
 * outcome `Unknown`: it is never sent twice behind your back. What names a job is not sent to another instance of
 * beanstalkd than the one the connection was to, where the id may denote another job.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  /** What its connections are called. */
  readonly name: string | undefined
  /** The server as its `Connector` names it. */
  readonly address: string
  /** Waits for the shared connection, as a command does, and tells which server it is to. */
  readonly ready: Effect.Effect<ServerInfo, BeanstalkError.ConnectFailed>
  /** What the shared connection is doing, and whatever it does from now on, until the client is closed. */
  readonly changes: Stream.Stream<State>

  // reserving ---------------------------------------------------------------------------------------------------------

  /**
   * A connection of its own, which closes with its Scope: for whatever reserves. It watches `default`. One attempt is made;
   * retry it if it is worth waiting for.
   */
  readonly lease: Effect.Effect<BeanstalkConnection.Connection, BeanstalkError.ConnectFailed, Scope.Scope>
  /** The same with a name of its own, and tubes to use and watch from the start. */
  readonly leaseWith: (
    options: Pick<BeanstalkConnection.Options, "name" | "tube" | "watch">
  ) => Effect.Effect<
    BeanstalkConnection.Connection,
    BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument,
    Scope.Scope
  >
  /** What a `Worker` opens its connections through. */
  readonly dedicated: Dedicated

  // producing ---------------------------------------------------------------------------------------------------------

  /** Puts a job into a tube, and succeeds with its id. See {@link BeanstalkConnection.Connection.put}. */
  readonly put: (
    tube: string,
    body: string | Uint8Array,
    options?: Protocol.JobOptions
  ) => Effect.Effect<JobId, BeanstalkError.PutError | BeanstalkError.ConnectFailed>
  /**
   * Puts every body of a stream into a tube, many at a time, and gives their ids in the same order.
   *
   * At the first body that fails nothing more is sent, what has been sent is waited for, its ids are given, and the stream
   * fails with `PutAllStopped`, which tells what has become of each body. A `PayloadError` in place of a body is such a
   * failure. If the bodies end with an error, so does the stream, behind the ids of all that came before. Interrupted, it
   * logs how far it came.
   */
  readonly putAll: <E, R>(
    tube: string,
    bodies: Stream.Stream<string | Uint8Array | BeanstalkError.PayloadError, E, R>,
    options?: PutAllOptions
  ) => Stream.Stream<JobId, E | BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument, R>

  // looking -----------------------------------------------------------------------------------------------------------

  /** Looks at a job, in whatever tube and state. Fails with `JobNotFound` when there is none. */
  readonly peek: (id: string) => Effect.Effect<PeekedJob, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /** Looks at the job of a tube that would be reserved next; none when no job is ready. */
  readonly peekReady: (
    tube: string
  ) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** Looks at the delayed job of a tube that becomes ready next. */
  readonly peekDelayed: (
    tube: string
  ) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** Looks at the job of a tube that was buried first. */
  readonly peekBuried: (
    tube: string
  ) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** The statistics of a job. Fails with `JobNotFound` when there is none. */
  readonly statsJob: (id: string) => Effect.Effect<JobStats, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /** The statistics of a tube. Fails with `TubeNotFound` when nobody uses or watches it and no job is in it. */
  readonly statsTube: (
    tube: string
  ) => Effect.Effect<TubeStats, BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed>
  /** The statistics of the server. */
  readonly stats: Effect.Effect<ServerStats, ClientError>
  /** Every tube there is. */
  readonly listTubes: Effect.Effect<ReadonlyArray<TubeName>, ClientError>

  // tidying -----------------------------------------------------------------------------------------------------------

  /**
   * Deletes a job that is ready, delayed or buried. Fails with `JobNotFound` when there is none such, or somebody has
   * reserved it: that one is deleted by the connection that holds it.
   */
  readonly delete: (id: string) => Effect.Effect<void, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /**
   * Makes up to `bound` buried jobs of a tube ready, the longest buried first; if there are none, delayed ones, the soonest
   * due first. Succeeds with their number.
   */
  readonly kick: (
    tube: string,
    bound: number
  ) => Effect.Effect<number, BeanstalkError.TubeError | BeanstalkError.ConnectFailed>
  /** Makes one job ready, in whatever tube. Fails with `JobNotFound` when it is neither buried nor delayed. */
  readonly kickJob: (id: string) => Effect.Effect<void, BeanstalkError.JobError | BeanstalkError.ConnectFailed>
  /**
   * Lets nobody reserve from a tube for whole seconds, rounded up. Zero ends a pause. Fails with `TubeNotFound` when nobody
   * uses or watches the tube and no job is in it.
   */
  readonly pauseTube: (
    tube: string,
    duration: Duration.DurationInput
  ) => Effect.Effect<void, BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed>
  /**
   * Deletes the jobs of a tube, on a connection of its own, and succeeds with their numbers. Jobs that somebody holds stay.
   *
   * **Details**
   *
   * beanstalkd lists nothing. Ready jobs are reserved and deleted, hundreds in each round trip; delayed and buried ones are
   * found by peeking, and by looking at the ids behind what was found. No job becomes ready by it. If it fails
   * (`BulkStopped`), what it had reserved and not deleted is given back, and so it is when it is interrupted: then it logs
   * how far it came.
   */
  readonly purge: (
    tube: string,
    options?: BulkOptions
  ) => Effect.Effect<Tally, BulkError>
  /**
   * Moves the jobs of a tube to another, where they are as urgent as they were, and ready, delayed for as long (or up to a
   * second longer), or buried. They get new ids, and their statistics begin anew.
   *
   * **Details**
   *
   * A copy is put before the original is deleted, so that no job is lost, whatever happens; if the connection is lost in
   * between, the jobs of the last few hundred are in both. An original that somebody has reserved meanwhile stays, and its
   * copy is deleted. Moving buried jobs needs beanstalkd 1.12; their copies are delayed, for longer than anybody waits, until
   * they are buried a moment later, and stay so if the connection is lost in that moment: kick them.
   */
  readonly move: (
    from: string,
    to: string,
    options?: BulkOptions
  ) => Effect.Effect<Tally, BulkError>
}

/**
 * The client of the surrounding program.
 *
 * @category tags
 * @since 0.1.0
 */
export class BeanstalkClient extends Context.Tag("effect-beanstalk/BeanstalkClient")<BeanstalkClient, Client>() {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A client that closes with its Scope. It waits for nothing and opens nothing: the shared connection opens on first use, or
 * with {@link Client.ready}. Fails with `InvalidArgument` when an option cannot be.
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
    const shared = yield* SharedConnection.make(settings)
    const dedicated = DedicatedConnections.make(settings, connector, shared.unlessClosed)
    return client({ options, connector, shared, dedicated })
  })

/** The whole of each delay is left to chance: 200 clients of a server that comes back do not come back together. */
const defaultReconnect = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("5 seconds")),
  Schedule.jitteredWith({ min: 0, max: 1 })
)

/**
 * A client as a Layer: one for everything that is built on the same reference of it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<BeanstalkClient, BeanstalkError.InvalidArgument, Connector> =>
  Layer.scoped(BeanstalkClient, make(options))

/**
 * A client as a Layer whose options come from `Config`.
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
  const { changes, send, server: ready, submit, unlessClosed } = shared
  const check = <A, Failure>(command: Protocol.Command<A, Failure> | BeanstalkError.InvalidArgument) =>
    command._tag === "Command" ? send(command) : command
  /** What opens a connection of its own. */
  const apart = <A, E, R>(self: Effect.Effect<A, E, R | Connector>) =>
    Effect.zipRight(unlessClosed, Effect.provideService(self, Connector, connector))
  const connect = (own: Pick<BeanstalkConnection.Options, "name" | "tube" | "watch"> = {}) =>
    apart(BeanstalkConnection.make({ ...options, ...own, name: own.name ?? options.name }))

  return {
    ...Inspectable.BaseProto,
    [TypeId]: TypeId,
    toJSON: () => ({ _id: "effect-beanstalk/BeanstalkClient", name: options.name, address }),
    name: options.name,
    address,
    ready,
    changes,

    // Its options have been checked.
    lease: Effect.catchTag(connect(), "InvalidArgument", Effect.die),
    leaseWith: connect,
    dedicated,

    put: (tube, body, options) => check(putCommand(tube, body, options)),
    putAll: (tube, bodies, options) => PutAll.putAll(bodies, tube, options, { address, submit }),

    peek: (id) => check(Protocol.peek(id)),
    peekReady: (tube) => check(Protocol.peekReady({ tube })),
    peekDelayed: (tube) => check(Protocol.peekDelayed({ tube })),
    peekBuried: (tube) => check(Protocol.peekBuried({ tube })),
    statsJob: (id) => check(Protocol.statsJob(id)),
    statsTube: (tube) => check(Protocol.statsTube(tube)),
    stats: send(Protocol.stats),
    listTubes: send(Protocol.listTubes),

    delete: (id) => check(Protocol.deleteJob(id)),
    kick: (tube, bound) => check(Protocol.kick(bound, { tube })),
    kickJob: (id) => check(Protocol.kickJob(id)),
    pauseTube: (tube, duration) => check(Protocol.pauseTube(tube, duration)),
    purge: (tube, bulk) => Bulk.purge(dedicated, tube, bulk),
    move: (from, to, bulk) => Bulk.move(dedicated, from, to, bulk)
  }
}

const putCommand = (tube: string, body: string | Uint8Array, options: Protocol.JobOptions | undefined) =>
  Validate.attempt(() => {
    const name = Validate.tubeName("put", tube)
    const settings = checkJobOptions("put", options)
    return Commands.put(Validate.body("put", body), settings, name)
  })
