/**
 * Layers for Node that provide a connection or a client together with its connector.
 *
 * @module
 * @since 0.1.0
 */

import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BeanstalkClient from "../BeanstalkClient.ts"
import * as BeanstalkConnection from "../BeanstalkConnection.ts"
import type { ConnectFailed, InvalidArgument } from "../BeanstalkError.ts"
import type { Connector } from "../Connector.ts"
import * as NodeConnector from "./NodeConnector.ts"

/**
 * Where the server is: at a host and port, at the path of a unix socket, behind a TLS proxy, or at a URL.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerOptions =
  | (NodeConnector.TlsOptions & { readonly path?: undefined; readonly url?: undefined })
  | (NodeConnector.UnixOptions & NoTcp & { readonly tls?: undefined; readonly url?: undefined })
  | (NodeConnector.UrlOptions & NoTcp & { readonly path?: undefined })

type NoTcp = { readonly [Option in keyof NodeConnector.TcpOptions]?: undefined }

/**
 * Options of a connection, and where the server is.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionOptions = ServerOptions & BeanstalkConnection.Options

const connector = (options: ServerOptions): Layer.Layer<Connector, InvalidArgument> => {
  if (options.url !== undefined) return NodeConnector.layerUrl(options.url, options)
  if (options.path !== undefined) return NodeConnector.layerUnix(options)
  return options.tls === undefined ? NodeConnector.layer(options) : NodeConnector.layerTls(options)
}

/**
 * Provides one connection. It fails with `ConnectFailed` when it cannot connect, and with `InvalidArgument` when the URL is invalid.
 *
 * **Example** (one connection by TCP)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const program = Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (beanstalk) => beanstalk.put("hello"))
 *
 * const main = Effect.provide(program, NodeBeanstalk.layerConnection({ host: "localhost", port: 11300 }))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnection = (
  options: ConnectionOptions = {}
): Layer.Layer<BeanstalkConnection.BeanstalkConnection, ConnectFailed | InvalidArgument> =>
  Layer.provide(BeanstalkConnection.layer(options), connector(options))

/**
 * Provides one connection, with options from `Config`.
 *
 * **Example** (host and port from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const ConnectionLive = NodeBeanstalk.layerConnectionConfig({
 *   host: Config.string("BEANSTALKD_HOST"),
 *   port: Config.withDefault(Config.integer("BEANSTALKD_PORT"), 11300)
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnectionConfig = (
  options: Config.Config.Wrap<ConnectionOptions>
): Layer.Layer<
  BeanstalkConnection.BeanstalkConnection,
  ConnectFailed | InvalidArgument | ConfigError.ConfigError
> => Layer.unwrapEffect(Effect.map(Config.unwrap(options), layerConnection))

/**
 * Provides one connection to the server whose URL is in the environment variable `BEANSTALKD_URL`.
 *
 * **Example** (with `BEANSTALKD_URL=beanstalk://localhost:11300`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const program = Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (beanstalk) => beanstalk.put("hello"))
 *
 * const main = Effect.provide(program, NodeBeanstalk.layerConnectionEnv)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnectionEnv: Layer.Layer<
  BeanstalkConnection.BeanstalkConnection,
  ConnectFailed | InvalidArgument | ConfigError.ConfigError
> = Layer.provide(BeanstalkConnection.layer(), NodeConnector.layerEnv)

/**
 * Options of a client, and where the server is.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientOptions = ServerOptions & BeanstalkClient.Options

/**
 * Provides a client. It connects when it is first used, and reconnects when a connection is lost. It fails with `InvalidArgument`
 * when the URL is invalid.
 *
 * **Example** (a client of the server at a URL)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const program = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.put("greetings", "hello"))
 *
 * const main = Effect.provide(program, NodeBeanstalk.layerClient({ url: "beanstalk://localhost:11300" }))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  options: ClientOptions = {}
): Layer.Layer<BeanstalkClient.BeanstalkClient, InvalidArgument> =>
  Layer.provide(BeanstalkClient.layer(options), connector(options))

/**
 * Provides a client, with options from `Config`.
 *
 * **Example** (the URL from a variable of another name)
 *
 * ```ts
 * import { Config } from "effect"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const ClientLive = NodeBeanstalk.layerClientConfig({ url: Config.string("QUEUE_URL") })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientConfig = (
  options: Config.Config.Wrap<ClientOptions>
): Layer.Layer<BeanstalkClient.BeanstalkClient, InvalidArgument | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layerClient))

/**
 * Provides a client of the server whose URL is in the environment variable `BEANSTALKD_URL`.
 *
 * **Example** (with `BEANSTALKD_URL=beanstalk://localhost:11300`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeBeanstalk } from "effect-beanstalk/node"
 *
 * const program = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.put("greetings", "hello"))
 *
 * const main = Effect.provide(program, NodeBeanstalk.layerClientEnv)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientEnv: Layer.Layer<
  BeanstalkClient.BeanstalkClient,
  InvalidArgument | ConfigError.ConfigError
> = Layer.provide(BeanstalkClient.layer(), NodeConnector.layerEnv)
