/** For tests without a server: bytes as text, replies, and recorded sessions. */
import { readFileSync } from "node:fs"
import { InvalidArgument } from "../../src/BeanstalkError.ts"
import { type Reply, ReplyDecoder } from "../../src/BeanstalkProtocol.ts"

/** The largest body a server can be made to hold. */
export const gibibyte = 1024 ** 3

/** One byte for each character, which must be below 256. */
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

/** One character for each byte: the inverse of {@link bytes}. */
export const chars = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

/** The command, which must be valid. */
export const valid = <C extends { readonly _tag: "Command" }>(made: C | InvalidArgument): C => {
  if (made instanceof InvalidArgument) throw made
  return made
}

/** A value of any type, as an untyped caller may pass it. */
export const untyped = (json: string) => JSON.parse(json)

/** Decodes pieces of bytes one after the other. */
export const decodeAll = (pieces: Iterable<Uint8Array>, maxBodySize = gibibyte): Array<Reply> => {
  const decoder = new ReplyDecoder(maxBodySize)
  const replies: Array<Reply> = []
  for (const piece of pieces) decoder.push(piece, (reply) => replies.push(reply))
  return replies
}

/** The replies in a text with a character for each byte. */
export const repliesIn = (text: string): Array<Reply> => decodeAll([bytes(text)])

/** The one reply in a text with a character for each byte. */
export const replyIn = (text: string): Reply => {
  const [reply, ...more] = repliesIn(text)
  if (reply === undefined || more.length > 0) throw new Error(`not one reply: ${JSON.stringify(text)}`)
  return reply
}

/** An `OK` reply with this document. */
export const ok = (document: string): string => `OK ${document.length}\r\n${document}\r\n`

/** Cuts bytes into pieces that end at the given places. */
export const cut = (bytes: Uint8Array, places: ReadonlyArray<number>): Array<Uint8Array> => {
  const ends = places.map((place) => Math.min(place, bytes.length)).toSorted((a, b) => a - b)
  let start = 0
  return [...ends, bytes.length].map((end) => {
    const piece = bytes.subarray(start, end)
    start = end
    return piece
  })
}

type Exchange = readonly [request: string, reply: string]

const recording = (version: string): ReadonlyArray<Exchange> =>
  JSON.parse(readFileSync(new URL(`../fixtures/beanstalkd-${version}.json`, import.meta.url), "utf8"))

/** Sessions that were recorded with real servers. */
export const recordings: ReadonlyArray<readonly [version: string, exchanges: ReadonlyArray<Exchange>]> = [
  ["1.12", recording("1.12")],
  ["1.13", recording("1.13")]
]

/** All bytes that the server sent in a session. */
export const recordedStream = (exchanges: ReadonlyArray<Exchange>): Uint8Array =>
  bytes(exchanges.map(([, reply]) => reply).join(""))

/** The document of the first recorded reply to a request. */
export const recordedDocument = (exchanges: ReadonlyArray<Exchange>, request: string): string => {
  const reply = exchanges.find(([asked]) => asked === `${request}\r\n`)?.[1] ?? ""
  const document = /^OK \d+\r\n([^]*)\r\n$/.exec(reply)?.[1]
  if (document === undefined) throw new Error(`no document was recorded for ${request}`)
  return document
}
