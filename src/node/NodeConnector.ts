/**
 * Connectors for Node: TCP, unix sockets, TLS, and the three of them by URL.
 *
 * beanstalkd knows neither passwords nor TLS: whoever reaches its port can do everything. Bind it to loopback, to a unix
 * socket or to a private network, or put a TLS proxy such as stunnel in front of it and use {@link layerTls}.
 *
 * @since 0.1.0
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
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
  /** Default: 11300. */
  readonly port?: number | undefined
}

/**
 * Where a beanstalkd listens on a unix socket. It can since 1.12 (`-l unix:/path`).
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixOptions {
  readonly path: string
}

/**
 * Where a TLS proxy in front of a beanstalkd listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsOptions extends TcpOptions {
  /** What else `tls.connect` of Node takes: `ca`, `cert`, `key`, `servername`, … Certificates are verified by default. */
  readonly tls?: Omit<Tls.ConnectionOptions, "host" | "port" | "path" | "socket"> | undefined
}

/**
 * A beanstalkd as a URL names it.
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

/** How often a silent peer is asked, in milliseconds, whether it is still there: a plain reserve may wait for hours. */
const keepAliveInitialDelay = 30_000

/** As much as Node itself reads at once. Nobody keeps it: it is copied, or shown to a reader that copies. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * A connection that reads into a buffer that is there already: Node would make one of the full size for every piece, however
 * small, and what that takes is a sixth of all that a worker does for a job.
 */
const connect = (options: Net.NetConnectOpts, shortcuts: SocketFastPath.FastPath): Net.Socket => {
  const callback = (size: number): boolean => {
    const piece = buffer.subarray(0, size)
    // Through the stream, as it would be otherwise, unless there is somebody to be shown it, who has read all before it.
    if (shortcuts.reader === undefined || socket.readableFlowing !== true || socket.readableLength > 0) {
      return socket.push(Buffer.from(piece))
    }
    shortcuts.reader(piece)
    return true
  }
  const socket: Net.Socket = Net.connect({ ...options, onread: { buffer, callback } })
  return socket
}

/**
 * A socket that is destroyed with its scope: what the kernel has taken is still delivered, and nothing of it stays behind
 * when the peer has stopped reading. It keeps a listener for errors as long as it lives, since an error that nobody
 * hears ends the process.
 */
const openSocket = (
  begin: (shortcuts: SocketFastPath.FastPath) => Duplex,
  readyEvent: "connect" | "secureConnect"
): Effect.Effect<Socket.Socket> =>
  Effect.suspend(() => {
    let current: Duplex | undefined
    const shortcuts: SocketFastPath.FastPath = { write: (chunk) => current?.write(chunk) }
    const open = Effect.acquireRelease(
      Effect.try({ try: () => current = begin(shortcuts).on("error", constVoid), catch: cannotOpen }),
      (duplex) => Effect.sync(() => duplex.destroy())
    ).pipe(
      Effect.tap((duplex) => ready(duplex, readyEvent))
    )
    return Effect.map(NodeSocket.fromDuplex(open), (socket) => SocketFastPath.withFastPath(socket, shortcuts))
  })

const ready = (duplex: Duplex, readyEvent: string) =>
  Effect.async<void, Socket.SocketError>((resume) => {
    duplex.on("error", (cause) => resume(Effect.fail(cannotOpen(cause))))
    if (duplex.errored !== null) resume(Effect.fail(cannotOpen(duplex.errored)))
    duplex.once(readyEvent, () => resume(Effect.void))
  })

/** To Node an empty host is this host, an empty path a port of it, and a NUL the end of a path: somewhere else than asked. */
const named = (what: string, name: string): string => {
  if (name === "" || name.includes("\0")) throw new Error(`the ${what} is empty, or contains a NUL`)
  return name
}

const cannotOpen = (cause: unknown) => new Socket.SocketGenericError({ reason: "Open", cause })

const address = (host: string, port: number) => host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/**
 * A beanstalkd on TCP.
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
      (shortcuts) =>
        connect({ host: named("host", host), port, noDelay: true, keepAlive: true, keepAliveInitialDelay }, shortcuts),
      "connect"
    )
  })

/**
 * A beanstalkd on a unix socket.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUnix = ({ path }: UnixOptions): Layer.Layer<Connector> =>
  Layer.succeed(Connector, {
    address: `unix:${path}`,
    socket: openSocket((shortcuts) => connect({ path: named("path", path) }, shortcuts), "connect")
  })

/**
 * A beanstalkd behind a TLS proxy.
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
      const socket = Tls.connect({ ...servername, ...tls, host: named("host", host), port })
      return socket.setNoDelay(true).setKeepAlive(true, keepAliveInitialDelay)
    }, "secureConnect")
  })

/**
 * What a URL names: `beanstalk://host:port`, `beanstalks://host:port` for TLS, or `unix:/path/of/socket` as beanstalkd's own
 * `-l` has it. The port may be left out; it is 11300 then.
 *
 * Fails with `InvalidArgument` when the URL is nothing of the kind. The options are for TLS; others ignore them.
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

/** Nothing in a URL is silently left aside: beanstalkd has no users, databases or options. */
const parseUrl = (url: string): URL | undefined => {
  if (!URL.canParse(url)) return undefined
  const target = new URL(url)
  const isUnix = target.protocol === "unix:"
  const surplus = target.username + target.password + target.search + target.hash +
    (isUnix ? target.host : target.pathname.replace(/^\/$/, ""))
  const needed = isUnix ? decode(target.pathname).replace(/^\/$/, "") : domainToASCII(decode(target.hostname))
  return surplus === "" && needed !== "" ? target : undefined
}

/** Empty when it cannot be decoded. */
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
 * What a URL from `Config` names; {@link layerEnv} reads it from the usual place.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  url: Config.Config<string>
): Layer.Layer<Connector, InvalidArgument | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(url, (url) => layerUrl(url)))

/**
 * The beanstalkd that `BEANSTALKD_URL` names. There is no default: a program that was deployed without it should say so,
 * and not try its own host.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEnv: Layer.Layer<Connector, InvalidArgument | ConfigError.ConfigError> = layerConfig(
  Config.nonEmptyString("BEANSTALKD_URL")
)
