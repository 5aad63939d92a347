/**
 * For tests against a server: connections, tubes of their own, and sockets for bytes that the client would not send.
 */
import { type BeanstalkCluster, BeanstalkConnection, BeanstalkProtocol, Connector } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { ofServers } from "./clusterConnection.ts"
import { Beanstalkd, type Listening, type Server, type Target } from "./server.ts"

export const connectorTo = (target: Target): Layer.Layer<Connector.Connector> =>
  "path" in target ? NodeConnector.layerUnix(target) : NodeConnector.layer(target)

/** A connection that closes with the scope. */
export const openTo = (
  server: Pick<Server, "connector" | "members"> | Pick<Listening, "target">,
  options?: BeanstalkConnection.Options
) => {
  const connector = "connector" in server ? server.connector : connectorTo(server.target)
  return "members" in server && server.members !== undefined
    ? openToAll(server.members, options)
    : Effect.provide(BeanstalkConnection.make(options), connector)
}

/** A connection to each server of a cluster, as one. */
const openToAll = (members: ReadonlyArray<BeanstalkCluster.Server>, options?: BeanstalkConnection.Options) =>
  Effect.map(
    Effect.forEach(members, ({ connector, id }) =>
      Effect.gen(function*() {
        const { address, socket } = yield* Connector.Connector
        const open = BeanstalkConnection.make(options)
        return [id, yield* Effect.provideService(open, Connector.Connector, { address, socket, server: id })] as const
      }).pipe(Effect.provide(connector))),
    (connections) => ofServers(new Map(connections))
  )

/** A connection to the server that the tests of the file share. */
export const open = (options?: BeanstalkConnection.Options) =>
  Effect.flatMap(Beanstalkd, (server) => openTo(server, options))

let tubes = 0

/** The name of a tube that no other test uses. */
export const newTube = Effect.sync(() => `tube-${tubes += 1}`)

/** A connection to the shared server that uses and watches nothing but a tube of its own. */
export const openOwnTube = (options?: BeanstalkConnection.Options) =>
  Effect.gen(function*() {
    const tube = yield* newTube
    const beanstalk = yield* open({ tube, watch: [tube], ...options })
    return { tube, beanstalk }
  })

/** Puts a job of each state that needs no reservation into a tube of its own. */
export const putOfEachState = (beanstalk: BeanstalkConnection.Connection) =>
  Effect.gen(function*() {
    const tube = yield* newTube
    const ready = yield* beanstalk.put("ready", { tube })
    const delayed = yield* beanstalk.put("delayed", { tube, delay: "1 hour" })
    const buried = yield* beanstalk.put("buried", { tube })
    yield* beanstalk.reserveJob(buried)
    yield* beanstalk.bury(buried, 0)
    return { tube, ready, delayed, buried }
  })

/** The expected failure. Dies if the effect succeeds or fails otherwise. */
export const failsWith = <A, E extends { readonly _tag: string }, R, const Tag extends E["_tag"]>(
  effect: Effect.Effect<A, E, R>,
  tag: Tag
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, never, R> => {
  const isExpected = (error: E): error is Extract<E, { readonly _tag: Tag }> => error._tag === tag
  return Effect.flatMap(Effect.either(effect), (result) => {
    if (Either.isRight(result)) return Effect.dieMessage(`it should fail with ${tag}, but succeeded`)
    return isExpected(result.left) ? Effect.succeed(result.left) : Effect.die(result.left)
  })
}

class NotYet extends Data.TaggedError("NotYet")<{ readonly seen: unknown }> {
  override get message() {
    return `The condition did not come true. The last value read was ${JSON.stringify(this.seen)}`
  }
}

/** Reads until the condition is true of what was read, for a minute at most. */
export const eventually = <A, E, R>(
  read: Effect.Effect<A, E, R>,
  condition: (value: A) => boolean
): Effect.Effect<A, never, R> =>
  read.pipe(
    Effect.filterOrFail(condition, (seen) => new NotYet({ seen })),
    Effect.retry({
      while: (error) => error instanceof NotYet,
      schedule: Schedule.upTo(Schedule.spaced("5 millis"), "1 minute")
    }),
    Effect.orDie
  )

/** Makes a connection, and collects the lines that it logs at Trace: one for each that it sends and receives. */
export const traced = <E, R>(make: Effect.Effect<BeanstalkConnection.Connection, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push([message].flat().join(" ")))
    return make.pipe(
      Effect.map((beanstalk) => ({ beanstalk, lines })),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.Trace)
    )
  })

/** The lines that were sent, of those that {@link traced} collects. */
export const sent = (lines: ReadonlyArray<string>) =>
  lines.filter((line) => line.startsWith("> ")).map((line) => line.slice(2))

/** A socket for bytes that the client would not send, with the server's replies, decoded. */
export interface Raw {
  readonly say: (bytes: string | Uint8Array) => Effect.Effect<void>
  readonly hear: Effect.Effect<BeanstalkProtocol.Reply>
  /** Sends bytes that have one reply, and waits for it. */
  readonly ask: (bytes: string | Uint8Array) => Effect.Effect<BeanstalkProtocol.Reply>
}

export const openRaw = (server: Pick<Listening, "connect">): Effect.Effect<Raw, never, Scope.Scope> =>
  Effect.gen(function*() {
    const replies = yield* Queue.unbounded<BeanstalkProtocol.Reply>()
    const decoder = new BeanstalkProtocol.ReplyDecoder(1024 * 1024)
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => server.connect()),
      (socket) => Effect.sync(() => socket.destroy())
    )
    socket.on("data", (chunk) => decoder.push(chunk, (reply) => void Queue.unsafeOffer(replies, reply)))
    const say = (bytes: string | Uint8Array) => Effect.sync(() => void socket.write(bytes))
    const hear = Queue.take(replies)
    return { say, hear, ask: (bytes) => Effect.zipRight(say(bytes), hear) }
  })

/** The failure that a reply is to a command, if it is one. */
export const failureOf = <A, E>(command: BeanstalkProtocol.Command<A, E>, reply: BeanstalkProtocol.Reply) => {
  const decoded = command.decode(reply, "the server")
  return decoded._tag === "Failure" ? decoded : undefined
}

/** The instance id of a server, asked without the client. */
export const idOf = (server: Pick<Listening, "connect">) =>
  Effect.gen(function*() {
    const raw = yield* openRaw(server)
    const decoded = BeanstalkProtocol.stats.decode(yield* raw.ask("stats\r\n"), "the server")
    return decoded._tag === "Success" ? decoded.value.id : yield* Effect.die(decoded.error)
  }).pipe(Effect.scoped)

/** Listens on a port of this machine until the scope closes, which also closes the connections. */
export const listen = (
  onConnection: (client: Net.Socket) => void,
  { host = "127.0.0.1", make = (onConnection) => Net.createServer(onConnection), port = 0 }: {
    readonly host?: string
    /** Default: any that is free. */
    readonly port?: number
    readonly make?: (onConnection: (client: Net.Socket) => void) => Net.Server
  } = {}
): Effect.Effect<{ readonly host: string; readonly port: number }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Net.Socket>()
    const listener = make((client) => {
      client.on("error", () => client.destroy())
      onConnection(client)
    })
    listener.on("connection", (socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    })
    return yield* Effect.acquireRelease(
      Effect.async<{ readonly host: string; readonly port: number }>((resume) => {
        listener.once("error", (error) => resume(Effect.die(error)))
        listener.listen(port, host, () => {
          const address = listener.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({ host, port }))
        })
      }),
      () =>
        Effect.async<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          listener.close(() => resume(Effect.void))
        })
    )
  })

/** What a proxy does with the bytes of each direction. Default: it passes them on. */
export interface Interference {
  readonly toServer?: ((bytes: Buffer, client: Net.Socket, upstream: Net.Socket) => void) | undefined
  readonly toClient?: ((bytes: Buffer, client: Net.Socket, upstream: Net.Socket) => void) | undefined
}

/** Connects a client to the server, with this interference in between. */
export const interfere =
  (server: Pick<Listening, "connect">, { toClient, toServer }: Interference = {}) => (client: Net.Socket): void => {
    const upstream = server.connect()
    const passOn = {
      toServer: (bytes: Buffer) => upstream.write(bytes),
      toClient: (bytes: Buffer) => client.write(bytes)
    }
    client.on("data", (bytes) => (toServer ?? passOn.toServer)(bytes, client, upstream))
    upstream.on("data", (bytes) => (toClient ?? passOn.toClient)(bytes, client, upstream))
    client.on("close", () => upstream.destroy())
    upstream.on("error", () => client.destroy())
    upstream.on("close", () => client.end())
  }

/** A port where {@link interfere} connects each client to the server. */
export const proxy = (server: Pick<Listening, "connect">, interference?: Interference) =>
  Effect.map(listen(interfere(server, interference)), (target) => ({ target }))
