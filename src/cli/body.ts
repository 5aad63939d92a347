/** The bodies of jobs: decoded as they were encoded, and shown. */
import * as Either from "effect/Either"
import { gunzipSync } from "node:zlib"
import { textOf } from "./record.ts"
import type { Output } from "./terminal/output.ts"

const encoder = new TextEncoder()

/** JSON with indents, if a text is JSON. */
const indented = (text: string): string | undefined => {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2)
  } catch {
    return undefined
  }
}

/** What a body may be decoded from. */
export const encodings = ["base64", "gzip", "json"] as const

export type Encoding = (typeof encodings)[number]

/** The largest body that beanstalkd can hold: what is larger than that was made to fill the memory. */
const largestBody = 1024 ** 3

/** A body out of a body, or what is wrong with it. */
const decoders: { readonly [E in Encoding]: (body: Uint8Array) => Either.Either<Uint8Array, string> } = {
  base64: (body) => {
    const text = (textOf(body) ?? "?").replace(/\s/g, "")
    return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text)
      ? Either.right(Buffer.from(text, "base64"))
      : Either.left("it is not base64")
  },
  gzip: (body) =>
    Either.try({
      try: () => gunzipSync(body, { maxOutputLength: largestBody }),
      catch: () => "it is not gzip, or is larger than 1 GiB"
    }),
  json: (body) => {
    const json = indented(textOf(body) ?? "")
    return json === undefined ? Either.left("it is not JSON") : Either.right(encoder.encode(json))
  }
}

/** Decodes a body step by step, in this order. */
export const decodeBody = (
  body: Uint8Array,
  encodings: ReadonlyArray<Encoding>
): Either.Either<Uint8Array, string> =>
  encodings.reduce<Either.Either<Uint8Array, string>>(
    (decoded, encoding) => Either.flatMap(decoded, decoders[encoding]),
    Either.right(body)
  )

const latin1 = (body: Uint8Array): string => Buffer.from(body).toString("latin1")

/** What a body is shown on. */
type Shown<Keys extends keyof Output["Type"]> = Pick<Output["Type"], Keys>

/** A body as text. */
export const bodyText = (body: Uint8Array, { printableLines }: Shown<"printableLines">): string =>
  printableLines(textOf(body) ?? latin1(body))

/** How many times longer JSON may become by its indents. With thousands of levels, 64 KiB become hundreds of megabytes. */
const mostIndents = 16

/** A body for people: JSON is indented in a terminal. */
export const bodyLines = (body: Uint8Array, output: Shown<"isTerminal" | "printableLines">): string => {
  const json = output.isTerminal ? indented(textOf(body) ?? "") : undefined
  return json === undefined || json.length > mostIndents * body.length
    ? bodyText(body, output)
    : output.printableLines(json)
}

/** A body on one line; in a terminal no more of it than fits. */
export const bodyPreview = (body: Uint8Array, { columns, printable }: Shown<"columns" | "printable">): string => {
  const width = columns()
  // A character has at most four bytes in UTF-8.
  const shown = width === undefined ? body : body.subarray(0, 4 * width)
  return printable(shown.length === body.length ? textOf(body) ?? latin1(body) : Buffer.from(shown).toString())
}
