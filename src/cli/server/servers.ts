/** The servers that a command is for. */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as BeanstalkClient from "../../BeanstalkClient.ts"
import * as BeanstalkConnection from "../../BeanstalkConnection.ts"
import type { ConnectFailed, InvalidArgument } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import * as NodeConnector from "../../node/NodeConnector.ts"
import type { Failure } from "../failures.ts"
import { messageOf } from "../messages.ts"
import { Output } from "../terminal/output.ts"

export interface Server {
  readonly url: string
  /** The address for people: `127.0.0.1:11300`. */
  readonly address: string
  /** A connection, for those who need no more. A client would take an eighth of the time of a short command to load. */
  readonly open: Effect.Effect<BeanstalkConnection.Connection, ConnectFailed | InvalidArgument, Scope.Scope>
  /**
   * Connects, with one attempt. When the connection is lost later, commands fail: who runs a command decides whether to run it
   * again.
   */
  readonly connect: Effect.Effect<BeanstalkClient.Client, ConnectFailed | InvalidArgument, Scope.Scope>
  /** The same for a command that runs until it is interrupted: it connects again whenever the connection is lost. */
  readonly stayConnected: Effect.Effect<BeanstalkClient.Client, ConnectFailed | InvalidArgument, Scope.Scope>
}

export class Servers
  extends Context.Tag("effect-beanstalk/cli/Servers")<Servers, Arr.NonEmptyReadonlyArray<Server>>()
{}

/** The server of a command that is for one. */
export const theServer: Effect.Effect<Server, never, Servers> = Effect.map(Servers, ([server]) => server)

/** A connected client of the server of a command that is for one. */
export const theClient: Effect.Effect<BeanstalkClient.Client, ConnectFailed | InvalidArgument, Servers | Scope.Scope> =
  Effect.flatMap(theServer, ({ connect }) => connect)

/** A connection to the server of a command that is for one. */
export const theConnection: Effect.Effect<
  BeanstalkConnection.Connection,
  ConnectFailed | InvalidArgument,
  Servers | Scope.Scope
> = Effect.flatMap(theServer, ({ open }) => open)

const loadClient = Effect.promise(() => import("../../BeanstalkClient.ts"))

/** The server at a URL, and how long it may take to connect, and later to answer. Fails if it is no URL of a server. */
export const make = (url: string, timeout: Duration.DurationInput): Effect.Effect<Server, InvalidArgument> =>
  Effect.map(Effect.scoped(Layer.build(NodeConnector.layerUrl(url))), (context) => {
    const connector = Context.get(context, Connector)
    const client = (options: BeanstalkClient.Options) =>
      Effect.provideService(
        Effect.flatMap(
          loadClient,
          ({ make }) => make({ connectTimeout: timeout, offlineTimeout: timeout, replyTimeout: timeout, ...options })
        ),
        Connector,
        connector
      )
    return {
      url,
      address: connector.address,
      open: Effect.provideService(
        BeanstalkConnection.make({ connectTimeout: timeout, replyTimeout: timeout }),
        Connector,
        connector
      ),
      connect: Effect.tap(client({ reconnect: Schedule.stop }), ({ ready }) => ready),
      // `ready` would wait for the second attempt, and more.
      stayConnected: Effect.tap(client({}), ({ lease }) => Effect.scoped(lease))
    }
  })

export const layer = (
  urls: Arr.NonEmptyReadonlyArray<string>,
  timeout: Duration.Duration
): Layer.Layer<Servers, InvalidArgument> => Layer.effect(Servers, Effect.forEach(urls, (url) => make(url, timeout)))

/** A server, and what was seen on it. */
export interface Seen<out A> {
  readonly server: Server
  readonly seen: A
}

/** Looks at all servers as {@link lookAtEach} does, with a client of each. */
export const lookAtAll = <A, E extends Failure, R, E2, R2>(
  look: (client: BeanstalkClient.Client, server: Server) => Effect.Effect<A, E, R>,
  show: (seen: ReadonlyArray<Seen<A>>, isOne: boolean) => Effect.Effect<void, E2, R2>
) => lookAtEach((server) => Effect.flatMap(server.connect, (client) => look(client, server)), show)

/**
 * Looks at all servers at the same time. If some cannot be looked at, `show` gets what the others said, and then it fails with the
 * first failure, having noted the rest.
 */
export const lookAtEach = <A, E extends Failure, R, E2, R2>(
  look: (server: Server) => Effect.Effect<A, E, R>,
  show: (seen: ReadonlyArray<Seen<A>>, isOne: boolean) => Effect.Effect<void, E2, R2>
): Effect.Effect<void, E | E2, R | R2 | Servers | Output> =>
  Effect.gen(function*() {
    const servers = yield* Servers
    const { note } = yield* Output
    const results = yield* Effect.forEach(
      servers,
      (server) => look(server).pipe(Effect.map((seen) => ({ server, seen })), Effect.either),
      { concurrency: "unbounded" }
    )
    const seen = results.flatMap((result) => Either.isRight(result) ? [result.right] : [])
    const [failure, ...more] = results.flatMap((result) => Either.isLeft(result) ? [result.left] : [])
    if (seen.length > 0) yield* show(seen, servers.length === 1)
    for (const other of more) yield* note(`beanstalk: ${messageOf(other)}`)
    if (failure !== undefined) yield* Effect.fail(failure)
  })
