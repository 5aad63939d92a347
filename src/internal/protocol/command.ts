/** What a command of the protocol is: a request, and how to interpret the reply to it. */
import {
  BadFormat,
  InternalError,
  type Origin,
  OutOfMemory,
  ProtocolViolation,
  type ServerError,
  UnknownCommand
} from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import { describe, type Reply } from "./reply.ts"
import { encodedSize } from "./requestEncoder.ts"

/**
 * A command of the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface Command<out A, out E> {
  readonly _tag: "Command"
  /** The command as the protocol spells it: `put`, `reserve-with-timeout`, … */
  readonly name: string
  /** The request line, without its CRLF. */
  readonly line: string
  /** The body of a `put`. It is copied when the command is written to the socket, not before. */
  readonly body: Uint8Array | undefined
  /** The size of the whole request, in bytes. */
  readonly size: number
  /** Which tube the command depends on. */
  readonly tube: TubeRelation
  /** The job that the command names, as its first argument. */
  readonly job: JobId | undefined
  /** How many seconds the server may wait before it answers: 0 for most commands, `Infinity` for a plain `reserve`. */
  readonly blocksFor: number
  /** Whether success reserves a job on the connection. */
  readonly reserves: boolean
  /** Whether the command changes nothing on the server, so that it can be sent twice. */
  readonly readOnly: boolean
  /** Interprets the reply to the command. `address` is that of the server, for errors. */
  readonly decode: (reply: Reply, address: string) => Decoded<A, E | ServerError | ProtocolViolation>
}

/**
 * Which tube a command depends on: none, it selects one (`use`), the one in use, or a named one, which must be selected
 * in front of it.
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
 * The result of a command. After a `fatal` failure the connection must be closed: its later replies may belong to other
 * commands.
 *
 * @category models
 * @since 0.1.0
 */
export type Decoded<A, E> =
  | { readonly _tag: "Success"; readonly value: A }
  | { readonly _tag: "Failure"; readonly error: E; readonly fatal: boolean }

export const success = <A>(value: A): Decoded<A, never> => ({ _tag: "Success", value })

export const failure = <E>(makeError: () => E): Decoded<never, E> => failureOf(makeError, false)

export const fatal = <E>(makeError: () => E): Decoded<never, E> => failureOf(makeError, true)

/** V8 has the limit of a stack's frames there. */
const stacks: { readonly prototype: Error; stackTraceLimit?: number | undefined } = Error

/** Without a stack: it would be that of the socket, and cost 4 to 20 µs, for each id that a listing of jobs asks for in vain. */
const failureOf = <E>(makeError: () => E, fatal: boolean): Decoded<never, E> => {
  const limit = stacks.stackTraceLimit
  stacks.stackTraceLimit = 0
  try {
    return { _tag: "Failure", error: makeError(), fatal }
  } finally {
    stacks.stackTraceLimit = limit
  }
}

export const violation = (reply: string, origin: Origin): Decoded<never, ProtocolViolation> =>
  fatal(() => new ProtocolViolation({ ...origin, reply }))

/**
 * Interprets the replies that are particular to a command. `undefined` for any other: {@link interpretOther} interprets it. `about`
 * is what the command is about: a job, a tube.
 */
export type Interpret<A, E, About = unknown> = (
  reply: Reply,
  origin: Origin,
  about: About
) => Decoded<A, E | ServerError | ProtocolViolation> | undefined

/** The replies that any command can get. Every other reply is a violation. */
const interpretOther = (reply: Reply, origin: Origin): Decoded<never, ServerError | ProtocolViolation> => {
  switch (reply._tag) {
    case "OutOfMemory":
      return failure(() => new OutOfMemory(origin))
    case "InternalError":
      return failure(() => new InternalError(origin))
    case "BadFormat":
      return failure(() => new BadFormat(origin))
    case "UnknownCommand":
      return failure(() => new UnknownCommand(origin))
    default:
      return violation(describe(reply), origin)
  }
}

const noTube: TubeRelation = { _tag: "None" }

/** What all commands of a kind have in common. */
interface Kind<A, E, About> extends Pick<Command<A, E>, "name" | "blocksFor" | "reserves" | "readOnly"> {
  readonly interpret: Interpret<A, E, About>
}

/** What differs from most kinds of commands. */
export type KindOptions = Partial<Pick<Command<unknown, unknown>, "blocksFor" | "reserves" | "readOnly">>

const noOptions: KindOptions = {}

export const kindOf = <A, E, About>(
  name: string,
  interpret: Interpret<A, E, About>,
  { blocksFor = 0, readOnly = false, reserves = false }: KindOptions = noOptions
): Kind<A, E, About> => ({ name, interpret, blocksFor, reserves, readOnly })

/**
 * A class, whose objects have what differs from command to command and no closures: there are two for each of the thousands of
 * commands of a batch.
 */
class ProtocolCommand<A, E, About> implements Command<A, E> {
  private readonly kind: Kind<A, E, About>
  private readonly about: About
  readonly line: string
  readonly body: Uint8Array | undefined
  readonly size: number
  readonly tube: TubeRelation
  readonly job: JobId | undefined

  constructor(
    kind: Kind<A, E, About>,
    about: About,
    args: string,
    job: JobId | undefined,
    tube: TubeRelation,
    body: Uint8Array | undefined
  ) {
    this.kind = kind
    this.about = about
    this.line = args === "" ? kind.name : `${kind.name} ${args}`
    this.body = body
    this.size = encodedSize(this)
    this.tube = tube
    this.job = job
  }

  get _tag() {
    return "Command" as const
  }

  get name() {
    return this.kind.name
  }

  get blocksFor() {
    return this.kind.blocksFor
  }

  get reserves() {
    return this.kind.reserves
  }

  get readOnly() {
    return this.kind.readOnly
  }

  decode(reply: Reply, address: string) {
    const origin = { command: this.name, address }
    return this.kind.interpret(reply, origin, this.about) ?? interpretOther(reply, origin)
  }
}

/** A command about a job, whose id is its first argument. */
export const commandOnJob = <A, E>(kind: Kind<A, E, JobId>, job: JobId, args: string): Command<A, E> =>
  new ProtocolCommand(kind, job, args, job, noTube, undefined)

/** A command that depends on a tube, or has a body. Its replies are interpreted by what it is about. */
export const commandAbout = <A, E, About>(
  kind: Kind<A, E, About>,
  about: About,
  args: string,
  tube: TubeRelation = noTube,
  body?: Uint8Array
): Command<A, E> => new ProtocolCommand(kind, about, args, undefined, tube, body)

/** A command that is the only one of its kind, or is not sent often. */
export const makeCommand = <A, E = never>(
  name: string,
  args: string,
  interpret: Interpret<A, E>,
  { tube, ...options }: KindOptions & { readonly tube?: TubeRelation | undefined } = noOptions
): Command<A, E> => commandAbout(kindOf(name, interpret, options), undefined, args, tube)

/**
 * Whether a command still has the size it was made with. If the buffer of its body was transferred or resized since then,
 * the body no longer has the length that the request line announces, and the command must not be sent.
 *
 * @category encoding
 * @since 0.1.0
 */
export const isIntact = (command: Command<unknown, unknown>): boolean => encodedSize(command) === command.size

/**
 * Commands that are sent together. Each is made when it is written, and made again when it is answered: for the thousands that may be
 * in flight, nothing is kept.
 */
export interface Batch<out A, out E> {
  readonly _tag: "Batch"
  readonly length: number
  /** The command at an index: each time the same. */
  readonly at: (index: number) => Command<A, E>
}

/** A command for each of these. */
export const batchOf = <I, A, E>(inputs: ReadonlyArray<I>, make: (input: I) => Command<A, E>): Batch<A, E> => ({
  _tag: "Batch",
  length: inputs.length,
  at: (index) => make(inputs[index]!)
})
