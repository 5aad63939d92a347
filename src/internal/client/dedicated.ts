/** What the rest of the library has of a client: connections of its own, for what reserves; its shared connection; and its workers. */
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import type { Connector } from "../../Connector.ts"
import type { TubeName } from "../../Job.ts"
import type { TimerQueue } from "../base/timerQueue.ts"
import { connectOrFail, type ConnectSettings, handshake, type ServerSession } from "../connection/connect.ts"
import { observedBy } from "../connection/observer.ts"
import type { SessionOptions } from "../connection/session.ts"
import type { ClientMetrics } from "./clientMetrics.ts"
import type { Lost } from "./connectionState.ts"
import type { SharedConnection } from "./sharedConnection.ts"
import type { Workers } from "./workers.ts"

/**
 * A worker uses sessions, not `Connection`s: with a `Connection` each command takes a fiber, and two commands of one fiber
 * never leave in one write.
 */
export interface Dedicated {
  readonly address: string
  /** The reconnect Schedule of the client. */
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  readonly workers: Workers
  /** Those of the client, if it has the option `metrics`. */
  readonly metrics: ClientMetrics | undefined
  /** `undefined` for a cluster. */
  readonly shared: SharedConnection | undefined
  /**
   * The servers that a worker takes jobs from. Calls back at once, and whenever they change until the returned function is called.
   */
  readonly servers: (onChange: (servers: ReadonlyArray<Dedicated>) => void) => () => void
  /** The same for one server: of a cluster, one that takes jobs. */
  readonly onOne: Effect.Effect<Dedicated, ConnectFailed>
  /**
   * Opens a session that watches this tube and no other. `timers` hold its reply deadline, instead of a timer queue of its
   * own. `onEnd` is called when the session ends, before any command fails. Fails with the reason `Closed` once the client is
   * closed.
   */
  readonly open: (
    watch: TubeName,
    timers?: TimerQueue,
    onEnd?: SessionOptions["onEnd"]
  ) => Effect.Effect<ServerSession, ConnectFailed, Scope.Scope>
  /** Opens a session as `open` does, for commands that must leave in one write, however many they are. */
  readonly openUnbounded: (watch: TubeName) => Effect.Effect<ServerSession, ConnectFailed, Scope.Scope>
}

/** An accessor of a class: neither a spread nor the type of a spread has it. */
export abstract class HasDedicated {
  /**
   * What a `Worker` has of the client: connections of its own, and the other workers. A spread does not copy it: a worker of
   * `{ ...client, put: other.put }` would take its jobs from the server of `client`. Such a copy is no `Client`, and no worker
   * starts with it, until `dedicated: client.dedicated` is added.
   */
  abstract get dedicated(): Dedicated
}

export const withDedicated = <A extends object>(dedicated: Dedicated, members: A): A & HasDedicated => {
  class Owner extends HasDedicated {
    get dedicated() {
      return dedicated
    }
  }
  return Object.assign(new Owner(), members)
}

export const make = (
  { metrics, reconnect, workers, ...settings }: ConnectSettings & Pick<Dedicated, "metrics" | "reconnect" | "workers">,
  connector: typeof Connector.Service,
  shared: SharedConnection
): Dedicated => {
  const open = (watch: TubeName, session: Partial<SessionOptions>, onEnd?: SessionOptions["onEnd"]) =>
    Effect.zipRight(
      shared.unlessClosed,
      connectOrFail(
        connector,
        { ...settings, handshake: handshake({ watch: [watch] }), session: { ...settings.session, ...session } },
        onEnd
      ).pipe(
        observedBy(metrics?.observe("lease", watch))
      )
    )
  const dedicated: Dedicated = {
    address: connector.address,
    reconnect,
    metrics,
    workers,
    shared,
    servers: (onChange) => {
      onChange([dedicated])
      return constVoid
    },
    onOne: Effect.sync(() => dedicated),
    open: (watch, timers, onEnd) => open(watch, { timers }, onEnd),
    openUnbounded: (watch) =>
      open(watch, { maxInFlight: Number.POSITIVE_INFINITY, maxQueuedBytes: Number.POSITIVE_INFINITY })
  }
  return dedicated
}
