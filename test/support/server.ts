/** What the tests need of a beanstalkd, whichever it is. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"

/** Where a server listens, in the words of `NodeBeanstalk`. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string }

/** A beanstalkd, whichever it is. */
export interface Server {
  readonly target: Target
  /** The same for `net.connect`, for tests that write bytes of their own. */
  readonly connect: () => Net.Socket
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

export interface ServerOptions {
  /** Listen on a unix socket instead of a port. */
  readonly unix?: boolean | undefined
  /** The port to listen on. Default: any that is free. */
  readonly port?: number | undefined
  /** In bytes. Default: 65,535. */
  readonly maxJobSize?: number | undefined
}

/** A kind of server. */
export interface Kind {
  readonly name: string
  /** A server until the scope closes. */
  readonly start: (options?: ServerOptions) => Effect.Effect<Server, never, Scope.Scope>
  /** A server that has no room for another job, until it is made. */
  readonly startFull: Effect.Effect<
    { readonly server: Server; readonly makeRoom: Effect.Effect<void> },
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
