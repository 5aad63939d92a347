import * as Data from "effect/Data"
import type { ServerInfo } from "../../Stats.ts"
import type { Ending } from "../connection/pipeline.ts"

/**
 * The state of a client's shared connection.
 *
 * - `Idle`: no command has needed it yet, or the `reconnect` Schedule is done.
 * - `Connecting`: an attempt to connect is under way. The attempts of an outage are numbered from 1.
 * - `Connected`: to this version and instance of beanstalkd. Another instance at the same address has other jobs.
 * - `Lost`: the connection has ended, or the attempt has failed; then the cause is a `ConnectFailed`.
 * - `Closed`: the Scope of the client is closed.
 *
 * @category models
 * @since 0.1.0
 */
export type State = Data.TaggedEnum<{
  Idle: {}
  Connecting: { readonly attempt: number }
  Connected: { readonly server: ServerInfo }
  Lost: Ending
  Closed: {}
}>

/**
 * Constructors and matchers of {@link State}.
 *
 * **Example** (log what the connection does)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { BeanstalkClient } from "effect-beanstalk"
 *
 * const logChanges = Effect.gen(function*() {
 *   const client = yield* BeanstalkClient.BeanstalkClient
 *   yield* Stream.runForEach(client.changes, (state) => Effect.log(state._tag))
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export const State: Data.TaggedEnum.Constructor<State> = Data.taggedEnum<State>()

/**
 * The state in which a connection has ended, or could not be opened.
 *
 * @category models
 * @since 0.1.0
 */
export type Lost = Data.TaggedEnum.Value<State, "Lost">
