/** Keys, out of what a terminal sends for them. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** What a key is called that types no character. */
export type NamedKey =
  | "up"
  | "down"
  | "left"
  | "right"
  | "home"
  | "end"
  | "page up"
  | "page down"
  | "enter"
  | "tab"
  | "backtab"
  | "backspace"
  | "delete"
  | "escape"
  | "ctrl-c"
  | "ctrl-l"
  | "ctrl-u"
  | "ctrl-z"

export type Key =
  | { readonly _tag: "Named"; readonly name: NamedKey }
  | { readonly _tag: "Typed"; readonly character: string }

export interface Parsed {
  readonly keys: ReadonlyArray<Key>
  /** The beginning of a sequence whose end has not arrived yet. */
  readonly rest: string
}

const controls: Readonly<Record<string, NamedKey>> = {
  "\u0003": "ctrl-c",
  "\b": "backspace",
  "\t": "tab",
  "\n": "enter",
  "\f": "ctrl-l",
  "\r": "enter",
  "\u0015": "ctrl-u",
  "\u001a": "ctrl-z",
  "\u007f": "backspace"
}

/** By the last letter of the sequence. */
const letters: Readonly<Record<string, NamedKey>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  F: "end",
  H: "home",
  M: "enter",
  Z: "backtab"
}

/** By the number before `~`. */
const numbers: Readonly<Record<string, NamedKey>> = {
  1: "home",
  3: "delete",
  4: "end",
  5: "page up",
  6: "page down",
  7: "home",
  8: "end"
}

/** No terminal sends a longer one: what looks like that is no key. */
const longest = 32

const parameters = "[0-9;:<=>?]"

/**
 * In this order: a sequence of a function key; one that is broken off, by another key or another sequence, or that has no end; Alt with
 * a key; Escape before another sequence; and a character.
 */
const token = new RegExp(
  [
    String.raw`\u001b[[O](?<parameters>${parameters}{0,${longest}})(?<end>[@-~])`,
    String.raw`\u001b[[O]${parameters}{0,${longest}}(?:(?<broken>(?!${parameters})[^@-~\u001b])|(?=\u001b))`,
    String.raw`\u001b[[O]${parameters}{${longest + 1}}`,
    String.raw`\u001b[^[O\u001b]`,
    String.raw`(?<escape>\u001b)(?=\u001b)`,
    String.raw`(?<character>[^\u001b])`
  ].join("|"),
  "gsuy"
)

const named = (name: NamedKey | undefined): ReadonlyArray<Key> => name === undefined ? [] : [{ _tag: "Named", name }]

const typed = (character: string): ReadonlyArray<Key> =>
  /\p{Cc}/u.test(character) ? named(controls[character]) : [{ _tag: "Typed", character }]

/** The keys of what was sent. Sequences that stand for no key we know are left out. */
export const parse = (text: string): Parsed => {
  let end = 0
  const keys = Array.from(text.matchAll(token)).flatMap(({ 0: all, groups = {}, index }) => {
    end = index + all.length
    if (groups["escape"] !== undefined) return named("escape")
    if (groups["character"] !== undefined) return typed(groups["character"])
    // It may be the key with which somebody wants to stop the program.
    if (groups["broken"] !== undefined) return typed(groups["broken"])
    const [first = ""] = (groups["parameters"] ?? "").split(/[;:]/)
    return named(groups["end"] === "~" ? numbers[first] : letters[groups["end"] ?? ""])
  })
  return { keys, rest: text.slice(end) }
}

/** The keys of the beginning of a sequence after which nothing more came. */
export const parseLast = (rest: string): ReadonlyArray<Key> => rest === "\u001b" ? named("escape") : []

/** A terminal sends a sequence in one piece, but a network may split it. */
const gap = "50 millis"

const utf8 = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<string, E, R> =>
  Stream.suspend(() => {
    const decoder = new TextDecoder()
    return Stream.map(bytes, (piece) => decoder.decode(piece, { stream: true }))
  })

/** The keys, as they are pressed. An escape sequence may arrive in pieces; Escape alone is told after a moment. */
export const keysOf = (input: Stream.Stream<Uint8Array>): Stream.Stream<Key> =>
  Stream.unwrapScoped(
    Effect.map(Mailbox.fromStream(utf8(input)), (pieces) =>
      Stream.paginateChunkEffect("", (rest) =>
        Effect.map(next(pieces, rest), (piece) => {
          if (piece._tag === "End") {
            return [Chunk.unsafeFromArray(parseLast(rest)), Option.none()]
          }
          const { keys, rest: left } = piece._tag === "Pause"
            ? { keys: parseLast(rest), rest: "" }
            : parse(rest + piece.text)
          return [Chunk.unsafeFromArray(keys), Option.some(left)]
        })))
  )

type Piece =
  | { readonly _tag: "Piece"; readonly text: string }
  | { readonly _tag: "Pause" }
  | { readonly _tag: "End" }

/** What is sent next, or that nothing came after the beginning of a sequence. */
const next = (pieces: Mailbox.ReadonlyMailbox<string>, rest: string): Effect.Effect<Piece> => {
  const piece = Effect.match(pieces.take, {
    onSuccess: (text): Piece => ({ _tag: "Piece", text }),
    onFailure: (): Piece => ({ _tag: "End" })
  })
  return rest === ""
    ? piece
    : Effect.timeoutTo(piece, { duration: gap, onSuccess: identity, onTimeout: (): Piece => ({ _tag: "Pause" }) })
}
