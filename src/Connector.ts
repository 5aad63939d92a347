/**
 * The one seam to the outside: how a socket to one beanstalkd is opened.
 *
 * `NodeConnector` in `effect-beanstalk/node` provides it for TCP, unix sockets and TLS. Any other runtime needs a
 * `Socket` of `@effect/platform` and these few lines.
 *
 * @since 0.1.0
 */
import type * as Socket from "@effect/platform/Socket"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * How a socket to one beanstalkd is opened, and what to call that beanstalkd in messages.
 *
 * A socket should be destroyed when its `run` ends. `NodeSocket.makeNet` waits until everything is written instead, and so
 * keeps the socket of a peer that has stopped reading: `NodeConnector` does not.
 *
 * **Example** (a connector of one's own)
 *
 * ```ts
 * const layer = Layer.succeed(Connector.Connector, {
 *   address: "queue.internal:11300",
 *   socket: NodeSocket.makeNet({ host: "queue.internal", port: 11300, noDelay: true })
 * })
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export class Connector extends Context.Tag("effect-beanstalk/Connector")<Connector, {
  /** The server as people know it. It appears in errors, logs and spans. */
  readonly address: string
  /**
   * A new socket each time it is run. Opening it may be left to the socket's own `run`; Nagle's algorithm should be off.
   */
  readonly socket: Effect.Effect<Socket.Socket, Socket.SocketError>
}>() {}
