/** Asks before a command acts on many of what it reads. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { askAbove } from "./terminal/prompt.ts"

/** The same stream, once `ask` has succeeded if it has more elements than are acted on without a question: as many are read before. */
export const askIfMany = <A, E, R, E2, R2>(
  elements: Stream.Stream<A, E, R>,
  ask: Effect.Effect<void, E2, R2>
): Effect.Effect<Stream.Stream<A, E>, E | E2, R | R2 | Scope.Scope> =>
  Effect.flatMap(Stream.peel(elements, Sink.collectAllN(askAbove + 1)), ([first, others]) =>
    Effect.as(
      Chunk.size(first) > askAbove ? ask : Effect.void,
      Stream.concat(Stream.fromChunk(first), others)
    ))
