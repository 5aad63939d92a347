/**
 * One line each: everything a Node program needs to talk to a beanstalkd.
 *
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
 * Where the server is: at a host and port, at a unix socket, behind TLS, or at what a URL names.
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
 * Where the server is, and what the connection is told.
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
 * One connection.
 *
 * **Example**
 *
 * ```ts
 * Effect.provide(program, NodeBeanstalk.layerConnection({ host: "localhost", port: 11300 }))
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
 * One connection, with options from `Config`.
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
 * One connection to the server that `BEANSTALKD_URL` names.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnectionEnv: Layer.Layer<
  BeanstalkConnection.BeanstalkConnection,
  ConnectFailed | InvalidArgument | ConfigError.ConfigError
> = Layer.provide(BeanstalkConnection.layer(), NodeConnector.layerEnv)

/**
 * Where the server is, and what the client is told.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientOptions = ServerOptions & BeanstalkClient.Options

/**
 * A client. It opens nothing before it is used, and heals by itself.
 *
 * **Example**
 *
 * ```ts
 * Effect.provide(program, NodeBeanstalk.layerClient({ url: "beanstalk://localhost:11300" }))
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
 * A client, with options from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientConfig = (
  options: Config.Config.Wrap<ClientOptions>
): Layer.Layer<BeanstalkClient.BeanstalkClient, InvalidArgument | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layerClient))

/**
 * A client of the server that `BEANSTALKD_URL` names.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientEnv: Layer.Layer<
  BeanstalkClient.BeanstalkClient,
  InvalidArgument | ConfigError.ConfigError
> = Layer.provide(BeanstalkClient.layer(), NodeConnector.layerEnv)
