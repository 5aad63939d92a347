/**
 * The embedded server on a port or a unix socket, for clients in other processes and languages.
 *
 * @module
 * @since 0.1.0
 */

import * as SocketServer from "@effect/platform/SocketServer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { rmSync, statSync } from "node:fs"
import * as Net from "node:net"
import type * as EmbeddedServer from "../EmbeddedServer.ts"
import * as internal from "../internal/embedded/server.ts"
import type { ServerHost } from "../internal/embedded/serverHost.ts"

/**
 * Options of a server that listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends EmbeddedServer.Options {
  /**
   * The address to listen on. Default: `127.0.0.1`. beanstalkd has no authentication: anyone who can connect can read and delete
   * every job.
   */
  readonly host?: string | undefined
  /** The port to listen on. Default: a free one. */
  readonly port?: number | undefined
  /** Listens on a unix socket at this path instead. A socket file that exists there is replaced, as by beanstalkd. */
  readonly path?: string | undefined
}

/**
 * A server that listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening extends EmbeddedServer.Server {
  /**
   * Where it listens, as `NodeBeanstalk.layerConnection({ url })` takes it: `beanstalk://127.0.0.1:40404` or `unix:/path`, with
   * percent-encoding where the path needs it.
   */
  readonly url: string
}

/**
 * Starts a server that listens until the scope closes. All connections are reset then.
 *
 * Fails with `SocketServerError` when it cannot listen at that address or path.
 *
 * **Gotchas**
 *
 * When a client closes its connection while it waits in a reserve, Node does not report whether the client still reads. All
 * commands that it sent after the reserve are executed. The real server executes one of them, and then detects the closed
 * connection.
 *
 * **Example** (a server for a client in another process)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { NodeEmbeddedServer } from "effect-beanstalk/node"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* NodeEmbeddedServer.listen({ port: 11300 })
 *   yield* Console.log(`listening at ${server.url}`)
 *   yield* Effect.never
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen = (
  options: Options = {}
): Effect.Effect<Listening, SocketServer.SocketServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const { server, serverHost } = yield* internal.start(options, process.pid)
    const sockets = new Set<Net.Socket>()
    const listener = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      serve(serverHost, socket)
    })
    // Node takes an empty address for all addresses.
    const where = options.path === undefined
      ? { host: options.host || "127.0.0.1", port: options.port ?? 0 }
      : { path: options.path }
    if (options.path !== undefined) yield* replaceSocket(options.path)
    yield* Effect.acquireRelease(opened(listener, where), () => closed(listener, sockets))
    return { ...server, url: urlOf(listener.address()) }
  })

const cannotOpen = (cause: unknown) => new SocketServer.SocketServerError({ reason: "Open", cause })

/** A server that was killed leaves its socket file behind. */
const replaceSocket = (path: string) =>
  Effect.try({
    try: () => {
      if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path)
    },
    catch: cannotOpen
  })

const opened = (listener: Net.Server, where: Net.ListenOptions) =>
  Effect.async<void, SocketServer.SocketServerError>((resume) => {
    // Never removed: an error event without a listener ends the process, and there may be errors while it is listening.
    listener.on("error", (cause) => resume(cannotOpen(cause)))
    try {
      listener.listen(where, () => resume(Effect.void))
    } catch (cause) {
      // Node throws when the port is out of range.
      resume(cannotOpen(cause))
    }
  })

/** Resets also the connections that the server has closed, but whose clients have not read the last replies. */
const closed = (listener: Net.Server, sockets: Iterable<Net.Socket>) =>
  Effect.sync(() => {
    listener.close()
    for (const socket of sockets) reset(socket)
  })

/** Unix sockets cannot be reset. */
const reset = (socket: Net.Socket) =>
  void (socket.remoteFamily === undefined ? socket.destroy() : socket.resetAndDestroy())

const urlOf = (address: ReturnType<Net.Server["address"]>): string => {
  if (address === null || typeof address === "string") return `unix:${encodePath(address ?? "")}`
  return address.family === "IPv6"
    ? `beanstalk://[${address.address}]:${address.port}`
    : `beanstalk://${address.address}:${address.port}`
}

/** Several slashes at the start would begin a host. Node and beanstalkd take them for one. */
const encodePath = (path: string) => path.replace(/^\/+/, "/").split("/").map(encodeURIComponent).join("/")

const serve = (serverHost: ServerHost, socket: Net.Socket): void => {
  const transport = serverHost.open({
    deliver: (bytes) => socket.write(bytes),
    setReading: (isReading) => void (isReading ? socket.resume() : socket.pause()),
    end: () => socket.destroySoon(),
    reset: () => reset(socket)
  })
  if (transport === undefined) return reset(socket)
  socket.on("data", (chunk) => transport.receive(chunk))
  socket.on("drain", () => transport.resume())
  socket.on("end", () => transport.end())
  socket.on("error", () => transport.reset())
  socket.on("close", () => transport.hangUp())
}
