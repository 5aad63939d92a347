/** Encodes requests to bytes. */
import { Slab } from "../base/slab.ts"

/**
 * A request: its line without the CRLF, and the body of a `put`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly line: string
  readonly body: Uint8Array | undefined
}

/**
 * A request in a few words, for logs: its line, and the size of a body in place of the body.
 *
 * @category encoding
 * @since 0.1.0
 */
export const describeRequest = ({ body, line }: Request): string =>
  body === undefined ? line : `${line} (${body.length} bytes)`

/** The size of a request on the wire, in bytes. */
export const encodedSize = ({ body, line }: Request): number =>
  line.length + 2 + (body === undefined ? 0 : body.length + 2)

/** Encoded requests live only until they are written. */
const slab = new Slab(64 * 1024)

/**
 * The requests as bytes, one behind the other, for one write.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (requests: ReadonlyArray<Request>): Uint8Array => {
  let size = 0
  for (const request of requests) size += encodedSize(request)
  const bytes = slab.allocate(size)
  let offset = 0
  for (const { body, line } of requests) {
    offset = endLine(bytes, encodeLine(line, bytes, offset))
    if (body !== undefined) {
      bytes.set(body, offset)
      offset = endLine(bytes, offset + body.length)
    }
  }
  return bytes
}

/** The longest line that the server accepts, without its CRLF. */
const longestLine = 222

/**
 * A second check after `validate`: a line with anything but printable ASCII would inject commands or block the connection, and
 * untyped code can build one.
 */
const encodeLine = (line: string, bytes: Uint8Array, offset: number): number => {
  if (line.length > longestLine) throw invalidLine()
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if (code < 0x20 || code > 0x7e) throw invalidLine()
    bytes[offset + i] = code
  }
  return offset + line.length
}

const invalidLine = () => new Error("effect-beanstalk built an invalid request line: please report this bug")

const endLine = (bytes: Uint8Array, offset: number): number => {
  bytes[offset] = 13
  bytes[offset + 1] = 10
  return offset + 2
}
