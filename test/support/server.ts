/** What tests need of a server, be it the embedded one or a real beanstalkd. */
import type { BeanstalkCluster, Connector } from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"

/** Where a server listens, as `NodeBeanstalk` takes it. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string }

/** Where a url of `NodeEmbeddedServer` points. */
export const targetOf = (url: string): Target => {
  const { hostname, pathname, port, protocol } = new URL(url)
  return protocol === "unix:"
    ? { path: pathname }
    : { host: hostname.replaceAll(/[[\]]/g, ""), port: Number(port) }
}

/** A server that runs. */
export interface Server {
  readonly connector: Layer.Layer<Connector.Connector>
  /** The servers of a cluster, of which `connector` opens sockets to the first. `undefined` if it is one server. */
  readonly members?: ReadonlyArray<BeanstalkCluster.Server> | undefined
  /** The pid in its statistics. */
  readonly pid: number
  /** The hostname in its statistics. */
  readonly hostname: string
  /** Starts drain mode. */
  readonly drain: Effect.Effect<void>
  /** Stops reading and writing until the scope closes. Connections are still accepted. */
  readonly freeze: Effect.Effect<void, never, Scope.Scope>
  /** Ends it at once. */
  readonly kill: Effect.Effect<void>
  /** Leaves it memory for jobs, but none to make one more ready in the default tube. */
  readonly fillQueues: Effect.Effect<void>
}

/** A server that listens on a port or a unix socket. */
export interface Listening extends Server {
  readonly target: Target
  /** A socket to it, for tests that write bytes themselves. */
  readonly connect: () => Net.Socket
}

export interface ServerOptions {
  /** Listen on a unix socket instead of a port. A server in memory ignores it. */
  readonly unix?: boolean | undefined
  /** The port to listen on. Default: a free one. */
  readonly port?: number | undefined
  /** In bytes. Default: 65,535. */
  readonly maxJobSize?: number | undefined
}

/** A kind of server. */
export interface Kind<S extends Server = Server> {
  readonly name: string
  /** Starts a server, which ends with the scope. */
  readonly start: (options?: ServerOptions) => Effect.Effect<S, never, Scope.Scope>
  /** Starts a server that has no memory for another job until `makeRoom` runs. */
  readonly startFull: Effect.Effect<
    { readonly server: S; readonly makeRoom: Effect.Effect<void> },
    never,
    Scope.Scope
  >
  /** Whether `fillQueues` is possible on this machine. */
  readonly canFillQueues: boolean
}

/** The server that the tests of a group share. */
export class Beanstalkd extends Context.Tag("test/Beanstalkd")<Beanstalkd, Server>() {
  static layer(kind: Kind, options?: ServerOptions): Layer.Layer<Beanstalkd> {
    return Layer.scoped(this, kind.start(options))
  }
}

/** The same for tests that need its port or socket. */
export class ListeningBeanstalkd extends Context.Tag("test/ListeningBeanstalkd")<ListeningBeanstalkd, Listening>() {
  static layer(kind: Kind<Listening>, options?: ServerOptions): Layer.Layer<ListeningBeanstalkd | Beanstalkd> {
    return Layer.scopedContext(
      Effect.map(kind.start(options), (server) => Context.make(this, server).pipe(Context.add(Beanstalkd, server)))
    )
  }
}
