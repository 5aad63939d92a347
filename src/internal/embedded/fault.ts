import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/**
 * A fault of an embedded server, or of the connections to it.
 *
 * `Cut` and `Answer` happen once. The others last until `heal`, for connections that are open and for those that are opened
 * later; a fault replaces an earlier one of its kind.
 *
 * - `Cut`: all connections are reset. The jobs that they hold are ready again at once.
 * - `CutAfterRequest`: each connection is reset after the next `bytes` from its client. The server executes them, and its
 *   replies are lost.
 * - `CutAfterReply`: each connection is reset after the next `bytes` to its client.
 * - `Silence`: nothing is delivered in either direction, not even that the other side has closed. It is delivered on `heal`.
 * - `Delay`: what the server sends is delivered later, by `duration`.
 * - `Chunks`: what the server sends is delivered in chunks of at most `bytes`.
 * - `Answer`: the next write of a client does not reach the server. The client receives these bytes instead of a reply.
 * - `Refuse`: new connections are refused.
 * - `NoMemory`: every `put` is answered with `OUT_OF_MEMORY`.
 * - `NoMemoryForQueues`: a job that should become ready or delayed is buried. `put` is answered with `BURIED <id>`, and
 *   `release` with `BURIED`.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault = Data.TaggedEnum<{
  Cut: {}
  CutAfterRequest: { readonly bytes: number }
  CutAfterReply: { readonly bytes: number }
  Silence: {}
  Delay: { readonly duration: Duration.DurationInput }
  Chunks: { readonly bytes: number }
  Answer: { readonly bytes: Uint8Array }
  Refuse: {}
  NoMemory: {}
  NoMemoryForQueues: {}
}>

/**
 * The constructors of every {@link Fault}.
 *
 * **Example** (a server that falls silent for a minute)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { EmbeddedServer } from "effect-beanstalk"
 *
 * const silence = Effect.gen(function*() {
 *   const server = yield* EmbeddedServer.EmbeddedServer
 *   yield* server.inject(EmbeddedServer.Fault.Silence())
 *   yield* Effect.sleep("1 minute")
 *   yield* server.heal
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Fault = Data.taggedEnum<Fault>()
