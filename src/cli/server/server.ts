/** One server, and the ways to connect to it. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as BeanstalkClient from "../../BeanstalkClient.ts"
import * as BeanstalkConnection from "../../BeanstalkConnection.ts"
import type { ConnectFailed, InvalidArgument } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import { serverOf } from "../../internal/values/qualifiedId.ts"
import { serverNumber } from "../../internal/values/serverNumber.ts"
import type { JobId } from "../../Job.ts"
import * as NodeConnector from "../../node/NodeConnector.ts"

type Connecting<A> = Effect.Effect<A, ConnectFailed | InvalidArgument, Scope.Scope>

export interface Server {
  readonly url: string
  /** The address for people: `127.0.0.1:11300`. */
  readonly address: string
  /** The number that the ids of its jobs tell: 0, and the ids are its own, unless it is one of several that are meant together. */
  readonly number: number
  readonly connector: typeof Connector.Service
  /** Those of its clients. */
  readonly options: BeanstalkClient.Options
  /** A connection, for those who need no more. A client would take an eighth of the time of a short command to load. */
  readonly open: Connecting<BeanstalkConnection.Connection>
  /**
   * Connects, with one attempt. When the connection is lost later, commands fail: who runs a command decides whether to run it
   * again.
   */
  readonly connect: Connecting<BeanstalkClient.Client>
  /** The same for a command that runs until it is interrupted: it connects again whenever the connection is lost. */
  readonly stayConnected: Connecting<BeanstalkClient.Client>
}

export interface Options {
  /** How long the server may take to connect, and later to answer. */
  readonly timeout: Duration.DurationInput
  /** Whether it is one of several that are meant together, so that the ids of jobs tell the server. Default: no. */
  readonly areTogether?: boolean
}

const loadClient = Effect.promise(() => import("../../BeanstalkClient.ts"))

/** The server at a URL. Fails if it is no URL of a server. */
export const make = (
  url: string,
  { areTogether = false, timeout }: Options
): Effect.Effect<Server, InvalidArgument> =>
  Effect.map(Effect.scoped(Layer.build(NodeConnector.layerUrl(url))), (context) => {
    const { address, socket } = Context.get(context, Connector)
    // The number comes from the address, so that ids are the same whatever the order of the URLs.
    const number = areTogether ? serverNumber(address) : 0
    const connector = { address, socket, server: areTogether ? number : undefined }
    const options = { connectTimeout: timeout, offlineTimeout: timeout, replyTimeout: timeout }
    const client = (own: BeanstalkClient.Options) =>
      Effect.provideService(
        Effect.flatMap(loadClient, ({ make }) => make({ ...options, ...own })),
        Connector,
        connector
      )
    return {
      url,
      address,
      number,
      connector,
      options,
      open: Effect.provideService(BeanstalkConnection.make(options), Connector, connector),
      connect: Effect.tap(client({ reconnect: Schedule.stop }), ({ ready }) => ready),
      // `ready` would wait for the second attempt, and more.
      stayConnected: Effect.tap(client({}), ({ lease }) => Effect.scoped(lease))
    }
  })

/** Whether an id may be that of a job of the server. */
export const isOf = ({ number }: Server, id: JobId): boolean => number === serverOf(id)
