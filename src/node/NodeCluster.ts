/**
 * Clusters of servers at URLs, in the environment, or in the DNS.
 *
 * The number of a server, which is part of the ids of its jobs, is a hash of its address in 16 bits. A server that gets another address
 * is another server: to keep its number, use `BeanstalkCluster.layer`, which takes numbers of your choice.
 *
 * @module
 * @since 0.1.0
 */

import * as Arr from "effect/Array"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Resolver, type SrvRecord } from "node:dns"
import type { BeanstalkClient } from "../BeanstalkClient.ts"
import * as BeanstalkCluster from "../BeanstalkCluster.ts"
import { InvalidArgument } from "../BeanstalkError.ts"
import { Connector } from "../Connector.ts"
import { annotateLogs } from "../internal/base/logging.ts"
import * as Validate from "../internal/protocol/validate.ts"
import { findClash, serverNumber } from "../internal/values/serverNumber.ts"
import * as NodeConnector from "./NodeConnector.ts"

type ClusterLayer<E> = Layer.Layer<BeanstalkCluster.BeanstalkCluster | BeanstalkClient, E>

/**
 * The URLs of the servers, and the options of the cluster. `tls` is used for URLs with `beanstalks:`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BeanstalkCluster.Options, Pick<NodeConnector.TlsOptions, "tls"> {
  /** In the forms that `NodeConnector.layerUrl` takes. */
  readonly urls: ReadonlyArray<string>
}

/**
 * A cluster of the servers at these URLs.
 *
 * Fails with `InvalidArgument` if a URL is invalid, if one occurs twice, or if two have the same number, which happens to one in
 * 1,500 lists of ten: then use `BeanstalkCluster.layer`.
 *
 * **Example** (three servers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeCluster } from "effect-beanstalk/node"
 *
 * const ClusterLive = NodeCluster.layer({
 *   urls: ["beanstalk://queue-1", "beanstalk://queue-2", "beanstalk://queue-3"]
 * })
 *
 * const program = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.put("greetings", "hello"))
 *
 * const main = Effect.provide(program, ClusterLive)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ({ tls, urls, ...options }: Options): ClusterLayer<InvalidArgument> =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.flatMap(
        Effect.forEach(urls, (url) => connectorOf(NodeConnector.layerUrl(url, { tls }))),
        (connectors) => numbered(connectors.map((connector) => ({ connector })))
      ),
      (servers) => BeanstalkCluster.layer(servers, options)
    )
  )

/**
 * A cluster of the servers whose URLs are in the environment variable `BEANSTALKD_URLS`, separated by commas.
 *
 * **Example** (with `BEANSTALKD_URLS=beanstalk://queue-1,beanstalk://queue-2`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 * import { NodeCluster } from "effect-beanstalk/node"
 *
 * const program = Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.put("greetings", "hello"))
 *
 * const main = Effect.provide(program, NodeCluster.layerConfig())
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Omit<Options, "urls"> = {},
  urls: Config.Config<ReadonlyArray<string>> = Config.nonEmptyString("BEANSTALKD_URLS").pipe(
    Config.map((text) => text.split(",").map((url) => url.trim()))
  )
): ClusterLayer<InvalidArgument | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(urls, (list) => layer({ ...options, urls: list })))

/**
 * Options of {@link layerSrv}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SrvOptions extends BeanstalkCluster.Options {
  /** How often the DNS is asked. Default: 30 seconds. */
  readonly refresh?: Duration.DurationInput | undefined
  /** The addresses of the DNS servers to ask, such as `127.0.0.1:8600` for Consul. Default: those of the system. */
  readonly dnsServers?: ReadonlyArray<string> | undefined
}

/**
 * A cluster of the servers that the SRV records of a name list. When the records change, servers are added, and those that are missing
 * leave. The weight of a record is that of the server, and the strategy `"first"` takes them in the order of their priorities. A server
 * with several records has the priority and the weight of the first.
 *
 * While the DNS does not answer, which is logged, the cluster stays as it is. It is asked again after 1, 2, 4, … seconds, up to
 * `refresh`. Until it has answered once, the cluster has no servers, and a `put` waits for `offlineTimeout`.
 *
 * Fails with `InvalidArgument` if an option is invalid.
 *
 * **Example** (the records of a name)
 *
 * ```ts
 * import { NodeCluster } from "effect-beanstalk/node"
 *
 * const ClusterLive = NodeCluster.layerSrv("_beanstalk._tcp.example.org", { refresh: "1 minute" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSrv = (
  name: string,
  { dnsServers, refresh = "30 seconds", ...options }: SrvOptions = {}
): ClusterLayer<InvalidArgument> => {
  const interval = Validate.attempt(() => Validate.positiveDuration("connect", "refresh", refresh))
  if (interval instanceof InvalidArgument) return Layer.fail(interval)
  const refreshing = Schedule.spaced(interval)
  const servers = Stream.repeatEffectWithSchedule(lookUp(name, dnsServers, refreshing), refreshing).pipe(
    Stream.mapEffect(serversOf),
    Stream.filterMap((list) => list)
  )
  return BeanstalkCluster.layer(servers, options)
}

const connectorOf = (connector: Layer.Layer<Connector, InvalidArgument>) =>
  Effect.scoped(Effect.map(Layer.build(connector), (context) => Context.get(context, Connector)))

/** Servers with their numbers. Fails if two have the same. */
const numbered = (
  servers: ReadonlyArray<{ readonly connector: typeof Connector.Service; readonly weight?: number }>
): Effect.Effect<ReadonlyArray<BeanstalkCluster.Server>, InvalidArgument> => {
  const clash = findClash(servers.map(({ connector: { address } }) => address))
  if (clash !== undefined) {
    const { number, one, other } = clash
    return new InvalidArgument({
      command: "connect",
      argument: "urls",
      reason: one === other
        ? `must be those of different servers, but ${one} occurs twice`
        : `have the same number in ids (${number}) for ${one} and ${other}: use BeanstalkCluster.layer, with numbers of your choice`
    })
  }
  return Effect.succeed(servers.map(({ connector, ...server }) => ({
    ...server,
    id: serverNumber(connector.address),
    connector: Layer.succeed(Connector, connector)
  })))
}

/** Asks until the DNS answers, at first soon again: it is often not there yet when a program starts. */
const lookUp = (name: string, dnsServers: ReadonlyArray<string> | undefined, refreshing: Schedule.Schedule<unknown>) =>
  Effect.async<ReadonlyArray<SrvRecord>, NodeJS.ErrnoException>((resume) => {
    const resolver = new Resolver()
    if (dnsServers !== undefined) resolver.setServers(dnsServers)
    resolver.resolveSrv(name, (error, records) => resume(error === null ? Effect.succeed(records) : Effect.fail(error)))
    return Effect.sync(() => resolver.cancel())
  }).pipe(
    Effect.sandbox,
    Effect.tapError((cause) =>
      warn(Effect.logWarning(`The SRV records of ${name} cannot be read. The cluster keeps its servers.`, cause))
    ),
    Effect.retry(Schedule.union(Schedule.exponential("1 second"), refreshing)),
    Effect.orDie
  )

const serversOf = (records: ReadonlyArray<SrvRecord>) =>
  Effect.forEach(
    records.toSorted((one, other) => one.priority - other.priority || one.name.localeCompare(other.name)),
    ({ name, port, weight }) =>
      Effect.map(connectorOf(NodeConnector.layer({ host: name, port })), (connector) => ({
        connector,
        weight: Math.max(weight, 1)
      }))
  ).pipe(
    // A server that is listed several times has its best priority.
    Effect.map(Arr.dedupeWith((one, other) => one.connector.address === other.connector.address)),
    Effect.flatMap(numbered),
    Effect.asSome,
    Effect.catchAll(({ message }) =>
      Effect.as(
        warn(Effect.logError(`The cluster keeps its servers, since the SRV records are invalid: ${message}`)),
        Option.none<ReadonlyArray<BeanstalkCluster.Server>>()
      )
    )
  )

const warn = annotateLogs("BeanstalkCluster")
