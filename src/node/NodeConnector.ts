/**
 * Connectors for Node: by TCP, by unix socket, by TLS, and each of them by URL.
 *
 * beanstalkd has neither authentication nor TLS: anyone who can connect can read and delete every job. Let it listen on
 * loopback, on a unix socket or in a private network, or put a TLS proxy such as stunnel in front of it and use
 * {@link layerTls}.
 *
 * @module
 * @since 0.1.0
 */

import * as NodeSocket from "@effect/platform-node-shared/NodeSocket"
import * as Socket from "@effect/platform/Socket"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { domainToASCII } from "node:url"
import { InvalidArgument } from "../BeanstalkError.ts"
import { Connector } from "../Connector.ts"
import * as SocketFastPath from "../internal/connection/socketFastPath.ts"

/**
 * Where a beanstalkd listens on TCP.
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpOptions {
  /** A host name or an address. Default: `localhost`. */
  readonly host?: string | undefined
  /** The port. Default: 11300. */
  readonly port?: number | undefined
}

/**
 * Where a beanstalkd listens on a unix socket, which it supports since 1.12 (`-l unix:/path`).
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixOptions {
  /** The path of the socket. */
  readonly path: string
}

/**
 * Where a TLS proxy in front of a beanstalkd listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsOptions extends TcpOptions {
  /** Further options of Node's `tls.connect`: `ca`, `cert`, `key`, `servername`, … Certificates are verified by default. */
  readonly tls?: Omit<Tls.ConnectionOptions, "host" | "port" | "path" | "socket"> | undefined
}

/**
 * The URL of a beanstalkd.
 *
 * @category models
 * @since 0.1.0
 */
export interface UrlOptions extends Pick<TlsOptions, "tls"> {
  /** `beanstalk://host:port`, `beanstalks://host:port` or `unix:/path/of/socket`. */
  readonly url: string
}

const defaultHost = "localhost"

const defaultPort = 11300

/** How long a connection is idle, in milliseconds, until the kernel probes whether the server still exists: a reserve may wait for hours. */
const keepAliveInitialDelay = 30_000

/** All sockets read into this buffer, of the size that Node itself uses. What is read is copied before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * Connects a socket that reads into the common buffer. By default Node allocates 64 KiB for each chunk, however small, which is a
 * sixth of the CPU time that a worker takes for a job.
 */
const connect = (options: Net.NetConnectOpts, fastPath: SocketFastPath.FastPath): Net.Socket => {
  const onRead = (size: number): boolean => {
    const chunk = readBuffer.subarray(0, size)
    // The reader may get a chunk only after it has got all earlier ones, which may still be in the stream's own buffer.
    if (fastPath.reader === undefined || socket.readableFlowing !== true || socket.readableLength > 0) {
      return socket.push(Buffer.from(chunk))
    }
    fastPath.reader(chunk)
    return true
  }
  const socket: Net.Socket = Net.connect({ ...options, onread: { buffer: readBuffer, callback: onRead } })
  return socket
}

/**
 * A socket that is destroyed at the end of its scope: what the kernel has accepted is still delivered, and a server that has
 * stopped reading cannot keep the socket open.
 */
const openSocket = (
  start: (fastPath: SocketFastPath.FastPath) => Duplex,
  readyEvent: "connect" | "secureConnect"
): Effect.Effect<Socket.Socket> =>
  Effect.suspend(() => {
    let opened: Duplex | undefined
    const fastPath: SocketFastPath.FastPath = { write: (chunk) => opened?.write(chunk) }
    const open = Effect.acquireRelease(
      // The listener is never removed: an error event without a listener ends the process.
      Effect.try({ try: () => opened = start(fastPath).on("error", constVoid), catch: cannotOpen }),
      (duplex) => Effect.sync(() => duplex.destroy())
    ).pipe(
      Effect.tap((duplex) => ready(duplex, readyEvent))
    )
    return Effect.map(NodeSocket.fromDuplex(open), (socket) => SocketFastPath.withFastPath(socket, fastPath))
  })

const ready = (duplex: Duplex, readyEvent: string) =>
  Effect.async<void, Socket.SocketError>((resume) => {
    duplex.on("error", (cause) => resume(Effect.fail(cannotOpen(cause))))
    if (duplex.errored !== null) resume(Effect.fail(cannotOpen(duplex.errored)))
    duplex.once(readyEvent, () => resume(Effect.void))
  })

/**
 * Node would connect to another address than the intended one: it takes an empty host for localhost, an empty path for a TCP
 * port, and ends a path at a NUL.
 */
const checked = (option: "host" | "path", value: string): string => {
  if (value === "" || value.includes("\0")) throw new Error(`the ${option} is empty, or contains a NUL`)
  return value
}

const cannotOpen = (cause: unknown) => new Socket.SocketGenericError({ reason: "Open", cause })

const address = (host: string, port: number) => host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/**
 * Connects by TCP.
 *
 * **Example** (a server in the private network)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const ClientLive = Layer.provide(BeanstalkClient.layer(), NodeConnector.layer({ host: "10.0.0.5", port: 11300 }))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  { host = defaultHost, port = defaultPort }: TcpOptions = {}
): Layer.Layer<Connector> =>
  Layer.succeed(Connector, {
    address: address(host, port),
    socket: openSocket(
      (fastPath) =>
        connect({ host: checked("host", host), port, noDelay: true, keepAlive: true, keepAliveInitialDelay }, fastPath),
      "connect"
    )
  })

/**
 * Connects by a unix socket.
 *
 * **Example** (a server on the same host)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const ClientLive = Layer.provide(BeanstalkClient.layer(), NodeConnector.layerUnix({ path: "/run/beanstalkd.sock" }))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUnix = ({ path }: UnixOptions): Layer.Layer<Connector> =>
  Layer.succeed(Connector, {
    address: `unix:${path}`,
    socket: openSocket((fastPath) => connect({ path: checked("path", path) }, fastPath), "connect")
  })

/**
 * Connects by TLS, to a proxy in front of a beanstalkd.
 *
 * **Example** (a certificate of an authority of your own)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 * import { readFile } from "node:fs/promises"
 *
 * const ConnectorLive = Layer.unwrapEffect(
 *   Effect.map(Effect.promise(() => readFile("ca.pem")), (ca) =>
 *     NodeConnector.layerTls({ host: "queue.example.org", port: 11301, tls: { ca } }))
 * )
 *
 * const ClientLive = Layer.provide(BeanstalkClient.layer(), ConnectorLive)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTls = (
  { host = defaultHost, port = defaultPort, tls }: TlsOptions = {}
): Layer.Layer<Connector> =>
  Layer.succeed(Connector, {
    address: address(host, port),
    socket: openSocket(() => {
      const servername = Net.isIP(host) === 0 ? { servername: host } : {}
      const socket = Tls.connect({ ...servername, ...tls, host: checked("host", host), port })
      return socket.setNoDelay(true).setKeepAlive(true, keepAliveInitialDelay)
    }, "secureConnect")
  })

/**
 * Connects to a URL: `beanstalk://host:port`, `beanstalks://host:port` for TLS, or `unix:/path/of/socket`, as in beanstalkd's
 * own option `-l`. The default port is 11300. The options are used for TLS only.
 *
 * Fails with `InvalidArgument` when the URL is not of one of these forms.
 *
 * **Example** (a URL)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const ClientLive = Layer.provide(BeanstalkClient.layer(), NodeConnector.layerUrl("beanstalks://queue.example.org:11301"))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUrl = (
  url: string,
  options?: Pick<TlsOptions, "tls">
): Layer.Layer<Connector, InvalidArgument> =>
  Layer.unwrapEffect(Effect.suspend(() => {
    const target = parseUrl(url)
    switch (target?.protocol) {
      case "beanstalk:":
        return Effect.succeed(layer(tcpOptions(target)))
      case "beanstalks:":
        return Effect.succeed(layerTls({ ...tcpOptions(target), tls: options?.tls }))
      case "unix:":
        return Effect.succeed(layerUnix({ path: decode(target.pathname) }))
      default:
        return new InvalidArgument({
          command: "connect",
          argument: "url",
          reason: "must be like beanstalk://localhost:11300, beanstalks://host:port (TLS) or unix:/path/of/socket"
        })
    }
  }))

/** `undefined` also for a URL with a user, a query, a fragment or (for TCP) a path: none of them would be used. */
const parseUrl = (url: string): URL | undefined => {
  if (!URL.canParse(url)) return undefined
  const target = new URL(url)
  const isUnix = target.protocol === "unix:"
  const surplus = target.username + target.password + target.search + target.hash +
    (isUnix ? target.host : target.pathname.replace(/^\/$/, ""))
  const needed = isUnix ? decode(target.pathname).replace(/^\/$/, "") : domainToASCII(decode(target.hostname))
  return surplus === "" && needed !== "" ? target : undefined
}

/** Returns an empty string for malformed percent-encoding. */
const decode = (encoded: string): string => {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return ""
  }
}

const tcpOptions = ({ hostname, port }: URL): TcpOptions => ({
  host: domainToASCII(decode(hostname)).replace(/^\[(.*)\]$/, "$1"),
  port: port === "" ? undefined : Number(port)
})

/**
 * Connects to a URL from `Config`. {@link layerEnv} reads it from the environment variable of the conventional name.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  url: Config.Config<string>
): Layer.Layer<Connector, InvalidArgument | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(url, (url) => layerUrl(url)))

/**
 * Connects to the URL in the environment variable `BEANSTALKD_URL`. There is no default: a program that was deployed without the
 * variable should fail, and not connect to its own host.
 *
 * **Example** (with `BEANSTALKD_URL=unix:/run/beanstalkd.sock`)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkConnection } from "effect-beanstalk"
 * import { NodeConnector } from "effect-beanstalk/node"
 *
 * const ConnectionLive = Layer.provide(BeanstalkConnection.layer({ tube: "mails" }), NodeConnector.layerEnv)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEnv: Layer.Layer<Connector, InvalidArgument | ConfigError.ConfigError> = layerConfig(
  Config.nonEmptyString("BEANSTALKD_URL")
)
