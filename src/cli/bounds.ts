/** Bounds what is held in memory of an input. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { lineFeed } from "./lines.ts"

export interface Bound<out E> {
  /** In bytes. */
  readonly most: number
  /** The failure if there are more. */
  readonly exceeded: E
}

/** The same bytes. Fails when a line that is longer goes on after a piece, so that no more than that and a piece is held of it. */
export const withLinesUpTo =
  <E2>({ exceeded, most }: Bound<E2>) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | E2, R> =>
    Stream.mapAccumEffect(bytes, 0, (open, piece) => {
      if (open > most) return Effect.fail(exceeded)
      const end = piece.lastIndexOf(lineFeed)
      return Effect.succeed([end < 0 ? open + piece.length : piece.length - end - 1, piece])
    })

/** All bytes as one piece. Fails as soon as there are more. */
export const wholeUpTo =
  <E2>({ exceeded, most }: Bound<E2>) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Effect.Effect<Uint8Array, E | E2, R> =>
    bytes.pipe(
      Stream.mapAccumEffect(0, (before, piece) => {
        const size = before + piece.length
        return size > most ? Effect.fail(exceeded) : Effect.succeed([size, piece])
      }),
      Stream.runCollect,
      Effect.map((pieces) => Buffer.concat(Chunk.toReadonlyArray(pieces)))
    )
