import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ConnectFailed } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import { connect, type ConnectSettings, type ServerSession } from "../connection/connect.ts"
import type { SessionOptions } from "../connection/session.ts"

/**
 * Opens a session of a client. A connector that throws, or is interrupted, has failed to connect like any other, so that the
 * reconnect loop tries again.
 */
export const openSession = (
  connector: typeof Connector.Service,
  settings: ConnectSettings,
  onEnd: SessionOptions["onEnd"] | undefined
): Effect.Effect<ServerSession, ConnectFailed, Scope.Scope> =>
  connect(settings, onEnd).pipe(
    Effect.provideService(Connector, connector),
    Effect.catchAllCause((cause) => Effect.fail(asConnectFailed(cause, connector.address)))
  )

const asConnectFailed = (cause: Cause.Cause<ConnectFailed>, address: string): ConnectFailed => {
  const error = Cause.squash(cause)
  return error instanceof ConnectFailed
    ? error
    : new ConnectFailed({ address, reason: "Unreachable", detail: String(error), cause: error })
}
