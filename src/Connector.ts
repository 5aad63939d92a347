/**
 * How a socket to one beanstalkd is opened: the only part of this library that depends on the runtime.
 *
 * `NodeConnector` in `effect-beanstalk/node` provides it for TCP, unix sockets and TLS. On any other runtime, provide it with
 * a `Socket` of `@effect/platform`.
 *
 * @module
 * @since 0.1.0
 */

import type * as Socket from "@effect/platform/Socket"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * How a socket to one beanstalkd is opened, and the address of that server for errors, logs and spans.
 *
 * **Gotchas**
 *
 * A socket should be destroyed when its `run` ends. `NodeSocket.makeNet` waits until everything is written instead, and so
 * leaks the socket of a peer that has stopped reading. `NodeConnector` destroys it.
 *
 * **Example** (a custom connector)
 *
 * ```ts
 * import { NodeSocket } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Connector } from "effect-beanstalk"
 *
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
  /** The address of the server, for people: `localhost:11300`. It appears in errors, logs and spans. */
  readonly address: string
  /**
   * The number of the server in a cluster, from 0 to 65,535. Connections then have qualified ids of jobs: see
   * `BeanstalkCluster`, which sets it. Default: none, and the ids are those of the server.
   */
  readonly server?: number | undefined
  /**
   * A new socket each time it is run. The socket may open only in its own `run`. Nagle's algorithm should be off.
   */
  readonly socket: Effect.Effect<Socket.Socket, Socket.SocketError>
}>() {}
