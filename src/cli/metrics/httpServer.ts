/**
 * A small HTTP server for what is asked by GET.
 *
 * That of `@effect/platform-node` is not used: with it, 428 KB are read when the command starts, and not 138, in twice the time.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { SystemFailed } from "../failures.ts"
import { reasonOf } from "../files.ts"
import type { ListenAddress } from "../values/listenAddress.ts"

export interface Request {
  readonly path: string
  readonly query: URLSearchParams
}

export interface Response {
  readonly status: number
  readonly type?: string
  readonly body: string | Uint8Array
}

export const plain = (status: number, text: string): Response => ({ status, body: `${text}\n` })

/** What a client may take: milliseconds to send a request and to read the answer, and connections of all clients. */
const limits = { request: 10_000, connectionsChecked: 5000, answer: "30 seconds", connections: 256 } as const

/** Answers requests until the Scope closes, and succeeds with the URL. */
export const serve = <R>(
  { host, port }: ListenAddress,
  answer: (request: Request) => Effect.Effect<Response, never, R>
): Effect.Effect<string, SystemFailed, R | Scope.Scope> =>
  Effect.gen(function*() {
    const runFork = Runtime.runFork(yield* Effect.runtime<R>())
    const server = createServer(
      {
        headersTimeout: limits.request,
        requestTimeout: limits.request,
        connectionsCheckingInterval: limits.connectionsChecked
      },
      (message, response) => {
        const fiber = runFork(reply(message, response, answer))
        response.on("close", () => runFork(Fiber.interrupt(fiber)))
      }
    )
    server.maxConnections = limits.connections
    yield* Effect.acquireRelease(listen(server, { host, port }), () => close(server))
    return `http://${host.includes(":") ? `[${host}]` : host}:${portOf(server)}`
  })

const listen = (server: Server, { host, port }: ListenAddress) =>
  Effect.async<void, SystemFailed>((resume) => {
    server.once("error", (error) =>
      resume(new SystemFailed({ message: `cannot listen on ${host}:${port}: ${reasonOf(error)}.` })))
    server.listen(port, host, () =>
      resume(Effect.void))
  })

const close = (server: Server) =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const reply = <R>(
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
  answer: (request: Request) => Effect.Effect<Response, never, R>
): Effect.Effect<void, never, R> => {
  // A proxy may send the whole URL.
  const target = url.startsWith("/") ? `http://localhost${url}` : url
  const answered = method !== "GET" && method !== "HEAD"
    ? Effect.succeed(plain(405, "Only GET is answered."))
    : !URL.canParse(target)
    ? Effect.succeed(plain(400, "That is no path."))
    : Effect.suspend(() => {
      const { pathname: path, searchParams: query } = new URL(target)
      return answer({ path, query })
    })
  return answered.pipe(
    Effect.flatMap((content) => Effect.timeoutOption(write(response, content), limits.answer)),
    // One that is too slow to read it is cut off.
    Effect.ensuring(Effect.sync(() => response.writableFinished || response.destroy()))
  )
}

/** Writes a response, and waits until the client has read it. */
const write = (response: ServerResponse, { body, status, type = "text/plain; charset=utf-8" }: Response) =>
  Effect.async<void>((resume) => {
    response.writeHead(status, {
      "content-type": type,
      "content-length": Buffer.byteLength(body),
      ...status === 405 ? { allow: "GET, HEAD" } : {}
    })
    response.end(body, () => resume(Effect.void))
  })
