/**
 * The embedded server on a port or a unix socket, for clients in other processes and languages.
 *
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
 * Where to listen, and what kind of server to be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends EmbeddedServer.Options {
  /** The address to listen on. Default: `127.0.0.1`. There is no authentication: whoever reaches the port can do everything. */
  readonly host?: string | undefined
  /** Default: one that is free. */
  readonly port?: number | undefined
  /** Listen on a unix socket at this path instead. A socket that is there already is replaced, as beanstalkd does. */
  readonly path?: string | undefined
}

/**
 * A server that listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening extends EmbeddedServer.Server {
  /** Where it listens, in the words of `NodeBeanstalk.layerConnection({ url })`: `beanstalk://127.0.0.1:40404` or `unix:/path`. */
  readonly url: string
}

/**
 * A server that listens until the scope closes, and cuts all its connections then.
 *
 * Fails with `SocketServerError` when it cannot listen there.
 *
 * **Gotchas**
 *
 * A client that closes while it waits in a reserve looks like one that has said all it wants to and still listens. What it has
 * sent behind the reserve is done; the real server does one command more, and then finds the connection broken.
 *
 * **Example** (a server for a client in another process)
 *
 * ```ts
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
    const { host, server } = yield* internal.start(options, process.pid)
    const sockets = new Set<Net.Socket>()
    const listener = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      serve(host, socket)
    })
    // An empty address would be all addresses to Node.
    const where = options.path === undefined
      ? { host: options.host || "127.0.0.1", port: options.port ?? 0 }
      : { path: options.path }
    if (options.path !== undefined) yield* replaceSocket(options.path)
    yield* Effect.acquireRelease(opened(listener, where), () => closed(listener, sockets))
    return { ...server, url: urlOf(listener.address()) }
  })

const cannotOpen = (cause: unknown) => new SocketServer.SocketServerError({ reason: "Open", cause })

/** A server that was killed leaves its socket behind, at which nobody listens. */
const replaceSocket = (path: string) =>
  Effect.try({
    try: () => {
      if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path)
    },
    catch: cannotOpen
  })

const opened = (listener: Net.Server, where: Net.ListenOptions) =>
  Effect.async<void, SocketServer.SocketServerError>((resume) => {
    // It stays: an error that nobody hears ends the process, and there may be some when it has long been listening.
    listener.on("error", (cause) => resume(cannotOpen(cause)))
    try {
      listener.listen(where, () => resume(Effect.void))
    } catch (cause) {
      // A port that cannot be.
      resume(cannotOpen(cause))
    }
  })

/** Cuts those too that the server has closed, but whose peers have not read its last words. */
const closed = (listener: Net.Server, sockets: Iterable<Net.Socket>) =>
  Effect.sync(() => {
    listener.close()
    for (const socket of sockets) reset(socket)
  })

/** Only TCP knows how to reset. */
const reset = (socket: Net.Socket) =>
  void (socket.remoteFamily === undefined ? socket.destroy() : socket.resetAndDestroy())

const urlOf = (address: ReturnType<Net.Server["address"]>): string => {
  if (address === null || typeof address === "string") return `unix:${address}`
  return address.family === "IPv6"
    ? `beanstalk://[${address.address}]:${address.port}`
    : `beanstalk://${address.address}:${address.port}`
}

const serve = (host: ServerHost, socket: Net.Socket): void => {
  const line = host.open({
    deliver: (bytes) => socket.write(bytes),
    listen: (isListening) => void (isListening ? socket.resume() : socket.pause()),
    end: () => socket.destroySoon(),
    reset: () => reset(socket)
  })
  if (line === undefined) return reset(socket)
  socket.on("data", (chunk) => line.receive(chunk))
  socket.on("drain", () => line.resume())
  socket.on("end", () => line.end())
  socket.on("error", () => line.reset())
  socket.on("close", () => line.hangUp())
}
