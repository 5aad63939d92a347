/** The servers that a command is for. */
import * as Arr from "effect/Array"
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
import { serverOf } from "../../internal/values/qualifiedId.ts"
import { findClash, serverNumber } from "../../internal/values/serverNumber.ts"
import type { JobId } from "../../Job.ts"
import * as NodeConnector from "../../node/NodeConnector.ts"
import { type Failure, WrongUsage } from "../failures.ts"
import { messageOf } from "../messages.ts"
import { Output } from "../terminal/output.ts"
import { listed } from "../terminal/text.ts"

export interface Server {
  readonly url: string
  /** The address for people: `127.0.0.1:11300`. */
  readonly address: string
  /**
   * Its number among servers that are meant together: the ids of jobs tell it then, on connections and in clients. `undefined` for a
   * server that is meant by itself, whose ids are its own.
   */
  readonly number: number | undefined
  /** How its clients connect. */
  readonly client: ClientSettings
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

interface ClientSettings {
  readonly connector: typeof Connector.Service
  readonly options: BeanstalkClient.Options
}

/** Whether an id may be that of a job of the server. */
export const isOf = ({ number }: Server, id: JobId): boolean => number === undefined || number === serverOf(id)

export class Servers
  extends Context.Tag("effect-beanstalk/cli/Servers")<Servers, Arr.NonEmptyReadonlyArray<Server>>()
{}

/** The server of a command that is for one. */
export const theServer: Effect.Effect<Server, never, Servers> = Effect.map(Servers, ([server]) => server)

/** The addresses of the servers of a command: `127.0.0.1:11300 and 127.0.0.1:11301`. */
export const theAddresses: Effect.Effect<string, never, Servers> = Effect.map(
  Servers,
  (servers) => listed(servers.map(({ address }) => address), "and")
)

/** For what is said of a command that several servers were for: where, and the same for a record. */
export const whereIfSeveral: Effect.Effect<
  { readonly text: string; readonly record: { readonly urls?: ReadonlyArray<string> } },
  never,
  Servers
> = Effect.flatMap(Servers, (servers) =>
  servers.length === 1
    ? Effect.succeed({ text: "", record: {} })
    : Effect.map(theAddresses, (addresses) => ({
      text: ` on ${addresses}`,
      record: { urls: servers.map(({ url }) => url) }
    })))

type Connecting<A> = Effect.Effect<A, Failure, Servers | Output | Scope.Scope>

/**
 * A connected client of the servers of a command: of several, a cluster. Fails, before anything is done, if one of them cannot be
 * reached.
 */
export const theClient: Connecting<BeanstalkClient.Client> = Effect.flatMap(Servers, (servers) =>
  servers.length === 1
    ? servers[0].connect
    : Effect.flatMap(connectAll(servers, { reconnect: Schedule.stop }), ({ cluster, failures }) =>
      failures.length === 0 ? Effect.succeed(cluster) : failWith(failures)))

/**
 * A client for a command that any of the servers can serve. Of several that cannot be reached it is said, and they are used once they
 * are there. Fails if none can be reached.
 */
export const anyClient: Connecting<BeanstalkClient.Client> = Effect.flatMap(
  Servers,
  (servers) => servers.length === 1 ? servers[0].connect : anyOf(servers)
)

/** The same for a command that runs until it is interrupted. */
export const lastingClient: Connecting<BeanstalkClient.Client> = Effect.flatMap(
  Servers,
  (servers) => servers.length === 1 ? servers[0].stayConnected : anyOf(servers)
)

/** A client for a command about jobs that are named: of several servers, only those of the jobs must be there. */
export const clientById: Connecting<BeanstalkClient.Client> = Effect.flatMap(
  Servers,
  (servers): typeof theClient =>
    servers.length === 1
      ? servers[0].connect
      : Effect.map(connectAll(servers, { reconnect: Schedule.stop }), ({ cluster }) => cluster)
)

/** What a connection and a client have in common. */
export type Common = Pick<BeanstalkClient.Client, "address" | "listTubes" | "pauseTube" | "statsTube">

/** For a command that needs no more, a connection: of several servers, a client as {@link theClient}. */
export const theCommon: Connecting<Common> = Effect.flatMap(
  Servers,
  (servers): Connecting<Common> => servers.length === 1 ? servers[0].open : theClient
)

/** A connection to the server of a command that is for one. */
export const theConnection: Effect.Effect<
  BeanstalkConnection.Connection,
  ConnectFailed | InvalidArgument,
  Servers | Scope.Scope
> = Effect.flatMap(theServer, ({ open }) => open)

/** Connections to those servers that can be reached, as {@link anyClient} has it. */
export const anyConnections: Connecting<Arr.NonEmptyReadonlyArray<BeanstalkConnection.Connection>> = Effect.gen(
  function*() {
    const opened = yield* Effect.forEach(yield* Servers, ({ open }) => Effect.either(open), {
      concurrency: "unbounded"
    })
    const [failures, connections] = Arr.separate(opened)
    if (!Arr.isNonEmptyReadonlyArray(connections)) return yield* failWith(failures)
    yield* tell(failures)
    return connections
  }
)

/** Fails if one of several servers cannot be reached any more. */
export const allThere: Effect.Effect<void, ConnectFailed | InvalidArgument, Servers> = Effect.flatMap(
  Servers,
  (servers) =>
    servers.length === 1
      ? Effect.void
      : Effect.forEach(servers, ({ open }) => Effect.scoped(open), { concurrency: "unbounded", discard: true })
)

/** Notes all failures but the first, and fails with that. */
const failWith = <E extends Failure>([failure, ...more]: ReadonlyArray<E>): Effect.Effect<never, E, Output> =>
  failure === undefined ? Effect.dieMessage("there is no failure") : Effect.zipRight(tell(more), Effect.fail(failure))

const tell = (failures: ReadonlyArray<Failure>) =>
  Effect.flatMap(
    Output,
    ({ note }) => Effect.forEach(failures, (failure) => note(`beanstalk: ${messageOf(failure)}`), { discard: true })
  )

type Several = Arr.NonEmptyReadonlyArray<Server>

const anyOf = (servers: Several) =>
  Effect.flatMap(
    connectAll(servers),
    ({ cluster, failures }) =>
      failures.length === servers.length ? failWith(failures) : Effect.as(tell(failures), cluster)
  )

const connectAll = (servers: Several, own: BeanstalkClient.Options = {}) =>
  Effect.flatMap(
    Effect.zip(Effect.promise(() => import("./cluster.ts")), theAddresses),
    ([{ connect }, name]) =>
      connect(servers.map(({ client }) => client.connector), { ...servers[0].client.options, ...own, name })
  )

const loadClient = Effect.promise(() => import("../../BeanstalkClient.ts"))

/** A server at a URL, which is meant by itself. Fails if it is no URL of a server. */
export const make = (url: string, timeout: Duration.DurationInput): Effect.Effect<Server, InvalidArgument> =>
  makeOf(url, { timeout, areTogether: false })

export interface LayerOptions {
  /** How long a server may take to connect, and later to answer. */
  readonly timeout: Duration.DurationInput
  /** Whether the servers are meant together, so that the ids of jobs tell the server. */
  readonly areTogether: boolean
}

const makeOf = (url: string, { areTogether, timeout }: LayerOptions): Effect.Effect<Server, InvalidArgument> =>
  Effect.map(Effect.scoped(Layer.build(NodeConnector.layerUrl(url))), (context) => {
    const { address, socket } = Context.get(context, Connector)
    const number = areTogether ? serverNumber(address) : undefined
    const connector = { address, socket, server: number }
    const options = { connectTimeout: timeout, offlineTimeout: timeout, replyTimeout: timeout }
    const client = (own: BeanstalkClient.Options) =>
      Effect.provideService(
        Effect.flatMap(loadClient, ({ make }) => make({ ...options, ...own })),
        Connector,
        connector
      )
    return {
      url,
      address,
      number,
      client: { connector, options },
      open: Effect.provideService(BeanstalkConnection.make(options), Connector, connector),
      connect: Effect.tap(client({ reconnect: Schedule.stop }), ({ ready }) => ready),
      // `ready` would wait for the second attempt, and more.
      stayConnected: Effect.tap(client({}), ({ lease }) => Effect.scoped(lease))
    }
  })

export const layer = (
  urls: Arr.NonEmptyReadonlyArray<string>,
  options: LayerOptions
): Layer.Layer<Servers, InvalidArgument | WrongUsage> =>
  Layer.effect(
    Servers,
    Effect.tap(
      Effect.forEach(urls, (url) => makeOf(url, options)),
      (servers) => options.areTogether ? checkNumbers(servers) : Effect.void
    )
  )

/** The number comes from the address, so that ids are the same whatever the order of the URLs. */
const checkNumbers = (servers: Several): Effect.Effect<void, WrongUsage> => {
  const clash = findClash(servers.map(({ address }) => address))
  if (clash === undefined) return Effect.void
  const { number, one, other } = clash
  return new WrongUsage({
    message: one === other
      ? `--url: ${one} is given twice.`
      : `--url: ${one} and ${other} have the same number in ids, ${number}: give one of them by another name or address.`
  })
}

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
    const results = yield* Effect.forEach(
      servers,
      (server) => look(server).pipe(Effect.map((seen) => ({ server, seen })), Effect.either),
      { concurrency: "unbounded" }
    )
    const seen = results.flatMap((result) => Either.isRight(result) ? [result.right] : [])
    const failures = results.flatMap((result) => Either.isLeft(result) ? [result.left] : [])
    if (seen.length > 0) yield* show(seen, servers.length === 1)
    if (failures.length > 0) yield* failWith(failures)
  })
