import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/**
 * What can go wrong between an embedded server and its clients, and in it.
 *
 * `Cut` and `Answer` happen once. The others last until `heal`, for connections that are open and for those still to be
 * opened; a later one takes the place of an earlier one of its kind.
 *
 * - `Cut`: connections are reset, now. Their jobs are ready again at once.
 * - `CutAfterRequest`: a connection is reset when this many bytes more have come from its client. The server acts on them,
 *   and the client does not hear of it.
 * - `CutAfterReply`: a connection is reset when this many bytes more have gone to its client.
 * - `Silence`: nothing arrives any more, on either side, not even that the other has closed. When it heals, everything does.
 * - `Delay`: what the server says arrives this much later.
 * - `Chunks`: what the server says arrives in pieces of this many bytes.
 * - `Answer`: the next that a client writes does not reach the server, and is answered with these bytes.
 * - `Refuse`: nobody can connect.
 * - `NoMemory`: every `put` is answered with `OUT_OF_MEMORY`.
 * - `NoMemoryForQueues`: what should become ready or delayed is buried: `put` is answered with `BURIED <id>`, `release` with
 *   `BURIED`.
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
 * @category constructors
 * @since 0.1.0
 */
export const Fault = Data.taggedEnum<Fault>()
