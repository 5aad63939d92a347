/**
 * How a worker gets its connections from a client.
 *
 * A worker deals with sessions themselves: what a `Connection` offers takes a fiber's turn for each command, and two commands
 * of one fiber never leave in one write.
 */
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { TimerQueue } from "../base/timerQueue.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { SessionOptions } from "../connection/session.ts"
import type { Lost } from "./reconnect.ts"

export interface Source {
  readonly address: string
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  /** Opens a session that watches this tube and no other. `onEnd` is called when it is over, before anybody hears of it. */
  readonly open: (
    watch: TubeName,
    heart: TimerQueue,
    onEnd: SessionOptions["onEnd"]
  ) => Effect.Effect<ServerSession, ConnectFailed, Scope.Scope>
}

const source = Symbol.for("effect-beanstalk/leasing/source")

interface Leasing {
  readonly [source]: Source
}

/** A client that workers can be built on. */
export const offer = <Client extends object>(client: Client, offered: Source): Client & Leasing => ({
  ...client,
  [source]: offered
})

const isLeasing = (client: object): client is Leasing => source in client

export const sourceOf = (client: object): Source => {
  if (isLeasing(client)) return client[source]
  throw new Error(
    "A worker needs a client that was made by BeanstalkClient.make or layer, to open connections of its own."
  )
}
