/** The lines of a stream of bytes, as bytes. */
import * as Chunk from "effect/Chunk"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export const lineFeed = 10

/** The lines that end in a piece, and what is left over of it. */
const split = (piece: Uint8Array, separator: number) => {
  const lines: Array<Uint8Array> = []
  let start = 0
  for (let end = piece.indexOf(separator); end >= 0; end = piece.indexOf(separator, start)) {
    lines.push(piece.subarray(start, end))
    start = end + 1
  }
  return { lines, rest: piece.subarray(start) }
}

/** Each line as soon as it has ended, without what ends it. What follows the last line feed is a line if it is not empty. */
export const lines = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.concat(Stream.map(bytes, Option.some), Stream.succeed(Option.none())).pipe(
    Stream.mapAccum<ReadonlyArray<Uint8Array>, Option.Option<Uint8Array>, Chunk.Chunk<Uint8Array>>(
      [],
      (before, piece) => {
        if (Option.isNone(piece)) {
          const last = Buffer.concat(before)
          return [[], last.length === 0 ? Chunk.empty() : Chunk.of(last)]
        }
        const { lines: [first, ...others], rest } = split(piece.value, lineFeed)
        if (first === undefined) return [[...before, rest], Chunk.empty()]
        const line = before.length === 0 ? first : Buffer.concat([...before, first])
        return [rest.length === 0 ? [] : [rest], Chunk.unsafeFromArray([line, ...others])]
      }
    ),
    Stream.flattenChunks
  )
