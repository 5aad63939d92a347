/**
 * beanstalkd's protocol as pure values: a command holds its request, and interprets the reply to it. No effects, no
 * sockets, no clock; `BeanstalkConnection` sends commands to a server.
 *
 * **Details**
 *
 * Commands check their arguments: one that takes any returns a {@link Command}, or an `InvalidArgument` in its place.
 *
 * **Example** (the bytes of a command, and the result of a reply)
 *
 * ```ts
 * import { BeanstalkProtocol } from "effect-beanstalk"
 *
 * const put = BeanstalkProtocol.put("hello", { priority: 10 })
 * if (put._tag === "Command") {
 *   BeanstalkProtocol.encode([put]) // put 10 0 60 5\r\nhello\r\n
 *   new BeanstalkProtocol.ReplyDecoder(65535).push(new TextEncoder().encode("INSERTED 1\r\n"), (reply) => {
 *     put.decode(reply, "localhost:11300") // { _tag: "Success", value: "1" }
 *   })
 * }
 * ```
 *
 * @module
 * @since 0.1.0
 */

import type { DurationInput } from "effect/Duration"
import type * as Option from "effect/Option"
import type * as BeanstalkError from "./BeanstalkError.ts"
import { type Command, type Decoded, isIntact, type TubeRelation } from "./internal/protocol/command.ts"
import * as Commands from "./internal/protocol/commands.ts"
import { checkJobOptions, type JobOptions } from "./internal/protocol/jobOptions.ts"
import { describe, type Reply } from "./internal/protocol/reply.ts"
import { ReplyDecoder } from "./internal/protocol/replyDecoder.ts"
import { describeRequest, encode, type Request } from "./internal/protocol/requestEncoder.ts"
import * as Validate from "./internal/protocol/validate.ts"
import type { JobId, PeekedJob, ReservedJob, TubeName } from "./Job.ts"
import type * as Stats from "./Stats.ts"

export {
  type Command,
  type Decoded,
  describe,
  describeRequest,
  encode,
  isIntact,
  type JobOptions,
  type Reply,
  ReplyDecoder,
  type Request,
  type TubeRelation
}

// ---------------------------------------------------------------------------------------------------------------------
// producing
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The tube of a command that otherwise acts on the one in use.
 *
 * @category models
 * @since 0.1.0
 */
export interface InTube {
  /** The tube to act on. Default: the tube in use on the connection. */
  readonly tube?: string | undefined
}

/**
 * How a job is put, and into which tube.
 *
 * @category models
 * @since 0.1.0
 */
export interface PutOptions extends JobOptions, InTube {}

/**
 * `put`: stores a job. Text is encoded as UTF-8. Succeeds with the id of the job.
 *
 * @category producing
 * @since 0.1.0
 */
export const put = (
  body: string | Uint8Array,
  options?: PutOptions
):
  | Command<
    JobId,
    BeanstalkError.JobTooBig | BeanstalkError.ExpectedCRLF | BeanstalkError.Draining | BeanstalkError.Buried
  >
  | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => {
    const tube = Validate.optionalTubeName("put", options?.tube)
    const settings = checkJobOptions("put", options)
    return Commands.put(Validate.body("put", body), settings, tube)
  })

/**
 * `use`: selects the tube in use, on which later commands act that name no tube. Succeeds with its name.
 *
 * @category producing
 * @since 0.1.0
 */
export const use = (tube: string): Command<TubeName, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.use(Validate.tubeName("use", tube)))

/**
 * The `use` that a connection writes in front of a command that names its tube. It leaves the tube in use, as callers see
 * it, unchanged.
 *
 * @category producing
 * @since 0.1.0
 */
export const select: (name: TubeName) => Command<TubeName, never> = Commands.select

// ---------------------------------------------------------------------------------------------------------------------
// working
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `reserve`: waits for a job without a time limit.
 *
 * @category working
 * @since 0.1.0
 */
export const reserve: Command<ReservedJob, BeanstalkError.DeadlineSoon> = Commands.reserve

/**
 * `reserve-with-timeout`: waits for a job, for whole seconds, rounded up, at most 2,147,483,647.
 *
 * @category working
 * @since 0.1.0
 */
export const reserveWithTimeout = (
  timeout: DurationInput
): Command<ReservedJob, BeanstalkError.DeadlineSoon | BeanstalkError.TimedOut> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.reserveWithTimeout(Validate.reserveTimeout("reserve-with-timeout", timeout)))

/**
 * `reserve-job`: reserves one job by its id, whatever its tube.
 *
 * @category working
 * @since 0.1.0
 */
export const reserveJob = (
  id: string
): Command<ReservedJob, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.reserveJob(Validate.jobId("reserve-job", id)))

/**
 * `delete`: deletes a job that this connection has reserved, or that no connection has.
 *
 * @category working
 * @since 0.1.0
 */
export const deleteJob = (id: string): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.deleteJob(Validate.jobId("delete", id)))

/**
 * `touch`: restarts the time to run of a reserved job.
 *
 * @category working
 * @since 0.1.0
 */
export const touch = (id: string): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.touch(Validate.jobId("touch", id)))

/**
 * How a job is released.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReleaseOptions {
  /** The new priority of the job. It has no default, which would overwrite the priority that the job has. */
  readonly priority: number
  /**
   * How long the job waits before it becomes ready again. Whole seconds, rounded up; a bare number is milliseconds.
   * Default: none.
   */
  readonly delay?: DurationInput | undefined
}

/**
 * `release`: returns a reserved job to its tube. Fails with `Buried` when the server is out of memory, and has buried the job
 * instead.
 *
 * @category working
 * @since 0.1.0
 */
export const release = (
  id: string,
  { delay = 0, priority }: ReleaseOptions
): Command<void, BeanstalkError.JobNotFound | BeanstalkError.Buried> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() =>
    Commands.release(
      Validate.jobId("release", id),
      Validate.u32("release", "priority", priority),
      Validate.delay("release", delay)
    )
  )

/**
 * `bury`: sets a reserved job aside, with a new priority, until it is kicked.
 *
 * @category working
 * @since 0.1.0
 */
export const bury = (
  id: string,
  priority: number
): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.bury(Validate.jobId("bury", id), Validate.u32("bury", "priority", priority)))

/**
 * `watch`: adds a tube to those that the connection reserves from. Succeeds with their number.
 *
 * @category working
 * @since 0.1.0
 */
export const watch = (tube: string): Command<number, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.watch(Validate.tubeName("watch", tube)))

/**
 * `ignore`: removes a tube from those that the connection reserves from. Succeeds with their number. Fails with
 * `NotIgnored` for the last one.
 *
 * @category working
 * @since 0.1.0
 */
export const ignore = (tube: string): Command<number, BeanstalkError.NotIgnored> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.ignore(Validate.tubeName("ignore", tube)))

// ---------------------------------------------------------------------------------------------------------------------
// inspecting
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `peek`: copies one job, whatever its tube and state.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const peek = (id: string): Command<PeekedJob, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.peek(Validate.jobId("peek", id)))

/**
 * `peek-ready`: copies the job of a tube that would be reserved next.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const peekReady = (
  options?: InTube
): Command<Option.Option<PeekedJob>, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.peekReady(Validate.optionalTubeName("peek-ready", options?.tube)))

/**
 * `peek-delayed`: copies the job of a tube whose delay ends first.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const peekDelayed = (
  options?: InTube
): Command<Option.Option<PeekedJob>, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.peekDelayed(Validate.optionalTubeName("peek-delayed", options?.tube)))

/**
 * `peek-buried`: copies the job of a tube that was buried first.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const peekBuried = (
  options?: InTube
): Command<Option.Option<PeekedJob>, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.peekBuried(Validate.optionalTubeName("peek-buried", options?.tube)))

/**
 * `stats-job`: the statistics of one job.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const statsJob = (
  id: string
): Command<Stats.JobStats, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.statsJob(Validate.jobId("stats-job", id)))

/**
 * `stats-tube`: the statistics of a tube that exists.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const statsTube = (
  tube: string
): Command<Stats.TubeStats, BeanstalkError.TubeNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.statsTube(Validate.tubeName("stats-tube", tube)))

/**
 * `stats`: the statistics of the server.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const stats: Command<Stats.ServerStats, never> = Commands.stats

/**
 * `stats`, of which only the keys are read that a connection needs.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const serverInfo: Command<Stats.ServerInfo, never> = Commands.serverInfo

/**
 * `list-tubes`: the names of all tubes.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const listTubes: Command<ReadonlyArray<TubeName>, never> = Commands.listTubes

/**
 * `list-tubes-watched`: the tubes that the connection reserves from.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const listTubesWatched: Command<ReadonlyArray<TubeName>, never> = Commands.listTubesWatched

/**
 * `list-tube-used`: the tube in use.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const listTubeUsed: Command<TubeName, never> = Commands.listTubeUsed

// ---------------------------------------------------------------------------------------------------------------------
// administering
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `kick`: makes up to `bound` (0 to 4,294,967,295) jobs of a tube ready: buried ones, or delayed ones if none is buried.
 * Succeeds with their number.
 *
 * @category administering
 * @since 0.1.0
 */
export const kick = (bound: number, options?: InTube): Command<number, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() =>
    Commands.kick(Validate.u32("kick", "bound", bound), Validate.optionalTubeName("kick", options?.tube))
  )

/**
 * `kick-job`: makes one buried or delayed job ready.
 *
 * @category administering
 * @since 0.1.0
 */
export const kickJob = (id: string): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => Commands.kickJob(Validate.jobId("kick-job", id)))

/**
 * `pause-tube`: stops all reserves from a tube for whole seconds, rounded up. Zero ends a pause.
 *
 * @category administering
 * @since 0.1.0
 */
export const pauseTube = (
  tube: string,
  duration: DurationInput
): Command<void, BeanstalkError.TubeNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() =>
    Commands.pauseTube(Validate.tubeName("pause-tube", tube), Validate.pauseDuration("pause-tube", duration))
  )

/**
 * `quit`: asks the server to close the connection. It has no reply: it succeeds when the connection ends.
 *
 * @category administering
 * @since 0.1.0
 */
export const quit: Command<void, never> = Commands.quit
