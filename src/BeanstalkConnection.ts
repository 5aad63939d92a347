/**
 * One connection to one beanstalkd: a scoped socket, every command of the protocol, and nothing in between.
 *
 * Commands of all fibers share the connection. They leave in the order they were given, everything of one tick in one
 * write, and each reply reaches the fiber that asked. Reservations belong to the connection: when it closes, the server
 * gives its jobs to others at once. It does not reconnect.
 *
 * **Example** (a scoped block)
 *
 * ```ts
 * Effect.scoped(Effect.gen(function*() {
 *   const beanstalk = yield* BeanstalkConnection.make({ watch: ["URLs-to-fetch"] })
 *   const job = yield* beanstalk.reserveWithTimeout("1 second")
 *   yield* beanstalk.delete(job.id)
 * }))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as BeanstalkError from "./BeanstalkError.ts"
import * as Protocol from "./BeanstalkProtocol.ts"
import type { Connector } from "./Connector.ts"
import * as Connect from "./internal/connection/connect.ts"
import * as Validate from "./internal/protocol/validate.ts"
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
 * What a connection may be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Connect.ConnectOptions, Connect.InitialTubes {}

/**
 * Why a connection is over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending {
  /** In words. */
  readonly reason: string
  /** The error that ended it, if it was one. */
  readonly cause?: unknown
}

/**
 * An open connection: the protocol as it is, one method for each command.
 *
 * **Details**
 *
 * Every command but `quit` can fail with a `CommandError`: one of the four answers the server may give to anything,
 * `ConnectionLost`, or `ProtocolViolation`. Besides those, with `InvalidArgument`, before anything is sent, where it has
 * arguments; and with what is said below.
 *
 * Interrupting a fiber takes its command back if it is not written yet; if it is, the reply is dropped and nobody else
 * notices. The exception are reserves, see {@link Connection.reserve}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  /** What it was told to be called. */
  readonly name: string | undefined
  /** The server as its `Connector` names it. */
  readonly address: string
  /** What the first round trip told of the server. */
  readonly server: ServerInfo
  /**
   * Succeeds once the connection is over, with why. Whatever it had reserved is others' then: race what must not go on
   * without its job against it.
   */
  readonly ended: Effect.Effect<Ending>

  // producing ---------------------------------------------------------------------------------------------------------

  /**
   * Puts a job, and succeeds with its id.
   *
   * Text is sent as UTF-8, bytes as they are; zero length and CRLF inside are ordinary. With `tube`, the job goes there
   * whatever other fibers use meanwhile; without, into the tube in use. Bytes are read when the command is written: do
   * not change them before it has ended.
   *
   * Fails with `JobTooBig` (before anything is sent, if the server's limit is exceeded), `Draining`, and with `Buried`
   * when the job exists but was buried for lack of memory. `ExpectedCRLF`, and here `BadFormat` and `UnknownCommand` too, close the connection.
   */
  readonly put: (
    body: string | Uint8Array,
    options?: Protocol.PutOptions
  ) => Effect.Effect<JobId, BeanstalkError.PutError>
  /** Uses a tube from now on: `put`, `peekReady`, `peekDelayed`, `peekBuried` and `kick` without a tube of their own. */
  readonly use: (tube: string) => Effect.Effect<TubeName, BeanstalkError.TubeError>

  // working -----------------------------------------------------------------------------------------------------------

  /**
   * Waits for a job in the watched tubes, for as long as it takes.
   *
   * **Gotchas**
   *
   * While it waits the server reads nothing else from this connection: commands of other fibers wait with it, and
   * the only way to take it back is to close. Interrupting it (`Effect.timeout` does) therefore **closes the connection**,
   * which gives back every job it holds. Use {@link Connection.reserveWithTimeout}, and a connection of its own for whatever
   * reserves.
   *
   * Fails with `DeadlineSoon` when a job this connection holds has less than a second left and no other is ready: touch or
   * finish it before reserving again.
   */
  readonly reserve: Effect.Effect<ReservedJob, BeanstalkError.ReserveError>
  /**
   * Waits for a job for whole seconds, rounded up, and fails with `TimedOut` when none came. Zero does not wait.
   *
   * Like {@link Connection.reserve}, it closes the connection when it is interrupted while it waits. With zero it closes it
   * only if the answer turns out to be a job, which goes back to the server that way.
   */
  readonly reserveWithTimeout: (
    timeout: Duration.DurationInput
  ) => Effect.Effect<ReservedJob, BeanstalkError.ReserveWithTimeoutError>
  /**
   * Reserves the job with this id, be it ready, delayed or buried, in whatever tube. Needs beanstalkd 1.12.
   *
   * `JobNotFound` also when somebody, this connection included, has reserved it.
   */
  readonly reserveJob: (id: string) => Effect.Effect<ReservedJob, BeanstalkError.JobError>
  /**
   * Deletes a job: one this connection holds, or any that is ready, delayed or buried. Fails with `JobNotFound` when there
   * is none such, or another connection has reserved it.
   *
   * Success does not prove that the job was still ours: after its time to run it is ready again, and anybody may delete
   * a ready job.
   */
  readonly delete: (id: string) => Effect.Effect<void, BeanstalkError.JobError>
  /**
   * Gives a job back, to be reserved again at once or after a delay (whole seconds, rounded up; none by default), with this
   * priority from now on. Fails with `JobNotFound` when this connection does not hold it (any more), and with `Buried` when
   * the server had no memory to make it ready.
   */
  readonly release: (id: string, options: Protocol.ReleaseOptions) => Effect.Effect<void, BeanstalkError.ReleaseError>
  /**
   * Puts a job aside, with this priority from now on, until it is kicked. Fails with `JobNotFound` when this connection does
   * not hold it (any more).
   */
  readonly bury: (id: string, priority: number) => Effect.Effect<void, BeanstalkError.JobError>
  /** Starts the time to run of a job anew. Fails with `JobNotFound` when this connection does not hold it (any more). */
  readonly touch: (id: string) => Effect.Effect<void, BeanstalkError.JobError>
  /** Watches a tube, too: reserves may give jobs of it. Succeeds with the number of tubes watched. */
  readonly watch: (tube: string) => Effect.Effect<number, BeanstalkError.TubeError>
  /** Stops watching a tube. Succeeds with the number of tubes watched; fails with `NotIgnored` if it is the last. */
  readonly ignore: (tube: string) => Effect.Effect<number, BeanstalkError.IgnoreError>

  // looking -----------------------------------------------------------------------------------------------------------

  /** Looks at a job, in whatever tube and state. Fails with `JobNotFound` when there is none. */
  readonly peek: (id: string) => Effect.Effect<PeekedJob, BeanstalkError.JobError>
  /** Looks at the job of a tube that would be reserved next; none when no job is ready. */
  readonly peekReady: (options?: Protocol.InTube) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError>
  /** Looks at the delayed job of a tube that becomes ready next. */
  readonly peekDelayed: (options?: Protocol.InTube) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError>
  /** Looks at the job of a tube that was buried first. */
  readonly peekBuried: (options?: Protocol.InTube) => Effect.Effect<Option.Option<PeekedJob>, BeanstalkError.TubeError>
  /**
   * Makes up to `bound` buried jobs ready, the longest buried first; if there are none, delayed ones, the soonest due
   * first. Succeeds with their number.
   */
  readonly kick: (bound: number, options?: Protocol.InTube) => Effect.Effect<number, BeanstalkError.TubeError>
  /** Makes one job ready, in whatever tube. Fails with `JobNotFound` when it is neither buried nor delayed. */
  readonly kickJob: (id: string) => Effect.Effect<void, BeanstalkError.JobError>
  /** The statistics of a job. Fails with `JobNotFound` when there is none. */
  readonly statsJob: (id: string) => Effect.Effect<JobStats, BeanstalkError.JobError>
  /** The statistics of a tube. Fails with `TubeNotFound` when nobody uses or watches it and no job is in it. */
  readonly statsTube: (tube: string) => Effect.Effect<TubeStats, BeanstalkError.ExistingTubeError>
  /** The statistics of the server. */
  readonly stats: Effect.Effect<ServerStats, BeanstalkError.CommandError>
  /** Every tube there is. */
  readonly listTubes: Effect.Effect<ReadonlyArray<TubeName>, BeanstalkError.CommandError>
  /** The tubes that reserves of this connection take jobs from. */
  readonly listTubesWatched: Effect.Effect<ReadonlyArray<TubeName>, BeanstalkError.CommandError>
  /** The tube that commands without one of their own act on. */
  readonly listTubeUsed: Effect.Effect<TubeName, BeanstalkError.CommandError>
  /**
   * Lets nobody reserve from a tube for whole seconds, rounded up. Zero ends a pause. Fails with `TubeNotFound` when nobody
   * uses or watches the tube and no job is in it.
   */
  readonly pauseTube: (
    tube: string,
    duration: Duration.DurationInput
  ) => Effect.Effect<void, BeanstalkError.ExistingTubeError>
  /** Says goodbye, and succeeds once the server has closed the connection. What is sent after it fails. */
  readonly quit: Effect.Effect<void, BeanstalkError.ConnectionLost>
}

/**
 * The connection of the surrounding program.
 *
 * **Example** (use the connection of a Layer)
 *
 * ```ts
 * Effect.gen(function*() {
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
 * Opens a connection that closes with its Scope: its jobs go back to the server then.
 *
 * It succeeds after one round trip that has selected and watched the tubes asked for, so what it gives is known to be a
 * beanstalkd that answers. Fails with `ConnectFailed`, or with `InvalidArgument` when an option cannot be.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<Connection, BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument, Connector | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const settings = Validate.attempt(() => Connect.checkOptions(options))
      if (settings instanceof BeanstalkError.InvalidArgument) return yield* settings
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      return yield* restore(Connect.connect(settings)).pipe(
        Effect.map(connection),
        Scope.extend(scope),
        // What a failed attempt has opened must not wait for the end of a scope in which others may follow.
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
    })
  )

/**
 * A connection as a Layer: one for everything that is built on the same reference of it.
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
      server: { version: server.version, id: server.id }
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

/** Whatever is said in answer to `quit`, the connection has ended otherwise than it should. */
const toConnectionLost = (error: BeanstalkError.CommandError): BeanstalkError.ConnectionLost =>
  error._tag === "ConnectionLost" ? error : new BeanstalkError.ConnectionLost({
    command: error.command,
    address: error.address,
    outcome: "Unknown",
    reason: "it ended otherwise than by quit",
    cause: error
  })
