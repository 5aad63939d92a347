/**
 * One connection to one beanstalkd, in a Scope, with one method for each command of the protocol.
 *
 * All fibers share the connection. Their commands are sent in order, those of one tick in one write, and each reply goes to the
 * fiber that sent the command. A reservation belongs to its connection: when the connection closes, the server makes the job
 * ready again at once. A connection does not reconnect.
 *
 * **Example** (a scoped block)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 *
 * const fetchOne = Effect.scoped(Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.make({ watch: ["URLs-to-fetch"] })
 *   const job = yield* beanstalk.reserveWithTimeout("1 second")
 *   yield* beanstalk.delete(job.id)
 * }))
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
import type * as Scope from "effect/Scope"
import * as BeanstalkError from "./BeanstalkError.ts"
import * as Protocol from "./BeanstalkProtocol.ts"
import type { Connector } from "./Connector.ts"
import * as Connect from "./internal/connection/connect.ts"
import * as Validate from "./internal/protocol/validate.ts"
import { printable } from "./internal/values/printable.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "./Job.ts"
import type { JobStats, ServerInfo, ServerStats, TubeStats } from "./Stats.ts"

/**
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-beanstalk/BeanstalkConnection"

/**
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = "~effect-beanstalk/BeanstalkConnection"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Connect.ConnectOptions, Connect.InitialTubes {}

/**
 * Why a connection has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending {
  /** The reason in words. */
  readonly reason: string
  /** The error that ended the connection, if one did. */
  readonly cause?: unknown
}

/**
 * An open connection: one method for each command of the protocol.
 *
 * **Details**
 *
 * Every command but `quit` can fail with a `CommandError`: `ConnectionLost`, `ProtocolViolation`, or one of the four errors that
 * the server can answer to any command (`OutOfMemory`, `InternalError`, `BadFormat`, `UnknownCommand`). A command with arguments
 * can fail with `InvalidArgument` as well, before it is sent. The other errors of a command are listed with it.
 *
 * When the fiber that sent a command is interrupted, the command is not sent if it is not written yet; if it is, its reply is
 * read and dropped. Other fibers are not affected. Reserves are different, see {@link Connection.reserve}.
 *
 * **Example** (release a job that cannot be done now)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { BeanstalkConnection } from "effect-beanstalk"
 *
 * const putOff = (beanstalk: BeanstalkConnection.Connection) =>
 *   Effect.gen(function*() {
 *     const job = yield* beanstalk.reserveWithTimeout("10 seconds")
 *     const { pri } = yield* beanstalk.statsJob(job.id)
 *     yield* beanstalk.release(job.id, { priority: pri, delay: "1 minute" })
 *   })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  /** The name given in the options. */
  readonly name: string | undefined
  /** The address of the server, as its `Connector` gives it. */
  readonly address: string
  /** What the server reports about itself in the first round trip. */
  readonly server: ServerInfo
  /**
   * Succeeds when the connection has ended, with the reason. Its jobs are ready for other workers then: race work that must not go
   * on without its job against this.
   */
  readonly ended: Effect.Effect<Ending>

  // producing ---------------------------------------------------------------------------------------------------------

  /**
   * Puts a job, and succeeds with its id.
   *
   * Text is sent as UTF-8, bytes as they are; the body may be empty, and may contain CRLF. With the option `tube`, the job goes into
   * that tube, whichever tube other fibers use; without it, into the tube in use. The bytes of a body are read when the command is
   * written: do not change them before the Effect has ended.
   *
   * Fails with `JobTooBig` if the body exceeds the server's limit (it is not sent then), with `Draining` if the server accepts
   * no more jobs, and with `Buried` if the job was stored, but is buried because the server is out of memory. `ExpectedCRLF`,
   * and for this command `BadFormat` and `UnknownCommand` too, close the connection.
   */
  readonly put: (
    body: string | Uint8Array,
    options?: Protocol.PutOptions
  ) => Effect.Effect<JobId, BeanstalkError.PutError>
  /** Uses a tube: `put`, `peekReady`, `peekDelayed`, `peekBuried` and `kick` act on it when they name no tube. */
  readonly use: (tube: string) => Effect.Effect<TubeName, BeanstalkError.TubeError>

  // working -----------------------------------------------------------------------------------------------------------

  /**
   * Waits for a job in the watched tubes, without a time limit.
   *
   * **Gotchas**
   *
   * While it waits, the server reads nothing else from this connection: the commands of other fibers wait as well, and only closing
   * the connection cancels it. An interruption (by `Effect.timeout`, for example) therefore **closes the connection**, and every
   * job that the connection holds is ready again. Prefer {@link Connection.reserveWithTimeout}, on a connection used for
   * reserving only.
   *
   * Fails with `DeadlineSoon` when a job of this connection has less than a second of its time to run left, and no other job is
   * ready: touch or finish that job before you reserve again.
   */
  readonly reserve: Effect.Effect<ReservedJob, BeanstalkError.ReserveError>
  /**
   * Waits for a job for whole seconds, rounded up, and fails with `TimedOut` if none was ready by then. Zero does not wait.
   *
   * Like {@link Connection.reserve}, it closes the connection when it is interrupted while it waits. With zero, the connection closes
   * only if the reply is a job, so that the job is ready again.
   */
  readonly reserveWithTimeout: (
    timeout: Duration.DurationInput
  ) => Effect.Effect<ReservedJob, BeanstalkError.ReserveWithTimeoutError>
  /**
   * Reserves the job with this id, in any tube, whether it is ready, delayed or buried. Needs beanstalkd 1.12 or later.
   *
   * Fails with `JobNotFound` if there is no such job, or if it is reserved, even by this connection.
   */
  readonly reserveJob: (id: string) => Effect.Effect<ReservedJob, BeanstalkError.JobError>
  /**
   * Deletes a job that this connection has reserved, or one that is ready, delayed or buried. Fails with `JobNotFound` if there is
   * no such job, or if another connection has reserved it.
   *
   * Success does not prove that the reservation was still valid: when its time to run has ended the job is ready again, and any
   * connection can delete a ready job.
   */
  readonly delete: (id: string) => Effect.Effect<void, BeanstalkError.JobError>
  /**
   * Releases a reserved job with a new priority: it is ready again, at once or after a delay (whole seconds, rounded up; none
   * by default). Fails with `JobNotFound` if this connection has not reserved the job, or no longer, and with `Buried` if the
   * server is out of memory, and has buried it instead.
   */
  readonly release: (id: string, options: Protocol.ReleaseOptions) => Effect.Effect<void, BeanstalkError.ReleaseError>
  /**
   * Buries a reserved job with a new priority: it is not reserved again before it is kicked. Fails with `JobNotFound` if this
   * connection has not reserved the job, or no longer.
   */
  readonly bury: (id: string, priority: number) => Effect.Effect<void, BeanstalkError.JobError>
  /**
   * Restarts the time to run of a reserved job. Fails with `JobNotFound` if this connection has not reserved the job, or no longer.
   */
  readonly touch: (id: string) => Effect.Effect<void, BeanstalkError.JobError>
  /** Adds a tube to those that reserves take jobs from. Succeeds with the number of watched tubes. */
  readonly watch: (tube: string) => Effect.Effect<number, BeanstalkError.TubeError>
  /** Stops watching a tube. Succeeds with the number of watched tubes. Fails with `NotIgnored` if it is the last one. */
  readonly ignore: (tube: string) => Effect.Effect<number, BeanstalkError.IgnoreError>

  // inspecting --------------------------------------------------------------------------------------------------------

  /** Peeks at a job in any tube and state. Fails with `JobNotFound` if there is no such job. */
  readonly peek: (id: string) => Effect.Effect<PeekedJob, BeanstalkError.JobError>
  /** Peeks at the job of a tube that would be reserved next; none if no job is ready. */
  readonly peekReady: (options?: Protocol.InTube) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError>
  /** Peeks at the delayed job of a tube that becomes ready next; none if no job is delayed. */
  readonly peekDelayed: (options?: Protocol.InTube) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError>
  /** Peeks at the job of a tube that was buried first; none if no job is buried. */
  readonly peekBuried: (options?: Protocol.InTube) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError>
  /**
   * Makes up to `bound` buried jobs of a tube ready, in the order in which they were buried; if no job is buried, delayed ones, those
   * that would be ready next first. Succeeds with their number.
   */
  readonly kick: (bound: number, options?: Protocol.InTube) => Effect.Effect<number, BeanstalkError.TubeError>
  /** Makes one job ready, in any tube. Fails with `JobNotFound` if it is neither buried nor delayed. */
  readonly kickJob: (id: string) => Effect.Effect<void, BeanstalkError.JobError>
  /** The statistics of a job. Fails with `JobNotFound` if there is no such job. */
  readonly statsJob: (id: string) => Effect.Effect<JobStats, BeanstalkError.JobError>
  /** The statistics of a tube. Fails with `TubeNotFound` if no connection uses or watches it and it holds no job. */
  readonly statsTube: (tube: string) => Effect.Effect<TubeStats, BeanstalkError.ExistingTubeError>
  /** The statistics of the server. */
  readonly stats: Effect.Effect<ServerStats, BeanstalkError.CommandError>
  /** The names of all tubes. */
  readonly listTubes: Effect.Effect<ReadonlyArray<TubeName>, BeanstalkError.CommandError>
  /** The names of the tubes that reserves on this connection take jobs from. */
  readonly listTubesWatched: Effect.Effect<ReadonlyArray<TubeName>, BeanstalkError.CommandError>
  /** The name of the tube in use, on which commands act that name no tube. */
  readonly listTubeUsed: Effect.Effect<TubeName, BeanstalkError.CommandError>
  /**
   * Pauses a tube: its jobs are not reserved for this long. Whole seconds, rounded up; zero ends a pause. Fails with
   * `TubeNotFound` if no connection uses or watches the tube and it holds no job.
   */
  readonly pauseTube: (
    tube: string,
    duration: Duration.DurationInput
  ) => Effect.Effect<void, BeanstalkError.ExistingTubeError>
  /** Asks the server to close the connection, and succeeds when it has. Commands sent after it fail. */
  readonly quit: Effect.Effect<void, BeanstalkError.ConnectionLost>
}

/**
 * The connection as a service.
 *
 * **Example** (use the connection of a Layer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.BeanstalkConnection
 *   return yield* beanstalk.put("hello", { tube: "greetings" })
 * }).pipe(Effect.provide(NodeBeanstalk.layerConnection({ host: "localhost" })))
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export class BeanstalkConnection extends Context.Tag("effect-beanstalk/BeanstalkConnection")<
  BeanstalkConnection,
  Connection
>() {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Opens a connection that closes with its Scope. The server makes the jobs that it has reserved ready again then.
 *
 * Succeeds after one round trip, which uses and watches the given tubes, and proves that a beanstalkd answers. Fails with
 * `ConnectFailed`, and with `InvalidArgument` if an option is invalid.
 *
 * **Example** (a connection that puts into one tube and reserves from two)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.make({ tube: "done", watch: ["urgent", "mails"] })
 *   const job = yield* beanstalk.reserveWithTimeout("10 seconds")
 *   yield* beanstalk.put(job.body)
 *   yield* beanstalk.delete(job.id)
 * }).pipe(Effect.scoped, Effect.provide(NodeConnector.layerEnv))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<Connection, BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument, Connector | Scope.Scope> =>
  Effect.gen(function*() {
    const settings = Validate.attempt(() => Connect.checkOptions(options))
    if (settings instanceof BeanstalkError.InvalidArgument) return yield* settings
    return connection(yield* Connect.connect(settings))
  })

/**
 * A connection as a Layer. Everything that is built on the same Layer value shares one connection.
 *
 * **Example** (one connection for a program)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const ConnectionLive = BeanstalkConnection.layer({ tube: "mails", replyTimeout: "5 seconds" }).pipe(
 *   Layer.provide(NodeConnector.layer({ host: "localhost" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<BeanstalkConnection, BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument, Connector> =>
  Layer.scoped(BeanstalkConnection, make(options))

/**
 * A connection as a Layer whose options come from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<
  BeanstalkConnection,
  BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument | ConfigError.ConfigError,
  Connector
> => Layer.scoped(BeanstalkConnection, Effect.flatMap(Config.unwrap(options), make))

const connection = ({ address, ended, name, send, server }: Connect.ServerSession): Connection => {
  const check = <A, Failure>(command: Protocol.Command<A, Failure> | BeanstalkError.InvalidArgument) =>
    command._tag === "Command" ? send(command) : command

  return {
    ...Inspectable.BaseProto,
    [TypeId]: TypeId,
    toJSON: () => ({
      _id: "effect-beanstalk/BeanstalkConnection",
      name,
      address,
      server: { version: printable(server.version), id: printable(server.id) }
    }),
    name,
    address,
    server,
    ended,

    put: (body, options) => check(Protocol.put(body, options)),
    use: (tube) => check(Protocol.use(tube)),

    reserve: send(Protocol.reserve),
    reserveWithTimeout: (timeout) => check(Protocol.reserveWithTimeout(timeout)),
    reserveJob: (id) => check(Protocol.reserveJob(id)),
    delete: (id) => check(Protocol.deleteJob(id)),
    release: (id, options) => check(Protocol.release(id, options)),
    bury: (id, priority) => check(Protocol.bury(id, priority)),
    touch: (id) => check(Protocol.touch(id)),
    watch: (tube) => check(Protocol.watch(tube)),
    ignore: (tube) => check(Protocol.ignore(tube)),

    peek: (id) => check(Protocol.peek(id)),
    peekReady: (options) => check(Protocol.peekReady(options)),
    peekDelayed: (options) => check(Protocol.peekDelayed(options)),
    peekBuried: (options) => check(Protocol.peekBuried(options)),
    kick: (bound, options) => check(Protocol.kick(bound, options)),
    kickJob: (id) => check(Protocol.kickJob(id)),
    statsJob: (id) => check(Protocol.statsJob(id)),
    statsTube: (tube) => check(Protocol.statsTube(tube)),
    stats: send(Protocol.stats),
    listTubes: send(Protocol.listTubes),
    listTubesWatched: send(Protocol.listTubesWatched),
    listTubeUsed: send(Protocol.listTubeUsed),
    pauseTube: (tube, duration) => check(Protocol.pauseTube(tube, duration)),
    quit: Effect.mapError(send(Protocol.quit), (error) => toConnectionLost(error))
  }
}

/** A reply to `quit`, even an error that any command can get, means that the server does not close the connection. */
const toConnectionLost = (error: BeanstalkError.CommandError): BeanstalkError.ConnectionLost =>
  error._tag === "ConnectionLost" ? error : new BeanstalkError.ConnectionLost({
    command: error.command,
    address: error.address,
    outcome: "Unknown",
    reason: "the server answered quit",
    cause: error
  })
