/** Streams of Node as Streams. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import { fromReadable } from "../../src/cli/files.ts"
import * as Scripted from "../support/scripted.ts"

it.effect("an input that breaks while nobody reads it fails with the reason at the next piece", () =>
  Effect.gen(function*() {
    const readable = new Readable({ read: () => undefined })
    readable.push("a")
    const pieces: Array<string> = []
    const ended = yield* fromReadable(readable, "standard input").pipe(
      Stream.runForEach((piece) => {
        pieces.push(Buffer.from(piece).toString())
        readable.destroy(new Error("EIO: i/o error, read"))
        return Scripted.turn
      }),
      Effect.either
    )
    assert.deepStrictEqual(pieces, ["a"])
    assert.deepStrictEqual(
      Either.mapLeft(ended, ({ message }) => message),
      Either.left("standard input cannot be read: i/o error.")
    )
  }))
