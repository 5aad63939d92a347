/**
 * Opens a connection: a socket, and one round trip, which proves that a beanstalkd answers, and identifies it.
 */
import * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid, identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as BeanstalkError from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import { defaultTube } from "../../Job.ts"
import type { ServerInfo } from "../../Stats.ts"
import { acquireApart } from "../base/acquireApart.ts"
import * as AtOnce from "../base/atOnce.ts"
import { errorTypeOf } from "../base/errorType.ts"
import { annotateLogs } from "../base/logging.ts"
import * as SemanticConventions from "../base/semanticConventions.ts"
import { withoutIterationMetadata } from "../base/withoutIterationMetadata.ts"
import type { Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import { ConnectionObserver, type SessionObserver } from "./observer.ts"
import { ReplyTimedOut } from "./pipeline.ts"
import { innermostMessage, makeSession, type Session, type SessionOptions } from "./session.ts"

/** Options of every kind of connection. */
export interface ConnectOptions {
  /** The name of this connection in logs, spans and when it is printed. */
  readonly name?: string | undefined
  /** How long opening the socket and the first round trip may take together. Default: 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * How long the server may take to answer the oldest command that is written, before the connection counts as lost. A large
   * body on a slow network needs more. A blocking reserve may take its own timeout and one second more; a plain `reserve` may
   * take any time, and so may a body from the server as long as it makes progress. Default: 10 seconds.
   */
  readonly replyTimeout?: Duration.DurationInput | undefined
  /** How many commands may be written and not yet answered. Further commands wait. Default: 4,096. */
  readonly maxInFlight?: number | undefined
  /** How many bytes those commands may have together. Further commands wait. Default: 16 MiB. */
  readonly maxQueuedBytes?: number | undefined
  /**
   * The largest body, or list of tubes, accepted from the server, in bytes. Default: 1 GiB, the largest limit that beanstalkd
   * can be given.
   */
  readonly maxBodySize?: number | undefined
  /**
   * Whether an attempt to connect has a span `beanstalkd.connect`, of kind `client`. Its parent is the span of who waits for the
   * connection; an attempt that no span waits for has none. Default: false.
   */
  readonly spans?: boolean | undefined
}

/** The tubes that a connection uses and watches when it is made. */
export interface InitialTubes {
  /** The tube to use. Default: `default`. */
  readonly tube?: string | undefined
  /** The tubes to watch, instead of `default`. Default: `["default"]`. */
  readonly watch?: ReadonlyArray<string> | undefined
}

/** The options, checked, with their defaults. Durations are in milliseconds. */
export interface ConnectSettings {
  readonly name: string | undefined
  /** What is sent in the first round trip, besides `stats`. */
  readonly handshake: ReadonlyArray<Command<unknown, BeanstalkError.NotIgnored>>
  readonly connectTimeout: number
  readonly spans: boolean
  readonly session: Omit<SessionOptions, "onOpen" | "onEnd">
}

/** Throws `InvalidArgument`, as `Validate` does. */
export const checkOptions = (options: ConnectOptions & InitialTubes): ConnectSettings => ({
  name: options.name,
  handshake: handshake(options),
  connectTimeout: Validate.positiveDuration("connect", "connectTimeout", options.connectTimeout ?? "5 seconds"),
  spans: options.spans ?? false,
  session: {
    replyTimeout: Validate.positiveDuration("connect", "replyTimeout", options.replyTimeout ?? "10 seconds"),
    maxInFlight: Validate.positiveInteger("connect", "maxInFlight", options.maxInFlight ?? 4096),
    maxQueuedBytes: Validate.positiveInteger("connect", "maxQueuedBytes", options.maxQueuedBytes ?? 16 * 1024 * 1024),
    maxBodySize: Validate.positiveInteger("connect", "maxBodySize", options.maxBodySize ?? 1024 * 1024 * 1024)
  }
})

/** The commands that select and watch the tubes. `ignore` comes after `watch`: the last watched tube cannot be ignored. */
export const handshake = ({ tube, watch = [defaultTube] }: InitialTubes): ConnectSettings["handshake"] => {
  if (watch.length === 0) {
    throw new BeanstalkError.InvalidArgument({
      command: "connect",
      argument: "watch",
      reason: "must name at least one tube"
    })
  }
  const watched = watch.map((name) => Validate.tubeName("watch", name))
  return [
    ...watched.filter((name) => name !== defaultTube).map((name) => Commands.watch(name)),
    ...watched.includes(defaultTube) ? [] : [Commands.ignore(defaultTube)],
    ...tube === undefined ? [] : [Commands.use(Validate.tubeName("use", tube))]
  ]
}

/** A session that has completed its handshake. */
export interface ServerSession extends Session {
  readonly name: string | undefined
  /** The address of the server, as its `Connector` gives it. */
  readonly address: string
  /** What the server reports about itself in the handshake. */
  readonly server: ServerInfo
}

/**
 * Opens a session that ends with the scope. `onEnd` is called when it ends, before any command fails because of it. A failed
 * attempt leaves nothing in the scope.
 */
export const connect = (
  { connectTimeout, handshake, name, session: options, spans }: ConnectSettings,
  onEnd: SessionOptions["onEnd"] = constVoid
): Effect.Effect<ServerSession, BeanstalkError.ConnectFailed, Connector | Scope.Scope> =>
  Effect.flatMap(Connector, ({ address }) => {
    const attributes = {
      "beanstalkd.address": address,
      ...name === undefined ? {} : { "beanstalkd.connection": name }
    }
    let accepted = false
    const onOpen = () => {
      accepted = true
    }
    const opened = (observer?: SessionObserver) =>
      Effect.gen(function*() {
        const session = yield* makeSession({
          ...options,
          observer,
          onOpen,
          onEnd: (ending) => {
            observer?.onEnd()
            onEnd(ending)
          }
        }).pipe(
          Effect.mapError((cause) => connectFailed(address, cause))
        )
        // In one write.
        const server = yield* AtOnce.using((begin) =>
          Effect.gen(function*() {
            const stats = yield* begin(session.send(Commands.serverInfo))
            const others = yield* Effect.forEach(handshake, (command) => begin(session.send(command)))
            return yield* Effect.zipLeft(stats, Effect.all(others))
          })
        ).pipe(
          Effect.mapError((error) => handshakeFailed(address, error))
        )
        session.limitJobSize(server.maxJobSize)
        observer?.onConnected()
        return { ...session, name, address, server }
      }).pipe(
        Effect.onError(() => Effect.sync(() => observer?.onEnd()))
      )
    const connected = Effect.flatMap(
      Effect.serviceOption(ConnectionObserver),
      Option.match({
        onNone: () => opened(),
        onSome: ({ onConnecting }) => Effect.suspend(() => opened(onConnecting()))
      })
    )
    return connected.pipe(
      Effect.interruptible,
      Effect.timeoutFail({
        duration: connectTimeout,
        onTimeout: () =>
          timedOut(
            address,
            accepted
              ? `it accepted the connection, but did not complete the handshake within ${connectTimeout / 1000} seconds`
              : `no connection was established within ${connectTimeout / 1000} seconds`
          )
      }),
      acquireApart,
      withoutIterationMetadata,
      annotateLogs("BeanstalkConnection", attributes),
      spans ? inChildSpan(address, name) : identity
    )
  })

/** A span only as the child of another: a server that is away is not to make a trace of each attempt, which metrics count. */
const inChildSpan = (address: string, name: string | undefined) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.serviceOption(Tracer.ParentSpan),
    Option.match({
      onNone: () => self,
      onSome: (parent) =>
        Effect.useSpan("beanstalkd.connect", {
          parent,
          kind: "client",
          captureStackTrace: false,
          attributes: {
            ...SemanticConventions.ofServer(address),
            ...name === undefined ? {} : { "beanstalk.connection.name": name }
          }
        }, (span) =>
          Effect.onExit(self, (exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit)) span.attribute("error.type", errorTypeOf(exit.cause))
            })))
    })
  )

/**
 * Opens a session as {@link connect} does, and never dies: a connector that throws, or is interrupted, has failed to connect
 * like any other, so that a reconnect loop tries again.
 */
export const connectOrFail = (
  connector: typeof Connector.Service,
  settings: ConnectSettings,
  onEnd?: SessionOptions["onEnd"]
): Effect.Effect<ServerSession, BeanstalkError.ConnectFailed, Scope.Scope> =>
  connect(settings, onEnd).pipe(
    Effect.provideService(Connector, connector),
    Effect.catchAllCause((cause) => Effect.fail(asConnectFailed(cause, connector.address)))
  )

const asConnectFailed = (
  cause: Cause.Cause<BeanstalkError.ConnectFailed>,
  address: string
): BeanstalkError.ConnectFailed => {
  const error = Cause.squash(cause)
  return error instanceof BeanstalkError.ConnectFailed
    ? error
    : new BeanstalkError.ConnectFailed({ address, reason: "Unreachable", detail: String(error), cause: error })
}

/** The reason of a failed handshake, from the error of its first command that failed. */
const handshakeFailed = (
  address: string,
  error: BeanstalkError.CommandError | BeanstalkError.NotIgnored
): BeanstalkError.ConnectFailed => {
  switch (error._tag) {
    case "ConnectionLost":
      return error.cause instanceof ReplyTimedOut
        ? timedOut(address, error.reason, error)
        : connectFailed(address, error.cause, error.reason)
    case "ProtocolViolation":
      return new BeanstalkError.ConnectFailed({
        address,
        reason: "Handshake",
        detail: `it sent ${error.reply}`,
        cause: error
      })
    default:
      return new BeanstalkError.ConnectFailed({
        address,
        reason: "Handshake",
        detail: `it answered ${error.command} with ${error._tag}`,
        cause: error
      })
  }
}

const timedOut = (
  address: string,
  detail: string,
  cause?: BeanstalkError.ConnectionLost
): BeanstalkError.ConnectFailed => new BeanstalkError.ConnectFailed({ address, reason: "TimedOut", detail, cause })

const connectFailed = (
  address: string,
  cause: unknown,
  detail = innermostMessage(cause)
): BeanstalkError.ConnectFailed =>
  new BeanstalkError.ConnectFailed({
    address,
    reason: Socket.isSocketError(cause) && cause.reason === "Open" ? "Unreachable" : "Handshake",
    detail,
    cause
  })
