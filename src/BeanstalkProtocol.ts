/**
 * beanstalkd's protocol as pure values: a command knows its request and how to read its reply. No effects, no sockets, no
 * clock; `BeanstalkConnection` is what sends them.
 *
 * **Example** (the bytes of a command, and the meaning of a reply)
 *
 * ```ts
 * const put = BeanstalkProtocol.put("hello", { priority: 10 })
 * if (put._tag === "Command") {
 *   BeanstalkProtocol.encode([put]) // put 10 0 60 5\r\nhello\r\n
 * }
 * ```
 *
 * @since 0.1.0
 */
import type { DurationInput } from "effect/Duration"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as BeanstalkError from "./BeanstalkError.ts"
import { type Reply, ReplyDecoder } from "./internal/protocol/replyDecoder.ts"
import { encode, encodedSize, type Request } from "./internal/protocol/requestEncoder.ts"
import * as Validate from "./internal/protocol/validate.ts"
import { type JobId, PeekedJob, ReservedJob, type TubeName } from "./Job.ts"
import * as Stats from "./Stats.ts"

export {
  /**
   * The requests as bytes, one behind the other, to leave in one write.
   *
   * @category encoding
   * @since 0.1.0
   */
  encode,
  /**
   * Everything beanstalkd can answer, as a value.
   *
   * @category models
   * @since 0.1.0
   */
  type Reply,
  /**
   * Reads replies from bytes, whatever pieces they arrive in.
   *
   * @category decoding
   * @since 0.1.0
   */
  ReplyDecoder,
  /**
   * What of a command goes over the wire.
   *
   * @category models
   * @since 0.1.0
   */
  type Request
}

// ---------------------------------------------------------------------------------------------------------------------
// commands
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A command of the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface Command<out A, out E> {
  readonly _tag: "Command"
  /** As the protocol spells it. */
  readonly name: string
  /** The request line, without its CRLF. */
  readonly line: string
  /** What follows the line: the body of a `put`. It is read when the command is written, not before. */
  readonly body: Uint8Array | undefined
  /** How many bytes the request has on the wire. */
  readonly size: number
  /** What the command has to do with the tube in use. */
  readonly tube: TubeRelation
  /** Seconds the server may take its time before it answers; `Infinity` for a plain `reserve`. */
  readonly blocksFor: number
  /** Whether success hands over a job that must not be forgotten. */
  readonly reserves: boolean
  /** Whether it only looks, so that nothing happens if it is sent twice. */
  readonly readOnly: boolean
  /** The job it is about, known to the server by this id and to no other server. */
  readonly job: JobId | undefined
  /** Reads the reply. */
  readonly decode: (
    reply: Reply,
    address: string
  ) => Decoded<A, E | BeanstalkError.ServerError | BeanstalkError.ProtocolViolation>
}

/**
 * What a command has to do with the tube in use: nothing, it selects one, it acts on the one in use, or on a tube that
 * must be selected for it first.
 *
 * @category models
 * @since 0.1.0
 */
export type TubeRelation =
  | { readonly _tag: "None" }
  | { readonly _tag: "Selects"; readonly name: TubeName }
  | { readonly _tag: "InUse" }
  | { readonly _tag: "Named"; readonly name: TubeName }

/**
 * What a reply means to the command it answers. After an `unsafe` failure the two sides may disagree about what comes
 * next on the connection: it must be closed.
 *
 * @category models
 * @since 0.1.0
 */
export type Decoded<A, E> =
  | { readonly _tag: "Success"; readonly value: A }
  | { readonly _tag: "Failure"; readonly error: E; readonly fatal: boolean }

const success = <A>(value: A): Decoded<A, never> => ({ _tag: "Success", value })

const failure = <E>(error: E): Decoded<never, E> => ({ _tag: "Failure", error, fatal: false })

const unsafe = <E>(error: E): Decoded<never, E> => ({ _tag: "Failure", error, fatal: true })

const done = success<void>(undefined)

const unrelated: TubeRelation = { _tag: "None" }

const inUse: TubeRelation = { _tag: "InUse" }

/** What a reply means to a command, unless it means what it means to any. */
type Meaning<A, E> = (
  reply: Reply,
  origin: BeanstalkError.Origin
) => Decoded<A, E | BeanstalkError.ServerError | BeanstalkError.ProtocolViolation> | undefined

/** A class, so that a command costs one object, and not a closure for each thing it can do. */
class Instruction<A, E> implements Command<A, E> {
  readonly _tag = "Command"
  readonly name: string
  readonly line: string
  readonly body: Uint8Array | undefined
  readonly size: number
  readonly tube: TubeRelation
  readonly blocksFor: number
  readonly reserves: boolean
  readonly readOnly: boolean
  readonly job: JobId | undefined
  private readonly meaning: Meaning<A, E>

  constructor(name: string, args: string, meaning: Meaning<A, E>, more: Particulars) {
    this.name = name
    this.line = args === "" ? name : `${name} ${args}`
    this.body = more.body
    this.size = encodedSize(this)
    this.tube = more.tube ?? unrelated
    this.blocksFor = more.blocksFor ?? 0
    this.reserves = more.reserves ?? false
    this.readOnly = more.readOnly ?? false
    this.job = more.job
    this.meaning = meaning
  }

  decode(reply: Reply, address: string) {
    const origin = { command: this.name, address }
    return this.meaning(reply, origin) ?? otherwise(reply, origin)
  }
}

type Particulars = Partial<
  Pick<Command<unknown, unknown>, "body" | "tube" | "blocksFor" | "reserves" | "readOnly" | "job">
>

const ordinary: Particulars = {}

const looking: Particulars = { readOnly: true }

const command = <A, E = never>(
  name: string,
  args: string,
  meaning: Meaning<A, E>,
  more = ordinary
): Command<A, E> => new Instruction(name, args, meaning, more)

/** What any command may be answered, and what none should be. */
const otherwise = (
  reply: Reply,
  origin: BeanstalkError.Origin
): Decoded<never, BeanstalkError.ServerError | BeanstalkError.ProtocolViolation> => {
  switch (reply._tag) {
    case "OutOfMemory":
      return failure(new BeanstalkError.OutOfMemory(origin))
    case "InternalError":
      return failure(new BeanstalkError.InternalError(origin))
    case "BadFormat":
      return failure(new BeanstalkError.BadFormat(origin))
    case "UnknownCommand":
      return failure(new BeanstalkError.UnknownCommand(origin))
    default:
      return violation(reply, origin)
  }
}

const violation = (reply: Reply, origin: BeanstalkError.Origin): Decoded<never, BeanstalkError.ProtocolViolation> =>
  unsafe(new BeanstalkError.ProtocolViolation({ ...origin, reply: describe(reply) }))

/**
 * Whether a command still has the size it was made with. A body whose buffer was transferred or resized since then no
 * longer has the length that the request line announces, and must not be sent.
 *
 * @category encoding
 * @since 0.1.0
 */
export const isIntact = (command: Command<unknown, unknown>): boolean => encodedSize(command) === command.size

/**
 * A request in a few words, for people: its line, and a body only as a size.
 *
 * @category encoding
 * @since 0.1.0
 */
export const describeRequest = (request: Request): string =>
  request.body === undefined ? request.line : `${request.line} (${request.body.length} bytes)`

/**
 * A reply in a few words, for people: bodies only as sizes.
 *
 * @category decoding
 * @since 0.1.0
 */
export const describe = (reply: Reply): string => {
  switch (reply._tag) {
    case "Inserted":
      return `INSERTED ${reply.id}`
    case "BuriedJob":
      return `BURIED ${reply.id}`
    case "Using":
      return `USING ${reply.tube}`
    case "Watching":
      return `WATCHING ${reply.count}`
    case "KickedJobs":
      return `KICKED ${reply.count}`
    case "Reserved":
    case "Found":
      return `${reply._tag.toUpperCase()} ${reply.id} (${reply.body.length} bytes)`
    case "Ok":
      return `OK (${reply.body.length} bytes)`
    case "Malformed":
      return reply.description
    default:
      return reply._tag.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// producing
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The tube a command acts on, where it acts on the one in use.
 *
 * @category models
 * @since 0.1.0
 */
export interface InTube {
  /** The tube to act on. Left out: the tube in use on this connection. */
  readonly tube?: string | undefined
}

/**
 * How a job is put.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobOptions {
  /** The most urgent is 0, the least 4,294,967,295. Default: 1024, the first that is not counted as "urgent". */
  readonly priority?: number | undefined
  /**
   * How long the job stays out of reach before it becomes ready. Whole seconds, rounded up; a bare number is milliseconds.
   * Default: none.
   */
  readonly delay?: DurationInput | undefined
  /**
   * How long a worker may hold the job before it is given to another. Whole seconds, rounded up; a bare number is
   * milliseconds, as everywhere in Effect: `60` would be one second. Below three, `DeadlineSoon` is all a worker sees.
   * Default: 60 seconds.
   */
  readonly ttr?: DurationInput | undefined
}

/**
 * How, and where, a job is put.
 *
 * @category models
 * @since 0.1.0
 */
export interface PutOptions extends JobOptions, InTube {}

const defaultPriority = 1024

const defaultTtr = 60

const relation = (name: string, tube: string | undefined): TubeRelation =>
  tube === undefined ? inUse : { _tag: "Named", name: Validate.tubeName(name, tube) }

/**
 * `put`: stores a job. Its reply is the id, or one of the errors of `PutError`.
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
    const tube = relation("put", options?.tube)
    const priority = options?.priority === undefined
      ? defaultPriority
      : Validate.u32("put", "priority", options.priority)
    const delay = options?.delay === undefined ? 0 : Validate.delay("put", options.delay)
    const ttr = options?.ttr === undefined ? defaultTtr : Validate.ttr("put", options.ttr)
    const bytes = Validate.body("put", body)
    const size = bytes.length
    return command<
      JobId,
      BeanstalkError.JobTooBig | BeanstalkError.ExpectedCRLF | BeanstalkError.Draining | BeanstalkError.Buried
    >(
      "put",
      `${priority} ${delay} ${ttr} ${size}`,
      (reply, origin) => {
        switch (reply._tag) {
          case "Inserted":
            return success(reply.id)
          case "BuriedJob":
            return failure(new BeanstalkError.Buried({ ...origin, id: reply.id }))
          case "JobTooBig":
            return failure(new BeanstalkError.JobTooBig({ ...origin, size, limit: reply.limit }))
          case "Draining":
            return failure(new BeanstalkError.Draining(origin))
          case "ExpectedCRLF":
            return unsafe(new BeanstalkError.ExpectedCRLF(origin))
          case "BadFormat":
            return unsafe(new BeanstalkError.BadFormat(origin))
          case "UnknownCommand":
            return unsafe(new BeanstalkError.UnknownCommand(origin))
          default:
            return undefined
        }
      },
      { body: bytes, tube }
    )
  })

/**
 * `use`: selects the tube that later commands without one of their own act on.
 *
 * @category producing
 * @since 0.1.0
 */
export const use = (tube: string): Command<TubeName, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => {
    const name = Validate.tubeName("use", tube)
    return useTube(name, { _tag: "Selects", name })
  })

/**
 * The `use` that is written in front of a command that acts on a tube of its own.
 *
 * @category producing
 * @since 0.1.0
 */
export const select = (name: TubeName): Command<TubeName, never> => useTube(name, unrelated)

const useTube = (name: TubeName, tube: TubeRelation) =>
  command("use", name, (reply) => reply._tag === "Using" && reply.tube === name ? success(reply.tube) : undefined, {
    tube
  })

// ---------------------------------------------------------------------------------------------------------------------
// working
// ---------------------------------------------------------------------------------------------------------------------

/** What the two reserves that may wait have in common. */
const reserved = (reply: Reply, origin: BeanstalkError.Origin) => {
  switch (reply._tag) {
    case "Reserved":
      return success(new ReservedJob(reply.id, reply.body))
    case "DeadlineSoon":
      return failure(new BeanstalkError.DeadlineSoon(origin))
    default:
      return undefined
  }
}

/**
 * `reserve`: waits for a job for as long as it takes.
 *
 * @category working
 * @since 0.1.0
 */
export const reserve: Command<ReservedJob, BeanstalkError.DeadlineSoon> = command(
  "reserve",
  "",
  reserved,
  { blocksFor: Number.POSITIVE_INFINITY, reserves: true }
)

/**
 * `reserve-with-timeout`: waits for a job for whole seconds, rounded up, at most 2,147,483,647.
 *
 * @category working
 * @since 0.1.0
 */
export const reserveWithTimeout = (
  timeout: DurationInput
): Command<ReservedJob, BeanstalkError.DeadlineSoon | BeanstalkError.TimedOut> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => {
    const blocksFor = Validate.reserveTimeout("reserve-with-timeout", timeout)
    return command<ReservedJob, BeanstalkError.DeadlineSoon | BeanstalkError.TimedOut>(
      "reserve-with-timeout",
      `${blocksFor}`,
      (reply, origin) =>
        reply._tag === "TimedOut" ? failure(new BeanstalkError.TimedOut(origin)) : reserved(reply, origin),
      { blocksFor, reserves: true }
    )
  })

/** A command about one job: what its reply means, unless it is one that many commands share. */
const aboutJob = <A, Failure = never>(
  name: string,
  id: string,
  meaning: (
    reply: Reply,
    origin: BeanstalkError.Origin,
    job: JobId
  ) => Decoded<A, Failure | BeanstalkError.ServerError | BeanstalkError.ProtocolViolation> | undefined,
  more: Pick<Particulars, "reserves" | "readOnly"> = ordinary,
  args: (job: JobId) => string = identity
): Command<A, Failure | BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => {
    const job = Validate.jobId(name, id)
    return command<A, Failure | BeanstalkError.JobNotFound>(
      name,
      args(job),
      (reply, origin) =>
        reply._tag === "NotFound"
          ? failure(new BeanstalkError.JobNotFound({ ...origin, id: job }))
          : meaning(reply, origin, job),
      { ...more, job }
    )
  })

/** The meaning of a reply that is one word. */
const answered = (tag: Reply["_tag"]) => (reply: Reply) => reply._tag === tag ? done : undefined

/**
 * `reserve-job`: reserves one job by its id, in whatever tube it is.
 *
 * @category working
 * @since 0.1.0
 */
export const reserveJob = (
  id: string
): Command<ReservedJob, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob(
    "reserve-job",
    id,
    (reply, _, job) =>
      reply._tag === "Reserved" && reply.id === job ? success(new ReservedJob(reply.id, reply.body)) : undefined,
    { reserves: true }
  )

/**
 * `delete`: a job that is held by this connection, or by nobody.
 *
 * @category working
 * @since 0.1.0
 */
export const deleteJob = (id: string): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob("delete", id, deleted)

const deleted = answered("Deleted")

/**
 * `touch`: starts the time to run of a held job anew.
 *
 * @category working
 * @since 0.1.0
 */
export const touch = (id: string): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob("touch", id, answered("Touched"))

/**
 * How a job is given back.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReleaseOptions {
  /** The job's priority from now on. There is no default: it would overwrite the one the job has. */
  readonly priority: number
  /**
   * How long the job stays out of reach before it becomes ready again. Whole seconds, rounded up; a bare number is
   * milliseconds. Default: none.
   */
  readonly delay?: DurationInput | undefined
}

/**
 * `release`: gives a held job back. `BURIED` means that the server had no memory to make it ready.
 *
 * @category working
 * @since 0.1.0
 */
export const release = (
  id: string,
  options: ReleaseOptions
): Command<void, BeanstalkError.JobNotFound | BeanstalkError.Buried> | BeanstalkError.InvalidArgument =>
  aboutJob(
    "release",
    id,
    (reply, origin, job) => {
      switch (reply._tag) {
        case "Released":
          return done
        case "Buried":
          return failure(new BeanstalkError.Buried({ ...origin, id: job }))
        default:
          return undefined
      }
    },
    ordinary,
    (job) => {
      const priority = Validate.u32("release", "priority", options.priority)
      const delay = options.delay === undefined ? 0 : Validate.delay("release", options.delay)
      return `${job} ${priority} ${delay}`
    }
  )

/**
 * `bury`: puts a held job aside. `BURIED` is its success.
 *
 * @category working
 * @since 0.1.0
 */
export const bury = (
  id: string,
  priority: number
): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob(
    "bury",
    id,
    answered("Buried"),
    ordinary,
    (job) => `${job} ${Validate.u32("bury", "priority", priority)}`
  )

/**
 * `watch`: adds a tube to those that reserves take jobs from. Its reply is their number.
 *
 * @category working
 * @since 0.1.0
 */
export const watch = (tube: string): Command<number, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() =>
    command(
      "watch",
      Validate.tubeName("watch", tube),
      (reply) => reply._tag === "Watching" ? success(reply.count) : undefined
    )
  )

/**
 * `ignore`: takes a tube from those that reserves take jobs from. Its reply is their number; the last one stays.
 *
 * @category working
 * @since 0.1.0
 */
export const ignore = (tube: string): Command<number, BeanstalkError.NotIgnored> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => {
    const name = Validate.tubeName("ignore", tube)
    return command("ignore", name, (reply, origin) => {
      switch (reply._tag) {
        case "Watching":
          return success(reply.count)
        case "NotIgnored":
          return failure(new BeanstalkError.NotIgnored({ ...origin, tube: name }))
        default:
          return undefined
      }
    })
  })

// ---------------------------------------------------------------------------------------------------------------------
// looking and tidying
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `peek`: looks at one job, in whatever tube and state.
 *
 * @category looking
 * @since 0.1.0
 */
export const peek = (id: string): Command<PeekedJob, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob(
    "peek",
    id,
    (reply, _, job) =>
      reply._tag === "Found" && reply.id === job ? success(new PeekedJob(reply.id, reply.body)) : undefined,
    looking
  )

const peekNext = (name: string) =>
(
  options?: InTube
): Command<Option.Option<PeekedJob>, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() =>
    command(name, "", (reply) => {
      switch (reply._tag) {
        case "Found":
          return success(Option.some(new PeekedJob(reply.id, reply.body)))
        case "NotFound":
          return success(Option.none())
        default:
          return undefined
      }
    }, { tube: relation(name, options?.tube), readOnly: true })
  )

/**
 * `peek-ready`: looks at the job of a tube that would be reserved next.
 *
 * @category looking
 * @since 0.1.0
 */
export const peekReady = peekNext("peek-ready")

/**
 * `peek-delayed`: looks at the job of a tube that becomes ready next.
 *
 * @category looking
 * @since 0.1.0
 */
export const peekDelayed = peekNext("peek-delayed")

/**
 * `peek-buried`: looks at the job of a tube that was buried first.
 *
 * @category looking
 * @since 0.1.0
 */
export const peekBuried = peekNext("peek-buried")

/**
 * `kick`: makes up to `bound` (0 to 4,294,967,295) jobs of a tube ready. Its reply is their number.
 *
 * @category looking
 * @since 0.1.0
 */
export const kick = (bound: number, options?: InTube): Command<number, never> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() =>
    command(
      "kick",
      `${Validate.u32("kick", "bound", bound)}`,
      (reply) => reply._tag === "KickedJobs" ? success(reply.count) : undefined,
      {
        tube: relation("kick", options?.tube)
      }
    )
  )

/**
 * `kick-job`: makes one buried or delayed job ready.
 *
 * @category looking
 * @since 0.1.0
 */
export const kickJob = (id: string): Command<void, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob("kick-job", id, answered("Kicked"))

/** The meaning of a reply that is a document: what it says, or the violation that it is. */
const documented =
  <A>(read: (document: Uint8Array) => A | Stats.Unreadable) =>
  (reply: Reply, origin: BeanstalkError.Origin): Decoded<A, BeanstalkError.ProtocolViolation> | undefined => {
    if (reply._tag !== "Ok") return undefined
    const document = read(reply.body)
    return document instanceof Stats.Unreadable
      ? unsafe(
        new BeanstalkError.ProtocolViolation({ ...origin, reply: `cannot read ${JSON.stringify(document.line)}` })
      )
      : success(document)
  }

/**
 * `stats-job`: the statistics of one job.
 *
 * @category looking
 * @since 0.1.0
 */
export const statsJob = (
  id: string
): Command<Stats.JobStats, BeanstalkError.JobNotFound> | BeanstalkError.InvalidArgument =>
  aboutJob(
    "stats-job",
    id,
    documented(Stats.readJobStats),
    looking
  )

/** A command about a tube that must exist. */
const aboutTube = <A, Failure = never>(
  name: string,
  tube: string,
  meaning: (
    reply: Reply,
    origin: BeanstalkError.Origin
  ) => Decoded<A, Failure | BeanstalkError.ServerError | BeanstalkError.ProtocolViolation> | undefined,
  more?: Pick<Particulars, "readOnly"> & { readonly args?: (command: string) => number }
): Command<A, Failure | BeanstalkError.TubeNotFound> | BeanstalkError.InvalidArgument =>
  Validate.attempt(() => {
    const checkedTube = Validate.tubeName(name, tube)
    const args = more?.args === undefined ? "" : ` ${more.args(name)}`
    return command<A, Failure | BeanstalkError.TubeNotFound>(
      name,
      `${checkedTube}${args}`,
      (reply, origin) =>
        reply._tag === "NotFound"
          ? failure(new BeanstalkError.TubeNotFound({ ...origin, tube: checkedTube }))
          : meaning(reply, origin),
      { readOnly: more?.readOnly ?? false }
    )
  })

/**
 * `stats-tube`: the statistics of a tube that exists.
 *
 * @category looking
 * @since 0.1.0
 */
export const statsTube = (
  tube: string
): Command<Stats.TubeStats, BeanstalkError.TubeNotFound> | BeanstalkError.InvalidArgument =>
  aboutTube(
    "stats-tube",
    tube,
    documented(Stats.readTubeStats),
    looking
  )

/**
 * `pause-tube`: lets nobody reserve from a tube for whole seconds, rounded up; zero ends a pause.
 *
 * @category looking
 * @since 0.1.0
 */
export const pauseTube = (
  tube: string,
  duration: DurationInput
): Command<void, BeanstalkError.TubeNotFound> | BeanstalkError.InvalidArgument =>
  aboutTube("pause-tube", tube, answered("Paused"), { args: (name) => Validate.pauseDuration(name, duration) })

/**
 * `stats`: the statistics of the server.
 *
 * @category looking
 * @since 0.1.0
 */
export const stats: Command<Stats.ServerStats, never> = command<Stats.ServerStats>(
  "stats",
  "",
  documented(Stats.readServerStats),
  looking
)

/**
 * `stats`, of which only what a connection needs is read.
 *
 * @category looking
 * @since 0.1.0
 */
export const serverInfo: Command<Stats.ServerInfo, never> = command<Stats.ServerInfo>(
  "stats",
  "",
  documented(Stats.readServerInfo),
  looking
)

const listing = (name: string) =>
  command<ReadonlyArray<TubeName>>(
    name,
    "",
    documented(Stats.readTubeNames),
    looking
  )

/**
 * `list-tubes`: every tube there is.
 *
 * @category looking
 * @since 0.1.0
 */
export const listTubes: Command<ReadonlyArray<TubeName>, never> = listing("list-tubes")

/**
 * `list-tubes-watched`: the tubes that reserves of this connection take jobs from.
 *
 * @category looking
 * @since 0.1.0
 */
export const listTubesWatched: Command<ReadonlyArray<TubeName>, never> = listing("list-tubes-watched")

/**
 * `list-tube-used`: the tube that commands without one of their own act on.
 *
 * @category looking
 * @since 0.1.0
 */
export const listTubeUsed: Command<TubeName, never> = command(
  "list-tube-used",
  "",
  (reply) => reply._tag === "Using" ? success(reply.tube) : undefined,
  { tube: inUse, readOnly: true }
)

/**
 * The one command without a reply: its answer is that the server closes the connection.
 *
 * @category looking
 * @since 0.1.0
 */
export const quit: Command<void, never> = command(
  "quit",
  "",
  (reply, origin) => reply._tag === "Closed" ? done : violation(reply, origin)
)
