/** What the tests need of a beanstalkd, whichever it is. */
import type { Connector } from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"

/** Where a server listens, in the words of `NodeBeanstalk`. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string }

/** Where a url of `NodeEmbeddedServer` points. */
export const targetOf = (url: string): Target => {
  const { hostname, pathname, port, protocol } = new URL(url)
  return protocol === "unix:"
    ? { path: pathname }
    : { host: hostname.replaceAll(/[[\]]/g, ""), port: Number(port) }
}

/** A beanstalkd, whichever it is. */
export interface Server {
  /** The way to it. */
  readonly connector: Layer.Layer<Connector.Connector>
  /** The process it says it is. */
  readonly pid: number
  /** What it says of the machine it runs on. */
  readonly hostname: string
  /** Starts drain mode. */
  readonly drain: Effect.Effect<void>
  /** Takes no notice of anything until the scope closes. Connections are still made. */
  readonly freeze: Effect.Effect<void, never, Scope.Scope>
  /** Ends it without a farewell. */
  readonly kill: Effect.Effect<void>
  /** Leaves it memory for jobs, but none for one more to be ready in the default tube. */
  readonly fillQueues: Effect.Effect<void>
}

/** One that can be reached from elsewhere. */
export interface Listening extends Server {
  readonly target: Target
  /** The same for `net.connect`, for tests that write bytes of their own. */
  readonly connect: () => Net.Socket
}

export interface ServerOptions {
  /** Listen on a unix socket instead of a port. It means nothing where nothing listens. */
  readonly unix?: boolean | undefined
  /** The port to listen on. Default: any that is free. */
  readonly port?: number | undefined
  /** In bytes. Default: 65,535. */
  readonly maxJobSize?: number | undefined
}

/** A kind of server. */
export interface Kind<S extends Server = Server> {
  readonly name: string
  /** A server until the scope closes. */
  readonly start: (options?: ServerOptions) => Effect.Effect<S, never, Scope.Scope>
  /** A server that has no room for another job, until it is made. */
  readonly startFull: Effect.Effect<
    { readonly server: S; readonly makeRoom: Effect.Effect<void> },
    never,
    Scope.Scope
  >
  /** Whether `fillQueues` is possible on this machine. */
  readonly canFillQueues: boolean
}

/** The server that a group of tests shares. */
export class Beanstalkd extends Context.Tag("test/Beanstalkd")<Beanstalkd, Server>() {
  static layer(kind: Kind, options?: ServerOptions): Layer.Layer<Beanstalkd> {
    return Layer.scoped(this, kind.start(options))
  }
}

/** The same of a group that must reach it from elsewhere. */
export class ListeningBeanstalkd extends Context.Tag("test/ListeningBeanstalkd")<ListeningBeanstalkd, Listening>() {
  static layer(kind: Kind<Listening>, options?: ServerOptions): Layer.Layer<ListeningBeanstalkd | Beanstalkd> {
    return Layer.scopedContext(
      Effect.map(kind.start(options), (server) => Context.make(this, server).pipe(Context.add(Beanstalkd, server)))
    )
  }
}
